/** A move of a vault that is killed at its steps, from a git server to Redis and back. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import { expectFailure, newHome } from '../e2e/support.ts'
import { newSession, newVault, put, stored, type TestVault } from '../e2e/vault-support.ts'
import { type GitServer, startGitServer, WRITER } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { newRedisVault } from '../support/redis-vault.ts'
import { type CliResult, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const STEPS = new URL('../support/vault-steps.mjs', import.meta.url).href
/** At how many steps of each direction, spread over all of them: each takes six runs of the CLI. `99` is every step. */
const KILLS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_KILLS'] ?? 4)
const TOKEN = { ATPROTO_OAUTH_VAULT_TOKEN: WRITER.password }

type UsedVault = Pick<TestVault, 'env' | 'engine' | 'keys'>

describe.skipIf(lacks('redis-server'))('a move that is killed is finished by the next run', () => {
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

  const redisAddress = () => `redis://127.0.0.1:${redis.port}?prefix=move${++count}:`
  const gitAddress = () => {
    const name = `move${++count}`
    gits.repository(name)
    return `git:${gits.url(name)}`
  }
  const engineAt = async (address: string): Promise<VaultEngine> =>
    connectEngine(address, { environment: { ...process.env, ...TOKEN }, cache: join((await newHome()).path, 'cache') })

  const directions: [string, () => Promise<UsedVault>, () => string][] = [
    ['from git to Redis', () => newVault(gits, `from${++count}`), redisAddress],
    ['from Redis to git', () => newRedisVault(redis, `from${++count}:`), gitAddress],
  ]

  test.each(directions)('%s, at steps throughout', async (_, createSource, targetAddress) => {
    /** A machine that keeps the vault, and what it runs. */
    async function machine(vault: UsedVault) {
      const home = await newHome()
      const { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: key } = vault.env
      expect(await runCli(['vault', 'use', address], { home, stdin: key, env: TOKEN })).toMatchObject({ code: 0 })
      const log = join(home.path, 'steps')
      await writeFile(log, '')
      const env = { ...TOKEN, NODE_OPTIONS: `--import ${STEPS}`, STEPS_LOG: log }
      return {
        steps: async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1),
        move: (to: string, kill = ''): Promise<CliResult> =>
          runCli(['vault', 'move', to], { home, env: { ...env, STEPS_KILL: kill } }),
        refresh: () => runCli(['refresh'], { home, env: TOKEN }),
      }
    }

    async function prepared() {
      const vault = await createSource()
      const { session } = await newSession(world)
      await put(session, vault)
      return { vault, ...(await machine(vault)), to: targetAddress() }
    }

    // A server that does not have the script yet is asked twice.
    await (await engineAt(redisAddress())).swap(VAULT_RECORD, undefined, 'anything')
    const plain = await prepared()
    expect(await plain.move(plain.to)).toMatchObject({ code: 0 })
    const seen = new Map<string, number>()
    const all = (await plain.steps()).map((step) => {
      seen.set(step, (seen.get(step) ?? 0) + 1)
      return `${seen.get(step)} ${step}`
    })
    // Of two places, one record and the file: each before and after.
    expect(all.length).toBeGreaterThanOrEqual(14)
    const every = Math.max(1, all.length / KILLS)
    const queue = all.filter((_, index) => Math.floor(index / every) !== Math.floor((index - 1) / every)).values()
    const lane = async () => {
      for (const step of queue) {
        const { vault, move, refresh, to } = await prepared()
        const killed = await move(to, step)
        expect(killed.signal, `${step}: ${killed.stderr}`).toBe('SIGKILL')
        const stranger = { home: await newHome(), env: { ...TOKEN, ...vault.env } }
        const before = await runCli(['refresh'], stranger)
        if (before.code !== 0) expectFailure(before, 2, 'VAULT_INVALID', 'alive')
        const finished = await move(to)
        expect(finished, `${step}: ${finished.stderr}`).toMatchObject({ code: 0, stdout: `${to}\n` })
        const told = await runCli(['refresh'], stranger)
        expectFailure(told, 2, 'VAULT_INVALID', 'alive')
        expect(told.stderr).toContain(`has moved to ${to}`)
        const refreshed = await refresh()
        expect(refreshed, `${step}: ${refreshed.stderr}`).toMatchObject({ code: 0 })
        const target = { ...vault, engine: await engineAt(to) }
        expect(await stored(target), step).toMatchObject({ rotation: before.code === 0 ? 2 : 1 })
      }
    }
    await Promise.all([lane(), lane(), lane()])
  })
})
