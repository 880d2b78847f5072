/**
 * How the store is encrypted: each file with a random key of the store, and that key with one from the system's
 * keychain or from a passphrase. So another passphrase changes one file, `store-encryption.json`.
 */
import { hkdfSync, randomBytes, scrypt } from 'node:crypto'
import * as v from '@badrap/valita'
import { decodeProtectedHeader } from 'jose'
import { OAuthError, type PlainReason } from '../../errors.ts'
import { parseJson } from '../../text.ts'
import { decryptText, encryptText } from '../jwe.ts'
import type { Keychain } from '../keychain/keychain.ts'
import { readPrivate } from './files.ts'
import { encryptionPath } from './parts.ts'

const TYP = 'atproto-oauth-store'
const VERSION = 1
const KEY_BYTES = 32
const SALT_BYTES = 16
/** Bytes of memory that a header may ask for, in all passes: a few seconds, where `SCRYPT_COST` takes half of one. */
const SCRYPT_LARGEST = 512 * 1024 * 1024

/** RFC 7914 §2. */
export interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** 128 MiB, and less than half a second. */
export const SCRYPT_COST: ScryptCost = { N: 2 ** 17, r: 8, p: 1 }
/** 1 MiB: nobody can try all keys of 256 bits, whatever each costs. */
export const GENERATED_COST: ScryptCost = { N: 2 ** 10, r: 8, p: 1 }
/** 32 bytes as `openssl rand` prints them, in base64 or hex. Nobody chooses such a passphrase. */
const GENERATED = /^(?:[\w+/-]{43}=|[\da-f]{64})$/i

/** How a store that is encrypted gets its key. */
export interface Unlock {
  /** Reads or asks for the passphrase; `undefined` if there is none. */
  passphrase?(): Promise<string | undefined>
  keychain?(): Promise<Keychain>
  /** How the user wants the store to be encrypted; `undefined` if nothing is set. Read each time. */
  setting?(): EncryptionSetting | undefined
}

export interface EncryptionSetting {
  readonly mode: StoreEncryption
  /** Of the file of the settings. */
  readonly path: string
}

export interface StoreKeys {
  /** Those that this process has, by their names. */
  readonly keys: Map<string, Promise<Uint8Array>>
  unlock: Unlock
}

export type StoreEncryption = 'keychain' | 'passphrase' | 'off'

const base64url = v.string().assert((text) => /^[\w-]{22,}$/.test(text))
const keychainLock = v.object({
  by: v.literal('keychain'),
  keychain: v.union(v.literal('macos'), v.literal('secret-service'), v.literal('dpapi')),
  id: base64url,
  kept: v.string().optional(),
})
const passphraseLock = v.object({
  by: v.literal('passphrase'),
  salt: base64url,
  N: v.number(),
  r: v.number(),
  p: v.number(),
})
/** The encrypted key, and what opens it; `check` tells a wrong passphrase from a damaged file. */
const wrapped = { check: base64url, key: v.string() }
const lockSchema = v.union(keychainLock.extend(wrapped), passphraseLock.extend(wrapped))
const headerSchema = v.object({
  version: v.literal(VERSION),
  mode: v.union(v.literal('keychain'), v.literal('passphrase'), v.literal('off')),
  kid: base64url,
  lock: lockSchema,
  isChanging: v.boolean().optional(),
  /** Entries of the keychain that are not needed any more. */
  former: v.array(v.string()).optional(),
})

export type StoreLock = v.Infer<typeof lockSchema>
/** What `store-encryption.json` says. Without the file, nothing is encrypted. */
export type EncryptionHeader = v.Infer<typeof headerSchema>

/** @throws {OAuthError} `STORE_INVALID` */
export async function readEncryption(home: string): Promise<EncryptionHeader | undefined> {
  const text = await readPrivate(encryptionPath(home))
  return text === undefined ? undefined : parseEncryption(text, encryptionPath(home))
}

function parseEncryption(text: string, path: string): EncryptionHeader {
  const content = contentOf(text)
  const header = headerSchema.try(content, { mode: 'passthrough' })
  if (header.ok && isAffordable(header.value.lock) && isConsistent(header.value)) return header.value
  const { version } = Object(content)
  if (typeof version === 'number' && version > VERSION) {
    throw invalid(`${path} was written by a newer version of this tool`, 'store-encryption-newer')
  }
  throw invalid(`${path} is damaged, or was edited`, 'store-encryption-damaged')
}

function isConsistent({ mode, lock }: EncryptionHeader): boolean {
  return mode === 'off' || mode === lock.by
}

/** A file that was changed must not make this process use up all memory or time. */
function isAffordable(lock: StoreLock): boolean {
  if (lock.by !== 'passphrase') return true
  const { N, r, p } = lock
  const isPower = Number.isInteger(N) && N > 1 && N <= 2 ** 24 && 2 ** Math.round(Math.log2(N)) === N
  const isSmall = [r, p].every((each) => Number.isInteger(each) && each >= 1 && each <= 16)
  return isPower && isSmall && 128 * N * r * p <= SCRYPT_LARGEST
}

