/**
 * The one HTTP client: https only, no redirects, public addresses only, time limits,
 * proxies from the environment. `dev` lifts the first and the third.
 *
 * @module
 */
import {
  type buildConnector,
  EnvHttpProxyAgent,
  buildConnector as makeConnector,
  type BodyInit as UndiciBody,
  fetch as undiciFetch,
} from 'undici'
import { AuthError } from '../errors.ts'
import type { Http, HttpInit } from '../ports.ts'
import { checkHost, guardedLookup } from './address-guard.ts'

const CONNECT_TIMEOUT = 5_000
const IDLE_TIMEOUT = 60_000
const TOTAL_TIMEOUT_SECONDS = 30
/** Whatever NODE_TLS_REJECT_UNAUTHORIZED says: who answers would get the tokens. */
const VERIFIED = { rejectUnauthorized: true }

export interface HttpOptions {
  readonly dev: boolean
  readonly userAgent: string
  /** How long a server may pause. */
  readonly idleMilliseconds?: number
  /** Told of each answer or failure; the URL is safe to show. */
  readonly onRequest?: ((line: string) => void) | undefined
}

export function createHttp({ dev, userAgent, idleMilliseconds = IDLE_TIMEOUT, onRequest }: HttpOptions): Http {
  const proxies = {
    ...proxyFrom('httpProxy', 'http_proxy', 'HTTP_PROXY'),
    ...proxyFrom('httpsProxy', 'https_proxy', 'HTTPS_PROXY'),
  }
  if (Object.keys(proxies).length > 0 && !dev) {
    onRequest?.('a proxy is set, which looks up names itself: of a host behind it only the spelling is judged here')
  }
  const dispatcher = new EnvHttpProxyAgent({
    ...proxies,
    connect: guardedConnector(dev),
    requestTls: VERIFIED,
    proxyTls: VERIFIED,
    headersTimeout: idleMilliseconds,
    bodyTimeout: idleMilliseconds,
  })
  return {
    async fetch(url, init = {}) {
      if (url.protocol !== 'https:' && !(dev && url.protocol === 'http:')) {
        throw new AuthError('ADDRESS_REFUSED', `${url.origin} is not https: nothing was sent there`)
      }
      // Here too: behind a proxy there is no connector of ours, and what a name leads to is the proxy's to judge.
      if (!dev) checkHost(url.hostname)
      const started = performance.now()
      const report = (outcome: string | number) =>
        onRequest?.(`${init.method ?? 'GET'} ${url.href} ${outcome} (${Math.round(performance.now() - started)} ms)`)
      const limit = timeLimit(init)
      try {
        const response = await undiciFetch(url, {
          method: init.method ?? 'GET',
          headers: { 'user-agent': userAgent, ...init.headers },
          body: (init.body ?? null) as UndiciBody | null,
          ...(init.body instanceof ReadableStream && { duplex: 'half' }),
          redirect: 'manual',
          signal: limit.signal,
          dispatcher,
        })
        if (init.streaming) limit.lift()
        report(response.status)
        return withExplainedBody(response as unknown as Response, url)
      } catch (error) {
        limit.lift()
        const failure = explain(error, url)
        report(failure.code)
        throw failure
      }
    },
  }
}

/**
 * The proxy that the environment names; as elsewhere it may come without a scheme.
 *
 * @throws {AuthError} `USAGE`
 */
function proxyFrom(
  option: 'httpProxy' | 'httpsProxy',
  ...names: readonly string[]
): Partial<Record<typeof option, string>> {
  const name = names.find((candidate) => process.env[candidate])
  if (name === undefined) return {}
  const value = process.env[name]!
  const url = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return { [option]: url }
  // Without the value: it may hold a password.
  throw new AuthError('USAGE', `${name} is not the address of an HTTP proxy`, {
    hint: `set ${name} to http://host:port`,
  })
}

function timeLimit({ timeoutSeconds = TOTAL_TIMEOUT_SECONDS, signal }: HttpInit) {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new Timeout(timeoutSeconds)), timeoutSeconds * 1000)
  timer.unref() // the socket keeps the process up, not the limit
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    lift: () => clearTimeout(timer),
  }
}

