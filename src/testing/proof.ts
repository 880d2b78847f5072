/**
 * Verifies DPoP proofs (RFC 9449 §4.3), for one server with its nonces, the `jti`s that it has seen, and its clock.
 */
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWTPayload, jwtVerify } from 'jose'
import type { Faults, NonceMode } from './faults.ts'
import { type FakeRequest, seededBytes, sha256 } from './http.ts'

export type Verdict =
  | { readonly ok: true; readonly jkt: string }
  | { readonly ok: false; readonly error: 'use_dpop_nonce' | 'invalid_dpop_proof'; readonly description: string }

/** Older nonces are stale by age as well (13.7). */
const NONCE_AGE_MS = 180_000
/** Seconds, as jose wants them: a proof may be `maxAge + tolerance` old and `tolerance` early (12.7, 25.13). */
const WINDOW = { reference: { maxAge: 10, tolerance: 180 }, cirrus: { maxAge: 60, tolerance: 5 } }

/** Proofs, and nonces, of one server. Older ones are rejected by their age, and a world that runs for long does not grow. */
const REMEMBERED = 1000

export interface ProofVerifier {
  /** `accessToken` only at the resource server: then `ath` must match, elsewhere it must be absent. */
  verify(request: FakeRequest, accessToken?: string): Promise<Verdict>
  /** Puts the `DPoP-Nonce` on a response, as the mode says. */
  giveNonce(response: Response): Response
  /** Makes every nonce given so far stale. */
  forgetNonces(): void
}

interface Surroundings {
  readonly label: string
  readonly faults: Faults
  readonly mode: () => NonceMode
  /** Milliseconds by the server's clock. */
  readonly clock: () => number
}

export function createProofVerifier(surroundings: Surroundings): ProofVerifier {
  const { faults, clock } = surroundings
  const nonces = createNonces(surroundings)
  /** In the order in which they came. */
  const seen = new Set<string>()

  async function verify(request: FakeRequest, accessToken?: string): Promise<Verdict> {
    const proof = request.headers['dpop']
    if (proof === undefined) return bad('DPoP proof required')
    let payload: JWTPayload
    let jkt: string
    try {
      const header = decodeProtectedHeader(proof)
      if (!isPublicKey(header.jwk)) return bad('Failed to verify DPoP proof: the header holds no mere public key')
      const { maxAge, tolerance } = WINDOW[faults.personality]
      const options = { typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: maxAge, clockTolerance: tolerance }
      payload = (await jwtVerify(proof, EmbeddedJWK, { ...options, currentDate: new Date(clock()) })).payload
      jkt = await calculateJwkThumbprint(header.jwk)
    } catch (error) {
      return bad(`Failed to verify DPoP proof: ${error instanceof Error ? error.message : error}`)
    }
    if (typeof payload.jti !== 'string' || payload.jti === '') return bad('DPoP "jti" missing')
    // Stricter than the reference, which remembers only proofs it liked: a retry needs a new `jti` too (12.3).
    if (seen.has(payload.jti)) return bad('DPoP proof replayed')
    seen.add(payload.jti)
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!)
    if (!Number.isInteger(payload.iat)) return bad('DPoP "iat" is not in whole seconds')
    if (payload['htm'] !== request.method) return bad('DPoP "htm" mismatch')
    const target = new URL(request.url)
    if (payload['htu'] !== target.origin + target.pathname) return bad('DPoP "htu" mismatch')
    if (accessToken === undefined && payload['ath'] !== undefined) return bad('DPoP "ath" claim not allowed')
    if (accessToken !== undefined && payload['ath'] !== sha256(accessToken)) return bad('DPoP "ath" mismatch')
    const complaint = nonces.complaint(payload['nonce'])
    return complaint ? { ok: false, error: 'use_dpop_nonce', description: complaint } : { ok: true, jkt }
  }

  return { verify, giveNonce: nonces.give, forgetNonces: nonces.forget }
}

function createNonces({ label, faults, mode: asked, clock }: Surroundings) {
  const bytes = seededBytes(`${label} nonces`)
  let issued: { value: string; at: number }[] = []
  let constant = fresh()
  function fresh(): string {
    return Buffer.from(bytes(24)).toString('base64url')
  }
  const mode = () => (faults.personality === 'cirrus' ? 'none' : asked())
  function isGood(nonce: unknown): boolean {
    if (mode() === 'alwaysChallenge') return false
    if (mode() === 'constant') return nonce === constant
    return issued.slice(-faults.nonceMemory).some(({ value, at }) => value === nonce && clock() - at <= NONCE_AGE_MS)
  }

  return {
    complaint(nonce: unknown): string | undefined {
      if (mode() === 'none' || isGood(nonce)) return undefined
      return nonce === undefined ? 'Authorization server requires nonce in DPoP proof' : 'DPoP "nonce" mismatch'
    },
    give(response: Response): Response {
      if (mode() === 'none' || (mode() === 'absentOnSuccess' && response.ok)) return response
      const value = mode() === 'constant' ? constant : fresh()
      if (mode() !== 'constant') issued = [...issued.slice(1 - REMEMBERED), { value, at: clock() }]
      response.headers.append('dpop-nonce', value)
      if (mode() === 'duplicate') response.headers.append('dpop-nonce', fresh())
      return response
    },
    forget(): void {
      issued = []
      constant = fresh()
    },
  }
}

function isPublicKey(jwk: unknown): jwk is { kty: 'EC'; crv: string; x: string; y: string } {
  return typeof jwk === 'object' && jwk !== null && 'kty' in jwk && jwk.kty === 'EC' && !('d' in jwk)
}

function bad(description: string): Verdict {
  return { ok: false, error: 'invalid_dpop_proof', description }
}
