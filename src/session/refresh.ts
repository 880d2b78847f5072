/**
 * The refresh transaction. A refresh token works once, and most slips end the
 * session, so all that can be known to fail is found out before it is sent.
 *
 * @see https://atproto.com/specs/oauth#tokens-and-session-lifetime, RFC 6749 §6
 */

import { isRetired } from '../client/fetch.ts'
import { isOAuthError, loginFacts, OAuthError } from '../errors.ts'
import type { ClientKeyName, Handle, Origin, SessionRecord, TokenSet } from '../model.ts'
import type { Clock, Refreshed, SaveTarget, SessionTransaction } from '../ports.ts'
import { type WithEarly, withEarly } from '../protocol/http/early.ts'
import { CLOCK_SLACK } from '../protocol/http/server-clock.ts'
import { beginDid } from '../protocol/identity/did.ts'
import { type ClientIdentity, clientKeyName } from '../protocol/oauth/client-auth.ts'
import { beginDiscovery, likelyIssuer } from '../protocol/oauth/discovery.ts'
import type { DpopFetch } from '../protocol/oauth/dpop-fetch.ts'
import { beginNonce, type EarlyNonce, OAuthServerAgent } from '../protocol/oauth/server-agent.ts'
import { parseTokenResponse } from '../protocol/oauth/token-endpoint.ts'
import { addedScopes } from '../protocol/scope/scope.ts'
import { saysExpiredToken } from '../protocol/xrpc/error.ts'
import { clientOf } from './client.ts'
import { type IsGood, isForTargetsOnly } from './freshness.ts'
import { verifyIssuer } from './issuer.ts'
import type { Commit, RefreshPorts } from './ports.ts'
import {
  deliverLeftOver,
  deliverRotated,
  lockForRefresh,
  newestOfTargets,
  removeFromStore,
  targetsFor,
  tryTargets,
} from './saving.ts'
import { afterOtherStores, shareRefresh } from './share-refresh.ts'
import {
  addSpentToken,
  assertOwnToken,
  endedError,
  isElsewhere,
  newestHash,
  newestKnown,
  successorOf,
  tokenElsewhere,
  tokenHash,
  withoutToken,
} from './token-family.ts'

/**
 * The session after a refresh, or as it is if `isGood` finds that none is needed (any more).
 *
 * @param given the session as this process knows it
 * @param isGood asked with the newest state, under the lock
 * @throws {OAuthError} those of settings, network, identity and metadata, with nothing sent; `SAVE_FAILED`,
 *   `COPIES_DIFFER`, `SESSION_OUTDATED`, `STORE_COPIED`, `SESSION_DEAD`, `SESSION_NOT_REFRESHABLE`, `REFRESH_AMBIGUOUS`, `REFRESH_REFUSED`
 */
export function refresh(
  given: SessionRecord,
  isGood: IsGood,
  dpopFetch: DpopFetch,
  ports: RefreshPorts,
): Promise<SessionRecord> {
  const { sessions } = ports.stores
  const begin = async (here?: Refreshed, failure?: unknown) => {
    if (isOAuthError(failure, ...FOR_ALL)) throw failure
    const undelivered = (await sessions.read(given.thumbprint))?.undelivered ?? given.undelivered
    const shared = targetsFor({ ...given, undelivered }, ports.saving)
    return lockForRefresh(shared, (confirmTargets) =>
      sessions.update(given.thumbprint, async (transaction) => {
        const { stored, commit, forget } = transaction
        const own = await newestOfTargets(await newestKnown(given, stored, sessions), ports)
        const known = await takeSuccessor(own, here?.newest, shared, commit)
        if (known.ended) throw endedError(known, ports.now(), !given.ended)
        if (known.movingTo !== undefined) throw stillMoving(known.movingTo)
        // An old copy would replace newer credentials in a save target.
        if (known.undelivered?.length) await sessions.assertNewest(known)
        const current = await deliverLeftOver(known, commit, ports)
        if (isGood(current, transaction.isBusy)) return removeFromStore(current, { stored, commit }, ports)
        await transaction.awaitTurn?.()
        if (current.refreshToken !== stored?.refreshToken) await assertOwnToken(current, sessions)
        const confirm = async () => {
          await confirmTargets()
          await transaction.confirm()
        }
        const { sentBy } = transaction
        const step = { stored, commit, forget, sentBy, confirm, here }
        return withEarly(ports, (early) => refreshNow(current, step, dpopFetch, early))
      }),
    )
  }
  const refreshed = shareRefresh(sessions, given.thumbprint, isGood, () =>
    afterOtherStores(ports, given.thumbprint, begin),
  )
  return refreshed.catch((error: unknown) => {
    // Nothing was sent, and as long as the access token works nothing has to be.
    if (isOAuthError(error, 'VAULT_UNREACHABLE') && isGood(given, true)) return given
    throw error
  })
}

