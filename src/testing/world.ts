/**
 * The network in memory: a PLC directory, DNS, a PDS and an authorization server behind the `fetch` of a `Runtime`
 * (src/ports.ts). index.ts has the part of it that programs use in their tests; the project's own tests use all of it.
 */
import { OAuthError } from '../errors.ts'
import type { Runtime, Settings } from '../ports.ts'
import { createAuthorizationServer, type Decision } from './authorization-server.ts'
import type { ClientDocument, ClientDocuments } from './clients.ts'
import { defaultFaults, type Faults } from './faults.ts'
import { type FakeRequest, formOf, type Handler, json, pathOf, readRequest, seededBytes } from './http.ts'
import { type Account, createFakeIdentity, type FakeIdentity } from './identity.ts'
import { createFakeStores, type FakeStores } from './memory-stores.ts'
import { createPds, type FakeRecord, type MethodHandler } from './pds.ts'
import { createProofVerifier } from './proof.ts'
import { createSessionBook, type FakeSession, type SessionStart } from './sessions.ts'

export interface FakeWorldOptions {
  readonly settings?: Partial<Settings>
  readonly faults?: Partial<Faults>
  /** `together`: the PDS is its own authorization server, with one origin and one set of nonces. */
  readonly topology?: 'apart' | 'together'
  /** The world's clock at the beginning. */
  readonly startAt?: number
  /** Milliseconds, added to those at the beginning; without it, the clock stands still. */
  readonly clock?: () => number
}

export interface FakeWorld extends Runtime {
  fetch(...request: Parameters<Runtime['fetch']>): Promise<Response>
  /** Replace it to give the world save targets. */
  saving: Runtime['saving']
  readonly stores: FakeStores
  readonly faults: Faults
  /** Origin of the PDS. */
  readonly pds: string
  /** Origin of the authorization server. */
  readonly as: string
  readonly alice: Account
  readonly mallory: Account
  /** DID documents, DNS and handle hosts, all editable. */
  readonly identity: FakeIdentity
  /** Documents of hosted clients by `client_id`, which the server is taken to have fetched. */
  readonly clients: Map<string, ClientDocument>
  /** Every request made, those that were lost too. */
  readonly requests: FakeRequest[]
  readonly warnings: readonly string[]
  /** What `createRecord` created. */
  readonly records: readonly FakeRecord[]
  /** Every session the authorization server ever opened, oldest first. */
  readonly sessions: readonly FakeSession[]
  /** The person's decision on the authorization page; gives the callback URL. */
  authorize(url: string | URL, decision?: Decision): string
  /** Methods of the PDS by NSID, besides those it has. */
  readonly methods: Map<string, MethodHandler>
  /** A session without a login, for a key of which only the thumbprint is needed. */
  openSession(start: Omit<SessionStart, 'scope'> & { scope?: string }): FakeSession
  /** Requests by path (`/oauth/token`), by last segment (`token`, an NSID), or by predicate; by path without those for a nonce. */
  sent(which: string | ((request: FakeRequest) => boolean)): FakeRequest[]
  /** Every secret the servers issued or received and the stores held, for canary tests. */
  secrets(): string[]
  sessionAlive(sub: string): boolean
  currentRefreshToken(sub: string): string | undefined
  /** Moves the clock. */
  advance(milliseconds: number): void
  /** Makes every nonce given so far stale, at both servers. */
  forgetNonces(): void
  /** Puts one more host into the world, or another one in the place of a default one. */
  serve(origin: string, handler: Handler): void
}

function raise(message: string): never {
  throw new Error(message)
}

