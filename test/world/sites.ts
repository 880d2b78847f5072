/**
 * Static https hosts, for client documents: a PDS fetches those itself, and only from names and over TLS. In the
 * servers' own process their names lead here; the CLI comes through a proxy.
 */
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { trustedCertificate } from '../support/fake-sockets.ts'
import { leadName } from './names.ts'

export interface Sites {
  /** What leads the CLI to them, and makes it trust them. */
  readonly env: Readonly<Record<string, string>>
  /** Serves the files of a folder unchanged, under a name that ends in `.fake.dev`. */
  publish(host: string, folder: string): void
  stop(): Promise<void>
}

const TYPES: Readonly<Record<string, string>> = { '.json': 'application/json', '.html': 'text/html; charset=utf-8' }

export async function startSites(): Promise<Sites> {
  const home = await mkdtemp(join(tmpdir(), 'atproto-oauth-sites-'))
  const { path, key, cert } = await trustedCertificate(home)
  const folders = new Map<string, string>()
  const server = https.createServer(
    { key, cert },
    (request, response) => void serve(folders.get(request.headers.host ?? ''), request, response),
  )
  const port = await listen(server)
  const ca = await readFile(path, 'utf8')

  const open = new Set<net.Socket>()
  const proxy = http.createServer().on('connect', (_, socket: net.Socket) => {
    const beyond = net.connect(port, '127.0.0.1')
    for (const end of [socket, beyond]) open.add(end.on('error', () => undefined).on('close', () => open.delete(end)))
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(beyond).pipe(socket)
  })
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${await listen(proxy)}`, NODE_EXTRA_CA_CERTS: path },
    publish(host, folder) {
      folders.set(host, folder)
      leadName(host, { port, ca })
    },
    async stop() {
      for (const socket of open) socket.destroy()
      for (const each of [server, proxy]) {
        each.close()
        each.closeAllConnections()
      }
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function serve(folder: string | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'https://site.fake.dev')
  const file = join(folder ?? '/nowhere', normalize(pathname), pathname.endsWith('/') ? 'index.html' : '')
  const stats = await stat(file).catch(() => undefined)
  if (stats?.isDirectory()) return void response.writeHead(301, { location: `${pathname}/` }).end()
  if (!stats) return void response.writeHead(404).end()
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
  response.end(await readFile(file))
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
