/**
 * The HTTP server of a front, on 127.0.0.1.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { LocalRequest, LocalResponse } from '../ports.ts'
import { undecoded } from './http/exchange.ts'
import { isCode } from './store/files.ts'

const HOST = '127.0.0.1'
/** Bytes. A body of this size can be sent again, and a larger one is a stream. */
const WHOLE = 256 * 1024
/** Milliseconds in which the rest of a request is skipped after its response, so that the client reads the response. */
const SKIPPING = 10_000
/** Longer than clients keep a connection: none is closed just when it is used again. */
const KEEP_ALIVE = 75_000
/** Milliseconds for requests in progress when the server is closed. */
const GRACE = 5_000
/** Whoever opens more, without a password, would use up the files with which this process saves a session. */
const CONNECTIONS_MOST = 4_000
/** Milliseconds for the headers of a request, and for a body that is read before anybody has signed in. */
const ANONYMOUS = 60_000
/** Milliseconds between two looks at which headers are late. */
const LOOKING = 30_000
/** Those of one connection (RFC 9110 §7.6.1); the content of a message is framed anew. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
])
/** A request cannot declare these to be of its connection, because who sent it is checked by them. */
const CHECKED = new Set(['host', 'origin', 'sec-fetch-site', 'upgrade'])

/** Handles the requests; a `Front` is one. */
export interface RequestHandler {
  readonly handle: (request: LocalRequest) => Promise<LocalResponse>
  /** Resolves when nothing is in progress that has to be finished. */
  readonly settled: () => Promise<void>
}

export interface FrontServer {
  /** `http://127.0.0.1:1234` */
  readonly origin: string
  /** Requests that have arrived before are handled too. */
  serve(front: RequestHandler): void
  /** Accepts no more requests, and waits a few seconds for those in progress, and for a refresh as long as it takes. */
  close(): Promise<void>
}

export interface FrontServerLimits {
  readonly connectionsMost?: number
  /** In milliseconds. */
  readonly headersTimeout?: number
  readonly lookingInterval?: number
}

/** @throws {NodeJS.ErrnoException} the port is in use */
export async function startFrontServer(
  port = 0,
  { connectionsMost = CONNECTIONS_MOST, headersTimeout = ANONYMOUS, lookingInterval = LOOKING }: FrontServerLimits = {},
): Promise<FrontServer> {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE,
    requestTimeout: 0, // a large upload takes as long as the PDS does
    headersTimeout, // that of the request would be the default
    connectionsCheckingInterval: lookingInterval,
    requireHostHeader: false, // the front checks it
    insecureHTTPParser: false, // whatever NODE_OPTIONS says
  })
  server.maxConnections = connectionsMost
  server.listen(port, HOST)
  await once(server, 'listening')

  let front: RequestHandler | undefined
  let start: (front: RequestHandler) => void
  const started = new Promise<RequestHandler>((resolve) => (start = resolve))
  const inProgress = new Map<Promise<void>, Socket>()
  let isClosing = false
  // Without a listener for upgrades, Node handles them as ordinary requests; some clients offer HTTP/2 like that.
  server.on('request', (request, response) => {
    const work = isClosing
      ? respond(response, CLOSING, false)
      : front
        ? answer(front, request, response)
        : started.then((given) => answer(given, request, response))
    const done = work.catch(() => void response.destroy()).finally(() => inProgress.delete(done))
    inProgress.set(done, request.socket)
  })
  server.on('clientError', (error, socket) => {
    // Another response may have begun.
    const isInUse = [...inProgress.values()].includes(socket as Socket)
    if (isInUse || !socket.writable || isCode(error, 'ECONNRESET')) socket.destroy()
    else socket.end(malformed(error))
  })
  return {
    origin: `http://${HOST}:${(server.address() as AddressInfo).port}`,
    serve(given) {
      front = given
      start(given)
    },
    async close() {
      isClosing = true
      start(CLOSED) // for requests that still wait for a front
      const closed = new Promise((resolve) => server.close(resolve))
      const timer = new AbortController()
      const late = pause(GRACE, undefined, { signal: timer.signal }).catch(() => undefined)
      await Promise.race([Promise.all(inProgress.keys()), late])
      timer.abort()
      server.closeAllConnections()
      await Promise.all([closed, ...inProgress.keys()])
      await front?.settled()
    },
  }
}

