/**
 * What every hostile test asks after a step that failed: the code, how far the requests went, what was stored,
 * and whether the fate that was told is the session's; then the same step again, with servers that mean well.
 */
import { expect } from 'vitest'
import { hintOf } from '../../src/cli/errors.ts'
import type { ErrorCode, OAuthError, SessionState } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Credentials, SessionRecord } from '../../src/model.ts'
import { openSession } from '../../src/session/open.ts'
import { defaultFaults, type Fault, type Faults } from '../../src/testing/faults.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, type FakeWorldOptions } from '../support/fake-atproto.ts'

export type Stage =
  | 'handle'
  | 'did'
  | 'prm'
  | 'asm'
  | 'par'
  /** A token request without a grant. */
  | 'nonce'
  /** A request for public metadata or a nonce to a PDS that is taken for its own issuer. */
  | 'guess'
  | 'exchange'
  | 'refresh'
  | 'revoke'
  | 'call'
  /** Anything that no honest flow asks for, another host above all. */
  | 'elsewhere'

/** The honest flows with nonces that last, request by request, without what is requested early on a guess. */
export const INIT: readonly Stage[] = ['handle', 'did', 'prm', 'asm', 'par']
/** These begin with documents that are requested at once, and used in the order of the flow. */
export const COMPLETE: readonly Stage[] = ['did', 'prm', 'asm', 'exchange']
export const REFRESH: readonly Stage[] = ['did', 'prm', 'asm', 'nonce', 'refresh']
const AT_ONCE: readonly Stage[] = ['did', 'prm', 'asm']

/** The flow as far as its first request of a kind and those sent at once with it, and none after it. */
export function upTo(flow: readonly Stage[], stage: Stage): Stage[] {
  const last = flow[0] === AT_ONCE[0] && AT_ONCE.includes(stage) ? AT_ONCE.at(-1)! : stage
  return flow.slice(0, flow.indexOf(last) + 1)
}

/**
 * Without the requests on a guess, which may be given up before they are sent. The documents that are requested at once come in
 * any order; every other request has its place.
 */
export function inOrder(stages: readonly Stage[]): Stage[] {
  const rest = stages.filter((stage) => stage !== 'guess' && stage !== 'nonce')
  const first = rest.findIndex((stage) => stage !== 'handle')
  const end = rest.findIndex((stage, at) => at >= first && !AT_ONCE.includes(stage))
  const last = end < 0 ? rest.length : end
  return first < 0 ? rest : [...rest.slice(0, first), ...rest.slice(first, last).toSorted(), ...rest.slice(last)]
}

/** A document that was requested early is requested once more if its server has a limit. */
function withoutRepeats(stages: readonly Stage[], code: ErrorCode): readonly Stage[] {
  if (code !== 'RATE_LIMITED' && code !== 'SERVER_UNAVAILABLE') return stages
  return stages.filter((stage, at) => !AT_ONCE.includes(stage) || stages.indexOf(stage) === at)
}

export function stageOf({ url, body }: FakeRequest): Stage {
  const { origin, pathname } = new URL(url)
  switch (origin) {
    case 'https://alice.fake.dev':
      return pathname === '/.well-known/did.json'
        ? 'did'
        : pathname === '/.well-known/atproto-did'
          ? 'handle'
          : 'elsewhere'
    case 'https://plc.directory':
      return 'did'
    case 'https://pds.fake.dev':
      if (pathname === '/.well-known/oauth-protected-resource') return 'prm'
      if (pathname === '/.well-known/oauth-authorization-server') return 'guess'
      if (pathname === '/oauth/token' && !body.includes('grant_type=')) return 'guess'
      return pathname.startsWith('/xrpc/') ? 'call' : 'elsewhere'
    case 'https://as.fake.dev':
      if (pathname === '/.well-known/oauth-authorization-server') return 'asm'
      if (pathname === '/oauth/par') return 'par'
      if (pathname === '/oauth/revoke') return 'revoke'
      if (pathname === '/oauth/token') {
        if (!body.includes('grant_type=')) return 'nonce'
        return body.includes('grant_type=refresh_token') ? 'refresh' : 'exchange'
      }
  }
  return 'elsewhere'
}

/** An `httpFault` at one place. A new answer for each request: a body can be read once. */
export function at(stage: Stage, fault: () => Fault): Faults['httpFault'] {
  return (request) => (stageOf(request) === stage ? fault() : undefined)
}

/** The world of a test: nonces last, so that each request is there for a reason. */
export function steadyWorld({ faults, ...options }: FakeWorldOptions = {}): FakeWorld {
  return createFakeWorld({ ...options, faults: { asNonces: 'constant', rsNonces: 'constant', ...faults } })
}

/** From now on all servers are honest. */
function heal({ faults }: FakeWorld): void {
  const { asNonces, rsNonces, personality } = faults
  const lasting = { asNonces, rsNonces, personality }
  Object.assign(faults, defaultFaults(), asNonces === 'alwaysChallenge' ? { personality } : lasting)
}

