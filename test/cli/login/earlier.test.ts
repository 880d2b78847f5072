/** What is said of an earlier session of the account, and `--replace`. */
import { parse } from 'dotenv'
import { describe, expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const GENERIC = 'atproto transition:generic'
interface Setting {
  readonly env?: Record<string, string>
  readonly scope?: string
}

/** A login, with what each half prints. */
async function login(world: FakeWorld, args: readonly string[], { env = {}, scope = GENERIC }: Setting = {}) {
  const init = await run(world, ['init', 'alice.fake.dev', '--scope', scope], { env })
  const stdin = await world.authorize(init.stdout.trim())
  return { init, ...(await run(world, ['complete', ...args], { env, stdin })) }
}
const inStore = (world: FakeWorld, setting?: Setting) => login(world, ['--save', 'store'], setting)
const alive = (world: FakeWorld) => world.sessions.map(({ endedBecause }) => endedBecause === undefined)

describe('without --replace', () => {
  test('the first sign-in says nothing of others', async () => {
    const world = createFakeWorld()
    const { init, stderr } = await inStore(world)
    expect(init.stderr + stderr).not.toMatch(/already|earlier|revoke/)
  })

  test('the same scope: it is there, and how to revoke it', async () => {
    const world = createFakeWorld()
    await inStore(world)
    world.advance(3 * 86_400_000)
    const { init, code, stderr } = await inStore(world)
    expect(code).toBe(0)
    const where = `in the per-user store, signed in 3 days ago, scope ${GENERIC}`
    expect(init.stderr).toContain(`alice.fake.dev already has a session here: ${where}.`)
    expect(init.stderr).toContain('to revoke it, add --replace to `complete`')
    expect(stderr).toContain(`warning: an earlier session of alice.fake.dev (${where}) was not revoked; it can be used`)
    expect(stderr).toMatch(/it can be used until it expires in 11 days\n/)
    expect(stderr).toContain('To revoke it:\n  atproto-oauth revoke --others --account alice.fake.dev')
    expect(alive(world)).toStrictEqual([true, true])

    expect(await run(world, ['revoke', '--others'])).toMatchObject({ code: 0, stdout: '' })
    expect(alive(world)).toStrictEqual([false, true])
    expect((await run(world, ['revoke', '--others'])).stderr).toMatch(/no other session of did:plc:\w+ is stored here/)
  })

  test('a broader scope: what the earlier one still allows', async () => {
    const world = createFakeWorld()
    await inStore(world)
    const { stderr } = await inStore(world, { scope: 'atproto' })
    expect(stderr).toMatch(/expires in 14 days, and allows more than the new one: transition:generic\n/)
  })

  test('a narrower scope is not called broader', async () => {
    const world = createFakeWorld()
    await inStore(world, { scope: 'atproto' })
    expect((await inStore(world)).stderr).toMatch(/until it expires in 14 days\n/)
  })

  test('in the variables, and the new one is printed: revoke by the variables, before they are replaced', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const { init, stderr } = await login(world, [], { env, scope: 'atproto' })
    expect(init.stderr).toContain('already has a session here: in the environment')
    expect(stderr).toMatch(/\(in the environment\) was not revoked; .* more than the new one: transition:generic\n/)
    expect(stderr).toContain('To revoke it, before you set other variables:\n  atproto-oauth revoke\n')
    expect(await run(world, ['revoke'], { env })).toMatchObject({ code: 0 })
    expect(alive(world)).toStrictEqual([false, true])
  })

  test('in the store, and the new one is printed', async () => {
    const world = createFakeWorld()
    await inStore(world)
    const { stderr } = await login(world, [])
    expect(stderr).toContain('To revoke it:\n  atproto-oauth revoke --account alice.fake.dev\n')
  })

  test('with a vault in the environment: it is unset first, because revoke would take the session of the vault', async () => {
    const world = createFakeWorld()
    const given = await signIn(world)
    await inStore(world)
    const env = { ...given, ATPROTO_OAUTH_VAULT: 'git:https://git.example.com/alice/bot' }
    const stored = await inStore(world, { env })
    const command = 'atproto-oauth revoke --others --account alice.fake.dev'
    expect(stored.stderr).toContain(`To revoke it, unset ATPROTO_OAUTH_VAULT and run:\n  ${command}\n`)
    expect(stored.stderr).toContain('To revoke it, unset ATPROTO_OAUTH_VAULT and run:\n  atproto-oauth revoke\n')
  })

  test('--json: the warning is in the object', async () => {
    const world = createFakeWorld()
    await inStore(world)
    const { stderr } = await login(world, ['--save', 'store', '--json'])
    expect(JSON.parse(stderr).warnings).toStrictEqual([expect.stringContaining('was not revoked')])
  })

  test('one that has ended is not mentioned', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    await run(world, ['revoke'], { env })
    const { init, stderr } = await inStore(world, { env })
    expect(init.stderr + stderr).not.toMatch(/already|earlier/)
  })
})

