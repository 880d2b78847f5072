/**
 * A relay that puts servers at a distance: names under TLS, behind a network where data takes its time. What the client
 * pays for is real: the handshake of TLS passes over the same way as everything else.
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
  /** From the next connection on. */
  setWay(way: () => Way): void
  close(): Promise<void>
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

/** @param targets by name, the port on this machine that serves it without TLS */
export async function startRelay(targets: Readonly<Record<string, number>>): Promise<Relay> {
  const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-relay-'))
  const names = Object.keys(targets)
  const authority = await createAuthority()
  const file = join(folder, 'ca.pem')
  await writeFile(file, authority.cert)
  const connections = new Map<string, number>()
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
    carry(client, server)
    carry(server, client)
  })
  inner.on('connection', keep).on('tlsClientError', () => undefined)
  const innerPort = await listen(inner)
  const outer = net.createServer({ allowHalfOpen: true }, (client) => {
    const way = newWay()
    const server = keep(net.connect({ port: innerPort, host: '127.0.0.1', allowHalfOpen: true }))
    carry(keep(client), server, way.there)
    carry(server, client, way.back)
  })
  const port = await listen(outer)

  const preload = join(folder, 'names.cjs')
  await writeFile(preload, leadingNames(names, port))
  return {
    port,
    env: { NODE_OPTIONS: `--require=${preload}`, NODE_EXTRA_CA_CERTS: file },
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

/** For a preload: connections to port 443 of these names go to the relay. */
function leadingNames(names: readonly string[], port: number): string {
  return `const { Socket } = require('node:net')
const dns = require('node:dns')
const names = new Set(${JSON.stringify(names)})
const { lookup } = dns
dns.lookup = (name, options, callback = options) => {
  if (!names.has(name)) return lookup(name, options, callback)
  const found = { address: '127.0.0.1', family: 4 }
  process.nextTick(() => (options.all ? callback(null, [found]) : callback(null, found.address, found.family)))
}
const { connect } = Socket.prototype
Socket.prototype.connect = function (...given) {
  // Node calls it with the arguments it has put in order already: a list with the options first.
  const options = Array.isArray(given[0]) ? given[0][0] : given[0]
  if (names.has(options?.host) && Number(options.port) === 443) options.port = ${port}
  return connect.apply(this, given)
}
`
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
