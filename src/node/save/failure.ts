/** The error of a save target. It does not quote the output of a program, which had access to the secrets. */
import { OAuthError } from '../../errors.ts'

export function cannotSave(name: string, cause: unknown): OAuthError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new OAuthError('SAVE_FAILED', `cannot save to ${name}: ${why}`, { cause })
}
