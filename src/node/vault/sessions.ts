/**
 * The vault as a place of sessions, beside the per-user store. It is opened when a session is first asked for.
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOAuthError, OAuthError, VAULT_ERRORS } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { Random, SessionStore } from '../../ports.ts'
import type { VaultEngine } from './engine.ts'
import type { KnownVault } from './known.ts'
import { engineLater } from './later.ts'
import type { VaultOptions } from './open.ts'
import type { VaultStore } from './store.ts'
import { VAULT_TIMES } from './times.ts'

export interface VaultSessionsOptions extends Omit<VaultOptions, 'engine' | 'key' | 'folder'> {
  /** Where this user keeps sessions; without a home, nothing is remembered. */
  readonly home: string | undefined
  /** Which vault; `undefined` if there is none. */
  find(): Promise<KnownVault | undefined>
}

/** A session store that can say where it is. */
export interface VaultSessions extends SessionStore {
  /** @throws {OAuthError} `VAULT_INVALID` there is none, and those of `openVault` */
  open(): Promise<VaultStore>
  /** `undefined` if no vault is set. */
  openIfSet(): Promise<VaultStore | undefined>
}

export function createVaultSessions(options: VaultSessionsOptions & Random): VaultSessions {
  let opening: Promise<VaultStore | undefined> | undefined
  const openIfSet = () => {
    opening ??= openFor(options).catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }
  const open = async () => {
    const store = await openIfSet()
    if (store !== undefined) return store
    throw new OAuthError('VAULT_INVALID', 'no vault is set', { facts: { reason: 'vault-unset' } })
  }
  return {
    open,
    openIfSet,
    renewsEarlier: () => VAULT_TIMES.early,
    isSharedSession: () => true,
    list: async (isAsked) => (await open()).list(isAsked),
    remembered: async () =>
      (await openFor(options, async () => Promise.reject(new Error('offline'))))?.remembered() ?? [],
    read: async (thumbprint) => (await open()).read(thumbprint),
    update: async (thumbprint, transaction) => (await open()).update(thumbprint, transaction),
    prepare: async () => (await open()).prepare(),
    clientKey: async (clientId, name) => (await clientKeys()).readClientKey(clientId, name, await open()),
    keepClientKey: async (clientId, jwk) => (await clientKeys()).keepClientKey(clientId, jwk, await open()),
    place: async () => (await open()).engine.address,
    assertNewest: async () => (await open()).assertNewest(),
    adopt: async () => (await open()).adopt(),
    readNonces: async (thumbprint) => (await open()).readNonces(thumbprint),
    writeNonces: async (thumbprint, nonces) => (await open()).writeNonces(thumbprint, nonces),
  }
}

const clientKeys = () => import('./client-keys.ts')

/** @param connect instead of connecting to the service */
async function openFor(
  options: VaultSessionsOptions & Random,
  connect?: () => Promise<VaultEngine>,
): Promise<VaultStore | undefined> {
  const { home, environment } = options
  const known = await options.find()
  if (known === undefined) return undefined
  const [{ openVault }, { connectEngine, resolveAddress, vaultFolders }] = await Promise.all([
    import('./open.ts'),
    import('./connect.ts'),
  ])
  const { key, login } = known
  const { identity, address } = await resolveAddress(known.address, environment)
  const openAt = async (place: string, isTemporary = false) => {
    const { memory, cache } = vaultFolders(place)
    const engine = engineLater(identity, connect ?? (() => connectEngine(address, { environment, cache, login })))
    return openVault({ ...options, engine, key, folder: memory, isTemporary })
  }
  const openTemporary = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-vault-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    return openAt(folder, true)
  }
  if (home === undefined) return openTemporary()
  return openAt(home).catch(async (error: unknown) => {
    // A read-only file system: all that is needed is in the vault.
    if (!isOAuthError(error, 'STORE_UNAVAILABLE')) throw error
    return openTemporary()
  })
}

/**
 * Sessions of the vault and of the per-user store, where the vault is known but was not named for this command. Of one
 * account, that in the vault is used.
 *
 * @param warn called when the vault cannot be used, but sessions of the per-user store can
 */
export function createCombinedSessions(
  vault: Pick<VaultSessions, 'openIfSet'> & SessionStore,
  local: SessionStore,
  warn: (message: string) => void,
): SessionStore {
  const inVault = new Set<string>()
  const placeOf = (thumbprint: string): SessionStore => (inVault.has(thumbprint) ? vault : local)
  const ofVault = async (isAsked: boolean): Promise<Listed> => {
    const store = await vault.openIfSet()
    if (store === undefined) return { records: [] }
    try {
      return { records: await store.list(isAsked) }
    } catch (error) {
      // Whoever asks for one that is not found here is told of the vault when they ask again.
      if (isAsked || !isOAuthError(error, ...VAULT_ERRORS)) throw error
      return { records: await store.remembered().catch(() => []), failure: error }
    }
  }
  return {
    ...local,
    async list(isAsked = false) {
      const { records: listed, failure } = await ofVault(isAsked)
      const own = await local.list()
      // Exported from the vault and imported here: what the vault has of it has ended.
      const back = new Set(own.filter(({ ended }) => !ended).map(({ thumbprint }) => thumbprint))
      const shared = listed.filter(({ ended, thumbprint }) => !ended || !back.has(thumbprint))
      inVault.clear()
      for (const { thumbprint } of shared) inVault.add(thumbprint)
      const accounts = new Set(shared.filter(({ ended }) => !ended).map(({ did }) => did))
      const others = own.filter(({ did, thumbprint }) => !accounts.has(did) && !inVault.has(thumbprint))
      const canBeUsed = others.some(({ ended }) => !ended)
      if (failure !== undefined && canBeUsed) {
        warn(`${failure.message}: only sessions of the per-user store can be used`)
      }
      const all = [...shared, ...others]
      // It may have some.
      if (failure !== undefined && all.length === 0) throw failure
      return all
    },
    read: (thumbprint) => placeOf(thumbprint).read(thumbprint),
    update: (thumbprint, transaction) => placeOf(thumbprint).update(thumbprint, transaction),
    assertNewest: (record) => placeOf(record.thumbprint).assertNewest(record),
    isSharedSession: (thumbprint) => inVault.has(thumbprint),
    renewsEarlier: (thumbprint) => (inVault.has(thumbprint) ? VAULT_TIMES.early : 0),
    async clientKey(clientId, name) {
      const shared = (await vault.openIfSet()) ? await vault.clientKey?.(clientId, name) : undefined
      return shared ?? local.clientKey?.(clientId, name)
    },
  }
}

interface Listed {
  readonly records: readonly SessionRecord[]
  /** Why the records are those that this machine has seen last. */
  readonly failure?: OAuthError
}
