/**
 * Passes one request of a program on to the PDS, and the response back.
 */
import { isOAuthError, type OAuthError, requestedScope } from '../errors.ts'
import type { Clock, LocalRequest, LocalResponse } from '../ports.ts'
import { missingScopes, scopeTokens } from '../protocol/scope/scope.ts'
import { readXrpcError } from '../protocol/xrpc/error.ts'
import type { Session } from '../session/session.ts'

export type PassingSession = Pick<Session, 'fetchHandler' | 'record'>

export interface Passing {
  readonly nsid: string
  readonly request: LocalRequest
  /** Called if the PDS says that the scope is not sufficient. */
  readonly onScopeMissing: (error: OAuthError, scope: string | undefined) => void
}

/** An hour: a program closes its connection when its own timeout ends, which may be long, as with many requests at once. */
const TIMEOUT_SECONDS = 3600
/** Those that are for the front alone, or that the session sets. */
const REQUEST_DROPPED = new Set([
  'accept-encoding',
  'authorization',
  'content-length',
  'cookie',
  'dpop',
  'expect',
  'host',
  'proxy-authorization',
  'upgrade',
  // A read stays one.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])
/** Those of the session, of the PDS's connection, and those with which a page in a browser could read the response. */
const RESPONSE_DROPPED = [
  'alt-svc',
  'dpop-nonce',
  'set-cookie',
  'strict-transport-security',
  'www-authenticate',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
]

/** @throws as `Session.fetchHandler` */
export async function passOn(
  session: PassingSession,
  { nsid, request, onScopeMissing }: Passing,
  { now }: Clock,
): Promise<LocalResponse> {
  const { method, target, signal } = request
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const body = hasBody ? await request.body() : undefined
  const headers: Record<string, string> = {}
  for (const name in request.headers) {
    if (!REQUEST_DROPPED.has(name) && !name.startsWith('sec-')) headers[name] = request.headers[name]!
  }
  const length = request.headers['content-length']
  if (body instanceof ReadableStream && length !== undefined) headers['content-length'] = length
  // A part of encoded content cannot be decoded, and its length is that of the decoded content.
  if (method === 'HEAD' || headers['range'] !== undefined) headers['accept-encoding'] = 'identity'
  const init = { method, headers, signal, body: body ?? null, timeoutSeconds: TIMEOUT_SECONDS }
  const response = await session.fetchHandler(target, init)
  for (const name of RESPONSE_DROPPED) response.headers.delete(name)
  if (response.status < 400) return response
  response.headers.delete('content-length') // a long error is cut
  if (response.status !== 403) return response
  const record = session.record()
  const parameters = [...new URLSearchParams(target.slice(target.indexOf('?') + 1))]
  const asked = { nsid, parameters, headers, ...(body instanceof Uint8Array && { body }) }
  const { error, bytes } = await readXrpcError(asked, response, record, now())
  if (isOAuthError(error, 'PERMISSION_MISSING')) {
    const requested = scopeTokens(requestedScope(record) ?? '')
    const wider = scopeTokens(error.facts.scope ?? '').filter((token) => token !== 'atproto')
    const added = wider.filter((token) => !requested.includes(token))
    const missing = added.length > 0 ? added : missingScopes(wider.join(' '), record.scope ?? '')
    onScopeMissing(error, missing.length > 0 ? missing.join(' ') : undefined)
  }
  return { status: response.status, headers: response.headers, body: bytes ?? null }
}
