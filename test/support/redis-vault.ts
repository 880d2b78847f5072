/** Empty vaults on a Redis server of a test. */
import { randomBytes } from 'node:crypto'
import { VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey, type VaultKeys } from '../../src/node/vault/envelope.ts'
import { createRedisEngine } from '../../src/node/vault/redis.ts'
import { parseRedisAddress } from '../../src/node/vault/redis-address.ts'
import type { RedisServer } from './redis-server.ts'

const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }

export interface RedisVault {
  readonly env: { readonly ATPROTO_OAUTH_VAULT: string; readonly ATPROTO_OAUTH_VAULT_KEY: string }
  readonly engine: VaultEngine
  readonly keys: VaultKeys
}

export async function newRedisVault({ port }: RedisServer, prefix: string): Promise<RedisVault> {
  const engine = createRedisEngine(parseRedisAddress(`redis://127.0.0.1:${port}?prefix=${prefix}`))
  const key = createUserKey(random)
  const { keys, text } = await createVault(engine.address, parseUserKey(key), random)
  if ((await engine.swap(VAULT_RECORD, undefined, text)) !== 'won') throw new Error('the vault was not made')
  return { engine, keys, env: { ATPROTO_OAUTH_VAULT: engine.address, ATPROTO_OAUTH_VAULT_KEY: key } }
}
