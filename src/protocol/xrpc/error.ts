/**
 * An XRPC response that is an error: read, and as one of ours.
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

/** The error to throw, and what the server said, without the secrets of the session that asked. */
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

/** A 401 that means: this access token is over, refresh and try once more (RFC 6750 §3.1, RFC 9449 §7.1). */
export function isExpiredToken(response: Response): boolean {
  if (response.status !== 401) return false
  return [challengeError(response.headers, 'dpop'), challengeError(response.headers, 'bearer')].includes(
    'invalid_token',
  )
}

/**
 * What a 4xx or 5xx of an XRPC method means. `body` is its text, as far as it is text.
 * `session` is whose it was, for the login that gets a better one. With the `request` a missing
 * permission has a name even if the server gives none.
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
  // Two servers, two spellings; the scope itself stands in quotes in the reference's message.
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
