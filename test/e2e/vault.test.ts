/** The vault commands of the built CLI, over a git repository. (Sessions in a vault: vault-session.test.ts.) */
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { type Home, runAtTerminal, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, newHome } from './support.ts'

const world = connectWorld()

function git(folder: string, ...args: string[]): string {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.com']
  return execFileSync('git', ['-C', folder, ...who, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

async function newRepository(): Promise<string> {
  const repository = join((await newHome()).path, 'bot.git')
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  return repository
}

/** All branches, with what is in them. */
const refs = (repository: string) => git(repository, 'for-each-ref', '--format=%(refname) %(objectname)')

async function newVault() {
  const [repository, home] = [await newRepository(), await newHome()]
  const address = `git:${repository}`
  const { code, stdout, stderr } = await runCli(['vault', 'new', address], { home })
  expect(code, stderr).toBe(0)
  return { repository, home, address, env: parse(stdout) }
}

async function signInto(home: Home) {
  const account = await world.createAccount()
  const callback = await callbackFor(account, home)
  expect(await runCli(['complete', '--save', 'vault', callback], { home })).toMatchObject({ code: 0, stdout: '' })
  return account
}

test('from new to destroy, on two machines', async () => {
  const { repository, home, address, env } = await newVault()
  expect((await stat(join(home.state, 'vault.json'))).mode & 0o777).toBe(0o600)
  const account = await signInto(home)
  const printed = await runCli(['vault', 'key'], { home })
  expect(printed).toMatchObject({ code: 0, stdout: `${env['ATPROTO_OAUTH_VAULT_KEY']}\n` })

  const second = await newHome()
  expect(await runCli(['vault', 'use', address], { home: second, stdin: printed.stdout })).toMatchObject({ code: 0 })
  const called = await runCli(['call', 'com.atproto.server.getSession'], { home: second })
  expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
  const checked = await runCli(['vault', 'check'], { home: second })
  expect(checked).toMatchObject({ code: 0, stderr: expect.stringContaining('No problems found.\n') })
  expect(checked.stdout).toMatch(/^ok {2}records +1 session$/m)
  const listed = await runCli(['vault', 'list', '--json'], { home: second })
  expect(JSON.parse(listed.stdout)).toMatchObject([{ did: account.did, state: 'alive', scope: expect.any(String) }])

  expectFailure(await runCli(['vault', 'destroy', '--yes'], { home: second }), 2, 'USAGE', 'alive')
  expectFailure(await runCli(['vault', 'remove', '--account', account.did], { home: second }), 2, 'USAGE', 'alive')
  expect(await runCli(['revoke'], { home: second })).toMatchObject({ code: 0 })
  expect(await runCli(['vault', 'remove', '--account', account.did], { home: second })).toMatchObject({ code: 0 })
  expect(await runCli(['vault', 'list'], { home: second })).toMatchObject({ code: 0, stdout: '' })
  expect(await runCli(['vault', 'destroy', '--yes'], { home: second })).toMatchObject({ code: 0 })
  expect(refs(repository)).toBe('')
  await expect(readFile(join(second.state, 'vault.json'))).rejects.toThrow('ENOENT')
  expectFailure(await runCli(['vault', 'list'], { home }), 2, 'VAULT_INVALID')
})

test('new in a checkout, with address and key in a file, and a clone of the repository is a copy', async () => {
  const repository = await newRepository()
  const home = await newHome()
  const checkout = join(home.path, 'checkout')
  git(home.path, 'clone', '--quiet', repository, checkout)
  git(checkout, 'commit', '--quiet', '--allow-empty', '-m', 'one')
  git(checkout, 'push', '--quiet', 'origin', 'HEAD:main')
  const [main] = refs(repository).split('\n')
  git(home.path, 'init', '--quiet') // the commands run in the home
  git(home.path, 'remote', 'add', 'origin', repository)
  const target = `file:${join(home.path, 'vault.env')}`
  const created = await runCli(['vault', 'new', 'git:.', '--save', target], { home })
  expect(created).toMatchObject({ code: 0, stdout: `git:${repository}\n` })
  const env = parse(await readFile(join(home.path, 'vault.env')))
  expect(refs(repository)).toContain(`${main}\n`)
  expect(git(repository, 'ls-tree', '--name-only', 'atproto-oauth')).toContain('README.md')
  expect(git(home.path, 'status', '--porcelain', '--untracked-files=no')).toBe('')

  const copy = join(home.path, 'copy.git')
  git(home.path, 'clone', '--quiet', '--mirror', repository, copy)
  const elsewhere = await runCli(['vault', 'list'], { home, env: { ...env, ATPROTO_OAUTH_VAULT: `git:${copy}` } })
  expectFailure(elsewhere, 2, 'VAULT_INVALID')
  expect(elsewhere.stderr).toContain('is a copy of the one at')
})

describe('what cannot hold a vault gets its sentence, and is left as it is', () => {
  async function expectNothing(repository: string, env: Record<string, string> = {}, address = `git:${repository}`) {
    const home = await newHome()
    const target = join(home.path, 'vault.env')
    const before = refs(repository)
    const ran = await runCli(['vault', 'new', address, '--save', `file:${target}`], { home, env })
    expect(ran.stdout).toBe('')
    expect(refs(repository)).toBe(before)
    await expect(readFile(target)).rejects.toThrow('ENOENT')
    await expect(readFile(join(home.state, 'vault.json'))).rejects.toThrow('ENOENT')
    return ran
  }

  test('a branch with other things', async () => {
    const repository = await newRepository()
    const work = join((await newHome()).path, 'work')
    git(repository, 'clone', '--quiet', repository, work)
    git(work, 'commit', '--quiet', '--allow-empty', '-m', 'mine')
    git(work, 'push', '--quiet', 'origin', 'HEAD:atproto-oauth')
    const ran = await expectNothing(repository)
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('the branch is not a vault') })
    const other = await runCli(['vault', 'new', `git:${repository}#vault`], { home: await newHome() })
    expect(other).toMatchObject({ code: 0 })
  })

  test('a service that rejects the push', async () => {
    const repository = await newRepository()
    const hook = join(repository, 'hooks', 'pre-receive')
    await mkdir(join(repository, 'hooks'), { recursive: true })
    await writeFile(hook, '#!/bin/sh\necho not today >&2\nexit 1\n')
    await chmod(hook, 0o755)
    const home = await newHome()
    const ran = await runCli(['vault', 'new', `git:${repository}`], { home })
    expect(ran).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('[VAULT_REFUSED]') })
    expect(refs(repository)).toBe('')
    await expect(readFile(join(home.state, 'vault.json'))).rejects.toThrow('ENOENT')
  })

  test('no repository', async () => {
    const repository = await newRepository()
    const ran = await expectNothing(repository, {}, `git:${repository}-not`)
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('there is no such repository') })
  })

  test('no git', async () => {
    const [repository, empty] = [await newRepository(), (await newHome()).path]
    expect(await expectNothing(repository, { PATH: empty })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('git is not installed'),
    })
  })

  test('a vault that exists', async () => {
    const { repository } = await newVault()
    const ran = await expectNothing(repository)
    expect(ran.stderr).toMatch(
      new RegExp(`already exists .*\\n(?:.*\\n)?.*: atproto-oauth vault use git:${repository}\\n`),
    )
  })
})

