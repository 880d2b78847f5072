/** One session for many machines: a vault in a git repository, and homes that share nothing but its address and key. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SessionRecord } from '../../src/model.ts'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey, type VaultKeys } from '../../src/node/vault/envelope.ts'
import { seal, unseal } from '../../src/node/vault/record.ts'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, logIn, newHome } from './support.ts'

const world = connectWorld()

interface TestVault {
  readonly env: { readonly ATPROTO_OAUTH_VAULT: string; readonly ATPROTO_OAUTH_VAULT_KEY: string }
  readonly engine: VaultEngine
  readonly keys: VaultKeys
}

async function newVault(): Promise<TestVault> {
  const { path } = await newHome()
  const repository = join(path, 'vault.git')
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  const engine = await connectEngine(`git:${repository}`, { environment: process.env, cache: join(path, 'cache') })
  const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }
  const key = createUserKey(random)
  const { keys, text } = await createVault(engine.address, parseUserKey(key), random)
  expect(await engine.swap(VAULT_RECORD, undefined, text)).toBe('won')
  return { env: { ATPROTO_OAUTH_VAULT: engine.address, ATPROTO_OAUTH_VAULT_KEY: key }, engine, keys }
}

async function stored({ engine, keys }: TestVault): Promise<SessionRecord> {
  const [[name, text]] = [...(await engine.list())].filter(([each]) => each !== VAULT_RECORD) as [[string, string]]
  return (await unseal(name, text, keys))!.record.session
}

/** As if an hour had passed. */
async function expire(vault: TestVault): Promise<void> {
  const session = await stored(vault)
  const next = await seal(
    { version: 1, kind: 'session', session: { ...session, accessTokenExpiresAt: Date.now() - 1000 } },
    vault.keys,
  )
  expect(await vault.engine.swap(next.name, await vault.engine.read(next.name), next.text)).toBe('won')
}

test('a login into the vault, and calls from homes that know nothing but its address and key', async () => {
  const vault = await newVault()
  const home = await newHome()
  const account = await world.createAccount()
  const callback = await callbackFor(account, home)
  const saved = await runCli(['complete', '--save', 'vault', callback], { home, env: vault.env })
  expect(saved).toMatchObject({ code: 0, stdout: '' })
  expect(saved.stderr).toContain(`saved to the vault at ${vault.env.ATPROTO_OAUTH_VAULT}`)
  const other = await newHome()
  const called = await runCli(['call', 'com.atproto.server.getSession'], { home: other, env: vault.env })
  expect(called).toMatchObject({ code: 0 })
  expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
  const status = await runCli(['status'], { home: other, env: vault.env })
  expect(status.stdout).toContain(`the vault at ${vault.env.ATPROTO_OAUTH_VAULT}`)
})

test('twenty processes with twenty homes, cold, with an expired access token: one refresh serves all', async () => {
  const vault = await newVault()
  const home = await newHome()
  const account = await world.createAccount()
  const callback = await callbackFor(account, home)
  expect(await runCli(['complete', '--save', 'vault', callback], { home, env: vault.env })).toMatchObject({ code: 0 })
  await expire(vault)
  const homes = await Promise.all(Array.from({ length: 20 }, () => newHome()))
  const args = ['call', 'com.atproto.server.getSession']
  const results = await Promise.all(homes.map((each) => runCli(args, { home: each, env: vault.env })))
  expect(results.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toStrictEqual([])
  expect(await stored(vault)).toMatchObject({ rotation: 1 })
})

test('a session in variables is moved into the vault: no token of it is left here', async () => {
  const vault = await newVault()
  const { account, home, env } = await logIn(world)
  const moved = await runCli(['refresh', '--save', 'vault'], { home, env: { ...env, ...vault.env } })
  expect(moved).toMatchObject({ code: 0, stdout: '' })
  expect(moved.stderr).toContain(`moved the session of ${account.did} into the vault at ${vault.engine.address}`)
  expect(moved.stderr).toContain('delete the session from the variables ATPROTO_OAUTH_REFRESH_TOKEN and')
  expect(await stored(vault)).toMatchObject({ did: account.did, rotation: 1 })
  const { refreshToken, accessToken, dpopPrivateJwk } = await stored(vault)
  const secrets = [refreshToken!, accessToken!, env['ATPROTO_OAUTH_REFRESH_TOKEN']!]
  for (const file of await readdir(home.path, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue
    const content = await readFile(join(file.parentPath, file.name), 'latin1')
    expect(
      secrets.filter((secret) => content.includes(secret)),
      file.name,
    ).toStrictEqual([])
  }
  expect(dpopPrivateJwk.d).toBe(JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d)

  const before = await runCli(['call', 'com.atproto.server.getSession'], { home, env })
  expectFailure(before, 5, 'SESSION_MISSING', 'alive')
  expect(before.stderr).toContain('was moved into the vault')
  const again = await runCli(['refresh', '--save', 'vault'], { home: await newHome(), env: { ...env, ...vault.env } })
  expect(again).toMatchObject({ code: 0 })
  expect(await stored(vault)).toMatchObject({ rotation: 2 })
})

test('the session of the per-user store is moved too, and only there it is gone', async () => {
  const vault = await newVault()
  const { account, home } = await keptInStore(world)
  expect(await runCli(['refresh', '--save', 'vault'], { home, env: vault.env })).toMatchObject({ code: 0 })
  const without = await runCli(['call', 'com.atproto.server.getSession'], { home })
  expectFailure(without, 5, 'SESSION_MISSING', 'alive')
  const called = await runCli(['call', 'com.atproto.server.getSession', '--account', account.did], {
    home,
    env: vault.env,
  })
  expect(called).toMatchObject({ code: 0 })
})

test('a session of the vault has no copies: other targets and formats are usage errors, and nothing is sent', async () => {
  const vault = await newVault()
  const { home } = await logIn(world)
  const refusals = [
    ['complete', '--save', 'vault', '--save', 'store', 'http://127.0.0.1/callback?x'],
    ['refresh', '--save', 'vault', '--format', 'json'],
  ]
  for (const args of refusals) expectFailure(await runCli(args, { home, env: vault.env }), 2, 'USAGE')
  const unset = await runCli(['refresh', '--save', 'vault'], { home })
  expect(unset.code).not.toBe(0)
})

test('what was revoked on one machine has ended on all', async () => {
  const vault = await newVault()
  const { home, env, account } = await logIn(world)
  expect(await runCli(['refresh', '--save', 'vault'], { home, env: { ...env, ...vault.env } })).toMatchObject({
    code: 0,
  })
  expect(await runCli(['revoke'], { home, env: vault.env })).toMatchObject({ code: 0 })
  const called = await runCli(['call', 'com.atproto.server.getSession'], { home: await newHome(), env: vault.env })
  expectFailure(called, 5, 'SESSION_DEAD')
  expect(called.stderr).toContain(`init ${account.did}`)
})
