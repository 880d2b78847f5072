/**
 * Finds the authorization server of an account, and checks that it supports what atproto requires (RFC 9728, RFC 8414).
 *
 * @see https://atproto.com/specs/oauth#server-metadata
 * @see https://atproto.com/specs/oauth#identity-authentication
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { AuthorizationServer, Did, Handle, Identity, Origin } from '../../model.ts'
import type { Clock, Http, IdentityPorts, Settings } from '../../ports.ts'
import type { WithEarly } from '../http/early.ts'
import { beginJson, type DocumentRequest, fetchJson } from '../http/fetch-json.ts'
import { type JsonObject, shown } from '../http/response.ts'
import { resolveDid } from '../identity/did.ts'
import { asOrigin, asUrl, isSecure } from '../identity/syntax.ts'

type Ports = Http & Clock & { readonly settings: Settings }

/**
 * The issuer that a PDS names (RFC 9728 §3).
 *
 * @throws {OAuthError} `OAUTH_UNSUPPORTED`, `METADATA_INVALID`, those of `fetchJson`
 */
export async function fetchIssuer(pds: Origin, ports: Ports): Promise<Origin> {
  return validateProtectedResource(await fetchProtectedResource(pds, ports), pds, ports.settings.dev)
}

/**
 * The document, not validated.
 *
 * @throws {OAuthError} `OAUTH_UNSUPPORTED`, those of `fetchJson`
 */
export function fetchProtectedResource(pds: Origin, ports: Http & Clock): Promise<JsonObject> {
  return fetchJson(resourceRequest(pds), ports)
}

function resourceRequest(pds: Origin): DocumentRequest {
  return {
    url: new URL('/.well-known/oauth-protected-resource', pds),
    what: `the protected-resource metadata of ${pds}`,
    code: 'METADATA_INVALID',
    absent: { code: 'OAUTH_UNSUPPORTED', message: `the PDS ${pds} does not offer OAuth` },
  }
}

/** @throws {OAuthError} `METADATA_INVALID` */
export function validateProtectedResource(document: JsonObject, pds: Origin, dev: boolean): Origin {
  if (document.resource !== pds) {
    throw invalid(`the protected-resource metadata of ${pds} is for another resource: ${shown(document.resource)}`)
  }
  const servers = document.authorization_servers
  if (!Array.isArray(servers) || servers.length !== 1 || typeof servers[0] !== 'string') {
    throw invalid(`${pds} must name exactly one authorization server, not ${shown(servers)}`)
  }
  const issuer = asOrigin(servers[0], dev)
  if (!issuer) throw invalid(`${pds} names an authorization server that is not an https origin: ${shown(servers[0])}`)
  return issuer
}

/**
 * Fetches the metadata of an authorization server (RFC 8414 §3).
 *
 * @param resource the PDS that names this issuer; if the metadata has `protected_resources`, it must be listed there
 * @throws {OAuthError} `OAUTH_UNSUPPORTED`, `METADATA_INVALID`, those of `fetchJson`
 */
export async function fetchAuthorizationServer(
  issuer: Origin,
  resource: Origin | undefined,
  ports: Ports,
): Promise<AuthorizationServer> {
  return validateAuthorizationServer(await fetchServerMetadata(issuer, ports), issuer, resource, ports.settings.dev)
}

/**
 * The document, not validated.
 *
 * @throws {OAuthError} `OAUTH_UNSUPPORTED`, those of `fetchJson`
 */
export function fetchServerMetadata(issuer: Origin, ports: Http & Clock): Promise<JsonObject> {
  return fetchJson(serverRequest(issuer), ports)
}

function serverRequest(issuer: Origin): DocumentRequest {
  return {
    url: new URL('/.well-known/oauth-authorization-server', issuer),
    what: `the authorization-server metadata of ${issuer}`,
    code: 'METADATA_INVALID',
    absent: { code: 'OAUTH_UNSUPPORTED', message: `${issuer} is not an OAuth authorization server` },
  }
}

