/** An encrypted store that is locked, copied, or on a disk without room: the reason is said, and nothing is lost. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasTinyDisk, onTinyDisk } from '../node/helpers.ts'
import { findRefreshTokens } from '../support/scan.ts'
import { lacksSecretService, openSecretService, type SecretService } from '../support/secret-service.ts'
import { type CliResult, type Home, runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, GENERIC, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const WITH_PASSPHRASE = { ATPROTO_OAUTH_STORE_KEY: 'correct horse battery staple' }
const GENERATED = { ATPROTO_OAUTH_STORE_KEY: execFileSync('head', ['-c', '32', '/dev/urandom']).toString('base64') }
const canUnshare = spawnSync('unshare', ['-rm', 'true']).status === 0

const LOOPBACK = `http://localhost?${new URLSearchParams({ redirect_uri: 'http://127.0.0.1/callback', scope: GENERIC })}`

type Env = Readonly<Record<string, string | undefined>>

async function ok(args: readonly string[], home: Home, env: Env, stdin?: string): Promise<CliResult> {
  const result = await runCli(args, { home, env, stdin })
  expect(result.code, result.stderr).toBe(0)
  return result
}

/** A session in a store that is encrypted. */
async function encrypted(mode: 'keychain' | 'passphrase', env: Env): Promise<{ home: Home; account: Account }> {
  const [account, home] = [await world.createAccount(), await newHome()]
  await ok(['complete', '--save', 'store'], home, env, await callbackFor(account, home))
  await ok(['config', 'set', 'encrypt-store', mode], home, env)
  return { home, account }
}

