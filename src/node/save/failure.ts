/** The one error of a save target, without whatever a program printed: it has seen the secrets. */
import { AuthError } from '../../errors.ts'

export function cannotSave(name: string, cause: unknown): AuthError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new AuthError('SAVE_FAILED', `saving to ${name} failed: ${why}`, { cause })
}
