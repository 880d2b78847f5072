/**
 * One request and its response, over Node's `http`. Node's `fetch` takes three times as long to start, because it
 * compiles a parser on first use (`npm run bench`).
 */

import { type Agent, type IncomingMessage, request as requestOver } from 'node:http'
import { type Duplex, pipeline, Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { OAuthError } from '../../errors.ts'
import { type Body, type HttpResponse, isStream } from '../../ports.ts'
import type { ServerConnections } from './connections.ts'
import { ConnectFailure, IdleTimeout, networkError, Timeout, UnaskedResponse } from './errors.ts'
import type { Limit } from './limit.ts'
import { ResponseBody, ResponseHeaders } from './response.ts'

export interface Exchange {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly userAgent: string
  readonly body: Body | undefined
  readonly connections: ServerConnections
  /** Timeout for a pause of the server. */
  readonly idleMilliseconds: number
  /** Ended when the exchange has. */
  readonly limit: Limit
  readonly beforeSend: (() => Promise<void>) | undefined
}

type Content = Exclude<Body, string> | undefined

/** More than any server uses. */
const MOST_ENCODINGS = 5
const BODILESS = [204, 205, 304]
/** Requests of which a server expects no body, so that none is said to be empty. */
const BODILESS_METHODS = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']

/** @throws the cause, for `networkError`; errors of the body are already `OAuthError`s */
export async function exchange(asked: Exchange): Promise<HttpResponse> {
  const { url, method, connections, limit } = asked
  const message = await send(asked)
  const { statusCode: status = 0, statusMessage = '' } = message
  if (status < 200 || status > 599) {
    message.destroy()
    throw new OAuthError('NETWORK_LOST', `${url.host} returned the invalid status ${status}`)
  }
  const headers = new ResponseHeaders(message.rawHeaders)
  const announced = headers.get('keep-alive')
  if (announced !== null) connections.limit(message.socket, announced)
  // A reason phrase may contain any text, but a `Response` rejects some characters.
  const statusText = /^[\t\x20-\x7e]*$/.test(statusMessage) ? statusMessage : ''
  if (method === 'HEAD' || BODILESS.includes(status)) {
    message.once('close', () => limit.end())
    if (message.complete) message.resume()
    else message.destroy() // a 205 with content
    return { status, statusText, ok: status < 300, headers, body: null }
  }
  const content = headers.has('content-encoding') ? await decoded(message, headers) : message
  const abort = () => content.destroy(limit.reason as Error)
  const ignoreLimit = limit.onReached(abort)
  content.on('close', () => {
    // Of a decoder that nobody reads, Node 24 and 26 leave the message open, and with it the process.
    if (!message.readableEnded) message.destroy()
    ignoreLimit()
    limit.end()
  })
  if (limit.isReached) abort()
  const explain = (error: unknown) => {
    const isGivenUp = limit.isReached && !(limit.reason instanceof Timeout)
    return isGivenUp ? limit.reason : networkError(error, url)
  }
  return { status, statusText, ok: status < 300, headers, body: new ResponseBody(content, explain) }
}

function send(asked: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { url, method, body, connections, idleMilliseconds, limit, beforeSend } = asked
    // As bytes: Node would join text to the headers, and encode both in the slower way.
    const content = typeof body === 'string' ? Buffer.from(body) : body
    const stream = content instanceof Blob ? content.stream() : content
    const source = isStream(stream) ? Readable.fromWeb(stream as NodeStream) : undefined
    const request = requestOver({
      // Not the URL itself: its user name and password are never sent.
      ...connections.server,
      path: url.pathname + url.search,
      method,
      headers: headerList(asked, content),
      agent: connections as unknown as Agent,
      insecureHTTPParser: false, // whatever NODE_OPTIONS says
    })
    let isOver = false
    let isBegun = false
    const give = (reason: Error) => {
      isOver = true
      const isUnsent = beforeSend !== undefined && !isBegun && !(reason instanceof OAuthError)
      reject(isUnsent ? new ConnectFailure(reason) : reason)
    }
    const fail = (reason: Error) => {
      request.destroy(reason)
      give(reason) // immediately: Node reports it only once there is a connection
    }
    const ignoreLimit = limit.onReached(() => fail(limit.reason as Error))
    let answer: IncomingMessage | undefined
    request.on('socket', (socket) => {
      let wasOurTurn = false
      const idle = () => {
        const isOurTurn = answer ? answer.readableLength > 0 : !request.writableEnded && request.writableLength === 0
        // After we have sent data, the timeout of the server starts again.
        if (isOurTurn || wasOurTurn) socket.setTimeout(idleMilliseconds)
        else if (answer) answer.destroy(new IdleTimeout('timed out in the middle of the response'))
        else request.destroy(new IdleTimeout('timed out waiting for the response'))
        wasOurTurn = isOurTurn
      }
      socket.setTimeout(idleMilliseconds).on('timeout', idle)
      request.on('close', () => socket.off('timeout', idle))
    })
    request.on('response', (message) => {
      if (beforeSend && !isBegun) return fail(new UnaskedResponse())
      answer = message
      ignoreLimit()
      // The rest of a request is not needed once its response is complete. Over TLS, that all was sent is known a turn later.
      message.on('close', () => {
        if (!request.writableFinished) setImmediate(() => request.writableFinished || request.destroy())
      })
      resolve(message)
    })
    request.on('upgrade', (_, socket) => {
      socket.destroy()
      reject(new Error('unexpected protocol upgrade'))
    })
    // Also after the response has begun: if it is cut off, its body reports the error.
    request.on('error', give)
    const begin = () => {
      isBegun = true
      if (!source) return request.end(stream)
      request.once('close', () => source.destroy())
      return source.once('error', fail).pipe(request)
    }
    if (!beforeSend) return begin()
    // Nothing is written before the body begins, and there is a socket as soon as the connection stands.
    request.once('socket', () => {
      beforeSend()
        .then(() => new Promise<void>(onceSocketsAreRead))
        .then(() => !isOver && !request.destroyed && begin())
        .catch(fail)
    })
  })
}

