/**
 * A fault in a client metadata document, and its fix.
 */
import type { Fix } from '../errors.ts'
import { asUrl } from '../protocol/identity/syntax.ts'

export interface ClientFinding {
  /** An error breaks a rule of the specification; a warning breaks nothing. */
  readonly level: 'error' | 'warning'
  /** One sentence. For an error in a document it begins with the name of the field. */
  readonly message: string
  readonly consequence: string
  readonly fix: Fix
}

export function fault(message: string, fix: Fix, consequence = 'a server may reject every login'): ClientFinding {
  return { level: 'error', message, consequence, fix }
}

export function advice(message: string, fix: Fix, consequence: string): ClientFinding {
  return { level: 'warning', message, consequence, fix }
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
