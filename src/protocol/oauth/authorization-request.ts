/**
 * The authorization request: PKCE (RFC 7636), state, the pushed request (PAR, RFC 9126), and the URL for the browser.
 */
import { base64url } from 'jose'
import { OAuthError } from '../../errors.ts'
import type { AuthorizationServer, Client } from '../../model.ts'
import type { Clock, HttpResponse, Random } from '../../ports.ts'
import { describe, rateLimited, readJsonObject, readServerError, type ServerError } from '../http/response.ts'
import { sha256 } from './dpop.ts'

/** RFC 7636 §4.1 recommends 32 octets, which are 43 characters. */
const VERIFIER_BYTES = 32
const STATE_BYTES = 16
/** Seconds; no request is valid longer, and a timer or a date could not hold a much larger number. */
const REQUEST_LONGEST = 24 * 3600
export const PROMPTS = ['login', 'consent', 'select_account', 'create'] as const
export type Prompt = (typeof PROMPTS)[number]

export interface Pkce {
  readonly codeVerifier: string
  readonly codeChallenge: string
}

export async function createPkce({ randomBytes }: Random): Promise<Pkce> {
  const codeVerifier = base64url.encode(randomBytes(VERIFIER_BYTES))
  return { codeVerifier, codeChallenge: await sha256(codeVerifier) }
}

/** A random state. It identifies the pending authorization and contains no data. */
export function createState({ randomBytes }: Random): string {
  return base64url.encode(randomBytes(STATE_BYTES))
}

export interface AuthorizationRequest extends Pick<Client, 'redirectUri' | 'scope'> {
  readonly state: string
  readonly codeChallenge: string
  /** The handle or DID that the login was started from. */
  readonly loginHint?: string | undefined
  readonly prompt?: Prompt | undefined
}

/** RFC 9126 §2.2. */
export interface PushedRequest {
  readonly requestUri: string
  readonly expiresInSeconds: number
}

/** Sends the form, signed and authenticated as the server requires. */
export interface PushingClient {
  readonly clientId: string
  post(url: string, form: URLSearchParams): Promise<HttpResponse>
}

/**
 * Sends the request to the server (RFC 9126 §2.1).
 *
 * @throws {OAuthError} `PAR_REFUSED`, `RATE_LIMITED`, `SERVER_UNAVAILABLE`, `RESPONSE_INVALID`, those of the `Http` port
 */
export async function pushAuthorizationRequest(
  { issuer, pushed_authorization_request_endpoint }: AuthorizationServer,
  { clientId, post }: PushingClient,
  request: AuthorizationRequest,
  { now }: Clock,
): Promise<PushedRequest> {
  const form = authorizationForm(clientId, request)
  const response = await post(pushed_authorization_request_endpoint, form)
  if (response.status === 429) throw rateLimited(issuer, response.headers, now())
  if (response.status !== 200 && response.status !== 201) {
    throw parRefused(issuer, await readServerError(response, form), form)
  }
  return parsePushedRequest(
    await readJsonObject(response, { what: `the authorization response of ${issuer}`, code: 'RESPONSE_INVALID' }),
    issuer,
  )
}

function authorizationForm(clientId: string, request: AuthorizationRequest): URLSearchParams {
  const { redirectUri, scope, state, codeChallenge, loginHint, prompt } = request
  return new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    state,
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
    ...(loginHint !== undefined && { login_hint: loginHint }),
    ...(prompt !== undefined && { prompt }),
  })
}

function parRefused(issuer: string, refusal: ServerError, form: URLSearchParams): OAuthError {
  if (refusal.status >= 500) {
    return new OAuthError(
      'SERVER_UNAVAILABLE',
      `${issuer} failed to process the authorization request: ${describe(refusal)}`,
    )
  }
  const facts = { status: refusal.status, serverError: refusal.error }
  const message = `${issuer} rejected the authorization request: ${describe(refusal)}`
  if (refusal.status !== 413) return new OAuthError('PAR_REFUSED', message, { facts })
  const bytes = form.toString().length
  return new OAuthError('PAR_REFUSED', `${message}; its ${bytes} bytes are too many`, {
    facts: { ...facts, reason: 'request-too-large' },
  })
}

/** @throws {OAuthError} `RESPONSE_INVALID` */
export function parsePushedRequest(document: Readonly<Record<string, unknown>>, issuer: string): PushedRequest {
  const { request_uri: requestUri, expires_in: expiresInSeconds } = document
  if (typeof requestUri !== 'string' || requestUri.trim() === '') {
    throw new OAuthError('RESPONSE_INVALID', `${issuer} returned no valid request_uri`)
  }
  if (typeof expiresInSeconds !== 'number' || !Number.isInteger(expiresInSeconds) || expiresInSeconds <= 0) {
    throw new OAuthError('RESPONSE_INVALID', `${issuer} returned no valid expires_in`)
  }
  return { requestUri, expiresInSeconds: Math.min(expiresInSeconds, REQUEST_LONGEST) }
}

/** RFC 9126 §4: the endpoint's own query is kept. */
export function authorizationUrl(server: AuthorizationServer, clientId: string, requestUri: string): URL {
  const url = new URL(server.authorization_endpoint)
  url.searchParams.set('client_id', clientId)
  url.searchParams.set('request_uri', requestUri)
  return url
}
