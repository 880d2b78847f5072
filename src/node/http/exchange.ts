/**
 * One request and its answer over Node's HTTP. Node's own `fetch` takes three times as long to begin: it compiles a
 * parser when it is first used, which is what a short command has no time for (`npm run bench`).
 */
import http from 'node:http'
import https from 'node:https'
import { pipeline, Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import type { Zlib } from 'node:zlib'
import { OAuthError } from '../../errors.ts'
import type { Body } from '../../ports.ts'
import { IdleTimeout, networkError, Timeout } from './errors.ts'

export interface Exchange {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Body | undefined
  readonly agent: http.Agent
  /** How long the server may pause. */
  readonly idleMilliseconds: number
  readonly signal: AbortSignal
  readonly beforeSend: (() => Promise<void>) | undefined
  /** Nothing more will come. */
  onEnd(): void
}

/**
 * Milliseconds before a connection may be used again: a server may close it behind its answer without having said so,
 * and what is sent there then would be lost.
 */
const SETTLING = 2
/** More than anybody needs. */
const MOST_ENCODINGS = 5
const BODILESS = [204, 205, 304]
/** Bytes. An answer that nobody reads must come to its end all the same, or its connection would keep the process up. */
const READ_AHEAD = 64 * 1024

/** @throws whatever went wrong, for `networkError`; what goes wrong in the body is explained already */
export async function exchange(asked: Exchange): Promise<Response> {
  const { url, method, signal, onEnd } = asked
  await turn() // in which a connection may come free
  if (Object.keys(asked.agent.freeSockets).length > 0) {
    await pause(SETTLING)
    await turn() // timers run before sockets are read: where the process had to wait, a close is noticed only now
  }
  signal.throwIfAborted()
  const message = await send(asked)
  const { statusCode: status = 0, statusMessage = '' } = message
  if (status < 200 || status > 599) {
    message.destroy()
    throw new OAuthError('NETWORK_LOST', `${url.host} returned the invalid status ${status}`)
  }
  const headers = headersOf(message)
  // A reason phrase may be in any language, but a Response takes only some of them.
  const statusText = /^[\t\x20-\x7e]*$/.test(statusMessage) ? statusMessage : ''
  if (method === 'HEAD' || BODILESS.includes(status)) {
    message.once('close', onEnd)
    if (message.complete) message.resume()
    else message.destroy() // 205 with content all the same
    return new Response(null, { status, statusText, headers })
  }
  const content = await decoded(message, headers.get('content-encoding'))
  const abort = () => content.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  content.once('close', () => {
    signal.removeEventListener('abort', abort)
    onEnd()
  })
  if (signal.aborted) abort()
  const explain = (error: unknown) => {
    const isGivenUp = signal.aborted && !(signal.reason instanceof Timeout)
    return isGivenUp ? signal.reason : networkError(error, url)
  }
  return new Response(webStream(content, explain), { status, statusText, headers })
}

function send({
  url,
  method,
  headers,
  body,
  agent,
  idleMilliseconds,
  signal,
  beforeSend,
}: Exchange): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const stream = body instanceof Blob ? body.stream() : body
    const source = stream instanceof ReadableStream ? Readable.fromWeb(stream as NodeStream) : undefined
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      auth: '', // what an address has before its @ is for nobody
      headers: { 'accept-encoding': 'gzip, deflate, br', ...describing(body), ...headers },
      agent,
      insecureHTTPParser: false, // whatever NODE_OPTIONS says
    })
    const fail = (reason: Error) => {
      request.destroy(reason)
      reject(reason) // at once: Node says it when there is a connection
    }
    const abort = () => fail(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    let answer: http.IncomingMessage | undefined
    request.once('socket', (socket) => {
      let wasOurTurn = false
      const idle = () => {
        const isOurTurn = answer ? answer.readableLength > 0 : !request.writableEnded && request.writableLength === 0
        // After a turn of ours the server has all of its time again.
        if (isOurTurn || wasOurTurn) socket.setTimeout(idleMilliseconds, idle)
        else if (answer) answer.destroy(new IdleTimeout('timed out in the middle of the response'))
        else request.destroy(new IdleTimeout('timed out waiting for the response'))
        wasOurTurn = isOurTurn
      }
      socket.setTimeout(idleMilliseconds, idle)
      request.once('close', () => socket.off('timeout', idle))
    })
    request.once('response', (message) => {
      answer = message
      signal.removeEventListener('abort', abort)
      // Nobody waits for the rest of a request that has its answer.
      message.once('close', () => {
        if (!request.writableFinished) request.destroy()
      })
      resolve(message)
    })
    request.once('upgrade', (_, socket) => {
      socket.destroy()
      reject(new Error('unexpected protocol upgrade'))
    })
    // Also after the answer: an answer that breaks off is told by its body.
    request.on('error', reject)
    const begin = () => {
      if (!source) return request.end(stream)
      request.once('close', () => source.destroy())
      return source.once('error', fail).pipe(request)
    }
    if (!beforeSend) return begin()
    // Nothing is written before the body begins, and there is a socket as soon as the connection stands.
    request.once('socket', () => void beforeSend().then(() => !request.destroyed && begin(), fail))
  })
}

/** What a body says of itself, as far as the caller does not. Of its length Node would be silent for some methods. */
function describing(body: Body | undefined): Record<string, string> {
  if (body === undefined) return {}
  if (body instanceof ReadableStream) return { 'transfer-encoding': 'chunked' }
  if (!(body instanceof Blob)) return { 'content-length': String(Buffer.byteLength(body)) }
  return { 'content-length': String(body.size), ...(body.type !== '' && { 'content-type': body.type }) }
}

/** All of them: a header that comes twice is two, not its first. */
function headersOf({ rawHeaders }: http.IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at]!, rawHeaders[at + 1]!)
  return headers
}

/** The content as it was before it was packed (RFC 9110 §8.4); what we cannot unpack stays as it is. */
async function decoded(message: http.IncomingMessage, encodings: string | null): Promise<Readable> {
  if (encodings === null) return message
  const names = encodings
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  if (names.length > MOST_ENCODINGS) {
    message.destroy()
    throw new Error('too many content encodings')
  }
  const zlib = await import('node:zlib')
  const decoders = names.reverse().map((name) => decoder(name, zlib))
  if (decoders.includes(undefined)) return message
  return pipeline([message, ...(decoders as Readable[])], () => undefined) as unknown as Readable
}

function decoder(name: string, zlib: typeof import('node:zlib')): (Zlib & Readable) | undefined {
  // What is there is passed on at once. A body that ends before its last block is an error: it was cut off.
  const { Z_SYNC_FLUSH: flush, BROTLI_OPERATION_FLUSH } = zlib.constants
  if (name === 'gzip' || name === 'x-gzip') return zlib.createGunzip({ flush }) as never
  if (name === 'deflate') return zlib.createInflate({ flush }) as never
  if (name === 'br') return zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH }) as never
  return undefined
}

/** As slowly as it is read, and what breaks it off is an error of ours. */
function webStream(content: Readable, explain: (error: unknown) => unknown): ReadableStream<Uint8Array> {
  const chunks = content[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await chunks.next()
          if (done) controller.close()
          else controller.enqueue(new Uint8Array(value))
        } catch (error) {
          controller.error(explain(error))
        }
      },
      cancel: () => void content.destroy(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD }),
  )
}
