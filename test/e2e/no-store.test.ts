/** `--no-store` on the real PDS: the refresh token is where it was saved, and in no file of the user besides. */
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { findRefreshTokens, findSecrets } from '../support/scan.ts'
import { type CliResult, type Home, runCli, runShell, spawnCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, GENERIC, logIn, newHome, sentByUs } from './support.ts'
import { newVault } from './vault-support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']
const PRELOAD = new URL('../sockets/kill-at.mjs', import.meta.url).href

type Variables = Readonly<Record<string, string>>

const tokenOf = (variables: Variables) => variables['ATPROTO_OAUTH_REFRESH_TOKEN']!
const tokenRequests = async () =>
  (await sentByUs(world)).filter((line) => line.startsWith('POST')).filter((line) => line.endsWith('/oauth/token'))

/** Puts more after the flags. */
type Words = (args: readonly string[]) => readonly string[]

interface Saved {
  readonly home: Home
  readonly options: { readonly home: Home; readonly env: Record<string, string> }
  /** The flags that save to a place outside the home. */
  readonly save: readonly string[]
  readonly path: string
  /** What was saved last. */
  now(): Promise<Variables>
  /** With the credentials that were saved last, or others. */
  run(args: readonly string[], variables?: Variables, words?: Words): Promise<CliResult>
}

async function savedTo(kind: 'file' | 'exec', home: Home): Promise<Saved> {
  const path = join((await newHome()).path, 'session.env')
  const env = { TMPDIR: join(home.path, 'tmp') }
  await mkdir(env.TMPDIR, { mode: 0o700, recursive: true })
  const save = ['--save', kind === 'file' ? `file:${path}` : `exec:cat > ${path}`, '--no-store']
  const now = async () => parse(await readFile(path, 'utf8'))
  const run = async (args: readonly string[], variables?: Variables, words: Words = (all) => all) =>
    runCli(words([...args, ...save]), { home, env: { ...env, ...(variables ?? (await now())) } })
  return { home, options: { home, env }, save, path, now, run }
}

/** As if an hour had passed. */
async function expire({ state }: Home): Promise<void> {
  const folder = join(state, 'sessions')
  for (const name of (await readdir(folder)).filter((each) => each.endsWith('.json'))) {
    const path = join(folder, name)
    const record = { ...JSON.parse(await readFile(path, 'utf8')), accessTokenExpiresAt: Date.now() - 1000 }
    await writeFile(path, JSON.stringify(record))
  }
}

/** A new session whose credentials are in the target. */
async function begin(kind: 'file' | 'exec') {
  const { account, home, env: first } = await logIn(world)
  const saved = await savedTo(kind, home)
  await writeFile(saved.path, '', { mode: 0o600 })
  expect(await saved.run(['refresh'], first)).toMatchObject({ code: 0 })
  return { ...saved, account, first }
}

describe.each(['file', 'exec'] as const)('%s', (kind) => {
  test('a login, calls and refreshes leave no refresh token in any other file', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const { options, save, now, run, path } = await savedTo(kind, home)
    const callback = await callbackFor(account, home)
    const completed = await runCli(['complete', callback, ...save], options)
    expect(completed).toMatchObject({ code: 0, stdout: '' })
    expect(completed.stderr).toContain(`--no-store`)
    const tokens = [tokenOf(await now())]
    for (const args of [
      GET_SESSION,
      ['refresh'],
      GET_SESSION,
      ['lease'],
      ['proof', 'GET', `${world.pdsUrl}/xrpc/com.atproto.server.getSession`],
    ]) {
      const result = await run(args)
      expect(result.code, result.stderr).toBe(0)
      if (args[0] === 'refresh') expect(result.stderr).toContain(`refreshed, saved to ${save[1]}\n`)
      tokens.push(tokenOf(await now()))
      expect(await findSecrets([home.path], tokens)).toStrictEqual([])
    }
    // The first call, and the refresh: the others used the access token.
    expect(new Set(tokens)).toHaveLength(3)
    expect(await findSecrets([path.replace(/[^/]+$/, '')], tokens.slice(-1))).not.toStrictEqual([])

    const [status, accounts] = [await runCli(['status'], options), await runCli(['accounts'], options)]
    expect(status.stdout).toMatch(/^refresh token +only where it was saved to$/m)
    expect(accounts.stdout).toContain('save target')
    expect((await runCli(['whoami'], options)).stdout).toContain(`refresh token only in ${save[1]}`)
    expect(JSON.parse((await runCli(['status', '--json'], options)).stdout)).toMatchObject({ tokenElsewhere: true })
    const known = await runCli(['status', '--json'], { ...options, env: { ...options.env, ...(await now()) } })
    expect(JSON.parse(known.stdout)).toMatchObject({ tokenElsewhere: false, state: 'alive' })
    expect((await runCli(['doctor'], options)).stdout).toContain(`its refresh token is in ${save[1]} only`)
  })

  test('two processes at once with the same credentials: one refreshes', async () => {
    const { now, run, home, account } = await begin(kind)
    const current = await now()
    await expire(home)
    for (const { code, stderr } of await Promise.all([run(GET_SESSION, current), run(GET_SESSION, current)])) {
      expect(code, stderr).toBe(0)
    }
    const newest = await now()
    expect(Number(newest['ATPROTO_OAUTH_ROTATION'])).toBe(Number(current['ATPROTO_OAUTH_ROTATION']) + 1)
    expect(JSON.parse((await run(GET_SESSION, current)).stdout).did).toBe(account.did)
    expect(await findSecrets([home.path], [tokenOf(current), tokenOf(newest)])).toStrictEqual([])

    // Later, with the token that the other one has spent.
    await expire(home)
    const later = await run(GET_SESSION, current)
    if (kind === 'file') expect(later.code, later.stderr).toBe(0)
    else expectFailure(later, 2, 'CREDENTIALS_INCOMPLETE', 'alive')
    expect((await run(GET_SESSION)).code).toBe(0)
  })
})

