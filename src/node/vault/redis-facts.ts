/**
 * Whether a server is fit to keep sessions, as far as it tells. Those of providers often do not permit `INFO` and
 * `CONFIG`.
 */
import type { Fix } from '../../errors.ts'
import type { EngineFact } from './engine.ts'
import type { RedisAddress } from './redis-address.ts'
import type { RedisReply, RedisSession } from './redis-connection.ts'
import { RedisRejection } from './redis-errors.ts'

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/

/** Changes nothing. */
export async function* describeServer(
  session: RedisSession,
  address: RedisAddress,
  key: string,
): AsyncGenerator<EngineFact> {
  const { server } = session
  const role = server.role === undefined ? 'its role is unknown' : 'primary'
  const cluster = server.mode === 'cluster' ? ', a node of a cluster' : ''
  yield ok('server', `${server.name} ${server.version ?? 'before 6'}, ${role}${cluster}`)
  yield connectionFact(session, address)
  yield await permissionFact(session, key)
  yield await evictionFact(session)
  yield await durabilityFact(session)
  yield await replicasFact(session)
}

function connectionFact({ server }: RedisSession, { isEncrypted, host }: RedisAddress): EngineFact {
  const isLocal = LOOPBACK.test(host)
  const login = server.isOpen ? 'a password was given, and is not needed' : 'accepted'
  if (isEncrypted) return ok('connection', `encrypted; login: ${login}`)
  if (isLocal) return ok('connection', `within this machine; login: ${login}`)
  const detail = `not encrypted: whoever can read the network learns the password (login: ${login})`
  return { topic: 'connection', verdict: 'warning', detail }
}

/** What the script of a change may do, where the server can check that without a change. */
const PERMISSIONS = `
if not redis.acl_check_cmd then return '' end
for _, command in ipairs({'HGET', 'HSET', 'HDEL', 'HGETALL', 'HKEYS'}) do
  local isAllowed
  if command == 'HSET' then isAllowed = redis.acl_check_cmd(command, KEYS[1], 'vault', 'x')
  elseif command == 'HGET' or command == 'HDEL' then isAllowed = redis.acl_check_cmd(command, KEYS[1], 'vault')
  else isAllowed = redis.acl_check_cmd(command, KEYS[1]) end
  if not isAllowed then return command end
end
return 'ok'`

async function permissionFact(session: RedisSession, key: string): Promise<EngineFact> {
  const missing = String(await session.ask('EVAL', PERMISSIONS, 1, key))
  if (missing === 'ok') return ok('permissions', 'to read and change the vault')
  if (missing === '') return ok('permissions', 'to run scripts; whether it may change the vault is unknown')
  const detail = `the user may not use ${missing} on ${JSON.stringify(key)}`
  return { ...broken('permissions', detail), fix: fixOf('redis-permission-missing') }
}

async function evictionFact(session: RedisSession): Promise<EngineFact> {
  const info = await infoOf(session, 'memory')
  const policy = info?.get('maxmemory_policy') ?? (await configOf(session, 'maxmemory-policy'))
  if (policy === undefined) return notTold('eviction', 'whether it deletes keys when its memory is full')
  if (policy === 'noeviction' && isFull(info)) {
    const detail = `${policy}, and its memory is full: it rejects changes`
    return { ...broken('eviction', detail), fix: fixOf('redis-memory-full') }
  }
  if (!policy.startsWith('allkeys-')) return ok('eviction', policy)
  const fix = fixOf('redis-evicting')
  if (info?.get('maxmemory') === '0') {
    const detail = `${policy}, without a limit so far: with one, it deletes sessions when its memory is full`
    return { ...warning('eviction', detail), fix }
  }
  return { ...broken('eviction', `${policy}: it deletes sessions when its memory is full`), fix }
}

function isFull(info: ReadonlyMap<string, string> | undefined): boolean {
  const limit = Number(info?.get('maxmemory') ?? 0)
  return limit > 0 && Number(info?.get('used_memory')) >= limit
}

