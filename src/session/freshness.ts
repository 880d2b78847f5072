/**
 * Whether the access token of a session can still be used: what each request asks, and a refresh too.
 */
import type { SessionRecord } from '../model.ts'
import type { Clock, Network, SaveTarget } from '../ports.ts'
import { CLOCK_SLACK } from '../protocol/http/server-clock.ts'
import type { RefreshPorts } from './ports.ts'

/** Milliseconds; the random part keeps parallel jobs from all refreshing at once. */
const MARGIN = 10_000
const MARGIN_RANDOM = 30_000
/** Of the lifetime of a token, the most that the margin and the random part may take. */
const MARGIN_SHARE = 1 / 4

/**
 * Whether the access token stays valid for a while. Without an `expires_in` it is used until the PDS rejects it, and
 * without a refresh token as long as it lasts. The margin is a share of a short lifetime: a token that never has enough
 * left would be refreshed at each request.
 *
 * @param atLeastSeconds how long it should last; of a server whose tokens have less, three quarters of their lifetime
 */
export function isFresh(record: SessionRecord, ports: FreshnessPorts, atLeastSeconds = 0): boolean {
  const { now, randomBytes } = ports
  const spread = Math.max(MARGIN_RANDOM, ports.stores?.sessions.renewsEarlier?.(record.thumbprint) ?? 0)
  const { accessToken, accessTokenExpiresAt, rotatedAt, refreshToken, clockOffset = 0 } = record
  if (accessToken === undefined) return false
  if (accessTokenExpiresAt === undefined) return atLeastSeconds <= 0
  const left = accessTokenExpiresAt - now()
  // By our clock, as the expiry is.
  const issuedAt = rotatedAt === undefined ? undefined : rotatedAt - clockOffset
  const lifetime = issuedAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, accessTokenExpiresAt - issuedAt)
  if (left < Math.min(atLeastSeconds * 1000, lifetime * (1 - MARGIN_SHARE))) return false
  if (refreshToken === undefined) return left > 0
  // Issued in the future: the clock was set back, so the expiry time is unreliable.
  if (issuedAt !== undefined && issuedAt - now() > CLOCK_SLACK) return false
  if (left > MARGIN + spread) return true
  const margin = MARGIN + (randomBytes(1)[0]! / 255) * spread
  return left > margin * Math.min(1, (lifetime * MARGIN_SHARE) / (MARGIN + spread))
}

type FreshnessPorts = Network & { readonly stores?: Pick<RefreshPorts['stores'], 'sessions'> }

/** Whether the access token works for one more request, by what is known here. */
export function stillWorks({ accessToken, accessTokenExpiresAt }: SessionRecord, { now }: Clock): boolean {
  return accessToken !== undefined && (accessTokenExpiresAt ?? Number.POSITIVE_INFINITY) - now() > MARGIN
}

/** @param isBusy another machine is refreshing the session just now */
export type IsGood = (current: SessionRecord, isBusy?: boolean) => boolean

/** Whether the store keeps no refresh token that these targets have. */
export function isForTargetsOnly(targets: readonly SaveTarget[], { saving }: Pick<RefreshPorts, 'saving'>): boolean {
  return saving.withoutStore === true && targets.length > 0
}
