/** What commands do with the user's settings. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { Did, Handle } from '../../../src/model.ts'
import { tempFolder } from '../../node/helpers.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const BOB = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' as Did

async function homeWith(settings: object): Promise<{ ATPROTO_OAUTH_HOME: string; path: string }> {
  const home = join(await tempFolder(), 'home')
  await mkdir(home, { mode: 0o700 })
  const path = join(home, 'config.json')
  await writeFile(path, JSON.stringify(settings), { mode: 0o600 })
  return { ATPROTO_OAUTH_HOME: home, path }
}

/** Sessions of alice and of another account in one store. */
async function twoAccounts(): Promise<{ world: FakeWorld; alice: string }> {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  const { sessionRecords } = world.stores
  const [[thumbprint, record] = []] = sessionRecords
  sessionRecords.set('other', { ...record!, thumbprint: `${thumbprint!.slice(0, -1)}A`, did: BOB, handle: undefined })
  return { world, alice: record!.did }
}

describe('the account', () => {
  test('of the settings is used where there are several, then that of the variable, then that of the flag', async () => {
    const { world, alice } = await twoAccounts()
    const { ATPROTO_OAUTH_HOME } = await homeWith({ account: BOB })
    const did = async (args: string[], env: Record<string, string>) => {
      const { stdout, stderr } = await run(world, [...args, '--json'], { env })
      return stdout === '' ? stderr : JSON.parse(stdout).did
    }
    expect(await did(['status'], {})).toContain('ACCOUNT_UNCLEAR')
    expect(await did(['status'], { ATPROTO_OAUTH_HOME })).toBe(BOB)
    const variable = { ATPROTO_OAUTH_HOME, ATPROTO_OAUTH_ACCOUNT: alice }
    expect(await did(['status'], variable)).toBe(alice)
    expect(await did(['status', '--account', BOB], variable)).toBe(BOB)
    expect(await did(['--account', BOB, 'status'], variable)).toBe(BOB)
    expect(await did(['--account', BOB, 'status', '--account', alice], variable)).toBe(alice)
  })

  test('before a command without accounts is refused', async () => {
    const { code, stderr } = await run(createFakeWorld(), ['--account', BOB, 'init', 'alice.fake.dev'])
    expect(code).toBe(2)
    expect(stderr).toContain('--account cannot be used with init [USAGE]')
  })

  test('that has no session is an error that names its origin, not a reason to use another one', async () => {
    const world = createFakeWorld()
    await run(world, ['complete', await callbackFor(world), '--save', 'store'])
    const { ATPROTO_OAUTH_HOME, path } = await homeWith({ account: BOB })
    const inFile = await run(world, ['status'], { env: { ATPROTO_OAUTH_HOME } })
    expect(inFile).toMatchObject({ code: 5, stdout: '' })
    expect(inFile.stderr).toContain(`no session of ${BOB} is stored here (account in ${path}) [SESSION_MISSING]`)
    const inVariable = await run(world, ['status'], { env: { ATPROTO_OAUTH_ACCOUNT: BOB } })
    expect(inVariable.stderr).toContain(`no session of ${BOB} is stored here (ATPROTO_OAUTH_ACCOUNT) [SESSION_MISSING]`)
  })

  test('of the variable must be that of credentials beside it; that of the settings gives way to them', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const { ATPROTO_OAUTH_HOME } = await homeWith({ account: BOB })
    expect(await run(world, ['status'], { env: { ...env, ATPROTO_OAUTH_HOME } })).toMatchObject({ code: 0 })
    const own = { ...env, ATPROTO_OAUTH_ACCOUNT: env['ATPROTO_OAUTH_DID']! }
    expect(await run(world, ['status'], { env: own })).toMatchObject({ code: 0 })
    const { code, stdout, stderr } = await run(world, ['status'], { env: { ...env, ATPROTO_OAUTH_ACCOUNT: BOB } })
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`ATPROTO_OAUTH_ACCOUNT is ${BOB}, but the credentials in the environment are of `)
    expect(stderr).toContain(`hint: unset ATPROTO_OAUTH_ACCOUNT, or use a stored session: --account ${BOB}\n`)
  })
})

test('a variable with the name of another account’s session contradicts credentials beside it', async () => {
  const { world, alice } = await twoAccounts()
  const env = await signIn(world)
  const { sessionRecords } = world.stores
  for (const [key, record] of sessionRecords) {
    sessionRecords.set(key, { ...record, name: record.did === alice ? 'mine' : 'his' })
  }
  const whoami = (account: string) => run(world, ['whoami'], { env: { ...env, ATPROTO_OAUTH_ACCOUNT: account } })
  for (const account of ['mine', 'nosuch']) expect(await whoami(account)).toMatchObject({ code: 0 })
  const { code, stdout, stderr } = await whoami('his')
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(`ATPROTO_OAUTH_ACCOUNT is his, but the credentials in the environment are of ${alice}`)
  expect(stderr).toContain('--account his\n')
})

