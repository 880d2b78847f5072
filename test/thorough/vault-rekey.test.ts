/** A change of the vault's key that is killed at its steps, on a git server and on Redis. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectFailure, newHome } from '../e2e/support.ts'
import { newSession, newVault, put, type TestVault } from '../e2e/vault-support.ts'
import { type GitServer, startGitServer, WRITER } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { newRedisVault } from '../support/redis-vault.ts'
import { type CliResult, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const STEPS = new URL('../support/vault-steps.mjs', import.meta.url).href
/** At how many steps of each command and engine, spread over all of them: each takes ten runs of the CLI. */
const KILLS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_KILLS'] ?? 2)
const TOKEN = { ATPROTO_OAUTH_VAULT_TOKEN: WRITER.password }
const ADD = ['vault', 'rekey']
const FINISH = ['vault', 'rekey', '--finish']

describe.skipIf(lacks('redis-server'))('a change of the key that is killed is finished by the next run', () => {
  const world = connectWorld()
  let redis: RedisServer
  let gits: GitServer
  let count = 0
  beforeAll(async () => {
    redis = await startRedisServer()
    gits = await startGitServer()
  })
  afterAll(async () => {
    await redis.close()
    await gits.close()
  })

  /** A machine that keeps a vault with a session, and others that have a key and no memory. */
  async function prepared(vault: Pick<TestVault, 'env' | 'engine' | 'keys'>, isAdded: boolean) {
    const { session } = await newSession(world)
    await put(session, vault)
    const home = await newHome()
    const { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: old } = vault.env
    expect(await runCli(['vault', 'use', address], { home, stdin: old, env: TOKEN })).toMatchObject({ code: 0 })
    const log = join(home.path, 'steps')
    await writeFile(log, '')
    const steps = { NODE_OPTIONS: `--import ${STEPS}`, STEPS_LOG: log }
    const run = (args: readonly string[], kill?: string): Promise<CliResult> =>
      runCli(args, { home, env: { ...TOKEN, ...(kill !== undefined && { ...steps, STEPS_KILL: kill }) } })
    const refreshWith = async (key: string) =>
      runCli(['refresh'], { home: await newHome(), env: { ...TOKEN, ...vault.env, ATPROTO_OAUTH_VAULT_KEY: key } })
    if (isAdded) expect(await run(ADD)).toMatchObject({ code: 0 })
    return { run, refreshWith, old, steps: async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1) }
  }

  const engines = {
    git: () => newVault(gits, `rekey${++count}`),
    Redis: () => newRedisVault(redis, `rekey${++count}:`),
  }
  const commands = [
    { command: ADD, isAdded: false },
    { command: FINISH, isAdded: true },
  ]
  const rows = Object.entries(engines).flatMap(([name, create]) =>
    commands.map((each) => ({ title: `${each.command.join(' ')}, on ${name}`, create, ...each })),
  )

  test.each(rows)('$title, at steps throughout', async ({ create, command, isAdded }) => {
    // A server that does not have the script yet is asked twice.
    await newRedisVault(redis, `rekey${++count}:`)
    const plain = await prepared(await create(), isAdded)
    expect(await plain.run(command, '')).toMatchObject({ code: 0 })
    const seen = new Map<string, number>()
    const all = (await plain.steps()).map((step) => {
      seen.set(step, (seen.get(step) ?? 0) + 1)
      return `${seen.get(step)} ${step}`
    })
    // The keys before and after each change: of the file, or of the vault, its record, and the vault.
    expect(all.length).toBeGreaterThanOrEqual(6)
    const every = Math.max(1, all.length / KILLS)
    const queue = all.filter((_, index) => Math.floor(index / every) !== Math.floor((index - 1) / every)).values()
    const lane = async () => {
      for (const step of queue) {
        const { run, refreshWith, old } = await prepared(await create(), isAdded)
        const succeed = async (done: Promise<CliResult>) => {
          const result = await done
          expect(result, `${step}: ${result.stderr}`).toMatchObject({ code: 0 })
          return result
        }
        const killed = await run(command, step)
        expect(killed.signal, `${step}: ${killed.stderr}`).toBe('SIGKILL')
        const kept = isAdded ? (await succeed(run(['vault', 'key']))).stdout.trim() : old
        await succeed(refreshWith(kept))
        const printed = isAdded ? undefined : parse((await succeed(run(ADD))).stdout)['ATPROTO_OAUTH_VAULT_KEY']
        const key = printed ?? kept
        expect(key).not.toBe(old)
        if (!isAdded) await succeed(refreshWith(old))
        await succeed(refreshWith(key))
        await succeed(run(FINISH))
        expectFailure(await refreshWith(old), 2, 'VAULT_KEY_WRONG')
        await succeed(refreshWith(key))
        await succeed(run(['refresh']))
        expect((await succeed(run(['vault', 'key']))).stdout.trim()).toBe(key)
        await succeed(run(['vault', 'check']))
      }
    }
    await Promise.all([lane(), lane(), lane()])
  })
})
