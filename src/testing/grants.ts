/**
 * The token endpoint: authorization_code and refresh_token, with what the reference
 * server does to those who get it wrong (test/conformance.md, sections 10, 11 and 17).
 */
import type { Did } from '../model.ts'
import { authComplaint, type ClientAuth } from './client-auth.ts'
import { type Refusal, refusal } from './clients.ts'
import type { Faults } from './faults.ts'
import { type Json, sha256 } from './http.ts'
import type { FakeSession, SessionBook } from './sessions.ts'

/** What the person's consent leaves behind for the exchange. */
export interface FakeCode {
  readonly clientId: string
  readonly redirectUri: string
  readonly codeChallenge: string
  readonly jkt: string
  readonly auth: ClientAuth
  readonly sub: Did
  readonly scope: string
  readonly expiresAt: number
  /** Sent once, whatever came of it. */
  used: boolean
  session: FakeSession | undefined
}

export interface Grants {
  readonly codes: Map<string, FakeCode>
  /** The honest token response, or why there is none. `jkt` is that of a proof already verified. */
  grant(form: Readonly<Record<string, string>>, jkt: string, auth: ClientAuth): Json | Refusal
  /** What a token request does even though its proof was refused. */
  proofRefused(form: Readonly<Record<string, string>>, error: string): void
}

interface Surroundings {
  readonly faults: Faults
  readonly book: SessionBook
  readonly clock: () => number
}

export function createGrants({ faults, book, clock }: Surroundings): Grants {
  const codes = new Map<string, FakeCode>()

  function exchange(form: Readonly<Record<string, string>>, jkt: string, auth: ClientAuth): Json | Refusal {
    const code = codes.get(form['code'] ?? '')
    if (!code) return invalidGrant('Invalid code')
    if (code.used) {
      if (code.session) book.end(code.session, 'code replayed')
      return invalidGrant('Invalid code')
    }
    code.used = true // whatever is wrong from here on, the code is burned (10.2)
    if (code.clientId !== form['client_id']) return invalidGrant('Token was not issued to this client')
    if (clock() > code.expiresAt) return invalidGrant('This code has expired')
    if (code.redirectUri !== form['redirect_uri']) {
      return invalidGrant('The redirect_uri parameter must match the one used in the authorization request')
    }
    if (!form['code_verifier']) return invalidGrant('code_verifier is required')
    if (sha256(form['code_verifier']) !== code.codeChallenge) return invalidGrant('Invalid code_verifier')
    const complaint = authComplaint(code.auth, auth)
    if (complaint) return invalidGrant(complaint)
    if (code.jkt !== jkt) return invalidGrant('DPoP proof does not match the expected JKT')
    code.session = book.open({ sub: code.sub, clientId: code.clientId, jkt, auth, scope: code.scope })
    return tokenResponse(code.session)
  }

  function refresh(form: Readonly<Record<string, string>>, jkt: string, auth: ClientAuth): Json | Refusal {
    const token = form['refresh_token'] ?? ''
    const session = book.byRefreshToken(token)
    if (!session) return invalidGrant('Invalid refresh token')
    const isCirrus = faults.personality === 'cirrus'
    const complaint = refreshComplaint(session, token, form['client_id'], jkt) ?? authComplaint(session.auth, auth)
    if (complaint === undefined) {
      session.auth = auth
      book.rotate(session)
      return tokenResponse(session)
    }
    if (isCirrus && jkt !== session.jkt) return refusal('invalid_dpop_proof', complaint)
    if (!isCirrus) book.end(session, complaint) // any failure after the match ends it (11.4)
    return invalidGrant(complaint)
  }

  function refreshComplaint(session: FakeSession, token: string, clientId: string | undefined, jkt: string) {
    if (session.spent.has(token)) return 'Refresh token replayed'
    if (session.clientId !== clientId) return 'Token was not issued to this client'
    if (session.jkt !== jkt) return 'DPoP proof does not match the expected JKT'
    return book.expiry(session)
  }

  function tokenResponse(session: FakeSession): Json {
    return {
      access_token: session.accessToken,
      token_type: 'DPoP',
      refresh_token: session.refreshToken,
      scope: session.scope,
      expires_in: Math.floor((session.accessTokenExpiresAt - clock()) / 1000),
      sub: session.sub,
    }
  }

  return {
    codes,
    grant(form, jkt, auth) {
      if (form['grant_type'] === 'authorization_code') return exchange(form, jkt, auth)
      if (form['grant_type'] === 'refresh_token') return refresh(form, jkt, auth)
      return refusal('unsupported_grant_type', `Grant type "${form['grant_type']}" is not supported`)
    },
    proofRefused(form, error) {
      const isNonce = error === 'use_dpop_nonce'
      const code = codes.get(form['code'] ?? '')
      // 25.5: a skewed clock spends it
      if (code && (isNonce ? faults.spendsBeforeNonce : faults.personality === 'cirrus')) code.used = true
      const session = isNonce && faults.spendsBeforeNonce ? book.byRefreshToken(form['refresh_token'] ?? '') : undefined
      if (session) book.rotate(session)
    },
  }
}

function invalidGrant(description: string): Refusal {
  return refusal('invalid_grant', description)
}
