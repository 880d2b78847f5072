/**
 * A request made again when a server asks for time: reads that a gateway could not answer, and, if
 * somebody wants to wait, whatever a rate limit has put off.
 *
 * @see https://atproto.com/specs/xrpc#summary-of-http-status-codes, RFC 9110 §10.2.3
 * @module
 */
import type { Clock, Notices, Random, Timer } from './ports.ts'
import { retryAt } from './protocol/response.ts'
import type { XrpcRequest } from './protocol/xrpc.ts'
import type { Session } from './session.ts'

export interface Patience {
  /** Wait for the end of a rate limit, however long, instead of giving its answer back. */
  readonly wait: boolean
}

type Ports = Clock & Timer & Random & Notices

const GATEWAY = [502, 503, 504]
const RETRIES = 3
/** Milliseconds before the first retry; twice that before the next. */
const FIRST_PAUSE = 500
/** Milliseconds, where a 429 names no time. */
const RATE_PAUSE = 30_000

/**
 * The answer in the end; any status is one.
 *
 * @throws {AuthError} as `session.call`
 */
export async function callPatiently(
  session: Pick<Session, 'call'>,
  request: XrpcRequest,
  { wait }: Patience,
  ports: Ports,
): Promise<Response> {
  const isRead = (request.method ?? (request.body === undefined ? 'GET' : 'POST')) === 'GET'
  const isRepeatable = !(request.body instanceof ReadableStream)
  for (let failures = 0; ; ) {
    const response = await session.call(request)
    const isLimited = response.status === 429 && wait && isRepeatable
    const isGateway = isRead && GATEWAY.includes(response.status) && failures < RETRIES
    if (!isLimited && !isGateway) return response
    await response.body?.cancel()
    if (isLimited) await sitOut(response.headers, ports)
    else {
      failures += 1
      await ports.sleep(FIRST_PAUSE * 2 ** (failures - 1) * (1 + ports.randomBytes(1)[0]! / 255))
    }
  }
}

/** Until a moment after the limit ends. */
async function sitOut(headers: Headers, ports: Ports): Promise<void> {
  const until = retryAt(headers, ports.now()) ?? ports.now() + RATE_PAUSE
  ports.warn(`the server limits our rate: waiting until ${new Date(until).toISOString()}`)
  await ports.sleep(Math.max(1000, until - ports.now() + 500))
}
