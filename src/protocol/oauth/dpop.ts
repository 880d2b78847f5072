/**
 * DPoP keys and proofs. A proof is a signed JWT for one HTTP attempt, which shows that the sender has the session key.
 * `dpop-fetch.ts` handles nonces and retries; there is no I/O here except through ports.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9449.html#section-4.2 RFC 9449 §4.2}
 */
import { base64url } from 'jose'
import { OAuthError } from '../../errors.ts'
import { type P256Jwk, type PrivateJwk, privateJwkSchema } from '../../model.ts'
import type { Clock, FastCrypto, Random, Secp256k1 } from '../../ports.ts'

/** §4.2 asks for at least 96 bits in `jti`; 128 costs nothing. */
const JTI_BYTES = 16
const UTF8 = new TextEncoder()
/** NQCHAR, the only characters a `DPoP-Nonce` may hold (§8.1). */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** The key pair of one session, created before PAR and kept until revocation. */
export type DpopKey = (
  | { readonly alg: 'ES256'; readonly privateKey: CryptoKey | ReturnType<NonNullable<FastCrypto['openEs256']>> }
  | { readonly alg: 'ES256K'; readonly privateKey: PrivateJwk }
) & {
  readonly publicJwk: Omit<PrivateJwk, 'd'>
  /** RFC 7638. */
  readonly thumbprint: string
}

/** The request a proof is for. */
export interface ProofTarget {
  readonly method: string
  readonly url: URL
  /** Newest `DPoP-Nonce` of this origin; a nonce is valid only for its origin (§8.2, §9). */
  readonly nonce?: string | undefined
  /** Milliseconds between the server's clock and ours; 0 if it is not known. */
  readonly clockOffset?: number
  /** For resource requests only: authorization servers reject a proof with `ath`. */
  readonly accessToken?: string | undefined
}

/** Creates the key of one session, or of a client. */
export async function generateDpopJwk(): Promise<P256Jwk> {
  return (await import('./web-crypto.ts')).generateP256Jwk()
}

/**
 * Extracts a private P-256 or secp256k1 key from untrusted JSON.
 *
 * @returns `undefined` for anything else, including a public key
 */
export function asPrivateJwk(value: unknown): PrivateJwk | undefined {
  const jwk = privateJwkSchema.try(value, { mode: 'strip' })
  return jwk.ok ? jwk.value : undefined
}

/**
 * The key as it signs. For a secp256k1 key, only {@link assertSigns} shows whether the numbers are a key pair.
 *
 * @throws {OAuthError} `CREDENTIALS_INVALID` the numbers are not a key pair
 */
export async function importDpopKey({ kty, crv, x, y, d }: PrivateJwk, ports: FastCrypto = {}): Promise<DpopKey> {
  const publicJwk = { kty, crv, x, y }
  const thumbprint = await jwkThumbprint(publicJwk, ports)
  if (crv === 'secp256k1') return { alg: 'ES256K', privateKey: { ...publicJwk, d }, publicJwk, thumbprint }
  try {
    const jwk = { ...publicJwk, crv, d }
    const privateKey = ports.openEs256?.(jwk) ?? (await (await import('./web-crypto.ts')).importP256Key(jwk))
    return { alg: 'ES256', privateKey, publicJwk, thumbprint }
  } catch {
    throw notAKey(crv)
  }
}

/**
 * Before anything is stored or sent: this runtime can sign with the key.
 *
 * @throws {OAuthError} `CREDENTIALS_INVALID`
 */
export async function assertSigns(key: DpopKey, ports: Secp256k1): Promise<void> {
  if (key.alg === 'ES256K') await signEs256k(key.privateKey, new Uint8Array(), ports)
}

/** Without the cause, whose message could quote the key. */
function notAKey(curve: PrivateJwk['crv']): OAuthError {
  return new OAuthError('CREDENTIALS_INVALID', `the DPoP private key is not a valid ${curve} key`)
}

export function isNonce(value: string): boolean {
  return NONCE.test(value)
}

interface ProofClaims {
  jti: string
  htm: string
  htu: string
  iat: number
  nonce?: string
  ath?: string
}

/**
 * The claims, separate from signing so that a test can compare them.
 *
 * @param ath the hash of the access token; absent without one
 */