async function filesOf({ state }: Home): Promise<string[]> {
  const entries = await readdir(state, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const kept = paths.filter((path) => !/\/(?:locks|vaults\/cache)\//.test(path)).sort()
  return Promise.all(kept.map(async (path) => `${path} ${await readFile(path, 'utf8')}`))
}

describe.skipIf(lacksSecretService())('with GNOME Keyring', () => {
  let service: SecretService
  beforeAll(async () => {
    service = await openSecretService()
  })
  afterAll(() => service.close())
  beforeEach(() => service.unlock())

  test('locked, each command says so, sends nothing and changes nothing', async () => {
    const { env } = service
    const { home, account } = await encrypted('keychain', env)
    const exported = await newHome()
    const other = await callbackFor(await world.createAccount(), exported)
    await ok(['complete', '--save', 'store'], exported, {}, other)
    const session = (await ok(['export'], exported, {})).stdout
    const repository = join(home.path, 'vault.git')
    execFileSync('git', ['init', '--quiet', '--bare', repository])
    await ok(['vault', 'new', `git:${repository}`], home, env)
    await service.lock()
    const refs = () => execFileSync('git', ['-C', repository, 'for-each-ref'], { encoding: 'utf8' })
    const [sent, files, vault] = [await sentByUs(world), await filesOf(home), refs()]
    const commands: (readonly [args: readonly string[], exit?: number, stdin?: string])[] = [
      [['export']],
      [['import', '--save', 'store', '--client-id', LOOPBACK], 2, session],
      [['vault', 'new', `git:${repository}`, '--replace']],
      [['vault', 'check']],
      [['vault', 'list']],
      [['vault', 'key']],
      [['vault', 'rekey']],
      [['config', 'get', 'vault']],
      [['accounts']],
      [['accounts', 'use', account.did]],
      [['status']],
      [['status', '--all']],
      [['whoami']],
      [['lease']],
      [['run', '--', 'true'], 125],
      [['init', account.did]],
      [['config', 'set', 'encrypt-store', 'off']],
    ]
    for (const [args, exit = 2, stdin] of commands) {
      const failed = await runCli(args, { home, env, stdin })
      expect(failed, args.join(' ')).toMatchObject({ code: exit, stdout: '' })
      expect(failed.stderr, args.join(' ')).toMatch(
        /the keychain is locked; nothing was (?:sent|changed) \[STORE_LOCKED\]/,
      )
      expect(failed.stderr, args.join(' ')).toContain('hint: unlock the keychain')
    }
    expect((await runCli(['doctor'], { home, env })).stdout).toContain('the keychain is locked')
    const ours = (lines: readonly string[]) => lines.filter((line) => line.startsWith('POST'))
    expect(ours(await sentByUs(world))).toStrictEqual(ours(sent))
    expect(await filesOf(home)).toStrictEqual(files)
    expect(refs()).toBe(vault)
    await service.unlock()
    expect((await ok(['whoami', '--account', account.did], home, env)).stdout).toContain(account.did)
  })

  test('two stores have an entry each', async () => {
    const { env } = service
    const [one, other] = [await encrypted('keychain', env), await encrypted('keychain', env)]
    await ok(['config', 'set', 'encrypt-store', 'off'], one.home, env)
    await ok(['refresh'], one.home, {})
    await ok(['refresh'], other.home, env)
  })

  test('a copy on another machine needs the keychain; with a passphrase it can be read there', async () => {
    const { env } = service
    const { home, account } = await encrypted('keychain', env)
    const another = await openSecretService()
    try {
      const copy = await newHome()
      await cp(home.state, copy.state, { recursive: true })
      for (const [there, reason] of [
        [{}, 'cannot run secret-tool'],
        [another.env, 'the keychain has no key for this store'],
      ] as const) {
        for (const args of [['whoami'], ['refresh'], ['config', 'set', 'encrypt-store', 'passphrase']]) {
          const failed = await runCli(args, { home: copy, env: { ...there, ...WITH_PASSPHRASE } })
          expectFailure(failed, 2, 'STORE_LOCKED')
          expect(failed.stderr).toContain(reason)
        }
      }
    } finally {
      await another.close()
    }
    await ok(['config', 'set', 'encrypt-store', 'passphrase'], home, { ...env, ...WITH_PASSPHRASE })
    const copy = await newHome()
    await cp(home.state, copy.state, { recursive: true })
    expect((await ok(['whoami'], copy, WITH_PASSPHRASE)).stdout).toContain(account.did)
  })
})

test('a state file is plain, and what is completed from it is encrypted', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  await ok(['config', 'set', 'encrypt-store', 'passphrase'], home, GENERATED)
  const path = join(home.path, 'login.json')
  // Needs no key.
  const { stdout } = await ok(['init', account.handle, '--state-file', path], home, {})
  const callback = await signIn(stdout.trim(), account, CONSENT)
  const complete = ['complete', '--save', 'store', '--state-file', path]
  expectFailure(await runCli(complete, { home, stdin: callback }), 2, 'STORE_LOCKED', 'none')
  await ok(complete, home, GENERATED, callback)
  expect(await findRefreshTokens([home.state])).toStrictEqual([])
  expect((await ok(['whoami'], home, GENERATED)).stdout).toContain(account.did)
})

test.runIf(hasTinyDisk())('a full disk: nothing is sent or lost, and with room the same command goes on', async () => {
  const { home, account } = await encrypted('passphrase', GENERATED)
  const disk = join(home.path, 'disk')
  const inside = `cp -r state disk && export ATPROTO_OAUTH_HOME=${disk}/state && cat /dev/zero > disk/filler
    atproto-oauth refresh; echo $?; atproto-oauth config set encrypt-store off; echo $?; atproto-oauth config get encrypt-store
    rm disk/filler; atproto-oauth config set encrypt-store off; echo $?; unset ATPROTO_OAUTH_STORE_KEY; atproto-oauth whoami`
  const tiny = onTinyDisk(disk).map((word) => `'${word}'`)
  const script = `export -f atproto-oauth; mkdir disk; ${tiny.join(' ')} bash -c '${inside}' 2> errors`
  await world.clearRequests()
  const { stdout } = await runShell(script, { home, env: GENERATED })
  const stderr = await readFile(join(home.path, 'errors'), 'utf8')
  expect(stdout.trimEnd().split('\n'), stderr).toStrictEqual([
    '2',
    '2',
    'passphrase',
    '0',
    expect.stringContaining(account.did),
  ])
  expect(stderr.match(/no space left on device.*\[STORE_UNAVAILABLE\]/g)).toHaveLength(2)
  expect((await sentByUs(world)).filter((line) => line.startsWith('POST'))).toStrictEqual([])
})

test.runIf(canUnshare)('a home that is read-only is read, and neither changed nor used for a refresh', async () => {
  const { home, account } = await encrypted('passphrase', GENERATED)
  const inside = `mount --bind state state && mount -o remount,ro,bind state
    atproto-oauth whoami; atproto-oauth refresh; echo $?; atproto-oauth config set encrypt-store off; echo $?`
  await writeFile(join(home.path, 'inside'), inside)
  const files = await filesOf(home)
  await world.clearRequests()
  const { stdout, stderr } = await runShell('export -f atproto-oauth; unshare -rm bash inside', {
    home,
    env: GENERATED,
  })
  expect(stdout.trimEnd().split('\n'), stderr).toStrictEqual([expect.stringContaining(account.did), '2', '2'])
  expect(stderr.match(/read-only file system.*\[STORE_UNAVAILABLE\]/g), stderr).toHaveLength(2)
  expect(stderr).toContain('nothing was changed [STORE_UNAVAILABLE]')
  expect((await sentByUs(world)).filter((line) => line.startsWith('POST'))).toStrictEqual([])
  expect(await filesOf(home)).toStrictEqual(files)
})
