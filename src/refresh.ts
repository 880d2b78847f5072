/**
 * The refresh transaction. A refresh token works once, and most slips end the
 * session, so all that can be known to fail is found out before it is sent.
 *
 * @see https://atproto.com/specs/oauth#tokens-and-session-lifetime, RFC 6749 §6
 * @module
 */
import { AuthError, isAuthError } from './errors.ts'
import type { AuthorizationServer, Origin, SessionRecord } from './model.ts'
import type { Dns, Network, Notices, Settings, Stores } from './ports.ts'
import { sha256 } from './protocol/dpop.ts'
import type { DpopFetch } from './protocol/dpop-fetch.ts'
import { resolveDid } from './protocol/identity.ts'
import { fetchAuthorizationServer, fetchIssuer } from './protocol/metadata.ts'
import { judgeTokenResponse, sendRefresh } from './protocol/token.ts'

/** Milliseconds; the random part keeps parallel jobs from all refreshing at once. */
const MARGIN = 10_000
const MARGIN_RANDOM = 30_000
/** Of the spent tokens the first and the newest are kept: an old secret is most often the very first. */
const SPENT_FIRST = 50
const SPENT_NEWEST = 200

export type RefreshPorts = Network &
  Dns &
  Notices & { readonly settings: Settings; readonly stores: Pick<Stores, 'sessions'> }

/** Whether the access token is good for a while yet. Without an `expires_in` it is good until it is refused. */
export function isFresh({ accessToken, accessTokenExpiresAt }: SessionRecord, { now, randomBytes }: Network): boolean {
  if (accessToken === undefined) return false
  if (accessTokenExpiresAt === undefined) return true
  const random = (randomBytes(1)[0]! / 255) * MARGIN_RANDOM
  return accessTokenExpiresAt - now() > MARGIN + random
}

/**
 * The newer of two states of one session: what came from outside, unless its token is one that
 * the store knows to be spent.
 *
 * @throws {AuthError} `CREDENTIALS_MISMATCH` they are not the same session
 */
export async function newest(given: SessionRecord, stored: SessionRecord | undefined): Promise<SessionRecord> {
  if (!stored) return given
  const differs = (['did', 'clientId'] as const).find(
    (field) => given[field] !== undefined && given[field] !== stored[field],
  )
  if (differs) {
    const name = differs === 'did' ? 'account' : 'client_id'
    throw new AuthError(
      'CREDENTIALS_MISMATCH',
      `the DPoP key belongs to the session of ${name} ${stored[differs]}, not of ${given[differs]}; nothing was sent`,
    )
  }
  if (given.refreshToken === undefined)
    return given.accessToken === undefined ? stored : { ...stored, ...tokensOf(given) }
  const hash = await sha256(given.refreshToken)
  if (given.refreshToken === stored.refreshToken || stored.spentTokens.includes(hash)) return stored
  if (given.rotatedAt !== undefined && stored.rotatedAt !== undefined && given.rotatedAt < stored.rotatedAt)
    return stored
  // Rotated somewhere else: what the store has was spent there.
  const spentHere = stored.refreshToken === undefined ? [] : [await sha256(stored.refreshToken)]
  return {
    ...stored,
    ...tokensOf(given),
    ended: undefined,
    intent: undefined,
    spentTokens: trimmed([...stored.spentTokens, ...spentHere]),
  }
}

function tokensOf({ accessToken, accessTokenExpiresAt, refreshToken, rotatedAt }: SessionRecord) {
  return { accessToken, accessTokenExpiresAt, refreshToken, rotatedAt }
}

/**
 * A session with a fresh access token: the store's, if another process was first, else by a refresh.
 *
 * @param given the session as this process knows it
 * @param refused an access token that the PDS has just refused, however fresh it looks
 * @throws {AuthError} exits 2 to 4 with nothing sent; `SESSION_DEAD`, `SESSION_NOT_REFRESHABLE`, `REFRESH_AMBIGUOUS`,
 *   `REFRESH_REFUSED`
 */
