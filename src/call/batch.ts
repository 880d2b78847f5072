/**
 * Many requests, one per line, with one result per line: sent concurrently, returned in order, with only
 * the requests in flight in memory.
 */
import { isOAuthError, type OAuthError } from '../errors.ts'
import type { Handle } from '../model.ts'
import type { Clock, HttpResponse, IdentityPorts, Notices, Random, Timer } from '../ports.ts'
import { readBounded } from '../protocol/http/bounded-body.ts'
import { mediaType, parseJsonObject, serverError } from '../protocol/http/response.ts'
import { isExpiredToken, readXrpcError } from '../protocol/xrpc/error.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { explainAccountState, isAboutAccount } from '../session/account-state.ts'
import type { Session } from '../session/session.ts'
import { decodeUtf8, parseJson } from '../text.ts'
import { parseBatchLine } from './batch-line.ts'
import { type Calling, callWithRetry, type RetryOptions } from './retry.ts'

/** One line, without its end; or why it could not be read. */
export type BatchLine = string | OAuthError

/** Some lines at a time, as they are read: a chunk of a file has many. */
export type BatchLines = AsyncIterable<object & Iterable<BatchLine>>

export interface BatchResult {
  /** From 1. */
  readonly line: number
  /** As the request had it. */
  readonly id?: unknown
  /** Absent if there was no response. */
  readonly status?: number
  /** JSON; another response is `{"mediaType","base64"}`, an empty one `null`. */
  readonly output?: unknown
  /** The server's name of the error, or a code of ours. Absent if all went well. */
  readonly error?: string
  readonly message?: string
}

export interface BatchOptions {
  /** Maximum concurrent requests. */
  readonly concurrency: number
  /** Lines that have a result of an earlier run; they are not sent. */
  readonly isFinished?: ((line: number) => boolean) | undefined
  /** Ends the batch: no more requests are sent, and those already sent are finished. */
  readonly signal?: AbortSignal | undefined
  readonly onRateLimit?: RetryOptions['onRateLimit']
  /** Called with why the PDS rejects the account. Other lines may still succeed, so the batch continues. */
  readonly onAccountState?: ((state: OAuthError) => void) | undefined
}

type BatchSession = Calling & Pick<Session, 'record' | 'did' | 'currentHandle'>
type Ports = Clock & Timer & Random & Notices & IdentityPorts
/** What is wrong with the account, if that is why a request was rejected. */
type StateOf = (error: OAuthError, request: XrpcRequest) => Promise<string | undefined>

/** Size of the queue, per concurrent request, so that one slow response does not hold up the others. */
const WINDOW = 4
/** Maximum response size in bytes. */
const RESPONSE_LARGEST = 8 * 1024 * 1024
/** Bytes of responses in the queue from which no more requests are sent. */
const QUEUE_LARGEST = 64 * 1024 * 1024
/** What is wrong with one request only; any other error ends the batch. */
const OF_ONE_LINE = ['USAGE', 'NSID_INVALID', 'NETWORK_LOST'] as const

interface Answer {
  readonly result: BatchResult
  /** Bytes; what it takes in memory, about. */
  readonly size: number
}

type Unfinished = { -readonly [Member in keyof BatchResult]: BatchResult[Member] }

/** What the lines of a batch have in common. */
interface Around {
  readonly handle: () => Promise<Handle | undefined>
  readonly stateOf: StateOf
  readonly startSignal: AbortSignal
}

interface Line {
  /** From 1. */
  readonly line: number
  readonly text: BatchLine
}

/**
 * In order; lines without a result are omitted when the batch ends early. Each is given
 * once the one before was taken.
 *
 * @throws {OAuthError} what concerns the session or the network as a whole, after all results
 */
export async function* batch(
  lines: BatchLines,
  session: BatchSession,
  { concurrency, isFinished = () => false, signal, onRateLimit, onAccountState }: BatchOptions,
  ports: Ports,
): AsyncGenerator<BatchResult, void, undefined> {
  const ending = new AbortController()
  const room = new Change()
  const queued = new Change()
  const end = () => {
    ending.abort()
    room.announce()
    queued.announce()
  }
  const untilEnd = abortableBy(ending.signal)
  let failure: { readonly error: unknown } | undefined
  const fail = (error: unknown) => {
    if (error !== ending.signal.reason) failure ??= { error }
    end()
  }

  const retry: RetryOptions = { wait: true, limit: { until: Number.NEGATIVE_INFINITY }, onRateLimit }
  const sending = { ...ports, sleep: (milliseconds: number) => untilEnd(() => ports.sleep(milliseconds)) }
  let resolved: Promise<Handle | undefined> | undefined
  const handle = () => {
    resolved ??= session.currentHandle()
    return resolved
  }
  // The DID is resolved once for each kind of error, and not for each line.
  const states = new Map<string | undefined, Promise<string>>()
  const stateOf: StateOf = async (error, request) => {
    const { serverError } = error.facts
    if (!isAboutAccount(error, request, session.record())) return undefined
    const known = states.get(serverError)
    if (known) return known
    const asked = explainAccountState(error, request, session.record(), ports).then((explained) => {
      const message = explained.message.slice(`${error.message}: `.length)
      onAccountState?.(explained.with({ message }))
      return message
    })
    states.set(serverError, asked)
    return asked
  }
  let underway = 0
  let queuedBytes = 0
  /** Without a result if the batch ends while it waits for the end of a rate limit. */
  const ask = async (line: Line): Promise<Answer | undefined> => {
    underway += 1
    try {
      const answer = await answerTo(line, session, retry, { handle, stateOf, startSignal: ending.signal }, sending)
      queuedBytes += answer.size
      return answer
    } catch (error) {
      fail(error)
    } finally {
      underway -= 1
      room.announce()
    }
  }

  const input = lines[Symbol.asyncIterator]()
  const queue: Promise<Answer | undefined>[] = []
  // The awaited result is no longer in the queue.
  const isFull = () => queue.length >= WINDOW * concurrency - 1 || queuedBytes > QUEUE_LARGEST
  let isComplete = false
  const fill = async () => {
    let count = 0
    try {
      while (!ending.signal.aborted) {
        const { done, value: some } = await input.next()
        if (done || ending.signal.aborted) return
        for (const text of some) {
          count += 1
          if (isBlank(text) || isFinished(count)) continue
          while (underway >= concurrency && !ending.signal.aborted) await room.next()
          if (ending.signal.aborted) return
          queue.push(ask({ line: count, text }))
          queued.announce()
          while (isFull() && !ending.signal.aborted) await room.next()
          if (ending.signal.aborted) return
        }
      }
    } catch (error) {
      if (!ending.signal.aborted) fail(error)
    } finally {
      isComplete = true
      queued.announce()
    }
  }

  signal?.addEventListener('abort', end)
  try {
    if (signal?.aborted) end()
    void fill() // does not reject, and may wait for a line long after the end
    for (;;) {
      const asked = queue.shift()
      if (asked) {
        room.announce()
        const answer = await asked
        if (!answer) continue
        queuedBytes -= answer.size
        room.announce()
        yield answer.result
      } else if (isComplete || ending.signal.aborted) break
      else await queued.next()
    }
    if (failure) throw failure.error
  } finally {
    signal?.removeEventListener('abort', end)
    end()
    void input.return?.()?.catch(() => undefined) // not awaited: it may be in the middle of a read
  }
}

