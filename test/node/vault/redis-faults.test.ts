/** A real Redis or Valkey on its bad days, and one that is not fit to keep sessions. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { VaultEngine } from '../../../src/node/vault/engine.ts'
import { createRedisEngine } from '../../../src/node/vault/redis.ts'
import { parseRedisAddress } from '../../../src/node/vault/redis-address.ts'
import { createAuthority, createCertificate } from '../../support/certificates.ts'
import { failure } from '../../support/failure.ts'
import { lacks } from '../../support/machine.ts'
import { REDIS_PROGRAMS, type RedisServer, startRedisServer } from '../../support/redis-server.ts'
import { shown, tempFolder, until } from '../helpers.ts'

const A = 'a'.repeat(40)
const KEY = 'atproto-oauth:vault'
const PASSWORD = 'canary-71c0-password'

describe.each(REDIS_PROGRAMS)('%s', (program) => {
  const isMissing = lacks(program)
  const servers: RedisServer[] = []
  let server: RedisServer
  async function start(options?: readonly string[]): Promise<RedisServer> {
    const started = await startRedisServer(options, undefined, program)
    servers.push(started)
    return started
  }
  beforeEach(async ({ skip }) => {
    skip(isMissing)
    server = await start()
  })
  afterEach(async () => {
    for (const each of servers.splice(0)) await each.close()
  })

  const connect = (login = '', { port } = server, timeout?: number): VaultEngine =>
    createRedisEngine(parseRedisAddress(`redis://${login}127.0.0.1:${port}`), { environment: {}, timeout })
  const verdicts = async (engine: VaultEngine) =>
    Object.fromEntries((await engine.describe()).map(({ topic, verdict, detail }) => [topic, `${verdict}: ${detail}`]))
  const once = (
    command: string,
    fault: Exclude<Awaited<ReturnType<NonNullable<RedisServer['onCommand']>>>, undefined>,
  ) => {
    server.onCommand = ([name]) => {
      if (name !== command) return undefined
      server.onCommand = undefined
      return fault
    }
  }

  test('killed between the request and the reply, and started with the last write: a repeat has won', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    once('EVALSHA', 'kill-after')
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
    expect(await failure(engine.swap(A, 'one', 'two'))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
    await server.start()
    expect(await engine.read(A)).toBe('two')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
  })

  test('killed, and started without the last write: what stands there is the one before', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    const restore = server.saveFiles()
    once('EVALSHA', 'kill-after')
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    await server.kill()
    restore()
    await server.start()
    expect(await engine.read(A)).toBe('one')
    expect(await engine.swap(A, 'two', 'three')).toBe('lost')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
  })

  test('a server that keeps nothing is called that, and begins again after a restart', async () => {
    server = await start(['--appendonly', 'no'])
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await verdicts(engine)).toMatchObject({
      durability: expect.stringMatching(/^warning: .* loses the vault$/),
    })
    await server.admin('CONFIG', 'SET', 'save', '3600 1')
    expect(await verdicts(engine)).toMatchObject({ durability: expect.stringMatching(/^warning: snapshots only/) })
    await server.kill()
    await server.start()
    expect(await engine.read(A)).toBeUndefined()
    expect(await engine.swap(A, 'one', 'two')).toBe('lost')
    expect(await engine.swap(A, undefined, 'two')).toBe('won')
  })

  test('what is told of the server', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    const facts = await engine.describe()
    expect(facts.map(({ topic }) => topic)).toStrictEqual([
      'server',
      'connection',
      'permissions',
      'eviction',
      'durability',
      'replicas',
      'stored',
    ])
    expect(facts.filter(({ verdict }) => verdict !== 'ok')).toStrictEqual([])
    expect(facts[0]!.detail).toMatch(/^(?:Redis|Valkey) \d+\.\d+\.\d+, primary$/)
    expect(facts.at(-1)!.detail).toBe(`1 under "${KEY}"`)
    const settings: [name: string, value: string, topic: string, said: RegExp][] = [
      ['appendfsync', 'no', 'durability', /^warning: .*when the operating system decides/],
      ['appendfsync', 'everysec', 'durability', /^(?:warning: .*loses up to a second|ok: .*waited for)/],
      ['maxmemory-policy', 'volatile-lru', 'eviction', /^ok: volatile-lru$/],
      ['maxmemory-policy', 'allkeys-lru', 'eviction', /^warning: allkeys-lru, without a limit so far/],
      ['maxmemory', '100mb', 'eviction', /^broken: allkeys-lru: it deletes sessions/],
    ]
    for (const [name, value, topic, said] of settings) {
      await server.admin('CONFIG', 'SET', name, value)
      expect(await verdicts(engine), `${name} ${value}`).toMatchObject({ [topic]: expect.stringMatching(said) })
    }
    expect((await engine.describe()).find(({ topic }) => topic === 'eviction')).toMatchObject({
      fix: { facts: { reason: 'redis-evicting' } },
    })
  })

  test('what a server does not tell is not made up', async () => {
    server.onCommand = ([name]) =>
      ['INFO', 'CONFIG', 'WAITAOF'].includes(name!) ? { reply: '-NOPERM this user has no permissions' } : undefined
    expect(await verdicts(connect())).toMatchObject({
      eviction: expect.stringMatching(/^warning: unknown: the server does not report/),
      durability: expect.stringMatching(/^warning: unknown: the server does not report/),
      replicas: expect.stringMatching(/^warning: unknown: the server does not report/),
      stored: 'ok: none yet',
    })
  })

  test('before it has won, a change is on the disk, where the server can wait for that', async () => {
    const engine = connect()
    once('WAITAOF', { reply: '*2\r\n:1\r\n:0' })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    once('WAITAOF', 'cut-before')
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    once('WAITAOF', { reply: '*2\r\n:1\r\n:0' })
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    server.commands.length = 0
    expect(await engine.swap(A, 'one', 'three')).toBe('lost')
    expect(server.commands).not.toContain('WAITAOF')
    // A disk that is too slow is waited for once.
    once('WAITAOF', { reply: '*2\r\n:0\r\n:0' })
    expect(await engine.swap(A, 'two', 'three')).toBe('unknown')
    server.commands.length = 0
    expect(await engine.swap(A, 'two', 'three')).toBe('won')
    expect(server.commands).toStrictEqual(['EVALSHA'])
  })

  test('without memory nothing is changed, and the rest can be read', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    await server.admin('CONFIG', 'SET', 'maxmemory', '1')
    const error = await failure(engine.swap(A, 'one', 'two'))
    expect(error).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: 'redis-memory-full' } })
    expect(await engine.read(A)).toBe('one')
    expect(await verdicts(engine)).toMatchObject({ eviction: expect.stringMatching(/^broken: .*its memory is full/) })
  })

  test('a replica is refused, and has the records once it is promoted', async () => {
    const engine = connect()
    const replica = await start(['--replicaof', `127.0.0.1 ${server.port}`])
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    await until(async () => (await replica.admin('HEXISTS', KEY, A).catch(() => 0)) === 1)
    const other = connect('', replica)
    const isReplica = { code: 'VAULT_REFUSED', facts: { reason: 'redis-replica' } }
    expect(await failure(other.read(A))).toMatchObject(isReplica)
    expect(await failure(other.swap(A, 'one', 'two'))).toMatchObject(isReplica)
    expect(await verdicts(other)).toStrictEqual({ service: expect.stringMatching(/^broken: .* is a replica/) })
    expect(await verdicts(engine)).toMatchObject({ replicas: expect.stringMatching(/^ok: 1; /) })
    await replica.admin('REPLICAOF', 'NO', 'ONE')
    expect(await other.swap(A, 'one', 'two')).toBe('won')
    // The primary before becomes a replica while it is connected to.
    await server.admin('REPLICAOF', '127.0.0.1', replica.port)
    expect(await failure(engine.swap(A, 'one', 'two'))).toMatchObject(isReplica)
  })

  test('a wrong password, none, and one that is not needed; none of them is shown', async () => {
    expect(await connect(`:${PASSWORD}@`).read(A)).toBeUndefined()
    await server.admin('CONFIG', 'SET', 'requirepass', PASSWORD)
    const refused = { code: 'VAULT_REFUSED', facts: { reason: 'redis-login-refused' } }
    for (const login of ['', ':wrong-canary@', `nobody:${PASSWORD}@`, 'nobody@']) {
      const engine = connect(login)
      const errors = [await failure(engine.read(A)), await failure(engine.swap(A, undefined, 'x'))]
      for (const error of errors) expect(error, login).toMatchObject(refused)
      const said = [...errors.map(shown), JSON.stringify(await engine.describe()), engine.address].join('\n')
      expect(said).not.toContain('canary')
      expect(said).not.toContain('nobody')
    }
    expect(await connect(`:${PASSWORD}@`).read(A)).toBeUndefined()
    expect(await connect(`default:${PASSWORD}@`).read(A)).toBeUndefined()
    const address = parseRedisAddress(`redis://127.0.0.1:${server.port}`)
    const environment = { ATPROTO_OAUTH_VAULT_TOKEN: PASSWORD }
    expect(await createRedisEngine(address, { environment }).read(A)).toBeUndefined()
    const login = ':wrong'
    expect(await failure(createRedisEngine(address, { environment, login }).read(A))).toMatchObject(refused)
  })

  test('a user with the permissions of the documentation, and with fewer', async () => {
    const documented = /commands `([^`]+)`/.exec(await readFile('docs/vault.md', 'utf8'))![1]!.split(/\s+/)
    // Redis 7.0 is older than it.
    const known = documented.filter((rule) => rule !== '+waitaof' || program === 'valkey-server')
    const user = ['SETUSER', 'bot', 'reset', 'on', `>${PASSWORD}`, '~atproto-oauth:*']
    await server.admin('ACL', ...user, ...known)
    const engine = connect(`bot:${PASSWORD}@`)
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect((await engine.describe()).filter(({ verdict }) => verdict !== 'ok')).toStrictEqual([])
    for (const command of ['+eval', '+evalsha', '+hset', '+hget', '+hgetall', '+hkeys']) {
      await server.admin('ACL', ...user, ...known.filter((rule) => rule !== command))
      const work = async () => {
        expect(await engine.read(A)).toBe('one')
        expect((await engine.list()).size).toBe(1)
        await engine.swap(A, 'one', 'one')
        await engine.destroy()
      }
      const error = await failure(work())
      expect(error, command).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: 'redis-permission-missing' } })
      const facts = await engine.describe()
      expect(
        facts.some(({ verdict }) => verdict === 'broken'),
        command,
      ).toBe(command !== '+evalsha')
    }
    await server.admin('ACL', ...user, ...known, 'resetkeys', '~other:*')
    expect(await failure(engine.read(A))).toMatchObject({ facts: { reason: 'redis-permission-missing' } })
  })

  test.each([
    ['EVALSHA', '-MOVED 3999 127.0.0.1:6381', 'VAULT_REFUSED', 'redis-cluster-node', /127\.0\.0\.1:6381/],
    ['EVALSHA', '-LOADING Redis is loading the dataset in memory', 'VAULT_UNREACHABLE', undefined, /loading/],
    ['EVALSHA', '-BUSY Redis is busy running a script', 'VAULT_UNREACHABLE', undefined, /busy/],
    ['EVALSHA', '-CLUSTERDOWN Hash slot not served', 'VAULT_UNREACHABLE', undefined, /not served/],
    ['EVALSHA', '-OOM command not allowed when used memory > maxmemory', 'VAULT_REFUSED', 'redis-memory-full', /full/],
    ['EVALSHA', '-MISCONF Redis is configured to save RDB snapshots', 'VAULT_REFUSED', 'redis-disk-failed', /disk/],
    ['EVALSHA', '-NOREPLICAS Not enough good replicas', 'VAULT_REFUSED', 'redis-replicas-missing', /replicas/],
    [
      'EVALSHA',
      `-ERR Error running script: @user_script:8: -READONLY You can't`,
      'VAULT_REFUSED',
      'redis-replica',
      /./,
    ],
    ['EVALSHA', `-ERR unknown command 'EVALSHA', with args: ${PASSWORD}`, 'VAULT_REFUSED', 'redis-expected', /support/],
    ['EVALSHA', `-ERR something with ${PASSWORD}`, 'VAULT_REFUSED', undefined, /something with \[redacted\]/],
    ['HELLO', '-ERR max number of clients reached', 'VAULT_UNREACHABLE', undefined, /max number/],
    ['HELLO', '-DENIED Redis is running in protected mode', 'VAULT_REFUSED', 'redis-protected', /own machine/],
    [
      'HELLO',
      '*4\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n$4\r\nrole\r\n$8\r\nsentinel',
      'VAULT_REFUSED',
      'redis-replica',
      /Sent/,
    ],
    ['AUTH', `-ERR strange ${PASSWORD}`, 'VAULT_REFUSED', undefined, /: AUTH was rejected$/],
    ['AUTH', `-ERR unknown command 'AUTH', with args: '${PASSWORD}'`, 'VAULT_REFUSED', 'redis-expected', /support/],
    ['SELECT', '-ERR DB index is out of range', 'VAULT_REFUSED', 'redis-database-unknown', /database/],
  ])('to %s the reply %j', async (command, reply, code, reason, message) => {
    const address = parseRedisAddress(`redis://:${PASSWORD}@127.0.0.1:${server.port}/1`)
    const engine = createRedisEngine(address, { environment: {} })
    server.onCommand = ([name]) => (name === command ? { reply } : undefined)
    const error = await failure(engine.swap(A, undefined, 'one'))
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(error.facts.reason).toBe(reason)
    expect(shown(error)).not.toContain(PASSWORD)
    server.onCommand = undefined
    expect(await engine.read(A)).toBeUndefined()
  })

  test('a server before HELLO is used, and does not tell its role', async () => {
    server.onCommand = ([name]) => (name === 'HELLO' ? { reply: '-ERR unknown command `HELLO`' } : undefined)
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await verdicts(engine)).toMatchObject({ server: 'ok: Redis before 6, its role is unknown' })
  })

  test('a script that the server has forgotten is sent again, as nothing was done', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    await server.admin('SCRIPT', 'FLUSH')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(server.commands.filter((name) => name === 'EVAL')).toHaveLength(2)
  })

  test('without a reply in time a change is unknown, and the next request has a connection of its own', async () => {
    const engine = connect('', server, 300)
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    once('EVALSHA', 'silence')
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    once('HGET', 'silence')
    expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
    expect(await engine.read(A)).toBe('two')
  })

  test('nothing is sent twice: a connection that is cut ends the request', async () => {
    const engine = connect()
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    server.commands.length = 0
    once('EVALSHA', 'cut-after')
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    expect(server.commands).toStrictEqual(['EVALSHA'])
    await server.admin('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    expect(await engine.read(A)).toBe('two')
  })

  test('what is not ours is reported, and stays', async () => {
    const engine = connect()
    const foreign = { code: 'VAULT_INVALID', facts: { reason: 'vault-foreign' } }
    await server.admin('SET', KEY, 'theirs')
    for (const work of [engine.read(A), engine.list(), engine.swap(A, undefined, 'x'), engine.destroy()]) {
      expect(await failure(work)).toMatchObject(foreign)
    }
    expect(await server.admin('GET', KEY)).toBe('theirs')
    await server.admin('DEL', KEY)
    await server.admin('SET', 'atproto-oauth:other', 'theirs')
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    await server.admin('HSET', KEY, 'user', 'alice')
    expect(await failure(engine.list())).toMatchObject(foreign)
    expect(await failure(engine.destroy())).toMatchObject(foreign)
    expect(await verdicts(engine)).toMatchObject({ service: expect.stringMatching(/^broken: .*not a vault/) })
    expect(await server.admin('HLEN', KEY)).toBe(2)
    await server.admin('HDEL', KEY, 'user')
    await engine.destroy()
    expect(await server.admin('KEYS', '*')).toStrictEqual(['atproto-oauth:other'])
  })

  test('bytes that are no text, and a record that is too long', async () => {
    const engine = connect()
    await server.admin('EVAL', `redis.call('HSET', KEYS[1], ARGV[1], '\\255')`, 1, KEY, A)
    const damaged = { code: 'VAULT_INVALID', facts: { reason: 'vault-damaged' } }
    expect(await failure(engine.read(A))).toMatchObject(damaged)
    await server.admin('HSET', KEY, A, 'x'.repeat(256 * 1024 + 1))
    expect(await failure(engine.list())).toMatchObject(damaged)
  })

  test('twenty processes on one record: one wins, and all of them end by themselves', async () => {
    const script = await contender()
    const address = `redis://127.0.0.1:${server.port}`
    let waiting = 0
    let open: () => void
    const all = new Promise<void>((resolve) => {
      open = resolve
    })
    server.onCommand = async ([name]) => {
      if (name !== 'EVALSHA') return undefined
      waiting += 1
      if (waiting === 20) open()
      await all
      return undefined
    }
    const names = Array.from({ length: 20 }, (_, index) => String(index))
    const ends = await Promise.all(names.map((name) => contend(script, address, name)))
    expect(ends.map(({ stderr }) => stderr).join('')).toBe('')
    const outcomes = ends.map(({ stdout }) => stdout)
    expect([...outcomes].sort()).toStrictEqual([...Array(19).fill('lost'), 'won'])
    expect(await connect().read(A)).toBe(String(outcomes.indexOf('won')))
  })
})

/** A program that reads a record and replaces it by its own text. It is bundled: twenty of them start at once. */
async function contender(): Promise<string> {
  const folder = await tempFolder()
  const source = `${process.cwd()}/src/contend.ts`
  const bundle = await rolldown({
    input: source,
    platform: 'node',
    plugins: [
      {
        name: 'contend',
        resolveId: (id) => (id === source ? id : undefined),
        load: (id) => (id === source ? CONTEND : undefined),
      },
    ],
  })
  await bundle.write({ dir: folder, format: 'cjs', entryFileNames: '[name].cjs' })
  await bundle.close()
  return join(folder, 'contend.cjs')
}

