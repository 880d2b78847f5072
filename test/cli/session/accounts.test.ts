/** `accounts`, `whoami` and `status --all`, over a fake world and a folder for the settings. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { SessionRecord } from '../../../src/model.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const DAY = 86_400_000
const BOB = 'did:web:bob.dev'
let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'accounts-'))
})

/** A session of alice in the store. */
async function withAlice() {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  const [[thumbprint, alice] = []] = world.stores.sessionRecords
  return { world, thumbprint: thumbprint!, alice: alice! }
}

function add(world: FakeWorld, alice: SessionRecord, letter: string, more: object): string {
  const thumbprint = letter.repeat(43)
  world.stores.sessionRecords.set(thumbprint, { ...alice, thumbprint, ...more } as SessionRecord)
  return thumbprint
}

/** And one of bob, whose handle cannot be resolved. */
async function withBoth() {
  const found = await withAlice()
  add(found.world, found.alice, 'b', { did: BOB, handle: 'bob.dev' })
  const all = (args: readonly string[], env: Record<string, string> = {}) =>
    run(found.world, args, { env: { ATPROTO_OAUTH_HOME: home, ...env } })
  return { ...found, all }
}

const fields = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
const setting = () => JSON.parse(readFileSync(join(home, 'config.json'), 'utf8')).account

describe('accounts', () => {
  test('without a session: nothing on stdout, and how to sign in', async () => {
    const none = await run(createFakeWorld(), ['accounts'])
    expect(none).toMatchObject({ code: 0, stdout: '' })
    expect(none.stderr).toContain('There is no session. Sign in with:\n  atproto-oauth init alice.bsky.social')
    expect((await run(createFakeWorld(), ['accounts', '--json'])).stdout).toBe('[]\n')
  })

  test('one session is the default', async () => {
    const { world, alice } = await withAlice()
    const { stdout } = await run(world, ['accounts'])
    expect(fields(stdout)).toStrictEqual(
      [
        [
          '*',
          'alice.fake.dev',
          '',
          alice.did,
          alice.scope,
          'store',
          'just now',
          'in 13 days',
          alice.pds,
          alice.clientId,
        ],
      ].map((row) => row.map((each) => (each === 'in 13 days' ? expect.stringMatching(/^in 1[34] days$/) : each))),
    )
  })

  test('of several accounts none is; a handle that cannot be resolved is marked', async () => {
    const { all } = await withBoth()
    const { stdout, stderr } = await all(['accounts'])
    expect(fields(stdout).map((row) => row.slice(0, 2))).toStrictEqual([
      ['', 'alice.fake.dev'],
      ['', 'bob.dev (stored)'],
    ])
    expect(stderr).toContain('Handles marked (stored) could not be resolved: they are the last known ones')
  })

  test('--offline sends nothing', async () => {
    const { world, all } = await withBoth()
    const before = world.requests.length
    const { stdout, stderr } = await all(['accounts', '--offline'])
    expect(fields(stdout).map(([, handle]) => handle)).toStrictEqual(['alice.fake.dev (stored)', 'bob.dev (stored)'])
    expect([world.requests.length, stderr]).toStrictEqual([before, ''])
  })

  test('--json has everything, with full timestamps, and no secrets', async () => {
    const { all, alice } = await withBoth()
    const { stdout } = await all(['accounts', '--json'], { ATPROTO_OAUTH_ACCOUNT: BOB })
    expect(JSON.parse(stdout)).toMatchObject([
      {
        default: false,
        handle: 'alice.fake.dev',
        handleIsCurrent: true,
        did: alice.did,
        pds: alice.pds,
        clientId: alice.clientId,
        state: 'alive',
        kept: 'store',
        refreshedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        idleDeadline: expect.stringMatching(/^\d{4}-.*Z$/),
      },
      { default: true, did: BOB, handleIsCurrent: false },
    ])
    expect(stdout).not.toContain(alice.refreshToken)
    expect(stdout).not.toContain(alice.dpopPrivateJwk.d)
  })

  test.each([40, 60, 80, 120, 400])('the table fits %i columns', async (columns) => {
    const { world } = await withBoth()
    const { stdout } = await run(world, ['accounts'], { terminals: ['stdout'], columns })
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    expect(lines[0]).toMatch(/^ACCOUNT\b/)
    expect(lines[1]).toContain('alice.fake.dev')
    expect(lines[0]!.includes('CLIENT')).toBe(columns === 400)
    expect(lines[0]!.includes('SCOPE')).toBe(columns >= 60)
  })

  test('credentials of the environment are listed, once, and used', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    expect(fields((await run(world, ['accounts'], { env })).stdout).map((row) => [row[0], row[5]])).toStrictEqual([
      ['*', 'variables'],
    ])
    expect(await run(world, ['refresh'], { env })).toMatchObject({ code: 0 })
    expect(JSON.parse((await run(world, ['accounts', '--json'], { env })).stdout)).toMatchObject([
      { kept: 'variables', place: 'environment variables', default: true },
    ])
  })

  test('beside a variable that names another account, credentials are not the default', async () => {
    const { world, all } = await withBoth()
    const env = await signIn(world)
    const marks = async (account: string) =>
      fields((await all(['accounts'], { ...env, ATPROTO_OAUTH_ACCOUNT: account })).stdout).map(([mark]) => mark)
    expect(await marks('@alice.fake.dev')).toContain('*')
    for (const account of [BOB, 'bob.dev']) expect(await marks(account)).not.toContain('*')
  })

  test('beside credentials that cannot be used, no stored session is the default: commands fail', async () => {
    const { world } = await withAlice()
    const env = { ATPROTO_OAUTH_REFRESH_TOKEN: 'a token alone' }
    const { stdout, stderr } = await run(world, ['accounts'], { env })
    expect(fields(stdout).map((row) => row.slice(0, 2))).toStrictEqual([['', 'alice.fake.dev']])
    expect(stderr).toContain('atproto-oauth: warning: ')
    expect(await run(world, ['whoami'], { env })).toMatchObject({ code: 2, stdout: '' })
  })

  test('1,000 sessions', async () => {
    const { world, alice } = await withAlice()
    for (let index = 0; index < 999; index += 1) {
      const thumbprint = `k${index}`.padEnd(43, '_')
      const other = { did: `did:web:a${index}.example`, handle: `a${index}.example` }
      world.stores.sessionRecords.set(thumbprint, { ...alice, ...other, thumbprint } as unknown as SessionRecord)
    }
    const { code, stdout } = await run(world, ['accounts', '--offline'])
    expect([code, fields(stdout).length]).toStrictEqual([0, 1000])
  })

  test('another word is taken for the account to use', async () => {
    const { stderr } = await run(createFakeWorld(), ['accounts', '@alice.fake.dev'])
    expect(stderr).toContain('hint: to use this account by default: atproto-oauth accounts use alice.fake.dev')
  })

  test('--names has the handles and names for shells, without a request', async () => {
    const { world, alice, all } = await withBoth()
    add(world, alice, 'c', { did: 'did:web:c.dev', handle: undefined, name: 'work' })
    add(world, alice, 'd', { did: 'did:web:d.example', ended: { at: 1, reason: 'x' } })
    const before = world.requests.length
    expect((await all(['accounts', '--names'])).stdout).toBe('alice.fake.dev\nbob.dev\ndid:web:c.dev\nwork\n')
    expect(world.requests.length).toBe(before)
  })
})

