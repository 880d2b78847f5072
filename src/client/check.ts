/**
 * Checks a published client against every rule that a server may apply to it.
 *
 * @see https://atproto.com/specs/oauth#clients
 */

import type { Fix } from '../errors.ts'
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Clock, Http, Settings } from '../ports.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { clientKeyName } from '../protocol/oauth/client-auth.ts'
import { isStatic, parsePermission } from '../protocol/scope/permission.ts'
import { parseScope, scopeTokens } from '../protocol/scope/scope.ts'
import { clientIdFault, parseLoopbackClientId, shownAs } from './client-id.ts'
import { clientFaults } from './document-rules.ts'
import { advice, type ClientFinding, fault, strings } from './fault.ts'
import { fetchClientDocument, fetchPublishedKeys } from './fetch.ts'
import { thumbprintOf } from './key-rules.ts'

export type { ClientFinding } from './fault.ts'

/** Bytes: the limit that the specification recommends and servers may enforce. */
const RECOMMENDED_SIZE = 5 * 1024
/** Milliseconds for which a server may use a document that it has fetched before. */
const CACHED = 10 * 60 * 1000

export interface ClientVerdict {
  readonly clientId: string
  /** Absent if no document could be checked. */
  readonly kind?: 'loopback' | 'public' | 'confidential' | undefined
  readonly redirectUris: readonly string[]
  readonly scope?: string | undefined
  /** How the consent screen of the reference server names the client, unless the server trusts it. */
  readonly shownAs?: string | undefined
  readonly kids: readonly string[]
  /** Whether the configured private key is one of the published keys; absent if none is configured. */
  readonly keyMatches?: boolean | undefined
  readonly bytes?: number | undefined
  readonly findings: readonly ClientFinding[]
}

export interface ClientCheck {
  readonly clientId: string
  /** The scope and redirect URI that a login will request. */
  readonly scope?: string | undefined
  readonly redirectUri?: string | undefined
}

export type CheckClientPorts = Http & Clock & { readonly settings: Settings }

/** @throws {OAuthError} `SCOPE_INVALID`, and those of the `Http` port if the document could not be fetched */
export async function checkClient(check: ClientCheck, ports: CheckClientPorts): Promise<ClientVerdict> {
  const scope = check.scope === undefined ? undefined : parseScope(check.scope)
  const use = { ...check, scope }
  return /^http:\/\/localhost/i.test(check.clientId) ? checkLoopback(use) : checkHosted(use, ports)
}

/** A loopback client has no document: its client_id contains what it declares. */
function checkLoopback({ clientId, redirectUri, scope }: ClientCheck): ClientVerdict {
  try {
    const declared = parseLoopbackClientId(clientId)
    const findings: ClientFinding[] = []
    if (redirectUri !== undefined && redirectUri !== declared.redirectUris[0]) {
      const isLater = declared.redirectUris.includes(redirectUri)
      const message = `redirect_uri: ${redirectUri} is not the ${isLater ? 'first ' : ''}redirect URI in the client_id`
      const consequence = `a server ${isLater ? 'may support only the first one, and reject' : 'rejects'} a login with this redirect URI`
      findings.push(fault(message, 'use the same redirect URI in both', consequence))
    }
    const undeclared = undeclaredIn(scope, declared.scope)
    if (undeclared.length > 0) {
      findings.push(fault(`scope does not declare ${undeclared.join(' ')}`, 'add it to the client_id'))
    }
    findings.push(...scopeAdvice(declared.scope))
    return {
      clientId,
      kind: 'loopback',
      redirectUris: declared.redirectUris,
      scope: declared.scope,
      shownAs: shownAs(clientId),
      kids: [],
      findings,
    }
  } catch (error) {
    if (!isOAuthError(error, 'CLIENT_INVALID', 'SCOPE_INVALID')) throw error
    return nothing(clientId, [fault(`client_id: ${error.message}`, advise('loopback-client-id-unusable'))])
  }
}

async function checkHosted(use: ClientCheck, ports: CheckClientPorts): Promise<ClientVerdict> {
  const { clientId } = use
  const why = clientIdFault(clientId)
  if (why !== undefined) {
    const fix = 'serve the document at a URL such as https://alice.github.io/bot/oauth-client-metadata.json'
    return nothing(clientId, [fault(`client_id: ${why}`, fix)])
  }
  const { document, bytes, changedAt, faults } = await fetchClientDocument(clientId, ports)
  if (!document) return nothing(clientId, faults)
  const isConfidential = document.token_endpoint_auth_method === 'private_key_jwt'
  const keys = await fetchPublishedKeys(document, ports)
  const atHand = await checkOwnKey(keys.published, isConfidential, ports.settings)
  const scope = typeof document.scope === 'string' ? document.scope : undefined
  return {
    clientId,
    kind: isConfidential ? 'confidential' : 'public',
    redirectUris: strings(document.redirect_uris),
    scope,
    shownAs: shownAs(clientId),
    kids: keys.published.map(({ kid }) => String(kid)),
    keyMatches: atHand.matches,
    bytes,
    findings: [
      ...faults,
      ...clientFaults(document, use),
      ...keys.faults,
      ...addressAdvice(clientId, bytes ?? 0),
      ...cacheAdvice(keys.published, changedAt, ports),
      ...scopeAdvice(scope ?? ''),
      ...atHand.findings,
    ],
  }
}

