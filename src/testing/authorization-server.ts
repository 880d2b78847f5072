/**
 * The authorization server: metadata, pushed requests, the person's decision, tokens, revocation.
 */
import type { Did } from '../model.ts'
import { type ClientAuth, createAssertionVerifier } from './client-auth.ts'
import { type ClientDocuments, checkAuthorizationRequest, identifyClient, knownScope, type Refusal } from './clients.ts'
import type { Faults } from './faults.ts'
import { createGrants } from './grants.ts'
import { type FakeRequest, formOf, type Handler, json, pathOf } from './http.ts'
import type { ProofVerifier } from './proof.ts'
import { challenge, nonceChallenge } from './refusals.ts'
import type { SessionBook } from './sessions.ts'

const FIVE_MINUTES_MS = 300_000
export const PATHS = {
  metadata: '/.well-known/oauth-authorization-server',
  authorize: '/oauth/authorize',
  par: '/oauth/par',
  token: '/oauth/token',
  revoke: '/oauth/revoke',
} as const

/** What the person at the browser does. */
export interface Decision {
  /** Press "Deny". */
  readonly deny?: boolean
  /** Leave only these scopes ticked. */
  readonly scope?: string
  /** Sign in as this account, instead of the one of `login_hint` or else the first. */
  readonly account?: Did
}

export interface AuthorizationServerFake {
  readonly handle: Handler
  /** Plays the person on the authorization page; gives the `Location` of its 303. */
  authorize(url: string | URL, decision?: Decision): string
}

interface Surroundings {
  readonly origin: string
  readonly pds: string
  readonly faults: Faults
  readonly clock: () => number
  readonly randomHex: () => string
  readonly secrets: Set<string>
  readonly proofs: ProofVerifier
  readonly book: SessionBook
  readonly clients: ClientDocuments
  /** The account that a `login_hint` names; the first one without a hint. */
  readonly accountOf: (hint: string | undefined) => Did
}

interface PushedRequest {
  readonly form: Readonly<Record<string, string>>
  readonly jkt: string
  readonly auth: ClientAuth
  readonly expiresAt: number
  used: boolean
}

