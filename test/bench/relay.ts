/**
 * A relay that puts servers at a distance: names under TLS, behind a network where data takes its time. What the client
 * pays for is real: the handshake of TLS passes over the same way as everything else. That of TCP is the kernel's and ends
 * at once, so the first data of a client waits for the round trip that it would have taken: nothing can be sent before.
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import { createAuthority, createCertificate } from '../support/certificates.ts'

/** The way between a client and its server, for one connection. */
export interface Way {
  /** Resolves when what the client sends now reaches the server. */
  there(): Promise<unknown>
  /** Resolves when what the server sends now reaches the client. */
  back(): Promise<unknown>
}

export interface Relay {
  readonly port: number
  /** What leads Node to the names, and makes it trust them. */
  readonly env: Readonly<Record<string, string>>
  /** The same for git, which has the port in its URLs. */
  readonly gitEnv: Readonly<Record<string, string>>
  /** PEM. */
  readonly ca: string
  /** How many connections were made to each name. */
  readonly connections: ReadonlyMap<string, number>
  /** What passed since `startTraffic`. */
  traffic(): Traffic
  /** @param isSameClient one that may still have connections; of another, those that are open are ignored */
  startTraffic(isSameClient: boolean): void
  /** A query of the client's over another way, and its response. */
  queryOver(roundTrip: number): Promise<void>
  /** From the next connection on. */
  setWay(way: () => Way): void
  close(): Promise<void>
}

export interface Traffic {
  /** Connections that were opened, whatever became of them. */
  readonly opened: number
  /** HTTP requests, as `METHOD name/path`, without their queries. */
  readonly requests: readonly string[]
  /**
   * How often the client waited for data that took a round trip, whatever else it waited for: what it sends depends on
   * all that has reached it. A busy client may send something so late that it seems to depend on more than it does, so the
   * least of a few runs is right.
   */
  readonly roundTrips: number
}

/** One command of one client; what comes late of another is not part of it. */
interface Span {
  opened: number
  readonly requests: string[]
  /** In round trips, when the latest data reached the client. */
  latest: number
}

/** Bytes under way in one direction; a sender with more than that has to wait. */
const WINDOW = 1024 * 1024

/** @param roundTrip in milliseconds */
export function distance(roundTrip: number): () => Way {
  if (roundTrip === 0) return () => ({ there: async () => {}, back: async () => {} })
  return () => {
    // A handshake of TCP has to be over before the client sends anything.
    const established = performance.now() + roundTrip
    return {
      there: () => pause(Math.max(0, established - performance.now()) + roundTrip / 2),
      back: () => pause(roundTrip / 2),
    }
  }
}

/**
 * @param targets by name, the port on this machine that serves it without TLS
 * @param nameServer port of the DNS server that is asked for the names; without one their address is known at once
 */
