/**
 * The fake world on real sockets, for the built CLI: a TLS server that has a certificate for its names, behind
 * a proxy, for without one those names lead nowhere.
 */
import { writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { isOAuthError } from '../../src/errors.ts'
import { type Certificate, createAuthority, createCertificate } from './certificates.ts'
import type { FakeWorld } from './fake-atproto.ts'

/** A certificate for the names of the fake world, and the file of the CA that signed it. */
export interface TrustedCertificate extends Certificate {
  /** For `NODE_EXTRA_CA_CERTS`. */
  readonly path: string
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

/** @param folder where the CA's certificate is written to */
export async function trustedCertificate(folder: string): Promise<TrustedCertificate> {
  const authority = await createAuthority()
  const path = join(folder, 'ca.pem')
  await writeFile(path, authority.cert)
  return { ...(await createCertificate(NAMES, authority)), path }
}

export async function openSockets(world: FakeWorld, { path, key, cert }: TrustedCertificate): Promise<Sockets> {
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
    for await (const chunk of answer.body ?? []) response.write(chunk)
    response.end()
  } catch (error) {
    if (!isOAuthError(error)) throw error
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