export function createAuthorizationServer(surroundings: Surroundings): AuthorizationServerFake {
  const { origin, faults, clock, randomHex, secrets, proofs, book, clients } = surroundings
  const pushed = new Map<string, PushedRequest>()
  const challenges = new Set<string>()
  const assertions = createAssertionVerifier(origin, clock)
  const grants = createGrants({ faults, book, clock })

  async function handle(request: FakeRequest): Promise<Response> {
    const path = pathOf(request)
    if (path === PATHS.metadata) return json(200, faults.mutateAuthorizationServer(metadata(surroundings)))
    if (path !== PATHS.par && path !== PATHS.token && path !== PATHS.revoke) return json(404, { error: 'not_found' })
    if (request.method !== 'POST') return json(405, { error: 'invalid_request' })
    return proofs.giveNonce(path === PATHS.revoke ? await revoke(request) : await issue(path, request))
  }

  async function issue(path: string, request: FakeRequest): Promise<Response> {
    const complaint = formComplaint(request)
    if (complaint) return json(400, { error: 'invalid_request', error_description: complaint })
    const form = formOf(request)
    const client = identifyClient(form, clients)
    if ('error' in client) return refuse(client)
    const auth = await assertions.authenticate(form, clients.get(client.clientId))
    if ('error' in auth) return refuse(auth)
    const verdict = await proofs.verify(request)
    if (!verdict.ok) {
      if (path === PATHS.token) grants.proofRefused(form, verdict.error)
      return refuseProof(verdict.error, verdict.description)
    }
    if (path === PATHS.token) {
      const granted = grants.grant(form, verdict.jkt, auth)
      return isRefusal(granted)
        ? refuse(granted)
        : json(200, faults.mutateToken(granted), { 'cache-control': 'no-store' })
    }
    const refused = checkAuthorizationRequest(form, client, faults.personality)
    if (refused) return refuse(refused)
    return push(form, verdict.jkt, auth)
  }

  function push(form: Readonly<Record<string, string>>, jkt: string, auth: ClientAuth): Response {
    if (form['dpop_jkt'] !== undefined && form['dpop_jkt'] !== jkt) {
      return json(401, { error: 'invalid_token', error_description: 'Invalid DPoP key binding' })
    }
    const challenge = form['code_challenge']!
    if (challenges.has(challenge)) {
      return json(400, { error: 'invalid_grant', error_description: 'Code challenge already used' })
    }
    challenges.add(challenge)
    const requestUri = `urn:ietf:params:oauth:request_uri:req-${randomHex()}`
    pushed.set(requestUri, { form, jkt, auth, expiresAt: clock() + FIVE_MINUTES_MS, used: false })
    return json(faults.parStatus, faults.mutatePar({ request_uri: requestUri, expires_in: FIVE_MINUTES_MS / 1000 }))
  }

  async function revoke(request: FakeRequest): Promise<Response> {
    if (faults.revocation === 'absent' || faults.personality === 'cirrus') return json(404, { error: 'not_found' })
    if (faults.revocation === 'unavailable') return json(503, { error: 'temporarily_unavailable' })
    const verdict = await proofs.verify(request)
    if (!verdict.ok) {
      return faults.revocation === 'silent' ? json(200, {}) : refuseProof(verdict.error, verdict.description)
    }
    const form = formOf(request)
    const { token = '', client_id: clientId } = form
    const auth = await assertions.authenticate(form, clients.get(clientId ?? ''))
    if ('error' in auth) return refuse(auth)
    const session = book.byRefreshToken(token) ?? book.byAccessToken(token)
    if (session?.jkt === verdict.jkt && session.clientId === clientId) book.end(session, 'revoked')
    return json(200, {})
  }

  /** A bad proof is 401 here too (12.7); only the nonce has a status of its own. */
  function refuseProof(error: string, description: string): Response {
    if (error === 'use_dpop_nonce') return nonceChallenge('as', description, faults)
    const status = faults.personality === 'cirrus' ? 400 : 401
    return challenge(json(status, { error, error_description: description }), error, description, faults)
  }

  function authorize(url: string | URL, decision: Decision = {}): string {
    const page = new URL(url)
    if (page.origin + page.pathname !== origin + PATHS.authorize) throw new Error(`not the authorization page: ${page}`)
    const request = pushed.get(page.searchParams.get('request_uri') ?? '')
    const clientId = page.searchParams.get('client_id')
    if (!request || request.form['client_id'] !== clientId) throw new Error('the page says: Invalid request_uri')
    const { form, jkt, auth, expiresAt, used } = request
    const response: Record<string, string> = { iss: origin, state: form['state']! }
    const gone = used
      ? 'This request was already authorized'
      : clock() > expiresAt
        ? 'This request has expired'
        : undefined
    request.used = true
    if (gone !== undefined || decision.deny) {
      const error_description = gone ?? 'The user denied the request'
      return callback(form, { ...response, error: 'access_denied', error_description })
    }
    const code = `cod-${randomHex()}`
    secrets.add(code)
    grants.codes.set(code, {
      clientId: form['client_id']!,
      redirectUri: form['redirect_uri']!,
      codeChallenge: form['code_challenge']!,
      jkt,
      auth,
      sub: decision.account ?? surroundings.accountOf(form['login_hint']),
      scope: decision.scope ?? knownScope(form['scope']!),
      expiresAt: clock() + FIVE_MINUTES_MS,
      used: false,
      session: undefined,
    })
    return callback(form, { ...response, code })
  }

  return { handle, authorize }
}

function callback(form: Readonly<Record<string, string>>, response: Record<string, string>): string {
  const url = new URL(form['redirect_uri']!)
  if (form['response_mode'] === 'fragment') url.hash = new URLSearchParams(response).toString()
  else for (const [name, value] of Object.entries(response)) url.searchParams.set(name, value)
  return url.href
}

function formComplaint({ headers, body }: FakeRequest): string | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') return `Unexpected content type ${type}`
  const names = [...new URLSearchParams(body).keys()]
  return new Set(names).size === names.length ? undefined : 'A parameter was sent twice'
}

function refuse({ status, error, description }: Refusal): Response {
  return json(status, { error, error_description: description })
}

function isRefusal(value: object): value is Refusal {
  return 'error' in value
}

/** Satisfies section 4 of test/conformance.md. */
function metadata({ origin, pds, faults }: Surroundings) {
  const revocable = faults.personality !== 'cirrus' && faults.revocation !== 'absent'
  return {
    issuer: origin,
    authorization_endpoint: origin + PATHS.authorize,
    token_endpoint: origin + PATHS.token,
    pushed_authorization_request_endpoint: origin + PATHS.par,
    ...(revocable && { revocation_endpoint: origin + PATHS.revoke }),
    scopes_supported: ['atproto', 'transition:email', 'transition:generic', 'transition:chat.bsky'],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'ES256K'],
    dpop_signing_alg_values_supported: ['ES256', 'ES256K'],
    authorization_response_iss_parameter_supported: true,
    require_pushed_authorization_requests: true,
    require_request_uri_registration: true,
    client_id_metadata_document_supported: true,
    protected_resources: [pds],
  }
}
