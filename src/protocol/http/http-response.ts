/**
 * Responses as the `Http` port returns them, and as the library returns them.
 */
import type { HttpBody, HttpResponse } from '../../ports.ts'

/** The same response with another body. */
export function withBody({ status, statusText, ok, headers }: HttpResponse, body: HttpBody | null): HttpResponse {
  return { status, statusText, ok, headers, body }
}

/** A body in memory. */
export function bodyOf(bytes: Uint8Array): HttpBody {
  return {
    async *[Symbol.asyncIterator]() {
      yield bytes
    },
    cancel: async () => undefined,
  }
}

/**
 * Reads the body to see what it says. The returned response has the whole body again.
 *
 * @returns `bytes` is `undefined` if the body is larger than `largest`
 */
export async function peek(
  response: HttpResponse,
  largest: number,
): Promise<{ readonly bytes: Uint8Array | undefined; readonly response: HttpResponse }> {
  if (!response.body) return { bytes: new Uint8Array(), response }
  const chunks = response.body[Symbol.asyncIterator]()
  const read: Uint8Array[] = []
  let length = 0
  let isWhole = false
  let failure: { readonly error: unknown } | undefined
  while (length <= largest && !isWhole && !failure) {
    try {
      const { done, value } = await chunks.next()
      if (done) {
        isWhole = true
      } else {
        read.push(value)
        length += value.length
      }
    } catch (error) {
      failure = { error }
    }
  }
  const again = async function* () {
    try {
      yield* read
      if (failure) throw failure.error
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
    } finally {
      await chunks.return?.()
    }
  }
  const cancel = async () => void (await chunks.return?.())
  const body = { [Symbol.asyncIterator]: again, cancel }
  return { bytes: isWhole ? joined(read, length) : undefined, response: withBody(response, body) }
}

/** One array from all parts. */
export function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/**
 * A `Response`, as users of the library expect it. The commands do without it: Node loads its whole `fetch` for the first
 * one, which takes longer than the rest of a short command.
 */
export function toResponse(response: HttpResponse): Response {
  if (response instanceof Response) return response
  const { status, statusText, headers, body } = response
  return new Response(body && streamOf(body), { status, statusText, headers: [...headers] })
}

/** With backpressure. Chunks are copied, because whoever receives a stream may transfer them. */
function streamOf(body: HttpBody): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks = body[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done) controller.close()
        else controller.enqueue(new Uint8Array(value))
      },
      cancel: (reason) => body.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
