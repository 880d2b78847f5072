/**
 * Resolves handle ↔ DID ↔ DID document and checks both directions. Nothing is cached: logins are rare and need the
 * current document.
 *
 * @see https://atproto.com/specs/did https://atproto.com/specs/oauth#identity-authentication
 */
import { OAuthError } from '../../errors.ts'
import type { Did, Handle, Identity, Origin } from '../../model.ts'
import type { Clock, IdentityPorts, Settings } from '../../ports.ts'
import type { WithEarly } from '../http/early.ts'
import { beginJson, type DocumentRequest, fetchJson } from '../http/fetch-json.ts'
import { type JsonObject, shown } from '../http/response.ts'
import { resolveHandle } from './handle.ts'
import { asHandle, asUrl, didWebHost, isSecure } from './syntax.ts'

export type VerifiedIdentity = Identity & {
  /** The claimed handle, if it resolves to this DID. */
  readonly handle: Handle | undefined
}

/**
 * From a handle: the DID document must claim exactly this handle.
 *
 * @throws {OAuthError} those of `resolveHandle` and `resolveDid`, `HANDLE_NOT_CLAIMED`
 */
export async function resolveFromHandle(handle: Handle, ports: IdentityPorts & Clock): Promise<VerifiedIdentity> {
  const did = await resolveHandle(handle, ports)
  const identity = await resolveDid(did, ports)
  if (identity.claimedHandle !== handle) {
    const claims = identity.claimedHandle ? `claims ${identity.claimedHandle}` : 'claims no handle'
    throw new OAuthError('HANDLE_NOT_CLAIMED', `${handle} resolves to ${did}, but that account ${claims}`, {
      facts: { did },
    })
  }
  return { ...identity, handle }
}

/** From a DID: with the claimed handle, if it resolves to the DID. One that does not is not shown, but is no obstacle. */
export async function verifyHandle(identity: Identity, ports: IdentityPorts & Clock): Promise<VerifiedIdentity> {
  const { did, claimedHandle } = identity
  const leadsTo = claimedHandle && (await resolveHandle(claimedHandle, ports).catch(() => undefined))
  return { ...identity, handle: leadsTo === did ? claimedHandle : undefined }
}

/**
 * Resolves the DID document, without checking the handle.
 *
 * @throws {OAuthError} `DID_NOT_FOUND`, `DID_DOCUMENT_INVALID`, those of `fetchJson`
 */
export async function resolveDid(did: Did, ports: IdentityPorts & Clock): Promise<Identity> {
  const document = await fetchJson(documentRequest(did, ports.settings), ports)
  return parseDidDocument(document, did, ports.settings.dev)
}

/** Requests a document that `resolveDid` will probably be called for. */
export function beginDid(did: Did, ports: WithEarly & { readonly settings: Settings }): void {
  beginJson(documentRequest(did, ports.settings), ports)
}

function documentRequest(did: Did, { plcUrl, dev }: Settings): DocumentRequest {
  const plc = did.startsWith('did:plc:')
  const host = didWebHost(did, dev)
  const url = plc
    ? new URL(`/${did}`, plcUrl)
    : new URL(`${/^localhost(?::|$)/.test(host ?? '') ? 'http' : 'https'}://${host}/.well-known/did.json`)
  return {
    url,
    what: `the DID document of ${did}`,
    code: 'DID_DOCUMENT_INVALID',
    mediaTypes: ['application/did+ld+json', 'application/json'],
    absent: {
      code: 'DID_NOT_FOUND',
      message: `${did} not found at ${url.host}: it was never registered, or was deleted`,
    },
  }
}

/** @throws {OAuthError} `DID_DOCUMENT_INVALID` */
export function parseDidDocument(document: JsonObject, did: Did, dev: boolean): Identity {
  if (document.id !== did) {
    throw new OAuthError('DID_DOCUMENT_INVALID', `the DID document of ${did} has another id: ${shown(document.id)}`)
  }
  return { did, claimedHandle: claimedHandle(document.alsoKnownAs), pds: pdsOrigin(document.service, did, dev) }
}

/** The first `at://` with a valid handle and nothing after it; later ones are ignored. */
function claimedHandle(alsoKnownAs: unknown): Handle | undefined {
  if (!Array.isArray(alsoKnownAs)) return undefined
  for (const alias of alsoKnownAs) {
    const handle = typeof alias === 'string' && alias.startsWith('at://') ? asHandle(alias.slice(5)) : undefined
    if (handle) return handle
  }
  return undefined
}

/** The first service that is the PDS by id *and* type. */
function pdsOrigin(services: unknown, did: Did, dev: boolean): Origin {
  const ids: unknown[] = ['#atproto_pds', `${did}#atproto_pds`]
  const pds = (Array.isArray(services) ? services : []).find(
    (service) => ids.includes(service?.id) && service.type === 'AtprotoPersonalDataServer',
  )
  if (!pds) throw new OAuthError('DID_DOCUMENT_INVALID', `the DID document of ${did} names no PDS`)
  const endpoint: unknown = pds.serviceEndpoint
  const url =
    typeof endpoint === 'string' && /^https?:\/\/[^/\\?#@\s]+\/?$/i.test(endpoint) ? asUrl(endpoint) : undefined
  if (!url || !isSecure(url, dev)) {
    throw new OAuthError('DID_DOCUMENT_INVALID', `the PDS of ${did} is not an https origin: ${shown(endpoint)}`, {
      facts: url && { reason: 'dev-mode-needed' },
    })
  }
  return url.origin as Origin
}