/** It is as many hours later as the file `hours` has bytes. */
const LATER = `--import=data:text/javascript,${encodeURIComponent(`import { statSync } from 'node:fs'
  const now = Date.now
  Date.now = () => now() + statSync('hours').size * 3_600_000`)}`

describe.each(['file', 'exec'] as const)('other commands, with %s', (kind) => {
  test('a login at the browser leaves no refresh token in the store, and the next command has it', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const { options, save, now, run } = await savedTo(kind, home)
    const child = spawnCli(['login', account.handle, '--no-open', '--scope', GENERIC, ...save], options)
    const stdout = buffer(child.stdout)
    const closed = once(child, 'close')
    let stderr = ''
    let back: Promise<unknown> | undefined
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      stderr += piece
      const [url] = /http:\S+\/oauth\/authorize\S+/.exec(stderr) ?? []
      if (url && !back && stderr.includes('continues when the browser returns')) {
        back = signIn(url, account, CONSENT).then((to) => fetch(to))
      }
    })
    expect([(await closed)[0], (await stdout).toString()], stderr).toStrictEqual([0, ''])
    await back
    expect(stderr).toContain('--no-store')
    const first = tokenOf(await now())
    expect(await findSecrets([home.path], [first])).toStrictEqual([])
    expect(JSON.parse((await run(GET_SESSION)).stdout).did).toBe(account.did)
    expect(await findSecrets([home.path], [first, tokenOf(await now())])).toStrictEqual([])
  })

  test('an import leaves no refresh token in the store', async () => {
    const [{ home: other, env }, home] = [await logIn(world), await newHome()]
    const exported = await runCli(['export'], { home: other, env })
    expect(exported.code, exported.stderr).toBe(0)
    const { options, save, now, run } = await savedTo(kind, home)
    const args = ['import', '--client-id', env['ATPROTO_OAUTH_CLIENT_ID']!, ...save]
    const imported = await runCli(args, { ...options, stdin: exported.stdout })
    expect([imported.code, imported.stdout], imported.stderr).toStrictEqual([0, ''])
    const tokens = [tokenOf(await now())]
    expect(await findSecrets([home.path], tokens)).toStrictEqual([])
    for (const args of [GET_SESSION, ['refresh'], GET_SESSION]) {
      const result = await run(args)
      expect(result.code, result.stderr).toBe(0)
      tokens.push(tokenOf(await now()))
      expect(await findSecrets([home.path], tokens)).toStrictEqual([])
    }
  })

  test('a program that runs past two access tokens: each new refresh token goes to the target alone', async () => {
    const { home, run, now } = await begin(kind)
    const before = await now()
    const program = `
      const { appendFileSync } = require('node:fs')
      const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_HANDLE: identifier, ATPROTO_OAUTH_RUN_PASSWORD: password } = process.env
      const send = async (method, nsid, token, body) => {
        const headers = { 'content-type': 'application/json', ...(token && { authorization: 'Bearer ' + token }) }
        const response = await fetch(url + '/xrpc/' + nsid, { method, headers, ...(body && { body: JSON.stringify(body) }) })
        if (response.status !== 200) throw new Error(response.status + await response.text())
        return response.json()
      }
      const work = async () => {
        for (const _ of [1, 2]) {
          appendFileSync('hours', 'x')
          const { accessJwt } = await send('POST', 'com.atproto.server.createSession', undefined, { identifier, password })
          await send('GET', 'com.atproto.repo.listRecords?collection=a.b.c&repo=' + identifier, accessJwt)
        }
      }
      work().catch((error) => { console.error(error); process.exit(1) })`
    await writeFile(join(home.path, 'program.cjs'), program)
    const flags = (args: readonly string[]) => [...args, '--', process.execPath, 'program.cjs']
    await writeFile(join(home.path, 'hours'), '')
    const result = await run(['run'], { ...before, NODE_OPTIONS: LATER }, flags)
    expect(result.code, result.stderr).toBe(0)
    const after = await now()
    expect(Number(after['ATPROTO_OAUTH_ROTATION'])).toBe(Number(before['ATPROTO_OAUTH_ROTATION']) + 2)
    expect(await findSecrets([home.path], [tokenOf(before), tokenOf(after)])).toStrictEqual([])
    expect(await findRefreshTokens([home.path])).toStrictEqual([])
    expect((await run(['refresh'])).code).toBe(0)
  })
})