/** Names and values in turns: Node writes a list as it is, and would copy an object first. `host` comes first. */
function headerList({ url, method, userAgent, headers = {} }: Exchange, content: Content): string[] {
  const all = new Map<string, string>()
  all.set('host', url.host)
  all.set('accept-encoding', 'gzip, deflate, br')
  all.set('accept', '*/*')
  all.set('user-agent', userAgent)
  if (content instanceof Blob && content.type !== '') all.set('content-type', content.type)
  for (const name of Object.keys(headers)) all.set(name.toLowerCase(), headers[name]!)
  const length = lengthOf(content, method)
  if (length !== undefined) all.set('content-length', length)
  else if (content !== undefined && !all.has('content-length')) all.set('transfer-encoding', 'chunked')
  const list: string[] = []
  for (const [name, value] of all) list.push(name, value)
  return list
}

/** Node would omit it for some methods. */
function lengthOf(content: Content, method: string): string | undefined {
  if (content === undefined) return BODILESS_METHODS.includes(method) ? undefined : '0'
  if (content instanceof Uint8Array) return String(content.length)
  return isStream(content) ? undefined : String(content.size)
}

/** The decoded content (RFC 9110 §8.4). With an encoding that was not asked for, the bytes stay as they are. */
async function decoded(message: IncomingMessage, headers: ResponseHeaders): Promise<Readable> {
  const names = encodingsIn(headers.get('content-encoding'))
  // A response without content has no packed content either, whatever its headers say.
  if (names.length === 0 || headers.get('content-length') === '0') return message
  if (names.length > MOST_ENCODINGS) {
    message.destroy()
    throw new Error('too many content encodings')
  }
  if (!names.every(isSupported)) return message
  const loaded = await Promise.all([import('node:zlib'), import('./inflate.ts')])
  const decoders = names.reverse().map((name) => decoder(name, ...loaded))
  return pipeline([message, ...decoders], () => undefined) as unknown as Readable
}

/** Those of a response that was passed on as it came, because of one that was not asked for. */
export function undecodedEncodings({ headers }: HttpResponse): readonly string[] {
  return undecoded(headers.get('content-encoding'))
}

/** As {@link undecodedEncodings}, for the value of `content-encoding`. */
export function undecoded(encodings: string | null): readonly string[] {
  const names = encodingsIn(encodings)
  return names.every(isSupported) ? [] : names
}

/** As the server applied them, one after the other. */
function encodingsIn(header: string | null): string[] {
  const names = (header ?? '').toLowerCase().split(',')
  return names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'identity')
}

const SUPPORTED = ['gzip', 'x-gzip', 'deflate', 'br']

function isSupported(name: string): boolean {
  return SUPPORTED.includes(name)
}

/**
 * Available data is passed on immediately (`flush`). A body that ends before its last block was cut off, which is an error
 * (`finishFlush`).
 */
function decoder(
  name: string,
  zlib: typeof import('node:zlib'),
  { AnyInflate }: typeof import('./inflate.ts'),
): Duplex {
  const { constants } = zlib
  if (name === 'br') {
    const { BROTLI_OPERATION_FLUSH: flush, BROTLI_OPERATION_FINISH: finishFlush } = constants
    return zlib.createBrotliDecompress({ flush, finishFlush })
  }
  const flushing = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_FINISH }
  return name === 'deflate' ? new AnyInflate(flushing) : zlib.createGunzip(flushing)
}

/** If the process was blocked, only then it is noticed that the server has closed the connection. */
function onceSocketsAreRead(proceed: () => void): void {
  setImmediate(() => setImmediate(proceed)) // the first may come before sockets are read once more
}
