/**
 * Turns an XRPC error response into an `OAuthError`.
 *
 * @see https://atproto.com/specs/xrpc#error-responses
 */
import { type LoginFacts, loginFacts, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { readBounded } from '../http/bounded-body.ts'
import { describe, parseJsonObject, rateLimited, serverError, withoutSecrets } from '../http/response.ts'
import { challengeError } from '../http/www-authenticate.ts'
import { requestable } from '../scope/scope.ts'
import type { XrpcRequest } from './request.ts'
import { missingScope, requiredScope } from './required-scope.ts'

/** Bytes. */
const LARGEST = 1024 * 1024

/** The error to throw, and the response body without the session's secrets. */
export async function readXrpcError(
  request: XrpcRequest,
  response: Response,
  record: SessionRecord,
  now: number,
): Promise<{ readonly error: OAuthError; readonly body: string; readonly bytes: Uint8Array | undefined }> {
  const { refreshToken, accessToken, dpopPrivateJwk } = record
  const bytes = await readBounded(response, LARGEST)
  const body = withoutSecrets(new TextDecoder().decode(bytes), [refreshToken, accessToken, dpopPrivateJwk.d])
  return { error: xrpcError(request.nsid, response, body, now, record, request), body, bytes }
}

/**
 * Whether a 401 means that the access token has expired, so that a refresh and a retry can help (RFC 6750 §3.1, RFC
 * 9449 §7.1).
 */
export function isExpiredToken(response: Response): boolean {
  if (response.status !== 401) return false
  return [challengeError(response.headers, 'dpop'), challengeError(response.headers, 'bearer')].includes(
    'invalid_token',
  )
}

/**
 * The error for a 4xx or 5xx of an XRPC method. `body` is the text of the response, and `session` provides the facts
 * for a new login. `request` determines the missing permission if the server does not name it.
 *
 * @returns `PERMISSION_MISSING`, `RATE_LIMITED` or `XRPC_ERROR`
 */
export function xrpcError(
  nsid: string,
  response: Response,
  body: string,
  now: number,
  session: LoginFacts,
  request: XrpcRequest = { nsid },
): OAuthError {
  const refusal = serverError(response.status, parseJsonObject(body))
  if (refusal.status === 429) return rateLimited(nsid, response.headers, now)
  const said = `${nsid} returned ${describe(refusal)}`
  const returned = { status: refusal.status, serverError: refusal.error }
  // Servers differ in the error name. The reference server quotes the scope in its message.
  if (refusal.status === 403 && (refusal.error === 'ScopeMissingError' || refusal.error === 'InsufficientScope')) {
    const named = /scope "([^"]+)"/.exec(refusal.description ?? '')?.[1]
    const missing = missingScope(requiredScope(request), session.scope ?? '').join(' ')
    const scope = named === undefined ? missing : requestable(named)
    const wider = [session.scope || 'atproto', scope].join(' ')
    const what = named === undefined && missing !== '' ? `${said}; it requires ${missing}` : said
    return new OAuthError('PERMISSION_MISSING', what, {
      facts: { ...returned, ...(scope && { ...loginFacts(session), scope: wider }) },
    })
  }
  if (isExpiredToken(response)) {
    return new OAuthError('XRPC_ERROR', `${said}, although the token was just issued`, {
      session: 'unknown',
      facts: { ...loginFacts(session), ...returned, reason: 'new-token-refused' },
    })
  }
  return new OAuthError('XRPC_ERROR', said, { facts: returned })
}