describe('--replace', () => {
  const replace = (world: FakeWorld, setting?: Setting) => login(world, ['--save', 'store', '--replace'], setting)

  test('revokes it after the new one was saved', async () => {
    const world = createFakeWorld()
    await inStore(world)
    let storedAtRevocation = 0
    world.faults.httpFault = ({ url }) => {
      if (url.endsWith('/oauth/revoke')) storedAtRevocation = world.stores.sessionRecords.size
      return undefined
    }
    const { code, stderr } = await replace(world, { scope: 'atproto' })
    expect(code).toBe(0)
    expect(stderr).toContain('revoked an earlier session of alice.fake.dev (in the per-user store, signed in just now')
    expect(stderr).not.toContain('warning')
    expect(alive(world)).toStrictEqual([false, true])
    expect(storedAtRevocation).toBe(2)
    expect(world.stores.sessionRecords.size).toBe(1)
    expect((await run(world, ['call', 'com.atproto.server.getSession'])).code).toBe(0)
  })

  test('revokes that of the variables, which are to be unset', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const { stderr } = await login(world, ['--replace'], { env })
    expect(stderr).toContain('; unset ATPROTO_OAUTH_REFRESH_TOKEN and ATPROTO_OAUTH_DPOP_PRIVATE_JWK\n')
    expect(alive(world)).toStrictEqual([false, true])
    expect((await run(world, ['status'], { env })).stdout).toContain('ended (revoked here just now)')
  })

  test('there is none: it says so', async () => {
    const world = createFakeWorld()
    const { code, stderr } = await replace(world)
    expect(code).toBe(0)
    expect(stderr).toContain('No earlier session of alice.fake.dev was found here.')
  })

  test.each([
    ['unreachable', 'To revoke it:\n  atproto-oauth revoke --others --account alice.fake.dev', 2],
    ['lostAfter', 'To end it, remove the older entry of the app in the settings of the account.', 1],
  ] as const)('the server is %s: a warning, and the new session stays', async (fault, step, left) => {
    const world = createFakeWorld()
    await inStore(world)
    const init = await run(world, ['init', 'alice.fake.dev'])
    const stdin = await world.authorize(init.stdout.trim())
    let isSaved = false
    world.faults.httpFault = ({ url }) => {
      isSaved ||= world.stores.sessionRecords.size === 2
      const isStep = fault === 'unreachable' || url.endsWith('/oauth/revoke')
      return isSaved && isStep ? fault : undefined
    }
    const { code, stderr } = await run(world, ['complete', '--save', 'store', '--replace'], { stdin })
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /warning: an earlier session .* was not revoked: .*; it can be used until it expires in 14 days/,
    )
    expect(stderr).toContain('and allows more than the new one: transition:generic')
    expect(stderr).toContain(step)
    expect(world.stores.sessionRecords.size).toBe(left)
    world.faults.httpFault = () => undefined
    expect((await run(world, ['call', 'com.atproto.server.getSession'])).code).toBe(0)
  })

  test('nothing is revoked if the new one cannot be saved', async () => {
    const world = createFakeWorld()
    await inStore(world)
    world.stores.failCommit = () => new Error('disk full')
    const { code, stderr } = await replace(world)
    expect(code).toBe(10)
    expect(stderr).toContain('warning: the earlier session was not revoked')
    expect(alive(world)).toStrictEqual([true, true])
  })
})

test('revoke says that another session of the account is left in the store', async () => {
  const world = createFakeWorld()
  await inStore(world)
  await inStore(world)
  const { stderr } = await run(world, ['revoke'])
  expect(stderr).toContain('1 other session of this account is still stored here.')
  expect((await run(world, ['revoke'])).stderr).not.toContain('other session')
})

test('revoke --others: what is not confirmed is an error, and the newest session is kept', async () => {
  const world = createFakeWorld()
  await inStore(world)
  await inStore(world)
  world.faults.revocation = 'unavailable'
  const { code, stderr } = await run(world, ['revoke', '--others'])
  expect(code).toBe(4)
  expect(stderr).toContain('[REVOCATION_UNCONFIRMED]')
  expect(world.stores.sessionRecords.size).toBe(1)
  expect(parse((await run(world, ['lease'])).stdout)).toHaveProperty('ATPROTO_OAUTH_ACCESS_TOKEN')
})
