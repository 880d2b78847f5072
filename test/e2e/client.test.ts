/** Issue 6: from nothing to a session of one's own client, by the commands that the tool prints. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { type Home, runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld, uniqueHandle } from '../world/world.ts'
import { CONSENT, expectFailure, newHome } from './support.ts'

const world = connectWorld()
const SCOPE = 'atproto transition:generic'
const newHost = () => uniqueHandle('bot').replace('.test', '.fake.dev')

/** The commands that a person would paste, by their names. */
function printedCommand(stderr: string, name: string): string {
  const line = stderr.split('\n').find((text) => text.startsWith(`  atproto-oauth ${name}`))
  if (line === undefined) throw new Error(`no ${name} in ${stderr}`)
  return line.trim()
}

const source = (...files: string[]) => `set -a; ${files.map((file) => `. ./${file}; `).join('')}set +a`

/** `client new … > client.env`, and its folder on a static host. */
async function published(
  kind: string,
): Promise<{ home: Home; said: string; env: Record<string, string>; host: string }> {
  const home = await newHome()
  const host = newHost()
  const script = `umask 077; atproto-oauth client new --origin https://${host}/bot --out site/bot ${kind} > client.env`
  const made = await runShell(script, { home })
  expect(made).toMatchObject({ code: 0, stdout: '' })
  return { home, host, said: made.stderr, env: await world.publish(host, join(home.path, 'site')) }
}

describe('whole way on the real PDS, with nothing but what `client new` wrote and said', () => {
  test.each([
    ['--confidential', 'confidential'],
    ['--native', 'public'],
  ])('client new %s', async (flags, kind) => {
    const { home, host, said, env } = await published(flags)
    const account = await world.createAccount()
    const shell = (script: string, stdin?: string) =>
      runShell(`${source('client.env')}\n${script}`, { home, env, stdin })

    const checked = await shell(printedCommand(said, 'client check'))
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('no problems found') })
    expect(checked.stdout).toContain(`kind       ${kind}`)

    const started = await shell(printedCommand(said, 'init').replace('alice.bsky.social', account.handle))
    expect(started).toMatchObject({ code: 0 })
    const callback = await signIn(started.stdout.trim(), account, CONSENT)
    const page = flags === '--native' ? 'http://127.0.0.1/callback' : `https://${host}/bot/callback/`
    expect(callback.split('?')[0]).toBe(page)

    const completed = await shell(`umask 077; ${printedCommand(started.stderr, 'complete')} > session.env`, callback)
    expect(completed).toMatchObject({ code: 0 })
    const call = printedCommand(completed.stderr, 'call')
    expect(await shell(`${source('session.env')}\n${call}`)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(account.did),
    })
    const refreshed = await shell(`${source('session.env')}\natproto-oauth refresh && atproto-oauth status --json`)
    expect(refreshed).toMatchObject({ code: 0 })
    const { kid } = JSON.parse(parse(await readFile(join(home.path, 'client.env')))['ATPROTO_OAUTH_CLIENT_JWK'] ?? '{}')
    expect(JSON.parse(refreshed.stdout).clientKey?.kid).toBe(kid)
    expect(kid !== undefined).toBe(kind === 'confidential')
  })

  test('16.7 after a second key the old session lives on with the first, and a new one has the second', async () => {
    const { home, said, env } = await published('--confidential')
    const account = await world.createAccount()
    const logIn = async (key: string, session: string) => {
      const shell = (script: string, stdin?: string) => runShell(`${source(key)}\n${script}`, { home, env, stdin })
      const started = await shell(printedCommand(said, 'init').replace('alice.bsky.social', account.handle))
      const callback = await signIn(started.stdout.trim(), account, CONSENT)
      expect(await shell(`umask 077; atproto-oauth complete > ${session}`, callback)).toMatchObject({ code: 0 })
    }
    // Both before the server has seen the document, which it remembers.
    const add = 'umask 077; atproto-oauth client new --add-key --out site/bot > second.env'
    expect(await runShell(add, { home })).toMatchObject({ code: 0 })
    await logIn('client.env', 'first-session.env')
    await logIn('second.env', 'second-session.env')
    for (const [key, session] of [
      ['client.env', 'first-session.env'],
      ['second.env', 'second-session.env'],
    ] as const) {
      const script = `${source(key, session)}\natproto-oauth refresh`
      expect(await runShell(script, { home, env })).toMatchObject({ code: 0 })
    }
    const wrong = await runShell(`${source('second.env', 'first-session.env')}\natproto-oauth refresh`, { home, env })
    expectFailure(wrong, 2, 'CREDENTIALS_MISMATCH')
  })
})

