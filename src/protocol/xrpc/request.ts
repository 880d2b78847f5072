/**
 * Turns an NSID, parameters and a body into one request to the account's PDS.
 *
 * @see https://atproto.com/specs/xrpc
 */
import { OAuthError } from '../../errors.ts'
import type { Did } from '../../model.ts'
import type { Body } from '../../ports.ts'
import { asNsid, isDid } from '../identity/syntax.ts'

export interface XrpcRequest {
  readonly nsid: string
  /** In order; names may repeat. `{did}` in a value is replaced by the account's DID, unless `isLiteral`. */
  readonly parameters?: readonly (readonly [name: string, value: string])[]
  /** The parameters are sent as they are. */
  readonly isLiteral?: boolean
  /** By default POST with a body, GET without. */
  readonly method?: 'GET' | 'POST' | undefined
  readonly body?: Body | undefined
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Timeout for the headers of the response, and for each pause in its body; by default a minute, more for a large
   * body.
   */
  readonly timeoutSeconds?: number | undefined
  /** Ends the request, and the wait before a retry. */
  readonly signal?: AbortSignal | undefined
  /** Once it is aborted, the request is not sent any more; one that was sent is finished. */
  readonly startSignal?: AbortSignal | undefined
}

export interface HttpRequest {
  /** Path and query, for the origin of the PDS. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: Body | undefined
}

/** Set by this program: other values would invalidate the proof or expose the token. */
const RESERVED_HEADERS = ['authorization', 'dpop', 'host', 'content-length', 'connection', 'transfer-encoding']
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** @throws {OAuthError} `NSID_INVALID`, `USAGE` */
export function buildXrpcRequest(request: XrpcRequest, did: Did): HttpRequest {
  const { parameters = [], body } = request
  const nsid = asNsid(request.nsid)
  if (!nsid) throw new OAuthError('NSID_INVALID', `invalid method name ${JSON.stringify(request.nsid)}`)
  if (isSubscription(nsid)) {
    throw new OAuthError('USAGE', `${nsid} is a subscription: it requires a WebSocket, which is not supported`, {
      facts: { reason: 'websocket-needed' },
    })
  }
  const method = request.method ?? (body === undefined ? 'GET' : 'POST')
  if (method === 'GET' && body !== undefined) throw new OAuthError('USAGE', 'a GET request has no body')
  const path = parameters.length === 0 ? `/xrpc/${nsid}` : `/xrpc/${nsid}?${queryOf(request, did)}`
  const headers: Record<string, string> = {}
  const given = request.headers ?? {}
  for (const name of Object.keys(given)) headers[checkHeader(name, given[name]!)] = given[name]!
  if (typeof body === 'string' && headers['content-type'] === undefined) headers['content-type'] = 'application/json'
  if (body !== undefined) checkMediaType(headers['content-type'])
  if (headers['atproto-proxy'] !== undefined) checkProxy(headers['atproto-proxy'])
  headers.accept ??= 'application/json, */*;q=0.8'
  return { path, method, headers, body }
}

function queryOf({ parameters = [], isLiteral }: XrpcRequest, did: Did): string {
  const filled = (value: string) => (isLiteral ? value : value.replaceAll('{did}', did))
  return parameters.map(([name, value]) => `${encode(name)}=${encode(filled(value))}`).join('&')
}

/** A lexicon's type is not in its name, but all known subscriptions are named so. */
export function isSubscription(nsid: string): boolean {
  return /(?:^|\.)subscribe[A-Z][A-Za-z]*$/.test(nsid)
}

function encode(text: string): string {
  if (!text.isWellFormed()) throw new OAuthError('USAGE', 'a parameter is not valid Unicode')
  return encodeURIComponent(text)
}

function checkHeader(name: string, value: string): string {
  const lower = name.toLowerCase()
  // Node would refuse trailers without a chunked body.
  if (!HEADER_NAME.test(name) || lower === 'trailer' || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new OAuthError('USAGE', `${JSON.stringify(name)} cannot be sent as a header`)
  }
  if (RESERVED_HEADERS.includes(lower)) throw new OAuthError('USAGE', `the header ${lower} is set by this tool`)
  return lower
}

/** A range is for what is accepted: servers would store it as the type of the file. */
function checkMediaType(type: string | undefined): void {
  if (type === undefined || !/^[^;]*\*/.test(type)) return
  const message = `invalid content-type ${JSON.stringify(type)}: it must be one media type, not a range`
  throw new OAuthError('USAGE', message, { facts: { reason: 'media-type-unclear' } })
}

/** Checks that a value has the form `did#service` ("Service Proxying"). */
function checkProxy(value: string): void {
  const [did, service, ...rest] = value.split('#')
  if (rest.length === 0 && isDid(did!) && /^[!-~]+$/.test(service ?? '')) return
  throw new OAuthError('USAGE', `invalid atproto-proxy ${JSON.stringify(value)}: it must be did#service`, {
    facts: { reason: 'service-malformed' },
  })
}

/** A PDS forwards `app.bsky.*` by default, but `chat.bsky.*` needs a header. */
export function proxyAdvice({ nsid, headers = {} }: XrpcRequest): string | undefined {
  const isChat = nsid.toLowerCase().startsWith('chat.bsky.')
  if (!isChat || Object.keys(headers).some((name) => name.toLowerCase() === 'atproto-proxy')) return undefined
  return `${nsid} is not a method of the PDS: add the header "atproto-proxy: did:web:api.bsky.chat#bsky_chat" to forward it`
}
