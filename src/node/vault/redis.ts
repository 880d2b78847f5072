/**
 * A vault in one hash of Redis or Valkey: a field for each record. A hash is in one slot of a cluster, and is listed at
 * one moment.
 */
import { hash } from 'node:crypto'
import { type Environment, VAULT_TOKEN, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { decodeUtf8 } from '../../text.ts'
import { type EngineFact, NAME, RECORD_LONGEST, type SwapOutcome, type VaultEngine } from './engine.ts'
import { type RedisAddress, type RedisLogin, redisLogin } from './redis-address.ts'
import { RedisConnection, RedisLoss, type RedisReply, type RedisSession } from './redis-connection.ts'
import { RedisRejection, rejection } from './redis-errors.ts'
import { describeServer } from './redis-facts.ts'
import { checkRequest } from './request.ts'

export interface RedisEngineOptions {
  /** Secret: user and password as in an address. */
  readonly login?: string | undefined
  readonly environment?: Environment
  /** Milliseconds for a connection, and for each reply; by default 10 seconds. */
  readonly timeout?: number | undefined
}

const TIMEOUT = 10_000
/** Milliseconds for the disk, which is written once per second. A claim that takes five seconds is given back. */
const WRITTEN = 2_000

/** A script, with the hash by which a server that has seen it before knows it. */
interface Script {
  readonly text: string
  readonly digest: string
}

/**
 * What is there already is written again: what is waited for afterwards is the last write of this connection. In Lua,
 * `HGET` of a missing field is `false`.
 */
const SWAP = script(`
local key, name, before, after = KEYS[1], ARGV[1], false, false
if ARGV[2] == '1' then before = ARGV[3] end
if ARGV[4] == '1' then after = ARGV[5] end
local now = redis.call('HGET', key, name)
if now ~= after and now ~= before then return 0 end
if after then redis.call('HSET', key, name, after) else redis.call('HDEL', key, name) end
return 1`)

/** All or nothing: where something else is in the hash, nothing is deleted. */
const DESTROY = script(`
local names = redis.call('HKEYS', KEYS[1])
for _, name in ipairs(names) do
  local isRecord = #name == 40 and not string.find(name, '[^0-9a-f]')
  if name ~= 'vault' and not isRecord then return 0 end
end
for _, name in ipairs(names) do redis.call('HDEL', KEYS[1], name) end
return 1`)

export function createRedisEngine(address: RedisAddress, options: RedisEngineOptions = {}): VaultEngine {
  return new RedisEngine(address, options)
}

class RedisEngine implements VaultEngine {
  readonly address: string
  readonly #parsed: RedisAddress
  readonly #login: RedisLogin
  readonly #key: string
  readonly #connection: RedisConnection
  /** Whether the server can be asked to wait for its disk. */
  #canWait = true

  constructor(
    address: RedisAddress,
    { login = address.login, environment = process.env, timeout }: RedisEngineOptions,
  ) {
    const { user, password } = login === undefined ? {} : redisLogin(login)
    this.address = address.identity
    this.#parsed = address
    this.#login = { user, password: password ?? variable(environment, VAULT_TOKEN) }
    this.#key = `${address.prefix}vault`
    this.#connection = new RedisConnection(address, this.#login, timeout ?? TIMEOUT)
  }

  async read(name: string): Promise<string | undefined> {
    checkRequest(name)
    return this.#use(async (session) => {
      const value = await session.ask('HGET', this.#key, name)
      return value === null ? undefined : textOf(value)
    })
  }

  async list(): Promise<ReadonlyMap<string, string>> {
    return this.#use((session) => this.#list(session))
  }

  async #list(session: RedisSession): Promise<ReadonlyMap<string, string>> {
    const flat = await session.ask('HGETALL', this.#key)
    const texts = new Map<string, string>()
    if (!Array.isArray(flat)) throw rejection('unsupported')
    for (let at = 0; at < flat.length; at += 2) {
      const name = String(flat[at])
      if (!NAME.test(name)) throw rejection('foreign')
      texts.set(name, textOf(flat[at + 1]))
    }
    return texts
  }

  async swap(name: string, before: string | undefined, after: string | undefined): Promise<SwapOutcome> {
    checkRequest(name, after)
    const flags = [name, ...flagged(before), ...flagged(after)]
    return this.#use(async (session) => {
      try {
        const outcome = await run(session, SWAP, this.#key, flags)
        if (outcome !== 1) return 'lost'
        return (await this.#isStored(session)) ? 'won' : 'unknown'
      } catch (error) {
        if (error instanceof RedisLoss) return 'unknown'
        throw error
      }
    })
  }

  /** Waits until the disk has what this connection has written, where the server can be asked to. */
  async #isStored(session: RedisSession): Promise<boolean> {
    if (!this.#canWait) return true
    try {
      const counts = await session.ask('WAITAOF', 1, 0, WRITTEN)
      const isStored = Array.isArray(counts) && Number(counts[0]) >= 1
      // A disk that takes so long would make every claim too late.
      this.#canWait = isStored
      return isStored
    } catch (error) {
      // It is older than 7.2, writes no log, or permits nobody to wait. `describe` says what that means.
      if (!(error instanceof RedisRejection)) throw error
      this.#canWait = false
      return true
    }
  }

  async describe(): Promise<readonly EngineFact[]> {
    const facts: EngineFact[] = []
    try {
      await this.#use(async (session) => {
        for await (const fact of describeServer(session, this.#parsed, this.#key)) facts.push(fact)
        const { size } = await this.#list(session)
        const detail = size === 0 ? 'none yet' : `${size} under ${JSON.stringify(this.#key)}`
        facts.push({ topic: 'stored', verdict: 'ok', detail })
      })
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      facts.push({ topic: 'service', verdict: 'broken', detail: error.message, fix: error })
    }
    return facts
  }

  async destroy(): Promise<void> {
    await this.#use(async (session) => {
      if ((await run(session, DESTROY, this.#key, [])) !== 1) throw rejection('foreign')
    })
  }

  async #use<T>(work: (session: RedisSession) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.use(work)
    } catch (error) {
      if (error instanceof RedisRejection) throw error.as(this.#parsed, this.#login)
      if (!(error instanceof RedisLoss)) throw error
      throw new OAuthError('VAULT_UNREACHABLE', `lost the connection to ${this.address}, or there was no reply in time`)
    }
  }
}

async function run(
  session: RedisSession,
  { text, digest }: Script,
  key: string,
  parameters: readonly string[],
): Promise<RedisReply> {
  try {
    return await session.ask('EVALSHA', digest, 1, key, ...parameters)
  } catch (error) {
    if (!(error instanceof RedisRejection && error.isUnknownScript)) throw error
    return session.ask('EVAL', text, 1, key, ...parameters)
  }
}

function script(text: string): Script {
  return { text, digest: hash('sha1', text, 'hex') }
}

function flagged(text: string | undefined): [flag: string, text: string] {
  return text === undefined ? ['0', ''] : ['1', text]
}

function textOf(value: RedisReply | undefined): string {
  const text = Buffer.isBuffer(value) ? decodeUtf8(value, { keepsMark: true }) : undefined
  if (text !== undefined && text.length <= RECORD_LONGEST) return text
  throw new OAuthError('VAULT_INVALID', 'a record of the vault is not text, or is too long', {
    facts: { reason: 'vault-damaged' },
  })
}
