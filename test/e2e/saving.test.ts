import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { type Home, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, GENERIC, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** A login whose credentials `complete` has put into the given targets. */
async function logInTo(targets: (home: Home) => string[], env: Record<string, string | undefined> = {}) {
  const account = await world.createAccount()
  const home = await newHome()
  const callback = await callbackFor(account, home)
  const flags = targets(home).flatMap((target) => ['--save', target])
  const result = await runCli(['complete', callback, ...flags], { home, env })
  return { account, home, callback, result }
}

const fileOf = (home: Home) => join(home.path, 'session.env')
const read = async (path: string) => parse(await readFile(path))

describe('file:', () => {
  test('complete fills it, each rotation updates it, and it works on another machine', async () => {
    const { home, result } = await logInTo(({ path }) => [`file:${path}/session.env`])
    expect([result.code, result.stdout]).toStrictEqual([0, ''])
    expect((await stat(fileOf(home))).mode & 0o777).toBe(0o600)
    const first = await read(fileOf(home))

    const there = await newHome()
    const save = ['--save', `file:${fileOf(home)}`]
    expect((await runCli([...GET_SESSION, ...save], { home: there, env: first })).code).toBe(0)
    const second = await read(fileOf(home))
    expect(second['ATPROTO_OAUTH_REFRESH_TOKEN']).not.toBe(first['ATPROTO_OAUTH_REFRESH_TOKEN'])

    // A shell that still has the first credentials, on a machine that knows nothing: the file has the newest.
    const stale = await runCli(['refresh', ...save], { home: await newHome(), env: first })
    expect([stale.code, stale.stdout]).toStrictEqual([0, ''])
    const third = await read(fileOf(home))
    expect((await runCli(GET_SESSION, { home: await newHome(), env: third })).code).toBe(0)
  })

  test('comments, other variables and the shape of the file stay', async () => {
    const { home, env } = await logIn(world)
    const path = fileOf(home)
    const around = `# mine\r\nexport OTHER="x # y"\r\nATPROTO_OAUTH_REFRESH_TOKEN="${env['ATPROTO_OAUTH_REFRESH_TOKEN']}" # token\r\nLAST=1`
    await writeFile(path, around)
    const result = await runCli(['refresh', '--save', `file:${path}`], { home, env })
    expect(result.code).toBe(0)
    const text = await readFile(path, 'utf8')
    expect(text).toMatch(
      /^# mine\r\nexport OTHER="x # y"\r\nATPROTO_OAUTH_REFRESH_TOKEN="ref-[0-9a-f]{64}" # token\r\nLAST=1\r\n/,
    )
    expect(parse(text)).toMatchObject({ OTHER: 'x # y', LAST: '1', ATPROTO_OAUTH_DID: env['ATPROTO_OAUTH_DID'] })
    expect(parse(text)['ATPROTO_OAUTH_REFRESH_TOKEN']).not.toBe(env['ATPROTO_OAUTH_REFRESH_TOKEN'])
  })

  test('without --save, a refresh does not claim to have updated it', async () => {
    const { home, env } = await logIn(world)
    const path = fileOf(home)
    const saved = await runCli(['refresh', '--save', `file:${path}`], { home, env })
    expect(saved.stderr).toContain(`refreshed, saved to the per-user store and file:${path}\n`)
    const before = await readFile(path, 'utf8')
    const unsaved = await runCli(['refresh'], { home, env })
    expect(unsaved.stderr).toContain(`warning: not updated, still with the previous token: file:${path}\n`)
    expect(unsaved.stderr).toContain('refreshed, saved to the per-user store\n')
    expect(await readFile(path, 'utf8')).toBe(before)
    expect((await runCli(['status'], { home, env })).stdout).not.toContain('saved to')
    expect((await runCli(['refresh'], { home, env })).stderr).not.toContain('not updated')
  })

  test('another session in it is not overwritten, by a login or by a refresh', async () => {
    const one = await logInTo(({ path }) => [`file:${path}/session.env`])
    const before = await readFile(fileOf(one.home), 'utf8')
    const two = await logIn(world)
    const save = ['--save', `file:${fileOf(one.home)}`]
    await world.clearRequests()
    expectFailure(await runCli([...GET_SESSION, ...save], { home: two.home, env: two.env }), 10, 'SAVE_FAILED')
    expect(await sentByUs(world)).toStrictEqual([])

    const account = await world.createAccount()
    const callback = await callbackFor(account, two.home)
    expectFailure(await runCli(['complete', callback, ...save], { home: two.home }), 10, 'SAVE_FAILED')
    expect((await runCli(['complete', callback], { home: two.home })).code).toBe(0) // the login is still open
    expect(await readFile(fileOf(one.home), 'utf8')).toBe(before)
  })
})

describe('programs', () => {
  /** A `gh` that writes down what it was given; it fails as long as there is a file `fail`. */
  async function standIn(home: Home): Promise<Record<string, string>> {
    const bin = join(home.path, 'bin')
    await mkdir(bin)
    const script = `#!/bin/sh\n[ -e "${home.path}/fail" ] && exit 1\nprintf '%s\\n' "$@" > "${home.path}/arguments"\nenv > "${home.path}/environment"\ncat > "${home.path}/saved"\n`
    await writeFile(join(bin, 'gh'), script)
    await chmod(join(bin, 'gh'), 0o755)
    return { PATH: `${bin}:${process.env['PATH']}` }
  }

  test('gh: gets the variables on stdin, and nothing of them elsewhere', async () => {
    const { account, home, env } = await logIn(world)
    const withGh = { ...env, ...(await standIn(home)) }
    const result = await runCli(['refresh', '--save', 'gh:alice/blog@production'], { home, env: withGh })
    expect(result.code).toBe(0)
    const given = (await readFile(join(home.path, 'arguments'), 'utf8')).trim().split('\n')
    expect(given).toStrictEqual('secret set --env-file - --repo alice/blog --env production'.split(' '))
    const saved = await read(join(home.path, 'saved'))
    expect(saved['ATPROTO_OAUTH_DID']).toBe(account.did)
    expect(await readFile(join(home.path, 'environment'), 'utf8')).not.toContain('ref-')
    expect((await runCli(GET_SESSION, { home: await newHome(), env: saved })).code).toBe(0)
  })

  test('one that fails before the token is spent: nothing is sent', async () => {
    const { home, env } = await logIn(world)
    await world.clearRequests()
    const result = await runCli(['refresh', '--save', 'exec:exit 3'], { home, env })
    expectFailure(result, 10, 'SAVE_FAILED')
    expect(result.stderr).toContain('nothing was sent')
    expect(await sentByUs(world)).not.toContain('POST pds /oauth/token')
    expect((await runCli(GET_SESSION, { home, env })).code).toBe(0)
  })

  test('one that fails, with --json: what it printed is in the object, without the credentials', async () => {
    const { home, env } = await logIn(world)
    const result = await runCli(['refresh', '--json', '--save', 'exec:cat; echo no such secret >&2; exit 3'], {
      home,
      env,
    })
    expect([result.code, result.stdout]).toStrictEqual([10, ''])
    const { code, stderr } = JSON.parse(result.stderr) as Record<string, string>
    expect([code, stderr]).toStrictEqual(['SAVE_FAILED', expect.stringContaining('no such secret')])
    expect(stderr).toContain("ATPROTO_OAUTH_REFRESH_TOKEN='[redacted]'")
    expect(result.stderr).not.toContain(env['ATPROTO_OAUTH_REFRESH_TOKEN'])
  })

  test('one that fails afterwards: exit 10, and the next run delivers first', async () => {
    const { home, env } = await logIn(world)
    const tool = await standIn(home)
    // Works when it is tried with the current credentials, fails with the new ones, then works again.
    const command = `if [ -e tried ]; then rm tried; exit 1; else touch tried; cat > saved; fi`
    const save = ['--save', `exec:cd '${home.path}' && ${command}`]
    const failed = await runCli(['refresh', ...save], { home, env: { ...env, ...tool } })
    expectFailure(failed, 10, 'SAVE_FAILED')
    expect(failed.stderr).toContain('the new credentials are in the store')

    await world.clearRequests()
    const again = await runCli([...GET_SESSION, ...save], { home, env })
    expect(again.code).toBe(0)
    expect(again.stderr).toContain('saving them now')
    expect(await sentByUs(world)).not.toContain('POST pds /oauth/token')
    const saved = await read(join(home.path, 'saved'))
    expect(saved['ATPROTO_OAUTH_REFRESH_TOKEN']).not.toBe(env['ATPROTO_OAUTH_REFRESH_TOKEN'])
    expect((await runCli(GET_SESSION, { home: await newHome(), env: saved })).code).toBe(0)
  })
})

test('a bundle is saved as a bundle', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const bundle = (await runCli(['complete', await callbackFor(account, home), '--format', 'bundle'], { home })).stdout
  const save = ['--save', `file:${fileOf(home)}`]
  expect((await runCli(['refresh', ...save], { home, env: { ATPROTO_OAUTH_SESSION: bundle } })).code).toBe(0)
  const saved = await read(fileOf(home))
  expect(Object.keys(saved)).toStrictEqual(['ATPROTO_OAUTH_SESSION'])
  expect((await runCli(GET_SESSION, { home: await newHome(), env: saved })).code).toBe(0)
})