/** Form fields whose values must not turn up anywhere. */
const SECRET_FIELDS = ['code', 'code_verifier', 'refresh_token', 'token', 'client_assertion']
const LOCAL = /^(?:localhost|127\.|10\.|192\.168\.|169\.254\.|0\.|\[)/

export function createFakeWorld(options: FakeWorldOptions = {}): FakeWorld {
  const settings: Settings = { plcUrl: 'https://plc.directory', dev: false, ...options.settings }
  const faults: Faults = { ...defaultFaults(), ...options.faults }
  const pds = 'https://pds.fake.dev'
  const as = options.topology === 'together' ? pds : 'https://as.fake.dev'
  const requests: FakeRequest[] = []
  const warnings: string[] = []
  const records: FakeRecord[] = []
  const issued = new Set<string>()
  const clients = new Map<string, ClientDocument>()
  const methods = new Map<string, MethodHandler>()
  const { startAt = Date.UTC(2026, 0, 2, 3, 4, 5), clock: passing = () => 0 } = options
  let moved = startAt
  const now = () => moved + passing()

  const identity = createFakeIdentity(faults)
  const alice = identity.addAccount({ did: 'did:plc:alice234567alice234567ab', handle: 'alice.fake.dev', pds })
  const mallory = identity.addAccount({ did: 'did:plc:mallory234567mallory2345', handle: 'mallory.fake.dev', pds })

  const clock = () => now() + faults.clockOffsetMs
  const serverBytes = seededBytes('servers')
  const randomHex = () => Buffer.from(serverBytes(32)).toString('hex')
  const book = createSessionBook({ faults, clock, randomHex, secrets: issued })
  const asProofs = createProofVerifier({ label: 'as', faults, mode: () => faults.asNonces, clock })
  const rsProofs =
    as === pds ? asProofs : createProofVerifier({ label: 'rs', faults, mode: () => faults.rsNonces, clock })
  const accountOf = (hint: string | undefined) =>
    (identity.accounts.find(({ did, handle }) => hint === did || hint === handle) ?? alice).did
  const tools = { faults, clock, randomHex, book, secrets: issued, clients: clients as ClientDocuments }
  const server = createAuthorizationServer({ origin: as, pds, proofs: asProofs, accountOf, ...tools })
  const resourceServer = createPds({ origin: pds, issuer: as, proofs: rsProofs, identity, records, methods, ...tools })
  const hosts = new Map<string, Handler>([
    [as, dated(server.handle)],
    [pds, dated(as === pds ? either(server.handle, resourceServer) : resourceServer)],
    [new URL(settings.plcUrl).origin, identity.plc],
    ['https://resolver.fake.dev', identity.resolveHandle],
  ])

  /** Responses have the server's own time, which a client with a wrong clock needs (12.7). */
  function dated(handler: Handler): Handler {
    return async (request) => {
      const response = await handler(request)
      response.headers.set('date', new Date(clock()).toUTCString())
      return response
    }
  }

  async function fetch(...[url, init]: Parameters<Runtime['fetch']>): Promise<Response> {
    init?.signal?.throwIfAborted()
    guard(url)
    const request = await readRequest(url, init)
    // As where the connection stands, and nothing is sent yet.
    await init?.beforeSend?.()
    requests.push(request)
    const fault = await faults.httpFault(request)
    if (fault instanceof Response) return fault
    if (fault === 'unreachable') throw new OAuthError('NETWORK_UNREACHABLE', `${url.host} cannot be reached`)
    if (fault === 'lostBefore') throw new OAuthError('NETWORK_LOST', `${url.host} did not respond`)
    const handler = hosts.get(url.origin) ?? identity.host(url.hostname)
    if (!handler) throw new OAuthError('HOST_NOT_FOUND', `${url.host} does not exist`)
    const response = await handler(request)
    if (fault === 'lostAfter') throw new OAuthError('NETWORK_LOST', `${url.host} did not respond`)
    return typeof fault === 'function' ? fault(response) : response
  }

  function guard(url: URL): void {
    if (settings.dev || (url.protocol === 'https:' && !LOCAL.test(url.hostname))) return
    throw new OAuthError('ADDRESS_REFUSED', `${url.origin} is not a public https address`)
  }

  function secrets(): string[] {
    const values = new Set(issued)
    for (const form of requests.map(formOf)) for (const field of SECRET_FIELDS) values.add(form[field] ?? '')
    const stored = [...stores.history, ...stores.pendingRecords.values(), ...stores.sessionRecords.values()]
    for (const record of stored) {
      if ('dpopPrivateJwk' in record) values.add(record.dpopPrivateJwk.d)
      if ('codeVerifier' in record) values.add(record.codeVerifier)
      if ('refreshToken' in record) values.add(record.refreshToken ?? '')
      if ('accessToken' in record) values.add(record.accessToken ?? '')
    }
    values.delete('')
    return [...values]
  }

  const stores = createFakeStores()
  return {
    settings,
    stores,
    saving: { inStore: false, targets: [], open: (name) => raise(`no target ${name}`), checkDurable: () => undefined },
    faults,
    pds,
    as,
    alice,
    mallory,
    identity,
    clients,
    requests,
    warnings,
    records,
    methods,
    sessions: book.sessions,
    fetch,
    resolveTxt: identity.resolveTxt,
    now,
    sleep: async (milliseconds) => {
      moved += milliseconds
    },
    randomBytes: seededBytes('client'),
    warn: (message) => void warnings.push(message),
    authorize: server.authorize,
    openSession: (start) => book.open({ scope: 'atproto transition:generic', ...start }),
    sent: (which) =>
      requests.filter(
        typeof which === 'function'
          ? which
          : (request) => !isForNonce(request) && (pathOf(request) === which || pathOf(request).endsWith(`/${which}`)),
      ),
    secrets,
    sessionAlive: (sub) => book.of(sub) !== undefined,
    currentRefreshToken: (sub) => book.of(sub)?.refreshToken,
    advance: (milliseconds) => {
      moved += milliseconds
    },
    forgetNonces: () => {
      asProofs.forgetNonces()
      rsProofs.forgetNonces()
    },
    serve: (origin, handler) => void hosts.set(origin, handler),
  }
}

/** A token request without a grant. */
function isForNonce(request: FakeRequest): boolean {
  return pathOf(request) === '/oauth/token' && !request.body.includes('grant_type=')
}

function either(first: Handler, second: Handler): Handler {
  return (request) =>
    (/^\/(?:oauth\/|\.well-known\/oauth-authorization)/.test(pathOf(request)) ? first : second)(request)
}

export type { Fault, Faults, Mutator, NonceMode } from './faults.ts'
export type { Account, Decision, FakeRecord, FakeRequest, FakeSession, Handler, MethodHandler }
export { formOf, json, pathOf }
