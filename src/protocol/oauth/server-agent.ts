/**
 * The requests to one authorization server, for one client and one DPoP key: pushed request, code exchange, refresh
 * and revocation. Each carries a proof of the key and the client's authentication; the server's nonces and clock are
 * learned from its responses.
 *
 * Sending and validation (`token-endpoint.ts`) are separate: if the validation fails, there is a session to revoke.
 *
 * @see RFC 6749 §4.1.3, §6; RFC 7009 §2; RFC 9126 §2; RFC 9449 §5
 * @see https://atproto.com/specs/oauth#tokens-and-session-lifetime
 */
import { type ErrorCode, isOAuthError, OAuthError } from '../../errors.ts'
import type { AuthorizationServer, Nonces, Origin } from '../../model.ts'
import type { Clock, HttpInit, HttpResponse, Network, Random, Timer } from '../../ports.ts'
import { isMomentary, type WithEarly } from '../http/early.ts'
import { describe, type JsonObject, rateLimited, readServerError, type ServerError } from '../http/response.ts'
import type { WithServerClocks } from '../http/server-clock.ts'
import { type AuthorizationRequest, type PushedRequest, pushAuthorizationRequest } from './authorization-request.ts'
import { type ClientIdentity, withClientAssertion } from './client-auth.ts'
import type { DpopKey } from './dpop.ts'
import { createDpopFetch, type DpopFetch, NONCE_CURRENT, type NonceOptions } from './dpop-fetch.ts'
import { anyToken, exchangeRefused, readTokenResponse, refreshRefused } from './token-endpoint.ts'

/** Seconds. */
const TIMEOUT = 10
/** Behind them the server may be away, and a token sent now may be lost. */
const GATEWAY_ERRORS: readonly number[] = [502, 503, 504]
const FORM = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' } as const
/** Seconds. Longer than for other requests, because the token is used up even if the response is not awaited. */
export const TOKEN_TIMEOUT = 45
/** On a new connection: a kept one may be closed just when it is used, and a single-use token cannot be sent again. */
const ONCE = { timeoutSeconds: TOKEN_TIMEOUT, ownConnection: true } as const

export interface ServerAgentOptions {
  readonly server: AuthorizationServer
  readonly client: ClientIdentity
  /** Signs with the DPoP key. Requests to other servers may share it: each origin has its own nonce. */
  readonly dpopFetch: DpopFetch
  /** The request for the nonce, if it was sent before the server was known. */
  readonly earlyNonce?: EarlyNonce | undefined
}

/** A request of `learnNonce` that was sent early. */
export interface EarlyNonce {
  /** The URL that was taken for the token endpoint. */
  readonly url: URL
  readonly response: Promise<HttpResponse>
  /** When it was sent, in milliseconds since the epoch. */
  readonly sentAt: number
}

export interface KeyOptions extends Omit<ServerAgentOptions, 'dpopFetch' | 'earlyNonce'>, NonceOptions {
  readonly key: DpopKey
}

/** Of a request on a new connection with TLS. */
const ROUND_TRIPS = 3
/** Milliseconds. */
const PATIENCE_MOST = 1000

/** The path of the token endpoint at all servers known so far. */
const TOKEN_PATH = '/oauth/token'

/**
 * Sends the request of `learnNonce` before the metadata has named the token endpoint, where it probably is. It contains the
 * client's ID and a proof of a key that nothing is bound to yet, or that this issuer's tokens are bound to.
 */
export function beginNonce(
  issuer: Origin,
  { clientId }: ClientIdentity,
  dpopFetch: DpopFetch,
  { early, now }: WithEarly & Clock,
): EarlyNonce {
  const url = new URL(TOKEN_PATH, issuer)
  const response = dpopFetch.attempt(url, { ...nonceInit(clientId), signal: early.signal }, { isGuess: true })
  response.catch(() => undefined) // reported if it is used
  return { url, response, sentAt: now() }
}

function nonceInit(clientId: string) {
  const form = new URLSearchParams({ client_id: clientId })
  return { method: 'POST', headers: FORM, body: form.toString(), timeoutSeconds: TIMEOUT } as const
}

/** The input of a code exchange (RFC 6749 §4.1.3, RFC 7636 §4.5). */
export interface CodeGrant {
  readonly code: string
  /** The redirect URI of the authorization request, byte for byte. */
  readonly redirectUri: string
  readonly codeVerifier: string
}

