/** What `status` says, which has to be the same with and without `--warn-days`. */
import { parse } from 'dotenv'
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

test('a session that was moved into a vault has not ended', async () => {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  const [[thumbprint, record] = []] = world.stores.sessionRecords
  const movedTo = 'git:https://git.example.com/alice/bot'
  const ended = { at: world.now(), reason: 'moved into the vault', movedTo }
  world.stores.sessionRecords.set(thumbprint!, { ...record!, ended })
  expect((await run(world, ['status'])).stdout).toContain(`moved (into the vault at ${movedTo})\n`)
  const { code, stderr } = await run(world, ['status', '--warn-days', '3'])
  expect(code).toBe(5)
  expect(stderr).toContain(`was moved into the vault at ${movedTo} just now [SESSION_MISSING]`)
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

describe('after `revoke`', () => {
  test.each(['bundle', 'dotenv'])(
    'with the variables still set, as %s: revoked, and what to type next',
    async (format) => {
      const world = createFakeWorld()
      const callback = await callbackFor(world)
      const { stdout } = await run(world, ['complete', '--format', format], { stdin: callback })
      const env: Record<string, string> = format === 'bundle' ? { ATPROTO_OAUTH_SESSION: stdout.trim() } : parse(stdout)
      expect(await run(world, ['revoke'], { env })).toMatchObject({ code: 0 })
      const before = world.requests.length
      const status = await run(world, ['status'], { env })
      expect(status.code).toBe(0)
      expect(status.stdout).toMatch(/^session +ended \(revoked here just now\)$/m)
      const secrets = ['ATPROTO_OAUTH_REFRESH_TOKEN', 'ATPROTO_OAUTH_DPOP_PRIVATE_JWK']
      const names = format === 'bundle' ? ['ATPROTO_OAUTH_SESSION'] : secrets
      expect(status.stderr).toContain(`Unset ${names.join(' and ')}, then sign in again:\n  `)
      const init = `atproto-oauth init ${world.alice.did} --scope 'atproto transition:generic'`
      expect(status.stderr).toContain(init)
      for (const args of [WARN, ['refresh'], ['lease'], ['call', 'com.atproto.server.getSession'], ['revoke']]) {
        const failed = await run(world, args, { env })
        expect(failed.code, failed.stderr).toBe(5)
        expect(failed.stderr).toMatch(/was revoked here just now \[SESSION_DEAD\]/)
        expect(failed.stderr).toContain(
          `hint: unset ${names.join(' and ')}; if no other session is stored here, sign in again: ${init}`,
        )
      }
      expect(JSON.parse((await run(world, ['status', '--json'], { env })).stdout)).toMatchObject({
        state: 'ended',
        ended: { revoked: true },
      })
      expect(world.requests.length).toBe(before)
      const rest = await run(world, ['status'], {
        env: { ...env, ...Object.fromEntries(names.map((name) => [name, ''])) },
      })
      expect(rest.stderr).toContain(
        'was revoked here just now, and no other one of this account is stored [SESSION_MISSING]',
      )
    },
  )

  test('with nothing set: what was revoked, and the same login again', async () => {
    const world = createFakeWorld()
    await run(world, ['complete', await callbackFor(world), '--save', 'store'])
    expect(await run(world, ['revoke'])).toMatchObject({ code: 0 })
    for (const account of [[], ['--account', 'alice.fake.dev']]) {
      const { code, stderr } = await run(world, ['status', ...account])
      expect(code).toBe(5)
      expect(stderr).toContain(`the session of alice.fake.dev (${world.alice.did}) was revoked here just now`)
      expect(stderr).toContain("hint: atproto-oauth init alice.fake.dev --scope 'atproto transition:generic'")
    }
  })
})