export function proofClaims(
  { method, url, nonce, clockOffset = 0 }: ProofTarget,
  ath: string | undefined,
  ports: Clock & Random & FastCrypto,
): ProofClaims {
  if (url.origin === 'null') {
    throw new OAuthError('DPOP_URL_INVALID', `cannot sign a request to a ${url.protocol} URL`)
  }
  if (nonce !== undefined && !isNonce(nonce)) {
    throw new OAuthError('DPOP_NONCE_INVALID', `${url.origin} sent a malformed DPoP-Nonce`)
  }
  const claims: ProofClaims = {
    jti: encode(ports.randomBytes(JTI_BYTES), ports),
    htm: method,
    htu: url.origin + url.pathname, // no query, no fragment (§4.2)
    iat: Math.floor((ports.now() + clockOffset) / 1000), // seconds; servers accept a window of minutes (§11.1)
  }
  if (nonce !== undefined) claims.nonce = nonce
  if (ath !== undefined) claims.ath = ath
  return claims
}

/**
 * Signs a proof for one attempt. A retry needs a new one: a server may reject a `jti` that was used before (§11.1).
 *
 * @returns the value of the `DPoP` request header; at once if nothing has to be waited for
 * @throws {OAuthError} `DPOP_URL_INVALID`, `DPOP_NONCE_INVALID`, `CREDENTIALS_INVALID` for a secp256k1 key
 */
export function createProof(
  key: DpopKey,
  target: ProofTarget,
  ports: Clock & Random & Secp256k1 & FastCrypto,
): string | Promise<string> {
  const { accessToken } = target
  if (accessToken === undefined) return signProof(key, proofClaims(target, undefined, ports), ports)
  const ath = knownHash(accessToken)
  if (ath !== undefined) return signProof(key, proofClaims(target, ath, ports), ports)
  return hashOf(accessToken, ports).then((hash) => signProof(key, proofClaims(target, hash, ports), ports))
}

function signProof(key: DpopKey, claims: ProofClaims, ports: Secp256k1 & FastCrypto): string | Promise<string> {
  const input = `${headerOf(key)}.${encode(UTF8.encode(JSON.stringify(claims)), ports)}`
  const data = UTF8.encode(input)
  const signature = key.alg === 'ES256' ? signEs256(key.privateKey, data) : signEs256k(key.privateKey, data, ports)
  const signed = (bytes: Uint8Array) => `${input}.${encode(bytes, ports)}`
  return signature instanceof Uint8Array ? signed(signature) : signature.then(signed)
}

/** As base64url without padding. */
function encode(data: Uint8Array, ports: FastCrypto): string {
  return ports.base64url ? ports.base64url(data) : base64url.encode(data)
}

const HEADERS = new WeakMap<DpopKey, string>()

/** Encoded; it is the same in all proofs of a key. */
function headerOf(key: DpopKey): string {
  let header = HEADERS.get(key)
  if (header === undefined) {
    header = base64url.encode(JSON.stringify({ typ: 'dpop+jwt', alg: key.alg, jwk: key.publicJwk }))
    HEADERS.set(key, header)
  }
  return header
}

/** Many requests in a row have the same token. */
let lastHash: { readonly token: string; readonly hash: string } | undefined

function knownHash(token: string): string | undefined {
  return lastHash?.token === token ? lastHash.hash : undefined
}

async function hashOf(token: string, ports: FastCrypto): Promise<string> {
  const hash = await sha256(token, ports)
  lastHash = { token, hash }
  return hash
}

function signEs256(
  key: (DpopKey & { readonly alg: 'ES256' })['privateKey'],
  data: Uint8Array<ArrayBuffer>,
): Uint8Array | Promise<Uint8Array> {
  if (typeof key === 'function') return key(data)
  return import('./web-crypto.ts').then(({ signWithP256 }) => signWithP256(key, data))
}

async function signEs256k(jwk: PrivateJwk, data: Uint8Array, ports: Secp256k1): Promise<Uint8Array> {
  if (!ports.signEs256k) {
    throw new OAuthError('CREDENTIALS_INVALID', 'this runtime cannot sign with the secp256k1 DPoP key of the session')
  }
  try {
    return await ports.signEs256k(jwk, data)
  } catch {
    throw notAKey('secp256k1')
  }
}

/** base64url of SHA-256, for `ath`, the PKCE challenge and stored hashes. */
export async function sha256(text: string, { sha256: hash }: FastCrypto = {}): Promise<string> {
  const data = UTF8.encode(text)
  return base64url.encode(hash ? hash(data) : new Uint8Array(await crypto.subtle.digest('SHA-256', data)))
}

/** RFC 7638: the hash of the members that make the key, in the order of their names. */
export function jwkThumbprint({ kty, crv, x, y }: Omit<PrivateJwk, 'd'>, ports: FastCrypto = {}): Promise<string> {
  return sha256(JSON.stringify({ crv, kty, x, y }), ports)
}
