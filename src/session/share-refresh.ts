/**
 * One refresh for all callers in this process: whoever comes while one is under way gets its result, or its failure.
 */
import type { SessionRecord } from '../model.ts'
import type { SessionStore } from '../ports.ts'

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