/**
 * A header that was edited, or restored from a backup, must not decide how files are written.
 *
 * @param text of `store-encryption.json`
 * @throws {OAuthError} `STORE_INVALID` the store is not encrypted as its user has set it
 */
export function assertAsSet(home: string, text: string | undefined, { mode, path }: EncryptionSetting): void {
  const header = text === undefined ? undefined : parseEncryption(text, encryptionPath(home))
  const { mode: now = 'off', isChanging = false } = header ?? {}
  // Between two ways to encrypt, the setting is changed last.
  if (now === mode || mode === 'off' || (now !== 'off' && isChanging)) return
  const is = now === 'off' ? 'the store is not encrypted' : `the store is encrypted with a ${now}`
  throw new OAuthError('STORE_INVALID', `${is}, but encrypt-store in ${path} is ${mode}; nothing was sent`, {
    facts: { reason: 'store-encryption-differs', mode },
  })
}

/**
 * @param sampled files of the store that are encrypted
 * @returns what encrypts a file as the header says
 * @throws {OAuthError} `STORE_INVALID` none of the files is encrypted with the key in the header: it is an older one
 */
export async function sealWith(
  home: string,
  { text, sampled }: { readonly text: string; readonly sampled: readonly { path: string; content: string }[] },
  cipher: StoreKeys,
): Promise<{ seal(text: string, name: string): Promise<string>; readonly isEncrypted: boolean }> {
  const header = parseEncryption(text, encryptionPath(home))
  if (header.mode === 'off') return { seal: async (plain) => plain, isEncrypted: false }
  const [other] = sampled
  if (other && sampled.every(({ content }) => sealedBy(content)?.kid !== header.kid)) throw foreign(home, other.path)
  const key = await keyOf(header, cipher)
  return { seal: (plain, name) => sealFile(plain, name, { kid: header.kid, key }), isEncrypted: true }
}

/** Encrypts the files of a store. Secret. */
export interface StoreKey {
  readonly kid: string
  readonly key: Uint8Array
}

export async function sealFile(text: string, name: string, { kid, key }: StoreKey): Promise<string> {
  return `${await encryptText(text, { typ: TYP, version: VERSION, kid, name }, key)}\n`
}

interface SealedFile {
  readonly content: string
  readonly name: string
  readonly path: string
  /** The text of `store-encryption.json`. */
  readonly header: string | undefined
}

/** @throws {OAuthError} `STORE_LOCKED`; `STORE_INVALID` it is not what was written under this name */
export async function openWith(
  home: string,
  { content, name, path, header: text }: SealedFile,
  cipher: StoreKeys,
): Promise<string> {
  const found = fileHeader(content.trimEnd())
  if (found === undefined || found.name !== name) throw damagedFile(path)
  const header = text === undefined ? undefined : parseEncryption(text, encryptionPath(home))
  if (!cipher.keys.has(found.kid) && header?.kid !== found.kid) {
    throw text === undefined ? headerMissing(home, path) : foreign(home, path)
  }
  const key = await (cipher.keys.get(found.kid) ?? keyOf(header!, cipher))
  return decryptText(content.trimEnd(), key).catch(() => {
    throw damagedFile(path)
  })
}

/** @param path of a file that is encrypted */
export function headerMissing(home: string, path: string): OAuthError {
  return invalid(`${path} is encrypted, and ${encryptionPath(home)} is missing`, 'store-encryption-foreign')
}

/** @param path of a file that is encrypted with another key */
export function foreign(home: string, path: string): OAuthError {
  return invalid(
    `${path} is encrypted, and the key for it is not in ${encryptionPath(home)}`,
    'store-encryption-foreign',
  )
}

/** With which key, and under which name, a file was encrypted, as it says itself. */
export function sealedBy(content: string): { readonly kid: string; readonly name: string } | undefined {
  return fileHeader(content.trimEnd())
}

function fileHeader(content: string): { readonly kid: string; readonly name: string } | undefined {
  try {
    const { typ, version, kid, name } = decodeProtectedHeader(content)
    const isOurs = typ === TYP && version === VERSION && typeof kid === 'string' && typeof name === 'string'
    return isOurs ? { kid, name } : undefined
  } catch {
    return undefined
  }
}

/**
 * The key of the store. Once a process has it, a keychain that is locked later does not matter to it.
 *
 * @throws {OAuthError} `STORE_LOCKED`, `STORE_INVALID`
 */
export function keyOf({ kid, lock }: EncryptionHeader, { keys, unlock }: StoreKeys): Promise<Uint8Array> {
  const known = keys.get(kid)
  if (known !== undefined) return known
  const opening = unwrap(lock, unlock)
  keys.set(kid, opening)
  opening.catch(() => keys.delete(kid))
  return opening
}

