/**
 * What is kept of a login between `init` and the end of `complete`, and what it means for a callback.
 *
 * @module
 */
import { OAuthError } from '../errors.ts'
import { loginCommand } from '../hints.ts'
import type { PendingAuthorization, ReceivedAuthorization, SpentAuthorization } from '../model.ts'
import type { Clock, PendingStore, Stores } from '../ports.ts'

type RecordPorts = Clock & { readonly stores: Pick<Stores, 'pending'> }

/** @throws {OAuthError} `CALLBACK_STATE_UNKNOWN`, `CODE_USED`, `AUTHORIZATION_EXPIRED` */
export async function findPending(
  state: string,
  { stores, now }: RecordPorts,
): Promise<PendingAuthorization | ReceivedAuthorization> {
  const record = await stores.pending.get(state)
  if (!record) {
    throw new OAuthError('CALLBACK_STATE_UNKNOWN', 'this callback belongs to no login that was started here', {
      hint: 'run `complete` with the same ATPROTO_OAUTH_HOME or --state-file as `init`, or start again with `init`',
    })
  }
  if (record.status === 'spent') throw alreadySpent(record)
  if (record.status === 'pending' && now() > record.expiresAt) {
    throw new OAuthError('AUTHORIZATION_EXPIRED', `this login was started ${ago(record.createdAt, now())} ago`, {
      hint: loginCommand(record),
    })
  }
  return record
}

/** Somebody else has claimed it. */
export async function claimedElsewhere({ state }: PendingAuthorization, store: PendingStore): Promise<OAuthError> {
  const record = await store.get(state)
  if (record?.status === 'spent') return alreadySpent(record)
  return new OAuthError('CODE_USED', 'another process is completing this login')
}

export function alreadySpent({ outcome, at, did }: SpentAuthorization): OAuthError {
  const when = new Date(at).toISOString()
  const what = {
    completed: `this login was completed at ${when}; its code cannot be used again, and its session is not affected`,
    sent: `the code of this login was sent, or was about to be, at ${when}, and no answer was recorded; it cannot be sent again`,
    refused: 'the server has refused this code already; it is not sent again',
    denied: `this login was refused at the browser, as reported at ${when}`,
  }[outcome]
  return new OAuthError('CODE_USED', what, {
    hint:
      outcome === 'completed' ? 'use the credentials that were printed then, or start again with `init`' : undefined,
    session: outcome === 'completed' ? 'alive' : outcome === 'sent' ? 'unknown' : 'none',
    ...(did && outcome !== 'completed' && { hint: `atproto-oauth init ${did}` }),
  })
}

/** The note that takes the place of a login once its code is on its way. */
export function spentRecord(
  { state, did }: Pick<PendingAuthorization, 'state' | 'did'>,
  codeHash: string,
  outcome: SpentAuthorization['outcome'],
  at: number,
): SpentAuthorization {
  return { version: 1, status: 'spent', state, codeHash, outcome, at, ...(did && { did }) }
}

/** Of a code that was cut off, the server knows nothing: the whole one may follow, but this one not again. */
export function withRefused(pending: PendingAuthorization, codeHash: string): PendingAuthorization {
  return { ...pending, refusedCodes: [...(pending.refusedCodes ?? []), codeHash] }
}

function ago(from: number, to: number): string {
  const minutes = Math.round((to - from) / 60_000)
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`
}
