/**
 * Copies of one session in the environment, the store and save targets. They share a DPoP key, but their
 * tokens may differ: only the copy with the newest refresh token is valid.
 */
import { loginFacts, OAuthError, requestedScope } from '../errors.ts'
import type { Credentials, RevokedSession, SessionRecord } from '../model.ts'
import type { FastCrypto, SessionStore } from '../ports.ts'
import { importDpopKey, sha256 } from '../protocol/oauth/dpop.ts'

import { relativeTime } from '../text.ts'

/**
 * Copies with a refresh count are ordered by that. The hashes order those without one: mostly the first token, which a
 * secret or a shell still has, and the last few. Of a longer list the oldest and newest are kept.
 */
const SPENT_KEPT = 100
/** Enough of a hash to recognise a token: 96 bits. */
const HASH_LENGTH = 16

export async function tokenHash(token: string): Promise<string> {
  return (await sha256(token)).slice(0, HASH_LENGTH)
}

/** The hash of the newest refresh token, whether that is here or only in save targets. */
export async function newestHash({
  refreshToken,
  tokenElsewhere,
}: Pick<SessionRecord, 'refreshToken' | 'tokenElsewhere'>): Promise<string | undefined> {
  return refreshToken === undefined ? tokenElsewhere : tokenHash(refreshToken)
}

/** Whether the session is alive, and only its save targets have the refresh token. */
export function isElsewhere({ refreshToken, tokenElsewhere }: SessionRecord): boolean {
  return refreshToken === undefined && tokenElsewhere !== undefined
}

/** As it is stored: without a refresh token that only save targets are to have. They have to have it. */
export function withoutToken(record: SessionRecord): SessionRecord {
  return record.tokenElsewhere === undefined ? record : { ...record, refreshToken: undefined }
}

/** Only the save targets have the refresh token, or a newer one than the given one. */
export function tokenElsewhere(session: SessionRecord): OAuthError {
  const { did, savedTo: targets = [] } = session
  const places = targets.length > 0 ? targets.join(' and ') : 'a save target'
  const message = `the newest refresh token of ${did} is neither given nor in the store: it was saved to ${places} only; nothing was sent`
  const facts = { ...loginFacts(session), reason: 'token-elsewhere', targets } as const
  return new OAuthError('CREDENTIALS_INCOMPLETE', message, { facts, session: 'alive' })
}

/** The hashes of spent tokens with one more. */
export function addSpentToken(hashes: readonly string[], hash: string): readonly string[] {
  const over = hashes.length + 1 - SPENT_KEPT
  return [...(over > 0 ? hashes.toSpliced(SPENT_KEPT / 2, over) : hashes), hash]
}

/**
 * Credentials as the store would keep them.
 *
 * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_MISMATCH` the key is not the one
 *   named in them
 */
export async function toSessionRecord(
  { server, scope, ...credentials }: Credentials,
  ports: FastCrypto = {},
): Promise<SessionRecord> {
  const { thumbprint } = await importDpopKey(credentials.dpopPrivateJwk, ports)
  if (credentials.thumbprint !== undefined && credentials.thumbprint !== thumbprint) {
    throw new OAuthError('CREDENTIALS_MISMATCH', 'the DPoP key does not match the thumbprint in the credentials')
  }
  if (server === undefined) throw new OAuthError('CREDENTIALS_INCOMPLETE', 'the credentials have no PDS')
  return { version: 1, ...credentials, thumbprint, pds: server, scope: scope ?? '', spentTokens: [] }
}

/** What `complete` would print for a session now. */
export function toCredentials(record: SessionRecord): Credentials {
  const { did, clientId, clientKey, dpopPrivateJwk, pds, refreshToken, issuer, scope, thumbprint } = record
  const { createdAt, rotatedAt, rotation, redirectUri, requestedScope } = record
  return {
    did,
    clientId,
    ...(redirectUri !== undefined && { redirectUri }),
    ...(requestedScope !== undefined && { requestedScope }),
    clientKey,
    dpopPrivateJwk,
    server: pds,
    refreshToken,
    issuer,
    ...(scope !== '' && { scope }),
    thumbprint,
    createdAt,
    rotatedAt,
    rotation,
  }
}

/** Where two copies of a session are, for messages. */
export interface Places {
  readonly given: string
  readonly known: string
}

const GIVEN_AND_STORED: Places = { given: 'the given credentials', known: 'the store' }

/**
 * The newer one of two copies of a session, with what the other one adds to it.
 *
 * @throws {OAuthError} `CREDENTIALS_MISMATCH` they are not the same session; `COPIES_DIFFER` nothing says which one is
 *   newer, and to send the older token would end the session
 */