test('of a vault that cannot be opened, no session is called valid', async () => {
  const { env } = await newVault()
  const key = Buffer.alloc(32, 1).toString('base64url')
  const wrong = { ...env, ATPROTO_OAUTH_VAULT_KEY: key }
  expectFailure(await runCli(['status'], { home: await newHome(), env: wrong }), 2, 'VAULT_KEY_WRONG', 'none')
  const gone = { ...env, ATPROTO_OAUTH_VAULT: `git:${(await newHome()).path}/gone.git` }
  expectFailure(await runCli(['status'], { home: await newHome(), env: gone }), 4, 'VAULT_REFUSED', 'none')
})

test('variables of git that name another repository change nothing', async () => {
  const [repository, home] = [await newRepository(), await newHome()]
  const env = { GIT_DIR: '/nowhere', GIT_WORK_TREE: '/nowhere', GIT_AUTHOR_NAME: '', EMAIL: '' }
  expect(await runCli(['vault', 'new', `git:${repository}`], { home, env })).toMatchObject({ code: 0 })
  expect(await runCli(['vault', 'check'], { home, env })).toMatchObject({ code: 0 })
})

test('a vault.json that was damaged is named, and left as it is', async () => {
  const { home } = await newVault()
  const path = join(home.state, 'vault.json')
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, -10))
  const ran = await runCli(['vault', 'key'], { home })
  expectFailure(ran, 2, 'STORE_INVALID')
  expect(ran.stderr).toContain(path)
  await rm(path)
  await symlink('/etc/hostname', path)
  expectFailure(await runCli(['vault', 'key'], { home }), 2, 'STORE_INVALID')
})

describe.skipIf(lacks('script'))('at a terminal', () => {
  test('use asks for the key, and does not show it', async () => {
    const { address, env } = await newVault()
    const home = await newHome()
    const key = env['ATPROTO_OAUTH_VAULT_KEY']!
    const { code, screen } = await runAtTerminal(`vault use ${address}`, [['Key of the vault', `${key}\r`]], { home })
    expect(code, screen).toBe(0)
    expect(screen).not.toContain(key.slice(0, 8))
    expect(await runCli(['vault', 'key'], { home })).toMatchObject({ stdout: `${key}\n` })
  })

  test('new prints the address alone, and destroy asks', async () => {
    const [repository, home] = [await newRepository(), await newHome()]
    const made = await runAtTerminal(`vault new git:${repository}`, [], { home })
    expect(made.code, made.screen).toBe(0)
    const { stdout: key } = await runCli(['vault', 'key'], { home })
    expect(made.screen).not.toContain(key.trim())
    const kept = await runAtTerminal('vault destroy', [['Delete the vault at', 'n\r']], { home })
    expect(kept.code).toBe(2)
    expect(refs(repository)).not.toBe('')
    expect((await runAtTerminal('vault destroy', [['Delete the vault at', 'y\r']], { home })).code).toBe(0)
    expect(refs(repository)).toBe('')
  })
})
