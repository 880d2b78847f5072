/**
 * What the model of the vault has in the place of cryptography and discovery: those wait for threads, which it does not
 * simulate. This file imports nothing of src/ but types, because `vi.mock` loads it before that.
 */
import { createHash } from 'node:crypto'
import type { AuthorizationServer, Did, Origin } from '../../src/model.ts'
import type { Runtime } from '../../src/ports.ts'

export const PDS = 'https://pds.fake.dev' as Origin
/** The name of the record of the only account. */
export const RECORD = 'a'.repeat(40)

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
/** For `vi.mock` of node/vault/envelope.ts: readable, and different each time, as a ciphertext is. */
export const mockEnvelope = {
  sealRecord: async (content: object) => `${++sealed}\t${JSON.stringify(content)}`,
  openRecord: async (text: string) => JSON.parse(text.slice(text.indexOf('\t') + 1)),
  sessionName: () => RECORD,
}
