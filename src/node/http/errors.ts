/**
 * Errors of a request without a response: whether it may have arrived, and why.
 */
import { type ErrorFacts, OAuthError } from '../../errors.ts'

/** The timeout for the whole exchange. */
export class Timeout extends Error {
  constructor(seconds: number) {
    super(`timed out after ${seconds} seconds`)
  }
}

/** No data within the idle timeout. */
export class IdleTimeout extends Error {}

/** Before the request. */
export class UnaskedResponse extends Error {
  constructor() {
    super('it responded before the request')
  }
}

/** Failed before a byte of the request was sent. */
export class ConnectFailure extends Error {
  constructor(reason: Error) {
    super(reason.message, { cause: reason })
  }
}

/** A `ConnectFailure` of the connection to the proxy. */
export class ProxyFailure extends ConnectFailure {}

/** The proxy rejected the tunnel, so it forwarded nothing. */
export class TunnelRefused extends Error {
  constructor(readonly status: number | undefined) {
    super(`the proxy returned ${status}`)
  }
}

/** A `beforeSend` whose reason to send nothing is kept, if that is no `Error`: it is meant for whoever gave it. */
export function keepingReason(beforeSend: () => Promise<void>) {
  const kept: { reason?: unknown; readonly run: () => Promise<void> } = {
    run: () =>
      beforeSend().catch((reason: unknown) => {
        if (!(reason instanceof Error)) kept.reason = reason
        throw reason
      }),
  }
  return kept
}

/** The error for a failed exchange. */
export function networkError(error: unknown, url: URL): OAuthError {
  const chain = causes(error)
  const ours = chain.find((link) => link instanceof OAuthError)
  if (ours) return ours
  const timeout = chain.find((link) => link instanceof Timeout)
  const isUnsent = chain.some((link) => link instanceof ConnectFailure)
  if (timeout) {
    const code = isUnsent ? 'NETWORK_UNREACHABLE' : 'NETWORK_LOST'
    return new OAuthError(code, `${url.host}: ${timeout.message}`, { cause: error })
  }
  const code = chain.map((link) => (link as { code?: unknown }).code).find((value) => typeof value === 'string')
  // The messages of unknown errors are not shown: they may quote a header that contains a token.
  const told = chain.find((link) => TOLD.some((kind) => link instanceof kind))
  const facts = factsOf(chain, code)
  const why =
    told?.message ??
    (facts.reason === 'http1-unsupported' ? HTTP2_ONLY : undefined) ??
    REASONS[code ?? ''] ??
    code ??
    'unknown reason'
  if (!isUnsent) {
    return new OAuthError('NETWORK_LOST', `connection to ${url.host} lost: ${why}`, { cause: error, facts })
  }
  if (chain.some((link) => link instanceof ProxyFailure)) {
    return new OAuthError('NETWORK_UNREACHABLE', `cannot reach the proxy for ${url.host}: ${why}`, {
      cause: error,
      facts: facts.reason === undefined ? { reason: 'proxy-unreachable' } : facts,
    })
  }
  const kind = code === 'ENOTFOUND' ? 'HOST_NOT_FOUND' : 'NETWORK_UNREACHABLE'
  return new OAuthError(kind, `cannot reach ${url.host}: ${why}`, { cause: error, facts })
}

/** The facts for a hint, if the cause is known. */
function factsOf(chain: readonly Error[], code: string | undefined): ErrorFacts {
  const refusal = chain.find((link) => link instanceof TunnelRefused)
  if (refusal) return { reason: 'proxy-refused', proxyStatus: refusal.status }
  if (isHttp2Only(chain)) return { reason: 'http1-unsupported' }
  return isUntrusted(code) ? { reason: 'certificate-untrusted' } : {}
}

/** Whether a system error says that the CA of a certificate is not known here. */
export function isUntrusted(code: string | undefined): boolean {
  return code !== undefined && UNTRUSTED.has(code)
}

function causes(error: unknown): Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 10; link = link.cause) {
    chain.push(link)
    if (link instanceof AggregateError && link.errors[0] instanceof Error) chain.push(link.errors[0])
  }
  return chain
}

/** By the TLS alert of a server that supports none of the protocols offered (RFC 7301 §3.2), which is HTTP/1.1 alone. */
function isHttp2Only(chain: readonly Error[]): boolean {
  // As an error of a write it has the code EPROTO.
  return chain.some(({ message }) => /alert no application protocol/.test(message))
}

/** Errors of our own. */
const TOLD = [TunnelRefused, IdleTimeout, UnaskedResponse]
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])
const HTTP2_ONLY = 'the server does not support HTTP/1.1'
const UNKNOWN_CA = 'its TLS certificate is from an unknown CA (set NODE_EXTRA_CA_CERTS to trust it)'
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'temporary DNS failure',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'closed before the response was complete',
  EPIPE: 'closed during the request',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EAFNOSUPPORT: 'this machine has no address of that kind',
  EADDRNOTAVAIL: 'this machine has no address of that kind',
  ERR_STREAM_PREMATURE_CLOSE: 'closed before the response was complete',
  Z_DATA_ERROR: 'cannot decompress the response',
  Z_BUF_ERROR: 'cannot decompress the response',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed (set NODE_EXTRA_CA_CERTS to trust it)',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another name',
}
