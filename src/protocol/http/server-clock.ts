/**
 * What time it is at a server. Proofs and assertions carry the time, servers accept a window of
 * seconds or minutes around their own, and some spend a code before they look at it: so the
 * difference is learned from every answer, before it matters.
 *
 * @see RFC 9449 §11.1, RFC 9110 §6.6.1
 */
import type { Clock, Http } from '../../ports.ts'

/** A `Date` has no fractions of a second. */
const RESOLUTION = 1000

export interface ServerClocks {
  /** Milliseconds since the epoch, as far as is known at that origin. */
  now(origin: string): number
  /** Of a server that has not shown its clock: 0. */
  offset(origin: string): number
}

export interface WithServerClocks {
  readonly clocks: ServerClocks
}

/**
 * The same ports, with a `fetch` that learns the clocks of the servers it speaks to. What a server says counts
 * for that server alone.
 */
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

/** The server made its answer between `sentAt` and `receivedAt`: of the offsets that fit, the one that changes least. */
function smallestOffset(headers: Headers, sentAt: number, receivedAt: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  // What a cache hands out was dated when it was made.
  if (Number.isNaN(date) || headers.has('age')) return undefined
  const least = date - receivedAt
  const most = date + RESOLUTION - sentAt
  return least > 0 ? least : most < 0 ? most : 0
}