function isBlank(text: BatchLine): boolean {
  return typeof text === 'string' && text.trim() === ''
}

/** Wakes the one who waits for the next change. */
class Change {
  #wake = () => {}

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  announce(): void {
    this.#wake()
  }
}

/**
 * Begins something, and rejects with the reason of `signal` if that is aborted first. However many wait, the signal has
 * one listener: Node warns of more than ten.
 */
function abortableBy(signal: AbortSignal): <T>(begin: () => Promise<T>) => Promise<T> {
  const waiting = new Set<(reason: unknown) => void>()
  signal.addEventListener('abort', () => {
    for (const reject of waiting) reject(signal.reason)
  })
  return async (begin) => {
    signal.throwIfAborted()
    let giveUp = (_: unknown) => {}
    const aborted = new Promise<never>((_, reject) => {
      giveUp = reject
    })
    waiting.add(giveUp) // before anything begins: that may be what aborts
    try {
      return await Promise.race([begin(), aborted])
    } finally {
      waiting.delete(giveUp)
    }
  }
}

/** @throws {OAuthError} what the other lines would meet as well */
async function answerTo(
  { line, text }: Line,
  session: BatchSession,
  retry: RetryOptions,
  { handle, stateOf, startSignal }: Around,
  ports: Ports,
): Promise<Answer> {
  const result: Unfinished = { line }
  let request: XrpcRequest | undefined
  try {
    if (typeof text !== 'string') throw text
    const { pds } = session.record()
    const account = { did: session.did, handle: text.includes('{handle}') ? await handle() : undefined, pds }
    const given = parseBatchLine(text, account)
    if ('id' in given) result.id = given.id
    request = { ...given.request(), startSignal }
    const response = await callWithRetry(session, request, retry, ports)
    result.status = response.status
    if (response.ok) return { result, size: await addOutput(result, response) }
    await addError(result, request, response, session, stateOf, ports)
    return { result, size: 0 }
  } catch (error) {
    if (!isOAuthError(error, ...OF_ONE_LINE)) throw error
    const isUnclear = error.code === 'NETWORK_LOST' && request?.method === 'POST'
    const message = isUnclear ? `${error.message}; the request may have taken effect` : error.message
    return { result: { line, ...('id' in result && { id: result.id }), error: error.code, message }, size: 0 }
  }
}

/** @returns the size of the response in bytes */
async function addOutput(result: Unfinished, response: HttpResponse): Promise<number> {
  const bytes = await readBounded(response, RESPONSE_LARGEST)
  if (bytes) {
    result.output = outputOf(bytes, mediaType(response.headers))
    return bytes.length
  }
  result.error = 'RESPONSE_INVALID'
  result.message = `the response is larger than ${RESPONSE_LARGEST / 2 ** 20} MiB, the limit for a batch`
  return 0
}

async function addError(
  result: Unfinished,
  request: XrpcRequest,
  response: HttpResponse,
  session: BatchSession,
  stateOf: StateOf,
  ports: Clock,
): Promise<void> {
  const refused = await readXrpcError(request, response, session.record(), ports.now())
  // The session has refreshed already: the next line would fare no better.
  if (isExpiredToken(response, refused.body)) throw refused.error
  const { status, error, description } = serverError(response.status, parseJsonObject(refused.body))
  const state = await stateOf(refused.error, request)
  const message = description ?? `${request.nsid} returned ${status}`
  result.error = error ?? 'XRPC_ERROR'
  result.message = state === undefined ? message : `${message}: ${state}`
}

function outputOf(bytes: Uint8Array, type: string): unknown {
  if (bytes.length === 0) return null
  if (type === 'application/json') {
    try {
      return parseJson(decodeUtf8(bytes) ?? '')
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
