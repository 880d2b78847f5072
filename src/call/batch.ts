/**
 * Many requests, one a line, with one answer a line: several at a time, answered in order, and as
 * much in memory as is on its way.
 *
 * @module
 */
import { isOAuthError, type OAuthError } from '../errors.ts'
import type { Clock, Notices, Random, Timer } from '../ports.ts'
import { mediaType, parseJsonObject, readBounded, serverError } from '../protocol/http/response.ts'
import { readXrpcError } from '../protocol/xrpc/error.ts'
import { isExpiredToken, type XrpcRequest } from '../protocol/xrpc/request.ts'
import type { Session } from '../session/session.ts'
import { parseJson } from '../text.ts'
import { parseBatchLine } from './batch-line.ts'
import { callWithRetry, type RateLimit } from './retry.ts'

/** One line, without its end; or why it could not be read. */
export type BatchLine = string | OAuthError

export interface BatchAnswer {
  /** From 1. */
  readonly line: number
  /** As the request had it. */
  readonly id?: unknown
  /** Absent if there was no answer. */
  readonly status?: number
  /** JSON; another answer is `{"mediaType","base64"}`, an empty one `null`. */
  readonly output?: unknown
  /** The server's name of the error, or a code of ours. Absent if all went well. */
  readonly error?: string
  readonly message?: string
}

export interface BatchOptions {
  /** Requests on their way at the same time. */
  readonly concurrency: number
  /** Lines that an earlier run has an answer of; they are not sent. */
  readonly isAnswered?: ((line: number) => boolean) | undefined
  /** Ends the batch: nothing more is sent, and what is on its way is answered still. */
  readonly signal?: AbortSignal | undefined
}

type BatchSession = Pick<Session, 'call' | 'record' | 'did' | 'accountHandle'>
type Ports = Clock & Timer & Random & Notices

/** Lines between the first that waits for its answer and the last that was read, by concurrency. */
const WINDOW = 4
/** Bytes; a larger answer has no place in a line. */
const ANSWER_LARGEST = 8 * 1024 * 1024
/** What is wrong with one request only; any other error ends the batch. */
const OF_ONE_LINE = ['USAGE', 'NSID_INVALID', 'NETWORK_LOST'] as const

interface Entry {
  readonly line: number
  readonly text: BatchLine
  state: 'waiting' | 'asked' | 'over'
  answer?: BatchAnswer | undefined
}

/** Thrown into whoever sleeps when the batch ends. */
class Stopped extends Error {}

/**
 * In order, except that a line without an answer is left out when the batch ends early. Each is given
 * once the one before was taken.
 *
 * @throws {OAuthError} what concerns the session or the network as a whole, after everything that was answered
 */