/** The PDSs of Bluesky have one authorization server. */
const BLUESKY = { hosts: '.host.bsky.network', issuer: 'https://bsky.social' as Origin }

/**
 * The issuer that a PDS probably names. It only decides which metadata is requested early: what is sent where depends on
 * what the PDS does name.
 *
 * @see https://docs.bsky.app/docs/advanced-guides/entryway
 */
export function likelyIssuer(pds: Origin): Origin {
  return new URL(pds).hostname.endsWith(BLUESKY.hosts) ? BLUESKY.issuer : pds
}

/** Where an account probably is: of a stored session or login, or guessed. */
export interface ExpectedLocation {
  readonly pds?: Origin | undefined
  readonly issuer: Origin
}

/**
 * Requests both documents at once, without waiting until the DID document has named the PDS, or the PDS the issuer. The
 * functions above use them only for a PDS and an issuer that were named by then. "Before a refresh token is used, the DID
 * document must still lead to the issuer": that, and the same for a code and a pushed request, is for the callers to
 * check with these documents, as with those requested one after the other.
 */
export function beginDiscovery({ pds, issuer }: ExpectedLocation, ports: WithEarly): void {
  if (pds !== undefined) beginJson(resourceRequest(pds), ports)
  beginJson(serverRequest(issuer), ports)
}

/** An account's PDS, and the issuer of its tokens. */
export interface AccountLocation {
  /** The handle in the DID document, which may not lead back to the DID. */
  readonly claimedHandle: Handle | undefined
  readonly pds: Origin
  readonly issuer: Origin
}

export interface LocateOptions {
  /**
   * Called when the PDS has named the issuer, before its metadata is used; throws if the account is expected elsewhere.
   */
  readonly verify?: (found: AccountLocation) => void | Promise<void>
}

/**
 * The chain from an account to its issuer: DID document, PDS, the issuer that the PDS names.
 *
 * @param account a DID, or an identity that was just resolved
 * @throws {OAuthError} those of `resolveDid` and `fetchIssuer`, and what `verify` throws
 */
export async function locateAccount(
  account: Did | Identity,
  { verify }: LocateOptions,
  ports: IdentityPorts & Clock,
): Promise<AccountLocation> {
  const { pds, did, claimedHandle } = typeof account === 'string' ? await resolveDid(account, ports) : account
  const issuer = await fetchIssuer(pds, ports).catch((error: unknown) => {
    if (!isOAuthError(error, 'HOST_NOT_FOUND')) throw error
    throw error.with({ facts: { ...error.facts, reason: 'pds-not-found', did } })
  })
  const found = { claimedHandle, pds, issuer }
  await verify?.(found)
  return found
}

/**
 * The whole chain: `locateAccount`, then the issuer's metadata, which must list the PDS if it lists any.
 *
 * @throws {OAuthError} those of `locateAccount` and `fetchAuthorizationServer`
 */
export async function discoverFromAccount(
  account: Did | Identity,
  options: LocateOptions,
  ports: IdentityPorts & Clock,
): Promise<Pick<AccountLocation, 'claimedHandle' | 'pds'> & { readonly server: AuthorizationServer }> {
  const { claimedHandle, pds, issuer } = await locateAccount(account, options, ports)
  return { server: await fetchAuthorizationServer(issuer, pds, ports), claimedHandle, pds }
}

/**
 * Finds the authorization server for a URL, which may be that of a PDS or of the server itself; the PDS is tried first.
 *
 * @param onIssuer called before the metadata of the issuer is requested
 * @throws {OAuthError} those of `fetchIssuer` and `fetchAuthorizationServer`
 */
