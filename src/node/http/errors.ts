/**
 * What became of a request that got no answer: whether it can have arrived, and why in words.
 */
import { OAuthError } from '../../errors.ts'

/** The time for the whole exchange is over. */
export class Timeout extends Error {
  constructor(seconds: number) {
    super(`no complete answer within ${seconds} seconds`)
  }
}

/** The server paused for too long. */
export class IdleTimeout extends Error {}

/** Marks what failed before a byte of the request was on its way. */
export class ConnectFailure extends Error {
  constructor(reason: Error) {
    super(reason.message, { cause: reason })
  }
}

/** The same, and it is the proxy that could not be reached. */
export class ProxyFailure extends ConnectFailure {}

/** A proxy that refuses a tunnel has passed nothing on. */
export class TunnelRefused extends Error {
  constructor(readonly status: number | undefined) {
    super(`the proxy answered ${status}`)
  }
}

/** Which of our network errors the failure of an exchange is. */
export function networkError(error: unknown, url: URL): OAuthError {
  const chain = causes(error)
  const ours = chain.find((link) => link instanceof OAuthError)
  if (ours) return ours
  const timeout = chain.find((link) => link instanceof Timeout)
  if (timeout) return new OAuthError('NETWORK_LOST', `${url.host}: ${timeout.message}`, { cause: error })
  const code = chain.map((link) => (link as { code?: unknown }).code).find((value) => typeof value === 'string')
  // Never the message of an error that we do not know: it may quote a header, and with it a token.
  const told = chain.find((link) => link instanceof TunnelRefused || link instanceof IdleTimeout)
  const why = told?.message ?? REASONS[code ?? ''] ?? code ?? 'for a reason that is not known'
  if (!chain.some((link) => link instanceof ConnectFailure)) {
    return new OAuthError('NETWORK_LOST', `the connection to ${url.host} broke: ${why}`, { cause: error })
  }
  if (chain.some((link) => link instanceof ProxyFailure)) {
    return new OAuthError('NETWORK_UNREACHABLE', `${url.host} cannot be reached, because its proxy cannot: ${why}`, {
      cause: error,
    })
  }
  const kind = code === 'ENOTFOUND' ? 'HOST_NOT_FOUND' : 'NETWORK_UNREACHABLE'
  return new OAuthError(kind, `${url.host} cannot be reached: ${why}`, { cause: error })
}

function causes(error: unknown): Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 10; link = link.cause) {
    chain.push(link)
    if (link instanceof AggregateError && link.errors[0] instanceof Error) chain.push(link.errors[0])
  }
  return chain
}

const UNKNOWN_CA = 'its TLS certificate is from an unknown CA (NODE_EXTRA_CA_CERTS adds one of yours)'
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it was closed without a whole answer',
  EPIPE: 'it was closed in the middle of the request',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no network',
  ERR_STREAM_PREMATURE_CLOSE: 'it was closed without a whole answer',
  Z_DATA_ERROR: 'its answer cannot be unpacked',
  Z_BUF_ERROR: 'its answer cannot be unpacked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed (NODE_EXTRA_CA_CERTS adds a CA of yours)',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another name',
}