export async function startRelay(targets: Readonly<Record<string, number>>, nameServer?: number): Promise<Relay> {
  const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-relay-'))
  const names = Object.keys(targets)
  const authority = await createAuthority()
  const file = join(folder, 'ca.pem')
  await writeFile(file, authority.cert)
  const connections = new Map<string, number>()
  const newSpan = (): Span => ({ opened: 0, requests: [], latest: 0 })
  let span = newSpan()
  /** Connections whose client has ended, or has hung up. */
  let earlier = new WeakSet<Socket>()
  const open = new Set<Socket>()
  const keep = (socket: Socket) => {
    open.add(socket.setNoDelay().on('close', () => open.delete(socket)))
    return socket
  }
  let newWay = distance(0)

  const certificate = await createCertificate(names, authority)
  const inner = tls.createServer({ ...certificate, ALPNProtocols: ['http/1.1'], allowHalfOpen: true })
  inner.on('secureConnection', (client) => {
    const name = client.servername || ''
    connections.set(name, (connections.get(name) ?? 0) + 1)
    const target = targets[name]
    if (target === undefined) return client.destroy()
    const server = keep(net.connect({ port: target, host: 'localhost', allowHalfOpen: true }))
    watchRequests(client, (method, path) => span.requests.push(`${method} ${name}${path}`))
    carry(client, server)
    carry(server, client)
  })
  inner.on('connection', keep).on('tlsClientError', () => undefined)
  const innerPort = await listen(inner)
  const outer = net.createServer({ allowHalfOpen: true }, (client) => {
    const way = newWay()
    span.opened += 1
    const server = keep(net.connect({ port: innerPort, host: '127.0.0.1', allowHalfOpen: true }))
    let ends = { span, established: span.latest + 1, server: 0 }
    // What a client that hangs up is sent after that, it does not wait for.
    client.once('end', () => earlier.add(client))
    carry(keep(client), server, async () => {
      if (ends.span !== span) ends = { span, established: 0, server: 0 }
      const to = ends
      const arrival = Math.max(to.established, to.span.latest) + 0.5
      await way.there()
      to.server = Math.max(to.server, arrival)
    })
    carry(server, client, async () => {
      const from = ends
      const arrival = from.server + 0.5
      await way.back()
      if (!earlier.has(client)) from.span.latest = Math.max(from.span.latest, arrival)
    })
  })
  const port = await listen(outer)

  const preload = join(folder, 'names.cjs')
  await writeFile(preload, leadingNames(names, port, authority.cert, nameServer))
  return {
    port,
    env: { NODE_OPTIONS: `--require=${preload}` },
    gitEnv: {
      GIT_SSL_CAINFO: file,
      GIT_CONFIG_COUNT: String(names.length),
      ...Object.fromEntries(
        names.flatMap((name, index) => [
          [`GIT_CONFIG_KEY_${index}`, 'http.curloptResolve'],
          [`GIT_CONFIG_VALUE_${index}`, `${name}:${port}:127.0.0.1`],
        ]),
      ),
    },
    ca: authority.cert,
    connections,
    traffic: () => ({ opened: span.opened, requests: [...span.requests], roundTrips: span.latest }),
    startTraffic(isSameClient) {
      span = newSpan()
      if (!isSameClient) earlier = new WeakSet(open)
    },
    async queryOver(roundTrip) {
      const of = span
      const arrival = of.latest + 1
      await pause(roundTrip)
      of.latest = Math.max(of.latest, arrival)
    },
    setWay(way) {
      newWay = way
    },
    async close() {
      for (const socket of open) socket.destroy()
      await Promise.all([inner, outer].map((server) => new Promise((resolve) => server.close(resolve))))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** One direction: in order, with the end, and with a break of the connection as well. */
export function carry(from: Duplex, to: Duplex, arrival: () => Promise<unknown> = async () => {}): void {
  let order: Promise<unknown> = Promise.resolve()
  let underWay = 0
  let isEnded = false
  const send = (deliver: () => unknown) => {
    const arrived = arrival()
    order = order.then(() => arrived).then(deliver)
  }
  from.on('data', (piece: Buffer) => {
    underWay += piece.length
    if (underWay > WINDOW) from.pause()
    send(async () => {
      if (!to.destroyed && !to.write(piece)) await drained(to)
      underWay -= piece.length
      if (underWay <= WINDOW) from.resume()
    })
  })
  from.once('end', () => {
    isEnded = true
    send(() => to.end())
  })
  from.on('error', () => undefined)
  from.once('close', () => {
    if (!isEnded) send(() => to.destroy())
  })
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
    if (stream.destroyed) done()
  })
}

/** The first lines of HTTP/1.1 requests. Those of our clients have no body in which such a line could stand. */
function watchRequests(client: Duplex, seen: (method: string, path: string) => void): void {
  let rest = ''
  client.on('data', (piece: Buffer) => {
    const lines = (rest + piece.toString('latin1')).split('\r\n')
    rest = lines.pop()!
    for (const line of lines) {
      const [, method, path] = /(GET|HEAD|POST|PUT|DELETE|OPTIONS) (\/[^ ?]*)\S* HTTP\/1\.1$/.exec(line) ?? []
      if (method !== undefined) seen(method, path!)
    }
  })
}

/**
 * For a preload: the names are found, connections to their port 443 go to the relay, and its certificates are trusted.
 * Not by NODE_EXTRA_CA_CERTS, for which Node 20 parses all of its own certificates at its start.
 */
function leadingNames(names: readonly string[], port: number, ca: string, nameServer: number | undefined): string {
  return `const { Socket } = require('node:net')
const dns = require('node:dns')
const tls = require('node:tls')
const { syncBuiltinESMExports } = require('node:module')
const names = new Set(${JSON.stringify(names)})
const servers = ${JSON.stringify(nameServer === undefined ? [] : [`127.0.0.1:${nameServer}`])}

if (servers.length > 0) {
  dns.setServers(servers)
  dns.promises.setServers(servers)
  const led = new WeakSet()
  for (const { prototype } of [dns.Resolver, dns.promises.Resolver]) {
    for (const method of ['resolve', 'resolve4', 'resolve6', 'resolveTxt']) {
      const resolve = prototype[method]
      prototype[method] = function (...given) {
        if (!led.has(this)) this.setServers(servers)
        led.add(this)
        return resolve.apply(this, given)
      }
    }
  }
}
const { lookup } = dns
dns.lookup = (name, options, callback = options) => {
  if (!names.has(name)) return lookup(name, options, callback)
  const found = (error, addresses) => {
    if (error) return callback(error)
    const [address] = addresses
    return options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)
  }
  if (servers.length > 0) dns.resolve4(name, found)
  else process.nextTick(found, null, ['127.0.0.1'])
}

const { connect } = Socket.prototype
Socket.prototype.connect = function (...given) {
  // Node calls it with the arguments it has put in order already: a list with the options first.
  const list = Array.isArray(given[0]) ? given[0] : given
  const options = list[0]
  if ((names.has(options?.host) || names.has(options?.servername)) && Number(options.port) === 443) {
    // Whatever address is found, and whoever judges it: the relay is here.
    const find = options.lookup ?? dns.lookup
    const lookup = (name, asked, callback) =>
      find(name, asked, (error) => {
        if (error) return callback(error)
        return asked.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
      })
    // Who has looked a name up already gives its address.
    const place = names.has(options.host) ? { lookup } : { host: '127.0.0.1' }
    list[0] = { ...options, port: ${port}, ...place }
  }
  return connect.apply(this, given)
}

const { createSecureContext } = tls
tls.createSecureContext = (options, ...more) => {
  const made = createSecureContext(options, ...more)
  if (options?.ca === undefined) made.context.addCACert(${JSON.stringify(ca)})
  return made
}
syncBuiltinESMExports()
`
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
