/** The user's settings, with a real PDS and the built CLI. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type CliResult, type Home, runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { CONSENT, expectFailure, newHome } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** With nothing but settings: no variable names a server. */
const bare = { ATPROTO_OAUTH_PLC_URL: undefined, ATPROTO_OAUTH_HANDLE_RESOLVER: undefined }

async function config(home: Home, ...args: string[]): Promise<CliResult> {
  const result = await runCli(['config', ...args], { home, env: bare })
  expect(result.code, result.stderr).toBe(0)
  return result
}

async function logIn(account: Account, home: Home, env = {}): Promise<void> {
  const { stdout, stderr } = await runCli(['init', account.handle], { home, env })
  expect(stdout, stderr).toContain('request_uri')
  const stdin = await signIn(stdout.trim(), account, CONSENT)
  const completed = await runCli(['complete'], { home, env, stdin })
  expect(completed.code, completed.stderr).toBe(0)
}

const didOf = async (args: string[], home: Home, env = {}): Promise<string> => {
  const { code, stdout, stderr } = await runCli(args, { home, env })
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout).did
}

describe('settings', () => {
  test('name the servers and the save targets of a login, and the account of later commands', async () => {
    const [alice, bob, carol] = [await world.createAccount(), await world.createAccount(), await world.createAccount()]
    const home = await newHome()
    await config(home, 'set', 'plc-url', world.plcUrl)
    await config(home, 'set', 'handle-resolver', world.handleResolverUrl)
    await config(home, 'set', 'save', 'store')
    for (const account of [alice, bob, carol]) await logIn(account, home, bare)

    expectFailure(await runCli(GET_SESSION, { home, env: bare }), 2, 'ACCOUNT_UNCLEAR')
    await config(home, 'set', 'account', bob.handle)
    expect(await didOf(GET_SESSION, home, bare)).toBe(bob.did)
    expect(await didOf(GET_SESSION, home, { ...bare, ATPROTO_OAUTH_ACCOUNT: carol.did })).toBe(carol.did)
    const variable = { ...bare, ATPROTO_OAUTH_ACCOUNT: carol.handle }
    expect(await didOf([...GET_SESSION, '--account', alice.did], home, variable)).toBe(alice.did)
    expect(await didOf(['--account', alice.handle, ...GET_SESSION], home, variable)).toBe(alice.did)

    // A refresh and the end of a session are those of the default account too.
    expect((await runCli(['refresh'], { home, env: bare })).stderr).toContain(`${bob.did}: refreshed`)
    expect((await runCli(['revoke'], { home, env: bare })).stderr).toContain(`revoked the session of ${bob.did}`)
    const ended = await runCli(GET_SESSION, { home, env: bare })
    expectFailure(ended, 5, 'SESSION_MISSING')
    expect(ended.stderr).toContain(`(account in ${join(home.state, 'config.json')})`)
    expect(await didOf([...GET_SESSION, '--account', alice.did], home, bare)).toBe(alice.did)
  })

  test('lose against variables with a session, whose client they never replace', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const { stdout } = await runCli(['init', account.handle], { home })
    const stdin = await signIn(stdout.trim(), account, CONSENT)
    const printed = await runCli(['complete', '--format', 'bundle'], { home, stdin })
    const env = { ATPROTO_OAUTH_SESSION: printed.stdout.trim() }
    await config(home, 'set', 'client-id', 'https://other.example.com/oauth-client-metadata.json')
    await config(home, 'set', 'account', 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb')
    expect(await didOf(GET_SESSION, home, env)).toBe(account.did)
    expect((await runCli(['refresh'], { home, env })).code).toBe(0)
    const other = { ...env, ATPROTO_OAUTH_ACCOUNT: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' }
    expectFailure(await runCli(GET_SESSION, { home, env: other }), 2, 'USAGE')
  })

  test('changed by several processes at once are all kept, in a private file', async () => {
    const home = await newHome()
    await Promise.all([
      config(home, 'set', 'account', 'alice.example.com'),
      config(home, 'set', 'save', 'store'),
      config(home, 'set', 'plc-url', 'https://plc.example.com'),
      config(home, 'set', 'client-id', 'https://client.example.com/client.json'),
    ])
    const path = join(home.state, 'config.json')
    expect(Object.keys(JSON.parse(await readFile(path, 'utf8'))).sort()).toStrictEqual([
      ...['account', 'client-id', 'plc-url', 'save'],
    ])
    if (process.platform !== 'win32') {
      expect([(await stat(path)).mode & 0o777, (await stat(home.state)).mode & 0o777]).toStrictEqual([0o600, 0o700])
    }
  })

  test('are in the configuration folder of the user, where no other folder is chosen', async () => {
    const home = await newHome()
    const env = { ...bare, ATPROTO_OAUTH_HOME: undefined, HOME: home.path, XDG_CONFIG_HOME: join(home.path, 'xdg') }
    const set = await runCli(['config', 'set', 'account', 'alice.example.com'], { home, env })
    expect(set.code, set.stderr).toBe(0)
    const { stdout } = await runCli(['config', 'list', '--json'], { home, env })
    if (process.platform === 'linux') {
      expect(JSON.parse(stdout).path).toBe(join(home.path, 'xdg', 'atproto-oauth', 'config.json'))
    }
    const doctor = await runCli(['doctor', '--json'], { home, env })
    const findings = doctor.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(findings.find(({ topic }) => topic === 'settings')).toMatchObject({
      verdict: 'ok',
      detail: expect.stringMatching(/config\.json: account$/),
    })
  })
})
