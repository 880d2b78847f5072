/**
 * The fake world on real sockets, for the built CLI: a TLS server that has a certificate for its names, behind
 * a proxy, for without one those names lead nowhere.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { isAuthError } from '../../src/errors.ts'
import type { FakeWorld } from './fake-atproto.ts'

/** A CA, and a certificate of its for the names of the fake world. */
export interface Authority {
  /** What `NODE_EXTRA_CA_CERTS` has to name. */
  readonly path: string
  readonly key: Buffer
  readonly cert: Buffer
}

export interface Sockets {
  /** Origin of the TLS server itself, with the one name of it that leads somewhere. */
  readonly direct: string
  /** What leads the CLI to this world, and makes it trust it. */
  readonly env: Readonly<Record<string, string>>
  /** What the proxy was asked for, as `METHOD target`. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

const NAMES = ['*.fake.dev', 'plc.directory', 'localhost']
const NEW_KEY = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** @param folder where the files go */
export function createAuthority(folder: string): Authority {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const usage = ['-addext', 'keyUsage=critical,keyCertSign']
  const ca = ['-x509', '-days', '2', '-subj', '/CN=The CA of the test', ...usage]
  openssl(...NEW_KEY, ...ca, '-keyout', file('ca.key'), '-out', file('ca.pem'))
  openssl(...NEW_KEY, '-subj', '/CN=The fake world', '-keyout', file('key.pem'), '-out', file('request.pem'))
  writeFileSync(file('names'), `subjectAltName=${NAMES.map((name) => `DNS:${name}`).join(',')}`)
  const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-set_serial', '2', '-days', '2']
  openssl('x509', '-req', '-in', file('request.pem'), ...by, '-extfile', file('names'), '-out', file('cert.pem'))
  return { path: file('ca.pem'), key: readFileSync(file('key.pem')), cert: readFileSync(file('cert.pem')) }
}

export async function openSockets(world: FakeWorld, { path, key, cert }: Authority): Promise<Sockets> {
  const asked: string[] = []
  const server = https.createServer(
    { key, cert },
    (request, response) => void serve(world, request, response, 'https:'),
  )
  const plain = http.createServer((request, response) => void serve(world, request, response, 'http:'))
  const [port, plainPort] = await Promise.all([listen(server), listen(plain)])

  const proxy = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    void serve(world, request, response, 'http:')
  })
  const open = new Set<net.Socket>()
  proxy.on('connect', (request, socket: net.Socket) => {
    asked.push(`${request.method} ${request.url}`)
    const beyond = net.connect(request.url?.endsWith(':80') ? plainPort : port, '127.0.0.1')
    for (const end of [socket, beyond]) open.add(end.on('error', () => undefined).on('close', () => open.delete(end)))
    socket.on('close', () => beyond.destroy())
    beyond.on('close', () => socket.destroy())
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(beyond).pipe(socket)
  })
  const url = `http://127.0.0.1:${await listen(proxy)}`
  return {
    direct: `https://localhost:${port}`,
    env: { HTTPS_PROXY: url, NODE_EXTRA_CA_CERTS: path },
    asked,
    async close() {
      for (const socket of open) socket.destroy()
      const servers = [server, plain, proxy]
      for (const each of servers) each.closeAllConnections()
      await Promise.all(servers.map((each) => new Promise((resolve) => each.close(resolve))))
    },
  }
}

/** One request as the world handles it; what it loses is a connection that breaks. */
async function serve(
  world: FakeWorld,
  request: IncomingMessage,
  response: ServerResponse,
  protocol: 'http:' | 'https:',
): Promise<void> {
  const { method = 'GET', url = '/', headers } = request
  const body = await buffer(request)
  followClock(world)
  try {
    const answer = await world.fetch(new URL(url, `${protocol}//${headers.host}`), {
      method,
      headers: headers as Record<string, string>,
      ...(body.length > 0 && { body: new Uint8Array(body) }),
    })
    response.sendDate = false // the world has a clock of its own
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    response.end(Buffer.from(await answer.arrayBuffer()))
  } catch (error) {
    if (!isAuthError(error)) throw error
    request.socket.destroy()
  }
}

/** The CLI looks at the clock of this machine, and its proofs have to be of the world's time. */
export function followClock(world: FakeWorld): void {
  world.advance(Date.now() - world.now())
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
