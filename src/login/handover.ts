/**
 * From the server's answer to the place where a login's credentials are wanted: until they are there, the login's
 * record keeps them, so that the next `complete` can deliver what a killed one could not.
 *
 * @module
 */
import { isOAuthError, OAuthError } from '../errors.ts'
import { loginCommand } from '../hints.ts'
import type { Completed, ReceivedAuthorization, SpentAuthorization } from '../model.ts'
import { missingScopes, unaskedScopes } from '../protocol/scope/scope.ts'

export interface DeliverOption {
  /** Brings the credentials to where they are wanted; the login is over once it resolves. */
  readonly deliver?: ((completed: Completed) => Promise<void>) | undefined
}

export interface LoginRecordActions {
  /** Puts what came back into the login's record. */
  keep(): Promise<void>
  /** Records that the login is over; of the credentials it leaves nothing behind. */
  close(): Promise<void>
  /** Ends the session at the server. @returns whether the server said that it is over */
  end(): Promise<boolean>
}

/**
 * @throws {OAuthError} `SAVE_FAILED`: the message says where the credentials are, or that they are nowhere and what
 *   became of the session
 */
export async function deliverLogin(
  completed: Completed,
  { keep, close, end }: LoginRecordActions,
  { deliver }: DeliverOption,
): Promise<Completed> {
  if (deliver) {
    const kept = await keep().then(
      () => true,
      () => false,
    )
    try {
      await deliver(completed)
    } catch (error) {
      if (!isOAuthError(error, 'SAVE_FAILED') || error.session !== 'alive') {
        throw kept ? keptHere(error) : endedAgain(error, completed, await end())
      }
      await close()
      throw new OAuthError(error.code, error.message, { cause: error, hint: error.hint, session: 'alive' })
    }
  }
  await close()
  return completed
}

function keptHere(error: unknown): OAuthError {
  const why = error instanceof Error ? error.message : String(error)
  return new OAuthError('SAVE_FAILED', `${why}; the credentials are kept with the login`, {
    cause: error,
    session: 'alive',
    hint: 'correct that, then run the same `complete` again, with the same callback URL',
  })
}

/** A session of which nobody knows is not left behind. */
function endedAgain(error: unknown, { credentials, handle }: Completed, isEnded: boolean): OAuthError {
  const why = error instanceof Error ? error.message : String(error)
  const end = isEnded ? 'and was ended again' : 'and will end by itself'
  return new OAuthError('SAVE_FAILED', `the new session could not be stored (${why}), ${end}`, {
    cause: error,
    session: 'dead',
    hint: `make room or correct the permissions, then: ${loginCommand({ ...credentials, handle })}`,
  })
}

/** @param sent as the journal has the login */
export function receivedFor(
  { state, codeHash, at }: SpentAuthorization,
  { credentials, handle, requestedScope }: Completed,
): ReceivedAuthorization {
  const { did } = credentials
  return { version: 1, status: 'received', state, codeHash, did, handle, requestedScope, credentials, at }
}

/** What a run before this one had got, and not delivered. */
export function completedOf({ credentials, handle, requestedScope }: ReceivedAuthorization): Completed {
  const grantedScope = credentials.scope ?? ''
  return {
    credentials,
    handle,
    requestedScope,
    grantedScope,
    missingScopes: missingScopes(requestedScope, grantedScope),
    unaskedScopes: unaskedScopes(requestedScope, grantedScope),
  }
}
