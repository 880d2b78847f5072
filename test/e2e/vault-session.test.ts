/** One session for many machines: a vault in a git repository, and homes that share nothing but its address and key. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startGitServer } from '../support/git-server.ts'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, logIn, newHome } from './support.ts'
import { expire, newVault, stored, vaultSession } from './vault-support.ts'

const world = connectWorld()

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
  // The second call needs neither the vault nor the code for it: this machine has seen a good access token.
  const tell = `import Module from 'node:module'
    process.on('exit', () => process.stderr.write(Object.keys(Module._cache).join(' ')))`
  const noGit = { PATH: '/nonexistent', NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` }
  const cached = await runCli(['call', 'com.atproto.server.getSession'], {
    home: other,
    env: { ...vault.env, ...noGit },
  })
  expect(cached).toMatchObject({ code: 0 })
  expect(cached.stderr).toContain('node-vault-open.cjs')
  expect(cached.stderr).not.toMatch(/node-vault-(?:git|redis(?!-address))/)
  const status = await runCli(['status'], { home: other, env: vault.env })
  expect(status.stdout).toContain(`the vault at ${vault.env.ATPROTO_OAUTH_VAULT}`)
})

test('twenty processes with twenty homes, cold and once more over an expiry: one refresh serves all', async () => {
  await using server = await startGitServer()
  const vault = await newVault(server)
  await vaultSession(world, vault)
  await expire(vault)
  const homes = await Promise.all(Array.from({ length: 20 }, () => newHome()))
  const args = ['call', 'com.atproto.server.getSession']
  const callAll = async () => {
    const results = await Promise.all(homes.map((each) => runCli(args, { home: each, env: vault.env })))
    expect(results.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toStrictEqual([])
  }
  await callAll()
  expect(await stored(vault)).toMatchObject({ rotation: 1 })
  // The server ends what they have seen, and then what the vault has is expired too.
  expect(await runCli(['refresh'], { home: await newHome(), env: vault.env })).toMatchObject({ code: 0 })
  await expire(vault)
  await callAll()
  expect(await stored(vault)).toMatchObject({ rotation: 3 })
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
  const revoked = await runCli(['revoke'], { home, env: vault.env })
  expect(revoked.stderr).toContain(`revoked the session of ${account.did} in the vault at ${vault.engine.address}`)
  expectFailure(await runCli(['revoke'], { home, env: vault.env }), 5, 'SESSION_MISSING')
  const called = await runCli(['call', 'com.atproto.server.getSession'], { home: await newHome(), env: vault.env })
  expectFailure(called, 5, 'SESSION_DEAD')
  expect(called.stderr).toContain(`init ${account.did}`)
  const begun = await runCli(['init', account.handle], { home, env: vault.env })
  expect(begun.stderr).toMatch(/^ {2}atproto-oauth complete --save vault$/m)
})
