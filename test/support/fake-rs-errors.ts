/**
 * How a PDS says no, and what faulty servers say, as data.
 */
import { json } from './fake-http.ts'
import type { Faults } from './faults.ts'

interface RsError {
  readonly status: number
  readonly error: string
  readonly message: string
  /** Whether `WWW-Authenticate: DPoP` repeats it. */
  readonly challenge?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

const RS_ERRORS = {
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

export function rsError(name: RsErrorName, faults: Faults, message?: string): Response {
  const row: RsError = RS_ERRORS[name]
  const told = message ?? row.message
  if (row.error === '') return new Response(told, { status: row.status, headers: { ...row.headers } })
  if (row.challenge) return rsChallenge(row.error, told, faults)
  const error = faults.personality === 'cirrus' && name === 'missingPermission' ? 'InsufficientScope' : row.error
  return json(row.status, { error, message: told }, { ...row.headers })
}

/** A 401 that concerns the token or the proof. At cirrus they are all the same (25.10). */
export function rsChallenge(error: string, message: string, faults: Faults): Response {
  const isCirrus = faults.personality === 'cirrus'
  const answer = json(401, { error: isCirrus ? 'InvalidToken' : error, message })
  return challenge(answer, isCirrus ? 'invalid_token' : error, message, faults)
}

/** Puts the challenge on a response. The reference form: `algs` first, and no description that would need escaping (13.8). */
export function challenge(answer: Response, error: string, description: string, faults: Faults): Response {
  const told = description.includes('"') ? '' : `, error_description="${description}"`
  const reference = `DPoP algs="RS256 RS384 ES256 ES256K", error="${error}"${told}`
  const lines = faults.writeChallenge?.(error, description) ?? reference
  for (const line of [lines].flat()) answer.headers.append('www-authenticate', line)
  return answer
}

/** Asks for a nonce in the form that the fault asks for; the other place then says nothing of use. */
export function nonceChallenge(server: 'as' | 'rs', description: string, faults: Faults): Response {
  const { status, form } = server === 'as' ? faults.asChallenge : faults.rsChallenge
  const error = form === 'header' ? 'unauthorized' : 'use_dpop_nonce'
  const answer = json(status, { error, [server === 'as' ? 'error_description' : 'message']: description })
  return form === 'json' ? answer : challenge(answer, 'use_dpop_nonce', description, faults)
}
