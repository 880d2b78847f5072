/**
 * Responses of the token endpoint: tokens are validated, errors explained. `server-agent.ts` sends the requests.
 *
 * @see RFC 6749 §5, §6; https://atproto.com/specs/oauth#tokens-and-session-lifetime
 */
import { OAuthError } from '../../errors.ts'
import type { TokenSet } from '../../model.ts'
import type { Clock } from '../../ports.ts'
import { describe, type JsonObject, type ServerError } from '../http/response.ts'
import { asDid } from '../identity/syntax.ts'
import { scopeTokens } from '../scope/scope.ts'
import { explainInvalidGrant } from './invalid-grant.ts'

/** Seconds. No token lives longer; a larger `expires_in` would only overflow. */
const LIFETIME_LONGEST = 365 * 24 * 3600
/** A visible-ASCII string (RFC 6749 appendix A.12, A.17). */
const TOKEN = /^[\x20-\x7e]{1,16384}$/

/** After a 5xx from a gateway, or another 2xx, it is unknown whether the server has processed the request. */
function isUnclear({ status }: ServerError): boolean {
  return status >= 500 || (status >= 200 && status < 300)
}

/** `EXCHANGE_AMBIGUOUS` or `EXCHANGE_REFUSED`. */
export function exchangeRefused(issuer: string, refusal: ServerError): OAuthError {
  const code = isUnclear(refusal) ? 'EXCHANGE_AMBIGUOUS' : 'EXCHANGE_REFUSED'
  return new OAuthError(code, `${issuer} rejected the code: ${explainInvalidGrant(refusal)}`)
}

/** `SESSION_DEAD`, `REFRESH_AMBIGUOUS` or `REFRESH_REFUSED`. */
export function refreshRefused(issuer: string, refusal: ServerError): OAuthError {
  const isRefused = refusal.status >= 400 && refusal.status < 500
  if (isRefused && refusal.error === 'invalid_grant') {
    return new OAuthError('SESSION_DEAD', ended(issuer, refusal))
  }
  const said = `${issuer} responded to the refresh with ${describe(refusal)}`
  return new OAuthError(isUnclear(refusal) ? 'REFRESH_AMBIGUOUS' : 'REFRESH_REFUSED', said)
}

function ended(issuer: string, refusal: ServerError): string {
  return `${issuer} has ended the session: ${explainInvalidGrant(refusal)}`
}

/**
 * Validates a token response (RFC 6749 §5.1, RFC 9449 §5, and the `sub` and `scope` of atproto). The access token is
 * opaque and never decoded.
 *
 * @throws {OAuthError} `TOKEN_RESPONSE_INVALID`
 */
export function parseTokenResponse(document: JsonObject, dev: boolean, { now }: Clock): TokenSet {
  const { access_token, token_type, refresh_token, expires_in, sub, scope } = document
  const fail = (message: string): never => {
    throw new OAuthError('TOKEN_RESPONSE_INVALID', `invalid token response: ${message}`)
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

/** A lifetime that is not a number is ignored; a negative one means expired. */
function expiry(expiresIn: unknown, now: number): number | undefined {
  if (typeof expiresIn !== 'number' || !Number.isFinite(expiresIn)) return undefined
  return now + Math.max(0, Math.min(Math.floor(expiresIn), LIFETIME_LONGEST)) * 1000
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value)
}

/** A token in an invalid response, if there is one, to revoke it. */
export function anyToken(document: JsonObject): string | undefined {
  return [document.refresh_token, document.access_token].find(isToken)
}
