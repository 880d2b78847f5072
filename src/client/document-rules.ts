/**
 * The rules for the client metadata document of a hosted client, as the strictest server applies them.
 *
 * @see https://atproto.com/specs/oauth#client-id-metadata-document
 */
import type { Client } from '../model.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { asUrl } from '../protocol/identity/syntax.ts'
import { scopeTokens } from '../protocol/scope/scope.ts'
import { redirectKind } from './client-id.ts'
import { type ClientFinding, fault, hasDoubles, isHttps, strings } from './fault.ts'
import { authenticationFaults } from './key-rules.ts'

/** The client of the document, and what a login requests as that client. */
export interface ClientUse extends Pick<Client, 'clientId'> {
  readonly redirectUri?: string | undefined
  readonly scope?: string | undefined
}

/** Every fault, each beginning with the name of its field. */
export function validateClientDocument(document: JsonObject, use: ClientUse): string[] {
  return clientFaults(document, use).map(({ message }) => message)
}

/** Every fault with its consequence and a fix. */
export function clientFaults(document: JsonObject, use: ClientUse): ClientFinding[] {
  return [
    ...identityFaults(document, use),
    ...grantFaults(document),
    ...scopeFaults(document, use),
    ...forbiddenFaults(document),
    ...linkFaults(document, use.clientId),
    ...authenticationFaults(document),
    ...redirectFaults(document, use),
  ]
}

function identityFaults(document: JsonObject, { clientId }: ClientUse): ClientFinding[] {
  if (document.client_id === clientId) return []
  const message = `client_id must be exactly ${clientId}`
  return [fault(message, 'correct it, or use the client_id in the document, if the document is served there')]
}

function grantFaults({ grant_types: given, response_types: types, dpop_bound_access_tokens: bound }: JsonObject) {
  const faults: ClientFinding[] = []
  const grants = strings(given)
  const whole = '"grant_types": ["authorization_code", "refresh_token"]'
  if (!grants.includes('authorization_code')) faults.push(fault('grant_types lacks authorization_code', whole))
  if (!grants.includes('refresh_token')) {
    const consequence = 'sessions cannot be refreshed, and end with their first access token'
    faults.push(fault('grant_types lacks refresh_token', whole, consequence))
  }
  if (grants.includes('implicit') || hasDoubles(grants)) {
    faults.push(fault('grant_types contains implicit, or a duplicate', whole))
  }
  if (!strings(types).includes('code')) faults.push(fault('response_types lacks code', '"response_types": ["code"]'))
  if (bound !== true) faults.push(fault('dpop_bound_access_tokens is not true', '"dpop_bound_access_tokens": true'))
  return faults
}

function scopeFaults({ scope: declared }: JsonObject, { scope: asked }: ClientUse): ClientFinding[] {
  const faults: ClientFinding[] = []
  const scopes = typeof declared === 'string' ? declared.split(' ') : []
  if (!scopes.includes('atproto')) {
    faults.push(fault('scope lacks atproto', 'begin the scope with atproto'))
  }
  if (scopes.some((word) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word))) {
    faults.push(
      fault('scope must be permissions separated by single spaces', 'write it as one string with single spaces'),
    )
  } else if (hasDoubles(scopes)) {
    faults.push(fault('scope contains a duplicate', 'list each permission once'))
  }
  const undeclared = scopeTokens(asked ?? '').filter((token) => !scopes.includes(token))
  if (undeclared.length > 0) {
    const message = `scope does not declare ${undeclared.join(' ')}`
    const consequence = 'servers reject a login that requests it'
    faults.push(fault(message, 'add it exactly like this, or request fewer permissions', consequence))
  }
  return faults
}

/** Fields that make a server reject the document, or that a public document must not contain. */
const FORBIDDEN = /^(?:client_secret|userinfo_|id_token_|default_max_age$|tls_client_certificate_bound_access_tokens$)/

function forbiddenFaults(document: JsonObject): ClientFinding[] {
  return Object.keys(document)
    .filter((field) => FORBIDDEN.test(field))
    .map((field) => {
      const consequence = field === 'client_secret' ? 'anybody can read it, and no server uses it' : undefined
      return fault(`${field} is not allowed`, 'remove it', consequence)
    })
}

function linkFaults(document: JsonObject, clientId: string): ClientFinding[] {
  const faults: ClientFinding[] = []
  const home = document.client_uri
  const folder = typeof home === 'string' ? asUrl(home)?.href.replace(/\/?$/, '/') : undefined
  if (home !== undefined && !(folder && clientId.startsWith(folder))) {
    const message = 'client_uri must be the origin of client_id, or a parent folder of it'
    faults.push(fault(message, `"client_uri": "${new URL(clientId).origin}"`))
  }
  for (const field of ['logo_uri', 'tos_uri', 'policy_uri']) {
    if (document[field] === undefined || isHttps(document[field])) continue
    faults.push(fault(`${field} is not an https URL`, 'use an https URL, or remove it'))
  }
  return faults
}

function redirectFaults(document: JsonObject, { clientId, redirectUri: asked }: ClientUse): ClientFinding[] {
  const { application_type: type = 'web', redirect_uris: given } = document
  const uris = strings(given)
  const client = new URL(clientId)
  if (type !== 'web' && type !== 'native') {
    return [fault('application_type is neither web nor native', '"application_type": "web"')]
  }
  if (!Array.isArray(given) || uris.length === 0 || uris.length !== given.length) {
    return [fault('redirect_uris is missing or empty', 'add the URL of your callback page, as a string')]
  }
  const faults = uris.flatMap((uri) => {
    const kind = redirectKind(uri, client)
    if (kind === undefined) {
      const scheme = client.hostname.split('.').reverse().join('.')
      const fix = `use https, or for application_type native also http://127.0.0.1/… or ${scheme}:/…`
      return [fault(`redirect_uris contains ${uri}, which servers reject`, fix)]
    }
    if (type === 'web' && kind !== 'https') {
      const fix = 'use an https redirect, or for a public client "application_type": "native"'
      return [fault(`redirect_uris contains ${uri}, which requires application_type native`, fix)]
    }
    if (kind !== 'https' || type === 'web' || new URL(uri).origin === client.origin) return []
    const message = `redirect_uris contains ${uri}, which must be on ${client.origin} for application_type native`
    return [fault(message, 'move the page to that origin, or write "application_type": "web"')]
  })
  if (asked !== undefined && !uris.includes(asked)) {
    const consequence = 'servers reject a login with this redirect URI'
    faults.push(fault(`redirect_uris lacks ${asked}`, 'add it exactly like this', consequence))
  }
  return faults
}