export async function newerOf(
  given: SessionRecord,
  known: SessionRecord | undefined,
  places: Places = GIVEN_AND_STORED,
): Promise<SessionRecord> {
  if (!known) return given
  // A token that was sent with the wrong key was revoked; that does not affect the session the key belongs to.
  const { did, clientId, spentTokens } = known
  if (known.ended && known.issuer === undefined && (given.did !== did || given.clientId !== clientId)) {
    return { ...given, spentTokens }
  }
  checkSame(given, known)
  const { refreshToken, rotation } = given
  if (refreshToken === undefined || refreshToken === known.refreshToken) return known
  const hash = await tokenHash(refreshToken)
  if (spentTokens.includes(hash)) return known
  if (known.ended?.revoked && !isBeyond(given, known)) return known
  const newest = await newestHash(known)
  if (newest === hash) return { ...known, refreshToken }
  if (newest === undefined) {
    const isOlder = rotation !== undefined && known.rotation !== undefined && rotation < known.rotation
    return isOlder ? known : withTokens(known, given)
  }
  if (given.spentTokens.includes(newest)) return withTokens(known, given)
  if (rotation === undefined || known.rotation === undefined || rotation === known.rotation) {
    throw copiesDiffer(given, known, places)
  }
  return rotation < known.rotation ? known : withTokens(known, given)
}

/** Refreshed elsewhere: the token known here was spent there. */
async function withTokens(known: SessionRecord, given: SessionRecord): Promise<SessionRecord> {
  const { accessToken, accessTokenExpiresAt, refreshToken, rotatedAt, rotation } = given
  const spent = await newestHash(known)
  return {
    ...known,
    clientKey: known.clientKey ?? given.clientKey,
    accessToken,
    accessTokenExpiresAt,
    refreshToken,
    rotatedAt,
    rotation: rotation ?? (known.rotation === undefined ? undefined : known.rotation + 1),
    ended: undefined,
    intent: undefined,
    undelivered: undefined,
    tokenElsewhere: undefined,
    spentTokens: spent === undefined ? known.spentTokens : addSpentToken(known.spentTokens, spent),
  }
}

function copiesDiffer(given: SessionRecord, known: SessionRecord, places: Places): OAuthError {
  const message = `${places.given} and ${places.known} have different refresh tokens of one session of ${known.did}, and which one is newer is not known; nothing was sent`
  // A count beside one copy orders them only if the other one has a count, and the store's own cannot be given one.
  const { thumbprint, rotation: count } = known
  const canBeOrdered = count !== undefined || (given.rotation !== undefined && places !== GIVEN_AND_STORED)
  const rotation = canBeOrdered ? Math.max(given.rotation ?? 0, count ?? 0) + 1 : undefined
  return new OAuthError('COPIES_DIFFER', message, { facts: { reason: 'copies-differ', rotation, thumbprint } })
}

/**
 * The record of a session that was exported: without tokens, but with their hashes, to detect later reuse.
 */
export async function handedOver(record: SessionRecord, now: number): Promise<SessionRecord> {
  const { accessToken, accessTokenExpiresAt, refreshToken, tokenElsewhere, intent, ...rest } = record
  const hash = await newestHash(record)
  return {
    ...rest,
    ended: { at: now, reason: 'handed over to another program', handedOver: hash },
    spentTokens: hash === undefined ? record.spentTokens : addSpentToken(record.spentTokens, hash),
  }
}

/** The record of a session that is in the vault now. */
export async function movedToVault(record: SessionRecord, address: string, now: number): Promise<SessionRecord> {
  const { movingTo, ended, ...rest } = await handedOver(record, now)
  return { ...rest, ended: { at: now, reason: 'moved into the vault', movedTo: address } }
}

/** The record of an exported session that is imported back: its refresh token may be used again if it is unchanged. */
export async function takenBack(known: SessionRecord, refreshToken: string): Promise<SessionRecord> {
  const hash = await tokenHash(refreshToken)
  if (known.ended?.handedOver !== hash) return known
  const { at, reason } = known.ended
  return { ...known, ended: { at, reason }, spentTokens: known.spentTokens.filter((spent) => spent !== hash) }
}

/** What is kept of a session that the server has revoked. */
export function revokedFrom(record: SessionRecord, at: number): RevokedSession {
  const { thumbprint, rotation, did, handle, issuer, clientId, redirectUri } = record
  const scope = requestedScope(record) || undefined
  return { version: 1, thumbprint, at, rotation, did, handle, issuer, scope, clientId, redirectUri }
}

/**
 * With more refreshes than the revoked copy had, a session may be one that the server did not recognize by that copy,
 * and did not end.
 */
function isBeyond({ rotation = 0 }: SessionRecord, revoked: Pick<RevokedSession, 'rotation'>): boolean {
  return rotation > (revoked.rotation ?? Number.POSITIVE_INFINITY)
}

/**
 * The newest state of a session, given what its transaction found stored: nothing is stored of one that was revoked from
 * here, also by another process while this one used it.
 *
 * @throws {OAuthError} as {@link newerOf}
 */
