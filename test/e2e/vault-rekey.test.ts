/** A change of the vault's key on the built CLI, on each engine, with a session of the real PDS. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, onTestFinished, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, newHome } from './support.ts'

const world = connectWorld()

async function onGit(): Promise<string> {
  const repository = join((await newHome()).path, 'bot.git')
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  return `git:${repository}`
}

async function onRedis(): Promise<string> {
  const server = await startRedisServer()
  onTestFinished(() => server.close())
  return `redis://127.0.0.1:${server.port}?prefix=bot:`
}

async function changesKey(address: string): Promise<void> {
  const [home, second, third] = [await newHome(), await newHome(), await newHome()]
  const made = await runCli(['vault', 'new', address], { home })
  const old = parse(made.stdout)['ATPROTO_OAUTH_VAULT_KEY']!
  const account = await world.createAccount()
  await runCli(['complete', '--save', 'vault', await callbackFor(account, home)], { home })
  for (const other of [second, third]) await runCli(['vault', 'use', address], { home: other, stdin: old })
  expect(await runCli(['refresh'], { home: third })).toMatchObject({ code: 0 })

  const begun = await runCli(['vault', 'rekey'], { home })
  expect(begun.code, begun.stderr).toBe(0)
  const key = parse(begun.stdout)['ATPROTO_OAUTH_VAULT_KEY']!
  expect(key).not.toBe(old)
  // Both keys: one machine refreshes with each.
  expect(await runCli(['refresh'], { home: second })).toMatchObject({ code: 0 })
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
  expect(await runCli(['vault', 'use', address], { home: second, stdin: key })).toMatchObject({ code: 0 })

  const finished = await runCli(['vault', 'rekey', '--finish'], { home })
  expect(finished).toMatchObject({ code: 0, stdout: '' })
  expect(finished.stderr).toContain('encrypted 1 record with a new key')
  expect(await runCli(['refresh'], { home: second })).toMatchObject({ code: 0 })
  const called = await runCli(['call', 'com.atproto.server.getSession'], { home })
  expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })

  const failed = await runCli(['refresh'], { home: third })
  expect(failed.stderr).toContain('was replaced by a new one [VAULT_KEY_WRONG]')
  expect(await runCli(['vault', 'use', address], { home: third, stdin: key })).toMatchObject({ code: 0 })
  expect(await runCli(['refresh'], { home: third })).toMatchObject({ code: 0 })
  const checked = await runCli(['vault', 'check'], { home: third })
  expect(checked.code, checked.stdout).toBe(0)
}

const TITLE = 'a second machine goes on over the change, with the new key, and the old one opens nothing'
test(`on git ${TITLE}`, async () => changesKey(await onGit()))
test.skipIf(lacks('redis-server'))(`on Redis ${TITLE}`, async () => changesKey(await onRedis()))
