/** A vault beside sessions in variables and in the per-user store. */
import { rm } from 'node:fs/promises'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { runAtTerminal, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, logIn, newHome } from './support.ts'
import { newVault, stored, vaultSession } from './vault-support.ts'

const world = connectWorld()
const CALL = ['call', 'com.atproto.server.getSession']

test('a login into the vault beside a session of the account in the per-user store: the hint revokes that one', async () => {
  const vault = await newVault()
  const { account, home } = await keptInStore(world)
  const stdin = await callbackFor(account, home)
  const saved = await runCli(['complete', '--save', 'vault'], { home, env: vault.env, stdin })
  expect(saved, saved.stderr).toMatchObject({ code: 0 })
  const [, command = ''] = /To revoke it:\n {2}atproto-oauth (.+)\n/.exec(saved.stderr) ?? []
  expect(command).toBe(`revoke --others --account ${account.handle}`)

  const revoked = await runCli(command.split(' '), { home, env: vault.env })
  expect(revoked, revoked.stderr).toMatchObject({ code: 0 })
  expect(revoked.stderr).toContain(`revoked 1 other session of ${account.did}`)
  expect(await stored(vault)).not.toHaveProperty('ended')
  expect(await runCli(CALL, { home, env: vault.env })).toMatchObject({ code: 0 })
  expectFailure(await runCli(CALL, { home }), 5, 'SESSION_MISSING')
})

test('credentials that are printed while a vault is set: commands use the vault, and can move them into it', async () => {
  const vault = await newVault()
  const [account, home] = [await world.createAccount(), await newHome()]
  const stdin = await callbackFor(account, home)
  const printed = await runCli(['complete'], { home, env: vault.env, stdin })
  expect(printed, printed.stderr).toMatchObject({ code: 0 })
  const warning =
    'warning: ATPROTO_OAUTH_VAULT is set: as long as it is, commands use the vault, and not these credentials'
  expect(printed.stderr).toContain(warning)

  const env = { ...parse(printed.stdout), ...vault.env }
  const missing = await runCli(CALL, { home, env })
  expectFailure(missing, 5, 'SESSION_MISSING', 'none')
  expect(missing.stderr).toContain(`no session is in the vault at ${vault.engine.address}`)
  expect(missing.stderr).toContain('atproto-oauth refresh --save vault\n')
  const named = await runCli([...CALL, '--account', account.did], { home, env })
  expect(named.stderr).toContain(`no session of ${account.did} is in the vault at`)
  expect(await runCli(['refresh', '--save', 'vault'], { home, env })).toMatchObject({ code: 0 })
  expect(await runCli(CALL, { home, env })).toMatchObject({ code: 0 })
})

test.skipIf(lacks('script'))('at a terminal complete offers the vault first', async () => {
  const vault = await newVault()
  const [account, home] = [await world.createAccount(), await newHome()]
  const callback = await callbackFor(account, home)
  const answers: [string, string][] = [
    ['Callback URL:', `${callback}\r`],
    ['Where should the credentials go?', '\r'],
  ]
  const { code, screen } = await runAtTerminal('complete', answers, { home, env: vault.env })
  expect(code, screen).toBe(0)
  expect(screen).toContain(`saved to the vault at ${vault.engine.address}`)
  expect(await stored(vault)).toMatchObject({ did: account.did })
})

test('a vault of this machine that is gone: sessions of the per-user store can be used', async () => {
  const vault = await newVault()
  const { home } = await keptInStore(world)
  const used = await runCli(['vault', 'use', vault.engine.address], { home, stdin: vault.env.ATPROTO_OAUTH_VAULT_KEY })
  expect(used, used.stderr).toMatchObject({ code: 0 })
  await rm(vault.repository.folder, { recursive: true })
  const called = await runCli(CALL, { home })
  expect(called, called.stderr).toMatchObject({ code: 0 })
  expect(called.stderr).toContain('only sessions of the per-user store can be used')
  const other = await runCli([...CALL, '--account', (await logIn(world)).account.did], { home })
  expect(other.stderr).toMatch(/\[VAULT_\w+\]/)
})

test('a session is exported from the per-user store and imported back while a vault is set', async () => {
  const vault = await newVault()
  const { home, env } = await logIn(world)
  expect(await runCli(['refresh'], { home, env })).toMatchObject({ code: 0 })
  const clientId = env['ATPROTO_OAUTH_CLIENT_ID']!
  const exported = await runCli(['export'], { home })
  expect(exported, exported.stderr).toMatchObject({ code: 0 })
  const args = ['import', '--client-id', clientId, '--save', 'store']
  const imported = await runCli(args, { home, env: vault.env, stdin: exported.stdout })
  expect(imported, imported.stderr).toMatchObject({ code: 0 })
  expect(await runCli(CALL, { home })).toMatchObject({ code: 0 })
})

test('a session that is moved or imported does not replace another one of the account in the vault', async () => {
  const vault = await newVault()
  const [{ account, home }, second] = [await keptInStore(world), await newHome()]
  const stdin = await callbackFor(account, second)
  expect(await runCli(['complete', '--save', 'vault'], { home: second, env: vault.env, stdin })).toMatchObject({
    code: 0,
  })
  const inVault = await stored(vault)

  const moved = await runCli(['refresh', '--save', 'vault'], { home, env: vault.env })
  expectFailure(moved, 2, 'CREDENTIALS_MISMATCH', 'alive')
  expect(moved.stderr).toContain(`end it first: atproto-oauth revoke --account ${account.handle}`)
  expect(await runCli(CALL, { home })).toMatchObject({ code: 0 })
  const { clientId } = inVault
  const exported = await runCli(['export'], { home })
  const args = ['import', '--client-id', clientId!, '--save', 'vault']
  const imported = await runCli(args, { home, env: vault.env, stdin: exported.stdout })
  expectFailure(imported, 2, 'CREDENTIALS_MISMATCH', 'alive')

  expect(await stored(vault)).toEqual(inVault)
  expect(await runCli(CALL, { home: second, env: vault.env })).toMatchObject({ code: 0 })
  const revoked = await runCli(['revoke', '--account', account.handle], { home, env: vault.env })
  expect(revoked, revoked.stderr).toMatchObject({ code: 0 })
  const again = await runCli(args, { home, env: vault.env, stdin: exported.stdout })
  expect(again, again.stderr).toMatchObject({ code: 0 })
})

test('save targets that are set for all commands stop no status and no revoke of a session in a vault', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  const home = await newHome()
  const env = { ...vault.env, ATPROTO_OAUTH_SAVE: 'file:session.env' }
  const called = await runCli(CALL, { home, env })
  expectFailure(called, 2, 'USAGE', 'alive')
  expect(called.stderr).toContain('omit --save and ATPROTO_OAUTH_SAVE')
  expect(await runCli(['status'], { home, env })).toMatchObject({ code: 0 })
  expect(await runCli(['revoke'], { home, env })).toMatchObject({ code: 0 })
})

test('the key of a vault without its address: the hint is not to sign in', async () => {
  const { ATPROTO_OAUTH_VAULT_KEY } = (await newVault()).env
  const missing = await runCli(CALL, { home: await newHome(), env: { ATPROTO_OAUTH_VAULT_KEY } })
  expectFailure(missing, 5, 'SESSION_MISSING', 'none')
  expect(missing.stderr).toContain('set ATPROTO_OAUTH_VAULT to its address')
})
