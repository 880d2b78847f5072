/** A vault beside sessions in variables and in the per-user store. */
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore } from './support.ts'
import { newVault, stored } from './vault-support.ts'

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
