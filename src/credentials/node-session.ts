/**
 * Sessions as `@atproto/oauth-client-node` keeps them in its session store, read and made. Its versions 0.2 to 0.5 keep
 * the same, except that the earliest did not write down how the client authenticates.
 *
 * @see https://github.com/bluesky-social/atproto/tree/main/packages/oauth/oauth-client-node
 * @module
 */
import { calculateJwkThumbprint } from 'jose'
import { OAuthError } from '../errors.ts'
import { shellQuote } from '../hints.ts'
import type { ClientJwk, ClientKeyName, Credentials, PrivateJwk } from '../model.ts'
import { asDid } from '../protocol/identity/syntax.ts'
import { asPrivateJwk, importDpopKey } from '../protocol/oauth/dpop.ts'
import { asServer, claimsOf, TOKEN } from './read.ts'

/** The value of one account in that store, whose key there is the DID. Secret. */
export interface NodeSession {
  dpopJwk: PrivateJwk & { readonly alg: 'ES256' }
  authMethod: { method: 'none' } | { method: 'private_key_jwt'; kid: string }
  tokenSet: {
    /** The authorization server. */
    iss: string
    sub: `did:plc:${string}` | `did:web:${string}`
    /** The PDS, with a slash at its end. */
    aud: string
    scope: 'atproto' | `atproto ${string}` | `${string} atproto` | `${string} atproto ${string}`
    refresh_token: string
    access_token: string
    token_type: 'DPoP'
    /** ISO 8601. */
    expires_at?: string
  }
}

export interface NodeSessionOptions {
  /** The exact client_id that the other program signs in with: the stored value does not say it. */
  readonly clientId: string
  /** The private key of that client, if it is a confidential one. */
  readonly clientJwk?: ClientJwk | undefined
  /** Allows `http:` servers. */
  readonly dev?: boolean | undefined
}

const SHAPE = 'give what the store has for one DID, as JSON: {"dpopJwk": …, "authMethod": …, "tokenSet": …}'

/**
 * The credentials in a stored value. Besides its form it is judged whether its parts belong together, as far as the
 * access token tells: to the reference server's it does. Nothing is sent.
 *
 * @param value untrusted
 * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_MISMATCH`; a message never quotes a
 *   secret
 */
export async function fromNodeSession(value: unknown, options: NodeSessionOptions): Promise<Credentials> {
  const { clientId, dev = false } = options
  const session = members(value, 'the session')
  if (session.tokenSet === undefined && Object.keys(session).some((name) => name.startsWith('did:'))) {
    throw invalid('the JSON is a whole store, by DID, instead of the session of one')
  }
  const tokens = members(session.tokenSet, 'tokenSet')
  const dpopPrivateJwk = asPrivateJwk(members(session.dpopJwk, 'dpopJwk'))
  if (!dpopPrivateJwk) throw invalid('dpopJwk is not a private P-256 JWK')
  const did = asDid(text(tokens, 'sub'), dev)
  if (!did) throw invalid('tokenSet.sub is not an atproto DID')
  const origin = (name: string) => {
    const server = asServer(text(tokens, name), dev)
    if (server) return server
    throw invalid(`tokenSet.${name} is not an https origin`)
  }
  const [issuer, pdsIssuer] = [origin('iss'), origin('aud')]
  if (text(tokens, 'token_type') !== 'DPoP') throw invalid('tokenSet.token_type is not DPoP')
  const scope = text(tokens, 'scope')
  if (!TOKEN.test(scope) || !scope.split(' ').includes('atproto')) throw invalid('tokenSet.scope is not one of atproto')
  const [accessToken, refreshToken] = [token(tokens, 'access_token'), token(tokens, 'refresh_token')]
  const accessTokenExpiresAt = tokens.expires_at === undefined ? undefined : Date.parse(text(tokens, 'expires_at'))
  if (Number.isNaN(accessTokenExpiresAt)) throw invalid('tokenSet.expires_at is not a time')
  const { thumbprint } = await importDpopKey(dpopPrivateJwk)
  checkClaims(accessToken, { sub: did, client_id: clientId, jkt: thumbprint })
  return {
    did,
    clientId,
    clientKey: await clientKeyFor(session.authMethod, options),
    dpopPrivateJwk,
    pdsIssuer,
    refreshToken,
    accessToken,
    accessTokenExpiresAt,
    issuer,
    scope,
    thumbprint,
  }
}

/**
 * A session as that library's store keeps it, whose key there is the DID. The library has to be given the same client_id,
 * letter for letter: for a loopback client `clientMetadata: atprotoLoopbackClientMetadata(clientId)`.
 *
 * @param credentials with both tokens, issuer and PDS
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`
 */
