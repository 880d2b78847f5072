import { describe, expect, test } from 'vitest'
import type { ErrorCode, SessionState } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { readBounded } from '../../src/protocol/http/bounded-body.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { openSession } from '../../src/session/open.ts'
import type { Session } from '../../src/session/session.ts'
import type { Faults } from '../../src/testing/faults.ts'
import type { RsErrorName } from '../../src/testing/xrpc-errors.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld, type Fault } from '../support/fake-atproto.ts'
import { brokenOff, endless, html, redirect } from '../support/fake-bodies.ts'
import { at, GET_SESSION, refused, stageOf, steadyWorld } from './flows.ts'

const POST = {
  nsid: 'com.atproto.repo.createRecord',
  body: JSON.stringify({
    repo: 'did:plc:alice234567alice234567ab',
    collection: 'app.bsky.feed.post',
    record: { text: 'hi' },
  }),
}
const PROFILE: XrpcRequest = { nsid: 'app.bsky.actor.getProfile', parameters: [['actor', '{did}']] }

/** As the command does it: what is not 2xx is one of our errors. */
async function callOrFail(session: Session, world: FakeWorld, request: XrpcRequest = GET_SESSION): Promise<unknown> {
  const response = await session.call(request)
  if (response.ok) return response.json()
  const body = new TextDecoder().decode(await readBounded(response, 65_536))
  throw xrpcError(request.nsid, response, body, world.now(), session.record())
}

