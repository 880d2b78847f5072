/**
 * The connections to each server: opened for a request or in advance, used by one request at a time, and kept for a while
 * after its response. In place of Node's agent, which gives a request the connection whose response has just ended, and
 * takes more processor time (`npm run bench`).
 */
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { type Connect, connecting, type OnConnect, type Server, serverOf, TlsSessions } from './connect.ts'
import { EarlyConnection } from './early.ts'
import type { Proxies } from './proxies.ts'

/** Milliseconds to keep an idle connection; a server may announce a shorter time (`Keep-Alive: timeout=`). */
const KEPT_FOR = 4_000
/** Milliseconds that a connection is given up before the announced time, as what is sent just then is lost. */
const MARGIN = 1_000
/**
 * Milliseconds that a connection rests after a response before the next request gets it: a server may close it without
 * announcing it, and what is sent on it just then is lost. Long enough to notice that.
 */
const REST = 2
/** Free ones, for each server. */
const MOST_KEPT = 256

/** All servers. */
export class Connections {
  readonly #dev: boolean
  readonly #proxies: Proxies
  readonly #servers = new Map<string, ServerConnections>()
  readonly #sessions = new TlsSessions()

  /** @param dev allows http and private addresses */
  constructor(dev: boolean, proxies: Proxies) {
    this.#dev = dev
    this.#proxies = proxies
  }

  /**
   * @param own for requests that each use a connection of their own
   * @throws {OAuthError} `ADDRESS_REFUSED`
   */
  to(url: URL, own = false): ServerConnections {
    const name = `${own} ${url.protocol}//${url.host}`
    return this.#servers.get(name) ?? this.#create(name, url, own)
  }

