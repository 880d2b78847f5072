/**
 * NSID, parameters and body → one request to the account's PDS, and XRPC errors →
 * ours.
 *
 * @see https://atproto.com/specs/xrpc
 * @module
 */
import { OAuthError } from '../../errors.ts'
import { type Login, loginCommand } from '../../hints.ts'
import type { Did } from '../../model.ts'
import type { Body } from '../../ports.ts'
import { describe, parseJsonObject, rateLimited, serverError } from '../http/response.ts'
import { challengeError } from '../http/www-authenticate.ts'
import { asNsid, isDid } from '../identity/syntax.ts'
import { requestable } from '../scope/scope.ts'
import { missingScope, requiredScope } from './required-scope.ts'
import type { XrpcRequest } from './xrpc-request.ts'

export type { XrpcRequest } from './xrpc-request.ts'

export interface HttpRequest {
  /** Path and query, for the origin of the PDS. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Body
}

/** Ours to set: with another value the proof would not match, or the token would travel in the open. */
const RESERVED_HEADERS = ['authorization', 'dpop', 'host', 'content-length', 'connection', 'transfer-encoding']
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** @throws {OAuthError} `NSID_INVALID`, `USAGE` */
export function buildXrpcRequest(request: XrpcRequest, did: Did): HttpRequest {
  const { parameters = [], body } = request
  const nsid = asNsid(request.nsid)
  if (!nsid) throw new OAuthError('NSID_INVALID', `${JSON.stringify(request.nsid)} is not the name of an XRPC method`)
  if (/(?:^|\.)subscribe[A-Z][A-Za-z]*$/.test(nsid)) {
    throw new OAuthError('USAGE', `${nsid} is a subscription: it needs a WebSocket, which this tool does not open`)
  }
  const method = request.method ?? (body === undefined ? 'GET' : 'POST')
  if (method === 'GET' && body !== undefined) throw new OAuthError('USAGE', 'a GET request has no body')
  const query = parameters.map(([name, value]) => `${encode(name)}=${encode(value.replaceAll('{did}', did))}`).join('&')
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[checkHeader(name, value)] = value
  if (typeof body === 'string' && headers['content-type'] === undefined) headers['content-type'] = 'application/json'
  if (headers['atproto-proxy'] !== undefined) checkProxy(headers['atproto-proxy'])
  headers.accept ??= 'application/json, */*;q=0.8'
  return {
    path: `/xrpc/${nsid}${query === '' ? '' : `?${query}`}`,
    method,
    headers,
    ...(body !== undefined && { body }),
  }
}

function encode(text: string): string {
  if (!text.isWellFormed()) throw new OAuthError('USAGE', 'a parameter is not valid Unicode')
  return encodeURIComponent(text)
}

function checkHeader(name: string, value: string): string {
  const lower = name.toLowerCase()
  if (!HEADER_NAME.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new OAuthError('USAGE', `${JSON.stringify(name)} cannot be sent as a header`)
  }
  if (RESERVED_HEADERS.includes(lower)) throw new OAuthError('USAGE', `the header ${lower} is set by this tool`)
  return lower
}

/** `did#service`, as the PDS will take it apart ("Service Proxying"). */
function checkProxy(value: string): void {
  const [did, service, ...rest] = value.split('#')
  if (rest.length === 0 && isDid(did!) && /^[!-~]+$/.test(service ?? '')) return
  throw new OAuthError('USAGE', `atproto-proxy: ${JSON.stringify(value)} does not name a service as did#id`, {
    hint: 'such as -H "atproto-proxy: did:web:api.bsky.app#bsky_appview"',
  })
}

/** A PDS knows where to forward `app.bsky.*`; for chat it has to be told. */
export function proxyAdvice({ nsid, headers = {} }: XrpcRequest): string | undefined {
  const isChat = nsid.toLowerCase().startsWith('chat.bsky.')
  if (!isChat || Object.keys(headers).some((name) => name.toLowerCase() === 'atproto-proxy')) return undefined
  return `${nsid} is not of the PDS: -H "atproto-proxy: did:web:api.bsky.chat#bsky_chat" has it forwarded`
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
 * `session` is whose it was, for the command that gets a better one. With the `request` a missing
 * permission has a name even if the server gives none.
 *
 * @returns `PERMISSION_MISSING`, `RATE_LIMITED` or `XRPC_ERROR`
 */
export function xrpcError(
  nsid: string,
  response: Response,
  body: string,
  now: number,
  session: Login,
  request: XrpcRequest = { nsid },
): OAuthError {
  const refusal = serverError(response.status, parseJsonObject(body))
  if (refusal.status === 429) return rateLimited(nsid, response.headers, now)
  const said = `${nsid} answered ${describe(refusal)}`
  // Two servers, two spellings; the scope itself stands in quotes in the reference's message.
  if (refusal.status === 403 && (refusal.error === 'ScopeMissingError' || refusal.error === 'InsufficientScope')) {
    const named = /scope "([^"]+)"/.exec(refusal.description ?? '')?.[1]
    const missing = missingScope(requiredScope(request), session.scope ?? '').join(' ')
    const scope = named === undefined ? missing : requestable(named)
    const wider = [session.scope || 'atproto', scope].join(' ')
    const what = named === undefined && missing !== '' ? `${said}; what it needs is ${missing}` : said
    const hint = scope ? loginCommand({ ...session, scope: wider }) : undefined
    return new OAuthError('PERMISSION_MISSING', what, { hint })
  }
  if (isExpiredToken(response)) {
    const hint = `check the clock of this machine; if it is right: ${loginCommand(session)}`
    return new OAuthError('XRPC_ERROR', `${said}, to a token that was just issued`, { session: 'unknown', hint })
  }
  const hint = 'correct the request, or run it again later; the session is not the cause'
  return new OAuthError('XRPC_ERROR', said, { hint: refusal.status >= 500 ? hint : undefined })
}
