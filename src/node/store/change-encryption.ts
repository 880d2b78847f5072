/**
 * Changes how the store is encrypted: first `store-encryption.json`, which says how files are written from then on, then
 * each file, under the lock of whoever could change it. A file says itself whether it is encrypted, and the key is kept
 * as long as any file needs it: killed at any step, everything can be read, and the same change finishes it.
 */
import { basename, dirname, join } from 'node:path'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { Keychain } from '../keychain/keychain.ts'
import {
  clientKeyName,
  isSealed,
  loginId,
  loginName,
  type StoreCipher,
  sealedFile,
  sessionName,
  storeCipher,
  VAULTS_NAME,
} from './cipher.ts'
import { elsewhereFor } from './elsewhere.ts'
import {
  createStoreKey,
  type EncryptionHeader,
  foreign,
  headerMissing,
  keyOf,
  lockWithKeychain,
  lockWithPassphrase,
  readEncryption,
  type ScryptCost,
  type StoreEncryption,
  type StoreKey,
  type StoreLock,
  sealedBy,
  sealFile,
} from './encryption.ts'
import {
  isBeside,
  isTemporary,
  listFolder,
  readPrivate,
  removeFile,
  serialize,
  sweepFolder,
  writePrivate,
} from './files.ts'
import { type LockOptions, withLock } from './lock.ts'
import { isSecretLogin } from './logins.ts'
import { clientKeysFolder, encryptionPath, lockFolder, loginsFolder, sessionsFolder, vaultsPath } from './parts.ts'
import { createRescue } from './rescue.ts'

export interface ChangeOptions {
  /** Needed for `keychain`, and to stop using it. */
  readonly keychain?: Keychain | undefined
  /** The new passphrase, for `passphrase`. */
  readonly passphrase?: string | undefined
  readonly cost?: ScryptCost
  /** Where sessions may be that could not be written to the store. */
  readonly elsewhere?: readonly string[]
  readonly onWait?: LockOptions['onWait']
  /** Called before anything is changed. */
  readonly onBegin?: (() => void) | undefined
  /**
   * Writes the user's setting, which the store is compared with: before files are decrypted, or after all are encrypted.
   * So it never asks for more than what the store is already.
   */
  readonly saveSetting?: (() => Promise<void>) | undefined
  readonly cipher?: StoreCipher
}

export interface ChangedEncryption {
  readonly before: StoreEncryption
  readonly after: StoreEncryption
  /** How many files were encrypted, or decrypted. */
  readonly files: number
}

/** Characters. A passphrase is all that protects a copy of the store. */
export const PASSPHRASE_SHORTEST = 12
/** Milliseconds: longer than any write takes. */
const ABANDONED = 3600 * 1000
const HASH_NAME = /^[0-9a-f]{64}\.json$/
const CLAIMED = /^\..*\.claimed\.tmp$/
const THUMBPRINT = /^[\w-]{43}$/

/** Whether, and how, the store is encrypted. @throws {OAuthError} `STORE_INVALID` */
export async function storeEncryption(home: string): Promise<StoreEncryption> {
  return (await readEncryption(home))?.mode ?? 'off'
}

/**
 * Encrypts or decrypts everything secret in a store, or changes with what. Finishes a change that was interrupted.
 *
 * @throws {OAuthError} `STORE_LOCKED` the key is needed and cannot be had, and nothing was changed; `SESSION_BUSY`,
 *   `STORE_UNAVAILABLE`, `STORE_INVALID`: a part was changed, everything can be read, and the same change goes on
 */
export async function changeStoreEncryption(
  home: string,
  mode: StoreEncryption,
  options: ChangeOptions,
): Promise<ChangedEncryption> {
  if (mode === 'passphrase' && (options.passphrase ?? '').length < PASSPHRASE_SHORTEST) {
    throw new OAuthError('USAGE', `the passphrase is shorter than ${PASSPHRASE_SHORTEST} characters`)
  }
  return withLock(lockFolder(home, 'encryption'), () => change(home, mode, options), { onWait: options.onWait })
}

