/**
 * Servers on loopback for the tests of the HTTP client; each is gone with its test.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { createHttp } from '../../../src/node/http/client.ts'
import type { HttpInit } from '../../../src/ports.ts'
import { toResponse } from '../../../src/protocol/http/http-response.ts'
import { type Certificate, createCertificate } from '../../support/certificates.ts'
import { tempFolder } from '../helpers.ts'

/** With its responses as users of the library get them. */
export function client(options: Partial<Parameters<typeof createHttp>[0]> = {}) {
  const { fetch, connect } = createHttp({ dev: true, userAgent: 'atproto-oauth/test', ...options })
  return { connect: connect!, fetch: async (url: URL, init?: HttpInit) => toResponse(await fetch(url, init)) }
}

export async function listen(server: Server | http.Server, address = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  onTestFinished(() => {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

export async function serve(listener: RequestListener): Promise<URL> {
  // A connection that is not used any more stays: that it ends is for the client to see to.
  const server = http.createServer({ keepAliveTimeout: 0 }, listener)
  return new URL(`http://127.0.0.1:${await listen(server)}/path?query=1`)
}

/** A server with one response for all, and its connections with a request. */
export async function serveCounting(text = 'here'): Promise<{ url: URL; sockets: Set<net.Socket> }> {
  const sockets = new Set<net.Socket>()
  const url = await serve(({ socket }, response) => {
    sockets.add(socket)
    response.end(text)
  })
  return { url, sockets }
}

/**
 * A server in a thread, which goes on while this one is blocked. It posts its port.
 *
 * @param source has two numbers in common with this thread, `workerData`
 */
export async function serveInThread(source: string): Promise<{ url: URL; flags: Int32Array; worker: Worker }> {
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(source, { eval: true, workerData: flags })
  onTestFinished(() => void worker.terminate())
  const [port] = await once(worker, 'message')
  return { url: new URL(`http://127.0.0.1:${port}`), flags, worker }
}

/** A server on the level of bytes, told of all that a client sent so far. */
export async function serveBytes(onData: (socket: net.Socket, sent: string) => void): Promise<URL> {
  const server = net.createServer((socket) => {
    let sent = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      sent += chunk
      onData(socket, sent)
    })
    onTestFinished(() => void socket.destroy())
  })
  return new URL(`http://127.0.0.1:${await listen(server)}/`)
}

export async function unusedPort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface CertificateFile extends Certificate {
  /** For NODE_EXTRA_CA_CERTS. */
  readonly path: string
}

export async function certificateFor(...names: string[]): Promise<CertificateFile> {
  const path = join(await tempFolder(), 'certificate.pem')
  const certificate = await createCertificate(names)
  await writeFile(path, certificate.cert)
  return { ...certificate, path }
}

/** An HTTPS server with a certificate of its own making, for 127.0.0.1 and pds.example.com. */
export async function serveTls(listener: RequestListener): Promise<{ url: URL; certificate: string }> {
  const { path, ...pair } = await certificateFor('127.0.0.1', 'pds.example.com')
  return { url: new URL(`https://127.0.0.1:${await listen(https.createServer(pair, listener))}/`), certificate: path }
}

/**
 * A proxy that opens a tunnel to `target` wherever it was asked to, or answers with another status.
 *
 * @param secure it is spoken to over TLS
 */
export async function serveProxy(
  status: number,
  target?: URL,
  secure?: Certificate,
): Promise<{ url: URL; asked: string[] }> {
  const asked: string[] = []
  const answer: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(status).end()
  }
  const server = secure ? https.createServer(secure, answer) : http.createServer(answer)
  server.on('connect', (request, socket) => {
    asked.push(`${request.method} ${request.url}`)
    if (status !== 200) return socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`)
    const there = net.connect(Number(target!.port), target!.hostname)
    for (const end of [socket, there]) end.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(there).pipe(socket)
    onTestFinished(() => {
      socket.destroy()
      there.destroy()
    })
  })
  return { url: new URL(`http${secure ? 's' : ''}://127.0.0.1:${await listen(server)}/`), asked }
}
