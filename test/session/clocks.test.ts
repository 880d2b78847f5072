import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
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
  expect(tokenRequests.length).toBe(2) // the nonce, and no more
})
