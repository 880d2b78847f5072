/** Servers that spend a code or a refresh token before they look at the nonce, and servers without nonces. */
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { openSession } from '../../src/session/open.ts'
import { createFakeStores } from '../../src/testing/memory-stores.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, type Fault, formOf } from '../support/fake-atproto.ts'
import { html } from '../support/fake-bodies.ts'
import { at, consented, GET_SESSION, REFRESH, refreshRefused, signedIn, stageOf, steadyWorld } from './flows.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const nonceOf = ({ headers }: FakeRequest) => decodeJwt(headers['dpop']!)['nonce']
const isSpending = (request: FakeRequest) => ['exchange', 'refresh'].includes(stageOf(request))

/** A life of some hours: a login, then processes that refresh, one after the other and with what they need. */
async function live(world: FakeWorld, { loginMinutes = 0, isForgetful = false } = {}) {
  const { callback } = await consented(world)
  world.advance(loginMinutes * MINUTE)
  const { credentials } = await complete(callback, world)
  const { accessToken, ...separate } = credentials
  for (let hours = 0; hours < 3; hours += 1) {
    if (isForgetful) world.stores.nonces.clear()
    const session = await openSession(separate, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    world.advance(HOUR)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    world.advance(HOUR)
  }
  return credentials
}

describe('a server that spends before it looks at the nonce', () => {
  const spender = () => createFakeWorld({ faults: { spendsBeforeNonce: true } })

  test.each([
    ['a login within a minute', {}],
    ['a login of four minutes, for which its nonce is too old', { loginMinutes: 4 }],
    ['a store that loses its nonces', { isForgetful: true }],
  ])('26.12 %s, each code and token is sent once and with a nonce', async (_, circumstances) => {
    const world = spender()
    await live(world, circumstances)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    const spending = world.sent(isSpending)
    const spent = spending.map((request) => formOf(request)['refresh_token'] ?? formOf(request)['code'])
    expect(new Set(spent).size).toBe(spending.length)
    expect(spending.length).toBeGreaterThanOrEqual(6)
    for (const request of spending) expect(nonceOf(request)).toBeTypeOf('string')
  })

  test('a refresh on another machine, which has never seen a nonce', async () => {
    const world = spender()
    const credentials = await signedIn(world)
    world.advance(HOUR)
    await (await openSession(credentials, { ...world, stores: createFakeStores() })).refresh()
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect(world.sent(isSpending).map(stageOf)).toStrictEqual(['exchange', 'refresh'])
  })

  test('the fake does spend them', async () => {
    const world = spender()
    const credentials = await signedIn(world)
    const session = await openSession(credentials, world)
    world.faults.httpFault = at('nonce', () => html(400))
    world.forgetNonces()
    await expect(session.refresh()).rejects.toMatchObject({ code: 'SESSION_DEAD' })
  })
})

describe('a server without nonces', () => {
  test.each(['cirrus', 'reference'] as const)(
    '26.12 %s, each code and token is sent once and without a nonce',
    async (personality) => {
      const world = createFakeWorld({ faults: { personality, asNonces: 'none', rsNonces: 'none' } })
      await live(world, { loginMinutes: 4 })
      const spending = world.sent(isSpending)
      const spent = spending.map((request) => formOf(request)['refresh_token'] ?? formOf(request)['code'])
      expect(new Set(spent).size).toBe(spending.length)
      for (const request of spending) expect(nonceOf(request)).toBeUndefined()
      expect(world.stores.nonces.size).toBe(0)
    },
  )
})

describe('26.12 the request for the nonce', () => {
  test('has the client_id in it, a proof, and nothing else', async () => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    await session.refresh()
    const [request] = world.sent((each) => stageOf(each) === 'nonce')
    expect(formOf(request!)).toStrictEqual({ client_id: session.record().clientId })
    for (const secret of world.secrets()) expect(request!.body).not.toContain(secret)
  })

  test('takes the place of the token request that an old nonce would have cost', async () => {
    const world = createFakeWorld()
    const session = await openSession(await signedIn(world), world)
    world.advance(HOUR)
    const before = world.requests.length
    await session.refresh()
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual(REFRESH)
  })

  test('is omitted where a response has shown the nonce within a minute', async () => {
    const world = createFakeWorld()
    const session = await openSession(await signedIn(world), world)
    await session.refresh()
    for (const { minutes, sent } of [
      { minutes: 0, sent: REFRESH.filter((stage) => stage !== 'nonce') },
      { minutes: 1, sent: REFRESH.filter((stage) => stage !== 'nonce') },
      { minutes: 2, sent: REFRESH },
    ]) {
      world.advance(minutes * MINUTE)
      const before = world.requests.length
      await session.refresh()
      expect(world.requests.slice(before).map(stageOf)).toStrictEqual(sent)
    }
  })

  test('a nonce that was used up in between is followed by one retry', async () => {
    const world = createFakeWorld()
    const session = await openSession(await signedIn(world), world)
    let isFirst = true
    world.faults.httpFault = at('refresh', () => {
      if (isFirst) world.forgetNonces()
      isFirst = false
      return undefined
    })
    await session.refresh()
    expect(world.sent((each) => stageOf(each) === 'refresh')).toHaveLength(2)
    expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })

  test.each<[string, () => Fault, ErrorCode]>([
    ['429', () => new Response('', { status: 429, headers: { 'retry-after': '60' } }), 'RATE_LIMITED'],
    ['502', () => html(502), 'SERVER_UNAVAILABLE'],
    ['503', () => html(503), 'SERVER_UNAVAILABLE'],
    ['504', () => html(504), 'SERVER_UNAVAILABLE'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
    ['lost', () => 'lostAfter', 'NETWORK_UNREACHABLE'],
  ])('%s: the token is not sent', async (_, fault, code) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('nonce', fault)
    await refreshRefused(world, credentials, { code, session: 'alive', sent: REFRESH.slice(0, -1) })
  })

  test.each([302, 404, 405, 500])('%i without a nonce: the token is sent all the same', async (status) => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    world.faults.httpFault = at('nonce', () => html(status))
    await session.refresh()
    expect(session.record().refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })
})

test('a server with a new nonce in each response: one write for the process, and one more after each refresh', async () => {
  const world = createFakeWorld()
  const credentials = await signedIn(world)
  let writes = 0
  const { sessions } = world.stores
  const counting = {
    ...sessions,
    writeNonces: (...written: Parameters<typeof sessions.writeNonces>) => {
      writes += 1
      return sessions.writeNonces(...written)
    },
  }
  const session = await openSession(credentials, { ...world, stores: { ...world.stores, sessions: counting } })
  for (const expected of [1, 2]) {
    await session.refresh()
    expect(writes).toBe(expected)
  }
  world.advance(10 * MINUTE)
  for (let calls = 0; calls < 50; calls += 1) await session.call(GET_SESSION)
  expect(writes).toBe(3) // the PDS is another server
  const next = await openSession(credentials, { ...world, stores: { ...world.stores, sessions: counting } })
  for (let calls = 0; calls < 50; calls += 1) await next.call(GET_SESSION)
  expect(writes).toBe(4)
})