export function toNodeSession(credentials: Credentials): NodeSession {
  const { did, clientKey, dpopPrivateJwk, pdsIssuer, refreshToken, accessToken, issuer } = credentials
  const needed = { refreshToken, accessToken, issuer, pdsIssuer }
  const missing = Object.entries(needed).flatMap(([name, value]) => (value === undefined ? [name] : []))
  if (!refreshToken || !accessToken || !issuer || !pdsIssuer) {
    throw new OAuthError(
      'CREDENTIALS_INCOMPLETE',
      `the session cannot be handed over without its ${missing.join(', ')}`,
    )
  }
  const { kty, crv, x, y, d } = dpopPrivateJwk
  const expiresAt = credentials.accessTokenExpiresAt
  return {
    dpopJwk: { kty, crv, x, y, d, alg: 'ES256' },
    authMethod: clientKey ? { method: 'private_key_jwt', kid: clientKey.kid } : { method: 'none' },
    tokenSet: {
      iss: issuer,
      sub: did,
      aud: `${pdsIssuer}/`,
      scope: (credentials.scope ?? 'atproto') as NodeSession['tokenSet']['scope'], // every session has atproto
      refresh_token: refreshToken,
      access_token: accessToken,
      token_type: 'DPoP',
      ...(expiresAt !== undefined && { expires_at: new Date(expiresAt).toISOString() }),
    },
  }
}

/**
 * The client_id that a stored value's access token names, if it can be read: to ask whether it is that one.
 *
 * @param value untrusted
 */
export function clientIdOf(value: unknown): string | undefined {
  const { tokenSet } = (value ?? {}) as { tokenSet?: { access_token?: unknown } }
  const { client_id } = claimsOf(tokenSet?.access_token)
  return typeof client_id === 'string' ? client_id : undefined
}

/** What the access token says of itself, if it says anything: a foreign key or client would cost the session. */
function checkClaims(accessToken: string, expected: { sub: string; client_id: string; jkt: string }): void {
  const { sub, client_id, cnf } = claimsOf(accessToken)
  const { jkt } = (cnf ?? {}) as { jkt?: unknown }
  const differs = (said: unknown, name: keyof typeof expected) => typeof said === 'string' && said !== expected[name]
  const mismatch = (message: string, hint: string) => new OAuthError('CREDENTIALS_MISMATCH', message, { hint })
  if (differs(sub, 'sub')) throw mismatch('the access token is of another account than tokenSet.sub', SHAPE)
  if (differs(jkt, 'jkt')) throw mismatch('dpopJwk is not the key that the access token is bound to', SHAPE)
  if (differs(client_id, 'client_id')) {
    const hint = `--client-id ${shellQuote(String(client_id))}`
    throw mismatch(`the session was made with the client_id ${client_id}, not ${expected.client_id}`, hint)
  }
}

/** A refresh has to come with the very key that the session was made with, or with none. */
async function clientKeyFor(
  authMethod: unknown,
  { clientId, clientJwk }: NodeSessionOptions,
): Promise<ClientKeyName | undefined> {
  if (authMethod === undefined) return undefined // as the earliest versions left it
  const { method, kid } = members(authMethod, 'authMethod')
  const isHosted = clientId.startsWith('https:')
  if (method === 'none') {
    if (!isHosted || !clientJwk) return undefined
    throw new OAuthError('CREDENTIALS_MISMATCH', 'the session was made without a client key, and one is set', {
      hint: 'unset ATPROTO_OAUTH_CLIENT_JWK for this session',
    })
  }
  if (method !== 'private_key_jwt') throw invalid('authMethod.method is neither none nor private_key_jwt')
  if (typeof kid !== 'string' || kid === '') throw invalid('authMethod.kid is missing')
  if (!isHosted) throw new OAuthError('CREDENTIALS_MISMATCH', `the session has a client key, and ${clientId} has none`)
  const hint = `set ATPROTO_OAUTH_CLIENT_JWK to the private key that ${clientId} has published as ${kid}`
  if (!clientJwk) {
    throw new OAuthError('CREDENTIALS_INCOMPLETE', `the session was made with the client key ${kid}`, { hint })
  }
  if (clientJwk.kid !== kid) {
    const message = `the session was made with the client key ${kid}, and ATPROTO_OAUTH_CLIENT_JWK holds ${clientJwk.kid}`
    throw new OAuthError('CREDENTIALS_MISMATCH', message, { hint })
  }
  const { kty, crv, x, y } = clientJwk
  return { kid, thumbprint: await calculateJwkThumbprint({ kty, crv, x, y }) }
}

function members(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (value === undefined) throw invalid(`${name} is missing`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${name} is not an object`)
  return value as Readonly<Record<string, unknown>>
}

function text(tokens: Readonly<Record<string, unknown>>, name: string): string {
  const value = tokens[name]
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`tokenSet.${name} is ${value === undefined || value === '' ? 'missing' : 'not a text'}`)
}

function token(tokens: Readonly<Record<string, unknown>>, name: string): string {
  const value = text(tokens, name)
  if (TOKEN.test(value)) return value
  throw invalid(`tokenSet.${name} holds characters that no token has`)
}

function invalid(message: string): OAuthError {
  return new OAuthError('CREDENTIALS_INVALID', message, { hint: SHAPE })
}
