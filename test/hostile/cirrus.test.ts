/** Cirrus, a PDS with its own code (test/conformance.md, section 25), for the whole life of a session and where it differs. */
import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { createFakeStores } from '../../src/testing/memory-stores.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import {
  at,
  COMPLETE,
  GET_SESSION,
  INIT,
  inOrder,
  REFRESH,
  refreshRefused,
  refused,
  signedIn,
  stageOf,
} from './flows.ts'

const cirrus = (topology: 'apart' | 'together' = 'apart') =>
  createFakeWorld({ topology, faults: { personality: 'cirrus' } })
const PROFILE = { nsid: 'app.bsky.actor.getProfile', parameters: [['actor', '{did}']] } as const

/** The stages of one step. */
async function sentBy(world: FakeWorld, step: () => Promise<unknown>) {
  const before = world.requests.length
  await step()
  return world.requests.slice(before).map(stageOf)
}

describe('25 cirrus', () => {
  test('init, complete, call, refresh, revoke: no nonce is waited for', async () => {
    const world = cirrus()
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    expect(inOrder(world.requests.map(stageOf))).toStrictEqual(inOrder(INIT))
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    expect(credentials.refreshToken).toMatch(/^[\w-]{43}$/)
    expect(credentials.accessToken).toMatch(/^[\w-]{43}$/)
    const session = await openSession(credentials, world)
    expect(await sentBy(world, () => session.call(GET_SESSION))).toStrictEqual(['call'])
    world.advance(3_600_000)
    expect(await sentBy(world, () => session.call(GET_SESSION))).toStrictEqual([...REFRESH, 'call'])
    expect(world.stores.nonces.size).toBe(0)
    expect(
      world
        .sent((request) => stageOf(request) === 'call')
        .every((call) => call.headers['authorization']?.startsWith('DPoP ')),
    ).toBe(true)
    await expect(revoke(session.record(), world)).resolves.toMatchObject({ outcome: 'unsupported' })
    expect(world.stores.sessionRecords.size).toBe(0)
    expect(world.sent((request) => stageOf(request) === 'revoke')).toStrictEqual([])
  })

  test('with the PDS its own authorization server', async () => {
    const world = cirrus('together')
    const credentials = await signedIn(world)
    const session = await openSession(credentials, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record()).toMatchObject({ pds: world.pds, issuer: world.pds })
  })

  test('5.24 the redirect that is sent is the one that is declared, and the refresh is under the same client_id', async () => {
    const world = cirrus()
    const credentials = await signedIn(world)
    await (await openSession(credentials, world)).call(GET_SESSION)
    const forms = world.requests
      .filter(({ url }) => url.includes('/oauth/'))
      .map(({ body }) => new URLSearchParams(body))
    const pushed = forms.find((form) => form.has('redirect_uri'))!
    expect(new Set(forms.map((form) => form.get('client_id')))).toStrictEqual(new Set([credentials.clientId]))
    const declared = new URL(credentials.clientId!).searchParams.getAll('redirect_uri')
    expect(declared).toStrictEqual([pushed.get('redirect_uri')])
  })

  test('a bad proof burns the code: refused, and the code is not sent again', async () => {
    const world = cirrus()
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const callback = world.authorize(authorizationUrl)
    world.faults.personality = 'cirrus'
    world.faults.httpFault = at('exchange', () => Response.json({ error: 'invalid_dpop_proof' }, { status: 400 }))
    const refusal = { code: 'EXCHANGE_REFUSED', session: 'none', sent: COMPLETE } as const
    await refused(world, () => complete(callback, world), refusal)
    world.faults.httpFault = () => undefined
    await refused(world, () => complete(callback, world), { code: 'CODE_USED', session: 'none', sent: [] })
    expect(world.sessions).toStrictEqual([])
  })

  test('a refresh with the wrong key: the session lives, and that is said', async () => {
    const world = cirrus()
    const { thumbprint, ...credentials } = await signedIn(world)
    const mixed = { ...credentials, dpopPrivateJwk: await generateDpopJwk() }
    const call = async () => (await openSession(mixed, world)).call(GET_SESSION)
    await refused(world, call, { code: 'REFRESH_REFUSED', session: 'alive', sent: REFRESH })
    expect(world.currentRefreshToken(world.alice.did)).toBe(credentials.refreshToken)
    expect((await (await openSession(credentials, world)).call(GET_SESSION)).status).toBe(200)
  })

  test('11.3 a replay ends these credentials, but not those of the other machine', async () => {
    const world = cirrus()
    const credentials = await signedIn(world)
    const elsewhere = await openSession(credentials, { ...world, stores: createFakeStores() })
    await elsewhere.call(GET_SESSION)
    const call = async () => (await openSession(credentials, world)).call(GET_SESSION)
    await refused(world, call, { code: 'SESSION_DEAD', session: 'dead', sent: REFRESH })
    await refused(world, call, { code: 'SESSION_DEAD', session: 'dead', sent: [] })
    world.advance(3_600_000)
    expect((await elsewhere.call(GET_SESSION)).status).toBe(200)
  })

  test('11.12 a proxied method is not sent unauthenticated: an expired token is refreshed first', async () => {
    const world = cirrus()
    const { authorizationUrl } = await init('alice.fake.dev', { scope: 'transition:generic' }, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    const session = await openSession(credentials, world)
    world.advance(3_600_000)
    const response = await session.call(PROFILE)
    expect(await response.json()).toMatchObject({ viewer: { seenBy: world.alice.did } })
  })

  test('a failed proof looks like an expired token: one refresh, one repetition', async () => {
    const world = cirrus()
    const session = await openSession(await signedIn(world), world)
    await session.call(GET_SESSION)
    world.advance(120_000)
    world.faults.rsError = 'badProof'
    const sent = await sentBy(world, () => session.call(GET_SESSION))
    expect(sent).toStrictEqual(['call', ...REFRESH, 'call'])
    expect(await sentBy(world, () => session.call(GET_SESSION))).toStrictEqual(['call'])
    expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })

  test('14.6 InsufficientScope is a missing permission', async () => {
    const world = cirrus()
    const session = await openSession(await signedIn(world), world)
    const response = await session.call(PROFILE)
    const error = xrpcError(PROFILE.nsid, response, await response.text(), world.now(), session.record())
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING', session: 'alive' })
  })

  test.each(['lostAfter', 'lostBefore'] as const)('11.8 %s at the refresh', async (fault) => {
    const world = cirrus()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('refresh', () => fault)
    const ambiguous = { code: 'REFRESH_AMBIGUOUS', session: 'unknown', sent: REFRESH } as const
    await refreshRefused(world, credentials, ambiguous)
  })
})
