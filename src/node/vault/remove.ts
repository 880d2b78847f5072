/**
 * Takes a session out of a vault, and nothing at its server.
 */
import type { Sealed, VaultRecord } from './record.ts'
import type { VaultStore } from './store.ts'

/**
 * A session that has not ended becomes a record without tokens: where nothing was left, another machine would store its
 * own copy again. The record of one that has ended is deleted.
 *
 * @returns the record that was there; `undefined` if there is none any more
 * @throws {OAuthError} as `VaultStore.swap`; `SESSION_BUSY`
 */
export async function removeSession(store: VaultStore, { name, record }: Sealed): Promise<Sealed | undefined> {
  return store.memory.lock(record.session.thumbprint, async () => {
    for (;;) {
      const current = (await store.readAll()).get(name)
      if (current === undefined) return undefined
      const { claim, session } = current.record
      const isLocked = session.thumbprint === record.session.thumbprint
      if (claim !== undefined && !(await store.mayTakeOver(name, claim, isLocked))) {
        await store.awaitClaim(name, claim)
        continue
      }
      if (await (current.record.session.ended ? erase(store, current) : bury(store, current))) return current
    }
  })
}

async function bury(store: VaultStore, current: Sealed): Promise<boolean> {
  const { claim, sentBy, replaced, session, ...record } = current.record
  const { accessToken, accessTokenExpiresAt, refreshToken, intent, ...rest } = session
  const ended = { at: store.clock.now(), reason: 'it was removed from the vault' }
  const next: VaultRecord = { ...record, session: { ...rest, ended }, endedBy: 'person' }
  const sealed = await store.seal(next)
  const isDone = await store.swap(current, sealed, store.times.publish)
  if (isDone) await store.remember(sealed)
  if (isDone && replaced !== undefined) await store.endTokens(replaced)
  return isDone
}

async function erase(store: VaultStore, { name, text }: Sealed): Promise<boolean> {
  const outcome = await store.engine.swap(name, text, undefined)
  if (outcome !== 'won') return false // it is read again
  await store.memory.remove('seen', name)
  return true
}
