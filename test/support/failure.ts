/** The error of ours that a promise ends with; anything else fails the test. */
import { isOAuthError, type OAuthError } from '../../src/errors.ts'

export async function failure(promise: Promise<unknown>): Promise<OAuthError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isOAuthError(error)) throw new Error(`expected one of our errors, got ${String(error)}`, { cause: error })
  return error
}