describe('client new', () => {
  const ORIGIN = 'https://bot.fake.dev'
  const make = (home: Home, ...flags: string[]) => runCli(['client', 'new', '--origin', ORIGIN, ...flags], { home })
  const folderOf = (home: Home) => join(home.path, 'oauth-client')
  const read = (home: Home, name = 'oauth-client-metadata.json') => readFile(join(folderOf(home), name), 'utf8')

  test('writes two public files, and no secret into either', async () => {
    const home = await newHome()
    const script = `umask 077; atproto-oauth client new --origin ${ORIGIN} --confidential`
    const { stdout } = await runShell(script, { home })
    const { d } = JSON.parse(parse(stdout)['ATPROTO_OAUTH_CLIENT_JWK']!)
    const files = await readdir(folderOf(home), { recursive: true })
    expect(files.sort()).toStrictEqual(['callback', 'callback/index.html', 'oauth-client-metadata.json'])
    for (const name of ['oauth-client-metadata.json', 'callback/index.html']) {
      expect((await stat(join(folderOf(home), name))).mode & 0o777).toBe(0o644)
      expect(await read(home, name)).not.toContain(d)
    }
    expect((await stat(join(folderOf(home), 'callback'))).mode & 0o777).toBe(0o755)
    expect(await read(home, 'callback/index.html')).toBe(await readFile('oauth-templates/callback/index.html', 'utf8'))
  })

  test('saves the key where it is told, once, and never into the folder', async () => {
    const home = await newHome()
    const inside = await make(home, '--confidential', '--save', 'file:oauth-client/client.env')
    expectFailure(inside, 2, 'USAGE')
    expectFailure(await make(home, '--confidential', '--save', 'store'), 2, 'USAGE')
    const redirected =
      'mkdir -p oauth-client; atproto-oauth client new --confidential > oauth-client/client.env --origin'
    expect(await runShell(`${redirected} ${ORIGIN}`, { home })).toMatchObject({ code: 2 })
    expect(await readFile(join(folderOf(home), 'client.env'), 'utf8')).toBe('')

    const saved = await make(home, '--confidential', '--save', 'file:client.env')
    expect(saved).toMatchObject({ code: 0, stdout: '' })
    const file = join(home.path, 'client.env')
    const { kid } = JSON.parse(parse(await readFile(file))['ATPROTO_OAUTH_CLIENT_JWK']!)
    expect(JSON.parse(await read(home)).jwks.keys[0].kid).toBe(kid)
    expect((await stat(file)).mode & 0o777).toBe(0o600)

    const before = await read(home)
    const second = await runCli(['client', 'new', '--add-key', '--save', 'file:client.env'], { home })
    expectFailure(second, 10, 'SAVE_FAILED')
    const unseen = await runCli(['client', 'new', '--add-key', '--save', 'exec:cat > client.env'], { home })
    expectFailure(unseen, 2, 'USAGE')
    expect(await read(home)).toBe(before)
    expect(JSON.parse(parse(await readFile(file))['ATPROTO_OAUTH_CLIENT_JWK']!).kid).toBe(kid)
  })

  test('warns of a file that other users can read', async () => {
    const home = await newHome()
    const script = `umask 022; atproto-oauth client new --origin ${ORIGIN} --confidential > client.env`
    expect((await runShell(script, { home })).stderr).toContain('can read the credentials file')
  })

  test('a key that cannot be handed out is not published', async () => {
    const home = await newHome()
    expectFailure(await make(home, '--confidential', '--save', 'exec:false'), 10, 'SAVE_FAILED')
    expect(await readdir(folderOf(home))).not.toContain('oauth-client-metadata.json')
  })
})

describe('client check', () => {
  test('5.2, 5.5, 5.7 finds what a static host and a hand have spoilt', async () => {
    const { home, host, env } = await published('--confidential')
    const clientId = `https://${host}/bot/oauth-client-metadata.json`
    const file = join(home.path, 'site/bot/oauth-client-metadata.json')
    const document = JSON.parse(await readFile(file, 'utf8'))
    const { token_endpoint_auth_method: _, ...spoilt } = document
    const private_ = JSON.parse(parse(await readFile(join(home.path, 'client.env')))['ATPROTO_OAUTH_CLIENT_JWK']!)
    await writeFile(file, JSON.stringify({ ...spoilt, jwks: { keys: [private_] } }))
    const check = (...args: string[]) => runCli(['client', 'check', ...args], { home, env })

    const broken = await check(clientId)
    expect(broken).toMatchObject({ code: 4, stderr: expect.stringContaining('[CLIENT_BROKEN]') })
    expect(broken.stdout).toMatch(
      /token_endpoint_auth_method must be none or private_key_jwt[\s\S]*servers then assume[\s\S]*fix: /,
    )
    expect(broken.stdout).toContain('jwks.keys[0] is a private key')
    expect(broken.stdout + broken.stderr).not.toContain(private_.d)

    const asJson = await check(clientId, '--json')
    expect(JSON.parse(asJson.stdout).findings.map(({ level }: { level: string }) => level)).toStrictEqual([
      'error',
      'error',
    ])
    expect(JSON.parse(asJson.stderr)).toMatchObject({ code: 'CLIENT_BROKEN', exit: 4, session: 'none' })

    expect((await check(`https://${host}/bot/callback`)).stdout).toContain('the document redirects to')
  })

  test('26.7, 26.8 two keys with one kid are an error, and the name on the consent screen is said', async () => {
    const { home, host, env } = await published('--confidential')
    const clientId = `https://${host}/bot/oauth-client-metadata.json`
    const add = 'umask 077; atproto-oauth client new --add-key --out site/bot > second.env'
    const added = await runShell(add, { home })
    expect(added.stderr).toContain('Use the new key after that, and the earlier one until then.')
    const file = join(home.path, 'site/bot/oauth-client-metadata.json')
    const document = JSON.parse(await readFile(file, 'utf8'))
    const [first, second] = document.jwks.keys
    const check = () => runCli(['client', 'check', clientId], { home, env })
    const good = await check()
    expect(good.code, good.stdout).toBe(0)
    expect(good.stdout).toContain(`shown as   ${clientId} (on the reference PDS, unless it trusts the client)`)
    await writeFile(file, JSON.stringify({ ...document, jwks: { keys: [first, { ...second, kid: first.kid }] } }))
    const broken = await check()
    expect(broken).toMatchObject({ code: 4, stderr: expect.stringContaining('[CLIENT_BROKEN]') })
    expect(broken.stdout).toContain(`jwks has several keys with the kid ${first.kid}`)
  })

  test('a loopback client_id needs no host', async () => {
    const args = ['client', 'check', `http://localhost?${new URLSearchParams({ scope: SCOPE })}`]
    const home = await newHome()
    expect(await runCli(args, { home })).toMatchObject({ code: 0, stdout: expect.stringContaining('loopback') })
  })
})
