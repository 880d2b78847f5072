/**
 * A fetch with DPoP: adds a new proof to every attempt, keeps the newest nonce of each origin, and retries once if only
 * the nonce was wrong, and once if only the clock was wrong.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9449.html#section-8 RFC 9449 §8, §9}
 */

import type { Nonces } from '../../model.ts'
import { type HttpInit, type HttpResponse, isStream, type Network } from '../../ports.ts'
import { readBounded } from '../http/bounded-body.ts'
import { bodyOf, withBody } from '../http/http-response.ts'
import { mediaType, parseJsonObject } from '../http/response.ts'
import { type WithServerClocks, withServerClocks } from '../http/server-clock.ts'
import { challengeError } from '../http/www-authenticate.ts'
import { createProof, type DpopKey, isNonce, type ProofTarget } from './dpop.ts'

/** Longer nonces are ignored, because a nonce is part of every request (§8). */
const NONCE_LONGEST = 1024
/** Milliseconds; the reference accepts a nonce for three minutes. */
export const NONCE_CURRENT = 60_000
/** Also without a media type, with two, and as text: some servers and gateways send JSON like that. */
const MAYBE_JSON = /^$|json|^text\/plain/
/** Bytes. An error body is read to find a challenge in it; a larger one is replaced by an empty body. */
const CHALLENGE_LARGEST = 1024 * 1024

/** @internal */
export interface DpopInit extends Omit<HttpInit, 'body'> {
  /** A function is called for each attempt. */
  readonly body?: HttpInit['body'] | (() => Promise<string>)
  /** For a resource server; sent as `Authorization: DPoP` (§7.1). */
  readonly accessToken?: string | undefined
}

/** @internal */
export interface DpopFetch {
  (url: URL, init: DpopInit): Promise<HttpResponse>
  /** The nonces, for a later process with the same key. */
  nonces(): Nonces
  /** Milliseconds since the epoch by the clock of that origin. */
  now(origin: string): number
  /** Whether a response within the last minute has shown the newest nonce of that origin, or that it gives none. */
  isNonceCurrent(origin: string): boolean
  /** One attempt, for the nonce in its response: whatever that is, it is not repeated. */
  attempt(url: URL, init: DpopInit, options?: AttemptOptions): Promise<HttpResponse>
}

export interface AttemptOptions {
  /** Whether the URL is not known to be an endpoint: without a nonce, the response says nothing about nonces. */
  readonly isGuess?: boolean
}

/** @internal */
export interface SigningFetch extends DpopFetch {
  /** Headers for one request of another tool, with the newest nonce. */
  headersFor(request: Pick<ProofTarget, 'method' | 'url'>, accessToken: string): Promise<SignedHeaders>
}

/** The two headers of a request to a resource server (§7.1). */
export interface SignedHeaders {
  readonly authorization: string
  readonly dpop: string
}

/** The values of an attempt that can be the reason for its rejection. */
interface Assumptions {
  readonly nonce: string | undefined
  /** Milliseconds between the server's clock and ours. */
  readonly offset: number
}

/** @internal */
export interface NonceOptions {
  /** Nonces of an earlier process with this key; malformed ones are ignored. */
  readonly nonces?: Nonces
  /** When they were received, in milliseconds since the epoch; without it they count as old. */
  readonly noncesFrom?: number
  /**
   * Called with all nonces whenever one changes, for a later process. It is not awaited, because the response to a
   * refresh has to be saved first. Must not throw.
   */
  readonly onNonces?: (nonces: Nonces) => void
}

/**
 * @throws {OAuthError} from the returned function: those of `createProof` and of the `Http` port
 *
 * @internal
 */
