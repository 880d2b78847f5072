/**
 * The authorization request: PKCE (RFC 7636), state, PAR (RFC 9126), and the URL
 * for the browser.
 *
 * @module
 */
import { base64url } from 'jose'
import { OAuthError } from '../../errors.ts'
import type { AuthorizationServer, Client } from '../../model.ts'
import type { Clock, HttpInit, Random } from '../../ports.ts'
import { describe, rateLimited, readJsonObject, readServerError } from '../http/response.ts'
import { sha256 } from './dpop.ts'
import type { DpopFetch } from './dpop-fetch.ts'

/** RFC 7636 §4.1 recommends 32 octets, which make 43 characters. */
const VERIFIER_BYTES = 32
const STATE_BYTES = 16
const TIMEOUT = 10
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

/** Random and nothing else: it names the pending authorization, and carries no data. */
export function createState({ randomBytes }: Random): string {
  return base64url.encode(randomBytes(STATE_BYTES))
}

export interface AuthorizationRequest {
  readonly client: Client
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

/**
 * @throws {OAuthError} `PAR_REFUSED`, `RATE_LIMITED`, `SERVER_UNAVAILABLE`, `RESPONSE_INVALID`
 */
export async function pushAuthorizationRequest(
  server: AuthorizationServer,
  request: AuthorizationRequest,
  dpopFetch: DpopFetch,
  ports: Clock,
): Promise<PushedRequest> {
  const { client, state, codeChallenge, loginHint, prompt } = request
  const form = new URLSearchParams({
    client_id: client.clientId,
    response_type: 'code',
    redirect_uri: client.redirectUri,
    scope: client.scope,
    state,
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
    ...(loginHint !== undefined && { login_hint: loginHint }),
    ...(prompt !== undefined && { prompt }),
  })
  const response = await postForm(server.pushed_authorization_request_endpoint, form, dpopFetch)
  if (response.status === 429) throw rateLimited(server.issuer, response.headers, ports.now())
  if (response.status !== 200 && response.status !== 201) {
    const refusal = await readServerError(response, form)
    if (refusal.status >= 500) {
      throw new OAuthError('SERVER_UNAVAILABLE', `${server.issuer} failed at the request: ${describe(refusal)}`)
    }
    throw new OAuthError('PAR_REFUSED', `${server.issuer} refused the request: ${describe(refusal)}`, {
      hint: PAR_HINTS.get(refusal.error ?? ''),
    })
  }
  return parsePushedRequest(
    await readJsonObject(response, { what: `the answer of ${server.issuer} to the request`, code: 'RESPONSE_INVALID' }),
    server.issuer,
  )
}

/** Branching on `error` only; descriptions are for people (RFC 6749 §5.2). */
const PAR_HINTS: ReadonlyMap<string, string> = new Map([
  ['invalid_scope', 'ask for less with --scope, or declare the scope in your client document'],
  [
    'invalid_client_metadata',
    'the server could not use the document at your client_id: check that it is public and valid',
  ],
  ['invalid_client', 'the server does not accept this client_id: check --client-id'],
  ['invalid_redirect_uri', 'use a --redirect-uri that the client document lists'],
  ['temporarily_unavailable', 'run the same command again in a few minutes'],
])

/** @throws {OAuthError} `RESPONSE_INVALID` */
export function parsePushedRequest(document: Readonly<Record<string, unknown>>, issuer: string): PushedRequest {
  const { request_uri: requestUri, expires_in: expiresInSeconds } = document
  if (typeof requestUri !== 'string' || requestUri.trim() === '') {
    throw new OAuthError('RESPONSE_INVALID', `${issuer} accepted the request without naming its request_uri`)
  }
  if (typeof expiresInSeconds !== 'number' || !Number.isInteger(expiresInSeconds) || expiresInSeconds <= 0) {
    throw new OAuthError('RESPONSE_INVALID', `${issuer} did not say for how long the request is valid`)
  }
  return { requestUri, expiresInSeconds }
}

/** RFC 9126 §4: the endpoint's own query is kept. */
export function authorizationUrl(server: AuthorizationServer, clientId: string, requestUri: string): URL {
  const url = new URL(server.authorization_endpoint)
  url.searchParams.set('client_id', clientId)
  url.searchParams.set('request_uri', requestUri)
  return url
}

/** One POST to the authorization server; a redirect is an answer, never followed. */
export function postForm(
  endpoint: string,
  form: URLSearchParams,
  dpopFetch: DpopFetch,
  init: Pick<HttpInit, 'timeoutSeconds' | 'ownConnection'> = { timeoutSeconds: TIMEOUT },
): Promise<Response> {
  return dpopFetch(new URL(endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    ...init,
  })
}