/** A session in use whose token is good for most of an hour, and not so new that it cannot be to blame. */
async function inUse(world: FakeWorld, scope = 'atproto transition:generic'): Promise<Session> {
  const { authorizationUrl } = await init('alice.fake.dev', { scope }, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  const session = await openSession(credentials, world)
  await callOrFail(session, world)
  world.advance(120_000)
  return session
}

describe('an error response is no reason to refresh: nothing follows, nothing is stored, the session stays valid', () => {
  test.each<[RsErrorName, ErrorCode]>([
    ['authMissing', 'XRPC_ERROR'],
    ['unknownScheme', 'XRPC_ERROR'],
    ['malformedAuthorization', 'XRPC_ERROR'],
    ['bearer', 'XRPC_ERROR'],
    ['bearerOld', 'XRPC_ERROR'],
    ['missingPermission', 'PERMISSION_MISSING'],
    ['closedToOAuth', 'XRPC_ERROR'],
    ['emailChange', 'XRPC_ERROR'],
    ['foreignRepo', 'XRPC_ERROR'],
    ['takedown', 'XRPC_ERROR'],
    ['deactivated', 'XRPC_ERROR'],
    ['accountNotFound', 'XRPC_ERROR'],
    ['badTokenMethod', 'XRPC_ERROR'],
    ['upstreamFailure', 'XRPC_ERROR'],
    ['upstreamUnauthorized', 'XRPC_ERROR'],
    ['invalidRequest', 'XRPC_ERROR'],
    ['notFound', 'XRPC_ERROR'],
    ['internal', 'XRPC_ERROR'],
    ['notImplemented', 'XRPC_ERROR'],
    ['rateLimitedSeconds', 'RATE_LIMITED'],
    ['rateLimitedDate', 'RATE_LIMITED'],
    ['rateLimitedReset', 'RATE_LIMITED'],
    ['redirect', 'XRPC_ERROR'],
    ['html', 'XRPC_ERROR'],
  ])('11.13, 14.6 %s', async (rsError, code) => {
    const world = steadyWorld()
    const session = await inUse(world)
    world.faults.rsError = rsError
    await refused(world, () => callOrFail(session, world), { code, session: 'alive', sent: ['call'] })
    expect(world.stores.sessionRecords.size).toBe(0)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    world.faults.rsError = undefined
    await expect(callOrFail(session, world)).resolves.toMatchObject({ did: world.alice.did })
  })

  test.each<[string, () => Fault, ErrorCode]>([
    ['14.3 301', () => redirect(301, 'https://evil.fake.dev/xrpc/steal'), 'XRPC_ERROR'],
    ['14.3 307', () => redirect(307, '//evil.fake.dev/xrpc/steal'), 'XRPC_ERROR'],
    ['14.3 308 to http', () => redirect(308, 'http://pds.fake.dev/xrpc/steal'), 'XRPC_ERROR'],
    ['18.7 400 never-ending', () => endless(400).answer, 'XRPC_ERROR'],
    ['18.7 401 without anything', () => new Response(null, { status: 401 }), 'XRPC_ERROR'],
    ['18.7 503 HTML', () => html(503), 'XRPC_ERROR'],
    ['18.15 one byte a second', () => brokenOff(), 'NETWORK_LOST'],
    ['dropped before the server had it', () => 'lostBefore', 'NETWORK_LOST'],
    ['dropped after the server did it', () => 'lostAfter', 'NETWORK_LOST'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
  ])('%s, for a write: sent once', async (_, fault, code) => {
    const world = steadyWorld()
    const session = await inUse(world)
    world.faults.httpFault = at('call', fault)
    await refused(world, () => callOrFail(session, world, POST), { code, session: 'alive', sent: ['call'] })
    expect(world.records.length).toBe(fault() === 'lostAfter' ? 1 : 0)
    expect(world.stores.sessionRecords.size).toBe(0)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test.each<[Faults['rsNonces'], number]>([
    ['alwaysChallenge', 2],
    ['duplicate', 1],
  ])('13.4 nonces %s: %i requests, and no refresh', async (rsNonces, times) => {
    const world = steadyWorld()
    const session = await inUse(world)
    world.forgetNonces()
    world.faults.rsNonces = rsNonces
    const sent = Array<'call'>(times).fill('call')
    await refused(world, () => callOrFail(session, world), { code: 'XRPC_ERROR', session: 'alive', sent })
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })
})

type Form = NonNullable<Faults['writeChallenge']>
const FORMS: [string, Form][] = [
  ['another scheme before', (error) => `Bearer realm="x", DPoP algs="ES256 RS256", error="${error}"`],
  ['another scheme after', (error) => `DPoP error="${error}", Basic realm="y"`],
  ['in a header of its own', (error) => ['Bearer realm="x"', `DPoP algs="ES256", error="${error}"`]],
  ['unquoted', (error) => `DPoP error=${error}`],
  ['odd case', (error) => `dPoP ALGS="ES256", eRRor="${error}"`],
  ['algs first, with commas', (error) => `DPoP algs="ES256, RS256", error="${error}"`],
  ['spaces around =', (error) => `DPoP  algs = "ES256" ,\terror = "${error}"`],
  ['after a token68', (error) => `Negotiate YII==, DPoP error="${error}"`],
  ['after quotes in quotes', (error) => `DPoP error_description="say \\"error=\\\\\\"x, Basic", error="${error}"`],
  ['escaped inside', (error) => `DPoP error="${error.replace('_', '\\_')}"`],
]
const DISGUISED: [string, Form][] = [
  ['in a description', (error) => `DPoP error="x", error_description="error=\\"${error}\\""`],
  ['in a realm', (error) => `Bearer realm="DPoP error=\\"${error}\\""`],
  ['of another scheme', (error) => `Basic error="${error}"`],
  ['as another parameter', (error) => `DPoP xerror="${error}"`],
  ['as the second of its name', (error) => `DPoP error="x", error="${error}"`],
]

describe('14.1 challenges in every form', () => {
  test.each(FORMS)('%s: a nonce is given, an expired token refreshed', async (_, writeChallenge) => {
    const world = createFakeWorld({ faults: { asNonces: 'constant', rsChallenge: { status: 401, form: 'header' } } })
    world.faults.writeChallenge = writeChallenge
    const session = await inUse(world)
    const before = world.requests.length
    let refusals = 0
    world.faults.rsError = () => (refusals++ === 0 ? 'tokenExpired' : undefined)
    await expect(callOrFail(session, world)).resolves.toMatchObject({ did: world.alice.did })
    const sent = ['call', 'did', 'prm', 'asm', 'nonce', 'refresh', 'call']
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual(sent)
    expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })

  test.each(DISGUISED)('14.2 %s: neither', async (_, writeChallenge) => {
    const world = steadyWorld()
    const session = await inUse(world)
    Object.assign(world.faults, { writeChallenge, rsError: 'tokenExpired' })
    await refused(world, () => callOrFail(session, world), { code: 'XRPC_ERROR', session: 'alive', sent: ['call'] })
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test.each<RsErrorName>(['expiredInBody', 'invalidInBody', 'expiredBadRequest'])(
    '26.13 %s without a challenge: one refresh, one retry',
    async (rsError) => {
      const world = steadyWorld()
      const session = await inUse(world)
      let refusals = 0
      world.faults.rsError = () => (refusals++ === 0 ? rsError : undefined)
      const before = world.requests.length
      await expect(callOrFail(session, world)).resolves.toMatchObject({ did: world.alice.did })
      const sent = ['call', 'did', 'prm', 'asm', 'nonce', 'refresh', 'call'] as const
      expect(world.requests.slice(before).map(stageOf)).toStrictEqual(sent)

      // For ever: once more, and never again for a token that was just issued.
      world.advance(120_000)
      world.faults.rsError = rsError
      const refusal = { code: 'XRPC_ERROR', session: 'unknown' } as const
      await refused(world, () => callOrFail(session, world), { ...refusal, sent: ['call', ...sent.slice(1)] })
      await refused(world, () => callOrFail(session, world), { ...refusal, sent: ['call'] })
      expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    },
  )

  test('11.13 invalid_token for ever: one refresh, one repetition, and no word that the session lives', async () => {
    const world = steadyWorld()
    const session = await inUse(world)
    world.faults.rsError = 'tokenExpired'
    const sent = ['call', 'did', 'prm', 'asm', 'nonce', 'refresh', 'call'] as const
    const session_: SessionState = 'unknown'
    await refused(world, () => callOrFail(session, world), { code: 'XRPC_ERROR', session: session_, sent })
    expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    await refused(world, () => callOrFail(session, world), { code: 'XRPC_ERROR', session: session_, sent: ['call'] })
  })
})

describe('what works with each server', () => {
  test('13.9 a method that gives no nonce', async () => {
    const world = createFakeWorld()
    const session = await inUse(world)
    await callOrFail(session, world, POST)
    const [, , , collection, rkey] = world.records[0]!.uri.split('/')
    const parameters = [
      ['repo', '{did}'],
      ['collection', collection!],
      ['rkey', rkey!],
    ] as const
    const record = await callOrFail(session, world, { nsid: 'com.atproto.repo.getRecord', parameters })
    expect(record).toMatchObject({ value: { text: 'hi' } })
  })

  test.each<[Faults['rpcAud'], string, boolean]>([
    ['fragment', 'did:web:api.bsky.app%23bsky_appview', true],
    ['bare', 'did:web:api.bsky.app%23bsky_appview', false],
    ['fragment', '*', true],
    ['bare', '*', true],
  ])('15.14 permission to a %s aud: aud=%s', async (rpcAud, aud, isGranted) => {
    const world = steadyWorld({ faults: { rpcAud } })
    const session = await inUse(world, `atproto rpc:app.bsky.actor.getProfile?aud=${aud}`)
    if (isGranted) {
      await expect(callOrFail(session, world, PROFILE)).resolves.toMatchObject({ viewer: { seenBy: world.alice.did } })
      return
    }
    const error = await failure(callOrFail(session, world, PROFILE))
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING', session: 'alive' })
    expect(error.facts.scope).toMatch(/ rpc:app\.bsky\.actor\.getProfile\?aud=\*$/)
  })
})
