/**
 * A client as it is published, judged by every rule that a server may apply to it.
 *
 * @see https://atproto.com/specs/oauth#clients
 * @module
 */
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Fix } from '../model.ts'
import type { Clock, Http, Settings } from '../ports.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { asUrl } from '../protocol/identity/syntax.ts'
import { clientKeyName } from '../protocol/oauth/client-auth.ts'
import { isStatic, parsePermission } from '../protocol/scope/permission.ts'
import { parseScope, scopeTokens } from '../protocol/scope/scope.ts'
import { clientIdFault, parseLoopbackClientId } from './client-id.ts'
import { clientFaults } from './document-rules.ts'
import { type ClientFault, fault, strings } from './fault.ts'
import { fetchClientDocument, fetchKeys } from './fetch.ts'
import { keySetFaults, publishedKeys, thumbprintOf } from './key-rules.ts'

/** Bytes; what the specification of client documents recommends, and servers may insist on. */
const RECOMMENDED_SIZE = 5 * 1024

export interface ClientFinding {
  /** Advice breaks nothing. */
  readonly level: 'broken' | 'advice'
  readonly message: string
  readonly consequence: string
  readonly fix: Fix
  /** What the two known servers do with a login. */
  readonly reference: 'accepts' | 'refuses'
  readonly cirrus: 'accepts' | 'refuses'
}

export interface ClientVerdict {
  readonly clientId: string
  /** Absent if there was nothing to judge. */
  readonly kind?: 'loopback' | 'public' | 'confidential' | undefined
  readonly redirectUris: readonly string[]
  readonly scope?: string | undefined
  readonly kids: readonly string[]
  /** Whether the private key at hand is one of the published ones; absent if there is none at hand. */
  readonly keyMatches?: boolean | undefined
  readonly bytes?: number | undefined
  readonly findings: readonly ClientFinding[]
}

export interface ClientCheck {
  readonly clientId: string
  /** What a login is going to ask for, and where it returns to. */
  readonly scope?: string | undefined
  readonly redirectUri?: string | undefined
}

export type CheckClientPorts = Http & Clock & { readonly settings: Settings }

/** @throws {OAuthError} `SCOPE_INVALID`, and those of the `Http` port if the document could not be asked for */
export async function checkClient(check: ClientCheck, ports: CheckClientPorts): Promise<ClientVerdict> {
  const scope = check.scope === undefined ? undefined : parseScope(check.scope)
  const use = { ...check, scope }
  return /^http:\/\/localhost/i.test(check.clientId) ? checkLoopback(use) : checkHosted(use, ports)
}

/** It has no document: what it declares is in its name. */
function checkLoopback({ clientId, redirectUri, scope }: ClientCheck): ClientVerdict {
  try {
    const declared = parseLoopbackClientId(clientId)
    const faults: ClientFault[] = []
    if (redirectUri !== undefined && redirectUri !== declared.redirectUris[0]) {
      const isLater = declared.redirectUris.includes(redirectUri)
      const message = `redirect_uri: ${redirectUri} is not ${isLater ? 'the first that' : 'what'} the client_id declares`
      const consequence =
        'cirrus knows only the first redirect_uri; the reference server any, and for one without a port any port'
      faults.push(fault(message, isLater ? 'cirrus' : 'both', 'declare exactly what is sent', consequence))
    }
    const undeclared = undeclaredIn(scope, declared.scope)
    if (undeclared.length > 0) {
      faults.push(fault(`scope does not declare ${undeclared.join(' ')}`, 'both', 'name it in the client_id'))
    }
    const findings = [...faults.map(toFinding), ...scopeAdvice(declared.scope)]
    return {
      clientId,
      kind: 'loopback',
      redirectUris: declared.redirectUris,
      scope: declared.scope,
      kids: [],
      findings,
    }
  } catch (error) {
    if (!isOAuthError(error, 'CLIENT_INVALID', 'SCOPE_INVALID')) throw error
    return nothing(clientId, [fault(`client_id: ${error.message}`, 'both', advise('loopback-client-id-unusable'))])
  }
}

async function checkHosted(use: ClientCheck, ports: CheckClientPorts): Promise<ClientVerdict> {
  const { clientId } = use
  const why = clientIdFault(clientId)
  if (why !== undefined) {
    const url = asUrl(clientId)
    const refusedBy =
      url?.protocol !== 'https:' ? 'both' : url.port !== '' && url.href === clientId ? 'neither' : 'reference'
    const fix = 'serve the document at an address as https://alice.github.io/bot/oauth-client-metadata.json'
    return nothing(clientId, [fault(`client_id: ${why}`, refusedBy, fix)])
  }
  const { document, bytes, faults } = await fetchClientDocument(clientId, ports)
  if (!document) return nothing(clientId, faults)
  const isConfidential = document.token_endpoint_auth_method === 'private_key_jwt'
  const keys = await keysOf(document, isConfidential, ports)
  const atHand = await checkOwnKey(keys.published, isConfidential, ports.settings)
  const scope = typeof document.scope === 'string' ? document.scope : undefined
  return {
    clientId,
    kind: isConfidential ? 'confidential' : 'public',
    redirectUris: strings(document.redirect_uris),
    scope,
    kids: keys.published.map(({ kid }) => String(kid)),
    keyMatches: atHand.matches,
    bytes,
    findings: [
      ...[...faults, ...clientFaults(document, use), ...keys.faults, ...atHand.faults].map(toFinding),
      ...addressAdvice(clientId, bytes ?? 0),
      ...scopeAdvice(scope ?? ''),
      ...atHand.advice,
    ],
  }
}

