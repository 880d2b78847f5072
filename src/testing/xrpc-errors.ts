/**
 * The error responses of a PDS, and those of faulty servers, as data.
 */

export interface RsError {
  readonly status: number
  readonly error: string
  readonly message: string
  /** Whether `WWW-Authenticate: DPoP` repeats it. */
  readonly challenge?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

export const RS_ERRORS = {
  authMissing: { status: 401, error: 'AuthMissing', message: 'Authentication Required' },
  unknownScheme: { status: 400, error: 'InvalidToken', message: 'Unsupported authorization type: Basic' },
  malformedAuthorization: { status: 400, error: 'InvalidToken', message: 'Malformed authorization header' },
  bearer: { status: 400, error: 'InvalidToken', message: 'Malformed token' },
  bearerOld: { status: 400, error: 'InvalidToken', message: 'Bad token scope' },
  badProof: { status: 401, error: 'invalid_dpop_proof', message: 'DPoP "htu" mismatch', challenge: true },
  wrongKey: { status: 401, error: 'invalid_token', message: 'Invalid DPoP key binding', challenge: true },
  tokenExpired: { status: 401, error: 'invalid_token', message: 'Token expired', challenge: true },
  expiredInBody: { status: 401, error: 'ExpiredToken', message: 'Token has expired' },
  invalidInBody: { status: 401, error: 'InvalidToken', message: 'Invalid access token' },
  expiredBadRequest: { status: 400, error: 'ExpiredToken', message: 'Token has expired' },
  tokenInvalid: { status: 401, error: 'invalid_token', message: 'Invalid token', challenge: true },
  wrongAudience: { status: 401, error: 'invalid_token', message: 'Invalid audience (got: x)', challenge: true },
  wrongScope: { status: 401, error: 'invalid_token', message: 'Invalid scope (x)', challenge: true },
  missingPermission: {
    status: 403,
    error: 'ScopeMissingError',
    message: 'Missing required scope "repo:app.bsky.feed.post?action=create"',
  },
  closedToOAuth: {
    status: 403,
    error: 'Forbidden',
    message: 'OAuth credentials are not supported for this endpoint',
  },
  emailChange: { status: 403, error: 'Forbidden', message: 'Use the account manager interface to update email' },
  foreignRepo: { status: 401, error: 'AuthenticationRequired', message: 'Authentication Required' },
  takedown: { status: 401, error: 'AccountTakedown', message: 'Account has been taken down' },
  deactivated: { status: 401, error: 'AccountDeactivated', message: 'Account is deactivated' },
  accountNotFound: { status: 403, error: 'AccountNotFound', message: 'Account not found' },
  badTokenMethod: { status: 400, error: 'InvalidToken', message: 'Bad token method' },
  upstreamFailure: { status: 502, error: 'UpstreamFailure', message: 'Upstream service unreachable' },
  upstreamUnauthorized: { status: 401, error: 'AuthMissing', message: 'said by the proxied service' },
  invalidRequest: { status: 400, error: 'InvalidRequest', message: 'Input/text must not be empty' },
  notFound: { status: 404, error: 'NotFound', message: 'No such record' },
  internal: { status: 500, error: 'InternalServerError', message: 'Internal Server Error' },
  notImplemented: { status: 501, error: 'MethodNotImplemented', message: 'Method Not Implemented' },
  rateLimitedSeconds: limited({ 'retry-after': '30' }),
  rateLimitedDate: limited({ 'retry-after': 'Wed, 01 Jan 2031 00:00:00 GMT' }),
  rateLimitedReset: limited({ 'ratelimit-reset': '1925000000' }),
  redirect: { status: 302, error: 'Moved', message: '', headers: { location: 'https://evil.fake.dev/xrpc/steal' } },
  html: { status: 502, error: '', message: '<h1>Bad gateway</h1>', headers: { 'content-type': 'text/html' } },
} satisfies Record<string, RsError>

export type RsErrorName = keyof typeof RS_ERRORS

function limited(headers: Record<string, string>): RsError {
  return { status: 429, error: 'RateLimitExceeded', message: 'Rate Limit Exceeded', headers }
}
