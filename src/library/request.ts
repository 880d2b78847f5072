/**
 * Plain objects → an XRPC request, and its response → plain objects.
 */
import { OAuthError } from '../errors.ts'
import type { Body, HttpResponse } from '../ports.ts'
import { readBounded } from '../protocol/http/bounded-body.ts'
import { mediaType } from '../protocol/http/response.ts'
import { findMethod } from '../protocol/xrpc/lexicons.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { defaultService, serviceOf } from '../protocol/xrpc/services.ts'
import { decodeUtf8, parseJson } from '../text.ts'

export type ParameterValue = string | number | boolean
/** Parameters of a query string. An array repeats its parameter; `undefined` omits it. */
export type Parameters = Readonly<Record<string, ParameterValue | readonly ParameterValue[] | undefined>>

/** Options of one request. */
export interface CallOptions {
  /** Ends the request. A write may have taken effect. */
  readonly signal?: AbortSignal | undefined
  /** Additional headers, such as `atproto-accept-labelers`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * The service to forward the request to: a DID with a service, such as `did:web:api.bsky.app#bsky_appview`, or
   * `appview`, `chat` or `ozone`. By default, `chat.bsky.*` goes to the chat service, and everything else to the PDS.
   */
  readonly service?: string | undefined
  /** Timeout in seconds for the response, and for each pause in its body; by default 60, more for a large body. */
  readonly timeoutSeconds?: number | undefined
  /** When rate limited, wait until the limit ends and retry, instead of throwing `RATE_LIMITED`. */
  readonly wait?: boolean | undefined
}

/** Bytes of a response that is held in memory. `fetchHandler` returns larger ones as a stream. */
const LARGEST = 64 * 1024 * 1024
const JSON_TYPE = 'application/json'

/**
 * @throws {OAuthError} `USAGE`
 *
 * @internal
 */
export function requestFor(
  nsid: string,
  { params = {}, input, isProcedure = false }: { params?: object; input?: unknown; isProcedure?: boolean },
  { headers = {}, service = defaultService(nsid), timeoutSeconds }: CallOptions,
): XrpcRequest {
  const kind = findMethod(nsid)?.kind
  if (kind === 'procedure' && !isProcedure)
    throw new OAuthError('USAGE', `${nsid} is a procedure: call it with procedure`)
  if (kind === 'query' && isProcedure) throw new OAuthError('USAGE', `${nsid} is a query: call it with query`)
  const body = bodyOf(input)
  const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const type = body === undefined ? undefined : (given['content-type'] ?? typeOf(nsid, input, body))
  return {
    nsid,
    method: isProcedure ? 'POST' : 'GET',
    parameters: parametersOf(params),
    isLiteral: true,
    headers: {
      ...(service !== undefined && { 'atproto-proxy': serviceOf(service) }),
      ...given,
      ...(type !== undefined && { 'content-type': type }),
    },
    timeoutSeconds,
    ...(body !== undefined && { body }),
  }
}

function parametersOf(params: object): (readonly [string, string])[] {
  return Object.entries(params).flatMap(([name, value]: [string, unknown]) => {
    const values: readonly unknown[] = value === undefined ? [] : Array.isArray(value) ? value : [value]
    return values.map((each) => {
      if (typeof each === 'string' || typeof each === 'boolean') return [name, String(each)] as const
      if (typeof each === 'number' && Number.isFinite(each)) return [name, String(each)] as const
      throw new OAuthError('USAGE', `the parameter ${name} must be a string, a number, a boolean or an array of these`)
    })
  })
}

function bodyOf(input: unknown): Body | undefined {
  if (input === undefined || input instanceof Uint8Array || input instanceof Blob) return input
  if (input instanceof ReadableStream) return input
  if (input instanceof ArrayBuffer) return new Uint8Array(input)
  return typeof input === 'string' ? input : JSON.stringify(input)
}

function typeOf(nsid: string, input: unknown, body: Body): string {
  if (typeof body === 'string') return JSON_TYPE
  const declared = findMethod(nsid)?.input?.mediaType
  const type = input instanceof Blob && input.type !== '' ? input.type : declared
  if (type !== undefined && !type.includes('*')) return type
  throw new OAuthError('USAGE', 'the media type of the body is missing: pass mimeType or the header content-type')
}

/**
 * JSON as values, an empty body as `undefined`, and anything else as bytes.
 *
 * @throws {OAuthError} `RESPONSE_INVALID`
 *
 * @internal
 */
export async function readOutput(nsid: string, response: HttpResponse): Promise<unknown> {
  const bytes = await readBounded(response, LARGEST)
  if (bytes === undefined) {
    const message = `${nsid} returned more than ${LARGEST / 2 ** 20} MiB: use fetchHandler, whose response is a stream`
    throw new OAuthError('RESPONSE_INVALID', message)
  }
  if (bytes.length === 0) return undefined
  if (mediaType(response.headers) !== JSON_TYPE) return bytes
  try {
    return parseJson(decodeUtf8(bytes) ?? '')
  } catch {
    throw new OAuthError('RESPONSE_INVALID', `${nsid} returned invalid JSON`)
  }
}