const CLOSING: LocalResponse = {
  status: 503,
  headers: [['content-type', 'application/json; charset=utf-8']],
  body: '{"error":"ServiceUnavailable","message":"this server is closing"}',
}

const CLOSED: RequestHandler = { handle: async () => CLOSING, settled: async () => {} }

async function answer(front: RequestHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  const answered = await front.handle({
    method: request.method!,
    target: request.url!,
    headers: headersOf(request),
    body: () => bodyOf(request, WHOLE),
    smallBody: (most) => inTime(request, bodyOf(request, most)),
    signal: controller.signal,
  })
  try {
    await respond(response, answered, request.method === 'HEAD')
  } finally {
    answered.end?.()
  }
  if (request.complete) return
  setTimeout(() => {
    if (!request.complete) request.socket.destroy()
  }, SKIPPING).unref()
}

/** In lower case; repeated ones are joined, so that none is overlooked. */
function headersOf({ rawHeaders }: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    const value = rawHeaders[at + 1]!
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  for (const name of (headers['connection'] ?? '').toLowerCase().split(',')) {
    if (!CHECKED.has(name.trim())) delete headers[name.trim()]
  }
  for (const name of HOP_BY_HOP) delete headers[name]
  return headers
}

/** Closes the connection if the body is late. */
async function inTime<T>(request: IncomingMessage, reading: Promise<T>): Promise<T> {
  const timer = setTimeout(() => request.destroy(), ANONYMOUS).unref()
  try {
    return await reading
  } finally {
    clearTimeout(timer)
  }
}

/** @param whole the largest body, in bytes, that is read and not a stream */
async function bodyOf(
  request: IncomingMessage,
  whole: number,
): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined> {
  const length = request.headers['content-length']
  if (length === undefined && request.headers['transfer-encoding'] === undefined) return undefined
  // The connection is still needed for the response if the rest is not read.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  const read: Buffer[] = []
  let size = 0
  if (!(Number(length) > whole)) {
    while (size <= whole) {
      const { done, value } = await chunks.next()
      if (done) return size === 0 ? undefined : Buffer.concat(read)
      read.push(value)
      size += value.length
    }
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of read) controller.enqueue(chunk)
    },
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: async () => void (await chunks.return?.()),
  })
}

async function respond(response: ServerResponse, { status, headers, body }: LocalResponse, isHead: boolean) {
  const names = [...headers]
  const encodings = names.find(([name]) => name === 'content-encoding')?.[1] ?? null
  const isDecoded = encodings !== null && undecoded(encodings).length === 0
  const sent: string[] = []
  for (const [name, value] of names) {
    const isOfEncoding = isDecoded && (name === 'content-encoding' || name === 'content-length')
    if (!HOP_BY_HOP.has(name) && !isOfEncoding && !(name === 'content-length' && status === 204)) sent.push(name, value)
  }
  if (typeof body === 'string') sent.push('content-length', String(Buffer.byteLength(body)))
  if (response.destroyed) {
    if (body instanceof ReadableStream) await body.cancel()
    return
  }
  response.writeHead(status, sent)
  if (body instanceof ReadableStream) await write(body, response)
  else response.end(isHead ? undefined : (body ?? undefined))
  if (!response.writableFinished && !response.destroyed) await once(response, 'close')
}

async function write(body: ReadableStream<Uint8Array>, response: ServerResponse): Promise<void> {
  const reader = body.getReader()
  response.once('close', () => {
    if (!response.writableFinished) reader.cancel().catch(() => undefined)
  })
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (!response.write(next.value)) await drained(response)
    }
    response.end()
  } catch {
    response.destroy() // so that the client notices that it is incomplete
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
    if (response.destroyed) done()
  })
}

/** The response to what is not HTTP, or not in the strict form that leaves no doubt where a request ends. */
function malformed(error: Error): string {
  const status = isCode(error, 'HPE_HEADER_OVERFLOW') ? 431 : isCode(error, 'ERR_HTTP_REQUEST_TIMEOUT') ? 408 : 400
  const body = JSON.stringify({ error: 'InvalidRequest', message: STATUS_CODES[status] })
  const headers = `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}\r\n\r\n${body}`
}
