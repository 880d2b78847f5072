/** A second sign-in of an account: what is said of the first session, and what becomes of it at the real servers. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { type Home, runCli } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, GENERIC, newHome } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']

async function signIn(account: Account, home: Home, args: readonly string[], scope = GENERIC) {
  const stdin = await callbackFor(account, home, { scope })
  const result = await runCli(['complete', ...args], { home, stdin })
  expect(result.code, result.stderr).toBe(0)
  return result
}

test('in the store: told by init, replaced by --replace', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  await signIn(account, home, ['--save', 'store'])
  const started = await runCli(['init', account.handle, '--scope', 'atproto'], { home })
  expect(started.stderr).toContain(`${account.handle} already has a session here: in the per-user store, signed in `)

  const second = await signIn(account, home, ['--save', 'store'], 'atproto')
  expect(second.stderr).toContain('and allows more than the new one: transition:generic')
  const hint = `revoke --others --account ${account.handle}`
  expect(second.stderr).toContain(hint)

  const third = await signIn(account, home, ['--save', 'store', '--replace'])
  expect(third.stderr.match(/revoked an earlier session of /g)).toHaveLength(2)
  expect((await runCli(GET_SESSION, { home })).code).toBe(0)
  expect((await runCli(hint.split(' '), { home })).stderr).toContain('no other session')
})

test('in a file: the tokens that are overwritten are revoked, and not the new ones', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const file = join(home.path, 'session.env')
  const args = ['--save', `file:${file}`]
  await signIn(account, home, args)
  const first = parse(await readFile(file, 'utf8'))
  const second = await signIn(account, home, args, 'atproto')
  expect(second.stderr).toMatch(new RegExp(`\\(in file:${file}.*\\) was not revoked; .*: transition:generic`))
  expect(second.stderr).toContain('The new session has overwritten its tokens.')
  expect((await runCli(['refresh'], { home: await newHome(), env: first })).code).toBe(0)

  const replaced = parse(await readFile(file, 'utf8'))
  const third = await signIn(account, home, [...args, '--replace'])
  expect(third.stderr).toContain(`revoked an earlier session of ${account.handle} (in file:${file}`)
  expectFailure(await runCli(['refresh'], { home: await newHome(), env: replaced }), 5, 'SESSION_DEAD')
  const env = parse(await readFile(file, 'utf8'))
  expect((await runCli([...GET_SESSION, ...args], { home, env })).code).toBe(0)
})

test('in the variables: --replace, then status knows it while they are set', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { stdout } = await signIn(account, home, ['--format', 'bundle'])
  const env = { ATPROTO_OAUTH_SESSION: stdout.trim() }
  const stdin = await callbackFor(account, home)
  const second = await runCli(['complete', '--save', 'store', '--replace'], { home, env, stdin })
  expect(second.stderr).toMatch(
    /revoked an earlier session of .* \(in the environment.*; unset ATPROTO_OAUTH_SESSION\n/,
  )
  const status = await runCli(['status'], { home, env })
  expect(status).toMatchObject({ code: 0, stdout: expect.stringContaining('ended (revoked here ') })
  expect(status.stderr).toContain('Unset ATPROTO_OAUTH_SESSION to use the session in the per-user store.')
  expectFailure(await runCli(GET_SESSION, { home, env }), 5, 'SESSION_DEAD')
  expectFailure(await runCli(['refresh'], { home: await newHome(), env }), 5, 'SESSION_DEAD')
  expect((await runCli(GET_SESSION, { home })).code).toBe(0)

  expect(await runCli(['revoke'], { home })).toMatchObject({ code: 0 })
  const after = await runCli(['status'], { home })
  expectFailure(after, 5, 'SESSION_MISSING')
  expect(after.stderr).toContain(`the session of ${account.handle} (${account.did}) was revoked here `)
})
