/**
 * The first half of a login: from an identifier to the sign-in URL.
 */

import { type ClientChoice, chooseClient } from '../client/client-id.ts'
import { findClientFaults } from '../client/fetch.ts'
import { isOAuthError, type LoginFacts, loginFacts, OAuthError, withoutSession } from '../errors.ts'
import type { AuthorizationServer, Client, Handle, Origin, PendingAuthorization } from '../model.ts'
import type { Dns, Network, Settings, Stores, Timer } from '../ports.ts'
import { type WithEarly, withEarly } from '../protocol/http/early.ts'
import { type WithServerClocks, withServerClocks } from '../protocol/http/server-clock.ts'
import { resolveDid, resolveFromHandle, type VerifiedIdentity, verifyHandle } from '../protocol/identity/did.ts'
import { type Identifier, parseIdentifier } from '../protocol/identity/syntax.ts'
import { authorizationUrl, createPkce, createState, type Prompt } from '../protocol/oauth/authorization-request.ts'
import { type ClientIdentity, clientKeyName, identifyClient } from '../protocol/oauth/client-auth.ts'
import {
  type AccountLocation,
  beginDiscovery,
  discoverFromAccount,
  discoverFromServer,
  likelyIssuer,
} from '../protocol/oauth/discovery.ts'
import { generateDpopJwk, importDpopKey } from '../protocol/oauth/dpop.ts'
import { createDpopFetch } from '../protocol/oauth/dpop-fetch.ts'
import { beginNonce, type EarlyNonce, OAuthServerAgent } from '../protocol/oauth/server-agent.ts'
import {
  findBrokenSet,
  findRefusedSet,
  type PermissionSet,
  readPermissionSets,
  type UnresolvedSet,
} from '../protocol/scope/permission-set.ts'

/** Milliseconds to wait for the callback: enough time to sign in, and far more than the lifetime of a code. */
const PENDING_LIFETIME = 60 * 60 * 1000

export interface InitOptions extends ClientChoice {
  readonly prompt?: Prompt | undefined
  /**
   * Text for your own use, such as the page to return to: `callback` returns it as `session.login.appState`. It is stored with
   * the login, and sent nowhere.
   */
  readonly appState?: string | undefined
}

/** @internal */
export interface Initiated {
  /** The sign-in URL, to open in a browser. */
  readonly authorizationUrl: URL
  /** The stored login. Secret. */
  readonly pending: PendingAuthorization
  /** The account's PDS; absent when started from a server. */
  readonly pds?: Origin | undefined
  /** The requested permission sets (`include:`) that can be read from here. */
  readonly permissionSets: readonly PermissionSet[]
  /** Those that cannot be resolved, although the server accepted them. */
  readonly unresolvedSets: readonly UnresolvedSet[]
}

/** @internal */
export type InitPorts = Network &
  Dns &
  Partial<Timer> & { readonly settings: Settings; readonly stores: Pick<Stores, 'pending'> }

/**
 * Resolves `identifier` (handle, DID or server URL), finds its authorization server, pushes the request and stores the
 * login for `complete` before it returns the URL.
 *
 * @throws {OAuthError} input errors, before anything was sent; network, identity, metadata and PAR errors, with nothing
 *   stored
 *
 * @internal
 */
export function init(identifier: string, options: InitOptions, ports: InitPorts): Promise<Initiated> {
  return withoutSession(initLogin(identifier, options, ports))
}

async function initLogin(identifier: string, options: InitOptions, given: InitPorts): Promise<Initiated> {
  const ports = withServerClocks(given)
  const parsed = parseIdentifier(identifier, ports.settings.dev)
  const client = chooseClient(options)
  const identity = identifyClient(client.clientId, ports.settings.clientJwk)
  await ports.stores.pending.prepare()
  return withEarly(ports, (early) => pushLogin({ parsed, client, identity, ...options }, early))
}

interface Login extends Pick<InitOptions, 'prompt' | 'appState'> {
  readonly parsed: Identifier
  readonly client: Client
  readonly identity: ClientIdentity
}

