/**
 * The second half of a login: from the callback URL to the credentials of a session.
 */

import { type ErrorCode, isOAuthError, loginFacts, OAuthError, withoutSession } from '../errors.ts'
import type {
  Completed,
  Did,
  Origin,
  PendingAuthorization,
  PendingRecord,
  ReceivedAuthorization,
  SpentAuthorization,
  TokenSet,
} from '../model.ts'
import type { Dns, Network, Saving, Settings, Stores } from '../ports.ts'
import { type WithEarly, withEarly } from '../protocol/http/early.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { type WithServerClocks, withServerClocks } from '../protocol/http/server-clock.ts'
import { beginDid } from '../protocol/identity/did.ts'
import { sameClient } from '../protocol/oauth/client-auth.ts'
import {
  type AccountLocation,
  beginDiscovery,
  fetchAuthorizationServer,
  locateAccount,
} from '../protocol/oauth/discovery.ts'
import { type DpopKey, importDpopKey, sha256 } from '../protocol/oauth/dpop.ts'
import { createDpopFetch } from '../protocol/oauth/dpop-fetch.ts'
import { beginNonce, OAuthServerAgent } from '../protocol/oauth/server-agent.ts'
import { parseTokenResponse } from '../protocol/oauth/token-endpoint.ts'
import { compareScopes } from '../protocol/scope/scope.ts'
import { checkTargets, lockTargets } from '../session/saving.ts'
import { parseCallback, validateCallback } from './callback.ts'
import {
  alreadySpent,
  claimedElsewhere,
  completedOf,
  type DeliverOption,
  deliverLogin,
  findPending,
  openLogins,
  receivedFor,
  spentRecord,
  stateOfDenial,
  withRefused,
} from './journal.ts'

export type CompletePorts = Network &
  Dns & {
    readonly settings: Settings
    readonly stores: Stores
    readonly saving: Saving
  } & DeliverOption

/**
 * Validates the callback, exchanges the code once, and checks that the tokens are for the account that the login was
 * started for.
 *
 * @param paste the callback URL, or its query or fragment, as copied by a person
 * @throws {OAuthError} input errors and `CALLBACK_REFUSED`: nothing was sent and the login stays open; network,
 *   identity and metadata errors: nothing has changed, so it can be run again; `AUTHORIZATION_DENIED`,
 *   `EXCHANGE_REFUSED`, `TOKEN_RESPONSE_INVALID`, `ACCOUNT_MISMATCH`, `ACCOUNT_UNVERIFIED` and `EXCHANGE_AMBIGUOUS`:
 *   the login has ended
 */
export function complete(paste: string, ports: CompletePorts): Promise<Completed> {
  return withoutSession(completeLogin(paste, ports))
}

/**
 * Checks a callback URL without sending or changing anything.
 *
 * @returns whether the sign-in was denied, which `complete` reports
 * @throws {OAuthError} input errors, `CALLBACK_REFUSED`, `CALLBACK_STATE_UNKNOWN`, `CODE_USED`, `AUTHORIZATION_EXPIRED`
 */
export async function checkCallback(
  paste: string,
  ports: Pick<CompletePorts, 'stores' | 'now'>,
): Promise<{ readonly isDenied: boolean }> {
  const pasted = parseCallback(paste)
  const pending = await findPending(pasted.state ?? (await stateOfDenial(ports)), ports)
  return { isDenied: pending.status === 'pending' && 'denied' in validateCallback(pasted, pending) }
}

/** @throws {OAuthError} `CALLBACK_STATE_UNKNOWN` if no login can be completed here */
export async function assertLoginOpen(ports: Pick<CompletePorts, 'stores' | 'now'>): Promise<void> {
  if ((await openLogins(ports))?.length !== 0) return
  throw new OAuthError('CALLBACK_STATE_UNKNOWN', 'no login is pending here', { facts: { reason: 'login-not-found' } })
}

async function completeLogin(paste: string, given: CompletePorts): Promise<Completed> {
  // Some servers use up the code before they check the proof, so their clocks have to be known by then.
  const ports = withServerClocks(given)
  const pasted = parseCallback(paste)
  const pending = await findPending(pasted.state ?? (await stateOfDenial(ports)), ports)
  if (pending.status === 'received') return resume(pending, pasted.parameters.get('code'), ports)
  const callback = validateCallback(pasted, pending)
  if ('denied' in callback) {
    await ports.stores.pending.put(spentRecord(pending, '', 'denied', ports.now()))
    throw callback.denied
  }

  await checkTargets(pending.did, ports)
  return withEarly(ports, (early) => exchangeAndDeliver(pending, callback.code, early))
}

