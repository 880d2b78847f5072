/**
 * For the tests of your program: an account with its PDS, an authorization server, a PLC directory and DNS, in memory.
 *
 * @module
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Credentials } from '../model.ts'
import type { Clock, Dns, Stores, Timer } from '../ports.ts'
import { json, pathOf, sha256 } from './http.ts'
import { createFakeStores } from './memory-stores.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, type Fault } from './world.ts'

export interface TestAccount {
  readonly did: string
  readonly handle: string
}

/** What the person does at the browser. By default, they sign in as the account of the login and grant everything. */
export interface TestDecision {
  /** Reject the request. */
  readonly deny?: boolean
  /** Grant only these permissions. */
  readonly scope?: string
  /** Sign in as this account. */
  readonly account?: TestAccount
}

/** A request as a server received it. */
export interface TestRequest {
  readonly method: string
  readonly url: string
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** As text; empty if there was none. */
  readonly body: string
}

export interface TestRecord {
  readonly uri: string
  readonly cid: string
  readonly value: unknown
}

export type TestFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface TestClientOptions {
  readonly fetch: TestFetch
  readonly resolveTxt: Dns['resolveTxt']
  /** `sleep` advances the clock and does not wait. */
  readonly clock: Clock & Timer
  readonly stores: Stores
}

/**
 * - `rateLimited`: 429, with the time at which the limit ends.
 * - `serverError`: 500.
 * - `unreachable`: there is no connection, and nothing is sent.
 * - `requestLost`: the connection ends before the server has received the request.
 * - `responseLost`: the server does what was requested, and the connection ends before its response.
 * - A `Response`, which the server returns without doing anything.
 */
export type TestFault = 'rateLimited' | 'serverError' | 'unreachable' | 'requestLost' | 'responseLost' | Response

export interface TestFaultOptions {
  /** Only for this method, such as `com.atproto.repo.createRecord`, or `token`, `par` or `revoke` of the authorization server. */
  readonly method?: string
  /** How many requests fail; by default 1. */
  readonly times?: number
  /** Until a rate limit ends, in seconds; by default 30. */
  readonly seconds?: number
}

export interface TestWorld {
  /** Sends a request to the servers of this world, as the global `fetch` does. No other server exists. */
  readonly fetch: TestFetch
  /** Options for an `OAuthClient` of this world, with empty stores in memory: another call is another machine. */
  clientOptions(): TestClientOptions
  /** The origin of the PDS of all accounts. */
  readonly pds: string
  /** The issuer of all sessions. */
  readonly authorizationServer: string
  /** The account that exists from the beginning. */
  readonly alice: TestAccount
  /** Adds an account on the PDS. */
  addAccount(handle: string): TestAccount
  /**
   * The person at the browser: opens the authorization URL and decides.
   *
   * @returns the callback URL
   */
  signIn(authorizationUrl: string | URL, decision?: TestDecision): string
  /** A session that needs no sign-in; by default of alice, with `atproto transition:generic`. */
  createSession(account?: TestAccount, scope?: string): Promise<Credentials>
  /**
   * Adds a method to the PDS, or replaces one. It is called for requests with a valid session. What it returns is the
   * response, as JSON if it is not a `Response`.
   */
  respond(nsid: string, method: (request: TestRequest, account: TestAccount) => unknown): void
  /** The records that were written, oldest first. */
  readonly records: readonly TestRecord[]
  /**
   * All requests, oldest first, with those that were lost, and those that a client sends by itself, such as a retry with a
   * new nonce. `requests.length = 0` forgets them.
   */
  readonly requests: TestRequest[]
  /** Makes the next requests of a session to the PDS fail, or those of one method. */
  failNext(fault: TestFault, options?: TestFaultOptions): void
  /**
   * Makes the PDS reject all access tokens as expired, before clients expect it. The next request of each session refreshes
   * it. Advances the clock by a minute, within which a client does not refresh twice.
   */
  expireTokens(): void
  /** Ends all sessions, or those of one account, as when a person signs the app out at the server. */
  endSessions(account?: TestAccount): void
  /** Makes all DPoP nonces invalid that the servers have given. */
  changeNonces(): void
  /** Advances the clock of this world, which otherwise runs with that of this machine. */
  advance(seconds: number): void
}

/** Nonces that are valid at a time: requests may be sent at the same time. */
const CONCURRENT = 100

/** Milliseconds, after which a client takes a rejected token for expired, and not for a sign of another fault. */
const JUST_REFRESHED = 60_000