export function refresh(
  given: SessionRecord,
  refused: string | undefined,
  dpopFetch: DpopFetch,
  ports: RefreshPorts,
): Promise<SessionRecord> {
  return ports.stores.sessions.update(given.thumbprint, async (stored, commit) => {
    const current = await newest(given, stored)
    if (current.ended) throw dead(current)
    if (current.accessToken !== refused && isFresh(current, ports)) return current
    const { refreshToken, clientId } = current
    if (refreshToken === undefined || clientId === undefined) {
      throw new AuthError(
        'SESSION_NOT_REFRESHABLE',
        `the access token of ${current.did} is over and cannot be renewed`,
        {
          hint: initHint(current),
        },
      )
    }
    const { server, pds } = await verifyIssuer(current, ports)

    const tokenHash = await sha256(refreshToken)
    if (current.intent?.tokenHash === tokenHash) {
      ports.warn('an earlier refresh was sent and no answer was stored: trying the same token once more')
    }
    await commit({ ...current, intent: { tokenHash, at: ports.now() } })
    try {
      const answer = await sendRefresh(server, { clientId, refreshToken }, dpopFetch, ports)
      const tokens = judgeTokenResponse(answer, ports.settings.dev, ports)
      if (tokens.sub !== current.did) {
        throw new AuthError(
          'TOKEN_RESPONSE_INVALID',
          `${server.issuer} answered for ${tokens.sub} instead of ${current.did}`,
        )
      }
      const next: SessionRecord = {
        ...current,
        pds,
        issuer: server.issuer,
        scope: tokens.scope,
        accessToken: tokens.accessToken,
        accessTokenExpiresAt: tokens.accessTokenExpiresAt,
        // RFC 6749 §6: without a new one the old one stays good.
        refreshToken: tokens.refreshToken ?? refreshToken,
        rotatedAt: ports.now(),
        spentTokens:
          tokens.refreshToken === undefined ? current.spentTokens : trimmed([...current.spentTokens, tokenHash]),
        intent: undefined,
      }
      await commit(next)
      return next
    } catch (error) {
      throw await settle(error, current, tokenHash, commit, ports)
    }
  })
}

/** Refused before the token was looked at, or never sent: all is as it was. */
const UNSPENT = [
  'REFRESH_REFUSED',
  'RATE_LIMITED',
  'NETWORK_UNREACHABLE',
  'ADDRESS_REFUSED',
  'DPOP_URL_INVALID',
  'DPOP_NONCE_INVALID',
] as const

/** Records what a failed refresh leaves behind, and says it. */
async function settle(
  error: unknown,
  current: SessionRecord,
  tokenHash: string,
  commit: (next: SessionRecord) => Promise<void>,
  { now }: RefreshPorts,
): Promise<unknown> {
  if (isAuthError(error, 'SESSION_DEAD', 'TOKEN_RESPONSE_INVALID')) {
    const { accessToken, accessTokenExpiresAt, refreshToken, intent, ...rest } = current
    const ended = { at: now(), reason: error.message }
    await commit({ ...rest, ended, spentTokens: trimmed([...current.spentTokens, tokenHash]) })
    return new AuthError(error.code, error.message, { cause: error, session: 'dead', hint: initHint(current) })
  }
  if (isAuthError(error, ...UNSPENT)) await commit(current)
  return error // else the intent stays: it is not known what the server did
}

/**
 * The DID must still lead to the server that the session is from: a refresh token is sent to nobody else.
 *
 * @throws {AuthError} `ISSUER_MISMATCH`, and those of identity and metadata
 */
async function verifyIssuer(
  session: SessionRecord,
  ports: RefreshPorts,
): Promise<{ server: AuthorizationServer; pds: Origin }> {
  const { pds } = await resolveDid(session.did, ports)
  const issuer = await fetchIssuer(pds, ports)
  if (!(await isSameIssuer(session, pds, issuer, ports))) {
    throw new AuthError(
      'ISSUER_MISMATCH',
      `${session.did} is now on ${pds}, which names ${issuer}; the session is from ${session.issuer ?? session.pds}; nothing was sent`,
      { hint: initHint(session) },
    )
  }
  return { server: await fetchAuthorizationServer(issuer, pds, ports), pds }
}

/** Credentials may name the PDS, its issuer, or the PDS of before a move within one issuer. */
async function isSameIssuer(
  session: SessionRecord,
  pds: Origin,
  issuer: Origin,
  ports: RefreshPorts,
): Promise<boolean> {
  if (session.issuer !== undefined) return session.issuer === issuer
  if (session.pds === pds || session.pds === issuer) return true
  return (await fetchIssuer(session.pds, ports).catch(() => undefined)) === issuer
}

function dead(session: SessionRecord): AuthError {
  const { at, reason } = session.ended!
  return new AuthError('SESSION_DEAD', `the session ended at ${new Date(at).toISOString()}: ${reason}`, {
    hint: initHint(session),
  })
}

function initHint({ handle, did, scope }: SessionRecord): string {
  const again = `atproto-oauth init ${handle ?? did}`
  return scope === '' || scope === 'atproto' ? again : `${again} --scope '${scope}'`
}

function trimmed(hashes: readonly string[]): string[] {
  if (hashes.length <= SPENT_FIRST + SPENT_NEWEST) return [...hashes]
  return [...hashes.slice(0, SPENT_FIRST), ...hashes.slice(-SPENT_NEWEST)]
}
