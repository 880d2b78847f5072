/**
 * Measures the clocks of servers. Proofs and assertions contain the time, servers accept a window of seconds or minutes
 * around their own, and some use up a code before they check it. So the offset is measured from every response, before
 * it matters.
 *
 * @see RFC 9449 §11.1, RFC 9110 §6.6.1
 */
import type { Clock, Http, HttpHeaders } from '../../ports.ts'

/** A `Date` has no fractions of a second. */
const RESOLUTION = 1000
/** Milliseconds; a clock that is off by more is no clock, and a time moved by that much may be no date. */
const OFFSET_LARGEST = 100 * 365 * 24 * 3600 * 1000

/** Tolerated difference between two clocks, in milliseconds. */
export const CLOCK_SLACK = 60_000

export interface ServerClocks {
  /** Milliseconds since the epoch by that server's clock, or by ours if it is not known. */
  now(origin: string): number
  /** 0 if the clock of the server is not known. */
  offset(origin: string): number
}

export interface WithServerClocks {
  readonly clocks: ServerClocks
}

/** Adds a `fetch` that measures the clock of each server. An offset applies to its own origin only. */
export function withServerClocks<P extends Http & Clock & Partial<WithServerClocks>>(ports: P): P & WithServerClocks {
  if (ports.clocks) return ports as P & WithServerClocks
  const offsets = new Map<string, number>()
  const offset = (origin: string) => offsets.get(origin) ?? 0
  return {
    ...ports,
    clocks: { offset, now: (origin) => ports.now() + offset(origin) },
    fetch: async (url, init) => {
      const sentAt = ports.now()
      const response = await ports.fetch(url, init)
      const seen = smallestOffset(response.headers, sentAt, ports.now())
      if (seen !== undefined) offsets.set(url.origin, seen)
      return response
    },
  }
}

/** Whether a response shows that the clock of its server is ours; `false` if it has no time. */
export function isClockOf(headers: HttpHeaders, now: number): boolean {
  const offset = smallestOffset(headers, now, now)
  return offset !== undefined && Math.abs(offset) <= CLOCK_SLACK
}

/** The server created its response between `sentAt` and `receivedAt`. Of the possible offsets, this is the smallest. */
function smallestOffset(headers: HttpHeaders, sentAt: number, receivedAt: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  // A cached response has the date of its creation.
  if (Number.isNaN(date) || headers.has('age')) return undefined
  const least = date - receivedAt
  const most = date + RESOLUTION - sentAt
  const offset = least > 0 ? least : most < 0 ? most : 0
  return Math.abs(offset) <= OFFSET_LARGEST ? offset : undefined
}