test('killed between response and delivery, the next run delivers it, and removes it from the store', async () => {
  const { home, options, path, now, first } = await begin('exec')
  const current = await now()
  await writeFile(`${path}.armed`, '')
  // The first time it gets the token that was good before.
  const kills = `exec:cat > ${path}.new; if [ -e ${path}.armed ] && ! cmp -s ${path}.new ${path}; then rm ${path}.armed; kill -9 $PPID; exit 1; fi; mv ${path}.new ${path}`
  const args = ['refresh', '--save', kills, '--no-store']
  const killed = await runCli(args, { ...options, env: { ...options.env, ...current } })
  expect(killed.signal).toBe('SIGKILL')
  expect(await now()).toStrictEqual(current)
  const newest = tokenOf(parse(await readFile(`${path}.new`, 'utf8')))
  expect(await findSecrets([home.state], [newest])).not.toStrictEqual([])

  // Without flags, and with the oldest token of all.
  const next = await runCli(GET_SESSION, { ...options, env: { ...options.env, ...first } })
  expect(next.code, next.stderr).toBe(0)
  expect(next.stderr).toContain('the newest credentials were not saved to exec:')
  expect(tokenOf(await now())).toBe(newest)
  expect(await findSecrets([home.path], [newest, tokenOf(current)])).toStrictEqual([])
})

test('without the token: the access token serves, and what needs more says where it is', async () => {
  const { options, now, run, first, save, account } = await begin('exec')
  expect((await runCli(GET_SESSION, options)).code).toBe(0)
  await world.clearRequests()
  const others = [
    ['refresh'],
    ['refresh', '--format', 'dotenv'],
    ['export'],
    ['revoke'],
    ['revoke', '--account', account.did],
  ]
  for (const variables of [{}, first]) {
    for (const args of others) {
      const failed = await runCli(args, { ...options, env: { ...options.env, ...variables } })
      expectFailure(failed, 2, 'CREDENTIALS_INCOMPLETE', 'alive')
      expect(failed.stderr).toContain(`it was saved to ${save[1]} only; nothing was sent`)
      const again = args.includes('--account') ? 'without --account' : 'again'
      const hint = `hint: set the variables to the credentials in ${save[1]}, then run the same command ${again}\n`
      expect(failed.stderr).toContain(hint)
    }
  }
  expect(await tokenRequests()).toStrictEqual([])
  expect((await run(GET_SESSION)).code).toBe(0)
  const revoked = await runCli(['revoke'], { ...options, env: { ...options.env, ...(await now()) } })
  expect(revoked.code, revoked.stderr).toBe(0)
  expect(revoked.stderr).toContain(save[1])
})

test('a file: its hint works when pasted, and revoke reads it', async () => {
  const { options, path } = await begin('file')
  const failed = await runCli(['refresh'], options)
  expectFailure(failed, 2, 'CREDENTIALS_INCOMPLETE', 'alive')
  const [, command] = /^atproto-oauth: hint: load it, .*: (set -a; .*)$/m.exec(failed.stderr) ?? []
  expect(command).toBe(`set -a; . ${path}; set +a`)
  expect((await runCli(['revoke'], options)).code).toBe(0)
  expectFailure(
    await runCli(GET_SESSION, { ...options, env: { ...options.env, ...parse(await readFile(path)) } }),
    5,
    'SESSION_DEAD',
    'dead',
  )
})