async function change(home: string, mode: StoreEncryption, options: ChangeOptions): Promise<ChangedEncryption> {
  const { cipher = storeCipher(home), saveSetting = async () => undefined, onBegin = () => undefined } = options
  const found = await readEncryption(home)
  const before = found?.mode ?? 'off'
  const lost = found === undefined ? await sealedFile(home) : undefined
  // A new key would make the old one, in a backup of the header, useless.
  if (lost !== undefined) throw headerMissing(home, lost)
  if (before === 'off' && mode === 'off') {
    onBegin()
    await saveSetting()
    // What was decrypted needs no key to go on.
    return found ? finish({ home, before, header: found, cipher, options }) : { before, after: mode, files: 0 }
  }
  const opened = found && (await openKey(found, { home, cipher, options }))
  const header = opened && found
  const storeKey = opened ?? createStoreKey()
  const lock = await lockFor(mode, { header, home, storeKey, options })
  const entries = [...(header?.former ?? []), ...(header ? entriesOf(header.lock) : [])]
  const former = [...new Set(entries)].filter((id) => !entriesOf(lock).includes(id))
  const { key, kid } = storeKey
  cipher.keys.set(kid, Promise.resolve(key))
  const begun: EncryptionHeader = {
    version: 1,
    mode,
    kid,
    lock,
    isChanging: true,
    ...(former.length > 0 && { former }),
  }
  onBegin()
  if (mode === 'off') await saveSetting()
  await writeHeader(home, begun)
  return finish({ home, before, header: begun, storeKey, cipher, options })
}

/** @returns `undefined` if everything was decrypted before, and the key removed: only the header remained, and is removed */
async function openKey(
  header: EncryptionHeader,
  { home, cipher, options }: Pick<Begun, 'home' | 'cipher' | 'options'>,
): Promise<StoreKey | undefined> {
  try {
    return { kid: header.kid, key: await keyOf(header, cipher) }
  } catch (error) {
    const isRemoved = isOAuthError(error, 'STORE_LOCKED') && error.facts.reason === 'keychain-entry-missing'
    if (header.mode !== 'off' || !isRemoved) throw error
    // Fails in the same way if a file is encrypted.
    await finish({ home, before: 'off', header, cipher, options })
    return undefined
  }
}

interface Begun {
  readonly home: string
  readonly before: StoreEncryption
  readonly header: EncryptionHeader
  readonly storeKey?: StoreKey
  readonly cipher: StoreCipher
  readonly options: ChangeOptions
}

/** After the header says how files are written. */
async function finish({ home, before, header, storeKey, cipher, options }: Begun): Promise<ChangedEncryption> {
  const { mode, kid, lock, former = [] } = header
  const files = await convertAll({ home, storeKey: mode === 'off' ? undefined : storeKey, cipher, options })
  if (mode !== 'off') await options.saveSetting?.()
  const unneeded = mode === 'off' ? [...former, ...entriesOf(lock)] : former
  // Before the header that names them.
  for (const id of unneeded) await options.keychain?.remove(id)
  if (mode === 'off') await removeFile(encryptionPath(home))
  else await writeHeader(home, { version: 1, mode, kid, lock })
  return { before, after: mode, files }
}

interface LockNeeds {
  readonly header: EncryptionHeader | undefined
  readonly home: string
  readonly storeKey: StoreKey
  readonly options: ChangeOptions
}

async function lockFor(mode: StoreEncryption, needs: LockNeeds): Promise<StoreLock> {
  const { header, storeKey, options } = needs
  const { keychain, passphrase = '', cost } = options
  if (mode === 'passphrase') return lockWithPassphrase(storeKey.key, passphrase, cost)
  if (header !== undefined && (mode === 'off' || header.lock.by === 'keychain')) return header.lock
  if (keychain === undefined) throw new TypeError('a keychain is needed')
  return newEntry(keychain, needs)
}

/** The header names the entry before there is one: killed in between, the next change removes it. */
async function newEntry(keychain: Keychain, { header, home, storeKey }: LockNeeds): Promise<StoreLock> {
  const { lock, secret } = await lockWithKeychain(storeKey.key, keychain)
  const { id } = lock
  await writeHeader(
    home,
    header === undefined
      ? { version: 1, mode: 'off', kid: storeKey.kid, lock, isChanging: true }
      : { ...header, former: [...(header.former ?? []), id] },
  )
  try {
    const kept = await keychain.store(id, `atproto-oauth: ${home}`, secret)
    return kept === undefined ? lock : { ...lock, kept }
  } catch (error) {
    await keychain.remove(id).catch(() => undefined)
    await (header === undefined ? removeFile(encryptionPath(home)) : writeHeader(home, header))
    throw error
  }
}

