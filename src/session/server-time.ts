/**
 * By which clock a session is dated. `createdAt` and `rotatedAt` are by the authorization server's clock, as its responses
 * show it, because the server ends a session by that clock. `accessTokenExpiresAt` is by the clock of this machine, which
 * decides whether to send the token. `clockOffset` is the difference between the two at the last refresh.
 */
import type { SessionRecord } from '../model.ts'
import { CLOCK_SLACK } from '../protocol/http/server-clock.ts'

/**
 * The time at the session's server: that of our clock, or that of our clock with the last offset added. Only the first is
 * right if our clock was corrected since the last refresh, and only the second if it is still wrong. A time before the
 * last refresh is impossible. If both are possible, the earlier counts: no wrong clock makes a live session look ended.
 *
 * @returns `undefined` if our clock was set back to before the last refresh
 */
export function serverTime(
  { rotatedAt, clockOffset = 0 }: Pick<SessionRecord, 'rotatedAt' | 'clockOffset'>,
  now: number,
): number | undefined {
  const times = [now, now + clockOffset].sort((one, other) => one - other)
  if (rotatedAt === undefined) return now
  const possible = times.find((time) => time >= rotatedAt - CLOCK_SLACK)
  return possible === undefined ? undefined : Math.max(possible, rotatedAt)
}