const CONTEND = `
import { parseRedisAddress } from './node/vault/redis-address.ts'
import { createRedisEngine } from './node/vault/redis.ts'
const [, , address, name] = process.argv
const engine = createRedisEngine(parseRedisAddress(address))
engine.read('${A}').then(async (before) => process.stdout.write(await engine.swap('${A}', before, name)))
`

function contend(script: string, address: string, name: string, env: NodeJS.ProcessEnv = {}) {
  return promisify(execFile)(process.execPath, [script, address, name], { env: { ...process.env, ...env } })
}

describe('what is at the address is not Redis', () => {
  async function listen(onConnection: (socket: net.Socket) => void): Promise<number> {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      onConnection(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    server.unref()
    return (server.address() as AddressInfo).port
  }

  test.each([
    ['redis', 'speaks HTTP', (socket: net.Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['redis', 'hangs up', (socket: net.Socket) => void socket.end()],
    ['rediss', 'speaks no TLS', (socket: net.Socket) => void socket.write('-ERR unknown command\r\n')],
    ['rediss', 'hangs up', (socket: net.Socket) => void socket.end()],
  ])('%s, and it %s', async (protocol, _, onConnection) => {
    const address = parseRedisAddress(`${protocol}://:${PASSWORD}@127.0.0.1:${await listen(onConnection)}`)
    const error = await failure(createRedisEngine(address, { environment: {} }).swap(A, undefined, 'x'))
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE', facts: { reason: 'redis-expected' } })
    expect(shown(error)).not.toContain(PASSWORD)
  })

  test('nothing listens, and there is no such host', async () => {
    for (const host of ['127.0.0.1:1', 'no-such-host.invalid']) {
      const error = await failure(createRedisEngine(parseRedisAddress(`redis://${host}`), { environment: {} }).read(A))
      expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' })
      expect(error.message).toMatch(/^cannot reach redis:\/\/.*: .*(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)/)
    }
  })
})

describe.skipIf(lacks('valkey-server'))('a server that can wait for its disk', () => {
  let server: RedisServer
  afterEach(() => server.close())

  async function connect(options: readonly string[]): Promise<VaultEngine> {
    server = await startRedisServer(options, undefined, 'valkey-server')
    return createRedisEngine(parseRedisAddress(`redis://127.0.0.1:${server.port}`), { environment: {} })
  }
  const asked = () => server.commands.filter((name) => name === 'WAITAOF').length

  test('a change has won when the disk has it', async () => {
    const engine = await connect(['--appendfsync', 'everysec'])
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(asked()).toBe(1)
    // What would be left if the machine lost power now.
    expect(await server.admin('WAITAOF', 1, 0, 1)).toStrictEqual([1, 0])
    server.onCommand = ([name]) => (name === 'WAITAOF' ? 'kill-after' : undefined)
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    server.onCommand = undefined
    await server.start()
    expect(await engine.read(A)).toBe('two')
  })

  test('of a disk that is written at some time it is unknown once, and is not waited for again', async () => {
    const engine = await connect(['--appendfsync', 'no'])
    expect(await engine.swap(A, undefined, 'one')).toBe('unknown')
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(asked()).toBe(1)
  })

  test('without an append-only file there is nothing to wait for', async () => {
    const engine = await connect(['--appendonly', 'no'])
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(asked()).toBe(1)
  })
})

describe.skipIf(lacks('redis-server'))('TLS', () => {
  test('a CA of one’s own is accepted where Node is told of it, and no other', async () => {
    const authority = await createAuthority()
    const server = await startRedisServer([], await createCertificate(['127.0.0.1'], authority))
    try {
      const address = `rediss://127.0.0.1:${server.port}`
      const engine = createRedisEngine(parseRedisAddress(address), { environment: {} })
      expect(await failure(engine.read(A))).toMatchObject({
        code: 'VAULT_UNREACHABLE',
        facts: { reason: 'certificate-untrusted' },
      })
      const file = join(await tempFolder(), 'ca.pem')
      await writeFile(file, authority.cert)
      const ended = await contend(await contender(), address, 'x', { NODE_EXTRA_CA_CERTS: file })
      expect(ended).toStrictEqual({ stdout: 'won', stderr: '' })
    } finally {
      await server.close()
    }
  })
})
