/**
 * The token endpoint: exchange, refresh, revocation. Sending and judging are
 * apart, for after the first there may be a session to end if the second fails.
 *
 * @see RFC 6749 §4.1.3, §5, §6; RFC 7009 §2; https://atproto.com/specs/oauth#tokens-and-session-lifetime
 * @module
 */
import { type ErrorCode, isOAuthError, OAuthError } from '../../errors.ts'
import type { AuthorizationServer, Origin, PendingAuthorization, TokenSet } from '../../model.ts'
import type { Clock } from '../../ports.ts'
import {
  describe,
  type JsonObject,
  rateLimited,
  readJsonObject,
  readServerError,
  type ServerError,
} from '../http/response.ts'
import { asDid } from '../identity/syntax.ts'
import { scopeTokens } from '../scope/scope.ts'
import { postForm } from './authorization-request.ts'
import type { DpopFetch } from './dpop-fetch.ts'
import { explainInvalidGrant } from './invalid-grant.ts'

/** No token lives longer; a larger `expires_in` would only overflow later. */
const LIFETIME_LONGEST = 365 * 24 * 3600
/** Seconds. Giving up is costly here: what was sent is spent, whether or not we wait for the answer. */
const TOKEN_TIMEOUT = 45
/** What is spent once goes on no connection of which nobody knows whether it still stands. */
const ONCE = { timeoutSeconds: TOKEN_TIMEOUT, ownConnection: true } as const
/** A visible-ASCII string (RFC 6749 appendix A.12, A.17). */
const TOKEN = /^[\x20-\x7e]{1,16384}$/

/**
 * Sends the code, once: any answer but a nonce challenge uses it up.
 *
 * @returns the answer of a server that issued tokens, not yet judged
 * @throws {OAuthError} `NETWORK_UNREACHABLE` (not sent), `EXCHANGE_AMBIGUOUS`, `EXCHANGE_REFUSED`, `RATE_LIMITED`
 */
export async function exchangeCode(
  server: AuthorizationServer,
  pending: PendingAuthorization,
  code: string,
  dpopFetch: DpopFetch,
  ports: Clock,
): Promise<JsonObject> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    redirect_uri: pending.redirectUri,
    code_verifier: pending.codeVerifier,
    client_id: pending.clientId,
  })
  try {
    const response = await postForm(server.token_endpoint, form, dpopFetch, ONCE)
    if (response.status === 200) return await readTokenResponse(response, server, 'EXCHANGE_AMBIGUOUS')
    if (response.status === 429) throw rateLimited(server.issuer, response.headers, ports.now())
    const refusal = await readServerError(response, form)
    const code = refusal.status >= 500 || response.ok ? 'EXCHANGE_AMBIGUOUS' : 'EXCHANGE_REFUSED'
    throw new OAuthError(code, `${server.issuer} did not exchange the code: ${explainInvalidGrant(refusal)}`)
  } catch (error) {
    if (!isOAuthError(error, 'NETWORK_LOST')) throw error
    throw new OAuthError('EXCHANGE_AMBIGUOUS', `the code was sent, but no answer came (${error.message})`, {
      cause: error,
    })
  }
}

/**
 * Spends the refresh token. Called by the refresh transaction only.
 *
 * @returns the answer of a server that issued tokens, not yet judged
 * @throws {OAuthError} `NETWORK_UNREACHABLE` (not sent), `SESSION_DEAD`, `REFRESH_AMBIGUOUS`, `REFRESH_REFUSED`,
 *   `RATE_LIMITED`
 */