function nothing(clientId: string, faults: readonly ClientFault[]): ClientVerdict {
  return { clientId, redirectUris: [], kids: [], findings: faults.map(toFinding) }
}

interface Keys {
  readonly published: readonly JsonObject[]
  readonly faults: readonly ClientFault[]
}

/** Those in the document are judged with it; those elsewhere are fetched. */
async function keysOf(document: JsonObject, isConfidential: boolean, ports: Http & Clock): Promise<Keys> {
  const { jwks, jwks_uri: uri } = document
  if (jwks !== undefined || !isConfidential || typeof uri !== 'string' || asUrl(uri)?.protocol !== 'https:') {
    return { published: publishedKeys(jwks), faults: [] }
  }
  const fetched = await fetchKeys(uri, ports)
  if (isFault(fetched)) return { published: [], faults: [fetched] }
  return { published: publishedKeys(fetched), faults: keySetFaults(fetched, true) }
}

function isFault(value: JsonObject | ClientFault): value is ClientFault {
  return 'refusedBy' in value && 'fix' in value
}

interface AtHand {
  readonly matches?: boolean
  readonly faults: readonly ClientFault[]
  readonly advice: readonly ClientFinding[]
}

/** Whether the client key at hand is the private half of a published key, under the same name. */
async function checkOwnKey(keys: readonly JsonObject[], isConfidential: boolean, settings: Settings): Promise<AtHand> {
  const key = await clientKeyName({ clientId: '', clientJwk: settings.clientJwk })
  if (!key) {
    const message = 'no client key is set: whether it is published was not checked'
    const consequence = 'without it every command of such a client fails'
    const found = advice(message, consequence, advise('client-key-unset'))
    return { faults: [], advice: isConfidential ? [found] : [] }
  }
  if (!isConfidential) {
    const message = 'token_endpoint_auth_method is not private_key_jwt, and a client key is set'
    const consequence = 'cirrus refuses an assertion of a public client; the reference server overlooks it'
    return {
      matches: false,
      faults: [fault(message, 'cirrus', advise('client-key-unpublished'), consequence)],
      advice: [],
    }
  }
  const thumbprints = await Promise.all(keys.map(thumbprintOf))
  const same = keys.findIndex(({ kid }, index) => kid === key.kid && thumbprints[index] === key.thumbprint)
  if (same >= 0) return { matches: true, faults: [], advice: [] }
  const elsewhere = keys[thumbprints.indexOf(key.thumbprint)]
  const [why, fix]: [string, Fix] = elsewhere
    ? [`is published as ${elsewhere.kid}, and calls itself ${key.kid}`, 'give both the same kid']
    : keys.some(({ kid }) => kid === key.kid)
      ? [`and the published key ${key.kid} are two different ones`, advise('client-key-differs')]
      : [`(${key.kid}) is not among the published keys`, advise('client-key-foreign')]
  return { matches: false, faults: [fault(`jwks: the client key that is set ${why}`, 'both', fix)], advice: [] }
}

function addressAdvice(clientId: string, bytes: number): ClientFinding[] {
  const findings: ClientFinding[] = []
  if (new URL(clientId).search !== '') {
    const consequence = 'the two known servers accept it, others need not'
    findings.push(advice('client_id has a query', consequence, 'serve the document at an address without one'))
  }
  if (bytes > RECOMMENDED_SIZE) {
    const message = `the document has ${bytes} bytes, more than the ${RECOMMENDED_SIZE} that are recommended`
    findings.push(advice(message, 'a server may refuse to read it', 'shorten it: retire keys, declare fewer scopes'))
  }
  return findings
}

function scopeAdvice(scope: string): ClientFinding[] {
  const unknown = scopeTokens(scope).filter((token) => !isStatic(token) && !parsePermission(token))
  const consequence = 'the reference server drops it without a word, cirrus refuses a login that asks for it'
  return unknown.map((token) =>
    advice(`scope has ${token}, which is no permission of atproto`, consequence, 'correct it'),
  )
}

function undeclaredIn(asked: string | undefined, declared: string): string[] {
  return scopeTokens(asked ?? '').filter((token) => !scopeTokens(declared).includes(token))
}

function advice(message: string, consequence: string, fix: Fix): ClientFinding {
  return { level: 'advice', message, consequence, fix, reference: 'accepts', cirrus: 'accepts' }
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

const CONSEQUENCES = {
  both: 'servers refuse every login',
  reference: 'the reference server refuses every login; cirrus accepts it',
  cirrus: 'cirrus refuses every login; the reference server accepts it',
  neither: 'the specification forbids it; the two known servers accept it, others need not',
} as const

function toFinding({ message, refusedBy, fix, consequence = CONSEQUENCES[refusedBy] }: ClientFault): ClientFinding {
  const by = (server: 'reference' | 'cirrus') => (refusedBy === server || refusedBy === 'both' ? 'refuses' : 'accepts')
  return { level: 'broken', message, consequence, fix, reference: by('reference'), cirrus: by('cirrus') }
}

/** The error that a verdict comes to, if it is one. */
export function brokenClient({ clientId, findings }: ClientVerdict): OAuthError | undefined {
  const faults = findings.filter(({ level }) => level === 'broken')
  if (faults.length === 0) return undefined
  const count = faults.length === 1 ? 'one thing is' : `${faults.length} things are`
  return new OAuthError('CLIENT_BROKEN', `${count} wrong with the client ${clientId}: ${faults[0]!.message}`)
}