export async function discoverFromServer(
  origin: Origin,
  { onIssuer }: { readonly onIssuer?: (issuer: Origin) => void },
  ports: Ports,
): Promise<AuthorizationServer> {
  const issuer = await fetchIssuer(origin, ports).catch((error) => {
    if (isOAuthError(error, 'OAUTH_UNSUPPORTED')) return undefined
    throw error
  })
  onIssuer?.(issuer ?? origin)
  if (issuer !== undefined) return fetchAuthorizationServer(issuer, origin, ports)
  return fetchAuthorizationServer(origin, undefined, ports)
}

const MUST_INCLUDE = {
  response_types_supported: ['code'],
  grant_types_supported: ['authorization_code', 'refresh_token'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
  token_endpoint_auth_signing_alg_values_supported: ['ES256'],
  scopes_supported: ['atproto'],
  dpop_signing_alg_values_supported: ['ES256'],
} as const
const MUST_BE_TRUE = [
  'authorization_response_iss_parameter_supported',
  'require_pushed_authorization_requests',
  'client_id_metadata_document_supported',
] as const

/** @throws {OAuthError} `METADATA_INVALID` with every fault */
export function validateAuthorizationServer(
  document: JsonObject,
  issuer: Origin,
  resource: Origin | undefined,
  dev: boolean,
): AuthorizationServer {
  const { server, faults } = readAuthorizationServer(document, issuer, resource, dev)
  if (faults.length > 0)
    throw invalid(`${issuer} does not follow the atproto OAuth specification: ${faults.join('; ')}`)
  return server
}

/**
 * The server, with empty strings for unusable endpoints, and every rule that it breaks, each beginning with the field.
 */
export function readAuthorizationServer(
  document: JsonObject,
  issuer: Origin,
  resource: Origin | undefined,
  dev: boolean,
): { readonly server: AuthorizationServer; readonly faults: readonly string[] } {
  const faults: string[] = []
  if (document.issuer !== issuer) faults.push(`issuer is ${shown(document.issuer)}`)
  for (const [field, values] of Object.entries(MUST_INCLUDE)) {
    const given = document[field]
    const missing = Array.isArray(given) ? values.filter((value) => !given.includes(value)) : values
    if (missing.length > 0) faults.push(`${field} lacks ${missing.join(', ')}`)
  }
  for (const field of MUST_BE_TRUE) if (document[field] !== true) faults.push(`${field} is not true`)
  const algorithms = document.token_endpoint_auth_signing_alg_values_supported
  if (Array.isArray(algorithms) && algorithms.includes('none'))
    faults.push('token_endpoint_auth_signing_alg_values_supported has none: client assertions may be unsigned')
  const registration = document.require_request_uri_registration
  if (registration !== undefined && registration !== true) faults.push('require_request_uri_registration is not true')
  const resources = document.protected_resources
  if (resources !== undefined && resource !== undefined) {
    if (!Array.isArray(resources) || !resources.includes(resource))
      faults.push(`protected_resources does not list ${resource}`)
  }
  const endpoint = (field: string): string => {
    const url = asEndpoint(document[field], dev)
    if (!url) faults.push(`${field} is ${shown(document[field])}`)
    return url ?? ''
  }
  const prompts = document.prompt_values_supported
  const server: AuthorizationServer = {
    issuer,
    authorization_endpoint: endpoint('authorization_endpoint'),
    token_endpoint: endpoint('token_endpoint'),
    pushed_authorization_request_endpoint: endpoint('pushed_authorization_request_endpoint'),
    ...(document.revocation_endpoint !== undefined && { revocation_endpoint: endpoint('revocation_endpoint') }),
    ...(isTexts(prompts) && { prompt_values_supported: prompts }),
  }
  return { server, faults }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
}

function asEndpoint(value: unknown, dev: boolean): string | undefined {
  const url = typeof value === 'string' ? asUrl(value) : undefined
  return url && isSecure(url, dev) && !url.href.includes('#') && !url.username && !url.password ? url.href : undefined
}

function invalid(message: string): OAuthError {
  return new OAuthError('METADATA_INVALID', message)
}
