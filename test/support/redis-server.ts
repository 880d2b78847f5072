/**
 * Redis as a service: a real server on a socket of its own, behind a proxy that can lose requests and replies, and give
 * replies that a server gives on its bad days.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { Redis } from 'ioredis'
import type { Certificate } from './certificates.ts'

export type RedisFault =
  /** The connection is cut before anything is done. */
  | 'cut-before'
  /** It is done, and the connection is cut before the reply. */
  | 'cut-after'
  /** There is never a reply. */
  | 'silence'
  /** It is done, and the server killed before the reply. */
  | 'kill-after'
  /** A reply instead, as on the wire, without its end of line. */
  | { readonly reply: string }

export interface RedisServer {
  readonly port: number
  /** Called for each command; a promise delays it. */
  onCommand: ((command: readonly string[]) => RedisFault | undefined | Promise<RedisFault | undefined>) | undefined
  /** The commands that were sent, without their parameters. */
  readonly commands: string[]
  /** How many connections are open. */
  readonly connections: () => number
  /** Asks as an administrator, without the proxy. */
  admin(command: string, ...parameters: (string | number)[]): Promise<unknown>
  /** As if its machine lost power. */
  kill(): Promise<void>
  start(options?: readonly string[]): Promise<void>
  /** @returns a function that puts the files of now back, while the server is stopped */
  saveFiles(): () => void
  close(): Promise<void>
}

/** Debian 12 has Redis 7.0, which cannot be asked to wait for its disk; Valkey can. */
export const REDIS_PROGRAMS = ['redis-server', 'valkey-server'] as const
export type RedisProgram = (typeof REDIS_PROGRAMS)[number]

/** With an append-only file that is written before each reply, unless `options` say otherwise. */
const USUAL = [
  ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
  ...['--repl-diskless-sync-delay', '0', '--loglevel', 'notice'],
]

export async function startRedisServer(
  options: readonly string[] = [],
  certificate?: Certificate,
  program: RedisProgram = 'redis-server',
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-redis-'))
  const path = join(folder, 'socket')
  const sockets = new Set<Socket>()
  const commands: string[] = []
  let child: ChildProcess | undefined
  let dying: Promise<unknown> | undefined
  let administrator: Redis | undefined

  const accept = (client: Socket) => {
    const upstream = net.connect(path)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    serve(client, upstream).catch(() => client.destroy())
  }
  const proxy = certificate ? tls.createServer(certificate, accept) : net.createServer(accept)

  async function serve(client: Socket, upstream: Socket): Promise<void> {
    const requests = new Messages(client)
    const replies = new Messages(upstream)
    for (;;) {
      const request = await requests.next()
      const command = request.values.map(String)
      commands.push(command[0]!)
      if (command[0] === 'PSYNC') {
        upstream.write(request.bytes)
        requests.pipe(upstream)
        replies.pipe(client)
        return
      }
      const fault = await result.onCommand?.(command)
      if (fault === 'cut-before') return void client.destroy()
      if (typeof fault === 'object') {
        client.write(`${fault.reply}\r\n`)
        continue
      }
      upstream.write(request.bytes)
      const { bytes } = await replies.next()
      if (fault === 'kill-after') await result.kill()
      if (fault === 'cut-after' || fault === 'kill-after') return void client.destroy()
      if (fault !== 'silence') client.write(bytes)
    }
  }

  const result: RedisServer = {
    get port() {
      return (proxy.address() as AddressInfo).port
    },
    onCommand: undefined,
    commands,
    connections: () => [...sockets].length / 2,
    async admin(command, ...parameters) {
      administrator ??= new Redis(path, { maxRetriesPerRequest: null, protocol: 2 }).on('error', () => undefined)
      return administrator.call(command, ...parameters)
    },
    async kill() {
      const victim = child
      child = undefined
      administrator?.disconnect()
      administrator = undefined
      // Whoever is connected notices before it has ended.
      if (victim) {
        dying = new Promise((resolve) => victim.once('close', resolve))
        victim.kill('SIGKILL')
      }
      await dying
    },
    async start(more = options) {
      await dying
      const args = ['--port', '0', '--unixsocket', path, '--dir', folder, ...USUAL, ...more]
      // Valkey does not start with a locale that the machine lacks.
      const env = { ...process.env, LC_ALL: 'C' }
      const started = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
      child = started
      let log = ''
      await new Promise<void>((resolve, reject) => {
        started.on('error', reject)
        started.once('close', () => reject(new Error(`${program} ended: ${log}`)))
        started.stdout.setEncoding('utf8').on('data', (text: string) => {
          log += text
          if (/eady to accept connections/.test(log)) resolve()
        })
      })
    },
    saveFiles() {
      const kept = mkdtempSync(join(folder, '..', 'atproto-oauth-redis-kept-'))
      cpSync(join(folder, 'appendonlydir'), kept, { recursive: true })
      return () => {
        rmSync(join(folder, 'appendonlydir'), { recursive: true })
        cpSync(kept, join(folder, 'appendonlydir'), { recursive: true })
        rmSync(kept, { recursive: true })
      }
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
      await result.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  await result.start()
  return result
}

interface Message {
  readonly bytes: Buffer
  /** Of an array, its members. */
  readonly values: readonly Buffer[]
}

/** @see https://redis.io/docs/latest/develop/reference/protocol-spec/ */
class Messages {
  #buffer: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #isClosed = false
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#take)
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
  }

  readonly #take = (chunk: Buffer) => {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    this.#wake?.()
  }

  async next(): Promise<Message> {
    for (;;) {
      const values: Buffer[] = []
      const end = this.#endOf(0, values)
      if (end !== undefined) {
        const bytes = this.#buffer.subarray(0, end)
        this.#buffer = this.#buffer.subarray(end)
        return { bytes, values }
      }
      if (this.#isClosed) throw new Error('closed')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** From now on as bytes. */
  pipe(target: Socket): void {
    this.#socket.off('data', this.#take)
    target.write(this.#buffer)
    this.#socket.pipe(target)
  }

  #endOf(start: number, values: Buffer[]): number | undefined {
    const line = this.#buffer.indexOf('\r\n', start)
    if (line < 0) return undefined
    const count = Number(this.#buffer.toString('latin1', start + 1, line))
    let at = line + 2
    switch (String.fromCharCode(this.#buffer[start]!)) {
      case '$': {
        const end = count < 0 ? at : at + count + 2
        if (this.#buffer.length < end) return undefined
        values.push(this.#buffer.subarray(at, Math.max(at, end - 2)))
        return end
      }
      case '*':
        for (let index = 0; index < count; index++) {
          const end = this.#endOf(at, values)
          if (end === undefined) return undefined
          at = end
        }
        return at
      default:
        return at
    }
  }
}
