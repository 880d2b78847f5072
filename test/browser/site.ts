/** A static host as anybody has one: it serves files, and keeps what it was asked with which headers. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from '../support/certificates.ts'

export const CALLBACK_PAGE = readFileSync(new URL('../../oauth-templates/callback/index.html', import.meta.url), 'utf8')

export interface Site {
  readonly port: number
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[]
  /** What is served at a path from now on. */
  publish(path: string, content: string): void
  stop(): Promise<void>
}

/** The callback page is at `/callback/`. With a certificate it speaks https. */
export async function startSite(certificate?: Certificate): Promise<Site> {
  const files = new Map([['/callback/', CALLBACK_PAGE]])
  const requests: { path: string; headers: IncomingHttpHeaders }[] = []
  const listener: RequestListener = ({ url = '/', headers }, response) => {
    requests.push({ path: url, headers })
    const path = url.replace(/\?.*$/, '').replace(/\/+/g, '/')
    const content = files.get(path)
    const type = path.endsWith('.json') ? 'application/json' : 'text/html; charset=utf-8'
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': type }).end(content)
  }
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    publish: (path, content) => void files.set(path, content),
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