test('store: the login stays on this machine, and nothing is printed', async () => {
  const { account, home, result } = await logInTo(() => ['store'])
  expect([result.code, result.stdout]).toStrictEqual([0, ''])
  expect(JSON.parse((await runCli(GET_SESSION, { home })).stdout)).toMatchObject({ did: account.did })
})

test('in CI a token whose successor would be lost is not spent', async () => {
  const { env } = await logIn(world)
  const home = await newHome()
  await world.clearRequests()
  const refused = await runCli(GET_SESSION, { home, env: { ...env, CI: 'true' } })
  expectFailure(refused, 2, 'SAVE_TARGET_MISSING')
  expect(refused.stderr).toContain('--save gh:OWNER/REPO')
  expect(await sentByUs(world)).toStrictEqual([])
  const saved = { ...env, CI: 'true', ATPROTO_OAUTH_SAVE: `file:${fileOf(home)}` }
  expect((await runCli(GET_SESSION, { home, env: saved })).code).toBe(0)
})

test.each(['nowhere', 'file:', 'gh:not a repo', 'exec: '])('--save %s is a usage error', async (target) => {
  const { home, env } = await logIn(world, 'atproto')
  expectFailure(await runCli(['refresh', '--save', target], { home, env }), 2, 'USAGE')
})

