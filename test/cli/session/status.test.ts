/** What `status` says, which has to be the same with and without `--warn-days`. */
import { describe, expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { stored } from '../../support/login.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

test('the folder of the store is named, if the session is in it', async () => {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  expect((await run(world, ['status'])).stdout).toMatch(/^stored in {5}\/nowhere$/m)
  expect((await run(world, ['status', '--home', '/some/where'])).stdout).toMatch(/^stored in {5}\/some\/where$/m)
})

test('credentials that were never used here are in the environment only', async () => {
  const env = await signIn(createFakeWorld())
  const { code, stdout } = await run(createFakeWorld(), ['status'], { env })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^stored in {5}environment variables only$/m)
})

const DAY = 86_400_000
const WARN = ['status', '--warn-days', '3']

/** A session of the store that was refreshed under a clock off by this much; then the clock is set right. */
async function refreshedUnder(offset: number) {
  const world = createFakeWorld()
  const env = await signIn(world)
  world.advance(offset)
  world.faults.clockOffsetMs = -offset
  const refreshed = await run(world, ['refresh'], { env })
  expect(refreshed.code, refreshed.stderr).toBe(0)
  world.advance(-offset)
  world.faults.clockOffsetMs = 0
  return world
}

describe('a session that was refreshed under a wrong clock', () => {
  test.each([-400, -20, 20, 400])('%i days off: alive, and 13 days are left', async (days) => {
    const world = await refreshedUnder(days * DAY)
    world.advance(5000)
    const plain = await run(world, ['status'])
    expect(plain.stdout).toMatch(/^session +alive/m)
    expect(plain.stdout).toMatch(/^ends unused +in 13 days$/m)
    expect(plain.stdout).toMatch(/^access token +expires in 59 minutes$/m)
    expect(await run(world, WARN)).toMatchObject({ code: 0 })
    expect(await run(world, ['refresh', '--if-older-than', '1d'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('nothing sent'),
    })
  })
})

test('past its deadline a session has ended, in each form', async () => {
  const world = await refreshedUnder(0)
  world.advance(15 * DAY)
  expect((await run(world, ['status'])).stdout).toMatch(/^session +ended \(its deadline has passed\)$/m)
  expect(JSON.parse((await run(world, ['status', '--json'])).stdout)).toMatchObject({ state: 'ended' })
  expect(await run(world, WARN)).toMatchObject({ code: 5, stderr: expect.stringContaining('its deadline has passed') })
})

test('dates at the end of time are no crash', async () => {
  const world = await refreshedUnder(0)
  const record = stored(world)
  const far = { createdAt: 8.64e15, rotatedAt: 8.64e15, accessTokenExpiresAt: 8.64e15, clockOffset: -8.64e15 }
  world.stores.sessionRecords.set(record.thumbprint, { ...record, ...far })
  for (const args of [['status'], ['status', '--json'], WARN]) {
    expect(await run(world, args), args.join(' ')).toMatchObject({ code: 0 })
  }
})

test('the handle is resolved: that of login time may be somebody else’s by now', async () => {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  const account = async (...args: string[]) => {
    const { stdout, stderr } = await run(world, ['status', ...args])
    return { account: /^account +(.*)$/m.exec(stdout)?.[1], stderr }
  }
  const { did } = world.alice
  expect(await account()).toStrictEqual({ account: `alice.fake.dev (${did})`, stderr: '' })
  world.identity.txt.set('_atproto.alice.fake.dev', [[`did=${world.mallory.did}`]])
  expect(await account()).toStrictEqual({ account: did, stderr: '' })
  expect(JSON.parse((await run(world, ['status', '--json'])).stdout).handle).toBeUndefined()
  expect(await run(world, ['revoke', '--account', 'alice.fake.dev'])).toMatchObject({
    code: 5,
    stderr: expect.stringContaining(`alice.fake.dev now belongs to ${world.mallory.did}`),
  })
  expect(world.sessionAlive(did)).toBe(true)
  world.faults.httpFault = () => 'unreachable'
  expect(await account()).toStrictEqual({
    account: `alice.fake.dev (${did})`,
    stderr: expect.stringContaining(`warning: alice.fake.dev is the last known handle of ${did}: `),
  })
})
