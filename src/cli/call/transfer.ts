/**
 * Counts the bytes of a body on its way, for the progress line. The bytes themselves pass through unchanged.
 */

import { type Body, type HttpBody, type HttpResponse, isStream } from '../../ports.ts'
import { withBody } from '../../protocol/http/http-response.ts'
import { size } from './progress-text.ts'

/** Something that is sent or received, with what the progress line says of it. */
export interface Transfer<T> {
  readonly content: T
  text(): string
}

/** A body from a file or a stream; others are small, and already in memory. */
export function measuredUpload(body: Body | undefined): Transfer<Body> | undefined {
  let sent = 0
  const onBytes = (length: number) => {
    sent += length
  }
  if (isStream(body)) {
    return { content: countingStream(body, onBytes), text: () => (sent > 0 ? `sent ${size(sent)}` : '') }
  }
  if (!(body instanceof Blob)) return undefined
  const stream = () => {
    sent = 0 // a retry sends it all again
    return countingStream(Blob.prototype.stream.call(body), onBytes)
  }
  return {
    content: Object.assign(body, { stream }),
    text() {
      if (sent === 0) return ''
      if (sent >= body.size) return `sent ${size(sent)}, waiting for the response`
      return `sent ${size(sent)} of ${size(body.size)}`
    },
  }
}

export function measuredDownload(response: HttpResponse): Transfer<HttpResponse> {
  if (!response.body) return { content: response, text: () => '' }
  let received = 0
  const body = countingBody(response.body, (length) => {
    received += length
  })
  const total = lengthOf(response)
  return {
    content: withBody(response, body),
    text: () => (received === 0 ? '' : `received ${size(received)}${total === undefined ? '' : ` of ${size(total)}`}`),
  }
}

/** Of a compressed response the length is another than that of what we read. */
function lengthOf({ headers }: HttpResponse): number | undefined {
  const length = headers.get('content-length') ?? ''
  return /^\d{1,15}$/.test(length) && !headers.has('content-encoding') ? Number(length) : undefined
}

function countingBody(body: HttpBody, onBytes: (length: number) => void): HttpBody {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const chunk of body) {
        onBytes(chunk.length)
        yield chunk
      }
    },
    cancel: (reason) => body.cancel(reason),
  }
}

/** Reads no more of `stream` than is asked of it. */
function countingStream(
  stream: ReadableStream<Uint8Array>,
  onBytes: (length: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = (stream as ReadableStream<Uint8Array<ArrayBuffer>>).getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        onBytes(value.length)
        controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