async function exchangeAndDeliver(
  pending: PendingAuthorization,
  code: string,
  ports: CompletePorts & WithServerClocks & WithEarly,
): Promise<Completed> {
  const { pending: store } = ports.stores
  const exchange = await prepareExchange(pending, code, ports)
  await checkSaving(exchange.key, ports)
  const { agent, spent, note } = exchange
  if (!(await store.claim(spent('sent')))) throw await claimedElsewhere(pending, store)
  const response = await sendCode(exchange)
  const result = await verifyResponse(response, exchange, ports)
  const login = {
    keep: () => store.put(receivedFor(spent('sent'), result, pending)),
    close: () => note({ ...spent('completed'), ...filesOf(ports) }),
    end: () => agent.revokeIssued(response),
  }
  return deliverLogin(result, login, ports)
}

/** Where the credentials will be saved has to be lockable and writable before the code is sent. */
async function checkSaving({ thumbprint }: DpopKey, { saving, stores }: CompletePorts): Promise<void> {
  const { inStore, inVault, targets } = saving
  const { sessions, local = sessions, vault } = stores
  if (inVault) await vault?.prepare?.()
  if (!inStore && targets.length === 0) return
  await lockTargets(targets, () => local.update(thumbprint, async () => undefined))
}

/** What is checked before the code is sent, and the functions that record what happens afterwards. */
interface Exchange {
  readonly pending: PendingAuthorization
  readonly code: string
  readonly codeHash: string
  /** The location of the account that the login was started for. */
  readonly account: AccountLocation | undefined
  readonly key: DpopKey
  readonly agent: OAuthServerAgent
  spent(outcome: SpentAuthorization['outcome']): SpentAuthorization
  /** The stored record already marks the code as sent, so a failure to write it again is ignored. */
  note(record: PendingRecord): Promise<void>
}

async function prepareExchange(
  pending: PendingAuthorization,
  code: string,
  ports: CompletePorts & WithServerClocks & WithEarly,
): Promise<Exchange> {
  const codeHash = await sha256(code)
  const spent = (outcome: SpentAuthorization['outcome']) => spentRecord(pending, codeHash, outcome, ports.now())
  if (pending.refusedCodes?.includes(codeHash)) throw alreadySpent(spent('refused'))

  const { clientId, clientKey, nonces } = pending
  const client = await sameClient(clientId, clientKey, clientKey && ports.settings.clientJwk)
  const key = await importDpopKey(pending.dpopPrivateJwk)
  const dpopFetch = createDpopFetch(key, { nonces, noncesFrom: pending.createdAt }, ports)
  const { issuer, did, pds } = pending
  if (did !== undefined) beginDid(did, ports)
  beginDiscovery({ pds, issuer }, ports)
  ports.early.connect(new URL(issuer), { ownConnection: true })
  const earlyNonce = dpopFetch.isNonceCurrent(issuer) ? undefined : beginNonce(issuer, client, dpopFetch, ports)

  const server = await fetchAuthorizationServer(issuer, undefined, ports)
  // Resolved before the code is sent: if this fails, the code is still valid.
  const account = did && (await locate(did, issuer, ports))
  const agent = new OAuthServerAgent({ server, client, dpopFetch, earlyNonce }, ports)
  await agent.learnNonce()
  const note = (record: PendingRecord) => ports.stores.pending.put(record).catch(() => undefined)
  return { pending, code, codeHash, account, key, agent, spent, note }
}

async function sendCode({ pending, code, codeHash, agent, spent, note }: Exchange): Promise<JsonObject> {
  const { redirectUri, codeVerifier } = pending
  try {
    return await agent.exchange({ code, redirectUri, codeVerifier })
  } catch (error) {
    if (isOAuthError(error, ...UNSENT)) await note(pending)
    else if (isOAuthError(error, 'EXCHANGE_REFUSED')) await note(withRefused(pending, codeHash))
    else await note(spent(isOAuthError(error, 'EXCHANGE_AMBIGUOUS') ? 'sent' : 'refused'))
    throw withInit(error, pending)
  }
}

/** A session whose tokens fail a check is revoked. */
async function verifyResponse(response: JsonObject, exchange: Exchange, ports: CompletePorts): Promise<Completed> {
  const { pending, account, key, agent, spent, note } = exchange
  try {
    const tokens = parseTokenResponse(response, ports.settings.dev, ports)
    checkAccount(tokens.sub, pending)
    const { pds } = account ?? (await locate(tokens.sub, pending.issuer, ports))
    return completed(pending, tokens, { key, pds, now: agent.now(), clockOffset: agent.now() - ports.now() })
  } catch (error) {
    const isEnded = await agent.revokeIssued(response)
    await note(spent('refused'))
    throw afterExchange(error, isEnded, pending)
  }
}

