/**
 * Creates and changes the client metadata document of a hosted client.
 *
 * @see https://atproto.com/specs/oauth#clients
 */
import { type ErrorFacts, OAuthError } from '../errors.ts'
import type { ClientJwk } from '../model.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { asUrl, isReservedName } from '../protocol/identity/syntax.ts'
import { generateClientJwk, publicClientJwk } from '../protocol/oauth/client-auth.ts'
import { parseScope } from '../protocol/scope/scope.ts'
import { clientIdFault, LOOPBACK_REDIRECT } from './client-id.ts'
import { validateClientDocument } from './document-rules.ts'
import { publishedKeys } from './key-rules.ts'

/** The names of the two files below the origin. */
export const DOCUMENT_FILE = 'oauth-client-metadata.json'
export const CALLBACK_FILE = 'callback/index.html'

export type ClientKind = 'public' | 'confidential' | 'native'

export interface NewClient {
  /** The https URL of the folder where the files will be served. */
  readonly origin: string
  readonly kind: ClientKind
  /** Client name for the consent screen; by default the host and path of the client. */
  readonly name?: string | undefined
  /** Every scope that the client may request. */
  readonly scope?: string | undefined
}

export interface ClientDocument {
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  /** The document to publish. */
  readonly document: JsonObject
  /** The `kid`s of the published keys. */
  readonly kids: readonly string[]
  /** A newly generated key. Secret. */
  readonly clientJwk?: ClientJwk | undefined
}

/**
 * @param template the fields that all clients share
 * @param earlier an earlier document of the same client, whose keys and additional fields are kept
 * @throws {OAuthError} `CLIENT_INVALID`, `SCOPE_INVALID`
 */
export async function createClientDocument(
  { origin, kind, name, scope }: NewClient,
  template: JsonObject,
  earlier?: JsonObject,
): Promise<ClientDocument> {
  const home = clientHome(origin)
  const keys = earlier === undefined ? [] : publishedKeys(earlier.jwks)
  if (keys.length > 0 && kind !== 'confidential') {
    throw invalid(
      `the existing document publishes keys, but a ${kind} client has none: sessions that use them would end`,
      { reason: 'keys-would-be-lost' },
    )
  }
  const clientJwk = kind === 'confidential' && keys.length === 0 ? await generateClientJwk() : undefined
  const { token_endpoint_auth_signing_alg: _, jwks: __, ...kept } = earlier ?? {}
  return validated(
    {
      ...kept,
      ...template,
      client_id: clientIdAt(home),
      client_name: checkedName(name) ?? kept.client_name ?? home.replace('https://', ''),
      client_uri: home,
      application_type: kind === 'native' ? 'native' : 'web',
      redirect_uris: [kind === 'native' ? LOOPBACK_REDIRECT : `${home}/callback/`],
      scope: scope === undefined ? (kept.scope ?? template.scope) : parseScope(scope),
      ...(kind === 'confidential' && {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: clientJwk ? [publicClientJwk(clientJwk)] : keys },
      }),
    },
    clientJwk,
  )
}

/**
 * Adds a key. New sessions use whichever private key is configured; existing ones stay with theirs.
 *
 * @throws {OAuthError} `CLIENT_INVALID`
 */
export async function addClientKey(document: JsonObject): Promise<ClientDocument> {
  const keys = confidentialKeys(document)
  const clientJwk = await generateClientJwk()
  return validated({ ...document, jwks: { keys: [...keys, publicClientJwk(clientJwk)] } }, clientJwk)
}

/**
 * Removes a key, which ends the sessions that were created with it.
 *
 * @throws {OAuthError} `CLIENT_INVALID` the document has no such key, or no other
 */
export function retireClientKey(document: JsonObject, kid: string): ClientDocument {
  const keys = confidentialKeys(document)
  const rest = keys.filter((key) => key.kid !== kid)
  if (rest.length === keys.length) {
    throw invalid(`the document has no key ${kid}; it has ${keys.map((key) => String(key.kid)).join(' and ')}`)
  }
  if (rest.length === 0) throw invalid(`${kid} is the only key of the document`, { reason: 'last-key' })
  return validated({ ...document, jwks: { keys: rest } })
}

/**
 * The URL of the folder of the files, without a trailing slash.
 *
 * @throws {OAuthError} `CLIENT_INVALID`
 */
export function clientHome(origin: string): string {
  const home = origin.replace(/\/$/, '') // people copy the URL of their site, with its slash
  const host = asUrl(home)?.hostname ?? ''
  const why = /[?#]/.test(home)
    ? 'it must not have a query or a fragment'
    : /\/$|\.(?:json|html?)$/i.test(home)
      ? 'it must be the URL of the folder that contains the files'
      : isReservedName(host, false) || /(?:^|\.)example\.(?:com|net|org)$/.test(host)
        ? 'its host must be a public host name'
        : clientIdFault(clientIdAt(home))?.replace(`/${DOCUMENT_FILE}`, '')
  if (why === undefined) return home
  throw invalid(`invalid origin "${origin}": ${why}`, { reason: 'origin-unusable' })
}

export function clientIdAt(home: string): string {
  return `${home}/${DOCUMENT_FILE}`
}

function checkedName(name: string | undefined): string | undefined {
  if (name === undefined || (name.trim() !== '' && !/\p{C}/u.test(name))) return name
  throw invalid('the name must not be empty or contain control characters')
}

function confidentialKeys(document: JsonObject): JsonObject[] {
  const keys = publishedKeys(document.jwks)
  if (document.token_endpoint_auth_method === 'private_key_jwt' && keys.length > 0) return keys
  throw invalid('the document must be that of a confidential client, with its keys in jwks', {
    reason: 'client-not-confidential',
  })
}

/** Rejects a document that a server would reject, before it is written. */
function validated(document: JsonObject, clientJwk?: ClientJwk): ClientDocument {
  const clientId = String(document.client_id)
  const why = clientIdFault(clientId)
  const faults = why === undefined ? validateClientDocument(document, { clientId }) : [`client_id: ${why}`]
  if (faults.length > 0) throw invalid(`servers would reject this document: ${faults.join('; ')}`)
  const [redirectUri] = document.redirect_uris as [string]
  const kids = publishedKeys(document.jwks).map(({ kid }) => String(kid))
  return { clientId, redirectUri, scope: String(document.scope), document, kids, clientJwk }
}

function invalid(message: string, facts?: ErrorFacts): OAuthError {
  return new OAuthError('CLIENT_INVALID', message, { facts })
}
