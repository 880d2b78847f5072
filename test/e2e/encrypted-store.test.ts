/** An encrypted store, on the real PDS: with a passphrase, and with the keychain of a desktop. */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { filesIn, findSecrets, findTokens } from '../support/scan.ts'
import { lacksSecretService, openSecretService, type SecretService } from '../support/secret-service.ts'
import { type CliResult, type Home, runAtTerminal, runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { CONSENT, expectFailure, GENERIC, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']
const PASSPHRASE = 'correct horse battery staple'
const WITH_PASSPHRASE = { ATPROTO_OAUTH_STORE_KEY: PASSPHRASE }
const PRELOAD = new URL('../sockets/kill-at.mjs', import.meta.url).href

type Env = Readonly<Record<string, string | undefined>>

async function ok(args: readonly string[], home: Home, env: Env, stdin?: string): Promise<CliResult> {
  const result = await runCli(args, { home, env, stdin })
  expect(result.code, result.stderr).toBe(0)
  return result
}

/** @returns the callback URL */
async function begin(account: Account, home: Home, env: Env): Promise<string> {
  const { stdout } = await ok(['init', account.handle, '--scope', GENERIC], home, env)
  return signIn(stdout.trim(), account, CONSENT)
}

/** With a folder for temporary files that can be looked into. */
async function ownFolders(home: Home): Promise<Record<string, string>> {
  const folders = { TMPDIR: join(home.path, 'tmp') }
  for (const path of Object.values(folders)) await mkdir(path, { mode: 0o700, recursive: true })
  return folders
}

/** The tokens and the key of the session, as a command prints them. */
async function secretsOf(home: Home, env: Env): Promise<string[]> {
  const { stdout } = await ok(['refresh', '--format', 'dotenv'], home, env)
  const printed = parse(stdout)
  const key = JSON.parse(printed['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!)
  const lease = parse((await ok(['lease', '--format', 'dotenv'], home, env)).stdout)
  return [printed['ATPROTO_OAUTH_REFRESH_TOKEN']!, lease['ATPROTO_OAUTH_ACCESS_TOKEN']!, key.d]
}

describe('with a passphrase', () => {
  test('a login, calls and refreshes leave no secret in any file; without it nothing is sent', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const env = { ...WITH_PASSPHRASE, ...(await ownFolders(home)) }
    await ok(['config', 'set', 'encrypt-store', 'passphrase'], home, env)
    const callback = await begin(account, home, env)
    expect(await findSecrets([home.path], [new URL(callback).searchParams.get('state')!])).toStrictEqual([])

    // Before the code is sent, as before a token is.
    const before = await sentByUs(world)
    for (const wrong of [undefined, 'another passphrase']) {
      const options = { home, env: { ...env, ATPROTO_OAUTH_STORE_KEY: wrong } }
      expectFailure(
        await runCli(['complete', '--save', 'store'], { ...options, stdin: callback }),
        2,
        'STORE_LOCKED',
        'none',
      )
      expectFailure(await runCli(['init', account.handle], options), 2, 'STORE_LOCKED', 'none')
    }
    expect((await sentByUs(world)).filter((line) => line.startsWith('POST'))).toStrictEqual(
      before.filter((line) => line.startsWith('POST')),
    )
    await ok(['complete', '--save', 'store'], home, env, callback)
    const secrets = await secretsOf(home, env)
    for (const wrong of [undefined, 'another passphrase']) {
      const options = { home, env: { ...env, ATPROTO_OAUTH_STORE_KEY: wrong } }
      for (const args of [
        GET_SESSION,
        ['refresh'],
        ['status'],
        ['revoke'],
        ['proof', 'GET', `${world.pdsUrl}/xrpc/com.atproto.server.getSession`],
      ]) {
        expectFailure(await runCli(args, options), 2, 'STORE_LOCKED')
      }
    }
    expect(JSON.parse((await ok(GET_SESSION, home, env)).stdout).did).toBe(account.did)
    secrets.push(...(await secretsOf(home, env)))
    expect(await findSecrets([home.path], [...secrets, PASSPHRASE])).toStrictEqual([])
    expect((await ok(['doctor'], home, env)).stdout).toContain('1 session')
    const { stdout } = await runCli(['doctor'], { home, env: { ...env, ATPROTO_OAUTH_STORE_KEY: undefined } })
    expect(stdout).toContain('set ATPROTO_OAUTH_STORE_KEY to the passphrase of the store')

    await ok(['config', 'set', 'encrypt-store', 'off'], home, env)
    expect(JSON.parse((await ok(GET_SESSION, home, {})).stdout).did).toBe(account.did)
    expect(await findSecrets([home.path], secrets)).not.toStrictEqual([])
    await ok(['revoke'], home, {})
  })

  test.skipIf(lacks('script'))('at a terminal it is asked for, once in a command', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const set = await runAtTerminal(
      'config set encrypt-store passphrase',
      [
        ['New passphrase of the store:', `${PASSPHRASE}\r`],
        ['Again:', `${PASSPHRASE}\r`],
      ],
      { home },
    )
    expect(set.code, set.screen).toBe(0)
    await ok(['complete', '--save', 'store'], home, WITH_PASSPHRASE, await begin(account, home, WITH_PASSPHRASE))
    const called = await runAtTerminal(
      'call com.atproto.server.getSession',
      [['Passphrase of the store:', `${PASSPHRASE}\r`]],
      { home },
    )
    expect(called.code, called.screen).toBe(0)
    expect(called.screen).toContain(account.did)
    expect(called.screen).not.toContain(PASSPHRASE)
  })
})

describe.skipIf(lacksSecretService())('with GNOME Keyring', () => {
  let service: SecretService
  beforeAll(async () => {
    service = await openSecretService()
  })
  afterAll(() => service.close())

  test('a store is encrypted as it is; locked or gone, nothing is sent, and nothing is lost', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const env = { ...service.env, ...(await ownFolders(home)) }
    await ok(['complete', '--save', 'store'], home, env, await begin(account, home, env))
    const secrets = await secretsOf(home, env)
    expect(await findSecrets([home.path], secrets)).not.toStrictEqual([])
    const pending = await begin(account, home, env)

    await ok(['config', 'set', 'encrypt-store', 'keychain'], home, env)
    expect(await findSecrets([home.path], secrets)).toStrictEqual([])
    expect(JSON.parse((await ok(GET_SESSION, home, env)).stdout).did).toBe(account.did)
    secrets.push(...(await secretsOf(home, env)))
    expect(await findSecrets([home.path], secrets)).toStrictEqual([])

    for (const [away, back, reason] of [
      [service.lock, service.unlock, 'the keychain is locked'],
      [service.stop, service.start, 'there is no keychain that can be used'],
    ] as const) {
      await away()
      const sent = await sentByUs(world)
      for (const args of [GET_SESSION, ['refresh'], ['status'], ['revoke']]) {
        const failed = await runCli(args, { home, env })
        expectFailure(failed, 2, 'STORE_LOCKED')
        expect(failed.stderr).toContain(reason)
      }
      expectFailure(await runCli(['complete'], { home, env, stdin: pending }), 2, 'STORE_LOCKED', 'none')
      expect(await sentByUs(world)).toStrictEqual(sent)
      await back()
      await ok(['refresh'], home, env)
    }
    await ok(['complete', '--save', 'store'], home, env, pending)
  })

  test.skipIf(lacks('script'))('at a terminal the first login that is stored offers it, once', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const complete = async (...answers: (readonly [question: string, answer: string])[]) => {
      const callback = await begin(account, home, service.env)
      const questions = [['Callback URL: ', `${callback}\r`] as const, ...answers]
      const { code, screen } = await runAtTerminal('complete --save store', questions, { home, env: service.env })
      expect(code, screen).toBe(0)
      return screen
    }
    const offer = 'Encrypt what is stored on this machine'
    expect(await complete([offer, 'n\r'])).toContain('atproto-oauth config set encrypt-store keychain')
    expect(await complete()).not.toContain(offer)
    await ok(['config', 'unset', 'encrypt-store'], home, service.env)
    expect(await complete([offer, '\r'])).toMatch(/\d files are encrypted now/)
    expect((await ok(['config', 'get', 'encrypt-store'], home, service.env)).stdout).toBe('keychain\n')
    expect(await findSecrets([home.path], await secretsOf(home, service.env))).toStrictEqual([])
  })

  test('no token or key is in any file of the user, also when killed in the middle of a refresh', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    // With compiled code of its own, which other homes share.
    await rm(join(home.path, '.cache'), { recursive: true })
    // The folders of the system: those of data, cache and settings are apart.
    const env = { ...service.env, ...(await ownFolders(home)), ATPROTO_OAUTH_HOME: undefined }
    await ok(['config', 'set', 'encrypt-store', 'keychain'], home, env)
    const vault = `git:${join((await newHome()).path, 'vault.git')}`
    execFileSync('git', ['init', '--quiet', '--bare', vault.slice('git:'.length)])
    const made = parse((await ok(['vault', 'new', vault, '--format', 'dotenv'], home, env)).stdout)
    await ok(['config', 'unset', 'vault'], home, env)
    await ok(['complete', '--save', 'store'], home, env, await begin(account, home, env))
    const secrets = [...(await secretsOf(home, env)), made['ATPROTO_OAUTH_VAULT_KEY']!]
    expect(secrets.length).toBe(4)
    const expectNone = async (when: string) => {
      expect(await findSecrets([home.path], secrets), when).toStrictEqual([])
      // What was received last is known to nobody: what it looks like has to do.
      expect(await findTokens([home.path]), when).toStrictEqual([])
    }
    const log = join((await newHome()).path, 'steps')
    const preloaded = { ...env, NODE_OPTIONS: `--import ${PRELOAD}`, CRASH_LOG: log }
    await ok(['refresh'], home, preloaded)
    await expectNone('after a refresh')
    const steps = (await readFile(log, 'utf8')).trimEnd().split('\n')
    const sent = steps.findIndex((step) => step.startsWith('send '))
    const written = steps.findIndex((step, at) => at > sent && /^rename .*\/sessions\//.test(step))
    expect([sent, written]).not.toContain(-1)
    const seen = new Set<string>()
    // The first kill loses the session, so it comes last.
    for (let at = steps.length; at > written; at -= 1) {
      const killed = await runCli(['refresh'], { home, env: { ...preloaded, CRASH_AT: String(at) } })
      expect(killed.signal, steps[at - 1]).toBe('SIGKILL')
      await expectNone(`killed before ${steps[at - 1]}`)
      for (const path of await filesIn([home.path])) seen.add(path.slice(home.path.length + 1))
    }
    const folders = {
      data: '.local/share/atproto-oauth',
      cache: '.cache/atproto-oauth',
      config: '.config/atproto-oauth',
    }
    for (const place of [
      ...['sessions/', 'pending/', 'nonces/', 'locks/', 'vaults/'].map((name) => `${folders.data}/${name}`),
      ...['vault.json', 'store-encryption.json'].map((name) => `${folders.data}/${name}`),
      ...['code/', 'refreshes/'].map((name) => `${folders.cache}/${name}`),
      `${folders.config}/config.json`,
    ]) {
      expect(
        [...seen].some((path) => path.startsWith(place)),
        place,
      ).toBe(true)
    }
    expect([...seen].some((path) => /\/sessions\/.*\.tmp$/.test(path))).toBe(true)
  })
})
