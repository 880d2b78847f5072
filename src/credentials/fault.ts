/**
 * Describes schema errors without quoting values: they may be secrets.
 */
import type { Err } from '@badrap/valita'

export interface Fault {
  /** The path of the member, outermost name first; empty if the whole value is wrong. */
  readonly path: readonly string[]
  /** The predicate, such as `is missing`. */
  readonly what: string
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'a boolean',
  object: 'an object',
  array: 'an array',
}

/**
 * The first fault. The path stops at a name that no schema defines, since it could be a secret too.
 *
 * @param value the checked value: a member that is `undefined` counts as missing
 */
export function firstFault({ issues }: Err, value: unknown): Fault {
  const [issue] = issues
  const names = issue?.path ?? []
  const end = names.findIndex((name) => !/^[a-z]\w*$/i.test(String(name)))
  const path = names.slice(0, end < 0 ? names.length : end).map(String)
  return { path, what: memberAt(value, names) === undefined ? 'is missing' : whatIsWrong(issue) }
}

function memberAt(value: unknown, [name, ...rest]: readonly PropertyKey[]): unknown {
  if (name === undefined) return value
  return typeof value === 'object' && value !== null ? memberAt(Reflect.get(value, name), rest) : undefined
}

function whatIsWrong(issue: Err['issues'][number] | undefined): string {
  switch (issue?.code) {
    case 'invalid_type':
      return `is not ${issue.expected.map((kind) => KINDS[kind] ?? kind).join(' or ')}`
    case 'invalid_literal':
      return `is not ${issue.expected.join(' or ')}`
    case 'custom_error':
      return issue.message ?? 'is not valid'
    default:
      return 'is not valid'
  }
}
