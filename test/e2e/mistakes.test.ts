/** Mistakes with a real PDS, on the built CLI. Those that need no server are in test/cli/mistakes.test.ts. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Home, runCli, runShell } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, newHome } from './support.ts'

const world = connectWorld()
const hintIn = (stderr: string) => /^atproto-oauth: hint: (.+)$/m.exec(stderr)?.[1] ?? ''

describe('after the commands in another order', () => {
  test('call before complete, with a login open: the hint finishes it', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const callback = await callbackFor(account, home)
    for (const args of [['status'], ['refresh'], ['call', 'com.atproto.server.getSession', '--account', account.did]]) {
      const early = await runCli(args, { home })
      expectFailure(early, 5, 'SESSION_MISSING', 'none')
      expect(hintIn(early.stderr)).toBe(`finish the login of ${account.handle}: atproto-oauth complete`)
    }
    const other = await runCli(['status', '--account', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'], { home })
    expect(hintIn(other.stderr)).toMatch(/^atproto-oauth init/)
    const done = await runCli(['complete', '--save', 'store'], { home, stdin: callback })
    expect(done, done.stderr).toMatchObject({ code: 0 })
  })

  test('refresh without the variables of a file: the hint loads the file', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const stdin = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'file:my session.env'], { home, stdin })).toMatchObject({ code: 0 })
    const bare = await runCli(['refresh'], { home })
    expectFailure(bare, 5, 'SESSION_MISSING', 'none')
    const [, load = ''] = /: (set -a; .+)$/.exec(hintIn(bare.stderr)) ?? []
    const loaded = await runShell(`${load}\natproto-oauth refresh --save 'file:my session.env'`, { home })
    expect(loaded, loaded.stderr).toMatchObject({ code: 0 })
  })

  test('--save vault without a vault is said before the callback URL is looked at, and the login stays open', async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const stdin = await callbackFor(account, home)
    const missing = await runCli(['complete', '--save', 'vault'], { home, stdin })
    expectFailure(missing, 2, 'VAULT_INVALID', 'none')
    expect(hintIn(missing.stderr)).toContain('atproto-oauth vault new')
    const login = await runCli(['login', account.handle, '--save', 'vault'], { home })
    expectFailure(login, 2, 'VAULT_INVALID', 'none')
    expect(await runCli(['complete', '--save', 'store'], { home, stdin })).toMatchObject({ code: 0 })
  })
})

describe('what only the server can tell', () => {
  let kept: { account: Account; home: Home }
  beforeAll(async () => {
    kept = await keptInStore(world)
  })
  afterAll(() => kept.home.remove())
  const CREATE = ['com.atproto.repo.createRecord', 'repo={did}', 'collection=app.bsky.feed.post']

  test.each([
    ['a procedure as a query', ['com.atproto.repo.createRecord', '-X', 'GET'], /^omit -X: .* is sent with POST$/],
    ['a time without a zone', [...CREATE, 'record={"text":"x","createdAt":"2026-01-01 10:00"}'], /correct the request/],
    ['no time', [...CREATE, 'record={"text":"x"}'], /correct the request/],
    [
      'a number with a fraction',
      [...CREATE.slice(0, 2), 'collection=a.b.c', 'record={"n":1.5}'],
      /correct the request/,
    ],
    [
      'a record that is not there',
      ['com.atproto.repo.getRecord', ...CREATE.slice(1), 'rkey=no'],
      /correct the request/,
    ],
  ])('%s', async (_, words, hint) => {
    const failed = await runCli(['call', ...words], { home: kept.home })
    expectFailure(failed, 8, 'XRPC_ERROR', 'alive')
    expect(hintIn(failed.stderr)).toMatch(hint)
  })

  test('a directory in place of machine.json', async () => {
    const home = await newHome()
    await mkdir(join(home.state, 'machine.json'), { recursive: true })
    const failed = await runCli(['refresh', '--adopt'], { home })
    expectFailure(failed, 2, 'STORE_UNAVAILABLE', 'none')
    expect(hintIn(failed.stderr)).toMatch(/^rename \/.*\/machine\.json to make room for a file/)
  })
})
