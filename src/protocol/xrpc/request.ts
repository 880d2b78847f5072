/**
 * NSID, parameters and body → one request to the account's PDS.
 *
 * @see https://atproto.com/specs/xrpc
 */
import { OAuthError } from '../../errors.ts'
import type { Did } from '../../model.ts'
import type { Body } from '../../ports.ts'
import { asNsid, isDid } from '../identity/syntax.ts'

export interface XrpcRequest {
  readonly nsid: string
  /** In order; a name may come more than once. `{did}` in a value is the account. */
  readonly parameters?: readonly (readonly [name: string, value: string])[]
  /** By default POST with a body, GET without. */
  readonly method?: 'GET' | 'POST' | undefined
  readonly body?: Body | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** For the answer's headers, and for each pause in its body; by default a minute, and more for a large body. */
  readonly timeoutSeconds?: number | undefined
}

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
  if (!nsid) throw new OAuthError('NSID_INVALID', `invalid method name ${JSON.stringify(request.nsid)}`)
  if (/(?:^|\.)subscribe[A-Z][A-Za-z]*$/.test(nsid)) {
    throw new OAuthError('USAGE', `${nsid} is a subscription: it requires a WebSocket, which is not supported`)
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
    facts: { reason: 'service-malformed' },
  })
}

/** A PDS knows where to forward `app.bsky.*`; for chat it has to be told. */
export function proxyAdvice({ nsid, headers = {} }: XrpcRequest): string | undefined {
  const isChat = nsid.toLowerCase().startsWith('chat.bsky.')
  if (!isChat || Object.keys(headers).some((name) => name.toLowerCase() === 'atproto-proxy')) return undefined
  return `${nsid} is not a method of the PDS: add the header "atproto-proxy: did:web:api.bsky.chat#bsky_chat" to forward it`
}
