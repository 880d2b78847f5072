/**
 * How records are encrypted: JWE compact, `dir` with `A256GCM` and nothing else (RFC 7516 §3.1, RFC 7518 §5.3).
 *
 * The user's key opens the `vault` record. That one holds the two keys of the vault: one names the records, one encrypts
 * them. So the user's key can be replaced without a change of any name. While it is, the record has a line for each key.
 */
import { createHmac, hkdfSync } from 'node:crypto'
import * as v from '@badrap/valita'
import { decodeProtectedHeader } from 'jose'
import { OAuthError, type PlainReason } from '../../errors.ts'
import type { Did } from '../../model.ts'
import type { Random } from '../../ports.ts'
import { parseJson } from '../../text.ts'
import { decryptText, encryptText, JWE_ALG, JWE_ENC } from '../jwe.ts'
import { RECORD_LONGEST, VAULT_RECORD } from './engine.ts'
import { assertHere, type Located } from './moved.ts'

const TYP = 'atproto-oauth-vault'
const VERSION = 1
const KEY_BYTES = 32
const KEY_FORM = /^[A-Za-z0-9_-]{43}$/

/** Encrypts records. Secret. */
interface DataKey {
  readonly kid: string
  readonly dataKey: Uint8Array
}

/** What the `vault` record holds. Secret. */
export interface VaultKeys extends DataKey, Located {
  readonly id: string
  readonly nameKey: Uint8Array
  /** The data key that is being replaced: some records are still encrypted with it. */
  readonly earlier?: DataKey | undefined
}

interface Header {
  readonly vault: string
  readonly name: string
  readonly kid: string
}

const base64url = v.string().assert((text) => KEY_FORM.test(text))
const wrapSchema = v.object({
  version: v.literal(VERSION),
  id: v.string(),
  address: v.string(),
  kid: v.string(),
  nameKey: base64url,
  dataKey: base64url,
  earlier: v.object({ kid: v.string(), dataKey: base64url }).optional(),
  movedFrom: v.array(v.string()).optional(),
  move: v
    .object({
      direction: v.union(v.literal('to'), v.literal('from')),
      address: v.string(),
      isFinished: v.boolean(),
    })
    .optional(),
})

/** A new key of a user: 32 random bytes, as base64url. */
export function createUserKey({ randomBytes }: Random): string {
  return Buffer.from(randomBytes(KEY_BYTES)).toString('base64url')
}

/** @throws {OAuthError} `VAULT_INVALID`: it has not the form of a key; the text is not quoted */
export function parseUserKey(text: string): Uint8Array {
  const key = KEY_FORM.test(text) ? Buffer.from(text, 'base64url') : undefined
  if (key?.length === KEY_BYTES) return new Uint8Array(key)
  throw invalid('the key of the vault is not complete: it has 43 letters, digits, - and _', 'vault-key-malformed')
}

/** Names a key without telling anything of it. */
export function userKeyId(userKey: Uint8Array): string {
  return Buffer.from(derive(userKey, 'key id')).toString('base64url').slice(0, 16)
}

/** @returns the keys of a new vault, and the text of its `vault` record */
export async function createVault(
  address: string,
  userKey: Uint8Array,
  { randomBytes }: Random,
): Promise<{ readonly keys: VaultKeys; readonly text: string }> {
  const id = Buffer.from(randomBytes(16)).toString('base64url')
  const keys = { id, address, nameKey: randomBytes(KEY_BYTES), ...createDataKey({ randomBytes }) }
  return { keys, text: await wrapKeys(keys, userKey) }
}

export function createDataKey({ randomBytes }: Random): DataKey {
  return { kid: Buffer.from(randomBytes(9)).toString('base64url'), dataKey: randomBytes(KEY_BYTES) }
}

/** The `vault` record for one user's key: a line of it, if there are several. */
export function wrapKeys(keys: VaultKeys, userKey: Uint8Array): Promise<string> {
  const { id, address, kid, earlier, movedFrom, move } = keys
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const content = {
    ...{ version: VERSION, id, address, kid },
    nameKey: text(keys.nameKey),
    dataKey: text(keys.dataKey),
    ...(earlier && { earlier: { kid: earlier.kid, dataKey: text(earlier.dataKey) } }),
    ...{ movedFrom, move },
  }
  const header = { vault: id, name: VAULT_RECORD, kid: userKeyId(userKey) }
  return encrypt(content, header, derive(userKey, 'wrap'))
}

/**
 * Opens the `vault` record of a vault that is used where it is.
 *
 * @param address of the engine that it was read from
 * @throws {OAuthError} `VAULT_KEY_WRONG`; `VAULT_INVALID`: damaged, from a newer version, a copy from another address, or
 *   moved
 */
export async function unwrapKeys(text: string, userKey: Uint8Array, address: string): Promise<VaultKeys> {
  return assertHere(await unwrapAnyKeys(text, userKey, address))
}

/**
 * The same, also where the vault has moved away or has not arrived.
 *
 * @throws {OAuthError} as `unwrapKeys`
 */
