/**
 * The body of a request: whether it can be sent again, its size, its timeout, and what happens if the caller gives up.
 */

import { type Body, isStream } from '../ports.ts'

/** Seconds for the headers of a response, and for each pause in its body. */
const TIMEOUT = 60
/** Timeout in seconds for a body of unknown length. */
const LONGEST = 3600
/** Bytes per second of a slow connection: a larger body gets more time. */
const SLOWEST = 50_000

/** The options of `fetch` that a session supports, and a timeout. */
export interface SessionInit {
  readonly method?: string | undefined
  readonly headers?: NonNullable<RequestInit['headers']> | undefined
  readonly body?: NonNullable<RequestInit['body']> | Body | null | undefined
  readonly signal?: AbortSignal | null | undefined
  /** Timeout for the headers of the response, and for each pause in its body. */
  readonly timeoutSeconds?: number | undefined
}

/** The same with header names in lower case, and without the body. */
export interface SendInit extends Omit<SessionInit, 'headers' | 'body'> {
  readonly headers?: Readonly<Record<string, string>>
  /** Once it is aborted, the request is not sent any more; one that was sent is finished. */
  readonly startSignal?: AbortSignal | undefined
}

/** A body that can be sent again, as a retry after a nonce challenge requires. A stream is returned as it is. */
export async function repeatable(body: SessionInit['body']): Promise<Body | undefined> {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string' || body instanceof Uint8Array || body instanceof Blob) return body
  if (isStream(body)) return body
  return new Response(body).blob() // keeps the media type of a form, with its boundary
}

/** Size in bytes; for text, the number of characters is close enough. */
export function sizeOf(body: Exclude<Body, ReadableStream> | undefined): number {
  return body instanceof Blob ? body.size : (body?.length ?? 0)
}

/** Seconds. */
export function timeoutFor(body: Body | undefined): number {
  return isStream(body) ? LONGEST : TIMEOUT + sizeOf(body) / SLOWEST
}

/** Rejects with the signal's own reason if the caller gives up; the work goes on, for it may be that of others too. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