/** A request that is never retried: its name in messages, and its errors. */
interface Once {
  readonly what: string
  /** The error code if it is unknown whether the server has committed. */
  readonly ambiguous: ErrorCode
  readonly refused: (issuer: string, refusal: ServerError, clientId: string) => OAuthError
}

const CODE: Once = { what: 'the code', ambiguous: 'EXCHANGE_AMBIGUOUS', refused: exchangeRefused }
const REFRESH_TOKEN: Once = { what: 'the refresh', ambiguous: 'REFRESH_AMBIGUOUS', refused: refreshRefused }

export class OAuthServerAgent {
  readonly #server: AuthorizationServer
  readonly #client: ClientIdentity
  readonly #dpopFetch: DpopFetch
  /** Only if it went to the token endpoint. */
  readonly #earlyNonce: EarlyNonce | undefined
  readonly #ports: Clock & Random

  constructor({ server, client, dpopFetch, earlyNonce }: ServerAgentOptions, ports: Clock & Random) {
    this.#server = server
    this.#client = client
    this.#dpopFetch = dpopFetch
    this.#earlyNonce = earlyNonce?.url.href === server.token_endpoint ? earlyNonce : undefined
    this.#ports = ports
  }

  /**
   * An agent whose key is used for no other requests.
   *
   * @param ports with the clocks measured during discovery: some servers use up a code before they check the time in
   *   its proof
   */
  static withKey({ key, server, client, ...nonces }: KeyOptions, ports: Network & WithServerClocks): OAuthServerAgent {
    return new OAuthServerAgent({ server, client, dpopFetch: createDpopFetch(key, nonces, ports) }, ports)
  }

  /** The newest nonces, for a later process with the same key. */
  nonces(): Nonces {
    return this.#dpopFetch.nonces()
  }

  /** Milliseconds since the epoch by the server's clock, or by ours until a response has shown it. */
  now(): number {
    return this.#dpopFetch.now(this.#server.issuer)
  }

