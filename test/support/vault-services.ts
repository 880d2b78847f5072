/** Real engines for the simulation of a vault: each request to them takes real time, and no simulated time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseVaultAddress } from '../../src/node/vault/address.ts'
import { createGitEngine } from '../../src/node/vault/git.ts'
import { createRedisEngine } from '../../src/node/vault/redis.ts'
import { parseRedisAddress } from '../../src/node/vault/redis-address.ts'
import { GitRepository } from './git-server.ts'
import { type RedisFault, type RedisProgram, startRedisServer } from './redis-server.ts'
import { type ModelService, recordsAt } from './vault-model.ts'

export interface RealService extends ModelService {
  close(): Promise<void>
}

type Tips = readonly (string | undefined)[]

/** Two repositories by their paths. Another account writes into their READMEs now and then. */
export async function startGitService(): Promise<RealService> {
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-year-'))
  const places = await Promise.all(
    ['first.git', 'second.git'].map(async (name) => {
      const repository = new GitRepository(join(folder, name))
      return { repository, address: await parseVaultAddress(`git:${repository.folder}`) }
    }),
  )
  const repositories = places.map(({ repository }) => repository)
  const states = new WeakMap<ReadonlyMap<string, string>, Tips>()
  let [simulations, notes] = [0, 0]
  const nextPush = (fate?: Parameters<GitRepository['killNextPush']>[0]) => () => {
    for (const repository of repositories) repository.killNextPush(fate)
  }
  return {
    connect: async (memory, place) =>
      createGitEngine(places[place]!.address, { cache: join(folder, String(simulations), memory) }),
    loseRequest: nextPush('before it is made'),
    loseReply: nextPush('after it was made'),
    calm: nextPush(),
    remember: (records) =>
      void states.set(
        records,
        repositories.map((repository) => repository.tip()),
      ),
    async reset() {
      rmSync(join(folder, String(simulations++)), { recursive: true, force: true })
      for (const repository of repositories) repository.setTip(undefined)
    },
    restore: async (records, place) => repositories[place]!.setTip(states.get(records)?.[place]),
    async disturb() {
      for (const repository of repositories) {
        const tip = repository.tip()
        if (tip === undefined) continue
        repository.commit({ 'README.md': `${repository.git(['show', `${tip}:README.md`])}\nNote ${++notes}.\n` })
      }
    },
    close: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Two hashes of a server that is killed and started again now and then. */
export async function startRedisService(program: RedisProgram): Promise<RealService> {
  const server = await startRedisServer([], undefined, program)
  const prefixes = ['first:', 'second:'] as const
  const addresses = prefixes.map((prefix) => parseRedisAddress(`redis://127.0.0.1:${server.port}?prefix=${prefix}`))
  const lose = (fault: RedisFault) => () => {
    server.onCommand = ([name]) => {
      if (!name!.startsWith('EVAL')) return undefined
      server.onCommand = undefined
      return fault
    }
  }
  return {
    connect: async (_, place) => createRedisEngine(addresses[place]!, { environment: {} }),
    loseRequest: lose('cut-before'),
    loseReply: lose('cut-after'),
    calm: () => {
      server.onCommand = undefined
    },
    remember: () => undefined,
    reset: async () => void (await server.admin('FLUSHALL')),
    async restore(records, place) {
      const [key, there] = [`${prefixes[place]}vault`, recordsAt(place, records)]
      await server.admin('DEL', key)
      if (there.size > 0) await server.admin('HSET', key, ...[...there].flat())
    },
    async disturb() {
      await server.kill()
      await server.start()
    },
    close: () => server.close(),
  }
}
