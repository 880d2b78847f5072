/**
 * The responses that a front gives itself.
 */
import { isOAuthError, type OAuthError } from '../errors.ts'
import type { LocalResponse } from '../ports.ts'

const JSON_TYPE = ['content-type', 'application/json; charset=utf-8'] as const
/** As of the reference server. */
const PRIVATE = ['cache-control', 'private'] as const

export function jsonResponse(body: object): LocalResponse {
  return { status: 200, headers: [JSON_TYPE, PRIVATE], body: JSON.stringify(body) }
}

/** @see https://atproto.com/specs/xrpc#error-responses */
export function xrpcFailure(status: number, error: string, message: string): LocalResponse {
  return { status, headers: [JSON_TYPE, PRIVATE], body: JSON.stringify({ error, message }) }
}

const UPSTREAM = ['NETWORK_UNREACHABLE', 'NETWORK_LOST', 'HOST_NOT_FOUND', 'ADDRESS_REFUSED'] as const
const LATER = ['SERVER_UNAVAILABLE', 'SESSION_BUSY', 'VAULT_UNREACHABLE', 'STORE_UNAVAILABLE'] as const

/** Why a request could not be passed on. A program that signs in or refreshes again in response ends with an error. */
export function failureResponse(error: OAuthError): LocalResponse {
  const { message } = error
  if (error.session === 'dead') return xrpcFailure(401, 'AuthenticationRequired', message)
  if (isOAuthError(error, 'USAGE', 'NSID_INVALID')) return xrpcFailure(400, 'InvalidRequest', message)
  if (isOAuthError(error, 'RATE_LIMITED')) return xrpcFailure(429, 'RateLimitExceeded', message)
  if (isOAuthError(error, ...UPSTREAM)) return xrpcFailure(502, 'UpstreamFailure', message)
  if (isOAuthError(error, ...LATER)) return xrpcFailure(503, 'ServiceUnavailable', message)
  return xrpcFailure(500, 'InternalServerError', message)
}
