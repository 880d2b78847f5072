/**
 * Fetches a client metadata document as a server would, but reports every fault of the response.
 *
 * @see https://atproto.com/specs/oauth#client-id-metadata-document
 */
import { isOAuthError } from '../errors.ts'
import type { Clock, Http, HttpHeaders } from '../ports.ts'
import { readText } from '../protocol/http/bounded-body.ts'
import { fetchJson } from '../protocol/http/fetch-json.ts'
import { type JsonObject, mediaType, parseJsonObject } from '../protocol/http/response.ts'
import { type ClientUse, validateClientDocument } from './document-rules.ts'
import { type ClientFinding, fault, isHttps } from './fault.ts'
import { keySetFaults, publishedKeys } from './key-rules.ts'

/** Seconds for one document, its body included. */
const TIMEOUT = 10
/** Bytes; no server reads more. */
const LARGEST = 512 * 1024

export interface Publication {
  readonly faults: readonly ClientFinding[]
  /** Absent if the response contained no JSON object. */
  readonly document?: JsonObject | undefined
  readonly bytes?: number | undefined
  /** When the host last changed the document, in milliseconds since the epoch by the clock of this machine; if known. */
  readonly changedAt?: number | undefined
}

/** @throws {OAuthError} those of the `Http` port */
export async function fetchClientDocument(clientId: string, ports: Http & Clock): Promise<Publication> {
  const url = new URL(clientId)
  const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
  const { status, headers } = response
  if (status >= 300 && status < 400) {
    await response.body?.cancel()
    const to = headers.get('location') ?? 'somewhere else'
    const fix = 'serve the document itself at the client_id, or use the final URL as the client_id'
    return { faults: [fault(`the document redirects to ${to}`, fix)] }
  }
  if (status < 200 || status > 299) {
    await response.body?.cancel()
    const fix = 'publish the document at exactly this URL, readable without a login'
    return { faults: [fault(`no client document at ${clientId}: ${url.host} returned ${status}`, fix)] }
  }
  const faults: ClientFinding[] = []
  if (status !== 200) faults.push(fault(`the document has the HTTP status ${status}`, 'serve it with status 200'))
  const type = mediaType(headers)
  if (type !== 'application/json') {
    const message = `the document has ${type ? `the media type ${type}` : 'no media type'} instead of application/json`
    faults.push(fault(message, 'use a file name that ends in .json, or configure the media type on your host'))
  }
  const text = await readText(response, LARGEST)
  const document = parseJsonObject(text)
  const fix = `publish the file unchanged: UTF-8, at most ${LARGEST / 1024} KiB`
  if (!document) return { faults: [...faults, fault('the document is not a JSON object', fix)] }
  return { faults, document, bytes: new TextEncoder().encode(text).length, changedAt: changedAt(headers, ports.now()) }
}

/** By `Last-Modified` (RFC 9110 §8.8.2): both of its dates are by the clock of the host. */
function changedAt(headers: HttpHeaders, now: number): number | undefined {
  const changed = Date.parse(headers.get('last-modified') ?? '')
  const sent = Date.parse(headers.get('date') ?? '')
  if (Number.isNaN(changed)) return undefined
  return Number.isNaN(sent) ? changed : now - (sent - changed)
}

/** Every fault of the published document. A document that cannot be fetched counts as one fault. */
export async function findClientFaults(use: ClientUse, ports: Http & Clock): Promise<string[]> {
  try {
    const { document, faults } = await fetchClientDocument(use.clientId, ports)
    return [...faults.map(({ message }) => message), ...(document ? validateClientDocument(document, use) : [])]
  } catch (error) {
    if (isOAuthError(error)) return [error.message]
    throw error
  }
}

/**
 * The keys of a document. Those in it are checked with it; those behind `jwks_uri` are fetched, for a confidential
 * client.
 */
export async function fetchPublishedKeys(document: JsonObject, ports: Http & Clock): Promise<PublishedKeys> {
  const { jwks, jwks_uri: uri, token_endpoint_auth_method: method } = document
  if (jwks !== undefined || method !== 'private_key_jwt' || typeof uri !== 'string' || !isHttps(uri)) {
    return { published: publishedKeys(jwks), faults: [] }
  }
  const fetched = await fetchKeys(uri, ports)
  return { published: publishedKeys(fetched.document), faults: fetched.faults, isMissing: !fetched.document }
}

export interface PublishedKeys {
  readonly published: readonly JsonObject[]
  readonly faults: readonly ClientFinding[]
  /** The key set could not be fetched. */
  readonly isMissing?: boolean
}

/**
 * Whether a key of the client is no longer published; `undefined` if that cannot be known now.
 */
export async function isRetired(clientId: string, kid: string, ports: Http & Clock): Promise<boolean | undefined> {
  try {
    const { document } = await fetchClientDocument(clientId, ports)
    if (document?.client_id !== clientId) return undefined
    const { published, isMissing } = await fetchPublishedKeys(document, ports)
    return isMissing ? undefined : !published.some((key) => key.kid === kid)
  } catch (error) {
    if (isOAuthError(error)) return undefined
    throw error
  }
}

/** The key set at a `jwks_uri` and its faults; the set is absent if it cannot be fetched. */
async function fetchKeys(uri: string, ports: Http & Clock): Promise<Publication> {
  const what = 'the key set at jwks_uri'
  const absent = { code: 'CLIENT_INVALID', message: `no key set found at ${uri}` } as const
  try {
    const document = await fetchJson({ url: new URL(uri), what, code: 'CLIENT_INVALID', absent }, ports)
    return { document, faults: keySetFaults(document) }
  } catch (error) {
    if (!isOAuthError(error)) throw error
    const fix = 'publish the key set there, or put it into the document as jwks'
    return { faults: [fault(`jwks_uri: ${error.message}`, fix)] }
  }
}
