/**
 * What is in a vault now, and what this machine has that the vault has not. Changes nothing.
 */
import { join } from 'node:path'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { listFolder } from '../store/files.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { parseUserKey, unwrapKeys, type VaultKeys, wrapsOf } from './envelope.ts'
import { keyReplaced, vaultNotFound } from './keyring.ts'
import { createFolderMemory } from './machine.ts'
import { REPLACED, type VaultMemory } from './memory.ts'
import { vaultFolder } from './open.ts'
import { isLater, type Sealed, unseal } from './record.ts'

export interface VaultContents {
  readonly keys: VaultKeys
  /** Those that a person or server has ended too. */
  readonly sessions: readonly Sealed[]
  /** Records of another kind, such as the key of a client. */
  readonly others: number
  /** Names of records that cannot be read: damaged, or left by an earlier vault. */
  readonly unreadable: readonly string[]
  /** The user's key is being replaced: another one opens the vault too, or not all records are encrypted anew. */
  readonly isRekeying: boolean
}

/**
 * @param key the user's, as text
 * @param folder of the memory of all vaults, which may tell why there is none, or why the key does not open it
 * @throws {OAuthError} as `VaultEngine.list`; `VAULT_KEY_WRONG`; `VAULT_INVALID`
 */
export async function readContents(engine: VaultEngine, key: string, folder?: string): Promise<VaultContents> {
  const userKey = parseUserKey(key)
  const records = await engine.list()
  const wrapped = records.get(VAULT_RECORD)
  if (wrapped === undefined) {
    throw (folder !== undefined && (await lostVault(engine, key, folder))) || vaultNotFound(engine.address)
  }
  const keys = await unwrapKeys(wrapped, userKey, engine.address).catch(async (error: unknown) => {
    throw folder === undefined ? error : await explainedKeyError(error, wrapped, engine, key, folder)
  })
  const sessions: Sealed[] = []
  const unreadable: string[] = []
  let others = 0
  for (const [name, text] of records) {
    if (name === VAULT_RECORD) continue
    try {
      const sealed = await unseal(name, text, keys)
      if (sealed === undefined) others++
      else sessions.push(sealed)
    } catch {
      unreadable.push(name)
    }
  }
  const isRekeying = keys.earlier !== undefined || wrapsOf(wrapped).length > 1
  return { keys, sessions, others, unreadable, isRekeying }
}

/**
 * The error of a vault that is gone from its place, if this machine has a copy of it with a session that has not ended:
 * the next command that uses the session there stores both again.
 */
export async function lostVault(
  { address }: Pick<VaultEngine, 'address'>,
  key: string,
  folder: string,
): Promise<OAuthError | undefined> {
  const memory = memoryOf(address, key, folder)
  const text = await memory.read('keys', VAULT_RECORD).catch(() => undefined)
  // Whoever knows that it has moved, or that its key was replaced, stores nothing there.
  const keys = text && (await unwrapKeys(text, parseUserKey(key), address).catch(() => undefined))
  if (!keys || (await memory.read('keys', REPLACED)) !== undefined) return undefined
  for (const name of await memory.names('seen')) {
    const sealed = await unseal(name, (await memory.read('seen', name)) ?? '', keys).catch(() => undefined)
    if (sealed === undefined || sealed.record.session.ended !== undefined) continue
    const { did, handle } = sealed.record.session
    const message = `there is no vault at ${address} any more, and this machine has a copy of it`
    return new OAuthError('VAULT_INVALID', message, {
      facts: { reason: 'vault-lost', address, account: handle ?? did },
    })
  }
  return undefined
}

/** The error of a key that does not open a vault: this machine may know that it did before. */
export async function explainedKeyError(
  error: unknown,
  text: string,
  { address }: Pick<VaultEngine, 'address'>,
  key: string,
  folder: string,
): Promise<unknown> {
  if (!isOAuthError(error, 'VAULT_KEY_WRONG')) return error
  const before = await memoryOf(address, key, folder)
    .read('keys', VAULT_RECORD)
    .then((record) => (record === undefined ? [] : wrapsOf(record)))
    .catch(() => [])
  const [wrap] = wrapsOf(text)
  return before.some(({ vault }) => vault === wrap?.vault) ? keyReplaced(address) : error
}

function memoryOf(address: string, key: string, folder: string): VaultMemory {
  return createFolderMemory(join(folder, vaultFolder(address, parseUserKey(key))))
}

export interface Owed {
  /** Thumbprints of sessions with new tokens that are on this machine only. */
  readonly ahead: readonly string[]
  /** Later records than those of the vault, which has lost them. */
  readonly later: readonly Sealed[]
}

/** @param folder of the memory of all vaults */
export async function readOwed(
  engine: VaultEngine,
  key: string,
  { keys, sessions }: VaultContents,
  folder: string,
): Promise<Owed> {
  const ahead = new Set<string>()
  const later = new Map<string, Sealed>()
  // What was received and seen where the vault was before is taken over when it is next used.
  for (const address of [...(keys.movedFrom ?? []), engine.address]) {
    const place = join(folder, vaultFolder(address, parseUserKey(key)))
    const memory = createFolderMemory(place)
    for (const thumbprint of await memory.names('ahead')) ahead.add(thumbprint)
    for (const name of await listFolder(join(place, 'seen'))) {
      const text = await memory.read('seen', name).catch(() => undefined)
      const seen = text === undefined ? undefined : await unseal(name, text, keys).catch(() => undefined)
      const current = later.get(name) ?? sessions.find((sealed) => sealed.name === name)
      if (seen !== undefined && isLater(seen.record, current?.record)) later.set(name, seen)
    }
  }
  return { ahead: [...ahead], later: [...later.values()] }
}
