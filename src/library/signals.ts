/**
 * Abort signals that outlive many operations. `AbortSignal.any` would keep something of each operation on some versions of
 * Node, so listeners are removed here.
 */
import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events'

/** As many as the global `fetch` allows: many requests may share a signal, and Node warns of a leak at the eleventh. */
const MOST_LISTENERS = 1500

/** Several signals as one, until `release`. */
export interface Joined {
  readonly signal: AbortSignal | undefined
  /** Whether it is a new signal, which listens to the given ones. */
  readonly isJoined: boolean
  /** Removes the listeners. */
  release(): void
}

export function join(...given: readonly (AbortSignal | null | undefined)[]): Joined {
  const signals = [...new Set(given)].filter((signal) => signal !== undefined && signal !== null)
  for (const signal of signals) {
    if (signal instanceof AbortSignal && getMaxListeners(signal) === defaultMaxListeners) {
      setMaxListeners(MOST_LISTENERS, signal)
    }
  }
  const [only] = signals
  if (signals.length < 2) return { signal: only, isJoined: false, release: () => undefined }
  const controller = new AbortController()
  const listeners = signals.map((signal) => ({ signal, abort: () => controller.abort(signal.reason) }))
  for (const { signal, abort } of listeners) {
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }
  const release = () => {
    for (const { signal, abort } of listeners) signal.removeEventListener('abort', abort)
  }
  return { signal: controller.signal, isJoined: true, release }
}

/** A response whose body releases the signals once it was read, has failed or was cancelled. */
export function releasing(response: Response, { isJoined, release }: Joined): Response {
  const { body, status, statusText, headers } = response
  if (!isJoined) return response
  if (body === null) {
    release()
    return response
  }
  const reader = body.getReader()
  const passed = new ReadableStream<Uint8Array>({
    async pull(stream) {
      try {
        const { done, value } = await reader.read()
        if (!done) return stream.enqueue(value)
        release()
        stream.close()
      } catch (error) {
        release()
        stream.error(error)
      }
    },
    async cancel(reason) {
      release()
      await reader.cancel(reason)
    },
  })
  return new Response(passed, { status, statusText, headers })
}
