/**
 * Repeats a query as long as its responses have a cursor.
 *
 * @see https://atproto.com/specs/xrpc#cursors-and-pagination
 */
import { OAuthError } from '../errors.ts'
import type { Clock, HttpResponse, Notices, Random, Timer } from '../ports.ts'
import { readBounded } from '../protocol/http/bounded-body.ts'
import { type JsonObject, parseJsonObject, shown } from '../protocol/http/response.ts'
import { readXrpcError } from '../protocol/xrpc/error.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import type { Session } from '../session/session.ts'
import { decodeUtf8 } from '../text.ts'
import { type Calling, callWithRetry, type RetryOptions } from './retry.ts'

export interface Page {
  /** As it was received. */
  readonly text: string
  readonly json: JsonObject
  /** Where the next page begins; absent on the last. */
  readonly cursor: string | undefined
}

export interface PagesOptions {
  readonly limitPages?: number | undefined
  readonly retry?: RetryOptions | undefined
  /** Called with the body of an error response, without secrets, before its error is thrown; may throw another one. */
  readonly onRefusal?: ((body: string, refusal: Refusal) => void | Promise<void>) | undefined
}

export interface Refusal {
  readonly error: OAuthError
  /** Its body was read. */
  readonly response: HttpResponse
}

/** Bytes. */
const PAGE_LARGEST = 64 * 1024 * 1024
/** A filter may leave a page empty that is not the last; a server that gives more of them than this is lost in a loop. */
const EMPTY_PAGES = 50

/** @throws {OAuthError} `USAGE` */
export function assertQuery({ nsid, method, body }: XrpcRequest): void {
  if (body === undefined && method !== 'POST') return
  throw new OAuthError('USAGE', `only a query can be paginated, and ${nsid} is sent as a procedure`)
}

/**
 * The pages of a query, from its `cursor` parameter on if it has one.
 *
 * @throws {OAuthError} `USAGE` for what is no query, `RESPONSE_INVALID`, those of an XRPC error, and as `session.call`;
 *   the pages before stay good
 */
export async function* pages(
  session: Calling & Pick<Session, 'record'>,
  request: XrpcRequest,
  { limitPages = Number.POSITIVE_INFINITY, retry = { wait: false }, onRefusal }: PagesOptions,
  ports: Clock & Timer & Random & Notices,
): AsyncGenerator<Page, void, undefined> {
  assertQuery(request)
  const { parameters = [] } = request
  const fixed = parameters.filter(([name]) => name !== 'cursor')
  const seen = new Set(parameters.filter(([name]) => name === 'cursor').map(([, value]) => value))
  let next = request
  let empty = 0
  for (let count = 1; count <= limitPages; count += 1) {
    const response = await callWithRetry(session, next, retry, ports)
    if (!response.ok) {
      const { error, body } = await readXrpcError(request, response, session.record(), ports.now())
      await onRefusal?.(body, { error, response })
      throw error
    }
    const page = await readPage(request.nsid, response)
    yield page
    const { cursor } = page
    if (cursor === undefined) return
    if (seen.has(cursor)) return ports.warn(`${request.nsid} returned the same cursor twice: stopped at page ${count}`)
    empty = countItems(page) === 0 ? empty + 1 : 0
    if (empty > EMPTY_PAGES)
      return ports.warn(`${request.nsid} returned ${empty} empty pages in a row: stopped at page ${count}`)
    seen.add(cursor)
    next = { ...request, parameters: [...fixed, ['cursor', cursor]] }
  }
}

async function readPage(nsid: string, response: HttpResponse): Promise<Page> {
  const bytes = await readBounded(response, PAGE_LARGEST)
  const text = bytes && decodeUtf8(bytes, { keepsMark: true }) // a page is printed as it was received
  const json = parseJsonObject(text)
  if (text === undefined || !json) throw new OAuthError('RESPONSE_INVALID', `${nsid} returned no JSON object`)
  const cursor = json.cursor ?? ''
  if (typeof cursor === 'string') return { text, json, cursor: cursor === '' ? undefined : cursor }
  throw new OAuthError('RESPONSE_INVALID', `${nsid} returned a cursor that is not a string: ${shown(cursor)}`)
}

/** The lists among the top-level members. */
function listsOf({ json }: Pick<Page, 'json'>): Map<string, readonly unknown[]> {
  return new Map(Object.entries(json).flatMap(([name, value]) => (Array.isArray(value) ? [[name, value]] : [])))
}

export function countItems(page: Page): number {
  return [...listsOf(page).values()].reduce((sum, list) => sum + list.length, 0)
}

/**
 * The items of a page, each as compact JSON: those of the list `key`, or of the only list there is. A number beyond
 * 2^53, which the data model advises against, is rounded, as by whatever else reads JSON in JavaScript.
 *
 * @throws {OAuthError} `USAGE` it is not clear which list is meant
 * @see https://atproto.com/specs/data-model#data-types
 */
export function itemsOf(page: Page, key?: string): string[] {
  return listOf(page, key).map((item) => JSON.stringify(item))
}

/** As {@link itemsOf}, as values. */
export function listOf(page: Pick<Page, 'json'>, key?: string): readonly unknown[] {
  const lists = listsOf(page)
  const name = key ?? [...lists.keys()][0]
  if (name === undefined || (lists.size === 0 && page.json[name] === undefined)) return []
  const list = lists.get(name)
  if (list && (key !== undefined || lists.size === 1)) return list
  const what = key === undefined ? 'the response has several lists' : `the response has no list ${JSON.stringify(key)}`
  if (lists.size === 0) throw new OAuthError('USAGE', what)
  const names = [...lists.keys()]
  throw new OAuthError('USAGE', `${what}; choose ${names.join(' or ')}`, {
    facts: { reason: 'list-unclear', lists: names },
  })
}
