/**
 * The error response of an XRPC method.
 */
import { keepName, OAuthError } from '../errors.ts'

export interface XrpcRefusal {
  readonly status: number
  readonly error: string | undefined
  readonly headers: Headers
}

/**
 * A method returned an error. Its `code` is `XRPC_ERROR`, `PERMISSION_MISSING` (`facts.scope` is the scope to request) or
 * `RATE_LIMITED`; `message` is one sentence with the server's own message in it.
 *
 * @see https://atproto.com/specs/xrpc#error-responses
 */
export class XrpcError extends OAuthError {
  static {
    keepName(XrpcError, 'XrpcError')
  }

  /** The HTTP status. */
  readonly status: number
  /** The server's name of the error, such as `RecordNotFound`; `undefined` if it gave none. */
  readonly error: string | undefined
  /** Of the response; `ratelimit-reset` is in seconds since the epoch. */
  readonly headers: Headers

  /** @internal */
  constructor(explained: OAuthError, { status, error, headers }: XrpcRefusal) {
    const { code, message, facts, session, cause } = explained
    super(code, message, { facts, session, cause })
    this.name = 'XrpcError'
    this.status = status
    this.error = error
    this.headers = headers
  }
}
