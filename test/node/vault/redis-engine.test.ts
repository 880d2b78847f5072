/** The suite of an engine, on a real Redis and a real Valkey. */
import { afterAll, beforeAll, describe } from 'vitest'
import { createRedisEngine } from '../../../src/node/vault/redis.ts'
import { parseRedisAddress } from '../../../src/node/vault/redis-address.ts'
import { lacks } from '../../support/machine.ts'
import { REDIS_PROGRAMS, type RedisFault, type RedisServer, startRedisServer } from '../../support/redis-server.ts'
import { describeEngine, type EngineWorld } from '../../support/vault-engine.ts'

for (const program of REDIS_PROGRAMS)
  describe.skipIf(lacks(program))(program, () => {
    let server: RedisServer
    let worlds = 0
    beforeAll(async () => {
      server = await startRedisServer([], undefined, program)
    })
    afterAll(() => server.close())

    async function onRedis(): Promise<EngineWorld> {
      const prefix = `world-${++worlds}:`
      const key = `${prefix}vault`
      const address = parseRedisAddress(`redis://127.0.0.1:${server.port}?prefix=${prefix}`)
      const next = (fault: RedisFault) => () => {
        server.onCommand = ([command]) => {
          if (!command!.startsWith('EVAL')) return undefined
          server.onCommand = undefined
          return fault
        }
      }
      return {
        connect: async () => createRedisEngine(address),
        faults: {
          loseRequest: next('cut-before'),
          loseReply: next('cut-after'),
          async backup() {
            await server.admin('COPY', key, `${key}-backup`, 'REPLACE')
            return async () => void (await server.admin('COPY', `${key}-backup`, key, 'REPLACE'))
          },
          wipe: async () => void (await server.admin('DEL', key)),
        },
      }
    }

    describeEngine(`on ${program}`, onRedis)
  })