async function unwrap(lock: StoreLock, unlock: Unlock): Promise<Uint8Array> {
  const secret = lock.by === 'keychain' ? await fromKeychain(lock, unlock) : await fromPassphrase(lock, unlock)
  if (checkOf(secret) !== lock.check) {
    throw lock.by === 'keychain'
      ? locked('the keychain has another key than that of this store', 'keychain-entry-missing')
      : locked('the passphrase of the store is wrong', 'store-key-wrong')
  }
  const text = await decryptText(lock.key, derive(secret, 'wrap')).catch(() => '')
  const key = Buffer.from(text, 'base64url')
  if (key.length === KEY_BYTES) return new Uint8Array(key)
  throw invalid('the key of the store is damaged', 'store-encryption-damaged')
}

async function fromKeychain({ keychain: kind, id, kept }: StoreLock & { by: 'keychain' }, unlock: Unlock) {
  const keychain = await unlock.keychain?.()
  if (keychain === undefined || keychain.kind !== kind) {
    throw locked('the store was encrypted with the keychain of another system', 'keychain-entry-missing')
  }
  return keychain.read(id, kept)
}

async function fromPassphrase({ salt, N, r, p }: StoreLock & { by: 'passphrase' }, unlock: Unlock) {
  const passphrase = await unlock.passphrase?.()
  if (passphrase === undefined) throw locked('the store is encrypted, and no passphrase is set', 'store-key-missing')
  return stretch(passphrase, Buffer.from(salt, 'base64url'), { N, r, p })
}

/** RFC 7914; a passphrase is the same in every keyboard's spelling of it. */
function stretch(passphrase: string, salt: Uint8Array, { N, r, p }: ScryptCost): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 2 * SCRYPT_LARGEST }
    scrypt(passphrase.normalize('NFKC'), salt, KEY_BYTES, options, (error, key) =>
      error ? reject(error) : resolve(new Uint8Array(key)),
    )
  })
}

export function createStoreKey(): StoreKey {
  return { kid: random(SALT_BYTES).toString('base64url'), key: new Uint8Array(random(KEY_BYTES)) }
}

export async function lockWithPassphrase(
  key: Uint8Array,
  passphrase: string,
  cost: ScryptCost = GENERATED.test(passphrase) ? GENERATED_COST : SCRYPT_COST,
): Promise<StoreLock> {
  const salt = random(SALT_BYTES)
  const secret = await stretch(passphrase, salt, cost)
  return { by: 'passphrase', salt: salt.toString('base64url'), ...cost, ...(await wrap(key, secret)) }
}

export type KeychainLock = StoreLock & { by: 'keychain' }

/** For a secret that is not in the keychain yet. */
export async function lockWithKeychain(
  key: Uint8Array,
  keychain: Keychain,
): Promise<{ readonly lock: KeychainLock; readonly secret: Uint8Array }> {
  const secret = new Uint8Array(random(KEY_BYTES))
  // An argument of the keychain's program, which would take one that begins with a hyphen for an option.
  const id = random(SALT_BYTES).toString('hex')
  return { lock: { by: 'keychain', keychain: keychain.kind, id, ...(await wrap(key, secret)) }, secret }
}

async function wrap(key: Uint8Array, secret: Uint8Array): Promise<{ readonly check: string; readonly key: string }> {
  const text = Buffer.from(key).toString('base64url')
  return {
    check: checkOf(secret),
    key: await encryptText(text, { typ: TYP, version: VERSION }, derive(secret, 'wrap')),
  }
}

/** Names a secret without telling anything of it. */
function checkOf(secret: Uint8Array): string {
  return Buffer.from(derive(secret, 'check')).toString('base64url').slice(0, 22)
}

/** RFC 5869, without a salt: the input is uniformly random, or comes from scrypt with one. */
function derive(secret: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), `atproto-oauth/store ${label}`, KEY_BYTES))
}

function random(length: number): Buffer {
  return randomBytes(length)
}

function contentOf(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

function damagedFile(path: string): OAuthError {
  const [, folder] = /[/\\](pending|client-keys)[/\\][^/\\]+$/.exec(path) ?? []
  const inFolder = folder === 'pending' ? 'pending' : folder === undefined ? 'sessions' : 'client-key'
  const kind = path.endsWith('vault.json') ? 'vault' : inFolder
  return new OAuthError('STORE_INVALID', `${path} is damaged, or was copied from elsewhere`, {
    facts: { reason: 'record-damaged', path, kind },
  })
}

export function locked(message: string, reason: PlainReason): OAuthError {
  return new OAuthError('STORE_LOCKED', `${message}; nothing was sent`, { facts: { reason } })
}

function invalid(message: string, reason: PlainReason): OAuthError {
  return new OAuthError('STORE_INVALID', message, { facts: { reason } })
}