  /**
   * Pushes an authorization request (RFC 9126).
   *
   * @throws {OAuthError} `PAR_REFUSED`, `RATE_LIMITED`, `SERVER_UNAVAILABLE`, `RESPONSE_INVALID`, those of the `Http` port
   */
  par(request: AuthorizationRequest): Promise<PushedRequest> {
    const client = {
      clientId: this.#client.clientId,
      post: (url: string, form: URLSearchParams) => this.#post(url, form),
    }
    return pushAuthorizationRequest(this.#server, client, request, this.#ports)
  }

  /**
   * Gets the server's nonce, unless a response has shown it within the last minute. Called before a code or a refresh
   * token is sent: some servers spend them before they check the nonce, and the retry would then be a replay.
   *
   * What is sent is a token request without a grant: every server rejects it, one with nonces gives its nonce with that,
   * and nothing can be spent. A server that gives none is sent the code or token without.
   *
   * @throws {OAuthError} `NETWORK_UNREACHABLE`, `SERVER_UNAVAILABLE`, `RATE_LIMITED` and others of the `Http` port. Neither
   *   a code nor a token was sent.
   */
  async learnNonce(): Promise<void> {
    const { issuer, token_endpoint } = this.#server
    const url = new URL(token_endpoint)
    if (this.#dpopFetch.isNonceCurrent(url.origin)) return
    const init = nonceInit(this.#client.clientId)
    const response = await this.#firstOf(() => this.#dpopFetch.attempt(url, init)).catch((error: unknown) => {
      if (!isOAuthError(error, 'NETWORK_LOST')) throw error
      throw new OAuthError('NETWORK_UNREACHABLE', error.message, { cause: error })
    })
    if (response.status === 429) throw rateLimited(issuer, response.headers, this.#ports.now())
    if (GATEWAY_ERRORS.includes(response.status)) {
      const refusal = await readServerError(response)
      throw new OAuthError('SERVER_UNAVAILABLE', `${issuer} responded with ${describe(refusal)}`)
    }
    await response.body?.cancel().catch(() => undefined)
  }

  /**
   * Waits for the nonce of a request that is on its way to the token endpoint, but not for longer than a rejection of the next
   * request would take, which is what it saves.
   */
  async awaitNonce({ sleep }: Partial<Timer>): Promise<void> {
    if (!this.#earlyNonce) return
    const { url, response, sentAt } = this.#earlyNonce
    if (this.#dpopFetch.isNonceCurrent(url.origin)) return
    const settled = response.then(
      () => undefined,
      () => undefined,
    )
    const patience = (this.#ports.now() - sentAt) / ROUND_TRIPS
    if (!sleep || patience <= 0) return settled
    // A timer that still ran would keep the process running.
    const over = new AbortController()
    const waited = sleep(Math.min(patience, PATIENCE_MOST), over.signal).catch(() => undefined)
    await Promise.race([settled, waited])
    over.abort()
  }

  /** The response to the early request if there is a recent one, or else to another. */
  async #firstOf(ask: () => Promise<HttpResponse>): Promise<HttpResponse> {
    const early = this.#earlyNonce
    if (early === undefined || Math.abs(this.#ports.now() - early.sentAt) > NONCE_CURRENT) return ask()
    const response = await early.response
    if (!isMomentary(response.status)) return response
    await response.body?.cancel().catch(() => undefined)
    return ask()
  }

  /**
   * Sends the code, once: any response but a nonce challenge uses it up.
   *
   * @returns the token response, not yet validated
   * @throws {OAuthError} `NETWORK_UNREACHABLE` (not sent), `EXCHANGE_AMBIGUOUS`, `EXCHANGE_REFUSED`, `RATE_LIMITED`
   */
  exchange({ code, redirectUri, codeVerifier }: CodeGrant): Promise<JsonObject> {
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: codeVerifier,
      client_id: this.#client.clientId,
    })
    return this.#sendOnce(form, CODE)
  }

  /**
   * Spends the refresh token. Called by the refresh transaction only.
   *
   * @param beforeSend awaited immediately before each attempt; if it rejects, nothing was sent
   * @returns the token response, not yet validated
   * @throws {OAuthError} `NETWORK_UNREACHABLE` (not sent), `SESSION_DEAD`, `REFRESH_AMBIGUOUS`, `REFRESH_REFUSED`,
   *   `RATE_LIMITED`
   */
  refresh(refreshToken: string, beforeSend?: () => Promise<void>): Promise<JsonObject> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: this.#client.clientId,
    })
    return this.#sendOnce(form, REFRESH_TOKEN, beforeSend)
  }

  /**
   * Revokes a token (RFC 7009 §2.1), with a proof of the session's key: without it a server may respond with 200 and
   * revoke nothing.
   *
   * @returns whether the server confirmed it; a failure of any kind is `false`
   */
  async revoke(token: string): Promise<boolean> {
    const { revocation_endpoint } = this.#server
    if (revocation_endpoint === undefined) return false
    try {
      const form = new URLSearchParams({ token, client_id: this.#client.clientId })
      const response = await this.#post(revocation_endpoint, form)
      await response.body?.cancel()
      return response.ok
    } catch {
      return false
    }
  }

  /**
   * Revokes a session whose token response failed validation. Best effort: its tokens are discarded either way.
   *
   * @returns whether the server confirmed it
   */
  async revokeIssued(response: JsonObject): Promise<boolean> {
    const token = anyToken(response)
    return token !== undefined && this.revoke(token)
  }

  async #sendOnce(
    form: URLSearchParams,
    { what, ambiguous, refused }: Once,
    beforeSend?: () => Promise<void>,
  ): Promise<JsonObject> {
    const { issuer, token_endpoint } = this.#server
    try {
      const response = await this.#post(token_endpoint, form, { ...ONCE, ...(beforeSend && { beforeSend }) })
      if (response.ok) return await readTokenResponse(response, { issuer, ambiguous })
      if (response.status === 429) throw rateLimited(issuer, response.headers, this.#ports.now())
      throw refused(issuer, await readServerError(response, form), this.#client.clientId)
    } catch (error) {
      if (!isOAuthError(error, 'NETWORK_LOST')) throw error
      throw new OAuthError(ambiguous, `${what} was sent, but no response arrived (${error.message})`, { cause: error })
    }
  }

  /** A redirect is returned, never followed. */
  #post(
    endpoint: string,
    form: URLSearchParams,
    init: Pick<HttpInit, 'timeoutSeconds' | 'ownConnection' | 'beforeSend'> = { timeoutSeconds: TIMEOUT },
  ): Promise<HttpResponse> {
    return this.#dpopFetch(new URL(endpoint), {
      method: 'POST',
      headers: FORM,
      body: () => this.#authenticated(form),
      ...init,
    })
  }

  /** Called for every attempt: a server may reject an assertion that it has seen before. */
  async #authenticated(form: URLSearchParams): Promise<string> {
    const audience = { issuer: this.#server.issuer, now: this.now() }
    return (await withClientAssertion(form, this.#client, audience, this.#ports)).toString()
  }
}