export function createDpopFetch(
  key: DpopKey,
  { nonces: known = {}, noncesFrom, onNonces }: NonceOptions,
  network: Network & Partial<WithServerClocks>,
): SigningFetch {
  const ports = withServerClocks(network)
  const { clocks } = ports
  const nonces = new Map(Object.entries(known).filter(([, nonce]) => isNonce(nonce)))
  /** When an origin last showed its nonce, or as an authorization server that it gives none. */
  const shownAt = new Map<string, number>()
  const snapshot = () => Object.fromEntries(nonces)
  const keep = (origin: string, nonce: string) => {
    if (nonces.get(origin) === nonce) return
    nonces.set(origin, nonce)
    onNonces?.(snapshot())
  }
  const assume = ({ origin }: URL): Assumptions => ({ nonce: nonces.get(origin), offset: clocks.offset(origin) })

  const attempt = async (
    url: URL,
    init: DpopInit,
    { nonce, offset: clockOffset }: Assumptions,
    { isGuess = false }: AttemptOptions = {},
  ) => {
    const { method = 'GET', accessToken, body } = init
    const proof = createProof(key, { method, url, nonce, clockOffset, accessToken }, ports)
    const dpop = typeof proof === 'string' ? proof : await proof
    const headers: Record<string, string> = { ...init.headers }
    if (accessToken !== undefined) headers.authorization = `DPoP ${accessToken}`
    headers.dpop = dpop
    const signed = {
      ...init,
      method,
      headers,
      body: typeof body === 'function' ? await body() : body,
      accessToken: undefined, // it goes nowhere but into the header
    }
    const response = await ports.fetch(url, signed)
    // Success or failure, the server's newest nonce is the one to use next (§8.2).
    const fresh = response.headers.get('dpop-nonce')
    const isGiven = fresh !== null && fresh.length <= NONCE_LONGEST && isNonce(fresh)
    if (isGiven) keep(url.origin, fresh)
    // A PDS without nonces says nothing of an authorization server at the same origin.
    if (isGiven || (accessToken === undefined && !isGuess)) shownAt.set(url.origin, ports.now())
    return response
  }

  const dpopFetch = async (url: URL, init: DpopInit): Promise<HttpResponse> => {
    let repeatedFor: (keyof Assumptions)[] = []
    for (;;) {
      const assumed = assume(url)
      const response = await attempt(url, init, assumed)
      if (response.status !== 400 && response.status !== 401) return response
      const rejection = await readRejection(response)
      const wrong = wrongAssumption(rejection.errors, assumed, assume(url))
      // A stream cannot be sent again.
      if (wrong === undefined || repeatedFor.includes(wrong) || isStream(init.body)) {
        return rejection.response
      }
      repeatedFor = [...repeatedFor, wrong]
    }
  }
  return Object.assign(dpopFetch, {
    nonces: snapshot,
    now: clocks.now,
    isNonceCurrent: (origin: string) => {
      const at = shownAt.get(origin) ?? noncesFrom
      return at !== undefined && Math.abs(ports.now() - at) <= NONCE_CURRENT
    },
    attempt: (url: URL, init: DpopInit, options?: AttemptOptions) => attempt(url, init, assume(url), options),
    headersFor: async ({ method, url }: Pick<ProofTarget, 'method' | 'url'>, accessToken: string) => {
      const { nonce, offset: clockOffset } = assume(url)
      const dpop = await createProof(key, { method, url, nonce, clockOffset, accessToken }, ports)
      return { authorization: `DPoP ${accessToken}`, dpop }
    },
  })
}

/** Errors that a wrong clock can cause, returned before a server checks a code or a refresh token. */
const OF_THE_CLOCK = ['invalid_dpop_proof', 'invalid_client', 'invalid_token']
/** Milliseconds; the narrowest known window is five seconds in the future. */
const OFFSET_SMALLEST = 4000

/** The assumption that the response has disproved, if that can be the reason for the rejection. */
function wrongAssumption(
  errors: readonly string[],
  before: Assumptions,
  after: Assumptions,
): keyof Assumptions | undefined {
  if (errors.includes('use_dpop_nonce')) return after.nonce === before.nonce ? undefined : 'nonce'
  const isOff = Math.abs(after.offset - before.offset) > OFFSET_SMALLEST
  return isOff && errors.some((error) => OF_THE_CLOCK.includes(error)) ? 'offset' : undefined
}

/**
 * §8, §9 and servers differ in status and place of the error, so header and body are checked for both. The body is
 * restored after reading it.
 */
async function readRejection(response: HttpResponse): Promise<{ errors: readonly string[]; response: HttpResponse }> {
  const inHeader = challengeError(response.headers)
  const errors = inHeader === undefined ? [] : [inHeader]
  if (inHeader === 'use_dpop_nonce' || !MAYBE_JSON.test(mediaType(response.headers))) {
    return { errors, response }
  }
  const bytes = await readBounded(response, CHALLENGE_LARGEST)
  const restored = withBody(response, bytes ? bodyOf(bytes) : null)
  const error = bytes && parseJsonObject(new TextDecoder().decode(bytes))?.error
  return { errors: typeof error === 'string' ? [...errors, error] : errors, response: restored }
}
