/**
 * What the authorization server makes of a `client_id`, and of a request for it (test/conformance.md, sections 5 and 7).
 */
import type { JWK } from 'jose'
import type { Faults } from './faults.ts'

export interface FakeClient {
  readonly clientId: string
  readonly redirectUris: readonly string[]
  readonly scope: string
}

export interface Refusal {
  readonly status: number
  readonly error: string
  readonly description: string
}

export interface ClientDocument {
  readonly redirect_uris: readonly string[]
  readonly scope: string
  /** The public keys of a confidential client; without, it is a public one. */
  readonly jwks?: { readonly keys: readonly JWK[] }
}

/** Documents by `client_id`, as the server would have fetched them. */
export type ClientDocuments = ReadonlyMap<string, ClientDocument>

const LOOPBACK = /^http:\/\/localhost\/?(?:\?(.*))?$/
const LOOPBACK_REDIRECT = /^http:\/\/(?:127\.0\.0\.1|\[::1\])(?::\d+)?\//
const SCOPE_TOKEN =
  /^(?:atproto|transition:(?:generic|email|chat\.bsky)|(?:repo|rpc|blob|account|identity|include)[:?].+)$/
const UNSUPPORTED = ['request_uri', 'client_secret', 'nonce', 'claims', 'id_token_hint', 'request']

/** The client of a request to any endpoint, by its name. */
export function identifyClient(
  form: Readonly<Record<string, string>>,
  documents: ClientDocuments,
): FakeClient | Refusal {
  const clientId = form['client_id']
  if (!clientId) return refusal('invalid_request', 'client_id is required')
  const document = documents.get(clientId)
  if (document) return { clientId, redirectUris: document.redirect_uris, scope: document.scope }
  return LOOPBACK.test(clientId) ? loopbackClient(clientId) : refusal('invalid_client_metadata', 'no document there')
}

function loopbackClient(clientId: string): FakeClient | Refusal {
  const query = new URLSearchParams(LOOPBACK.exec(clientId)?.[1] ?? '')
  const scopes = query.getAll('scope')
  const redirectUris = query.getAll('redirect_uri')
  if ([...query.keys()].some((key) => key !== 'scope' && key !== 'redirect_uri')) {
    return refusal('invalid_client_metadata', 'unexpected parameter in the loopback client_id')
  }
  if (scopes.length > 1 || !redirectUris.every((uri) => LOOPBACK_REDIRECT.test(uri))) {
    return refusal('invalid_client_metadata', 'invalid loopback client_id')
  }
  const defaults = ['http://127.0.0.1/', 'http://[::1]/']
  return { clientId, redirectUris: redirectUris.length > 0 ? redirectUris : defaults, scope: scopes[0] ?? 'atproto' }
}

/** What is wrong with a pushed authorization request of this client, if anything. */
export function checkAuthorizationRequest(
  form: Readonly<Record<string, string>>,
  client: FakeClient,
  personality: Faults['personality'],
): Refusal | undefined {
  const unsupported = UNSUPPORTED.find((name) => form[name] !== undefined)
  if (unsupported) return refusal('invalid_request', `Unsupported "${unsupported}" parameter`)
  if (form['response_type'] !== 'code') return refusal('unsupported_response_type', 'only "code"')
  if (!form['state']) return refusal('invalid_request', 'state is required')
  if (form['code_challenge_method'] !== 'S256') return refusal('invalid_request', 'code_challenge_method must be S256')
  if (!/^[\w-]{43}$/.test(form['code_challenge'] ?? '')) return refusal('invalid_request', 'Invalid code_challenge')
  if (!isDeclared(form['redirect_uri'] ?? '', client, personality)) {
    return refusal('invalid_request', `Invalid redirect_uri ${form['redirect_uri']}`)
  }
  const hint = form['login_hint']
  if (hint !== undefined && !/^(?:did:[a-z]+:\S+|(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*)$/.test(hint)) {
    return refusal('invalid_request', `Invalid login_hint "${hint}"`)
  }
  if (form['prompt'] === 'none') {
    return refusal('invalid_request', 'Public clients are not allowed to use silent-sign-on')
  }
  return checkScope(form['scope'] ?? '', client, personality)
}

function checkScope(scope: string, client: FakeClient, personality: Faults['personality']): Refusal | undefined {
  const tokens = scope.split(' ')
  const declared = client.scope.split(' ')
  const missing = tokens.find((token) => !declared.includes(token))
  if (missing !== undefined) {
    return refusal('invalid_scope', `Scope "${missing}" is not declared in the client metadata`)
  }
  if (!tokens.includes('atproto')) return refusal('invalid_scope', 'The "atproto" scope is required')
  const unknown = tokens.find((token) => !SCOPE_TOKEN.test(token))
  const isRefused = unknown === 'openid' || (unknown !== undefined && personality === 'cirrus')
  return isRefused ? refusal('invalid_scope', `Scope "${unknown}" is not supported`) : undefined
}

/** The reference server drops what it cannot parse (15.10). */
export function knownScope(scope: string): string {
  return [...new Set(scope.split(' '))].filter((token) => SCOPE_TOKEN.test(token)).join(' ')
}

/** The two servers differ on ports (5.24, 25.2). */
function isDeclared(uri: string, client: FakeClient, personality: Faults['personality']): boolean {
  if (personality === 'cirrus') return uri === client.redirectUris[0]
  if (client.redirectUris.includes(uri)) return true
  if (!LOOPBACK_REDIRECT.test(uri)) return false
  const portless = new URL(uri)
  portless.port = ''
  return client.redirectUris.includes(portless.href)
}

export function refusal(error: string, description: string, status = 400): Refusal {
  return { status, error, description }
}
