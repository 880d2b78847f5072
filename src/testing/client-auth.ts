/**
 * How the authorization server recognises a client: public ones by their name alone, confidential
 * ones by an assertion signed with a key that their document publishes (test/conformance.md, sections 16 and 17).
 */
import { calculateJwkThumbprint, decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { type ClientDocument, type Refusal, refusal } from './clients.ts'

/** What a session is bound to besides the client_id. */
export type ClientAuth = { readonly method: 'none' } | { readonly method: 'private_key_jwt'; readonly key: string }

export const PUBLIC: ClientAuth = { method: 'none' }

export interface AssertionVerifier {
  authenticate(
    form: Readonly<Record<string, string>>,
    document: ClientDocument | undefined,
  ): Promise<ClientAuth | Refusal>
}

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Seconds. */
const MAX_AGE = 60

export function createAssertionVerifier(issuer: string, clock: () => number): AssertionVerifier {
  const seen = new Set<string>()
  return {
    async authenticate(form, document) {
      const assertion = form['client_assertion']
      if (!document?.jwks) return assertion === undefined ? PUBLIC : invalidClient('this client is public')
      if (assertion === undefined) return invalidClient('client_assertion is required')
      if (form['client_assertion_type'] !== TYPE) return invalidClient('unknown client_assertion_type')
      const { kid } = decodeProtectedHeader(assertion)
      if (kid === undefined) return invalidClient('"kid" required in client_assertion')
      const jwk = document.jwks.keys.find((key) => key.kid === kid)
      if (!jwk) return invalidClient(`no key ${kid} is published`)
      try {
        const { payload } = await jwtVerify(assertion, await importJWK(jwk, 'ES256'), {
          algorithms: ['ES256'],
          issuer: form['client_id']!,
          subject: form['client_id']!,
          audience: issuer,
          requiredClaims: ['jti', 'iat', 'exp'],
          maxTokenAge: MAX_AGE,
          clockTolerance: 0,
          currentDate: new Date(clock()),
        })
        // Stricter than the reference, which looks at the nonce first: a retry needs an assertion of its own (16.5).
        if (seen.has(payload.jti!)) return refusal('invalid_grant', 'private_key_jwt jti reused')
        seen.add(payload.jti!)
        return { method: 'private_key_jwt', key: `${kid} ${await calculateJwkThumbprint(jwk)}` }
      } catch (error) {
        return invalidClient(`Failed to verify client_assertion: ${error instanceof Error ? error.message : error}`)
      }
    },
  }
}

/** Why a session that was begun in one way cannot go on in the other; a public one may become confidential. */
export function authComplaint(before: ClientAuth, now: ClientAuth): string | undefined {
  if (before.method === 'none') return undefined
  if (now.method === 'none') return 'Client authentication method mismatch (none)'
  if (before.key === now.key) return undefined
  return 'The session was initiated with a different key than the client assertion currently used'
}

function invalidClient(description: string): Refusal {
  return refusal('invalid_client', description, 401)
}
