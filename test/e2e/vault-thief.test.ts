/**
 * What docs/vault.md says about thieves: a vault in a git repository, and somebody who can read it, or write to it, or
 * has its key.
 */
import { execFileSync } from 'node:child_process'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { readContents } from '../../src/node/vault/inspect.ts'
import { type Home, runCli } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, GENERIC, newHome } from './support.ts'

const world = connectWorld()
const CALL = ['call', 'com.atproto.server.getSession']

function git(folder: string, ...args: string[]): string {
  const who = ['-c', 'user.name=thief', '-c', 'user.email=thief@example.com']
  return execFileSync('git', ['-C', folder, ...who, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1e8,
  })
}

interface Owner {
  readonly repository: string
  readonly home: Home
  readonly accounts: readonly Account[]
  readonly env: Record<string, string>
}

async function owner(count = 1): Promise<Owner> {
  const home = await newHome()
  const repository = join(home.path, 'bot.git')
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  const env = parse((await runCli(['vault', 'new', `git:${repository}`], { home })).stdout)
  const accounts: Account[] = []
  for (let index = 0; index < count; index++) {
    const account = await world.createAccount()
    const callback = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'vault', callback], { home })).toMatchObject({ code: 0 })
    accounts.push(account)
  }
  return { repository, home, accounts, env }
}

/** The branch as somebody with write access has it. */
async function clone({ repository }: Owner) {
  const work = join((await newHome()).path, 'work')
  git(repository, 'clone', '--quiet', '--branch', 'atproto-oauth', repository, work)
  const folder = join(work, 'records')
  const records = await readdir(folder)
  const push = (...flags: string[]) => {
    git(work, 'add', '--all')
    git(work, 'commit', '--quiet', '--allow-empty', '-m', 'theft')
    git(work, 'push', '--quiet', ...flags, 'origin', 'HEAD:atproto-oauth')
  }
  return { work, folder, records, push }
}

async function callAs(account: Account, home: Home, env: Record<string, string> = {}) {
  const ran = await runCli([...CALL, '--account', account.did], { home, env })
  return ran.code === 0 ? JSON.parse(ran.stdout).did : ran.stderr
}

test('whoever reads the repository sees how many records there are, and how often they were changed', async () => {
  const { repository, home, accounts, env } = await owner(2)
  expect(await runCli(['refresh', '--account', accounts[0]!.did], { home })).toMatchObject({ code: 0 })
  const engine = await connectEngine(`git:${repository}`, { environment: process.env, cache: join(home.path, 'cache') })
  const { sessions } = await readContents(engine, env['ATPROTO_OAUTH_VAULT_KEY']!)
  const all = git(repository, 'cat-file', '--batch', '--batch-all-objects')
  const decoded = all.replace(/[\w-]{40,}/g, (text) => text + Buffer.from(text, 'base64url').toString('latin1'))
  expect(decoded).toContain('A256GCM') // the header is what anyone can read
  for (const { record } of sessions) {
    const { did, handle, pds, clientId, scope, refreshToken, accessToken, dpopPrivateJwk, thumbprint } = record.session
    for (const text of [did, handle, pds, clientId, scope, refreshToken, accessToken, dpopPrivateJwk.d, thumbprint]) {
      expect(text).toBeDefined()
      expect(decoded).not.toContain(text)
    }
  }
  for (const text of [env['ATPROTO_OAUTH_VAULT_KEY']!, GENERIC, home.path, world.pdsUrl])
    expect(decoded).not.toContain(text)
  const sizes = new Set(sessions.map(({ text }) => text.length))
  expect(sizes.size).toBe(1)
  expect(git(repository, 'ls-tree', '-r', '--name-only', 'atproto-oauth').trim().split('\n')).toHaveLength(2 + 2)
  expect(new Set(git(repository, 'log', '--format=%an %ae %aI %cI %s', 'atproto-oauth').trim().split('\n')).size).toBe(
    1,
  )
})

test('the key and reading are the sessions', async () => {
  const { accounts, env } = await owner()
  expect(await callAs(accounts[0]!, await newHome(), env)).toBe(accounts[0]!.did)
})

test('the address without the key is nothing, and neither is a key of another vault', async () => {
  const [{ env, accounts }, other] = [await owner(), await owner(0)]
  const address = env['ATPROTO_OAUTH_VAULT']!
  expect(await callAs(accounts[0]!, await newHome(), { ATPROTO_OAUTH_VAULT: address })).toContain('no key is set')
  const wrong = { ...other.env, ATPROTO_OAUTH_VAULT: address }
  expect(await callAs(accounts[0]!, await newHome(), wrong)).toContain('[VAULT_KEY_WRONG]')
})

test('writing without the key: records that change places or are forged are not used', async () => {
  const one = await owner(2)
  const other = await owner()
  const thief = await clone(one)
  const [first, second] = thief.records as [string, string]
  await rename(join(thief.folder, first), join(thief.work, 'x'))
  await rename(join(thief.folder, second), join(thief.folder, first))
  await rename(join(thief.work, 'x'), join(thief.folder, second))
  thief.push()
  const cold = await newHome()
  for (const account of one.accounts) expect(await callAs(account, cold, one.env)).toMatch(/\[VAULT_INVALID\]/)
  const checked = await runCli(['vault', 'check'], { home: cold, env: one.env })
  expect(checked).toMatchObject({ code: 4, stderr: expect.stringContaining('[DOCTOR_FOUND]') })
  expect(checked.stdout).toContain('2 records cannot be read')

  // A record of a vault of the thief, under the name of this one.
  const own = await clone(other)
  await writeFile(join(thief.folder, first), await readFile(join(own.folder, own.records[0]!)))
  thief.push()
  expect(await callAs(one.accounts[0]!, cold, one.env)).toMatch(/\[VAULT_INVALID\]/)
})

test('an old state, or none: a machine that has seen a newer one stores it again, and all go on', async () => {
  const one = await owner()
  const [account] = one.accounts as [Account]
  const { work, push } = await clone(one)
  const ids = git(work, 'rev-parse', 'HEAD').trim()
  for (let count = 0; count < 2; count++) {
    expect(await runCli(['refresh'], { home: one.home })).toMatchObject({ code: 0 })
  }
  git(work, 'reset', '--quiet', '--hard', ids)
  push('--force')
  const refreshed = await runCli(['refresh'], { home: one.home })
  expect(refreshed, refreshed.stderr).toMatchObject({ code: 0 })
  expect(refreshed.stderr).toContain('the vault had an older copy of the session')
  expect(await callAs(account, await newHome(), one.env)).toBe(account.did)

  git(one.repository, 'update-ref', '-d', 'refs/heads/atproto-oauth')
  expect(await runCli(['refresh'], { home: one.home })).toMatchObject({ code: 0 })
  expect(await callAs(account, await newHome(), one.env)).toBe(account.did)
})

test('an old state ends the session for a machine that has seen none', async () => {
  const one = await owner()
  const { work, push } = await clone(one)
  const id = git(work, 'rev-parse', 'HEAD').trim()
  const { home, env } = { home: await newHome(), env: one.env }
  expect(await runCli(['refresh'], { home: one.home })).toMatchObject({ code: 0 })
  git(work, 'reset', '--quiet', '--hard', id)
  push('--force')
  expectFailure(await runCli(['refresh'], { home, env }), 5, 'SESSION_DEAD')
})