test('a session of the store loses its refresh token with the next call', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { options, save, now } = await savedTo('file', home)
  expect(await runCli(['complete', '--save', 'store', await callbackFor(account, home)], options)).toMatchObject({
    code: 0,
  })
  await world.clearRequests()
  const called = await runCli([...GET_SESSION, ...save], options)
  expect(called.code, called.stderr).toBe(0)
  expect(await tokenRequests()).toStrictEqual([])
  expect(await findSecrets([home.path], [tokenOf(await now())])).toStrictEqual([])
})

test('what cannot be printed is where it was saved, and not in the store', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { options, save, now } = await savedTo('file', home)
  const words = ['complete', await callbackFor(account, home), ...save, '--format', 'dotenv'].map((word) => `'${word}'`)
  const full = await runShell(`atproto-oauth ${words.join(' ')} > /dev/full`, options)
  expectFailure(full, 10, 'SAVE_FAILED', 'alive')
  expect(full.stderr).toContain(`the credentials could not be printed`)
  expect(full.stderr).toContain(`they were saved to ${save[1]}`)
  expect(await findSecrets([home.path], [tokenOf(await now())])).toStrictEqual([])
})

test('revoke --others revokes the others first', async () => {
  const { options, account, home, save } = await begin('exec')
  for (const _ of [1, 2]) {
    const callback = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'store', callback], options)).toMatchObject({ code: 0 })
  }
  const failed = await runCli(['revoke', '--others'], options)
  expectFailure(failed, 2, 'CREDENTIALS_INCOMPLETE', 'alive')
  expect(failed.stderr).toContain(`it was saved to ${save[1]} only`)
  const listed = JSON.parse((await runCli(['accounts', '--json'], options)).stdout)
  expect(listed.map((session: { tokenElsewhere: boolean }) => session.tokenElsewhere).sort()).toStrictEqual([
    false,
    true,
  ])
})

describe('where it makes no sense', () => {
  test('it is an error before anything is sent', async () => {
    const { home, env } = await logIn(world)
    await world.clearRequests()
    const alone = await runCli(['refresh', '--no-store'], { home, env })
    expectFailure(alone, 2, 'USAGE', 'none')
    expect(alone.stderr).toContain('hint: add --save file:PATH')
    for (const args of [
      ['refresh', '--no-store', '--save', 'store'],
      ['complete', '--no-store', '--save', 'store', 'http://127.0.0.1/'],
    ]) {
      const both = await runCli(args, { home, env })
      expectFailure(both, 2, 'USAGE', 'none')
      expect(both.stderr).toContain('--no-store (ATPROTO_OAUTH_NO_STORE) contradicts the target store of --save')
    }
    const set = { ...env, ATPROTO_OAUTH_NO_STORE: '1' }
    expectFailure(await runCli(['refresh'], { home, env: set }), 2, 'SAVE_TARGET_MISSING', 'alive')
    expect(await tokenRequests()).toStrictEqual([])
    expect((await runCli(['status'], { home, env: set })).code).toBe(0)
  })

  test('a vault keeps what it promises anyway, also after a killed refresh', async () => {
    const [vault, account, home] = [await newVault(), await world.createAccount(), await newHome()]
    const env: Variables = { ...vault.env, ATPROTO_OAUTH_NO_STORE: '1', TMPDIR: join(home.path, 'tmp') }
    await mkdir(env['TMPDIR']!, { mode: 0o700 })
    const run = async (args: readonly string[], more: Variables = {}) =>
      runCli(args, { home, env: { ...env, ...more } })
    const completed = await run(['complete', '--save', 'vault', '--no-store', await callbackFor(account, home)])
    expect(completed.code, completed.stderr).toBe(0)
    const inFiles = async () => (await findRefreshTokens([home.path])).filter((line) => !/\/steps$/.test(line))
    const log = join(home.path, 'steps')
    const preloaded = { NODE_OPTIONS: `--import ${PRELOAD}`, CRASH_LOG: log }
    for (const args of [GET_SESSION, ['refresh']]) {
      const { code, stderr } = await run(args, preloaded)
      expect(code, stderr).toBe(0)
      expect(await inFiles()).toStrictEqual([])
    }
    const steps = (await readFile(log, 'utf8')).trimEnd().split('\n')
    const begun = steps.indexOf('exit') + 1
    const sent = steps.findLastIndex((step) => step.startsWith('send ') && step.endsWith('/oauth/token'))
    const killed = await run(['refresh'], { ...preloaded, CRASH_AT: String(sent + 2 - begun) })
    expect(killed.signal).toBe('SIGKILL')
    expect(await inFiles()).toStrictEqual([])
    const next = await run(GET_SESSION)
    expect([0, 5, 6]).toContain(next.code) // what becomes of the session is the matter of other tests
    expect(await inFiles()).toStrictEqual([])
  })
})
