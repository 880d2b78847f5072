/**
 * The sessions of the authorization server: which tokens are good, and what ends a session.
 */
import type { Did } from '../model.ts'
import { type ClientAuth, PUBLIC } from './client-auth.ts'
import type { Faults } from './faults.ts'

export const DAY_MS = 86_400_000
/** Requirements 17: from the login, and from the last refresh. */
const LIFETIMES = {
  none: { session: 14 * DAY_MS, idle: 14 * DAY_MS },
  private_key_jwt: { session: 2 * 365.25 * DAY_MS, idle: (365.25 / 4) * DAY_MS },
}

export interface SessionStart {
  readonly sub: Did
  readonly clientId: string
  /** Thumbprint of the DPoP key. */
  readonly jkt: string
  readonly scope: string
  /** Of a public client if absent. */
  readonly auth?: ClientAuth
}

export interface FakeSession extends Omit<SessionStart, 'auth'> {
  auth: ClientAuth
  readonly createdAt: number
  refreshedAt: number
  refreshToken: string
  accessToken: string
  accessTokenExpiresAt: number
  /** Refresh tokens before the current one. */
  readonly spent: Set<string>
  /** Why it has ended. */
  endedBecause: string | undefined
}

export interface SessionBook {
  /** All there ever were, oldest first. */
  readonly sessions: readonly FakeSession[]
  open(start: SessionStart): FakeSession
  /** New tokens; both old ones are invalid from now on (11.2, 11.14). */
  rotate(session: FakeSession): void
  end(session: FakeSession, reason: string): void
  /** A living session by its current refresh token or by one of the spent. */
  byRefreshToken(token: string): FakeSession | undefined
  /** A living session by its current access token, expired or not. */
  byAccessToken(token: string): FakeSession | undefined
  /** The newest living session of an account. */
  of(sub: string): FakeSession | undefined
  /** Why this session cannot be refreshed any more, if so. */
  expiry(session: FakeSession): string | undefined
}

interface Surroundings {
  readonly faults: Faults
  readonly clock: () => number
  readonly randomHex: () => string
  readonly secrets: Set<string>
}

export function createSessionBook({ faults, clock, randomHex, secrets }: Surroundings): SessionBook {
  const sessions: FakeSession[] = []
  const find = (test: (session: FakeSession) => boolean) =>
    sessions.findLast((session) => session.endedBecause === undefined && test(session))

  function issueTokens(session: FakeSession): void {
    const now = clock()
    const end = Math.min(
      now + faults.accessTokenSeconds * 1000,
      session.createdAt + LIFETIMES[session.auth.method].session,
    )
    session.refreshToken = faults.personality === 'cirrus' ? opaque() : `ref-${randomHex()}`
    session.accessToken = faults.personality === 'cirrus' ? opaque() : jwtLike(session, end)
    session.accessTokenExpiresAt = end
    session.refreshedAt = now
    secrets.add(session.refreshToken).add(session.accessToken)
  }

  function opaque(): string {
    return Buffer.from(randomHex(), 'hex').toString('base64url')
  }

  /** Looks like the reference server's, so that a client which decodes it finds something to be wrong about. */
  function jwtLike({ sub, jkt }: FakeSession, expiresAt: number): string {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { sub, aud: 'did:web:not.for.you', exp: Math.floor(expiresAt / 1000) + 999_999, cnf: { jkt } }
    return `${part({ typ: 'at+jwt', alg: 'ES256K' })}.${part(claims)}.${opaque()}`
  }

  return {
    sessions,
    open(start) {
      const session: FakeSession = {
        ...start,
        auth: start.auth ?? PUBLIC,
        createdAt: clock(),
        refreshedAt: clock(),
        refreshToken: '',
        accessToken: '',
        accessTokenExpiresAt: 0,
        spent: new Set(),
        endedBecause: undefined,
      }
      issueTokens(session)
      sessions.push(session)
      return session
    },
    rotate(session) {
      session.spent.add(session.refreshToken)
      issueTokens(session)
    },
    end(session, reason) {
      session.endedBecause = reason
    },
    byRefreshToken: (token) => find((session) => session.refreshToken === token || session.spent.has(token)),
    byAccessToken: (token) => find((session) => session.accessToken === token),
    of: (sub) => find((session) => session.sub === sub),
    expiry({ createdAt, refreshedAt, auth }) {
      const { session, idle } = LIFETIMES[auth.method]
      if (clock() >= createdAt + session) return 'Session expired'
      return clock() >= refreshedAt + idle ? 'Refresh token expired' : undefined
    },
  }
}