class Timeout extends Error {
  constructor(seconds: number) {
    super(`no complete answer within ${seconds} seconds`)
  }
}

/** Marks what failed before a byte of the request was on its way. */
class ConnectFailure extends Error {
  constructor(readonly reason: Error) {
    super(reason.message, { cause: reason })
  }
}

function guardedConnector(dev: boolean): buildConnector.connector {
  const connect = makeConnector({
    timeout: CONNECT_TIMEOUT,
    ...VERIFIED,
    ...(!dev && { lookup: guardedLookup as never }),
  })
  return (options, callback) => {
    try {
      if (!dev) checkHost(options.hostname)
    } catch (error) {
      callback(error as Error, null)
      return
    }
    connect(options, (...[error, socket]) => {
      if (error) callback(new ConnectFailure(error), null)
      else callback(null, socket)
    })
  }
}

/** The same answer, except that a body that breaks off does so with an error of ours. */
function withExplainedBody(response: Response, url: URL): Response {
  const reader = response.body?.getReader()
  if (!reader) return response
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        controller.error(explain(error, url))
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
  const { status, headers } = response
  if (status < 200 || status > 599)
    throw new AuthError('NETWORK_LOST', `${url.host} answered with the status ${status}, which is none`)
  // A reason phrase may be in any language, but a Response takes only some of them.
  const statusText = /^[\t\x20-\x7e]*$/.test(response.statusText) ? response.statusText : ''
  return new Response(body, { status, statusText, headers })
}

/** Which of our three network errors a rejection of `fetch` is. */
function explain(error: unknown, url: URL): AuthError {
  const chain = causes(error)
  const ours = chain.find((link) => link instanceof AuthError)
  if (ours) return ours
  if (chain.some(({ message }) => message === 'bad port')) {
    return new AuthError(
      'ADDRESS_REFUSED',
      `${url.host} has a port that is kept for another protocol: nothing was sent there`,
      {
        hint: 'use another port',
      },
    )
  }
  const timeout = chain.find((link) => link instanceof Timeout)
  if (timeout) return new AuthError('NETWORK_LOST', `${url.host}: ${timeout.message}`, { cause: error })
  const code = chain.map((link) => (link as { code?: unknown }).code).find((value) => typeof value === 'string')
  // Never the message of an error that we do not know: it may quote a header, and with it a token.
  const tunnel = chain.map((link) => TUNNEL.exec(link.message)).find((match) => match !== null)
  const why = tunnel
    ? `the proxy answered ${tunnel[1]}`
    : (REASONS[code ?? ''] ?? code ?? 'for a reason that is not known')
  // A proxy that cannot be reached or refuses a tunnel has passed nothing on either.
  const unsent =
    tunnel !== undefined ||
    chain.some((link) => link instanceof ConnectFailure) ||
    (UNSENT.includes(code ?? '') &&
      chain.every((link) => !/^(?:read|write)$/.test((link as { syscall?: string }).syscall ?? '')))
  if (code === 'ENOTFOUND')
    return new AuthError('HOST_NOT_FOUND', `${url.host} cannot be reached: ${why}`, { cause: error })
  if (unsent) return new AuthError('NETWORK_UNREACHABLE', `${url.host} cannot be reached: ${why}`, { cause: error })
  return new AuthError('NETWORK_LOST', `the connection to ${url.host} broke: ${why}`, { cause: error })
}

function causes(error: unknown): Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 10; link = link.cause) {
    chain.push(link)
    if (link instanceof AggregateError && link.errors[0] instanceof Error) chain.push(link.errors[0])
  }
  return chain
}

/** How undici begins when a proxy does not open a tunnel; the code is that of any aborted request. */
const TUNNEL = /^Proxy response \((\d+)\)/
const UNSENT = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'UND_ERR_PRX_TLS',
]
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it was reset',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no network',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_SOCKET: 'it was closed without an answer',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'its answer stopped in the middle',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed (NODE_EXTRA_CA_CERTS adds a CA of yours)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate is from an unknown CA (NODE_EXTRA_CA_CERTS adds one of yours)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate is from an unknown CA (NODE_EXTRA_CA_CERTS adds one of yours)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its TLS certificate is from an unknown CA (NODE_EXTRA_CA_CERTS adds one of yours)',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another name',
}