export async function unwrapAnyKeys(text: string, userKey: Uint8Array, address: string): Promise<VaultKeys> {
  const wrap = wrapsOf(text).find(({ kid }) => kid === userKeyId(userKey))
  if (wrap === undefined) throw wrongKey(address)
  const found = wrapSchema.try(await decrypt(wrap.text, derive(userKey, 'wrap')), { mode: 'strip' })
  if (!found.ok || found.value.id !== wrap.vault) throw damaged()
  const { nameKey, dataKey, earlier, ...rest } = found.value
  if (rest.address !== address) {
    throw invalid(`the vault at ${address} is a copy of the one at ${rest.address}`, 'vault-copied')
  }
  const bytes = (encoded: string) => new Uint8Array(Buffer.from(encoded, 'base64url'))
  return {
    ...rest,
    nameKey: bytes(nameKey),
    dataKey: bytes(dataKey),
    ...(earlier && { earlier: { kid: earlier.kid, dataKey: bytes(earlier.dataKey) } }),
  }
}

/** A line of the `vault` record. */
export interface Wrap {
  /** The vault that it says it belongs to. */
  readonly vault: string
  /** Names the user's key that opens it. */
  readonly kid: string
  readonly text: string
}

/**
 * The lines of the `vault` record, that of the newest key last.
 *
 * @throws {OAuthError} `VAULT_INVALID`
 */
export function wrapsOf(text: string): readonly Wrap[] {
  if (text.length > RECORD_LONGEST) throw damaged()
  return text.split('\n').map((line) => {
    const { vault, kid, name } = headerOf(line)
    if (name !== VAULT_RECORD) throw damaged()
    return { vault, kid, text: line }
  })
}

/** Which data key a record is encrypted with; `undefined` if it is damaged. */
export function dataKeyId(text: string): string | undefined {
  try {
    return headerOf(text).kid
  } catch {
    return undefined
  }
}

/** The name of an account's record. It never changes, and says nothing to whoever has no key. */
export function sessionName(did: Did, { nameKey }: Pick<VaultKeys, 'nameKey'>): string {
  return nameFor('session', did, nameKey)
}

/** The name of the record of a confidential client's key. */
export function clientKeyRecordName(clientId: string, { nameKey }: Pick<VaultKeys, 'nameKey'>): string {
  return nameFor('client-key', clientId, nameKey)
}

function nameFor(kind: string, of: string, nameKey: Uint8Array): string {
  return createHmac('sha256', nameKey).update(`${kind}\n${of}`).digest('hex').slice(0, 40)
}

export function sealRecord(content: object, name: string, { id, kid, dataKey }: VaultKeys): Promise<string> {
  return encrypt(content, { vault: id, name, kid }, dataKey)
}

/** @throws {OAuthError} `VAULT_INVALID` it is not what was written under this name, by a vault with these keys */
export async function openRecord(text: string, name: string, keys: VaultKeys): Promise<unknown> {
  const header = headerOf(text)
  const key = [keys, keys.earlier].find((one) => one?.kid === header.kid)
  if (header.vault !== keys.id || header.name !== name || key === undefined) throw damaged()
  return decrypt(text, key.dataKey)
}

function encrypt(content: object, header: Header, key: Uint8Array): Promise<string> {
  return encryptText(JSON.stringify(content), { typ: TYP, version: VERSION, ...header }, key)
}

async function decrypt(text: string, key: Uint8Array): Promise<unknown> {
  try {
    return parseJson(await decryptText(text, key))
  } catch {
    throw damaged()
  }
}

/** All members are authenticated as associated data once the text is decrypted. */
function headerOf(text: string): Header {
  if (text.length > RECORD_LONGEST) throw damaged()
  let header: Record<string, unknown>
  try {
    header = decodeProtectedHeader(text)
  } catch {
    throw damaged()
  }
  const { alg, enc, typ, version, vault, name, kid, ...others } = header
  if (typ !== TYP) throw damaged()
  if (typeof version === 'number' && version > VERSION) {
    throw invalid('the vault was written by a newer version of this tool', 'vault-newer')
  }
  const isOurs = alg === JWE_ALG && enc === JWE_ENC && version === VERSION && Object.keys(others).length === 0
  if (!isOurs || typeof vault !== 'string' || typeof name !== 'string' || typeof kid !== 'string') throw damaged()
  return { vault, name, kid }
}

/** RFC 5869, without a salt: the input is a uniformly random key. */
function derive(userKey: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', userKey, new Uint8Array(), `atproto-oauth/vault ${label}`, KEY_BYTES))
}

function damaged(): OAuthError {
  return invalid('a record of the vault is damaged, or was not written by this tool', 'vault-damaged')
}

export function wrongKey(address: string): OAuthError {
  const message = `the key does not belong to the vault at ${address}`
  return new OAuthError('VAULT_KEY_WRONG', message, { facts: { reason: 'vault-key-wrong' } })
}

function invalid(message: string, reason: PlainReason): OAuthError {
  return new OAuthError('VAULT_INVALID', message, { facts: { reason } })
}
