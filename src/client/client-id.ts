/**
 * The client that a login uses: the loopback client, which needs no hosting, or a hosted client, whose document is
 * published at its `client_id`.
 *
 * @see https://atproto.com/specs/oauth#clients
 */
import { type ErrorFacts, OAuthError } from '../errors.ts'
import type { Client } from '../model.ts'
import { asHandle, asUrl, isReservedName } from '../protocol/identity/syntax.ts'
import { DEFAULT_SCOPE, parseScope, scopeTokens } from '../protocol/scope/scope.ts'

/** Nothing listens at this address: the person copies the callback URL from the browser. */
export const LOOPBACK_REDIRECT = 'http://127.0.0.1/callback'
const LOOPBACK_DEFAULTS = ['http://127.0.0.1/', 'http://[::1]/']
const LOOPBACK_ID = /^http:\/\/localhost\/?(?:\?([^#]*))?$/

export interface ClientChoice {
  readonly clientId?: string | undefined
  readonly redirectUri?: string | undefined
  readonly scope?: string | undefined
}

/**
 * Without a `clientId`, the loopback client that declares exactly the redirect URI and scope of this login.
 *
 * @throws {OAuthError} `CLIENT_INVALID`, `SCOPE_INVALID`
 */
export function chooseClient({ clientId, redirectUri, scope }: ClientChoice): Client {
  const parameter = redirectUri === undefined ? undefined : callbackParameter(redirectUri)
  if (parameter !== undefined) {
    throw invalid(`a redirect URI cannot have the parameter "${parameter}", which the server adds for the callback`, {
      reason: 'redirect-uri-completed',
      redirectUri: withoutCallback(redirectUri ?? ''),
    })
  }
  if (clientId === undefined) {
    const client = { redirectUri: redirectUri ?? LOOPBACK_REDIRECT, scope: parseScope(scope ?? DEFAULT_SCOPE) }
    if (!isLoopbackRedirect(client.redirectUri)) {
      const meant = client.redirectUri.replace(/^(https?:\/\/)localhost(?=[:/]|$)/i, 'http://127.0.0.1')
      if (isLoopbackRedirect(meant)) {
        throw invalid('the redirect URI of a loopback client has 127.0.0.1 as its host, not localhost', {
          reason: 'redirect-host-localhost',
          redirectUri: meant,
        })
      }
      throw invalid(`the redirect URI of a loopback client must be on 127.0.0.1 or [::1], not ${client.redirectUri}`, {
        reason: 'hosted-client-needed',
      })
    }
    return { clientId: loopbackClientId(client), ...client }
  }
  if (/^http:/i.test(clientId)) return chooseLoopback(clientId, redirectUri, scope)
  checkDiscoverable(clientId)
  if (redirectUri === undefined) {
    throw invalid('a hosted client needs one of the redirect URIs in its document', {
      reason: 'redirect-uri-needed',
    })
  }
  checkRedirect(redirectUri, new URL(clientId))
  return { clientId, redirectUri, scope: parseScope(scope ?? DEFAULT_SCOPE) }
}

/** The client_id of a loopback client, which has no document ("Localhost Client Development"). */
export function loopbackClientId({ redirectUri, scope }: Pick<Client, 'redirectUri' | 'scope'>): string {
  return `http://localhost?${new URLSearchParams({ redirect_uri: redirectUri, scope })}`
}

/** @throws {OAuthError} `CLIENT_INVALID` */
export function parseLoopbackClientId(clientId: string): { redirectUris: readonly string[]; scope: string } {
  const match = LOOPBACK_ID.exec(clientId)
  if (!match)
    throw invalid(`${clientId} is not a loopback client_id: it must be http://localhost, optionally with a query`)
  const query = new URLSearchParams(match[1] ?? '')
  const other = [...query.keys()].find((key) => key !== 'redirect_uri' && key !== 'scope')
  if (other !== undefined) throw invalid(`a loopback client_id cannot have the parameter ${JSON.stringify(other)}`)
  if (query.getAll('scope').length > 1) throw invalid('a loopback client_id cannot have several scopes')
  const scope = query.get('scope') ?? DEFAULT_SCOPE
  if (!scopeTokens(scope).includes('atproto')) throw invalid('the scope of a loopback client_id must contain atproto')
  const redirectUris = query.getAll('redirect_uri')
  const wrong = redirectUris.find((uri) => !isLoopbackRedirect(uri))
  if (wrong !== undefined)
    throw invalid(`invalid redirect URI "${wrong}" for a loopback client: use http://127.0.0.1/…`)
  return { redirectUris: redirectUris.length > 0 ? redirectUris : LOOPBACK_DEFAULTS, scope: parseScope(scope) }
}

/** @throws {OAuthError} `CLIENT_INVALID` not a valid client_id */
export function checkClientId(clientId: string): void {
  if (/^http:/i.test(clientId)) parseLoopbackClientId(clientId)
  else checkDiscoverable(clientId)
}

function chooseLoopback(clientId: string, redirectUri: string | undefined, asked: string | undefined): Client {
  const declared = parseLoopbackClientId(clientId)
  const facts = { reason: 'client-id-superfluous' } as const
  const redirect = redirectUri ?? declared.redirectUris[0]!
  if (!declared.redirectUris.includes(redirect))
    throw invalid(`the client_id does not declare the redirect URI ${redirect}`, facts)
  const scope = asked === undefined ? declared.scope : parseScope(asked)
  const undeclared = scopeTokens(scope).filter((token) => !scopeTokens(declared.scope).includes(token))
  if (undeclared.length > 0) throw invalid(`the client_id does not declare the scope ${undeclared.join(' ')}`, facts)
  return { clientId, redirectUri: redirect, scope }
}

function checkDiscoverable(clientId: string): void {
  const why = clientIdFault(clientId)
  if (why !== undefined) throw invalid(`invalid client_id "${clientId}": ${why}`)
}

/**
 * The reason why a client_id is invalid. It must be an https URL with a path, in canonical form: servers compare it as
 * text.
 */
export function clientIdFault(clientId: string): string | undefined {
  const url = asUrl(clientId)
  if (url?.protocol !== 'https:') return 'it must be an https URL'
  if (url.href !== clientId) return `its canonical form is ${url.href}`
  if (url.port !== '' || url.username !== '' || url.password !== '' || clientId.includes('#')) {
    return 'it must not have a port, credentials or a fragment'
  }
  if (url.pathname.endsWith('/')) return 'it must have a path that does not end in a slash'
  const isPublic = asHandle(url.hostname) !== undefined && !isReservedName(url.hostname, true)
  return isPublic ? undefined : 'its host must be a public name'
}

/** How the consent screen of the reference server names a client that the server does not trust. */
export function shownAs(clientId: string): string {
  if (!clientId.startsWith('https:')) return 'An application on your device'
  const { hostname, port, pathname, search } = new URL(clientId)
  return pathname === '/oauth-client-metadata.json' && port === '' && search === '' ? hostname : clientId
}

/** Checks the form of a redirect URI. Whether the client may use it is declared in its document. */
function checkRedirect(redirectUri: string, client: URL): void {
  if (redirectKind(redirectUri, client) !== undefined) return
  throw invalid(`invalid redirect URI "${redirectUri}"`, {
    reason: 'redirect-uri-unusable',
    scheme: reversedHost(client),
  })
}

/** A parameter of the query that only a callback URL has. */
export function callbackParameter(redirectUri: string): string | undefined {
  const names = [...(asUrl(redirectUri)?.searchParams.keys() ?? [])]
  return names.find((name) => RESPONSE.includes(name))
}

function withoutCallback(redirectUri: string): string {
  const url = new URL(redirectUri)
  for (const name of RESPONSE) url.searchParams.delete(name)
  return url.href
}

/** RFC 6749, 4.1.2, RFC 9207 and JARM. */
const RESPONSE: readonly string[] = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'response']

/** https, loopback, or a scheme that is the reversed host; otherwise `undefined`. */
export function redirectKind(redirectUri: string, client: URL): 'https' | 'loopback' | 'scheme' | undefined {
  const url = asUrl(redirectUri)
  // Only characters that a URI may contain: servers compare it as text with the document.
  const isUri = /^[\x21-\x7e]+$/.test(redirectUri) && !redirectUri.includes('#')
  if (!url || !isUri || url.username !== '' || url.password !== '') return undefined
  if (url.protocol === 'http:') return isLoopbackRedirect(redirectUri) ? 'loopback' : undefined
  if (url.protocol === 'https:') {
    return redirectUri.startsWith('https://') && !isLoopback(url) && url.hostname !== 'localhost' ? 'https' : undefined
  }
  return url.protocol === reversedHost(client) && /^[^:]+:\/(?!\/)/.test(redirectUri) ? 'scheme' : undefined
}

function reversedHost({ hostname }: URL): string {
  return `${hostname.split('.').reverse().join('.')}:`
}

function isLoopbackRedirect(redirectUri: string): boolean {
  const url = asUrl(redirectUri)
  if (url?.protocol !== 'http:' || !isLoopback(url)) return false
  return url.href === redirectUri && !redirectUri.includes('#') && url.username === '' && url.password === ''
}

function isLoopback(url: URL): boolean {
  return url.hostname === '127.0.0.1' || url.hostname === '[::1]'
}

function invalid(message: string, facts?: ErrorFacts): OAuthError {
  return new OAuthError('CLIENT_INVALID', message, { facts })
}