/** What is no different for the next client of this process with the session: it would wait as long, or send the token again. */
const FOR_ALL = [
  'HOST_NOT_FOUND',
  'NETWORK_UNREACHABLE',
  'NETWORK_LOST',
  'SERVER_UNAVAILABLE',
  'RATE_LIMITED',
  'REFRESH_AMBIGUOUS',
] as const

/** What this process has got for the token, and this store does not have: to send the token again would end the session. */
async function takeSuccessor(
  own: SessionRecord,
  newest: SessionRecord | undefined,
  targets: readonly SaveTarget[],
  commit: Commit,
): Promise<SessionRecord> {
  const successor = await successorOf(own, newest)
  if (successor === undefined) return own
  if (successor.ended) return successor
  const next = { ...successor, undelivered: targets.length > 0 ? targets.map(({ name }) => name) : undefined }
  await commit(next)
  return deliverRotated(next, targets, commit)
}

/** The refresh itself, of the newest state and under the lock. */
async function refreshNow(
  current: SessionRecord,
  transaction: Pick<SessionTransaction, 'stored' | 'commit' | 'forget' | 'sentBy' | 'confirm'> & {
    readonly here: Refreshed | undefined
  },
  dpopFetch: DpopFetch,
  ports: RefreshPorts & WithEarly,
): Promise<SessionRecord> {
  const { commit, sentBy, here } = transaction
  const prepared = await prepare(current, commit, dpopFetch, ports)

  const { hash, targets } = prepared
  if (sentBy !== undefined) await assertUnspent(current, sentBy, dpopFetch)
  if (current.intent?.tokenHash === hash) {
    ports.warn('an earlier refresh was sent, but no response was stored: retrying with the same token')
  }
  // The targets were tried with this token, and have it.
  const ahead = { ...current, tokenElsewhere: isForTargetsOnly(targets, ports) ? hash : undefined }
  await commit({ ...withoutToken(ahead), intent: { tokenHash: hash, at: ports.now() } })
  const next = await spend(prepared, transaction.confirm, ports).catch(async (error: unknown) => {
    throw await withRetiredKey(await recordFailedRefresh(error, prepared, transaction, ports), prepared, ports)
  })
  if (here) here.newest = next
  await commit(next)
  const saved = deliverRotated(next, targets, commit)
  await Promise.allSettled([saved]) // the new tokens first
  const change = describeScopeChange(current, next)
  if (change !== undefined) ports.warn(change)
  const outdated = leftOut(current, targets)
  if (outdated.length > 0) ports.warn(`not updated, still with the previous token: ${outdated.join(' and ')}`)
  return saved
}

/** Everything that is checked before the token is sent. */
interface Prepared {
  readonly current: SessionRecord
  readonly refreshToken: string
  readonly hash: string
  /** Recorded, so that the next refresh can tell whether it has the same key. */
  readonly clientKey: ClientKeyName | undefined
  readonly issuer: Origin
  /** As the DID document says it now, where a handle is stored. */
  readonly handle: Handle | undefined
  readonly pds: Origin
  readonly agent: OAuthServerAgent
  readonly targets: readonly SaveTarget[]
}

async function prepare(
  current: SessionRecord,
  commit: Commit,
  dpopFetch: DpopFetch,
  ports: RefreshPorts & WithEarly,
): Promise<Prepared> {
  const { refreshToken, clientId } = current
  if (isElsewhere(current)) throw tokenElsewhere(current)
  if (refreshToken === undefined || clientId === undefined) throw notRefreshable(current)
  const client = await clientOf(clientId, current, ports)
  // A vault outlives each machine.
  if (!ports.stores.sessions.isSharedSession?.(current.thumbprint)) ports.saving.checkDurable()
  const earlyNonce = begin(current, client, dpopFetch, ports)
  const { server, pds, claimedHandle } = await verifyIssuer(current, ports)
  await ports.stores.sessions.assertNewest(current)
  const targets = targetsFor(current, ports.saving)
  await tryTargets(current, targets, commit, ports)
  const agent = new OAuthServerAgent({ server, client, dpopFetch, earlyNonce }, ports)
  // Last, so that the nonce is new when the token is sent.
  await agent.learnNonce()
  return {
    current,
    refreshToken,
    hash: await tokenHash(refreshToken),
    clientKey: await clientKeyName(client),
    issuer: server.issuer,
    handle: current.handle && claimedHandle,
    pds,
    agent,
    targets,
  }
}

