/**
 * A connection to Redis or Valkey that says of each failure whether the command may have been executed. It sends nothing
 * twice, and keeps no process alive that has nothing to ask.
 */
import { isIP } from 'node:net'
import { Redis } from 'ioredis'
import type { RedisAddress, RedisLogin } from './redis-address.ts'
import { connectionError, RedisRejection, rejection } from './redis-errors.ts'

export type RedisReply = Buffer | number | null | readonly RedisReply[]

export interface RedisServer {
  /** As the server says it. */
  readonly name: 'Redis' | 'Valkey'
  /** Not told by servers before Redis 6. */
  readonly version: string | undefined
  readonly role: string | undefined
  /** `standalone`, `cluster` or `sentinel`. */
  readonly mode: string | undefined
  /** A password was given, and the server wants none. */
  readonly isOpen: boolean
}

/** The connection was lost, or there was no reply in time: the command may have been executed. */
export class RedisLoss extends Error {}

/** Milliseconds after which an unused connection is not trusted: a firewall may have forgotten it. */
const IDLE = 3_000

/** As much of the library as a session needs. */
interface Client {
  callBuffer(command: string, ...parameters: (string | number)[]): Promise<unknown>
}

interface Live {
  readonly client: Redis
  readonly ready: Promise<RedisServer>
  isOpening: boolean
}

export class RedisConnection {
  readonly #address: RedisAddress
  readonly #login: RedisLogin
  readonly #timeout: number
  #live: Live | undefined
  #inUse = 0
  #usedAt = 0
  #idle: NodeJS.Timeout | undefined

  /** @param timeout milliseconds for a connection, and for each reply */
  constructor(address: RedisAddress, login: RedisLogin, timeout: number) {
    this.#address = address
    this.#login = login
    this.#timeout = timeout
  }

  /**
   * @throws {OAuthError} there is no connection
   * @throws what `work` throws
   */
  async use<T>(work: (session: RedisSession) => Promise<T>): Promise<T> {
    clearTimeout(this.#idle)
    if (this.#inUse === 0 && Date.now() - this.#usedAt > IDLE) this.#close()
    this.#inUse += 1
    try {
      const { client, ready } = this.#open()
      const server = await ready
      return await work(new RedisSession(client, server, () => this.#close(client)))
    } finally {
      this.#inUse -= 1
      if (this.#inUse === 0) this.#rest()
    }
  }

  #open(): Live {
    const isUsable = this.#live?.isOpening || this.#live?.client.status === 'ready'
    if (!isUsable) this.#live = this.#connect()
    setAlive(this.#live!.client, true)
    return this.#live!
  }

  #connect(): Live {
    const { host, port, isEncrypted } = this.#address
    const client = new Redis({
      host,
      port,
      ...(isEncrypted && { tls: isIP(host) === 0 ? { servername: host } : {} }),
      connectTimeout: this.#timeout,
      commandTimeout: this.#timeout,
      lazyConnect: true,
      // What was sent may have been executed. Whether it is sent again is not for the client to decide.
      retryStrategy: null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      // The handshake is ours, because of its errors.
      protocol: 2,
      enableReadyCheck: false,
      disableClientInfo: true,
    })
    const live: Live = { client, isOpening: true, ready: this.#greet(client) }
    live.ready.then(
      () => {
        live.isOpening = false
      },
      () => {
        if (this.#live === live) this.#live = undefined
      },
    )
    return live
  }

  async #greet(client: Redis): Promise<RedisServer> {
    let cause: Error | undefined
    client.on('error', (error: Error) => {
      cause ??= error
    })
    try {
      await client.connect()
      return await greet(client, this.#address, this.#login)
    } catch (error) {
      client.disconnect()
      if (error instanceof RedisRejection) throw error.as(this.#address, this.#login)
      throw connectionError(cause ?? error, this.#address)
    }
  }

  /** An open socket would keep the process alive, and an unused one is of no use to a long process. */
  #rest(): void {
    this.#usedAt = Date.now()
    if (this.#live !== undefined) setAlive(this.#live.client, false)
    this.#idle = setTimeout(() => this.#close(), IDLE)
    this.#idle.unref()
  }

  #close(client = this.#live?.client): void {
    if (this.#live?.client === client) this.#live = undefined
    client?.disconnect()
  }
}

export class RedisSession {
  readonly server: RedisServer
  readonly #client: Client
  readonly #close: () => void

  constructor(client: Client, server: RedisServer, close: () => void) {
    this.#client = client
    this.server = server
    this.#close = close
  }

  /**
   * @throws {RedisRejection} the server rejected the command
   * @throws {RedisLoss} it may have been executed
   */
  async ask(command: string, ...parameters: (string | number)[]): Promise<RedisReply> {
    try {
      return await reply(this.#client, command, parameters)
    } catch (error) {
      if (error instanceof RedisRejection) throw error
      // A late reply would be taken for that of the next command.
      this.#close()
      throw new RedisLoss(error instanceof Error ? error.message : String(error))
    }
  }
}

async function reply(client: Client, command: string, parameters: readonly (string | number)[]): Promise<RedisReply> {
  try {
    return (await client.callBuffer(command, ...parameters)) as RedisReply
  } catch (error) {
    // Nothing else of the error is kept: it contains the command with its parameters.
    if (error instanceof Error && error.name === 'ReplyError') throw new RedisRejection(command, error.message)
    throw error
  }
}

/** Sends everything at once, which takes one round trip. */
async function greet(client: Redis, { database }: RedisAddress, { user, password }: RedisLogin): Promise<RedisServer> {
  const login = password === undefined ? undefined : reply(client, 'AUTH', user ? [user, password] : [password])
  const hello = reply(client, 'HELLO', ['2'])
  const select = database === 0 ? undefined : reply(client, 'SELECT', [database])
  const [loggedIn, greeted, selected] = await Promise.allSettled([login, hello, select])
  const isOpen = loggedIn.status === 'rejected' && isPasswordUnneeded(loggedIn.reason)
  if (loggedIn.status === 'rejected' && !isOpen) throw loggedIn.reason
  if (greeted.status === 'rejected' && !isUnknown(greeted.reason)) throw greeted.reason
  if (selected.status === 'rejected') throw selected.reason
  const fields = greeted.status === 'fulfilled' ? fieldsOf(greeted.value) : new Map<string, string>()
  const role = fields.get('role')
  if (fields.get('mode') === 'sentinel') throw rejection('sentinel')
  if (role !== undefined && role !== 'master') throw rejection('replica')
  return {
    name: fields.get('server') === 'valkey' ? 'Valkey' : 'Redis',
    version: fields.get('version'),
    role,
    mode: fields.get('mode'),
    isOpen,
  }
}

function isPasswordUnneeded(error: unknown): boolean {
  return error instanceof RedisRejection && /without any password configured|no password is set/i.test(error.said)
}

function isUnknown(error: unknown): boolean {
  return error instanceof RedisRejection && error.isUnknownCommand
}

function fieldsOf(flat: RedisReply): Map<string, string> {
  const fields = new Map<string, string>()
  if (!Array.isArray(flat)) return fields
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(String(flat[at]), String(flat[at + 1]))
  return fields
}

function setAlive({ stream }: Redis, isAlive: boolean): void {
  const socket = stream as { ref?: () => void; unref?: () => void } | undefined
  if (isAlive) socket?.ref?.()
  else socket?.unref?.()
}