async function pushLogin(
  { parsed, client, identity, prompt, appState }: Login,
  ports: InitPorts & WithServerClocks & WithEarly,
): Promise<Initiated> {
  // Whoever has the handle, their document is probably there.
  if (parsed.kind === 'handle') ports.early.connect(new URL(ports.settings.plcUrl))
  const dpopPrivateJwk = await generateDpopJwk()
  const key = await importDpopKey(dpopPrivateJwk)
  const dpopFetch = createDpopFetch(key, {}, ports)
  let earlyNonce: EarlyNonce | undefined
  const askNonce = (issuer: Origin) => {
    if (earlyNonce?.url.origin !== issuer) earlyNonce = beginNonce(issuer, identity, dpopFetch, ports)
  }
  const { server, account } = await discover(parsed, askNonce, ports)
  checkPrompt(prompt, server)

  const agent = new OAuthServerAgent({ server, client: identity, dpopFetch, earlyNonce }, ports)
  const { codeVerifier, codeChallenge } = await createPkce(ports)
  const state = createState(ports)
  const createdAt = ports.now()
  const { redirectUri, scope } = client
  const loginHint = parsed.kind === 'handle' ? parsed.handle : account?.did
  await agent.awaitNonce(ports)
  const { requestUri, expiresInSeconds } = await agent
    .par({ redirectUri, scope, state, codeChallenge, loginHint, prompt })
    .catch(async (error: unknown) => {
      const asked = { ...client, issuer: server.issuer, did: account?.did, handle: account?.handle ?? handleOf(parsed) }
      throw await explained(error, asked, ports)
    })

  const { sets: permissionSets, unresolved: unresolvedSets } = await readPermissionSets(scope, ports)
  const emptyIncludes = permissionSets.filter(({ granted }) => granted.length === 0).map(({ include }) => include)
  const setPermissions = permissionSets.flatMap(({ granted }) => granted)
  const pending: PendingAuthorization = {
    version: 1,
    status: 'pending',
    state,
    issuer: server.issuer,
    ...client,
    ...(emptyIncludes.length > 0 && { emptyIncludes }),
    ...(setPermissions.length > 0 && { setPermissions }),
    codeVerifier,
    clientKey: await clientKeyName(identity),
    dpopPrivateJwk,
    ...(account && { did: account.did }),
    ...(account?.handle && { handle: account.handle }),
    ...(account && { pds: account.pds }),
    nonces: agent.nonces(),
    createdAt,
    ...(appState !== undefined && { appState }),
    requestExpiresAt: createdAt + expiresInSeconds * 1000,
    expiresAt: createdAt + PENDING_LIFETIME,
  }
  await ports.stores.pending.put(pending)
  return {
    authorizationUrl: authorizationUrl(server, client.clientId, requestUri),
    pending,
    pds: account?.pds,
    permissionSets,
    unresolvedSets,
  }
}

/** Sign-up during a login: a server that does not offer it may reject the request, or show its usual page. */
function checkPrompt(
  prompt: Prompt | undefined,
  { issuer, prompt_values_supported: offered }: AuthorizationServer,
): void {
  if (prompt !== 'create' || offered === undefined || offered.includes(prompt)) return
  const message = `${issuer} does not offer to create an account: it lists the prompts ${offered.join(', ') || 'none at all'}`
  throw new OAuthError('OAUTH_UNSUPPORTED', message, { facts: { reason: 'prompt-unsupported' } })
}

/** What servers return for a permission set that they cannot resolve. */
const SCOPE_ERRORS: readonly string[] = ['invalid_scope', 'invalid_request']

/** Servers rarely explain why they reject a client document, so the document is fetched and checked here. */
async function explained(error: unknown, asked: Client & LoginFacts, ports: InitPorts): Promise<unknown> {
  if (!isOAuthError(error, 'PAR_REFUSED')) return error
  const { clientId, scope } = asked
  const facts = { ...loginFacts(asked), ...error.facts }
  if (facts.reason !== undefined) return error.with({ facts })
  const set = SCOPE_ERRORS.includes(facts.serverError ?? '')
    ? ((await findBrokenSet(scope, ports)) ?? findRefusedSet(scope, error.message))
    : undefined
  if (set) {
    const message = `${set.message} (${error.message})`
    return error.with({ code: set.code, message, facts: { ...facts, ...set.facts } })
  }
  if (!clientId.startsWith('https:')) {
    return error.with({ facts: { ...facts, reason: 'loopback-client-refused' } })
  }
  const faults = await findClientFaults(asked, ports)
  if (faults.length > 0) {
    const message = `${error.message}; client metadata document: ${faults.join('; ')}`
    return error.with({ message, facts: { ...facts, reason: 'client-document-faulty', clientId } })
  }
  const isClient = error.facts.serverError === 'invalid_client'
  return error.with({ facts: isClient ? { ...facts, reason: 'client-rejected', clientId } : facts })
}

function handleOf(identifier: Identifier): Handle | undefined {
  return identifier.kind === 'handle' ? identifier.handle : undefined
}

interface Discovered {
  readonly server: AuthorizationServer
  readonly account?: VerifiedIdentity
}

/**
 * As soon as the PDS is known, everything that depends on it is requested at once, and also from the issuer that it probably
 * names. "PAR must not be sent before the PDS has named the issuer": the server that is returned is the one named.
 */
async function discover(
  identifier: Identifier,
  askNonce: (issuer: Origin) => void,
  ports: InitPorts & WithEarly,
): Promise<Discovered> {
  const begin = (pds: Origin) => {
    const issuer = likelyIssuer(pds)
    beginDiscovery({ pds, issuer }, ports)
    askNonce(issuer)
  }
  if (identifier.kind === 'server') {
    begin(identifier.origin)
    return { server: await discoverFromServer(identifier.origin, { onIssuer: askNonce }, ports) }
  }
  const account = await resolve(identifier, begin, ports)
  const verify = ({ issuer }: AccountLocation) => askNonce(issuer)
  return { ...(await discoverFromAccount(account, { verify }, ports)), account }
}

/** @param onPds called when the document is known, for what does not depend on the handle; a handle is checked before that */
async function resolve(
  identifier: Exclude<Identifier, { readonly kind: 'server' }>,
  onPds: (pds: Origin) => void,
  ports: InitPorts,
): Promise<VerifiedIdentity> {
  if (identifier.kind === 'handle') {
    const account = await resolveFromHandle(identifier.handle, ports)
    onPds(account.pds)
    return account
  }
  const found = await resolveDid(identifier.did, ports)
  onPds(found.pds)
  return verifyHandle(found, ports)
}