describe('accounts use', () => {
  test.each(['alice.fake.dev', '@alice.fake.dev', 'https://bsky.app/profile/alice.fake.dev'])('%s', async (account) => {
    const { all, alice } = await withBoth()
    const { code, stderr } = await all(['accounts', 'use', account])
    expect([code, stderr]).toStrictEqual([
      0,
      expect.stringContaining(`commands use alice.fake.dev (${alice.did}) by default`),
    ])
    expect(setting()).toBe(alice.did)
    expect((await all(['whoami'])).stdout).toContain(alice.did)
    expect(fields((await all(['accounts'])).stdout).map(([mark]) => mark)).toStrictEqual(['*', ''])
    expect((await all(['whoami', '--account', BOB])).stdout).toContain(BOB)
    expect((await all(['--account', BOB, 'whoami'])).stdout).toContain(BOB)
    expect((await all(['whoami'], { ATPROTO_OAUTH_ACCOUNT: BOB })).stdout).toContain(BOB)
    await all(['accounts', 'use', '--none'])
    expect(await all(['whoami'])).toMatchObject({ code: 2 })
  })

  test('an account without a session is refused, with those that there are', async () => {
    const { all } = await withBoth()
    const { code, stderr } = await all(['accounts', 'use', 'did:web:nobody.dev'])
    expect(code).toBe(5)
    expect(stderr).toContain('no session of did:web:nobody.dev is stored here [SESSION_MISSING]')
    expect(stderr).toContain(
      'hint: there are sessions of alice.fake.dev, bob.dev; choose one, as in: atproto-oauth accounts use alice.fake.dev',
    )
    expect(() => setting()).toThrow()
    expect((await all(['accounts', 'use'])).stderr).toContain('hint: there are sessions of alice.fake.dev, bob.dev')
  })

  test('a default without a session: the message says where it is set, the hint has another account', async () => {
    const { world, all, thumbprint, alice } = await withBoth()
    await all(['accounts', 'use', alice.did])
    world.stores.sessionRecords.delete(thumbprint)
    const { code, stderr } = await all(['whoami'])
    expect(code).toBe(5)
    expect(stderr).toContain(`no session of ${alice.did} is stored here (account in ${home}/config.json)`)
    expect(stderr).toContain('hint: choose another account: atproto-oauth accounts use bob.dev')
    const variable = await all(['whoami'], { ATPROTO_OAUTH_ACCOUNT: alice.did })
    expect(variable.stderr).toContain('hint: unset ATPROTO_OAUTH_ACCOUNT, or set it to another account')
  })

  test('what is used instead is said', async () => {
    const { all, alice } = await withBoth()
    const variable = await all(['accounts', 'use', BOB], { ATPROTO_OAUTH_ACCOUNT: alice.did })
    expect(variable.stderr).toContain('warning: ATPROTO_OAUTH_ACCOUNT is set, and overrides this setting')
    const given = await all(['accounts', 'use', BOB], { ATPROTO_OAUTH_REFRESH_TOKEN: 'x' })
    expect(given.stderr).toContain('warning: the environment has a session, which is used instead')
  })
})

