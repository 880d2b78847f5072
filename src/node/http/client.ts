/**
 * The HTTP client: https only, no redirects, public addresses only, timeouts, proxies from the environment. `dev`
 * allows http and private addresses.
 */
import { OAuthError } from '../../errors.ts'
import type { Http, HttpInit } from '../../ports.ts'
import { checkHost } from './address-guard.ts'
import { createAgents } from './agents.ts'
import { networkError, Timeout } from './errors.ts'
import { exchange } from './exchange.ts'
import { proxiesFrom } from './proxies.ts'

const IDLE_TIMEOUT = 60_000
const TOTAL_TIMEOUT_SECONDS = 30

export interface HttpOptions {
  readonly dev: boolean
  readonly userAgent: string
  /** Timeout for a pause of the server. */
  readonly idleMilliseconds?: number
  /** Called with each response or failure; the URL is safe to show. */
  readonly onRequest?: ((line: string) => void) | undefined
}

/** @throws {OAuthError} `USAGE` if a proxy variable is not the URL of an HTTP proxy */
export function createHttp({ dev, userAgent, idleMilliseconds = IDLE_TIMEOUT, onRequest }: HttpOptions): Http {
  const proxies = proxiesFrom(process.env)
  if (proxies.any && !dev) {
    onRequest?.('a proxy is set and resolves names itself: only the spelling of a host behind it is checked')
  }
  const agents = createAgents(dev, proxies)
  return {
    async fetch(url, init = {}) {
      if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:')) {
        throw new OAuthError('ADDRESS_REFUSED', `${url.origin} is not https: nothing was sent there`)
      }
      // Checked here too, because behind a proxy the connection is not ours and the proxy resolves the name.
      if (!dev) checkHost(url.hostname)
      const { method = 'GET', headers, body, streaming, ownConnection } = init
      const started = performance.now()
      const report = (outcome: string | number) =>
        onRequest?.(`${method} ${url.href} ${outcome} (${Math.round(performance.now() - started)} ms)`)
      const limit = timeLimit(init)
      try {
        const response = await exchange({
          url,
          method,
          headers: { accept: '*/*', 'user-agent': userAgent, ...headers },
          body,
          agent: agents.for(url, ownConnection),
          idleMilliseconds,
          signal: limit.signal,
          beforeSend: init.beforeSend,
          onEnd: limit.lift,
        })
        if (streaming) limit.lift()
        report(response.status)
        return response
      } catch (error) {
        limit.lift()
        // The caller gave up, and is told so in their own words.
        if (init.signal?.aborted) {
          report('aborted')
          throw init.signal.reason
        }
        const failure = networkError(error, url)
        report(failure.code)
        throw failure
      }
    },
  }
}

function timeLimit({ timeoutSeconds = TOTAL_TIMEOUT_SECONDS, signal }: HttpInit) {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new Timeout(timeoutSeconds)), timeoutSeconds * 1000)
  timer.unref() // only the socket keeps the process running
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    lift: () => clearTimeout(timer),
  }
}
