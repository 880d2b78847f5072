/**
 * Reads and writes sessions in the format of the session store of `@atproto/oauth-client-node` 0.2 to 0.5. The earliest
 * versions do not store the authentication method of the client.
 *
 * @see https://github.com/bluesky-social/atproto/tree/main/packages/oauth/oauth-client-node
 */
import * as v from '@badrap/valita'
import { type ErrorFacts, OAuthError } from '../errors.ts'
import type { ClientJwk, ClientKeyName, Credentials, P256Jwk, PrivateJwk } from '../model.ts'
import { importDpopKey, jwkThumbprint } from '../protocol/oauth/dpop.ts'
import { type Fault, firstFault } from './fault.ts'
import { claimsOf } from './read.ts'
import {
  type AtprotoScope,
  didSchema,
  isAtprotoScope,
  privateJwkMembersSchema,
  readWith,
  scopeSchema,
  serverSchema,
  textSchema,
  tokenSchema,
} from './schemas.ts'

const authMethodSchema = v.union(
  v.object({ method: v.literal('none') }),
  v.object({ method: v.literal('private_key_jwt'), kid: textSchema }),
)

type AuthMethod = v.Infer<typeof authMethodSchema>

/**
 * The stored value of one account, whose key is the DID. The type is stricter than what is accepted as input, so that
 * it matches the library's own types. Secret.
 */
export interface NodeSession {
  /** The library generates a secp256k1 key for a server that lists ES256K first. */
  dpopJwk: (P256Jwk & { readonly alg: 'ES256' }) | (PrivateJwk & { readonly crv: 'secp256k1'; readonly alg: 'ES256K' })
  authMethod: AuthMethod
  tokenSet: {
    /** The authorization server. */
    iss: string
    sub: `did:plc:${string}` | `did:web:${string}`
    /** The PDS, with a trailing slash. */
    aud: string
    scope: AtprotoScope
    refresh_token: string
    access_token: string
    token_type: 'DPoP'
    /** ISO 8601. */
    expires_at?: string
  }
}

export interface NodeSessionOptions {
  /** The exact client_id of the other program, which the stored value does not contain. */
  readonly clientId: string
  /** The private key of that client, if it is confidential. */
  readonly clientJwk?: ClientJwk | undefined
  /** Allows `http:` servers. */
  readonly dev?: boolean | undefined
}

/** The stored value as any of these versions writes it. */
function nodeSessionSchema(dev: boolean) {
  const server = serverSchema(dev)
  return v.object({
    tokenSet: v.object({
      iss: server,
      sub: didSchema(dev),
      aud: server,
      scope: scopeSchema,
      refresh_token: tokenSchema,
      access_token: tokenSchema,
      token_type: v.literal('DPoP'),
      expires_at: textSchema.chain(readWith(parseTime, 'is not a timestamp')).optional(),
    }),
    dpopJwk: privateJwkMembersSchema,
    /** Missing in the earliest versions. */
    authMethod: authMethodSchema.optional(),
  })
}

const wholeStoreSchema = v.object({ tokenSet: v.undefined().optional() }).rest(v.unknown())
const accessTokenSchema = v.object({ tokenSet: v.object({ access_token: v.string() }) })

const WHOLE_STORE = 'the JSON is a whole session store instead of one session'
const SHAPE = { reason: 'node-session-expected' } as const

/**
 * Reads the credentials in a stored value. It also checks that they belong together, if the access token can be
 * decoded, as those of the reference server can. Sends nothing.
 *
 * @param value untrusted
 * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_MISMATCH`; a message never quotes
 *   a secret
 */
export async function fromNodeSession(value: unknown, options: NodeSessionOptions): Promise<Credentials> {
  const { clientId, dev = false } = options
  const session = nodeSessionSchema(dev).try(value, { mode: 'strip' })
  if (!session.ok) throw invalid(isWholeStore(value) ? WHOLE_STORE : sentenceOf(firstFault(session, value)))
  const { dpopJwk: dpopPrivateJwk, authMethod, tokenSet } = session.value
  const { sub: did, iss: issuer, aud: server, scope } = tokenSet
  const { access_token: accessToken, refresh_token: refreshToken, expires_at: accessTokenExpiresAt } = tokenSet
  const { thumbprint } = await importDpopKey(dpopPrivateJwk)
  checkClaims(accessToken, { sub: did, client_id: clientId, jkt: thumbprint })
  return {
    did,
    clientId,
    clientKey: await clientKeyFor(authMethod, options),
    dpopPrivateJwk,
    server,
    refreshToken,
    accessToken,
    accessTokenExpiresAt,
    issuer,
    scope,
    thumbprint,
  }
}

/**
 * Converts a session to a stored value, whose key is the DID. The library must use exactly the same client_id; for a
 * loopback client: `clientMetadata: atprotoLoopbackClientMetadata(clientId)`.
 *
 * @param credentials with both tokens, issuer and PDS
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_INVALID` the scope is not that of a session
 */
