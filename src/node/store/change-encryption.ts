/**
 * Changes how the store is encrypted: first `store-encryption.json`, which says how files are written from then on, then
 * each file, under the lock of whoever could change it. A file says itself whether it is encrypted, and the key is kept
 * as long as any file needs it: killed at any step, everything can be read, and the same change finishes it.
 */
import { basename, dirname, join } from 'node:path'
import { OAuthError } from '../../errors.ts'
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
  const { cipher = storeCipher(home) } = options
  const header = await readEncryption(home)
  const before = header?.mode ?? 'off'
  const lost = header === undefined ? await sealedFile(home) : undefined
  // A new key would make the old one, in a backup of the header, useless.
  if (lost !== undefined) throw headerMissing(home, lost)
  if (header === undefined && mode === 'off') return { before, after: mode, files: 0 }
  // What was decrypted needs no key to go on.
  if (header?.mode === 'off' && mode === 'off') return finish({ home, before, header, cipher, options })
  const storeKey = header ? { kid: header.kid, key: await keyOf(header, cipher) } : createStoreKey()
  const lock = await lockFor(mode, { header, home, key: storeKey.key, options })
  const former = [
    ...new Set([...(header?.former ?? []), ...(header && lock !== header.lock ? entriesOf(header.lock) : [])]),
  ]
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
  // If that fails, a new entry of the keychain stays: it is not known whether the file refers to it.
  await writeHeader(home, begun)
  return finish({ home, before, header: begun, storeKey, cipher, options })
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
  if (mode === 'off') await removeFile(encryptionPath(home))
  const unneeded = mode === 'off' ? [...former, ...entriesOf(lock)] : former
  for (const id of unneeded) await options.keychain?.remove(id)
  if (mode !== 'off') await writeHeader(home, { version: 1, mode, kid, lock })
  return { before, after: mode, files }
}

interface LockNeeds {
  readonly header: EncryptionHeader | undefined
  readonly home: string
  readonly key: Uint8Array
  readonly options: ChangeOptions
}

async function lockFor(mode: StoreEncryption, { header, home, key, options }: LockNeeds): Promise<StoreLock> {
  const { keychain, passphrase = '', cost } = options
  if (mode === 'passphrase') return lockWithPassphrase(key, passphrase, cost)
  if (header !== undefined && (mode === 'off' || header.lock.by === 'keychain')) return header.lock
  if (keychain === undefined) throw new TypeError('a keychain is needed')
  return lockWithKeychain(key, home, keychain)
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
