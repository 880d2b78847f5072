/**
 * Fetches a published JSON document: exactly status 200, no redirects, the right media type, a limited size, and an
 * error message for each other case.
 */
import { type ErrorCode, OAuthError } from '../../errors.ts'
import type { Clock, Http } from '../../ports.ts'
import type { DocumentInit, WithEarly } from './early.ts'
import { type JsonObject, rateLimited, readJsonObject } from './response.ts'

/** Seconds for one document, its body included. */
const TIMEOUT = 10

export interface DocumentRequest {
  readonly url: URL
  /** The subject of error messages: "the DID document of did:plc:…". */
  readonly what: string
  readonly code: ErrorCode
  readonly mediaTypes?: readonly string[]
  /** The error for 404 and 410, which are not worth a retry. */
  readonly absent: { readonly code: ErrorCode; readonly message: string }
}

const JSON_TYPES = ['application/json']

function initOf({ mediaTypes = JSON_TYPES }: Pick<DocumentRequest, 'mediaTypes'>): DocumentInit {
  return { headers: { accept: mediaTypes.join(', ') }, timeoutSeconds: TIMEOUT }
}

/** Sends a request that `fetchJson` will probably be called with. */
export function beginJson(request: Pick<DocumentRequest, 'url' | 'mediaTypes'>, { early }: WithEarly): void {
  early.request(request.url, initOf(request))
}

/**
 * @throws {OAuthError} the codes of the request, `SERVER_UNAVAILABLE`, `RATE_LIMITED`, and those of the `Http` port
 */
export async function fetchJson(request: DocumentRequest, ports: Http & Clock): Promise<JsonObject> {
  const { url, what, code, mediaTypes = JSON_TYPES, absent } = request
  const response = await ports.fetch(url, initOf(request))
  const { status } = response
  if (status === 200) return readJsonObject(response, { what, code, mediaTypes })
  await response.body?.cancel()
  if (status === 404 || status === 410) throw new OAuthError(absent.code, absent.message)
  if (status === 429) throw rateLimited(url.host, response.headers, ports.now())
  if (status >= 500) throw new OAuthError('SERVER_UNAVAILABLE', `cannot fetch ${what}: ${url.host} returned ${status}`)
  if (status >= 300 && status < 400)
    throw new OAuthError(code, `cannot fetch ${what}: ${url.host} redirects, which is not allowed`)
  throw new OAuthError(code, `cannot fetch ${what}: ${url.host} returned ${status}`)
}
