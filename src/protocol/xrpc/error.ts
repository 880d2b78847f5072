/**
 * Turns an XRPC error response into an `OAuthError`.
 *
 * @see https://atproto.com/specs/xrpc#error-responses
 */

import { type LoginFacts, loginFacts, OAuthError, requestedScope } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { HttpResponse } from '../../ports.ts'
import { decodeUtf8 } from '../../text.ts'
import { readBounded } from '../http/bounded-body.ts'
import { peek } from '../http/http-response.ts'
import {
  describe,
  mediaType,
  parseJsonObject,
  rateLimited,
  type ServerError,
  serverError,
  withoutSecrets,
} from '../http/response.ts'
import { isClockOf } from '../http/server-clock.ts'
import { challengeError } from '../http/www-authenticate.ts'
import { requestable, scopeTokens } from '../scope/scope.ts'
import { refusalReason, unavailableReason } from './lexicons.ts'
import type { XrpcRequest } from './request.ts'
import { missingScope, requiredScope } from './required-scope.ts'
import { serviceAt } from './services.ts'

/** Bytes. */
const LARGEST = 1024 * 1024

/** The error to throw, and the response body without the session's secrets. */
export async function readXrpcError(
  request: XrpcRequest,
  response: HttpResponse,
  record: SessionRecord,
  now: number,
): Promise<{ readonly error: OAuthError; readonly body: string; readonly bytes: Uint8Array | undefined }> {
  const { refreshToken, accessToken, dpopPrivateJwk } = record
  const bytes = await readBounded(response, LARGEST)
  const body = withoutSecrets(new TextDecoder().decode(bytes), [refreshToken, accessToken, dpopPrivateJwk.d])
  return { error: xrpcError(request.nsid, response, body, now, record, request), body, bytes }
}

/**
 * Whether a response means that the access token has expired, so that a refresh and a retry can help: a 401 with the
 * challenge `invalid_token` (RFC 6750 §3.1, RFC 9449 §7.1). Some servers send no challenge, and name the error in the
 * body alone.
 *
 * @param body the text of the response, if it was read
 */
export function isExpiredToken({ status, headers }: HttpResponse, body?: string): boolean {
  if (headers.has('www-authenticate')) {
    const errors = [challengeError(headers, 'dpop'), challengeError(headers, 'bearer')]
    return status === 401 && errors.includes('invalid_token')
  }
  if (!maySayExpiredToken({ status })) return false
  const error = parseJsonObject(body)?.error
  // With a 400, the reference server says InvalidToken of a token that no refresh would repair.
  return error === 'ExpiredToken' || (error === 'InvalidToken' && status === 401)
}

/** By the status alone: if it is false, {@link isExpiredToken} is too. */
export function maySayExpiredToken({ status }: Pick<HttpResponse, 'status'>): boolean {
  return status === 400 || status === 401
}

/** As {@link isExpiredToken}, for a response whose body is not read yet: that of the returned one can still be read. */
export async function saysExpiredToken(
  response: HttpResponse,
): Promise<{ readonly isExpired: boolean; readonly response: HttpResponse }> {
  const { status, headers } = response
  const isInBody = maySayExpiredToken({ status }) && !headers.has('www-authenticate')
  if (!isInBody || mediaType(headers) !== 'application/json') return { isExpired: isExpiredToken(response), response }
  const { bytes, response: again } = await peek(response, LARGEST)
  return { isExpired: isExpiredToken(response, bytes && decodeUtf8(bytes)), response: again }
}

/**
 * The error for a 4xx or 5xx of an XRPC method. `body` is the text of the response, and `session` provides the facts
 * for a new login. `request` determines the missing permission if the server does not name it.
 *
 * @returns `PERMISSION_MISSING`, `RATE_LIMITED` or `XRPC_ERROR`
 */
export function xrpcError(
  nsid: string,
  response: HttpResponse,
  body: string,
  now: number,
  session: LoginFacts & { readonly requestedScope?: string | undefined },
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
    const wider = [
      ...new Set([...scopeTokens(requestedScope(session) || 'atproto'), ...scopeTokens(scope ?? '')]),
    ].join(' ')
    const audience = bareAudience(request)
    if (audience !== undefined) {
      const why = `a permission cannot name the bare DID ${audience}, only one of its services`
      return new OAuthError('PERMISSION_MISSING', `${said}: ${why}`, {
        facts: {
          ...returned,
          ...loginFacts(session),
          scope: wider,
          reason: 'audience-bare',
          audience: serviceOfAudience(audience, session.scope ?? ''),
        },
      })
    }
    const what = named === undefined && missing !== '' ? `${said}; it requires ${missing}` : said
    return new OAuthError('PERMISSION_MISSING', what, {
      facts: { ...returned, ...(scope && { ...loginFacts(session), scope: wider }) },
    })
  }
  if (isExpiredToken(response, body)) {
    return new OAuthError('XRPC_ERROR', `${said}, although the token has not expired`, {
      session: 'unknown',
      facts: {
        ...loginFacts(session),
        ...returned,
        reason: 'new-token-refused',
        isClockRight: isClockOf(response.headers, now),
      },
    })
  }
  if (isWithoutAppView(request, refusal)) {
    return new OAuthError('XRPC_ERROR', said, { facts: { ...returned, reason: 'app-view-missing' } })
  }
  // A 400 may also be about the request.
  const closed =
    refusal.status === 401 || refusal.status === 403
      ? refusalReason(nsid)
      : refusal.status === 400
        ? unavailableReason(nsid)
        : undefined
  if (closed !== undefined) {
    return new OAuthError('XRPC_ERROR', `${said}: ${closed}`, { facts: { ...returned, reason: 'method-unavailable' } })
  }
  return new OAuthError('XRPC_ERROR', said, { facts: returned })
}

/** The audience of a service token that is requested for a DID without a service. */
function bareAudience({ nsid, parameters = [] }: XrpcRequest): string | undefined {
  if (nsid !== 'com.atproto.server.getServiceAuth') return undefined
  return parameters.find(([name, value]) => name === 'aud' && !value.includes('#'))?.[1]
}

/** The service of that DID that the session may call, or a well-known one. */
function serviceOfAudience(did: string, scope: string): string | undefined {
  const granted = scopeTokens(scope).map((token) => /^rpc[:?].*\baud=([^&]+)/.exec(token)?.[1])
  const audiences = granted.map((audience) => audience?.replace(/%3A/gi, ':').replace(/%23/g, '#'))
  return audiences.find((audience) => audience?.startsWith(`${did}#`)) ?? serviceAt(did)
}

/** A PDS without an AppView says that there is no such method, or (the reference) that no service is configured. */
function isWithoutAppView({ nsid, headers = {} }: XrpcRequest, { status, description }: ServerError): boolean {
  if (!nsid.startsWith('app.bsky.')) return false
  if (Object.keys(headers).some((name) => name.toLowerCase() === 'atproto-proxy')) return false
  return status === 404 || status === 501 || (status === 400 && /^No service configured/.test(description ?? ''))
}