export async function* batch(
  lines: AsyncIterable<BatchLine>,
  session: BatchSession,
  { concurrency, isAnswered = () => false, signal }: BatchOptions,
  ports: Ports,
): AsyncGenerator<BatchAnswer, void, undefined> {
  const input = lines[Symbol.asyncIterator]()
  const limit: RateLimit = { until: Number.NEGATIVE_INFINITY }
  const entries: Entry[] = []
  const sleepers = new Set<(stopped: Stopped) => void>()
  let read = 0
  let asked = 0
  let isReading = false
  let isAtEnd = false
  let isStopped = signal?.aborted ?? false
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}

  const stop = () => {
    isStopped = true
    for (const reject of sleepers) reject(new Stopped())
    wake()
  }
  const fail = (error: unknown) => {
    failure ??= { error }
    stop()
  }
  const sleep = (milliseconds: number) =>
    new Promise<void>((resolve, reject) => {
      if (isStopped) throw new Stopped()
      sleepers.add(reject)
      const done = () => sleepers.delete(reject)
      ports.sleep(milliseconds).then(resolve, reject).finally(done)
    })
  const ask = async (entry: Entry) => {
    entry.state = 'asked'
    asked += 1
    try {
      entry.answer = await answerOf(entry, session, limit, { ...ports, sleep })
    } catch (error) {
      if (!(error instanceof Stopped)) fail(error)
    }
    entry.state = 'over'
    asked -= 1
    advance()
  }
  const readLine = async () => {
    isReading = true
    try {
      const next = await input.next()
      if (next.done) isAtEnd = true
      else {
        read += 1
        const isBlank = typeof next.value === 'string' && next.value.trim() === ''
        if (!isBlank && !isAnswered(read)) entries.push({ line: read, text: next.value, state: 'waiting' })
      }
    } catch (error) {
      fail(error)
    }
    isReading = false
    advance()
  }
  /** Whatever can be begun now. */
  const advance = () => {
    for (const entry of entries) {
      if (isStopped || asked >= concurrency) break
      if (entry.state === 'waiting') void ask(entry)
    }
    if (!isStopped && !isAtEnd && !isReading && entries.length < WINDOW * concurrency) void readLine()
    wake()
  }

  signal?.addEventListener('abort', stop)
  try {
    advance()
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      const [first] = entries
      if (first?.state === 'over' || (first && isStopped && asked === 0)) {
        entries.shift()
        if (first.answer) yield first.answer
        advance()
      } else if (!first && (isStopped || (isAtEnd && !isReading))) break
      else await changed
    }
    if (failure) throw failure.error
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
    void input.return?.()?.catch(() => undefined) // not awaited: it may be in the middle of a read
  }
}

/** @throws {OAuthError} what the other lines would meet as well */
async function answerOf(
  { line, text }: Entry,
  session: BatchSession,
  limit: RateLimit,
  ports: Ports,
): Promise<BatchAnswer> {
  let head: { readonly line: number; readonly id?: unknown } = { line }
  let request: XrpcRequest | undefined
  try {
    if (typeof text !== 'string') throw text
    const { pds } = session.record()
    const given = parseBatchLine(text, { did: session.did, handle: session.accountHandle, pds })
    if ('id' in given) head = { line, id: given.id }
    request = given.request()
    const response = await callWithRetry(session, request, { wait: true, limit }, ports)
    return { ...head, status: response.status, ...(await contentOf(request, response, session, ports)) }
  } catch (error) {
    if (!isOAuthError(error, ...OF_ONE_LINE)) throw error
    const isUnclear = error.code === 'NETWORK_LOST' && request?.method === 'POST'
    const message = isUnclear ? `${error.message}; the request may have taken effect` : error.message
    return { ...head, error: error.code, message }
  }
}

async function contentOf(
  request: XrpcRequest,
  response: Response,
  session: BatchSession,
  ports: Clock,
): Promise<Pick<BatchAnswer, 'output' | 'error' | 'message'>> {
  if (response.ok) {
    const bytes = await readBounded(response, ANSWER_LARGEST)
    if (bytes) return { output: outputOf(bytes, mediaType(response.headers)) }
    const message = `the answer is larger than ${ANSWER_LARGEST / 2 ** 20} MiB: ask for it without --batch`
    return { error: 'RESPONSE_INVALID', message }
  }
  const refused = await readXrpcError(request, response, session.record(), ports.now())
  // The session has refreshed already: the next line would fare no better.
  if (isExpiredToken(response)) throw refused.error
  const { status, error, description } = serverError(response.status, parseJsonObject(refused.body))
  return { error: error ?? 'XRPC_ERROR', message: description ?? `${request.nsid} answered ${status}` }
}

function outputOf(bytes: Uint8Array, type: string): unknown {
  if (bytes.length === 0) return null
  if (type === 'application/json') {
    try {
      return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch {
      // Then as it came.
    }
  }
  return { mediaType: type, base64: base64(bytes) }
}

function base64(bytes: Uint8Array): string {
  const text: string[] = []
  for (let at = 0; at < bytes.length; at += 8192) text.push(String.fromCharCode(...bytes.subarray(at, at + 8192)))
  return btoa(text.join(''))
}
