/**
 * Opens a session from given credentials, or from the per-user store.
 */
import { isOAuthError, loginFacts, OAuthError } from '../errors.ts'
import type { Credentials, Did, Handle, RevokedSession, SessionRecord } from '../model.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import { parseIdentifier } from '../protocol/identity/syntax.ts'
import { relativeTime } from '../text.ts'
import { accountOf, handleTaken } from './account.ts'
import { allEnded, chooseSession, isSessionName, namedSession } from './choice.ts'
import type { RefreshPorts } from './ports.ts'
import { Session } from './session.ts'
import { assertOwnToken, newestKnown, toSessionRecord } from './token-family.ts'

/**
 * A session from credentials, or from the stored session with the same DPoP key if its tokens are newer. A session that
 * was revoked from here has ended.
 *
 * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_MISMATCH`, `COPIES_DIFFER`
 */
export async function openSession(credentials: Credentials, ports: RefreshPorts): Promise<Session> {
  const { did, server } = credentials
  const located = { ...credentials, server: server ?? (await resolveDid(did, ports)).pds }
  const given = await toSessionRecord(located, ports)
  return Session.create(await newestOf(given, ports), ports)
}

async function newestOf(given: SessionRecord, { stores }: RefreshPorts): Promise<SessionRecord> {
  const { thumbprint } = given
  const stored = await stores.sessions.read(thumbprint)
  try {
    return await newestKnown(given, stored, stores.sessions)
  } catch (error) {
    // It may be a token of another session, which is the better explanation.
    if (isOAuthError(error, 'COPIES_DIFFER')) await assertOwnToken(given, stores.sessions)
    throw error
  }
}

/**
 * Opens a session of the per-user store: the one of `account`, or the only one. A handle is resolved; the one stored with
 * a session serves only where that fails, with a warning.
 *
 * @param account DID or handle, or the name or key of a session
 * @throws {OAuthError} `SESSION_MISSING`, `ACCOUNT_UNCLEAR`, `IDENTIFIER_INVALID`, and those of `resolveHandle`
 */
export async function openStoredSession(account: string | undefined, ports: RefreshPorts): Promise<Session> {
  const { sessions } = ports.stores
  let all = await sessions.list()
  if (account !== undefined) {
    let named = namedSession(account, all)
    if (named === undefined && isSessionName(account)) named = namedSession(account, await sessions.list(true))
    if (named !== undefined) return Session.create(named, ports)
  }
  const asked = account === undefined ? undefined : accountIn(account, ports)
  const did = asked && ('did' in asked ? asked.did : await accountOf(asked.handle, all, ports))
  if (allEnded(did, all)) all = await sessions.list(true)
  const record = chooseSession(did, all)
  if (record) return Session.create(record, ports)
  const former = asked && 'handle' in asked ? all.find(({ handle }) => handle === asked.handle) : undefined
  if (did && former?.handle) throw handleTaken(former.handle, did, former)
  const revoked = (await ports.stores.sessions.revoked?.())?.find((session) => did === undefined || session.did === did)
  if (revoked) throw alreadyRevoked(revoked, ports.now())
  const place = await sessions.place?.()
  const where = place === undefined ? 'stored here' : `in the vault at ${place}`
  const none = place === undefined ? 'no credentials are set, and no session is' : 'no session is'
  throw new OAuthError('SESSION_MISSING', `${did ? `no session of ${did} is` : none} ${where}`, {
    facts: account === did ? { did } : { did, handle: account },
  })
}

function alreadyRevoked(session: RevokedSession, now: number): OAuthError {
  const { did, handle, at } = session
  const whose = handle === undefined ? did : `${handle} (${did})`
  const message = `the session of ${whose} was revoked here ${relativeTime(at, now)}, and no other one of this account is stored`
  return new OAuthError('SESSION_MISSING', message, { facts: loginFacts(session) })
}

function accountIn(text: string, { settings }: RefreshPorts): { readonly did: Did } | { readonly handle: Handle } {
  const identifier = parseIdentifier(text, settings.dev)
  if (identifier.kind === 'server') throw new OAuthError('IDENTIFIER_INVALID', `"${text}" is a server, not an account`)
  return identifier
}
