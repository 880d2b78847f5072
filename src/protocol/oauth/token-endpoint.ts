/**
 * Responses of the token endpoint: tokens are validated, errors explained. `server-agent.ts` sends the requests.
 *
 * @see RFC 6749 §5, §6; https://atproto.com/specs/oauth#tokens-and-session-lifetime
 */
import { type ErrorCode, type ErrorFacts, OAuthError } from '../../errors.ts'
import type { TokenSet } from '../../model.ts'
import type { Clock, HttpResponse } from '../../ports.ts'
import { readText } from '../http/bounded-body.ts'
import {
  describe,
  JSON_LARGEST,
  type JsonObject,
  mediaType,
  parseJsonObject,
  type ServerError,
} from '../http/response.ts'
import { asDid } from '../identity/syntax.ts'
import { scopeTokens } from '../scope/scope.ts'
import { explainInvalidGrant, mayBeCutOff } from './invalid-grant.ts'

/** Seconds. No token lives longer; a larger `expires_in` would only overflow. */
const LIFETIME_LONGEST = 365 * 24 * 3600
/** A number as some servers send it: in quotes. */
const NUMERIC = /^\d{1,400}(?:\.\d{1,20})?$/
/** A visible-ASCII string (RFC 6749 appendix A.12, A.17). */
const TOKEN = /^[\x20-\x7e]{1,16384}$/

/**
 * The body of a 2xx. The tokens in it are the only ones that are left, so neither its status nor its media type, which
 * may be missing or sent twice, is a reason to discard them. A body without tokens may be a gateway's page: then it is
 * unknown whether the server behind it has committed.
 *
 * @throws {OAuthError} `ambiguous`, and `NETWORK_LOST` if the body is cut off
 */
export async function readTokenResponse(
  response: HttpResponse,
  { issuer, ambiguous }: { readonly issuer: string; readonly ambiguous: ErrorCode },
): Promise<JsonObject> {
  const document = parseJsonObject(await readText(response, JSON_LARGEST))
  if (document && anyToken(document) !== undefined) return document
  const came = `${response.status}, ${mediaType(response.headers) || 'no media type'}`
  throw new OAuthError(ambiguous, `the token response of ${issuer} (${came}) contains no tokens`)
}

/** After a 5xx from a gateway it is unknown whether the server has processed the request. */
function isUnclear(refusal: ServerError): boolean {
  return refusal.status >= 500 || isRepeated(refusal)
}

/**
 * Each proof is sent once, so somebody on the way has repeated the request: the server has probably spent the token, and
 * its first response is lost. Nothing but the description tells this from another error of the proof.
 */
function isRepeated({ error, description = '' }: ServerError): boolean {
  return error === 'invalid_dpop_proof' && /replay|reuse|already/i.test(description)
}

function whyRepeated(refusal: ServerError): string {
  return isRepeated(refusal) ? '; something between here and the server, such as a proxy, sends requests twice' : ''
}

/** `EXCHANGE_AMBIGUOUS` or `EXCHANGE_REFUSED`. */
export function exchangeRefused(issuer: string, refusal: ServerError, clientId: string): OAuthError {
  const code = isUnclear(refusal) ? 'EXCHANGE_AMBIGUOUS' : 'EXCHANGE_REFUSED'
  const facts: ErrorFacts =
    code === 'EXCHANGE_REFUSED' && mayBeCutOff(refusal)
      ? { ...responseFacts(refusal), reason: 'code-rejected' }
      : refusalFacts(refusal, clientId)
  return new OAuthError(code, `${issuer} rejected the code: ${explainInvalidGrant(refusal)}${whyRepeated(refusal)}`, {
    facts,
  })
}

/** `SESSION_DEAD`, `REFRESH_AMBIGUOUS` or `REFRESH_REFUSED`. */
export function refreshRefused(issuer: string, refusal: ServerError, clientId: string): OAuthError {
  const isRefused = refusal.status >= 400 && refusal.status < 500
  if (isRefused && refusal.error === 'invalid_grant') {
    return new OAuthError('SESSION_DEAD', ended(issuer, refusal))
  }
  const said = `${issuer} responded to the refresh with ${describe(refusal)}${whyRepeated(refusal)}`
  const facts = refusalFacts(refusal, clientId)
  return new OAuthError(isUnclear(refusal) ? 'REFRESH_AMBIGUOUS' : 'REFRESH_REFUSED', said, { facts })
}

function refusalFacts(refusal: ServerError, clientId: string): ErrorFacts {
  const facts = responseFacts(refusal)
  return isUnclear(refusal) || refusal.error !== 'invalid_client'
    ? facts
    : { ...facts, reason: 'client-rejected', clientId }
}

function responseFacts({ status, error }: ServerError): { status: number; serverError: string | undefined } {
  return { status, serverError: error }
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
  if (refresh_token !== undefined && !isToken(refresh_token)) fail('its refresh_token is not valid')
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

/**
 * Some servers send the number as a string. A lifetime below one second counts as unknown, like one that is no number:
 * such a token is used until it is rejected, because every refresh would return another one like it.
 */
function expiry(expiresIn: unknown, now: number): number | undefined {
  const seconds = typeof expiresIn === 'string' && NUMERIC.test(expiresIn) ? Number(expiresIn) : expiresIn
  if (typeof seconds !== 'number' || !(seconds >= 1)) return undefined
  return now + Math.min(Math.floor(seconds), LIFETIME_LONGEST) * 1000
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && TOKEN.test(value)
}

/** A token in an invalid response, if there is one, to revoke it. */
export function anyToken(document: JsonObject): string | undefined {
  return [document.refresh_token, document.access_token].find(isToken)
}
