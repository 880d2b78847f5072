/**
 * The HTTP server of a front, on 127.0.0.1.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LocalRequest, LocalResponse } from '../ports.ts'

const HOST = '127.0.0.1'

/** Handles the requests; a `Front` is one. */
export interface RequestHandler {
  readonly handle: (request: LocalRequest) => Promise<LocalResponse>
  /** Resolves when nothing is in progress that must be finished. */
  readonly settled: () => Promise<void>
}

export interface FrontServer {
  /** `http://127.0.0.1:1234` */
  readonly origin: string
  /** Requests that arrive before this call wait for it. */
  serve(front: RequestHandler): void
  /** Accepts no more requests, and waits for those in progress, and for a refresh. */
  close(): Promise<void>
}

/** @throws {NodeJS.ErrnoException} the port is in use */
export async function startFrontServer(port = 0): Promise<FrontServer> {
  const server = createServer()
  server.listen(port, HOST)
  await once(server, 'listening')
  let front: RequestHandler | undefined
  const serving = new Promise<RequestHandler>((resolve) => {
    server.once('front', resolve)
  })
  server.on('request', (request, response) => {
    void serving.then((given) => answer(given, request, response)).catch(() => response.destroy())
  })
  return {
    origin: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    serve(given) {
      front = given
      server.emit('front', given)
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await front?.settled()
    },
  }
}

async function answer(front: RequestHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  const { status, headers, body } = await front.handle({
    method: request.method!,
    target: request.url!,
    headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
    body: async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      return chunks.length === 0 ? undefined : Buffer.concat(chunks)
    },
    signal: controller.signal,
  })
  response.writeHead(status, Object.fromEntries(headers))
  if (body !== null) for await (const chunk of typeof body === 'string' ? [body] : body) response.write(chunk)
  response.end()
}