function nothing(clientId: string, findings: readonly ClientFinding[]): ClientVerdict {
  return { clientId, redirectUris: [], kids: [], findings }
}

interface AtHand {
  readonly matches?: boolean
  readonly findings: readonly ClientFinding[]
}

/** Whether the configured client key is the private half of a published key with the same `kid`. */
async function checkOwnKey(keys: readonly JsonObject[], isConfidential: boolean, settings: Settings): Promise<AtHand> {
  const key = await clientKeyName({ clientId: '', clientJwk: settings.clientJwk })
  if (!key) {
    const message = 'no client key is set, so it was not compared with the published ones'
    const consequence = 'every command of a confidential client requires its key'
    const found = advice(message, advise('client-key-unset'), consequence)
    return { findings: isConfidential ? [found] : [] }
  }
  if (!isConfidential) {
    const message = 'token_endpoint_auth_method is not private_key_jwt, but a client key is set'
    return {
      matches: false,
      findings: [
        fault(message, advise('client-key-unpublished'), 'a server may reject a public client that signs with a key'),
      ],
    }
  }
  const thumbprints = await Promise.all(keys.map(thumbprintOf))
  const same = keys.findIndex(({ kid }, index) => kid === key.kid && thumbprints[index] === key.thumbprint)
  if (same >= 0) return { matches: true, findings: [] }
  const elsewhere = keys[thumbprints.indexOf(key.thumbprint)]
  const [why, fix]: [string, Fix] = elsewhere
    ? [`is published with the kid ${elsewhere.kid}, but has the kid ${key.kid}`, 'use the same kid for both']
    : keys.some(({ kid }) => kid === key.kid)
      ? [`differs from the published key ${key.kid}`, advise('client-key-differs')]
      : [`(${key.kid}) is not among the published keys`, advise('client-key-foreign')]
  const message = `jwks: the configured client key ${why}`
  return { matches: false, findings: [fault(message, fix, 'servers reject every login')] }
}

function addressAdvice(clientId: string, bytes: number): ClientFinding[] {
  const findings: ClientFinding[] = []
  if (new URL(clientId).search !== '') {
    findings.push(
      advice('client_id has a query', 'serve the document at a URL without a query', 'a server may reject it'),
    )
  }
  if (bytes > RECOMMENDED_SIZE) {
    const message = `the document has ${bytes} bytes, more than the recommended ${RECOMMENDED_SIZE}`
    findings.push(advice(message, 'retire keys, or declare fewer scopes', 'a server may reject it'))
  }
  return findings
}

/** A document with several keys was probably changed to add one of them. */
function cacheAdvice(keys: readonly JsonObject[], changedAt: number | undefined, { now }: Clock): ClientFinding[] {
  const since = changedAt === undefined ? CACHED : Math.max(0, now() - changedAt)
  if (keys.length < 2 || since >= CACHED) return []
  const message = `the document was changed ${inMinutes(since)} ago`
  const fix = `wait ${inMinutes(CACHED - since)} before you use a new key, and use the earlier key until then`
  return [advice(message, fix, 'a server that still uses the earlier document rejects a new key')]
}

function inMinutes(milliseconds: number): string {
  const minutes = Math.max(1, Math.ceil(milliseconds / 60_000))
  return minutes === 1 ? '1 minute' : `${minutes} minutes`
}

function scopeAdvice(scope: string): ClientFinding[] {
  const unknown = scopeTokens(scope).filter((token) => !isStatic(token) && !parsePermission(token))
  const consequence = 'servers ignore it, or reject a login that requests it'
  return unknown.map((token) => advice(`scope contains the invalid permission ${token}`, 'correct it', consequence))
}

function undeclaredIn(asked: string | undefined, declared: string): string[] {
  return scopeTokens(asked ?? '').filter((token) => !scopeTokens(declared).includes(token))
}

type ClientReason =
  | 'client-key-differs'
  | 'client-key-foreign'
  | 'client-key-unpublished'
  | 'client-key-unset'
  | 'loopback-client-id-unusable'

function advise(reason: ClientReason): Fix {
  return { code: 'CLIENT_INVALID', facts: { reason } }
}
/** The error for a verdict with at least one error. */
export function brokenClient({ clientId, findings }: ClientVerdict): OAuthError | undefined {
  const faults = findings.filter(({ level }) => level === 'error')
  if (faults.length === 0) return undefined
  const more = faults.length === 1 ? '' : ` (${faults.length} errors in total)`
  return new OAuthError('CLIENT_BROKEN', `the client ${clientId} has an error: ${faults[0]!.message}${more}`)
}