async function durabilityFact(session: RedisSession): Promise<EngineFact> {
  const info = await infoOf(session, 'persistence')
  const log = info?.get('aof_enabled') ?? flagOf(await configOf(session, 'appendonly'))
  if (log === undefined) return notTold('durability', 'whether a restart loses changes')
  const fix = fixOf('redis-not-durable')
  if (info?.get('aof_last_write_status') === 'err') {
    return { ...broken('durability', 'its append-only file cannot be written'), fix: fixOf('redis-disk-failed') }
  }
  if (log === '0') {
    const snapshots = await configOf(session, 'save')
    if (snapshots === '') {
      return { ...warning('durability', 'it writes nothing to its disk: a restart loses the vault'), fix }
    }
    const known = snapshots === undefined ? 'snapshots at most' : 'snapshots only'
    return { ...warning('durability', `${known}: a restart loses the changes since the last one`), fix }
  }
  const policy = await configOf(session, 'appendfsync')
  // Of a file that is written when the system does so, nothing is confirmed.
  if (policy !== 'no' && (await canWaitForDisk(session)))
    return ok('durability', `append-only file (${policy ?? 'policy unknown'}); each change is waited for`)
  if (policy === 'always') return ok('durability', 'append-only file, written before a change is confirmed')
  if (policy === 'everysec') {
    const detail = 'append-only file, written once per second: if its machine crashes, it loses up to a second'
    return { ...warning('durability', detail), fix }
  }
  const detail = policy === 'no' ? 'when the operating system decides' : 'at unknown times'
  return {
    ...warning('durability', `append-only file, written ${detail}: a crash of its machine can lose changes`),
    fix,
  }
}

async function replicasFact(session: RedisSession): Promise<EngineFact> {
  const info = await infoOf(session, 'replication')
  const count = info?.get('connected_slaves')
  if (count === undefined) return notTold('replicas', 'whether there are any')
  if (count === '0') return ok('replicas', 'none')
  return ok('replicas', `${count}; after a failover, the most recent changes may be missing`)
}

async function canWaitForDisk(session: RedisSession): Promise<boolean> {
  return (await permitted(session.ask('WAITAOF', 0, 0, 1))) !== undefined
}

async function infoOf(session: RedisSession, section: string): Promise<ReadonlyMap<string, string> | undefined> {
  const reply = await permitted(session.ask('INFO', section))
  if (!Buffer.isBuffer(reply)) return undefined
  const lines = reply.toString().split('\r\n')
  return new Map(lines.flatMap((line) => (/^\w+:/.test(line) ? [splitAt(line, line.indexOf(':'))] : [])))
}

function splitAt(line: string, index: number): [name: string, value: string] {
  return [line.slice(0, index), line.slice(index + 1)]
}

async function configOf(session: RedisSession, name: string): Promise<string | undefined> {
  const reply = await permitted(session.ask('CONFIG', 'GET', name))
  const value = Array.isArray(reply) ? (reply as readonly RedisReply[])[1] : undefined
  return value === undefined ? undefined : String(value)
}

/** @returns `undefined` if the server rejects it */
async function permitted(asked: Promise<RedisReply>): Promise<RedisReply | undefined> {
  return asked.catch((error: unknown) => {
    if (error instanceof RedisRejection) return undefined
    throw error
  })
}

function flagOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : text === 'yes' ? '1' : '0'
}

function ok(topic: string, detail: string): EngineFact {
  return { topic, verdict: 'ok', detail }
}

function warning(topic: string, detail: string): EngineFact {
  return { topic, verdict: 'warning', detail }
}

function broken(topic: string, detail: string): EngineFact {
  return { topic, verdict: 'broken', detail }
}

function notTold(topic: string, what: string): EngineFact {
  return warning(topic, `unknown: the server does not report ${what}`)
}

type FaultOfServer =
  | 'redis-permission-missing'
  | 'redis-evicting'
  | 'redis-memory-full'
  | 'redis-not-durable'
  | 'redis-disk-failed'

function fixOf(reason: FaultOfServer): Fix {
  return { code: 'VAULT_REFUSED', facts: { reason } }
}