test('several accounts and no default: all of them, and both ways to choose one', async () => {
  const { all } = await withBoth()
  const { code, stderr } = await all(['call', 'com.atproto.server.getSession'])
  expect(code).toBe(2)
  expect(stderr).toContain(`are stored here: alice.fake.dev (`)
  expect(stderr).toContain(`bob.dev (${BOB}) [ACCOUNT_UNCLEAR]`)
  expect(stderr).toContain(
    'hint: choose one of the accounts, as in: --account alice.fake.dev; or always use it: atproto-oauth accounts use alice.fake.dev',
  )
})

describe('names', () => {
  /** Two sessions of alice: the older one has another scope. */
  async function withTwo() {
    const found = await withBoth()
    const older = add(found.world, found.alice, 'o', {
      createdAt: found.alice.createdAt! - 1000,
      scope: 'atproto transition:email',
    })
    return { ...found, older }
  }

  test('choose one of several sessions, and stay after a refresh', async () => {
    const { world, all, thumbprint, older } = await withTwo()
    expect(await all(['accounts', 'name', older, 'mail'])).toMatchObject({ code: 0 })
    expect(await all(['accounts', 'name', thumbprint, 'posts'])).toMatchObject({ code: 0 })
    const { stdout } = await all(['whoami', '--account', 'mail'])
    expect(stdout).toContain(', named mail; scope atproto transition:email; ')
    expect(await all(['refresh', '--account', 'posts'])).toMatchObject({ code: 0 })
    expect(world.stores.sessionRecords.get(thumbprint)).toMatchObject({ name: 'posts', rotation: 1 })
    expect((await all(['status', '--account', 'posts'])).stdout).toMatch(/^name {10}posts$/m)
  })

  test('a key may begin with a hyphen', async () => {
    const { all, world, alice } = await withBoth()
    for (const letter of ['-', '-a']) {
      const key = letter.padEnd(43, '_')
      world.stores.sessionRecords.set(key, { ...alice, thumbprint: key, createdAt: 1 })
      expect(await all(['accounts', 'name', key, 'mail'])).toMatchObject({ code: 0 })
      expect(world.stores.sessionRecords.get(key)).toMatchObject({ name: 'mail' })
      expect(await all(['--dev', 'accounts', 'use', key])).toMatchObject({ code: 0 })
      expect(await all(['accounts', 'name', key, '--remove'])).toMatchObject({ code: 0 })
    }
  })

  test('an account with several sessions has to be told apart first', async () => {
    const { all, thumbprint, older } = await withTwo()
    const { code, stderr } = await all(['accounts', 'name', 'alice.fake.dev', 'work'])
    expect(code).toBe(2)
    expect(stderr).toContain(`alice.fake.dev has 2 sessions: ${thumbprint} (scope `)
    expect(stderr).toContain(`${older} (scope atproto transition:email)`)
    expect(stderr).toContain(`hint: choose one by its key, as in: atproto-oauth accounts name ${thumbprint} posts`)
  })

  test('of a session that is not stored: the hint has what can be named', async () => {
    const { all } = await withBoth()
    const { code, stderr } = await all(['accounts', 'name', 'posts', '--remove'])
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /hint: there are sessions of .*bob\.dev.*; choose one, as in: atproto-oauth accounts name \S+ posts$/m,
    )
  })

  test('the beginning of a stored handle means it, before one of bsky.social', async () => {
    const { all, alice } = await withBoth()
    expect((await all(['whoami', '--account', 'bob'])).stderr).toContain('as in: --account bob.dev\n')
    expect((await all(['whoami', '--account', 'mail'])).stderr).toContain('as in: --account alice.fake.dev; or always')
    expect(await all(['accounts', 'use', 'alice'])).toMatchObject({ code: 0 })
    expect(setting()).toBe(alice.did)
  })

  test('are unique, and can be removed', async () => {
    const { all, world, thumbprint } = await withBoth()
    await all(['accounts', 'name', 'alice.fake.dev', 'work'])
    const taken = await all(['accounts', 'name', BOB, 'work'])
    expect([taken.code, taken.stderr]).toStrictEqual([
      2,
      expect.stringContaining('work is the name of another session, of alice.fake.dev'),
    ])
    expect(await all(['accounts', 'name', 'work', '--remove'])).toMatchObject({ code: 0 })
    expect(world.stores.sessionRecords.get(thumbprint)).not.toHaveProperty('name')
  })

  test.each([
    ['My Work', 'my-work'],
    ['alice.example', 'alice-example'],
    ['…', 'posts'],
  ])('%j is not a name, but %s', async (name, meant) => {
    const { all } = await withBoth()
    const { code, stderr } = await all(['accounts', 'name', BOB, name])
    expect(code).toBe(2)
    expect(stderr).toContain(`hint: atproto-oauth accounts name ${BOB} ${meant}`)
  })

  test('the default is a name, where the DID means a newer session', async () => {
    const { all, alice, older } = await withTwo()
    const refused = await all(['accounts', 'use', older])
    expect(refused.stderr).toContain(`${alice.did} has a newer session`)
    expect(refused.stderr).toContain(`hint: atproto-oauth accounts name ${older} older`)
    await all(['accounts', 'name', older, 'mail'])
    expect(await all(['accounts', 'use', 'mail'])).toMatchObject({ code: 0 })
    expect(setting()).toBe('mail')
    expect((await all(['whoami'])).stdout).toContain('named mail')
    expect(await all(['config', 'get', 'account'])).toMatchObject({ code: 0, stdout: 'mail\n' })
  })
})

