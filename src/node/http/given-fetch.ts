/**
 * The HTTP port over a `fetch` that the program brings. What can be checked from outside is checked here: https, the
 * spelling of the host, no redirects, timeouts. Where a name leads is up to that `fetch`.
 */
import { OAuthError } from '../../errors.ts'
import type { Http, HttpInit } from '../../ports.ts'
import { checkHost } from './address-guard.ts'
import { ConnectFailure, IdleTimeout, keepingReason, networkError, Timeout } from './errors.ts'

/** As the `fetch` of the platform. */
export type GivenFetch = (url: URL, init: RequestInit) => Promise<Response>

interface GivenFetchOptions {
  readonly dev: boolean
  readonly userAgent: string
}

const TOTAL_SECONDS = 30
const PAUSE_SECONDS = 60
/** Milliseconds; a timer that is set for longer ends at once. */
const TIMER_LONGEST = 2 ** 31 - 1
/** System errors of a request of which nothing was sent. */
const UNSENT = ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT']

export function httpOver(given: GivenFetch, { dev, userAgent }: GivenFetchOptions): Http {
  return {
    connect: () => undefined, // whatever is opened is up to that `fetch`
    async fetch(url, init = {}) {
      if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:')) {
        throw new OAuthError('ADDRESS_REFUSED', `${url.origin} is not https: nothing was sent there`)
      }
      if (!dev) checkHost(url.hostname)
      const limit = limitsOf(init)
      const confirming = init.beforeSend && keepingReason(init.beforeSend)
      try {
        limit.signal.throwIfAborted()
        await confirming?.run()
        const response = await limit.orAborted(given(new URL(url), requestOf(init, userAgent, limit.signal)))
        if (response.redirected || response.type === 'opaqueredirect') {
          throw new OAuthError('ADDRESS_REFUSED', `the given fetch followed a redirect of ${url.origin}`)
        }
        return await limit.bounded(response, (error) => explained(error, url, init))
      } catch (error) {
        limit.end()
        throw confirming?.reason ?? explained(error, url, init)
      }
    },
  }
}

function requestOf({ method = 'GET', headers, body }: HttpInit, userAgent: string, signal: AbortSignal): RequestInit {
  return {
    method,
    // Most kinds of `fetch` return the half of a compressed body as if it were whole.
    headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': userAgent, ...headers },
    ...(body !== undefined && { body: body as BodyInit }),
    ...(body instanceof ReadableStream && { duplex: 'half' }),
    redirect: 'manual',
    credentials: 'omit',
    cache: 'no-store',
    signal,
  } as RequestInit
}

function explained(error: unknown, url: URL, { signal }: HttpInit): unknown {
  if (signal?.aborted) return signal.reason
  if (!(error instanceof Error)) return networkError(new Error(String(error)), url)
  const isUnsent = codesOf(error).some((code) => UNSENT.includes(code))
  return networkError(isUnsent ? new ConnectFailure(error) : error, url)
}

function codesOf(error: Error): string[] {
  const codes: string[] = []
  for (let link: unknown = error; link instanceof Error && codes.length < 10; link = link.cause) {
    codes.push(String((link as { code?: unknown }).code))
  }
  return codes
}

/** The caller's signal and the timeouts as one signal, which leaves nothing on the caller's once the exchange has ended. */
function limitsOf({ timeoutSeconds = TOTAL_SECONDS, pauseSeconds = PAUSE_SECONDS, streaming, signal }: HttpInit) {
  if (!(timeoutSeconds > 0)) {
    throw new OAuthError('USAGE', `the timeout must be a positive number of seconds, not ${timeoutSeconds}`)
  }
  const controller = new AbortController()
  const abort = () => controller.abort(signal?.reason)
  const after = (seconds: number, error: () => Error) => {
    const timer = setTimeout(() => controller.abort(error()), Math.min(seconds * 1000, TIMER_LONGEST))
    timer.unref()
    return timer
  }
  const total = after(timeoutSeconds, () => new Timeout(timeoutSeconds))
  if (signal?.aborted) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  const end = () => {
    clearTimeout(total)
    signal?.removeEventListener('abort', abort)
  }
  const orAborted = <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const fail = () => reject(controller.signal.reason)
      if (controller.signal.aborted) fail()
      controller.signal.addEventListener('abort', fail, { once: true })
      work.then(resolve, reject).finally(() => controller.signal.removeEventListener('abort', fail))
    })
  const bounded = async (response: Response, explain: (error: unknown) => unknown): Promise<Response> => {
    if (streaming) clearTimeout(total)
    const { status, statusText, headers } = response
    if (response.body === null) {
      end()
      return response
    }
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const body = new ReadableStream<Uint8Array>({
      async pull(stream) {
        const idle = after(pauseSeconds, () => new IdleTimeout('timed out in the middle of the response'))
        try {
          const { done, value } = await orAborted(reader.read())
          if (!done) return stream.enqueue(value)
          end()
          stream.close()
        } catch (error) {
          end()
          await reader.cancel(error).catch(() => undefined)
          stream.error(explain(error))
        } finally {
          clearTimeout(idle)
        }
      },
      async cancel(reason) {
        end()
        await reader.cancel(reason).catch(() => undefined)
      },
    })
    return new Response(body, { status, statusText, headers })
  }
  return { signal: controller.signal, orAborted, bounded, end }
}