export async function newestKnown(
  given: SessionRecord,
  stored: SessionRecord | undefined,
  store: Pick<SessionStore, 'revoked'>,
): Promise<SessionRecord> {
  if (stored !== undefined) return newerOf(given, stored)
  return endedIfRevoked(given, (await store.revoked?.(given.thumbprint))?.[0])
}

/** Given credentials as a session that has ended, if it was revoked from here. */
export function endedIfRevoked(given: SessionRecord, revoked: RevokedSession | undefined): SessionRecord {
  if (revoked === undefined || revoked.did !== given.did) return given
  // An access token that was lent may outlive its session.
  if (given.clientId === undefined) return given
  if (isBeyond(given, revoked)) return given
  const { accessToken, accessTokenExpiresAt, refreshToken, ...rest } = given
  const { handle, redirectUri, scope, at, rotation } = revoked
  return {
    ...rest,
    rotation,
    handle,
    redirectUri: given.redirectUri ?? redirectUri,
    requestedScope: given.requestedScope ?? scope,
    ended: { at, reason: 'it was revoked here', revoked: true },
  }
}

/**
 * The session with the tokens that this process has received since it had those of `own`. What its server said with them
 * belongs to them; the rest is that of the copy.
 *
 * @param newest the session with the newest tokens that this process has received
 * @returns `undefined` if there are none
 * @throws {OAuthError} `CREDENTIALS_MISMATCH` they are for another client_id
 */
export async function successorOf(
  own: SessionRecord,
  newest: SessionRecord | undefined,
): Promise<SessionRecord | undefined> {
  const hash = await newestHash(own)
  if (hash === undefined || newest?.did !== own.did) return undefined
  // Of many hashes, those in the middle are not kept.
  const isOlder = (own.rotation ?? Number.POSITIVE_INFINITY) < (newest.rotation ?? 0)
  if (!isOlder && !newest.spentTokens.includes(hash)) return undefined
  checkSame(own, newest)
  const { pds, issuer, clientKey, scope, clockOffset, spentTokens, ended } = newest
  return { ...(await withTokens(own, newest)), pds, issuer, clientKey, scope, clockOffset, spentTokens, ended }
}

/**
 * Why a session cannot be used.
 *
 * @param wasInUse it has ended while this process used it: its credentials were not given again
 */
export function endedError(session: SessionRecord, now: number, wasInUse = false): OAuthError {
  const { at, reason, handedOver, revoked, movedTo } = session.ended!
  const facts = loginFacts(session)
  const when = relativeTime(at, now)
  if (revoked) {
    const bundled = session.bundled === true
    return new OAuthError('SESSION_DEAD', `the session of ${session.did} was revoked here ${when}`, {
      facts: wasInUse ? facts : { ...facts, reason: 'revoked', bundled },
    })
  }
  if (movedTo !== undefined) {
    const message = `the session of ${session.did} was moved into the vault at ${movedTo} ${when}`
    return new OAuthError('SESSION_MISSING', message, {
      facts: { did: session.did, reason: 'in-vault' },
      session: 'alive',
    })
  }
  if (handedOver === undefined) return new OAuthError('SESSION_DEAD', `the session ended ${when}: ${reason}`, { facts })
  const message = `the session of ${session.did} was handed over to another program ${when}; it can be imported back from there`
  return new OAuthError('SESSION_MISSING', message, { facts: { ...facts, reason: 'exported' }, session: 'alive' })
}

function checkSame(given: SessionRecord, known: SessionRecord): void {
  for (const field of ['did', 'clientId'] as const) {
    if (given[field] === undefined || known[field] === undefined || given[field] === known[field]) continue
    const name = field === 'did' ? 'account' : 'client_id'
    throw new OAuthError(
      'CREDENTIALS_MISMATCH',
      `the DPoP key belongs to a session with the ${name} ${known[field]}, not ${given[field]}; nothing was sent`,
    )
  }
}

/**
 * A token of another session under this key would end that session at the server.
 *
 * @throws {OAuthError} `CREDENTIALS_MISMATCH`, `SESSION_DEAD`; nothing was sent
 */
export async function assertOwnToken(given: SessionRecord, store: Pick<SessionStore, 'list'>): Promise<void> {
  const { thumbprint, refreshToken } = given
  if (refreshToken === undefined) return
  const hash = await tokenHash(refreshToken)
  const others = (await store.list()).filter((other) => other.thumbprint !== thumbprint)
  const owner = others.find(
    (other) => [other.tokenElsewhere, ...other.spentTokens].includes(hash) || other.refreshToken === refreshToken,
  )
  if (owner?.ended) {
    throw new OAuthError('SESSION_DEAD', `this refresh token was sent with another DPoP key: ${owner.ended.reason}`, {
      facts: loginFacts(given),
    })
  }
  if (!owner) return
  throw new OAuthError(
    'CREDENTIALS_MISMATCH',
    `the refresh token belongs to another session, of ${owner.did}; nothing was sent`,
  )
}
