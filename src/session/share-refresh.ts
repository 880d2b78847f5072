/**
 * One refresh for all callers in this process: whoever comes while one is under way gets its result, or its failure. Those
 * with a store of their own follow each other, and the next one gets the newest tokens, or the failure.
 */
import type { SessionRecord } from '../model.ts'
import type { Refreshed, RefreshedHere, SessionStore } from '../ports.ts'

/** By store and thumbprint. */
const IN_FLIGHT = new WeakMap<SessionStore, Map<string, Promise<SessionRecord>>>()

/** @param isGood whether the result of another caller's refresh is good enough; otherwise `work` follows it */
export async function shareRefresh(
  store: SessionStore,
  thumbprint: string,
  isGood: (current: SessionRecord) => boolean,
  work: () => Promise<SessionRecord>,
): Promise<SessionRecord> {
  const running = IN_FLIGHT.get(store) ?? new Map<string, Promise<SessionRecord>>()
  IN_FLIGHT.set(store, running)
  for (let other = running.get(thumbprint); other !== undefined; other = running.get(thumbprint)) {
    const current = await other
    if (isGood(current)) return current
  }
  const own = work().finally(() => running.delete(thumbprint))
  running.set(thumbprint, own)
  return own
}

/** Sessions that nobody is refreshing: each has some 2 kB. */
export const MOST_REMEMBERED = 1000

/**
 * @param work is given what was received by the refreshes before, and notes there what it receives; `failure` is that of
 *   the one it has waited for
 */
export function afterOtherStores<T>(
  { refreshedHere }: RefreshedHere,
  thumbprint: string,
  work: (here?: Refreshed, failure?: unknown) => Promise<T>,
): Promise<T> {
  if (refreshedHere === undefined) return work()
  const here = refreshedHere.get(thumbprint) ?? { callers: 0, turn: Promise.resolve() }
  const hasToWait = here.callers > 0
  here.callers += 1
  refreshedHere.set(thumbprint, here)
  const own = here.turn.then((failure) => work(here, hasToWait ? failure : undefined))
  const leave = (failure?: unknown) => {
    here.callers -= 1
    refreshedHere.delete(thumbprint)
    refreshedHere.set(thumbprint, here)
    for (const [other, { callers }] of refreshedHere) {
      if (refreshedHere.size <= MOST_REMEMBERED) break
      if (callers === 0) refreshedHere.delete(other)
    }
    return failure
  }
  here.turn = own.then(() => leave(), leave)
  return own
}
