/**
 * A session is handed over to another program. A refresh token works once, so it has one owner: it leaves this one.
 */
import { type NodeSession, toNodeSession } from '../credentials/node-session.ts'
import { OAuthError } from '../errors.ts'
import type { SessionRecord } from '../model.ts'
import type { Clock, Stores } from '../ports.ts'
import type { Session } from './session.ts'
import { endedError, handedOver, newerOf, toCredentials } from './token-family.ts'

export interface ExportOptions {
  /** Leave it here as well. Two owners of one session end it: whoever renews it second sends a token that is spent. */
  readonly keep?: boolean | undefined
}

/** Seconds that the access token lasts at least, for the other program to begin with. */
const AT_LEAST = 60

/**
 * Gives a session as the session store of `@atproto/oauth-client-node` keeps it, and then no longer has it: what the
 * store remembers is only that its tokens must not be used here. Renews it first if its access token is over.
 *
 * @param hand puts it where it goes; once that resolves the session is gone from here, and if it rejects it is not
 * @throws {OAuthError} `SESSION_MISSING`, `CREDENTIALS_INCOMPLETE` for a lease, those of a refresh
 */
export async function exportSession(
  session: Session,
  hand: (value: NodeSession) => Promise<void>,
  { keep = false }: ExportOptions,
  { now, stores }: Clock & { readonly stores: Pick<Stores, 'sessions'> },
): Promise<SessionRecord> {
  const { refreshToken, ended, issuer, intent, thumbprint } = session.record()
  if (ended) throw endedError(session.record())
  if (refreshToken === undefined) {
    throw new OAuthError('CREDENTIALS_INCOMPLETE', 'a leased access token cannot be exported', {
      facts: { reason: 'leased', operation: 'export' },
    })
  }
  // A refresh also finds out what is not known of it, and whether a token that was sent is still good.
  if (issuer === undefined || intent !== undefined) await session.refresh()
  else await session.lease(AT_LEAST)
  // Nobody may renew it while it is on its way.
  return stores.sessions.update(thumbprint, async (stored, commit) => {
    const record = await newerOf(session.record(), stored)
    if (record.ended) throw endedError(record)
    const { accessToken, accessTokenExpiresAt } = record
    await hand(toNodeSession({ ...toCredentials(record), accessToken, accessTokenExpiresAt }))
    if (!keep) await commit(await handedOver(record, now())).catch((error: unknown) => stillHere(error))
    return record
  })
}

function stillHere(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error)
  throw new OAuthError(
    'STORE_UNAVAILABLE',
    `the session was handed over, but cannot be removed here: ${why}; use it only in the other program`,
    {
      cause: error,
      session: 'alive',
    },
  )
}