describe('the other commands', () => {
  test('refresh: now, or only if it is time', async () => {
    const { home, env } = await logIn(world, GENERIC)
    const printed = parse((await runCli(['refresh', '--format', 'dotenv'], { home, env })).stdout)
    expect(printed['ATPROTO_OAUTH_REFRESH_TOKEN']).toMatch(/^ref-/)
    await world.clearRequests()
    const recent = await runCli(['refresh', '--if-older-than', '1h'], { home, env })
    expect([recent.code, recent.stdout, await sentByUs(world)]).toStrictEqual([0, '', []])
    expectFailure(await runCli(['refresh', '--if-older-than', 'soon'], { home, env }), 2, 'USAGE')
  })

  test('lease: enough for call elsewhere, but not for a refresh', async () => {
    const { account, home, env } = await logIn(world)
    const { stdout, stderr, code } = await runCli(['lease'], { home, env })
    expect(code).toBe(0)
    expect(stderr).toContain('lease valid for')
    const lease = parse(stdout)
    expect(Object.keys(lease).sort()).toStrictEqual([
      'ATPROTO_OAUTH_ACCESS_TOKEN',
      'ATPROTO_OAUTH_DID',
      'ATPROTO_OAUTH_DPOP_PRIVATE_JWK',
      'ATPROTO_OAUTH_PDS_ISSUER',
    ])
    const there = await runCli(GET_SESSION, { home: await newHome(), env: { ...lease, CI: 'true' } })
    expect(JSON.parse(there.stdout)).toMatchObject({ did: account.did })
  })

  test('status: the facts, offline; --warn-days', async () => {
    const { account, home } = await logInTo(() => ['store'])
    await world.clearRequests()
    const { stdout } = await runCli(['status', '--json'], { home })
    const status = JSON.parse(stdout)
    expect(status).toMatchObject({ state: 'alive', did: account.did, handle: account.handle, pds: world.pdsUrl })
    expect(status.absoluteDeadline - status.createdAt).toBe(14 * 86_400_000)
    const table = (await runCli(['status'], { home })).stdout
    expect(table).toContain(account.handle)
    expect(table).toMatch(/^access token +expires in \d+ minutes$/m)
    expect(table).toMatch(/^ends +in 13 days$/m)
    expect(table).not.toMatch(/\d{4}-\d\d-\d\dT/)
    expect((await runCli(['status', '--warn-days', '10'], { home })).code).toBe(0)
    const near = await runCli(['status', '--warn-days', '15'], { home })
    expect(near.code).toBe(11)
    expect(near.stderr).toMatch(/ends in 13 days \[DEADLINE_NEAR\]/)
    // Only the handle is looked up: it may be another account's by now.
    const others = (await sentByUs(world)).filter((sent) => !/^GET (?:plc \/did:|pds .*resolveHandle$)/.test(sent))
    expect(others).toStrictEqual([])
    const nowhere = { ATPROTO_OAUTH_PLC_URL: 'http://127.0.0.1:1', ATPROTO_OAUTH_HANDLE_RESOLVER: 'http://127.0.0.1:1' }
    const offline = await runCli(['status'], { home, env: nowhere })
    expect([offline.code, offline.stdout]).toStrictEqual([0, expect.stringContaining(account.handle)])
  })

  test('revoke ends the session, at the server and here', async () => {
    const { home, env } = await logIn(world)
    expect((await runCli(GET_SESSION, { home, env })).code).toBe(0)
    const copy = await newHome()
    const lease = parse((await runCli(['lease'], { home, env })).stdout)
    const revoked = await runCli(['revoke'], { home, env })
    expect([revoked.code, revoked.stdout]).toStrictEqual([0, ''])
    expect(revoked.stderr).toContain('deleted it here')
    expectFailure(await runCli(GET_SESSION, { home }), 5, 'SESSION_MISSING')
    expect((await runCli(GET_SESSION, { home: copy, env: lease })).code).not.toBe(0)
    expectFailure(await runCli(GET_SESSION, { home, env }), 5, 'SESSION_DEAD')
  })
})
