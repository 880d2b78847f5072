/**
 * One thing that is wrong with a client document: what becomes of it, and what to do.
 *
 * @module
 */
import type { Fix } from '../model.ts'
import { asUrl } from '../protocol/identity/syntax.ts'

/**
 * Which of the two known servers refuse logins because of it, as their code is: the reference PDS, and cirrus, which
 * looks at the shape of a document and at little of its meaning. The specification forbids all of it.
 */
export type RefusedBy = 'both' | 'reference' | 'cirrus' | 'neither'

export interface ClientFault {
  /** One sentence, which begins with the name of the field. */
  readonly message: string
  readonly refusedBy: RefusedBy
  readonly fix: Fix
  /** Where it is not just that the login is refused. */
  readonly consequence?: string | undefined
}

export function fault(message: string, refusedBy: RefusedBy, fix: Fix, consequence?: string): ClientFault {
  return { message, refusedBy, fix, consequence }
}

export function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

export function hasDoubles(values: readonly string[]): boolean {
  return new Set(values).size < values.length
}

export function isHttps(value: unknown): boolean {
  return typeof value === 'string' && asUrl(value)?.protocol === 'https:'
}
