/**
 * Retries requests: reads after a gateway error and, on request, any request after a rate limit.
 *
 * @see https://atproto.com/specs/xrpc#summary-of-http-status-codes, RFC 9110 §10.2.3
 */

import {
  type Clock,
  type HttpHeaders,
  type HttpResponse,
  isStream,
  type Notices,
  type Random,
  type Timer,
} from '../ports.ts'
import { retryAt } from '../protocol/http/response.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { relativeTime } from '../text.ts'

export interface RetryOptions {
  /** Wait for the end of a rate limit, however long, instead of returning the 429 response. */
  readonly wait: boolean
  /** Shared by requests of one session: a limit that one of them meets holds back the others too. */
  readonly limit?: RateLimit
  /** Is told until when a rate limit is waited for, in milliseconds since the epoch. */
  readonly onRateLimit?: ((until: number) => void) | undefined
}

export interface RateLimit {
  /** Milliseconds since the epoch before which nothing is sent. */
  until: number
}

/** A `Session` fits. */
export interface Calling {
  call(request: XrpcRequest): Promise<HttpResponse>
}

type Ports = Clock & Timer & Random & Notices

const GATEWAY = [502, 503, 504]
const RETRIES = 3
/** Backoff before the first retry, in milliseconds; it doubles with each. */
const FIRST_PAUSE = 500
/** Milliseconds, where a 429 names no time. */
const RATE_PAUSE = 30_000
/** Milliseconds; a timer of more than 24 days would end at once. */
const LONGEST_SLEEP = 2 ** 30

/**
 * The last response, whatever its status.
 *
 * @throws {OAuthError} as `session.call`
 */
export async function callWithRetry(
  session: Calling,
  request: XrpcRequest,
  { wait, limit = { until: Number.NEGATIVE_INFINITY }, onRateLimit }: RetryOptions,
  ports: Ports,
): Promise<HttpResponse> {
  const isRead = (request.method ?? (request.body === undefined ? 'GET' : 'POST')) === 'GET'
  const isRepeatable = !isStream(request.body)
  for (let failures = 0; ; ) {
    while (limit.until > ports.now()) {
      await ports.sleep(Math.min(limit.until - ports.now(), LONGEST_SLEEP), request.signal)
    }
    const response = await session.call(request)
    const isLimited = response.status === 429 && wait && isRepeatable
    const isGateway = isRead && GATEWAY.includes(response.status) && failures < RETRIES
    if (!isLimited && !isGateway) return response
    await response.body?.cancel()
    if (isLimited) {
      applyRateLimit(response.headers, limit, ports)
      onRateLimit?.(limit.until)
    } else {
      failures += 1
      await ports.sleep(FIRST_PAUSE * 2 ** (failures - 1) * (1 + ports.randomBytes(1)[0]! / 255), request.signal)
    }
  }
}

/** It ends a moment after the server says. Of several requests that meet one limit, one says so. */
function applyRateLimit(headers: HttpHeaders, limit: RateLimit, ports: Ports): void {
  const now = ports.now()
  const until = retryAt(headers, now) ?? now + RATE_PAUSE
  const isFirst = limit.until <= now
  limit.until = Math.max(limit.until, now + 1000, until + 500)
  if (isFirst) ports.warn(`rate limit exceeded: continuing ${relativeTime(limit.until, now)}`)
}