describe('a variable with a handle beside credentials', () => {
  test('is resolved, and contradicts those of another account', async () => {
    const { world, alice } = await twoAccounts()
    const bob = world.stores.sessionRecords.get('other')!
    world.stores.sessionRecords.set('other', { ...bob, handle: 'bob.dev' as Handle })
    const env = await signIn(world)
    const whoami = (account: string) => run(world, ['whoami'], { env: { ...env, ATPROTO_OAUTH_ACCOUNT: account } })
    for (const account of ['alice.fake.dev', '@alice.fake.dev']) {
      expect(await whoami(account)).toMatchObject({ code: 0, stderr: '' })
    }
    // It cannot be resolved, and was the handle of a stored session.
    const other = await whoami('bob.dev')
    expect(other).toMatchObject({ code: 2, stdout: '' })
    expect(other.stderr).toContain(
      `ATPROTO_OAUTH_ACCOUNT is bob.dev, but the credentials in the environment are of ${alice}`,
    )
    const unknown = await whoami('carol.dev')
    expect(unknown).toMatchObject({ code: 4, stdout: '' })
    expect(unknown.stderr).toContain('(ATPROTO_OAUTH_ACCOUNT) [HANDLE_NOT_FOUND]')
    const server = await whoami('https://pds.fake.dev')
    expect(server).toMatchObject({ code: 2, stdout: '' })
    expect(server.stderr).toContain('(ATPROTO_OAUTH_ACCOUNT): "https://pds.fake.dev" is a server')
  })

  test('names the program that prints them', async () => {
    const { world, alice } = await twoAccounts()
    const { stdout } = await run(world, ['complete', await callbackFor(world), '--format', 'bundle'])
    const env = { ATPROTO_OAUTH_SOURCE: `exec:echo ${stdout.trim()}`, ATPROTO_OAUTH_ACCOUNT: BOB }
    const { stderr } = await run(world, ['whoami'], { env })
    expect(stderr).toContain(`but the credentials of ATPROTO_OAUTH_SOURCE are of ${alice} [USAGE]`)
  })
})

describe('--account, before and after the command', () => {
  const whoami = (account: string) => [
    ['whoami', '--account', account],
    ['--account', account, 'whoami'],
  ]

  test.each(['alice.fake.dev', 'did'])(
    'of credentials in variables (%s) does not lead to another login',
    async (name) => {
      const world = createFakeWorld()
      const env = await signIn(world)
      for (const args of whoami(name === 'did' ? world.alice.did : name)) {
        const { code, stderr } = await run(world, args, { env })
        expect(code).toBe(5)
        expect(stderr).toBe(
          `atproto-oauth: error: no session of ${world.alice.did} is stored here; the credentials in the environment are of this account [SESSION_MISSING]\natproto-oauth: hint: omit --account to use them\n`,
        )
      }
    },
  )

  test('of another account than the variables has the usual hint', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    for (const args of whoami('mallory.fake.dev')) {
      const { code, stderr } = await run(world, args, { env })
      expect(code).toBe(5)
      expect(stderr).toContain(`no session of ${world.mallory.did} is stored here [SESSION_MISSING]\n`)
      expect(stderr).toContain('hint: atproto-oauth init mallory.fake.dev\n')
    }
  })

  test('with a name that no session has: says so, and proposes an account that has one', async () => {
    const { world } = await twoAccounts()
    await run(world, ['accounts', 'name', 'alice.fake.dev', 'posts'])
    for (const args of whoami('posts')) expect(await run(world, args)).toMatchObject({ code: 0 })
    for (const args of whoami('likes')) {
      const { code, stderr } = await run(world, args)
      expect(code).toBe(2)
      expect(stderr).toContain('"likes" is not a handle or a DID, and no session here has this name')
      expect(stderr).toContain('as in: --account alice.fake.dev;')
    }
    const { stderr } = await run(world, ['whoami', '--account', 'Alice'])
    expect(stderr).toContain('"Alice" is not a handle')
    expect(stderr).toContain('as in: --account alice.fake.dev\n')
  })
})

