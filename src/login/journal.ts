/**
 * The stored record of a login from `init` to the end of `complete`, and what it means for a callback. It holds the
 * credentials until they are delivered, so that the next `complete` can deliver them if this one is killed.
 */
import { isOAuthError, loginFacts, OAuthError } from '../errors.ts'
import type { Completed, PendingAuthorization, ReceivedAuthorization, SpentAuthorization } from '../model.ts'
import type { Clock, PendingStore, Stores } from '../ports.ts'
import { compareScopes } from '../protocol/scope/scope.ts'

type RecordPorts = Clock & { readonly stores: Pick<Stores, 'pending'> }

/** @throws {OAuthError} `CALLBACK_STATE_UNKNOWN`, `CODE_USED`, `AUTHORIZATION_EXPIRED` */
export async function findPending(
  state: string,
  { stores, now }: RecordPorts,
): Promise<PendingAuthorization | ReceivedAuthorization> {
  const record = await stores.pending.get(state)
  if (!record) {
    throw new OAuthError(
      'CALLBACK_STATE_UNKNOWN',
      'the state in the callback URL matches no login that was started here',
      {
        facts: { reason: 'login-not-found' },
      },
    )
  }
  if (record.status === 'spent') throw alreadySpent(record)
  if (record.status === 'pending' && now() > record.expiresAt) {
    throw new OAuthError(
      'AUTHORIZATION_EXPIRED',
      `the login has expired: it was started ${ago(record.createdAt, now())} ago`,
      {
        facts: loginFacts(record),
      },
    )
  }
  return record
}

/** The logins that can still be completed; `undefined` if they cannot be listed. */
export async function openLogins({ stores, now }: RecordPorts) {
  const records = await stores.pending.list?.()
  return records?.flatMap((record) =>
    record.status === 'received' || (record.status === 'pending' && now() <= record.expiresAt) ? [record] : [],
  )
}

/** The state of the only login that a denial without a state can belong to (personal-pds sends none). */
export async function stateOfDenial(ports: RecordPorts): Promise<string> {
  const waiting = (await openLogins(ports))?.filter(({ status }) => status === 'pending') ?? []
  const [only, ...others] = waiting
  if (only && others.length === 0) return only.state
  const why = only ? `${waiting.length} logins are pending` : 'no login is pending'
  throw new OAuthError('CALLBACK_INCOMPLETE', `the sign-in was denied without a state, and ${why} here`)
}

/** Another process claimed the login first. */
export async function claimedElsewhere({ state }: PendingAuthorization, store: PendingStore): Promise<OAuthError> {
  const record = await store.get(state)
  if (record?.status === 'spent') return alreadySpent(record)
  return new OAuthError('CODE_USED', 'another process is completing this login')
}

export function alreadySpent(record: SpentAuthorization): OAuthError {
  const { outcome } = record
  const what = {
    completed: 'this login was completed before; its code cannot be used again, and its session is not affected',
    sent: 'the code of this login may have been sent before, and no response was recorded; it cannot be sent again',
    refused: 'this code was already rejected; it was not sent again',
    denied: 'this login was denied in the browser',
  }[outcome]
  return new OAuthError('CODE_USED', what, {
    facts: { ...loginFacts(record), ...(outcome === 'completed' && { reason: 'login-completed' }) },
    session: outcome === 'completed' ? 'alive' : outcome === 'sent' ? 'unknown' : 'none',
  })
}

/** The record that replaces a login before its code is sent. */
export function spentRecord(
  record: PendingAuthorization | ReceivedAuthorization,
  codeHash: string,
  outcome: SpentAuthorization['outcome'],
  at: number,
): SpentAuthorization {
  const { state, did } = record
  const spent = { version: 1, status: 'spent', state, codeHash, outcome, at, ...(did && { did }) } as const
  // A completed login leaves as little as possible: nobody has to start it again.
  return outcome === 'completed' ? spent : { ...spent, ...requestOf(record) }
}

/** What was requested, to be able to request it again. */
function requestOf(record: PendingAuthorization | ReceivedAuthorization) {
  if (record.status === 'received') {
    const { handle, requestedScope: scope, credentials } = record
    const { clientId, redirectUri } = credentials
    return { scope, ...(handle && { handle }), ...(clientId && { clientId }), ...(redirectUri && { redirectUri }) }
  }
  const { handle, issuer, scope, clientId, redirectUri } = record
  return { issuer, scope, clientId, redirectUri, ...(handle && { handle }) }
}

/**
 * The server rejected the code, perhaps because it was truncated. The complete code may follow, but this one is not
 * sent again.
 */
export function withRefused(pending: PendingAuthorization, codeHash: string): PendingAuthorization {
  return { ...pending, refusedCodes: [...(pending.refusedCodes ?? []), codeHash] }
}

export interface DeliverOption {
  /** Delivers the credentials; the login is complete once it resolves. */
  readonly deliver?: ((completed: Completed) => Promise<void>) | undefined
}

export interface LoginRecordActions {
  /** Stores the credentials in the login's record. */
  keep(): Promise<void>
  /** Records that the login has ended, and removes its credentials. */
  close(): Promise<void>
  /** Ends the session at the server. @returns whether the server confirmed that */
  end(): Promise<boolean>
}

/**
 * @throws {OAuthError} `SAVE_FAILED`: the message says where the credentials are, or that they were lost and whether
 *   the session was ended
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
      throw error.with({ session: 'alive' })
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
    facts: { reason: 'kept-with-login' },
  })
}

/** A session that could not be stored is revoked, so that no unknown session stays open. */
function endedAgain(error: unknown, { credentials, handle }: Completed, isEnded: boolean): OAuthError {
  const why = error instanceof Error ? error.message : String(error)
  const end = isEnded ? 'it was revoked' : 'it will expire by itself'
  return new OAuthError('SAVE_FAILED', `cannot store the new session: ${why}; ${end}`, {
    cause: error,
    session: 'dead',
    facts: { reason: 'session-not-stored', ...loginFacts({ ...credentials, handle }) },
  })
}

/**
 * @param sent the stored record of the login
 * @param known what was found about the requested permission sets
 */
export function receivedFor(
  { state, codeHash, at }: SpentAuthorization,
  { credentials, handle, requestedScope, appState }: Completed,
  { emptyIncludes, setPermissions }: PendingAuthorization,
): ReceivedAuthorization {
  const { did } = credentials
  const known = {
    ...(emptyIncludes && { emptyIncludes }),
    ...(setPermissions && { setPermissions }),
    ...(appState !== undefined && { appState }),
  }
  return { version: 1, status: 'received', state, codeHash, did, handle, requestedScope, ...known, credentials, at }
}

/** The result that an earlier run received but did not deliver. */
export function completedOf(record: ReceivedAuthorization): Completed {
  const { credentials, handle, requestedScope, appState } = record
  const grantedScope = credentials.scope ?? ''
  return {
    credentials,
    handle,
    requestedScope,
    grantedScope,
    ...(appState !== undefined && { appState }),
    ...compareScopes(requestedScope, grantedScope, credentials.did, record),
  }
}

function ago(from: number, to: number): string {
  const minutes = Math.round((to - from) / 60_000)
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`
}