  #create(name: string, url: URL, own: boolean): ServerConnections {
    const [dev, sessions] = [this.#dev, this.#sessions]
    const server = serverOf(url, { dev })
    const connect = connecting(server, { dev, sessions, proxy: this.#proxies.for(url) })
    const created = new ServerConnections(server, connect, own, (isUsed) => {
      const known = this.#servers.get(name)
      if (isUsed && !known) this.#servers.set(name, created)
      else if (!isUsed && known === created) this.#servers.delete(name)
    })
    return created
  }
}

/** One server. For Node, this is the agent of a request. */
export class ServerConnections {
  // What Node reads from an agent.
  readonly protocol: string
  readonly defaultPort: number
  /** Otherwise Node closes a connection after its response. */
  readonly keepAlive: boolean
  readonly maxSockets = Number.POSITIVE_INFINITY

  readonly server: Server
  readonly #connect: Connect
  readonly #onUse: (isUsed: boolean) => void
  /** Requests without a connection. */
  #waiting = 0
  readonly #early = new Set<EarlyConnection>()
  readonly #connections = new Map<Socket, Connection>()
  readonly #resting: Rest[] = []
  /** The one that was used last is the last one. */
  readonly #free: Connection[] = []

  /** @param onUse called when there is a connection, or a request for one, and when there is none */
  constructor(server: Server, connect: Connect, own: boolean, onUse: (isUsed: boolean) => void) {
    this.server = server
    this.protocol = server.protocol
    this.defaultPort = server.port
    this.keepAlive = !own
    this.#connect = connect
    this.#onUse = onUse
  }

  /** Opens one for the first request. It is closed when the signal is aborted before that. */
  open(signal: AbortSignal): void {
    if (signal.aborted) return
    const early = new EarlyConnection(() => {
      this.#early.delete(early)
      this.#reportIfUnused()
    })
    this.#early.add(early)
    this.#onUse(true)
    early.open(this.#connect, signal)
  }

  /** Called by Node: gives the request a connection that is good for it, or else a new one. */
  addRequest(request: ClientRequest): void {
    this.#waiting += 1
    if (this.#waiting === 1) this.#onUse(true)
    if (this.#awaitRest(request)) return
    setImmediate(() => {
      if (this.#awaitRest(request)) return // a response has come to its end meanwhile
      // If the process was blocked, it is noticed by then if the server has closed a connection.
      setImmediate(() => this.#give(request))
    })
  }

  /** @param announced the `keep-alive` header of a response */
  limit(socket: Socket, announced: string): void {
    const seconds = /(?:^|[\s,;])timeout=(\d+)/i.exec(announced)?.[1]
    const connection = this.#connections.get(socket)
    if (connection && seconds) connection.keptFor = Math.min(KEPT_FOR, Number(seconds) * 1000 - MARGIN)
  }

  /**
   * Preferred to a free one, because its server has just shown that it is there. In a promise: what a request does happens in
   * the asynchronous context of its caller, and not in that of the request before.
   *
   * @returns whether there is a connection that the request gets as soon as it has rested
   */
  #awaitRest(request: ClientRequest): boolean {
    const rest = this.#resting.find(({ wake }) => wake === undefined)
    if (!rest) return false
    rest.timer.ref()
    void new Promise<void>((resolve) => {
      rest.wake = resolve
    }).then(() => this.#give(request))
    return true
  }

  #rest(connection: Connection): void {
    const { socket, keptFor, request } = connection
    if (!request?.destroyed) return // Node 20 reports a connection as free twice if request and response end together
    connection.request = undefined
    if (!isOpen(socket) || keptFor <= 0) {
      socket.destroy()
      return
    }
    socket.unref()
    connection.received = socket.bytesRead
    connection.endedAt = Date.now()
    const timer = setTimeout(setImmediate, REST, () => this.#endRest(rest)).unref()
    const rest: Rest = { connection, timer }
    this.#resting.push(rest)
  }

  #endRest(rest: Rest): void {
    const { connection, wake } = rest
    const { socket, keptFor } = connection
    remove(this.#resting, rest)
    if (isOpen(socket) && this.#free.length < MOST_KEPT) {
      socket.setTimeout(keptFor)
      this.#free.push(connection)
    } else socket.destroy()
    wake?.()
  }

  #give(request: ClientRequest): void {
    const connection = request.destroyed ? undefined : this.#takeFree()
    if (connection) this.#begin(request, connection)
    else if (request.destroyed) this.#end(request)
    else this.#openFor(request)
  }

  #takeFree(): Connection | undefined {
    for (let connection = this.#free.pop(); connection; connection = this.#free.pop()) {
      if (isUsable(connection)) {
        connection.socket.ref()
        return connection
      }
      connection.socket.destroy()
    }
    return undefined
  }

  #openFor(request: ClientRequest): void {
    let onConnect: OnConnect = () => {}
    // In a promise, as above: one that was opened early belongs to the context of whoever opened it.
    void new Promise<Parameters<OnConnect>>((resolve) => {
      onConnect = (...result) => resolve(result)
    }).then(([error, socket]) => {
      if (!socket) return this.#end(request, error!)
      this.#begin(request, this.#keep(socket)) // if it was given up meanwhile, Node reports the connection as free
    })
    for (const early of this.#early) if (early.take(onConnect)) return
    this.#connect(onConnect, () => undefined)
  }

  #keep(socket: Socket): Connection {
    const connection: Connection = { socket, keptFor: this.keepAlive ? KEPT_FOR : 0, received: 0, endedAt: 0 }
    this.#connections.set(socket, connection)
    socket.on('free', () => this.#rest(connection))
    socket.on('timeout', () => {
      if (this.#free.includes(connection)) socket.destroy()
    })
    socket.on('close', () => {
      remove(this.#free, connection)
      this.#connections.delete(socket)
      this.#reportIfUnused()
    })
    return connection
  }

  #begin(request: ClientRequest, connection: Connection): void {
    this.#waiting -= 1
    connection.request = request
    request.onSocket(connection.socket)
  }

  /** Node reports the end of a request only once it has, or cannot have, a connection. */
  #end(request: ClientRequest, error?: Error): void {
    this.#waiting -= 1
    request.destroy(error)
    request.onSocket(undefined as unknown as Socket)
    this.#reportIfUnused()
  }

  #reportIfUnused(): void {
    if (this.#waiting + this.#early.size + this.#connections.size === 0) this.#onUse(false)
  }
}

interface Connection {
  readonly socket: Socket
  /** Milliseconds. */
  keptFor: number
  /** Bytes, up to the end of the last response. */
  received: number
  /** When the last response ended. */
  endedAt: number
  /** The one that uses it. */
  request?: ClientRequest | undefined
}

/** Of one connection, after a response. */
interface Rest {
  readonly connection: Connection
  readonly timer: NodeJS.Timeout
  /** Tells the request that waits for it. */
  wake?: () => void
}

function isUsable({ socket, received, endedAt, keptFor }: Connection): boolean {
  // By a clock that goes on while the machine sleeps.
  const isFresh = Math.abs(Date.now() - endedAt) < keptFor
  // Data without a request is a mistake of the server, and would be taken for the response.
  return isFresh && isOpen(socket) && socket.bytesRead === received
}

function isOpen(socket: Socket): boolean {
  return socket.readable && socket.writable
}

function remove<Item>(items: Item[], item: Item): void {
  const at = items.indexOf(item)
  if (at >= 0) items.splice(at, 1)
}
