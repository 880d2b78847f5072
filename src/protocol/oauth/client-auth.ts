/**
 * Authenticates a confidential client to its authorization server, in each request.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2 RFC 7523 §2.2, §3}
 * @see https://atproto.com/specs/oauth#confidential-client-authentication
 */
import { base64url } from 'jose'
import { OAuthError } from '../../errors.ts'
import type { ClientJwk, ClientKeyName, Origin } from '../../model.ts'
import type { Random } from '../../ports.ts'
import { generateDpopJwk, jwkThumbprint } from './dpop.ts'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const JTI_BYTES = 16
/** Seconds. The reference server accepts an age of a minute, but no time in the future. */
const BACKDATED = 5
const LIFETIME = 60

export interface ClientIdentity {
  readonly clientId: string
  /** Absent for a public client. */
  readonly clientJwk?: ClientJwk | undefined
}

/** Creates a client key, named by its RFC 7638 thumbprint. */
export async function generateClientJwk(): Promise<ClientJwk> {
  const jwk = await generateDpopJwk()
  return { ...jwk, kid: await jwkThumbprint(jwk) }
}

/** The public half of a client key. */
export function publicClientJwk({ kty, crv, x, y, kid }: ClientJwk) {
  return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' } as const
}

/** The client key as recorded in a session, which is bound to it. */
export async function clientKeyName({ clientJwk }: ClientIdentity): Promise<ClientKeyName | undefined> {
  if (!clientJwk) return undefined
  return { kid: clientJwk.kid, thumbprint: await jwkThumbprint(clientJwk) }
}

/** Only a hosted client can have published a key; the loopback client is public even if a key is set. */
export function identifyClient(clientId: string, clientJwk: ClientJwk | undefined): ClientIdentity {
  return clientId.startsWith('https:') ? { clientId, clientJwk } : { clientId }
}

/**
 * The client of an earlier login, which is bound to the key that it was started with.
 *
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_MISMATCH` the key is missing or a different one
 */
export async function sameClient(
  clientId: string,
  known: ClientKeyName | undefined,
  clientJwk: ClientJwk | undefined,
): Promise<ClientIdentity> {
  const identity = identifyClient(clientId, clientJwk)
  if (!known) return identity
  const given = await clientKeyName(identity)
  const facts = { reason: 'client-key-needed', clientId, kid: known.kid } as const
  if (!given) {
    const message = `the login was started with the client key ${known.kid}, but no client key is set; nothing was sent`
    throw new OAuthError('CREDENTIALS_INCOMPLETE', message, { facts })
  }
  if (given.kid === known.kid && given.thumbprint === known.thumbprint) return identity
  const message = `the client key ${given.kid} is set, but the login was started with ${
    given.kid === known.kid ? 'another key with the same kid' : known.kid
  }; nothing was sent`
  throw new OAuthError('CREDENTIALS_MISMATCH', message, { facts })
}

/** The audience of an assertion. */
export interface Audience {
  /** The `aud` of the assertion. */
  readonly issuer: Origin
  /** Milliseconds since the epoch by the server's clock. */
  readonly now: number
}

/**
 * The form for one attempt: with a new assertion for a confidential client, unchanged for a public one.
 *
 * @throws {OAuthError} `CLIENT_INVALID` the client key is not valid
 */
export async function withClientAssertion(
  form: URLSearchParams,
  { clientId, clientJwk }: ClientIdentity,
  audience: Audience,
  ports: Random,
): Promise<URLSearchParams> {
  if (!clientJwk) return form
  const parameters = new URLSearchParams(form)
  parameters.set('client_assertion_type', ASSERTION_TYPE)
  parameters.set('client_assertion', await createAssertion(clientId, clientJwk, audience, ports))
  return parameters
}

async function createAssertion(
  clientId: string,
  { kid, kty, crv, x, y, d }: ClientJwk,
  { issuer, now }: Audience,
  { randomBytes }: Random,
): Promise<string> {
  const issuedAt = Math.floor(now / 1000) - BACKDATED
  const { SignJWT } = await import('./web-crypto.ts')
  return new SignJWT({ jti: base64url.encode(randomBytes(JTI_BYTES)) })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(issuer)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + LIFETIME)
    .sign(await importKey({ kty, crv, x, y, d }))
}

async function importKey(jwk: Omit<ClientJwk, 'kid'>): Promise<CryptoKey> {
  try {
    return await (await import('./web-crypto.ts')).importP256Key(jwk)
  } catch {
    // Without the cause, whose message could quote the key.
    throw new OAuthError('CLIENT_INVALID', 'the client key is not a valid P-256 key')
  }
}
