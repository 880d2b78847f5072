/**
 * The client document that stands at a hosted `client_id`, judged as the strictest server would.
 *
 * @see https://atproto.com/specs/oauth#client-id-metadata-document
 * @module
 */
import { isAuthError } from '../errors.ts'
import type { Clock, Http } from '../ports.ts'
import { type Client, redirectKind } from './client.ts'
import { fetchDocument } from './document.ts'
import type { JsonObject } from './response.ts'
import { scopeTokens } from './scope.ts'
import { asUrl } from './syntax.ts'

/** The document's client, and what a login asks of it. */
export type ClientUse = Pick<Client, 'clientId'> & Partial<Client>

/** Everything wrong with the document as it is published now; a document that cannot be had is one fault. */
export async function findClientFaults(use: ClientUse, ports: Http & Clock): Promise<string[]> {
  const { clientId } = use
  const absent = { code: 'CLIENT_INVALID', message: `there is no client document at ${clientId}` } as const
  try {
    const request = { url: new URL(clientId), what: 'the client document', code: 'CLIENT_INVALID', absent } as const
    return judgeClientDocument(await fetchDocument(request, ports), use)
  } catch (error) {
    if (isAuthError(error)) return [error.message]
    throw error
  }
}

/** Every fault, each beginning with the name of its field. */
export function judgeClientDocument(document: JsonObject, use: ClientUse): string[] {
  return [...identityFaults(document, use), ...authenticationFaults(document), ...redirectFaults(document, use)]
}

/** Fields that make a server refuse the whole document, or that no public document may have. */
const FORBIDDEN = /^(?:client_secret|userinfo_|id_token_|default_max_age$|tls_client_certificate_bound_access_tokens$)/

function identityFaults(document: JsonObject, { clientId, scope: asked }: ClientUse): string[] {
  const faults: string[] = []
  if (document.client_id !== clientId) faults.push(`client_id must be ${clientId}, byte for byte`)
  const grants = strings(document.grant_types)
  for (const grant of ['authorization_code', 'refresh_token']) {
    if (!grants.includes(grant)) faults.push(`grant_types lacks ${grant}`)
  }
  if (grants.includes('implicit') || hasDoubles(grants)) faults.push('grant_types has implicit, or one of them twice')
  if (!strings(document.response_types).includes('code')) faults.push('response_types lacks code')
  const scopes = typeof document.scope === 'string' ? document.scope.split(' ') : []
  if (!scopes.includes('atproto')) faults.push('scope lacks atproto')
  if (hasDoubles(scopes)) faults.push('scope has a word twice')
  const undeclared = scopeTokens(asked ?? '').filter((token) => !scopes.includes(token))
  if (undeclared.length > 0) faults.push(`scope does not declare ${undeclared.join(' ')}, spelled exactly so`)
  if (document.dpop_bound_access_tokens !== true) faults.push('dpop_bound_access_tokens is not true')
  const forbidden = Object.keys(document).filter((field) => FORBIDDEN.test(field))
  return [...faults, ...forbidden.map((field) => `${field} must not be there`), ...linkFaults(document, clientId)]
}

function linkFaults(document: JsonObject, clientId: string): string[] {
  const faults: string[] = []
  const home = document.client_uri
  const folder = typeof home === 'string' ? asUrl(home)?.href.replace(/\/?$/, '/') : undefined
  if (home !== undefined && !(folder && clientId.startsWith(folder))) {
    faults.push('client_uri must be the origin of client_id, or a folder above it')
  }
  for (const field of ['logo_uri', 'tos_uri', 'policy_uri']) {
    if (document[field] !== undefined && !isHttps(document[field])) faults.push(`${field} is not https`)
  }
  return faults
}

function authenticationFaults(document: JsonObject): string[] {
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: algorithm } = document
  const keys = keyFaults(document)
  if (method === 'none') {
    return algorithm === undefined ? keys : ['token_endpoint_auth_signing_alg must not be there with none', ...keys]
  }
  if (method !== 'private_key_jwt') {
    return ['token_endpoint_auth_method must be written out: none, or private_key_jwt', ...keys]
  }
  const faults: string[] = []
  if (document.application_type === 'native') faults.push('application_type native goes only with the method none')
  if (algorithm !== 'ES256') faults.push('token_endpoint_auth_signing_alg must be ES256')
  if ((document.jwks === undefined) === (document.jwks_uri === undefined)) {
    faults.push('jwks or jwks_uri must be there, and not both')
  }
  return [...faults, ...keys]
}

function keyFaults({ jwks, jwks_uri: uri }: JsonObject): string[] {
  const faults = uri === undefined || isHttps(uri) ? [] : ['jwks_uri is not https']
  if (jwks === undefined) return faults
  const keys: unknown = (jwks as JsonObject | null)?.keys
  if (!Array.isArray(keys) || keys.length === 0) return [...faults, 'jwks has no keys']
  if (!keys.some((key) => key?.kty === 'EC' && key.crv === 'P-256')) faults.push('jwks has no key for ES256')
  return [...faults, ...keys.flatMap((key: unknown, index) => oneKeyFaults(key, `jwks.keys[${index}]`))]
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function oneKeyFaults(key: unknown, name: string): string[] {
  if (typeof key !== 'object' || key === null) return [`${name} is no key`]
  const { kid, use, key_ops: operations } = key as JsonObject
  return [
    ...(PRIVATE_MEMBERS.some((member) => member in key) ? [`${name} is a private key: it has leaked, replace it`] : []),
    ...(typeof kid === 'string' && kid !== '' ? [] : [`${name} has no kid`]),
    ...(use === undefined || use === 'sig' ? [] : [`${name} has a use other than sig`]),
    ...(operations === undefined || strings(operations).join() === 'verify'
      ? []
      : [`${name} has key_ops other than verify`]),
  ]
}

function redirectFaults(document: JsonObject, { clientId, redirectUri: asked }: ClientUse): string[] {
  const { application_type: type = 'web', redirect_uris: given } = document
  const uris = strings(given)
  const client = new URL(clientId)
  if (type !== 'web' && type !== 'native') return ['application_type is neither web nor native']
  if (!Array.isArray(given) || uris.length === 0 || uris.length !== given.length) return ['redirect_uris has none']
  const faults = uris.flatMap((uri) => {
    const kind = redirectKind(uri, client)
    if (kind === undefined) return [`redirect_uris has ${uri}, which no server takes`]
    if (type === 'web' && kind !== 'https') return [`redirect_uris has ${uri}, which only application_type native may`]
    const foreign = kind === 'https' && type === 'native' && new URL(uri).origin !== client.origin
    return foreign ? [`redirect_uris has ${uri}, which for application_type native must be on ${client.origin}`] : []
  })
  if (asked !== undefined && !uris.includes(asked)) faults.push(`redirect_uris lacks ${asked}`)
  return faults
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

function hasDoubles(values: readonly string[]): boolean {
  return new Set(values).size < values.length
}

function isHttps(value: unknown): boolean {
  return typeof value === 'string' && asUrl(value)?.protocol === 'https:'
}