/** Runs what must fail, and looks at everything that holds for all failures. */
export async function refused(
  world: FakeWorld,
  run: () => Promise<unknown>,
  expected: { readonly code: ErrorCode; readonly session: SessionState; readonly sent: readonly Stage[] },
): Promise<OAuthError> {
  const before = world.requests.length
  const error = await failure(run())
  const { code, session } = error
  expect({ code, session }, error.message).toStrictEqual({ code: expected.code, session: expected.session })
  const sent = world.requests.slice(before)
  const stages = withoutRepeats(sent.map(stageOf), expected.code)
  expect(inOrder(stages), error.message).toStrictEqual(inOrder(expected.sent))
  const told = JSON.stringify([
    error.message,
    error.facts,
    hintOf(error),
    sent.filter((request) => ['elsewhere', 'guess', 'nonce'].includes(stageOf(request))),
  ])
  for (const secret of world.secrets()) expect(told).not.toContain(secret)
  return error
}

/** `init` that fails: nothing is kept, no session is anywhere, and it can be run again. */
export async function initRefused(
  world: FakeWorld,
  code: ErrorCode,
  sent: readonly Stage[],
  identifier = 'alice.fake.dev',
): Promise<OAuthError> {
  const error = await refused(world, () => init(identifier, {}, world), { code, session: 'none', sent })
  expect(world.stores.history).toStrictEqual([])
  expect(world.stores.nonces.size + world.stores.pendingRecords.size + world.stores.sessionRecords.size).toBe(0)
  expect(world.sessions).toStrictEqual([])
  heal(world)
  await expect(init(identifier, {}, world)).resolves.toBeDefined()
  return error
}

/** A login whose callback is there and not yet given to `complete`. */
export async function consented(world: FakeWorld, identifier = 'alice.fake.dev') {
  const { authorizationUrl, pending } = await init(identifier, {}, world)
  return { callback: world.authorize(authorizationUrl, { account: world.alice.did }), pending }
}

/**
 * `complete` that fails. `login`: may the same callback be given again, or is it over; then nothing of
 * the login is left that is secret, and a second try sends nothing.
 */
export async function completeRefused(
  world: FakeWorld,
  { callback, pending }: Awaited<ReturnType<typeof consented>>,
  expected: {
    readonly code: ErrorCode
    readonly session?: SessionState
    readonly sent: readonly Stage[]
    readonly login: 'open' | 'over'
  },
): Promise<OAuthError> {
  const error = await refused(world, () => complete(callback, world), { session: 'none', ...expected })
  // "none" is said of the account, and must be so at the server too.
  if (error.session === 'none') expect(world.sessions.filter((session) => !session.endedBecause)).toStrictEqual([])
  expect(world.stores.sessionRecords.size + world.stores.nonces.size).toBe(0)
  const kept = JSON.stringify(world.stores.pendingRecords.get(pending.state))
  heal(world)
  if (expected.login === 'open') {
    await expect(complete(callback, world)).resolves.toMatchObject({ credentials: { did: world.alice.did } })
    return error
  }
  const code = new URL(callback).searchParams.get('code')!
  expect(kept).not.toContain(code)
  const before = world.requests.length
  expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED' })
  expect(world.requests).toHaveLength(before)
  return error
}

/**
 * Alice's credentials after a login, as another machine has them: without the access token. It has the
 * nonce of an earlier run.
 */
export async function signedIn(world: FakeWorld): Promise<Credentials> {
  const { callback, pending } = await consented(world)
  const { credentials } = await complete(callback, world)
  world.stores.nonces.set(credentials.thumbprint!, pending.nonces)
  const { accessToken, accessTokenExpiresAt, ...separate } = credentials
  return separate
}

export const GET_SESSION = { nsid: 'com.atproto.server.getSession' }

/**
 * A call that fails as its refresh fails. What was told of the session is compared with the server, with the
 * store, and with what the next call finds.
 */
export async function refreshRefused(
  world: FakeWorld,
  credentials: Credentials,
  expected: { readonly code: ErrorCode; readonly session: SessionState; readonly sent: readonly Stage[] },
): Promise<OAuthError> {
  const call = async () => (await openSession(credentials, world)).call(GET_SESSION)
  const error = await refused(world, call, expected)
  const record: SessionRecord | undefined = [...world.stores.sessionRecords.values()][0]
  const { session } = error
  if (session === 'alive') {
    expect(record?.refreshToken ?? credentials.refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    expect(record?.intent).toBeUndefined()
  } else if (session === 'unknown') {
    expect(record).toMatchObject({ refreshToken: credentials.refreshToken, intent: { at: world.now() } })
  } else {
    expect(session).toBe('dead')
    expect(world.sessionAlive(world.alice.did)).toBe(false)
    expect(record?.ended?.at).toBe(world.now())
    for (const { refreshToken, accessToken } of world.sessions) {
      for (const token of [refreshToken, accessToken]) expect(JSON.stringify(record)).not.toContain(token)
    }
  }
  expect(record?.accessToken).toBeUndefined()

  heal(world)
  const before = world.requests.length
  const survives =
    world.sessionAlive(world.alice.did) && world.currentRefreshToken(world.alice.did) === credentials.refreshToken
  if (survives) expect((await call()).status).toBe(200)
  else expect(await failure(call())).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
  if (session === 'dead') expect(world.requests).toHaveLength(before)
  return error
}
