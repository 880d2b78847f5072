import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { nextDeadline, statusOf, timeOf } from '../../src/session/status.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest } from '../support/fake-atproto.ts'

const MINUTE = 60_000
const GET_SESSION = { nsid: 'com.atproto.server.getSession' }
const isRefresh = ({ body }: FakeRequest) => body.includes('grant_type=refresh_token')

describe('12.7 a clock that is off does not stand in the way', () => {
  const personalities = ['reference', 'cirrus'] as const
  const offsets = [-24 * 60 * MINUTE, -10 * MINUTE, -30_000, -7_000, 7_000, 4 * MINUTE, 24 * 60 * MINUTE]
  const cases = personalities.flatMap((personality) => offsets.map((offset) => [personality, offset / 1000] as const))

  test.each(cases)('%s, %d s: from init to revoke, with the code and each token sent once', async (personality, by) => {
    const world = createFakeWorld({ faults: { personality, clockOffsetMs: by * 1000 } })
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    const { accessToken, ...lasting } = credentials
    const session = await openSession(lasting, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    // Another process: it does not know the clocks yet, and its access token is good.
    const before = world.requests.length
    const next = await openSession(credentials, world)
    expect((await next.call(GET_SESSION)).status).toBe(200)
    expect(world.requests.slice(before).filter(isRefresh)).toStrictEqual([])
    await revoke(next.record(), world)
    if (personality === 'reference') expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('the code is not spent on finding out', async () => {
    const world = createFakeWorld({ faults: { personality: 'cirrus' } })
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    world.faults.clockOffsetMs = 3 * MINUTE // between init and complete
    await expect(complete(world.authorize(authorizationUrl), world)).resolves.toBeDefined()
    expect(world.sent('token')).toHaveLength(1)
  })
})

test('a server that shows no clock, or a wrong one, is asked no more often', async () => {
  for (const date of [undefined, 'yesterday', new Date(0).toUTCString()]) {
    const world = createFakeWorld({ faults: { clockOffsetMs: 10 * MINUTE } })
    world.faults.httpFault = () => (answer) => {
      if (date === undefined) answer.headers.delete('date')
      else answer.headers.set('date', date)
      return answer
    }
    expect(await failure(init('alice.fake.dev', {}, world))).toMatchObject({ code: 'PAR_REFUSED' })
    expect(world.sent('par').length).toBeLessThanOrEqual(2)
  }
})

test('a refused refresh token is not sent again for the clock’s sake', async () => {
  const world = createFakeWorld()
  const { authorizationUrl } = await init('alice.fake.dev', {}, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  const { accessToken, ...lasting } = credentials
  const session = await openSession({ ...lasting, refreshToken: 'ref-unknown' }, world)
  const before = world.sent('token').length
  world.faults.httpFault = (request) => {
    // The clock shows itself with the refusal only.
    if (isRefresh(request)) world.faults.clockOffsetMs = 2 * MINUTE
    return undefined
  }
  expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SESSION_DEAD' })
  const tokenRequests = world.sent('token').slice(before)
  expect(tokenRequests.length).toBe(1)
})

describe('a session that was made or refreshed under a wrong clock', () => {
  const DAY = 24 * 60 * MINUTE

  /** Alice's session under a clock that is off by this much; then the clock is set right. */
  async function underWrongClock(by: number, step: 'login' | 'refresh') {
    const world = createFakeWorld()
    const begins = world.now()
    const setClock = (off: number) => {
      world.advance(off + world.faults.clockOffsetMs)
      world.faults.clockOffsetMs = -off
    }
    if (step === 'login') setClock(by)
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    setClock(by)
    const session = await openSession(credentials, world)
    if (step === 'refresh') await session.refresh()
    return { world, session, setClock, begins }
  }
  const cases = [-400 * DAY, -20 * DAY, -2 * DAY, 2 * DAY, 20 * DAY, 400 * DAY].flatMap((by) =>
    (['login', 'refresh'] as const).map((step) => [by / DAY, step] as const),
  )

  test.each(cases)(
    '%i days off at the %s: its dates are the server’s, before and after the correction',
    async (by, step) => {
      const { world, session, setClock, begins } = await underWrongClock(by * DAY, step)
      const expected = { createdAt: begins, rotatedAt: begins, state: 'alive' }
      for (const off of [by * DAY, 0]) {
        setClock(off)
        const status = statusOf(session.record(), world.now())
        for (const at of ['createdAt', 'rotatedAt'] as const) {
          expect(Math.abs(status[at]! - expected[at])).toBeLessThanOrEqual(1000)
        }
        expect(status.state).toBe('alive')
        const left = nextDeadline(status)! - timeOf(session.record(), world.now())
        expect(Math.abs(left - 14 * DAY)).toBeLessThanOrEqual(1000)
        // So recently that nothing is sent.
        const before = world.requests.length
        await session.refresh(60)
        expect(world.requests).toHaveLength(before)
      }
      // Which of the clocks is right is not known by now: the later of the two deadlines counts.
      world.advance((15 + Math.abs(by)) * DAY)
      expect(statusOf(session.record(), world.now()).state).toBe('ended')
    },
  )
})

describe('tokens with a lifetime that is shorter than the margin', () => {
  test.each([1, 5, 30, 60, 120])('%i seconds: not refreshed at each request', async (accessTokenSeconds) => {
    const world = createFakeWorld({ faults: { accessTokenSeconds, asNonces: 'constant', rsNonces: 'constant' } })
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    const session = await openSession(credentials, world)
    for (let calls = 0; calls < 10; calls += 1) expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record().rotation).toBe(0)
    world.advance(accessTokenSeconds * 900)
    for (let calls = 0; calls < 10; calls += 1) expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record().rotation).toBe(1)
  })

  test.each([0, -5, undefined])('expires_in %s: used until the PDS rejects it', async (expires_in) => {
    const world = createFakeWorld({ faults: { asNonces: 'constant', rsNonces: 'constant' } })
    world.faults.mutateToken = (json) => ({ ...json, expires_in })
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    const session = await openSession(credentials, world)
    for (let calls = 0; calls < 10; calls += 1) expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record().rotation).toBe(0)
    world.advance(60 * MINUTE)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record().rotation).toBe(1)
  })

  test('a lease that asks for more than there is gets what there is, and the next one the same token', async () => {
    const world = createFakeWorld({ faults: { accessTokenSeconds: 300, asNonces: 'constant', rsNonces: 'constant' } })
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), world)
    const session = await openSession(credentials, world)
    const first = await session.lease(600)
    world.advance(60_000)
    expect(await session.lease(600)).toStrictEqual(first)
    expect(session.record().rotation).toBe(0)
    world.advance(30_000)
    expect((await session.lease(600)).accessToken).not.toBe(first.accessToken)
    expect(session.record().rotation).toBe(1)
  })
})