/** Begins all requests and connections that are needed if the account is where it was at the last refresh. */
function begin(
  { did, pds, issuer = likelyIssuer(pds) }: SessionRecord,
  client: ClientIdentity,
  dpopFetch: DpopFetch,
  ports: RefreshPorts & WithEarly,
): EarlyNonce | undefined {
  beginDid(did, ports)
  beginDiscovery({ pds, issuer }, ports)
  ports.early.connect(new URL(issuer), { ownConnection: true })
  return dpopFetch.isNonceCurrent(issuer) ? undefined : beginNonce(issuer, client, dpopFetch, ports)
}

/**
 * Another machine may have sent this token and received new ones. A PDS that is its own authorization server ends an
 * access token with the refresh token that came with it, so the access token tells whether that has happened.
 *
 * @throws {OAuthError} `REFRESH_AMBIGUOUS`: it has; to send the token again would end the session
 */
async function assertUnspent(current: SessionRecord, label: string, dpopFetch: DpopFetch): Promise<void> {
  const { accessToken, accessTokenExpiresAt, clockOffset = 0, pds, issuer, did } = current
  if (accessToken === undefined || accessTokenExpiresAt === undefined || issuer !== pds) return
  // By the server's clock: the machine that received the token may have another one than this.
  if (accessTokenExpiresAt + clockOffset - dpopFetch.now(issuer) < CLOCK_SLACK) return
  const url = new URL('/xrpc/com.atproto.server.getSession', pds)
  const sent = await dpopFetch(url, { accessToken, timeoutSeconds: 10 })
  const { isExpired, response } = await saysExpiredToken(sent)
  await response.body?.cancel().catch(() => undefined)
  if (!isExpired) return
  const message = `${label} has refreshed the session of ${did} and has not stored the new tokens yet; nothing was sent`
  throw new OAuthError('REFRESH_AMBIGUOUS', message, {
    facts: { reason: 'tokens-elsewhere', label },
  })
}

/** Sends the token, once. A response that fails validation is revoked. */
async function spend(prepared: Prepared, confirm: () => Promise<void>, ports: RefreshPorts): Promise<SessionRecord> {
  const { agent, refreshToken, current, issuer } = prepared
  const response = await agent.refresh(refreshToken, confirm)
  try {
    const tokens = parseTokenResponse(response, ports.settings.dev, ports)
    if (tokens.sub !== current.did) {
      const whose = `${tokens.sub}, not for ${current.did}`
      throw new OAuthError('TOKEN_RESPONSE_INVALID', `${issuer} returned tokens for ${whose}`)
    }
    return await rotated(prepared, tokens, ports)
  } catch (error) {
    await agent.revokeIssued(response)
    throw error
  }
}

/** The session with its new tokens, not yet delivered to the save targets. */
async function rotated(prepared: Prepared, tokens: TokenSet, ports: RefreshPorts): Promise<SessionRecord> {
  const { current, refreshToken, hash, clientKey, issuer, handle, pds, agent, targets } = prepared
  // RFC 6749 §6: without a new one the old one stays good.
  const newest = tokens.refreshToken ?? refreshToken
  return {
    ...current,
    handle,
    pds,
    issuer,
    clientKey,
    scope: tokens.scope,
    accessToken: tokens.accessToken,
    accessTokenExpiresAt: tokens.accessTokenExpiresAt,
    refreshToken: newest,
    tokenElsewhere: isForTargetsOnly(targets, ports) ? await tokenHash(newest) : undefined,
    rotatedAt: agent.now(),
    clockOffset: agent.now() - ports.now(),
    // Where it was not counted before, it is from now on.
    rotation: (current.rotation ?? 0) + 1,
    spentTokens: tokens.refreshToken === undefined ? current.spentTokens : addSpentToken(current.spentTokens, hash),
    intent: undefined,
    // Those of an earlier refresh have a spent token now.
    savedTo: undefined,
    undelivered: targets.length > 0 ? targets.map(({ name }) => name) : undefined,
  }
}

/** A server reads permission sets again at each refresh, so that their publishers change what sessions may do. */
function describeScopeChange({ scope: before, did }: SessionRecord, { scope: now }: SessionRecord): string | undefined {
  if (!before || !now) return undefined
  const [added, removed] = [addedScopes(now, before, did), addedScopes(before, now, did)]
  if (added.length === 0 && removed.length === 0) return undefined
  const changes = [...listed('added', added), ...listed('removed', removed)].join('; ')
  return `the server changed the permissions of ${did}, as after a change of a permission set: ${changes}`
}

const NAMED_MOST = 5

function listed(what: string, scopes: readonly string[]): string[] {
  const more = scopes.length > NAMED_MOST ? [`${scopes.length - NAMED_MOST} more`] : []
  return scopes.length === 0 ? [] : [`${what} ${[...scopes.slice(0, NAMED_MOST), ...more].join(', ')}`]
}