export function toNodeSession(credentials: Credentials): NodeSession {
  const { did, clientKey, dpopPrivateJwk, server, refreshToken, accessToken, issuer } = credentials
  const needed = { refreshToken, accessToken, issuer, server }
  const missing = Object.entries(needed).flatMap(([name, value]) => (value === undefined ? [name] : []))
  if (!refreshToken || !accessToken || !issuer || !server) {
    throw new OAuthError('CREDENTIALS_INCOMPLETE', `cannot export the session: missing ${missing.join(', ')}`)
  }
  const { scope = 'atproto' } = credentials
  if (!isAtprotoScope(scope))
    throw new OAuthError('CREDENTIALS_INVALID', 'the session scope does not include "atproto"')
  const expiresAt = credentials.accessTokenExpiresAt
  return {
    dpopJwk: withAlgorithm(dpopPrivateJwk),
    authMethod: clientKey ? { method: 'private_key_jwt', kid: clientKey.kid } : { method: 'none' },
    tokenSet: {
      iss: issuer,
      sub: did,
      aud: `${server}/`,
      scope,
      refresh_token: refreshToken,
      access_token: accessToken,
      token_type: 'DPoP',
      ...(expiresAt !== undefined && { expires_at: new Date(expiresAt).toISOString() }),
    },
  }
}

function withAlgorithm({ kty, crv, x, y, d }: PrivateJwk): NodeSession['dpopJwk'] {
  return crv === 'P-256' ? { kty, crv, x, y, d, alg: 'ES256' } : { kty, crv, x, y, d, alg: 'ES256K' }
}

/**
 * The client_id in the access token, if it can be decoded, to suggest it to the user.
 *
 * @param value untrusted
 */
export function nodeSessionClientId(value: unknown): string | undefined {
  const session = accessTokenSchema.try(value, { mode: 'passthrough' })
  return session.ok ? claimsOf(session.value.tokenSet.access_token).client_id : undefined
}

/**
 * Checks the claims of the access token, if it can be decoded: a refresh with a wrong key or client would end the
 * session.
 */
function checkClaims(accessToken: string, expected: { sub: string; client_id: string; jkt: string }): void {
  const { sub, client_id, cnf } = claimsOf(accessToken)
  const differs = (said: string | undefined, name: keyof typeof expected) =>
    said !== undefined && said !== expected[name]
  const mismatch = (message: string, facts: ErrorFacts) => new OAuthError('CREDENTIALS_MISMATCH', message, { facts })
  if (differs(sub, 'sub')) throw mismatch('the access token belongs to another account than tokenSet.sub', SHAPE)
  if (differs(cnf?.jkt, 'jkt')) throw mismatch('dpopJwk is not the key that the access token is bound to', SHAPE)
  if (differs(client_id, 'client_id')) {
    const facts = { reason: 'client-id-differs', clientId: String(client_id) } as const
    throw mismatch(`the session was created with the client_id ${client_id}, not ${expected.client_id}`, facts)
  }
}

/** A refresh must use the client key that the session was created with, or none if there was none. */
async function clientKeyFor(
  authMethod: AuthMethod | undefined,
  { clientId, clientJwk }: NodeSessionOptions,
): Promise<ClientKeyName | undefined> {
  if (authMethod === undefined) return undefined // written by one of the earliest versions
  const isHosted = clientId.startsWith('https:')
  if (authMethod.method === 'none') {
    if (!isHosted || !clientJwk) return undefined
    throw new OAuthError('CREDENTIALS_MISMATCH', 'the session was created without a client key, but one is set', {
      facts: { reason: 'client-key-unwanted' },
    })
  }
  const { kid } = authMethod
  if (!isHosted)
    throw new OAuthError('CREDENTIALS_MISMATCH', `the session was created with a client key, but ${clientId} has none`)
  const facts = { reason: 'client-key-needed', clientId, kid } as const
  if (!clientJwk) {
    throw new OAuthError(
      'CREDENTIALS_INCOMPLETE',
      `the session was created with the client key "${kid}", but none is set`,
      { facts },
    )
  }
  if (clientJwk.kid !== kid) {
    const message = `the session was created with the client key "${kid}", but "${clientJwk.kid}" is set`
    throw new OAuthError('CREDENTIALS_MISMATCH', message, { facts })
  }
  return { kid, thumbprint: await jwkThumbprint(clientJwk) }
}

/** Milliseconds since the epoch. */
function parseTime(text: string): number | undefined {
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}

function isWholeStore(value: unknown): boolean {
  const store = wholeStoreSchema.try(value)
  return store.ok && Object.keys(store.value).some((name) => name.startsWith('did:'))
}

function sentenceOf({ path, what }: Fault): string {
  return `${path.length === 0 ? 'the session' : path.join('.')} ${what}`
}

function invalid(message: string): OAuthError {
  return new OAuthError('CREDENTIALS_INVALID', message, { facts: SHAPE })
}
