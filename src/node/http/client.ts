/**
 * The HTTP client: https only, no redirects, public addresses only, timeouts, proxies from the environment. `dev`
 * allows http and private addresses.
 */
import { OAuthError } from '../../errors.ts'
import type { Http, HttpInit } from '../../ports.ts'
import { Connections } from './connections.ts'
import { keepingReason, networkError, Timeout } from './errors.ts'
import { exchange } from './exchange.ts'
import { Limit } from './limit.ts'
import { proxiesFrom } from './proxies.ts'

const IDLE_TIMEOUT = 60_000
const TOTAL_TIMEOUT_SECONDS = 30
/** Milliseconds; a timer that is set for longer ends at once. */
const TIMER_LONGEST = 2 ** 31 - 1

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
  const connections = new Connections(dev, proxies)
  return {
    connect(url, { ownConnection, signal }) {
      try {
        connections.to(url, ownConnection).open(signal)
      } catch {
        // The request reports it.
      }
    },
    async fetch(url, init = {}) {
      const { method = 'GET', pauseSeconds, streaming } = init
      const started = process.hrtime() // `performance` is a part of Node of its own to load
      const report = (outcome: string | number) =>
        onRequest?.(`${method} ${url.href} ${outcome} (${millisecondsSince(started)} ms)`)
      const limit = limitOf(init)
      const confirming = init.beforeSend && keepingReason(init.beforeSend)
      try {
        limit.throwIfReached()
        const response = await exchange({
          url,
          method,
          headers: init.headers,
          userAgent,
          body: init.body,
          connections: connections.to(url, init.ownConnection),
          idleMilliseconds: pauseSeconds === undefined ? idleMilliseconds : timerFor(pauseSeconds),
          limit,
          beforeSend: confirming?.run,
        })
        if (streaming) limit.lift()
        report(response.status)
        return response
      } catch (error) {
        limit.end()
        // The caller gave up, and is told so in their own words.
        if (init.signal?.aborted) {
          report('aborted')
          throw init.signal.reason
        }
        if (confirming?.reason !== undefined) {
          report('not sent')
          throw confirming.reason
        }
        const failure = networkError(error, url)
        report(failure.code)
        throw failure
      }
    },
  }
}

function millisecondsSince(started: [number, number]): number {
  const [seconds, nanoseconds] = process.hrtime(started)
  return Math.round(seconds * 1000 + nanoseconds / 1e6)
}

/** Milliseconds. */
function timerFor(seconds: number): number {
  return Math.min(seconds * 1000, TIMER_LONGEST)
}

/** The caller's signal and the timeout as one limit. */
function limitOf({ timeoutSeconds = TOTAL_TIMEOUT_SECONDS, signal }: HttpInit): Limit {
  if (timeoutSeconds > 0) return new Limit(timerFor(timeoutSeconds), () => new Timeout(timeoutSeconds), signal)
  throw new OAuthError('USAGE', `the timeout must be a positive number of seconds, not ${timeoutSeconds}`)
}