describe('the client', () => {
  const CLIENT = 'https://app.fake.dev/oauth-client-metadata.json'

  test('of the settings is that of a new login', async () => {
    const clientId = 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fmine'
    const { ATPROTO_OAUTH_HOME } = await homeWith({ 'client-id': clientId })
    const env = { ATPROTO_OAUTH_HOME }
    const { stdout, stderr } = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--json'], { env })
    expect(stderr).not.toContain('error')
    expect(JSON.parse(stdout)).toMatchObject({ clientId, redirectUri: 'http://127.0.0.1/mine' })
    // It declares another scope than the flag, as the variable of an earlier login may.
    const scoped = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--for', 'post', '--json'], { env })
    expect(JSON.parse(scoped.stdout).clientId).not.toBe(clientId)
  })

  test('of the settings is never the client of a session that the variables hold', async () => {
    const world = createFakeWorld()
    const { ATPROTO_OAUTH_CLIENT_ID, ...env } = await signIn(world)
    const { ATPROTO_OAUTH_HOME } = await homeWith({ 'client-id': ATPROTO_OAUTH_CLIENT_ID })
    const { code, stderr } = await run(world, ['refresh'], { env: { ...env, ATPROTO_OAUTH_HOME } })
    expect(code).toBe(2)
    expect(stderr).toContain('ATPROTO_OAUTH_CLIENT_ID')
    expect(stderr).toContain('[CREDENTIALS_INCOMPLETE]')
  })

  test('that is not valid is refused by the name of the setting, where it is used', async () => {
    const { ATPROTO_OAUTH_HOME, path } = await homeWith({ 'client-id': 'https://app.fake.dev', 'redirect-uri': 'x' })
    const env = { ATPROTO_OAUTH_HOME }
    const { code, stderr } = await run(createFakeWorld(), ['init', 'alice.fake.dev'], { env })
    expect(code).toBe(2)
    expect(stderr).toContain(`client-id in ${path}: invalid client_id "https://app.fake.dev"`)
    // A redirect URI belongs to its client.
    const other = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--client-id', CLIENT], { env })
    expect(other.stderr).not.toContain(path)
    const world = createFakeWorld()
    await run(world, ['complete', await callbackFor(world), '--save', 'store'])
    expect(await run(world, ['status'], { env })).toMatchObject({ code: 0 })
  })
})

describe('a server or a save target', () => {
  test.each([
    ['plc-url', 'http://plc.fake.dev', 'must be an https origin', 'add --dev or set ATPROTO_OAUTH_DEV=1'],
    ['handle-resolver', 'bsky', 'must be an https origin', 'config set handle-resolver https://host.example.com'],
    ['plc-url', 5, 'must be a string', 'or remove it: atproto-oauth config unset plc-url'],
    ['save', ['stroe'], ': unknown save target "stroe"', ''],
    ['save', ['file:a.env'], ': the path in "file:a.env" is relative', 'write it as file:/'],
    ['save', ['vault', 'store'], ') cannot be used with other targets', 'omit the other targets'],
  ])(
    '%s: %j is refused with the path of the file, and not if a flag replaces it',
    async (key, value, message, hint) => {
      const { ATPROTO_OAUTH_HOME, path } = await homeWith({ [key]: value })
      const env = { ATPROTO_OAUTH_HOME }
      const { code, stderr } = await run(createFakeWorld(), ['status'], { env })
      expect(code).toBe(2)
      expect(stderr).toContain(`${key} in ${path}`)
      expect(stderr).toContain(message)
      expect(stderr).toContain(hint)
      const args = key === 'save' ? ['refresh', '--save', 'store'] : ['status', `--${key}`, 'https://a.fake.dev']
      expect((await run(createFakeWorld(), args, { env })).stderr).not.toContain(path)
    },
  )

  test('an account that is not a text involves no session', async () => {
    const { ATPROTO_OAUTH_HOME } = await homeWith({ account: 5 })
    const { code, stderr } = await run(createFakeWorld(), ['call', 'com.atproto.server.getSession'], {
      env: { ATPROTO_OAUTH_HOME },
    })
    expect([code, stderr]).toStrictEqual([2, expect.stringContaining('must be a string')])
    expect(stderr).not.toContain('session:')
  })

  test('a file that is damaged is an error of each command that has settings', async () => {
    const { ATPROTO_OAUTH_HOME, path } = await homeWith({})
    await writeFile(path, '{"account": "alice.fake.dev"')
    const { code, stderr } = await run(createFakeWorld(), ['status'], { env: { ATPROTO_OAUTH_HOME } })
    expect(code).toBe(2)
    expect(stderr).toContain(`${path} is not valid JSON`)
    expect(stderr).toContain(`hint: correct the file, or delete it to start without settings: rm ${path}\n`)
    expect(await run(createFakeWorld(), ['--help'], { env: { ATPROTO_OAUTH_HOME } })).toMatchObject({ code: 0 })
  })
})
