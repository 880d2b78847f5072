/**
 * Replaces the user's key. First the new key is added, and both open the vault while the new one is handed out. Then all
 * records are encrypted anew, and only the new key opens the vault.
 *
 * Every step is one change of one record, and any machine can be killed after each of them. In between, records are
 * encrypted with either of two data keys, and whoever has the new key has both. The old key opens nothing new from the
 * first of these steps on.
 */
import { OAuthError } from '../../errors.ts'
import type { Random, Timer } from '../../ports.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import {
  createDataKey,
  dataKeyId,
  openRecord,
  sealRecord,
  unwrapKeys,
  userKeyId,
  type VaultKeys,
  wrapKeys,
  wrapsOf,
} from './envelope.ts'
import { vaultNotFound } from './keyring.ts'
import { createConfirmation, replaceVaultRecord } from './make.ts'
import { unseal } from './record.ts'
import type { VaultStore } from './store.ts'

/**
 * Which of the keys opens the vault and is the newest one.
 *
 * @returns `isNewest`: no key is newer; `isShared`: an older one opens the vault too; `undefined`: none of them opens it
 */
export function newestOf<T>(
  text: string,
  keys: readonly T[],
  userKeyOf: (key: T) => Uint8Array,
): { readonly key: T; readonly isNewest: boolean; readonly isShared: boolean } | undefined {
  const ids = wrapsOf(text).map(({ kid }) => kid)
  const [found] = keys
    .map((key) => ({ key, index: ids.indexOf(userKeyId(userKeyOf(key))) }))
    .sort((one, other) => other.index - one.index)
  if (found === undefined || found.index < 0) return undefined
  return { key: found.key, isNewest: found.index === ids.length - 1, isShared: ids.length > 1 }
}

/**
 * Adds a key: it and the present one open the vault.
 *
 * @param text the `vault` record
 * @returns whether it was added; otherwise somebody else was faster, and nothing was changed
 * @throws {OAuthError} `VAULT_KEY_WRONG`; `VAULT_INVALID` an earlier change is not finished; as `replaceVaultRecord`
 */
export async function addKey(
  engine: VaultEngine,
  text: string,
  { userKey, newKey }: { readonly userKey: Uint8Array; readonly newKey: Uint8Array },
  ports: Timer,
): Promise<boolean> {
  const keys = await unwrapKeys(text, userKey, engine.address)
  if (keys.earlier !== undefined) throw rekeyUnfinished()
  if (wrapsOf(text).length > 1) throw rekeyBegun(engine.address)
  const after = `${text}\n${await wrapKeys(keys, newKey)}`
  const unclear = `it is not known whether the vault at ${engine.address} has the new key`
  return replaceVaultRecord(engine, { before: text, after, unclear }, ports)
}

/**
 * Encrypts all records with a new data key, which the older user's key does not open.
 *
 * @returns how many records were encrypted anew; `undefined` if no key is being replaced
 * @throws {OAuthError} `VAULT_KEY_WRONG`; `VAULT_INVALID` there is a newer key; as `VaultEngine.swap`. Run it again then.
 */
export async function finishRekey(
  store: VaultStore,
  userKey: Uint8Array,
  ports: Random & Timer,
): Promise<{ readonly encrypted: number; readonly unreadable: readonly string[] } | undefined> {
  const { engine } = store
  const { address } = engine
  const unclear = `it is not known whether the key of the vault at ${address} was replaced`
  const done = new Set<string>()
  const isMade = createConfirmation(ports)
  for (let isBegun = false; ; ) {
    const text = await engine.read(VAULT_RECORD)
    if (text === undefined) throw vaultNotFound(address)
    const keys = await unwrapKeys(text, userKey, address)
    const wraps = wrapsOf(text)
    if (wraps.at(-1)?.kid !== userKeyId(userKey)) throw rekeyBegun(address)
    if (keys.earlier === undefined) {
      if (wraps.length < 2) return isBegun ? { encrypted: done.size, unreadable: [] } : undefined
      const { kid, dataKey } = keys
      const next: VaultKeys = { ...keys, ...createDataKey(ports), earlier: { kid, dataKey } }
      await replaceVaultRecord(engine, { before: text, after: await wrapKeys(next, userKey), unclear }, ports)
      isBegun = true
      continue
    }
    isBegun = true
    const unreadable = await encryptAll(store, text, keys, done, isMade)
    if (unreadable === undefined) continue
    const { earlier, ...rest } = keys
    const after = await wrapKeys(rest, userKey)
    if (await replaceVaultRecord(engine, { before: text, after, unclear }, ports)) {
      // A service that loses the last change at this moment would leave a record that nobody else can read.
      await encryptAll(store, after, keys, done, isMade).catch(() => undefined)
      await store.refreshKeys()
      return { encrypted: done.size, unreadable }
    }
  }
}

/**
 * @param done names of what was encrypted anew
 * @returns names of records that cannot be read; `undefined` if the keys have changed meanwhile
 */
async function encryptAll(
  store: VaultStore,
  text: string,
  keys: VaultKeys,
  done: Set<string>,
  isMade: ReturnType<typeof createConfirmation>,
): Promise<string[] | undefined> {
  const unreadable = new Set<string>()
  for (;;) {
    const records = await store.engine.list()
    if (records.get(VAULT_RECORD) !== text) return undefined
    const old = [...records].filter(([name, record]) => name !== VAULT_RECORD && dataKeyId(record) !== keys.kid)
    const pending = old.filter(([name]) => !unreadable.has(name))
    if (pending.length === 0) return [...unreadable]
    for (const [name, record] of pending) {
      const content = await openRecord(record, name, keys).catch(() => undefined)
      if (typeof content !== 'object' || content === null) {
        unreadable.add(name)
        continue
      }
      const claim = (await unseal(name, record, keys).catch(() => undefined))?.record.claim
      if (claim !== undefined && !(await store.mayTakeOver(name, claim, false))) {
        // With the old key, its machine could not store the response.
        await store.awaitClaim(name, claim)
        continue
      }
      const next = await sealRecord(content, name, keys)
      if (await isMade(await store.engine.swap(name, record, next))) done.add(name)
    }
  }
}

export function rekeyUnfinished(): OAuthError {
  const message = 'the records of the vault are still being encrypted with an earlier new key'
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-rekey-unfinished' } })
}

export function keysShared(): OAuthError {
  const message = 'the key of the vault is being replaced, and the earlier one still opens it'
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-rekey-unfinished' } })
}

export function rekeyBegun(address: string): OAuthError {
  const message = 'the vault has a newer key, which is not known on this machine'
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-rekey-begun', address } })
}