describe('whoami', () => {
  test('is one line', async () => {
    const { world, alice } = await withAlice()
    const { stdout } = await run(world, ['whoami'])
    expect(stdout).toMatch(/^alice\.fake\.dev \(did:plc:\w+\); scope atproto .*; ends in 1[34] days\n$/)
    expect(stdout).toContain(alice.did)
  })

  test('with --json it is the same as status', async () => {
    const { world } = await withAlice()
    expect((await run(world, ['whoami', '--json'])).stdout).toBe((await run(world, ['status', '--json'])).stdout)
  })
})

describe('status --all', () => {
  const WARN = ['status', '--all', '--warn-days', '3']

  test('shows each session as status does', async () => {
    const { world, all } = await withBoth()
    const { stdout } = await all(['status', '--all'])
    expect(stdout.match(/^session +alive/gm)).toHaveLength(2)
    world.stores.sessionRecords.delete('b'.repeat(43))
    expect((await all(['status', '--all'])).stdout).toBe((await all(['status'])).stdout)
    expect(JSON.parse((await all(['status', '--all', '--json'])).stdout)).toHaveLength(1)
  })

  test('11 if any session ends soon', async () => {
    const { world, all, alice } = await withBoth()
    expect(await all(WARN)).toMatchObject({ code: 0 })
    add(world, alice, 'b', { did: BOB, handle: 'bob.dev', rotatedAt: alice.rotatedAt! - 12 * DAY })
    const { code, stderr } = await all(WARN)
    expect([code, stderr]).toStrictEqual([11, expect.stringContaining('the session of bob.dev ends in ')])
  })

  test('5 if an account has none that is alive; one that was replaced does not count', async () => {
    const { world, all, alice } = await withBoth()
    add(world, alice, 'e', { ended: { at: 1, reason: 'replaced' } })
    expect(await all(WARN)).toMatchObject({ code: 0 })
    add(world, alice, 'b', { did: BOB, handle: 'bob.dev', ended: { at: 1, reason: 'gone' } })
    expect(await all(WARN)).toMatchObject({ code: 5, stdout: '' })
  })

  test('not with --account', async () => {
    const { all } = await withBoth()
    expect((await all(['status', '--all', '--account', BOB])).stderr).toContain('--all cannot be used with --account')
  })
})
