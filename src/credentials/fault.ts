/**
 * Describes schema errors without quoting values: they may be secrets.
 */
import type { Err } from '@badrap/valita'

export interface Fault {
  /** The way to the member, outermost name first; empty if the value as a whole is wrong. */
  readonly path: readonly string[]
  /** What follows its name in a sentence: `is missing`. */
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
 * The first of the faults. The path ends where a name is not one that a schema has: it may be anything, too.
 *
 * @param value what was looked at: a member that is `undefined` is as good as none
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