/** Targets of an earlier refresh that are none of this one. */
function leftOut({ savedTo = [] }: SessionRecord, targets: readonly SaveTarget[]): string[] {
  return savedTo.filter((saved) => targets.every(({ name }) => name !== saved))
}

/** The rejected token came from the environment: the stored token was not sent, and stays valid. */
async function rejectForeignToken(
  error: OAuthError,
  stored: SessionRecord,
  hash: string,
  commit: Commit,
): Promise<OAuthError> {
  await commit({ ...stored, intent: undefined, spentTokens: addSpentToken(stored.spentTokens, hash) })
  return new OAuthError(
    'SESSION_DEAD',
    `the given refresh token was rejected: ${error.message}; the stored one was not sent`,
    {
      cause: error,
      session: 'unknown',
      facts: { reason: 'given-token-refused' },
    },
  )
}

/** The token was not sent, or the request was rejected before the token was checked: the token is still valid. */
const UNSPENT = [
  'REFRESH_REFUSED',
  'RATE_LIMITED',
  'HOST_NOT_FOUND',
  'NETWORK_UNREACHABLE',
  'ADDRESS_REFUSED',
  'DPOP_URL_INVALID',
  'DPOP_NONCE_INVALID',
] as const

/** The stored session, and the two ways to change it. */
interface InStore {
  readonly stored: SessionRecord | undefined
  readonly commit: Commit
  readonly forget: () => Promise<void>
}

/**
 * Stores what a failed refresh leaves behind, and returns the error to throw. There are no new tokens: if nothing can be
 * stored, the next refresh finds out the same.
 */
async function recordFailedRefresh(
  error: unknown,
  prepared: Prepared,
  inStore: InStore,
  clock: Clock,
): Promise<unknown> {
  return explainFailure(error, prepared, inStore, clock).catch(() => error)
}

async function explainFailure(
  error: unknown,
  { current, hash, handle }: Prepared,
  { stored, commit, forget }: InStore,
  { now }: Clock,
): Promise<unknown> {
  const held = stored && (await newestHash(stored))
  const fromOutside = stored !== undefined && held !== undefined && held !== hash
  if (fromOutside && isOAuthError(error, 'SESSION_DEAD')) return rejectForeignToken(error, stored, hash, commit)
  if (isOAuthError(error, 'SESSION_DEAD', 'TOKEN_RESPONSE_INVALID')) {
    const { accessToken, accessTokenExpiresAt, refreshToken, tokenElsewhere, intent, ...known } = current
    const rest = { ...known, handle }
    const ended = { at: now(), reason: error.message }
    await commit({ ...rest, ended, spentTokens: addSpentToken(current.spentTokens, hash) })
    return error.with({ session: 'dead', facts: loginFacts(rest) })
  }
  // All is as it was: nor is there a record, in case the key given with this token is not its own.
  if (isOAuthError(error, ...UNSPENT)) {
    // Nor is a token stored that was not stored before.
    await (stored ? commit(isElsewhere(stored) ? stored : withoutToken(current)) : forget())
  }
  return error // if it is not known what the server did, the intent stays
}

/** The server rejects the client: if its document no longer has the key of the session, that is the cause. */
async function withRetiredKey(error: unknown, { current, clientKey }: Prepared, ports: RefreshPorts): Promise<unknown> {
  const { clientId } = current
  if (!isOAuthError(error, 'REFRESH_REFUSED') || error.facts.reason !== 'client-rejected') return error
  if (clientId === undefined || clientKey === undefined) return error
  const { kid } = clientKey
  if (!(await isRetired(clientId, kid, ports))) return error
  const message = `the client key ${kid} of the session is retired: ${clientId} does not publish it (${error.message})`
  const { status, serverError } = error.facts
  const facts = { ...loginFacts(current), status, serverError, reason: 'client-key-retired', clientId, kid } as const
  return error.with({ message, facts })
}

function stillMoving(address: string): OAuthError {
  const message = `the session is on its way into the vault at ${address}; nothing was sent`
  return new OAuthError('SESSION_BUSY', message, { facts: { reason: 'moving-to-vault' } })
}

function notRefreshable(session: SessionRecord): OAuthError {
  const leased = session.clientId === undefined
  return new OAuthError(
    'SESSION_NOT_REFRESHABLE',
    `the access token of ${session.did} has expired and cannot be refreshed`,
    {
      // Whoever lent the access token keeps the session.
      session: leased ? 'none' : 'dead',
      facts: leased ? { reason: 'leased', operation: 'lease' } : loginFacts(session),
    },
  )
}
