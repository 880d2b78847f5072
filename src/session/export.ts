/**
 * Exports a session to another program. A refresh token works once, so a session has one owner: the export removes it here.
 */
import { type NodeSession, toNodeSession } from '../credentials/node-session.ts'
import { OAuthError } from '../errors.ts'
import type { Credentials, SessionRecord } from '../model.ts'
import type { Clock, Refreshed, RefreshedHere, Stores } from '../ports.ts'
import type { Session } from './session.ts'
import { afterOtherStores } from './share-refresh.ts'
import {
  endedError,
  handedOver,
  isElsewhere,
  newerOf,
  successorOf,
  toCredentials,
  tokenElsewhere,
} from './token-family.ts'

export interface ExportOptions<Value = NodeSession> {
  /** The format; by default that of `@atproto/oauth-client-node`. */
  readonly convert?: ((credentials: Credentials) => Value) | undefined
  /** Keep the session here too. Two owners end a session: the second to refresh sends a spent token. */
  readonly keep?: boolean | undefined
}

/** Minimum remaining lifetime of the exported access token, in seconds. */
const AT_LEAST = 60

/**
 * Exports a session in the format of the session store of `@atproto/oauth-client-node`, then removes it here: the store
 * keeps only the hashes that prevent its tokens from being used. Refreshes it first if its access token has expired.
 *
 * @param hand writes the session; it is removed here when this resolves, and kept when it rejects
 * @throws {OAuthError} `SESSION_MISSING`, `CREDENTIALS_INCOMPLETE` for a lease, those of a refresh,
 *   `SESSION_OUTDATED`, `STORE_COPIED`
 */
export async function exportSession<Value = NodeSession>(
  session: Session,
  hand: (value: Value) => Promise<void>,
  { keep = false, convert }: ExportOptions<Value>,
  ports: Clock & RefreshedHere & { readonly stores: Pick<Stores, 'sessions'> },
): Promise<SessionRecord> {
  const { now, stores } = ports
  const { refreshToken, ended, issuer, intent, thumbprint } = session.record()
  if (ended) throw endedError(session.record(), now())
  if (isElsewhere(session.record())) throw tokenElsewhere(session.record())
  if (refreshToken === undefined) {
    throw new OAuthError('CREDENTIALS_INCOMPLETE', 'a leased access token cannot be exported', {
      facts: { reason: 'leased', operation: 'export' },
    })
  }
  // A refresh also finds a missing issuer, and whether a token that was sent without a response is still valid.
  if (issuer === undefined || intent !== undefined) await session.refresh()
  else await session.lease(AT_LEAST)
  // Under the lock: no other process may refresh the session during the export, and no other client in this one.
  const exportNow = (here?: Refreshed) =>
    stores.sessions.update(thumbprint, async ({ stored, commit, confirm }) => {
      const own = await newerOf(session.record(), stored)
      const record = (await successorOf(own, here?.newest)) ?? own
      if (record.ended) throw endedError(record, now())
      if (isElsewhere(record)) throw tokenElsewhere(record)
      await stores.sessions.assertNewest(record) // the other program would send a spent token
      const { accessToken, accessTokenExpiresAt } = record
      await confirm()
      const whole = { ...toCredentials(record), accessToken, accessTokenExpiresAt }
      await hand(convert ? convert(whole) : (toNodeSession(whole) as Value))
      if (keep) return record
      const left = await handedOver(record, now())
      if (here) here.newest = left
      await commit(left).catch((error: unknown) => stillHere(error))
      return record
    })
  return afterOtherStores(ports, thumbprint, exportNow)
}

function stillHere(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error)
  throw new OAuthError(
    'STORE_UNAVAILABLE',
    `the session was exported, but cannot be removed here: ${why}; use it only in the other program`,
    {
      cause: error,
      session: 'alive',
    },
  )
}