/** The error code of Node for each way in which a request fails. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  NETWORK_UNREACHABLE: 'ECONNREFUSED',
  NETWORK_LOST: 'ECONNRESET',
}

export function createTestWorld(): TestWorld {
  const world = createFakeWorld({ startAt: 0, clock: Date.now, faults: { nonceMemory: CONCURRENT } })
  const planted: { readonly fault: TestFault; readonly options: TestFaultOptions; left: number }[] = []

  world.faults.httpFault = (request) => {
    const next = planted.find(({ options, left }) => left > 0 && concerns(request, options.method))
    if (!next) return undefined
    next.left -= 1
    if (next.fault !== 'responseLost') return faultOf(next.fault, next.options)
    return (response) => {
      if (!isRejected(response)) throw new OAuthError('NETWORK_LOST', 'the response was lost')
      next.left += 1 // the next attempt is meant
      return response
    }
  }

  function concerns(request: FakeRequest, method: string | undefined): boolean {
    const path = pathOf(request)
    if (method !== undefined) return path.endsWith(`/${method}`)
    return path.startsWith('/xrpc/') && request.headers['authorization'] !== undefined
  }

  function faultOf(fault: Exclude<TestFault, 'responseLost'>, { seconds = 30 }: TestFaultOptions): Fault {
    if (fault instanceof Response) return fault.clone()
    if (fault === 'unreachable') return 'unreachable'
    if (fault === 'requestLost') return 'lostBefore'
    if (fault === 'serverError') return json(500, { error: 'InternalServerError', message: 'Internal Server Error' })
    const end = String(Math.ceil(world.now() / 1000) + seconds)
    const headers = { 'ratelimit-limit': '1', 'ratelimit-remaining': '0', 'ratelimit-reset': end }
    return json(429, { error: 'RateLimitExceeded', message: 'Rate Limit Exceeded' }, headers)
  }

  function findAccount({ did }: TestAccount) {
    const account = world.identity.accounts.find((each) => each.did === did)
    if (!account) throw new Error(`there is no account ${did} in this world`)
    return account
  }

  async function createSession(account: TestAccount = world.alice, scope = 'atproto transition:generic') {
    const { did } = findAccount(account)
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const dpopPrivateJwk = await exportJWK(privateKey)
    const thumbprint = await calculateJwkThumbprint(dpopPrivateJwk)
    const query = new URLSearchParams({ redirect_uri: 'http://127.0.0.1/callback', scope })
    const clientId = `http://localhost?${query}`
    const session = world.openSession({ sub: did, clientId, jkt: thumbprint, scope })
    const { refreshToken, accessToken, accessTokenExpiresAt } = session
    const tokens = { refreshToken, accessToken, accessTokenExpiresAt }
    const server = { server: world.pds, issuer: world.as }
    return { did, clientId, dpopPrivateJwk, thumbprint, scope, ...server, ...tokens, rotation: 0 } as Credentials
  }

  const fetch: TestFetch = (input, init) => platformFetch(world, input, init)

  return {
    fetch,
    clientOptions() {
      const { resolveTxt, now, sleep } = world
      const { pending, sessions } = createFakeStores(0)
      return { fetch, resolveTxt, clock: { now, sleep }, stores: { pending, sessions } }
    },
    pds: world.pds,
    authorizationServer: world.as,
    alice: world.alice,
    addAccount: (handle) => world.identity.addAccount({ did: didFor(handle), handle, pds: world.pds }),
    signIn(authorizationUrl, { deny, scope, account } = {}) {
      return world.authorize(authorizationUrl, {
        ...(deny !== undefined && { deny }),
        ...(scope !== undefined && { scope }),
        ...(account && { account: findAccount(account).did }),
      })
    },
    createSession,
    respond(nsid, method) {
      world.methods.set(nsid, async (request, did) => {
        const response = await method(request, findAccount({ did, handle: '' }))
        return response instanceof Response ? response : json(200, response)
      })
    },
    records: world.records,
    requests: world.requests,
    failNext: (fault, options = {}) => void planted.push({ fault, options, left: options.times ?? 1 }),
    expireTokens() {
      world.advance(JUST_REFRESHED)
      for (const session of world.sessions)
        session.accessTokenExpiresAt = Math.min(session.accessTokenExpiresAt, world.now())
    },
    endSessions(account) {
      for (const session of world.sessions) {
        if (account === undefined || session.sub === account.did) session.endedBecause ??= 'revoked'
      }
    },
    changeNonces: () => world.forgetNonces(),
    advance: (seconds) => world.advance(seconds * 1000),
  }
}

/** As the global `fetch` fails, because that is what it replaces. */
async function platformFetch(
  world: Pick<FakeWorld, 'fetch'>,
  input: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  const { signal = input instanceof Request ? input.signal : undefined, ...rest } = init
  signal?.throwIfAborted()
  // Without the signal: a request that follows it would stay on it.
  const request = new Request(input, {
    ...rest,
    ...(rest.body instanceof ReadableStream && { duplex: 'half' }),
  } as RequestInit)
  try {
    const response = await world.fetch(new URL(request.url), {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      ...(request.body && { body: new Uint8Array(await request.arrayBuffer()) }),
    })
    signal?.throwIfAborted()
    return response
  } catch (error) {
    if (!isOAuthError(error)) throw error
    const cause = Object.assign(new Error(error.message), { code: SYSTEM_ERRORS[error.code] ?? 'ENOTFOUND' })
    throw new TypeError('fetch failed', { cause })
  }
}

/** The server has done nothing: mostly it asks for a nonce. */
function isRejected({ status }: Response): boolean {
  return status === 400 || status === 401
}

/** The same for a handle in each run. */
function didFor(handle: string): string {
  const letters = sha256(handle)
    .toLowerCase()
    .replaceAll(/[^a-z2-7]/g, '')
  return `did:plc:${letters.padEnd(24, 'a').slice(0, 24)}`
}
