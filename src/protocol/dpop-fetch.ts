/**
 * A fetch that signs: puts a fresh proof on every attempt, keeps the newest
 * nonce of each origin, and repeats a request once if all that was wrong was the nonce.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9449.html#section-8 RFC 9449 §8, §9}
 * @module
 */
import type { Nonces } from '../model.ts'
import type { HttpInit, Network } from '../ports.ts'
import { challengeError } from './challenge.ts'
import { createProof, type DpopKey, isNonce } from './dpop.ts'
import { mediaType, parseJsonObject, readBounded } from './response.ts'

/** Longer ones are not kept: a nonce travels in every request (§8). */
const NONCE_LONGEST = 1024
/** An error body is read to look for a challenge in it; larger ones are not, and come back empty. */
const CHALLENGE_LARGEST = 1024 * 1024

export interface DpopInit extends HttpInit {
  /** For a resource server; sent as `Authorization: DPoP` (§7.1). */
  readonly accessToken?: string | undefined
}

export interface DpopFetch {
  (url: URL, init: DpopInit): Promise<Response>
  /** What to hand to a later process with the same key. */
  nonces(): Nonces
}

/**
 * @throws {AuthError} from the returned function: those of `createProof` and of the `Http` port
 */
export function createDpopFetch(key: DpopKey, known: Nonces, ports: Network): DpopFetch {
  const nonces = new Map(Object.entries(known).filter(([, nonce]) => isNonce(nonce)))

  const attempt = async (url: URL, { accessToken, ...init }: DpopInit, nonce: string | undefined) => {
    const method = init.method ?? 'GET'
    const headers = {
      ...init.headers,
      ...(accessToken !== undefined && { authorization: `DPoP ${accessToken}` }),
      dpop: await createProof(key, { method, url, nonce, accessToken }, ports),
    }
    const response = await ports.fetch(url, { ...init, method, headers })
    // Success or failure, the server's newest nonce is the one to use next (§8.2).
    const fresh = response.headers.get('dpop-nonce')
    if (fresh !== null && fresh.length <= NONCE_LONGEST && isNonce(fresh)) nonces.set(url.origin, fresh)
    return response
  }

  const dpopFetch = async (url: URL, init: DpopInit): Promise<Response> => {
    const used = nonces.get(url.origin)
    const response = await attempt(url, init, used)
    if (response.status !== 400 && response.status !== 401) return response
    const { challenged, answer } = await readChallenge(response)
    const fresh = nonces.get(url.origin)
    if (!challenged || fresh === undefined || fresh === used) return answer
    return attempt(url, init, fresh)
  }
  return Object.assign(dpopFetch, { nonces: () => Object.fromEntries(nonces) })
}

/**
 * §8 and §9 disagree with each other and with servers on status and place, so both
 * are looked at in both. The body that was read for that is put back.
 */
async function readChallenge(response: Response): Promise<{ challenged: boolean; answer: Response }> {
  const inHeader = challengeError(response.headers) === 'use_dpop_nonce'
  if (!inHeader && mediaType(response.headers) !== 'application/json') return { challenged: false, answer: response }
  const bytes = await readBounded(response, CHALLENGE_LARGEST)
  const answer = new Response((bytes as Uint8Array<ArrayBuffer>) ?? null, response)
  const body = bytes && parseJsonObject(new TextDecoder().decode(bytes))
  return { challenged: inHeader || body?.error === 'use_dpop_nonce', answer }
}