function entriesOf(lock: StoreLock): string[] {
  return lock.by === 'keychain' ? [lock.id] : []
}

async function writeHeader(home: string, header: EncryptionHeader): Promise<void> {
  await writePrivate(encryptionPath(home), serialize(header))
}

interface Conversion {
  readonly home: string
  /** `undefined`: to plain text. */
  readonly storeKey: StoreKey | undefined
  readonly cipher: StoreCipher
  readonly options: ChangeOptions
}

/** @returns how many files were changed */
async function convertAll(conversion: Conversion): Promise<number> {
  const { home, options, cipher } = conversion
  const { onWait, elsewhere = elsewhereFor(home) } = options
  const alone = <T>(name: string, work: () => Promise<T>) => withLock(lockFolder(home, name), work, { onWait })
  const faults: unknown[] = []
  let files = 0
  // What cannot be changed, such as a damaged file, keeps nothing else from it.
  const convert = async (path: string, name: string) => {
    try {
      if (await convertFile(path, name, conversion)) files += 1
    } catch (error) {
      faults.push(error)
    }
  }
  const rescue = createRescue(home, elsewhere, cipher)
  for (const thumbprint of await thumbprintsOf(home, await rescue.list())) {
    await alone(thumbprint, async () => {
      const path = join(sessionsFolder(home), `${thumbprint}.json`)
      // Of killed processes: whoever writes such a file has the lock.
      await sweepFolder(dirname(path), -Infinity, (name) => isBeside(name, path))
      for (const file of [path, ...(await rescue.files(thumbprint))]) await convert(file, sessionName(thumbprint))
    })
  }
  await alone('logins', async () => {
    const folder = loginsFolder(home)
    await sweepFolder(folder, ABANDONED, (name) => isTemporary(name) && !CLAIMED.test(name))
    for (const name of await listFolder(folder)) {
      const path = join(folder, name)
      if (HASH_NAME.test(name)) await convert(path, loginName(basename(name, '.json')))
      // Of a process that was killed before it wrote what became of the login.
      else if (CLAIMED.test(name)) await convert(path, await claimedName(path))
    }
  })
  await alone('client-keys', async () => {
    const folder = clientKeysFolder(home)
    await sweepFolder(folder, -Infinity, isTemporary)
    for (const name of await listFolder(folder)) {
      if (HASH_NAME.test(name)) await convert(join(folder, name), clientKeyName(basename(name, '.json')))
    }
  })
  await alone('vault', () => convert(vaultsPath(home), VAULTS_NAME))
  if (faults.length > 0) throw faults[0]
  return files
}

/** Those of all sessions, and of all that another process may be about to store: it has the lock of it. */
async function thumbprintsOf(home: string, rescued: readonly string[]): Promise<string[]> {
  const stored = await listFolder(sessionsFolder(home))
  const names = [
    ...stored.map((name) => basename(name, '.json')),
    ...(await listFolder(join(home, 'locks'))),
    ...rescued,
  ]
  return [...new Set(names)].filter((name) => THUMBPRINT.test(name))
}

async function convertFile(path: string, name: string, { home, storeKey, cipher }: Conversion): Promise<boolean> {
  const content = await readPrivate(path)
  if (content === undefined) return false
  if (storeKey !== undefined && isSealed(content)) {
    // In a store whose header was replaced by another one, what cannot be read must not pass for done.
    if (sealedBy(content)?.kid === storeKey.kid) return false
    throw foreign(home, path)
  }
  if (storeKey === undefined && !isSealed(content)) return false
  if (storeKey !== undefined && name.startsWith(loginName('')) && !isSecretLogin(content)) return false
  const text = storeKey ? await sealFile(content, name, storeKey) : await cipher.open(content, name, path)
  await writePrivate(path, text, undefined, path.startsWith(home) ? undefined : home)
  return true
}

/** The name of a file whose own name is shortened. */
async function claimedName(path: string): Promise<string> {
  const content = (await readPrivate(path)) ?? ''
  if (isSealed(content)) return sealedBy(content)?.name ?? ''
  const state = /"state": "((?:[^"\\]|\\.)*)"/.exec(content)?.[1] ?? ''
  return loginName(loginId(JSON.parse(`"${state}"`)))
}