export async function sendRefresh(
  server: AuthorizationServer,
  { clientId, refreshToken }: { readonly clientId: string; readonly refreshToken: string },
  dpopFetch: DpopFetch,
  ports: Clock,
): Promise<JsonObject> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: clientId,
  })
  try {
    const response = await postForm(server.token_endpoint, form, dpopFetch, ONCE)
    if (response.status === 200) return await readTokenResponse(response, server, 'REFRESH_AMBIGUOUS')
    if (response.status === 429) throw rateLimited(server.issuer, response.headers, ports.now())
    const refusal = await readServerError(response, form)
    const isRefused = refusal.status >= 400 && refusal.status < 500
    if (isRefused && refusal.error === 'invalid_grant') {
      throw new OAuthError('SESSION_DEAD', ended(server.issuer, refusal))
    }
    const said = `${server.issuer} answered the refresh with ${describe(refusal)}`
    // A gateway's 5xx, or a success of another kind, does not tell whether the server behind it has committed.
    throw new OAuthError(refusal.status >= 500 || response.ok ? 'REFRESH_AMBIGUOUS' : 'REFRESH_REFUSED', said)
  } catch (error) {
    if (!isOAuthError(error, 'NETWORK_LOST')) throw error
    throw new OAuthError('REFRESH_AMBIGUOUS', `the refresh was sent, but no answer came (${error.message})`, {
      cause: error,
    })
  }
}

function ended(issuer: Origin, refusal: ServerError): string {
  return `${issuer} says that the session has ended: ${explainInvalidGrant(refusal)}`
}

/** A 200 without JSON may be a gateway's page: it is not known then whether the server behind it has committed. */
async function readTokenResponse(
  response: Response,
  { issuer }: AuthorizationServer,
  code: ErrorCode,
): Promise<JsonObject> {
  return readJsonObject(response, { what: `the token response of ${issuer}`, code })
}

/**
 * RFC 6749 §5.1, RFC 9449 §5, and what atproto adds (`sub`, `scope`). The access
 * token stays opaque: it is never decoded.
 *
 * @throws {OAuthError} `TOKEN_RESPONSE_INVALID`
 */
export function parseTokenResponse(document: JsonObject, dev: boolean, { now }: Clock): TokenSet {
  const { access_token, token_type, refresh_token, expires_in, sub, scope } = document
  const fail = (message: string): never => {
    throw new OAuthError('TOKEN_RESPONSE_INVALID', `the token response is not usable: ${message}`)
  }
  const accessToken = isToken(access_token) ? access_token : fail('it has no access_token')
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'dpop') fail('its token_type is not DPoP')
  if (refresh_token !== undefined && !isToken(refresh_token)) fail('its refresh_token is not a token')
  const did = typeof sub === 'string' ? asDid(sub, dev) : undefined
  const granted = typeof scope === 'string' ? scope : fail('it has no scope')
  if (!scopeTokens(granted).includes('atproto')) fail('its scope lacks atproto')
  return {
    accessToken,
    accessTokenExpiresAt: expiry(expires_in, now()),
    refreshToken: refresh_token as string | undefined,
    sub: did ?? fail('its sub is not an atproto DID'),
    scope: granted,
  }
}

/** A lifetime that is no number is not known; a negative one is over. */
function expiry(expiresIn: unknown, now: number): number | undefined {
  if (typeof expiresIn !== 'number' || !Number.isFinite(expiresIn)) return undefined
  return now + Math.max(0, Math.min(Math.floor(expiresIn), LIFETIME_LONGEST)) * 1000
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value)
}

/**
 * RFC 7009 §2.1, with a proof of the session's key, without which a server may
 * answer 200 and end nothing.
 *
 * @returns whether the server said that the token is revoked
 */
export async function revokeToken(
  server: AuthorizationServer,
  { clientId, token }: { readonly clientId: string; readonly token: string },
  dpopFetch: DpopFetch,
): Promise<boolean> {
  if (server.revocation_endpoint === undefined) return false
  try {
    const form = new URLSearchParams({ token, client_id: clientId })
    const response = await postForm(server.revocation_endpoint, form, dpopFetch)
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

/** Whatever in an unusable token response could still be revoked. */
export function anyToken(document: JsonObject): string | undefined {
  return [document.refresh_token, document.access_token].find(isToken)
}
