/**
 * The vaults that this user has on this machine, with their keys: `<home>/vault.json`. One of them is in use. The keys of
 * the others are kept, because a lost key is a lost session.
 */
import * as v from '@badrap/valita'
import { OAuthError } from '../../errors.ts'
import { parseJson } from '../../text.ts'
import { storeCipher, VAULTS_NAME } from '../store/cipher.ts'
import { removeFile, serialize, writePrivate } from '../store/files.ts'
import { withLock } from '../store/lock.ts'
import { lockFolder, vaultsPath } from '../store/parts.ts'
import { parseUserKey } from './envelope.ts'

export interface KnownVault {
  readonly address: string
  /** Secret. */
  readonly key: string
  /** Secret: user and password for the service, if the address was given with them. */
  readonly login?: string | undefined
}

/** Whether a vault exists for this key is not known yet: the key is stored before the vault is made. */
interface StoredVault extends KnownVault {
  readonly unconfirmed?: true | undefined
}

export interface KnownVaults {
  /** Its address. */
  readonly current?: string | undefined
  readonly vaults: readonly StoredVault[]
}

const knownSchema = v.object({
  version: v.literal(1),
  current: v.string().optional(),
  vaults: v.array(
    v.object({
      address: v.string().assert((text) => text !== ''),
      key: v.string().assert(isKey),
      login: v.string().optional(),
      unconfirmed: v.literal(true).optional(),
    }),
  ),
})
const NONE: KnownVaults = { vaults: [] }

/** The vault that commands use here, unless the environment names another one. */
export async function readKnownVault(home: string): Promise<KnownVault | undefined> {
  return currentOf(await readKnownVaults(home))
}

/** Keeps a vault and its key, and makes it the one that commands use. Durable when it resolves. */
export async function writeKnownVault(home: string, { address, key, login }: KnownVault): Promise<void> {
  await changeKnownVaults(home, ({ vaults }) => ({
    current: address,
    vaults: [...vaults.filter((vault) => vault.address !== address), { address, key, login }],
  }))
}

/**
 * Keeps a vault that has moved under its new address too, and uses it there if it was used at the old one. A machine that
 * does not keep it is not changed.
 *
 * @param from spellings of the old address
 */
export async function switchKnownVault(
  home: string,
  from: readonly string[],
  { address, key, login }: KnownVault,
): Promise<void> {
  const { vaults } = await readKnownVaults(home)
  if (!vaults.some((vault) => from.includes(vault.address))) return
  await changeKnownVaults(home, ({ current, vaults: before }) => {
    const there = before.find((vault) => vault.address === address)
    return {
      current: current !== undefined && from.includes(current) ? address : current,
      vaults: [...before.filter((vault) => vault.address !== address), { address, key, login: login ?? there?.login }],
    }
  })
}

/** Forgets the vault that commands use, or another one, with its key. */
export async function forgetKnownVault(home: string, address?: string): Promise<void> {
  await changeKnownVaults(home, ({ current, vaults }) => {
    const forgotten = address ?? current
    return {
      current: current === forgotten ? undefined : current,
      vaults: vaults.filter((vault) => vault.address !== forgotten),
    }
  })
}

/** @throws {OAuthError} `STORE_INVALID` the file was changed; `STORE_UNAVAILABLE` */
export async function readKnownVaults(home: string): Promise<KnownVaults> {
  const path = vaultsPath(home)
  const text = await storeCipher(home).read(path, VAULTS_NAME)
  if (text === undefined) return NONE
  const known = knownSchema.try(contentOf(text), { mode: 'passthrough' })
  if (known.ok && (known.value.current === undefined || currentOf(known.value) !== undefined)) return known.value
  throw new OAuthError('STORE_INVALID', `${path} is damaged, or from a newer version`, {
    facts: { reason: 'record-damaged', path, kind: 'vault' },
  })
}

/**
 * Checks that a vault can be kept, before its service is asked for anything, or a key is typed.
 *
 * @throws {OAuthError} `STORE_LOCKED`, `STORE_INVALID`, and those of `readKnownVaults`
 */
export async function prepareKnownVaults(home: string): Promise<KnownVaults> {
  await storeCipher(home).sealer()
  return readKnownVaults(home)
}

/** Changes the file while no other process does. Durable when it resolves. */
export async function changeKnownVaults(home: string, change: (known: KnownVaults) => KnownVaults): Promise<void> {
  const path = vaultsPath(home)
  await withLock(lockFolder(home, 'vault'), async () => {
    const before = await readKnownVaults(home)
    const after = change(before)
    if (after.vaults.length === 0) return removeFile(path)
    const { seal } = await storeCipher(home).sealer()
    await writePrivate(path, await seal(serialize({ version: 1, ...before, ...after }), VAULTS_NAME))
  })
}

function currentOf({ current, vaults }: KnownVaults): KnownVault | undefined {
  const found = vaults.find(({ address, unconfirmed }) => address === current && !unconfirmed)
  return found && { address: found.address, key: found.key, ...(found.login !== undefined && { login: found.login }) }
}

function contentOf(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

function isKey(text: string): boolean {
  try {
    return parseUserKey(text).length > 0
  } catch {
    return false
  }
}
