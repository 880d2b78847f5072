/**
 * Reads and writes sessions in the format of the session store of `@atcute/oauth-node-client` 2. It differs from that of
 * `@atproto/oauth-client-node` in two members.
 *
 * @see https://github.com/mary-ext/atcute/tree/trunk/packages/oauth/node-client
 */
import { OAuthError } from '../errors.ts'
import type { Credentials, P256Jwk } from '../model.ts'
import { isObject } from '../text.ts'
import { fromNodeSession, type NodeSession, type NodeSessionOptions, toNodeSession } from './node-session.ts'

/** The stored value of one account, whose key is the DID. Secret. */
export interface AtcuteSession {
  /** That library signs with P-256 keys, not with secp256k1 keys. */
  dpopKey: P256Jwk & { readonly alg: 'ES256' }
  authMethod: NodeSession['authMethod']
  tokenSet: Omit<NodeSession['tokenSet'], 'expires_at'> & {
    /** Milliseconds since the epoch. */
    expires_at?: number
  }
}

/** Whether a parsed JSON value has the shape of such a session. */
export function isAtcuteSession(value: unknown): boolean {
  return isObject(value) && isObject(value['dpopKey']) && isObject(value['tokenSet'])
}

/**
 * Reads the credentials in a stored value. Sends nothing.
 *
 * @param value untrusted
 * @throws {OAuthError} as {@link fromNodeSession}
 */
export function fromAtcuteSession(value: unknown, options: NodeSessionOptions): Promise<Credentials> {
  return fromNodeSession(asNodeSession(value), options)
}

/** The same value as `@atproto/oauth-client-node` stores it; any other value as it is. */
export function asNodeSession(value: unknown): unknown {
  if (!isAtcuteSession(value)) return value
  const { dpopKey, tokenSet, ...rest } = value as Record<string, unknown> & { tokenSet: Record<string, unknown> }
  const expires = tokenSet['expires_at']
  const time = typeof expires === 'number' && Math.abs(expires) <= 8.64e15 ? new Date(expires).toISOString() : expires
  return { ...rest, dpopJwk: dpopKey, tokenSet: { ...tokenSet, expires_at: time } }
}

/**
 * Converts a session to a stored value, whose key is the DID. The library must use exactly the same client_id.
 *
 * @param credentials with both tokens, issuer and PDS
 * @throws {OAuthError} as {@link toNodeSession}; `CREDENTIALS_INVALID` for a secp256k1 key
 */
export function toAtcuteSession(credentials: Credentials): AtcuteSession {
  const { dpopJwk, authMethod, tokenSet } = toNodeSession(credentials)
  if (dpopJwk.crv !== 'P-256') {
    throw new OAuthError(
      'CREDENTIALS_INVALID',
      'the session has a secp256k1 key, which @atcute/oauth-node-client does not support',
    )
  }
  const { expires_at, ...tokens } = tokenSet
  return {
    dpopKey: dpopJwk,
    authMethod,
    tokenSet: { ...tokens, ...(expires_at !== undefined && { expires_at: Date.parse(expires_at) }) },
  }
}