/**
 * For a login whose earlier run was killed between response and delivery: the code is the same and is not sent again.
 */
async function resume(record: ReceivedAuthorization, code: string | null, ports: CompletePorts): Promise<Completed> {
  const { pending: store } = ports.stores
  const over = () => ({ ...spentRecord(record, record.codeHash, 'completed', ports.now()), ...filesOf(ports) })
  if ((await sha256(code ?? '')) !== record.codeHash) throw alreadySpent(over())
  await checkTargets(record.did, ports)
  const login = {
    keep: async () => undefined, // it is kept already
    close: () => store.put(over()).catch(() => undefined),
    end: async () => false,
  }
  return deliverLogin(completedOf(record), login, ports)
}

/** To be able to say later where the session is. */
function filesOf({ saving }: Pick<CompletePorts, 'saving'>): Pick<SpentAuthorization, 'savedTo'> {
  const files = saving.targets.map(({ name }) => name).filter((name) => name.startsWith('file:'))
  return files.length > 0 ? { savedTo: files } : {}
}

/** The code is still valid: it was not sent, or the request was rejected before the code was checked. */
const UNSENT = ['HOST_NOT_FOUND', 'NETWORK_UNREACHABLE', 'ADDRESS_REFUSED', 'RATE_LIMITED'] as const

function checkAccount(sub: Did, { did, handle }: PendingAuthorization): void {
  if (did === undefined || sub === did) return
  throw new OAuthError('ACCOUNT_MISMATCH', `signed in as ${sub}, but this login was started for ${handle ?? did}`)
}

/** The account's location, if its PDS still names the issuer at which the login was started. */
function locate(did: Did, issuer: Origin, ports: CompletePorts): Promise<AccountLocation> {
  const verify = ({ pds, issuer: now }: AccountLocation) => {
    if (now === issuer) return
    throw new OAuthError('ISSUER_MISMATCH', `${did} is not an account of ${issuer}: its PDS ${pds} names ${now}`, {
      session: 'none',
    })
  }
  return locateAccount(did, { verify }, ports)
}

/** Dated by the server's clock (`session/server-time.ts`). */
interface Issued {
  readonly key: DpopKey
  readonly pds: Origin
  readonly now: number
  readonly clockOffset: number
}

function completed(pending: PendingAuthorization, tokens: TokenSet, { key, pds, now, clockOffset }: Issued): Completed {
  const {
    issuer,
    clientId,
    redirectUri,
    clientKey,
    dpopPrivateJwk,
    did,
    handle,
    scope: requestedScope,
    appState,
  } = pending
  return {
    credentials: {
      did: tokens.sub,
      clientId,
      ...(clientId.startsWith('https:') && { redirectUri }),
      ...(clientId.startsWith('https:') && requestedScope !== tokens.scope && { requestedScope }),
      clientKey,
      dpopPrivateJwk,
      server: pds,
      refreshToken: tokens.refreshToken,
      accessToken: tokens.accessToken,
      accessTokenExpiresAt: tokens.accessTokenExpiresAt,
      issuer,
      scope: tokens.scope,
      thumbprint: key.thumbprint,
      createdAt: now,
      rotatedAt: now,
      ...(clockOffset !== 0 && { clockOffset }),
      rotation: 0,
    },
    handle: did === undefined ? undefined : handle,
    requestedScope,
    grantedScope: tokens.scope,
    ...(appState !== undefined && { appState }),
    ...compareScopes(requestedScope, tokens.scope, tokens.sub, pending),
  }
}

/** Errors that, before the exchange, are worth running the same command again for. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'NETWORK_UNREACHABLE',
  'NETWORK_LOST',
  'HOST_NOT_FOUND',
  'SERVER_UNAVAILABLE',
  'RATE_LIMITED',
])

/** The code is used up, so running the command again cannot help, not even after a network error. */
function afterExchange(error: unknown, isEnded: boolean, pending: PendingAuthorization): unknown {
  if (!isOAuthError(error)) return error
  const left = isEnded ? '' : '; the server did not confirm that it ended the new session'
  return error.with({
    code: PASSING.has(error.code) ? 'ACCOUNT_UNVERIFIED' : error.code,
    message: error.message + left,
    facts: loginFacts(pending),
    session: isEnded ? 'none' : 'unknown',
  })
}

function withInit(error: unknown, pending: PendingAuthorization): unknown {
  if (!isOAuthError(error, 'EXCHANGE_REFUSED', 'EXCHANGE_AMBIGUOUS')) return error
  return error.with({ facts: { ...loginFacts(pending), ...error.facts } })
}
