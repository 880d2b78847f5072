/**
 * What the model of the vault has in the place of cryptography and discovery: those wait for threads, which it does not
 * simulate. This file imports nothing of src/ that it replaces, because `vi.mock` loads it before that.
 */
import { createHash } from 'node:crypto'
import { OAuthError } from '../../src/errors.ts'
import type { AuthorizationServer, Did, Origin } from '../../src/model.ts'
import type { VaultKeys } from '../../src/node/vault/envelope.ts'
import { assertHere } from '../../src/node/vault/moved.ts'
import type { Runtime } from '../../src/ports.ts'

export const PDS = 'https://pds.fake.dev' as Origin
/** The name of the record of the only account. */
export const RECORD = 'a'.repeat(40)
/** The same in a vault that has replaced the first one. */
export const OTHER_RECORD = 'b'.repeat(40)

/** For `vi.mock` of protocol/oauth/dpop.ts: proofs that are not signed, and a thumbprint that is in the key. */
export const mockCrypto = {
  importDpopKey: async (jwk: { x: string }) => ({ alg: 'ES256', privateKey: {}, publicJwk: jwk, thumbprint: jwk.x }),
  assertSigns: async () => {},
  createProof: async (key: { thumbprint: string }, { nonce }: { nonce?: string }) =>
    JSON.stringify({ jkt: key.thumbprint, nonce }),
  sha256: async (text: string) => createHash('sha256').update(text).digest('base64url'),
}

const SERVER: AuthorizationServer = {
  issuer: PDS,
  authorization_endpoint: `${PDS}/oauth/authorize`,
  token_endpoint: `${PDS}/oauth/token`,
  pushed_authorization_request_endpoint: `${PDS}/oauth/par`,
  revocation_endpoint: `${PDS}/oauth/revoke`,
}

type Fetching = Pick<Runtime, 'fetch'>
const look = ({ fetch }: Fetching) => fetch(new URL('/.well-known/oauth-authorization-server', PDS), {})

/** For `vi.mock` of protocol/oauth/discovery.ts: one request instead of three. */
export const mockDiscovery = {
  discoverFromAccount: async (_did: Did, { verify }: { verify?: (found: object) => unknown }, ports: Fetching) => {
    await look(ports)
    await verify?.({ claimedHandle: undefined, pds: PDS, issuer: PDS })
    return { server: SERVER, claimedHandle: undefined, pds: PDS }
  },
  fetchAuthorizationServer: async (_issuer: Origin, _pds: unknown, ports: Fetching) => {
    await look(ports)
    return SERVER
  },
}

let sealed = 0
const wrapSecret = (key: Uint8Array) => Buffer.from(key).toString('hex')
const headerOf = (text: string) => text.slice(0, text.indexOf('\t')).split(' ')
type Keys = Pick<VaultKeys, 'id' | 'kid' | 'earlier'>
/**
 * For `vi.mock` of node/vault/envelope.ts: readable, and different each time, as a ciphertext is. Without its key,
 * nothing is opened.
 */
export const mockEnvelope = {
  sealRecord: async (content: object, _: string, { kid }: Keys) => `${++sealed} ${kid}\t${JSON.stringify(content)}`,
  openRecord: async (text: string, _: string, { kid, earlier }: Keys) => {
    const [, used] = headerOf(text)
    if (used !== kid && used !== earlier?.kid) throw new OAuthError('VAULT_INVALID', `encrypted with ${used}`)
    return JSON.parse(text.slice(text.indexOf('\t') + 1))
  },
  dataKeyId: (text: string) => headerOf(text)[1],
  sessionName: (_: Did, { id }: Pick<VaultKeys, 'id'>) => (id === 'id' ? RECORD : OTHER_RECORD),
  createVault: async (address: string, userKey: Uint8Array) => {
    const bytes = new Uint8Array()
    const keys = { id: `id ${++sealed}`, address, kid: `d${sealed}`, nameKey: bytes, dataKey: bytes }
    return { keys, text: await mockEnvelope.wrapKeys(keys, userKey) }
  },
  userKeyId: wrapSecret,
  wrapKeys: async (keys: Keys, userKey: Uint8Array) => `${++sealed} ${wrapSecret(userKey)}\t${JSON.stringify(keys)}`,
  wrapsOf: (text: string) => text.split('\n').map((line) => ({ vault: 'id', kid: headerOf(line)[1]!, text: line })),
  unwrapKeys: async (text: string, userKey: Uint8Array, address: string) =>
    assertHere(await unwrapAnyKeys(text, userKey, address)),
  unwrapAnyKeys,
}

async function unwrapAnyKeys(text: string, userKey: Uint8Array, address: string): Promise<VaultKeys> {
  const line = text.split('\n').find((one) => headerOf(one)[1] === wrapSecret(userKey))
  if (line === undefined) throw new OAuthError('VAULT_KEY_WRONG', 'another key')
  const keys = JSON.parse(line.slice(line.indexOf('\t') + 1)) as VaultKeys
  if (keys.address !== address) throw new OAuthError('VAULT_INVALID', 'a copy')
  return keys
}
