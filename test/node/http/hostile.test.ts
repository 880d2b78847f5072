/** 20.2, 18.14: what a server can do to a client below the level of a document, over real sockets. */
import type { Socket } from 'node:net'
import { pipeline, Readable, type Transform } from 'node:stream'
import zlib from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { readBounded } from '../../../src/protocol/http/bounded-body.ts'
import { readJsonObject } from '../../../src/protocol/http/response.ts'
import { isNonce } from '../../../src/protocol/oauth/dpop.ts'
import { failure } from '../../support/failure.ts'
import { startNode } from '../helpers.ts'
import { client, serve, serveBytes } from './servers.ts'

const LARGEST = 512 * 1024
const BLOCK = Buffer.alloc(65_536)

/** Zeros without an end, packed. */
function bomb(coder: () => Transform) {
  const zeros = new Readable({
    read() {
      this.push(BLOCK)
    },
  })
  const packed = pipeline(zeros, coder(), () => undefined)
  return { packed, stop: () => packed.destroy() }
}

const CODERS: Record<string, () => Transform> = {
  gzip: () => zlib.createGzip({ level: 1 }),
  'x-gzip': () => zlib.createGzip({ level: 1 }),
  deflate: () => zlib.createDeflate({ level: 1 }),
  'deflate without its header': () => zlib.createDeflateRaw({ level: 1 }),
  br: () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
}

describe('decompression bombs: what is read is bounded by what comes out, and the connection is closed', () => {
  test.each([...Object.keys(CODERS), 'GZIP'])('%s without an end', async (name) => {
    const encoding = name.split(' ')[0]!
    const { packed, stop } = bomb(CODERS[name === 'GZIP' ? 'gzip' : name]!)
    const closed = vi.fn()
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding })
      response.on('close', () => closed(stop()))
      packed.pipe(response)
    })
    const response = await client().fetch(url)
    expect(await readBounded(response, LARGEST)).toBeUndefined()
    await vi.waitFor(() => expect(closed).toHaveBeenCalled())
  })

  test('a gigabyte in five envelopes', async () => {
    // Members of one gzip file follow each other.
    const member = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024), { level: 1 })
    let packed: Buffer = Buffer.concat(Array(16).fill(member))
    for (let envelope = 1; envelope < 5; envelope += 1) packed = zlib.gzipSync(packed)
    const encoding = Array(5).fill('gzip').join(', ')
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(packed)
    })
    const before = process.memoryUsage.rss()
    const read = readJsonObject(await client().fetch(url), { what: 'it', code: 'METADATA_INVALID' })
    expect(await failure(read)).toMatchObject({ code: 'METADATA_INVALID' })
    expect(packed.length).toBeLessThan(LARGEST)
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024)
  })

  test('more encodings than anybody needs', async () => {
    const encoding = Array(6).fill('gzip').join(', ')
    const url = await serve((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end('x'))
    expect(await failure(client().fetch(url))).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test.each(['gzip', 'deflate', 'br', 'gzip, br'])('%s that is not: an error of ours', async (encoding) => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).end('{"access_token":"x"}')
    })
    expect(await failure(readBounded(await client().fetch(url), LARGEST))).toMatchObject({ code: 'NETWORK_LOST' })
  })

  const PACKERS = {
    gzip: zlib.gzipSync,
    'x-gzip': zlib.gzipSync,
    deflate: zlib.deflateSync,
    'deflate without its header': zlib.deflateRawSync,
    br: zlib.brotliCompressSync,
    'identity, gzip, ': zlib.gzipSync,
    'br, gzip': (text: string) => zlib.gzipSync(zlib.brotliCompressSync(text)),
    'deflate, gzip': (text: string) => zlib.gzipSync(zlib.deflateRawSync(text)),
  }
  const TEXT = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => index))
  const served = (name: string, packed: Buffer, isChunked: boolean) =>
    serve((_, response) => {
      const encoding = name.replace(' without its header', '')
      const length = isChunked ? {} : { 'content-length': packed.length }
      response.writeHead(200, { 'content-encoding': encoding, ...length }).end(packed)
    })

  describe.each(Object.entries(PACKERS))('%s', (name, pack) => {
    const whole = pack(TEXT)

    test.each([false, true])('whole: read (chunked: %s)', async (isChunked) => {
      const url = await served(name, whole, isChunked)
      const bytes = await readBounded(await client().fetch(url), LARGEST)
      expect(Buffer.from(bytes!).toString()).toBe(TEXT)
    })

    test.each([
      ['its last byte', whole.length - 1],
      ['its last 20 bytes', whole.length - 20],
      ['its second half', whole.length >> 1],
      ['all but one byte', 1],
      ['everything', 0],
    ])('without %s, in chunks that are complete: it was cut off before it was sent', async (_, length) => {
      const url = await served(name, whole.subarray(0, length), true)
      expect(await failure(readBounded(await client().fetch(url), LARGEST))).toMatchObject({ code: 'NETWORK_LOST' })
    })
  })

  test.each(Object.entries(CODERS))('%s: what has arrived is read before the rest is sent', async (name, coder) => {
    const packed = coder() as Transform & { flush(done: () => void): void }
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': name.split(' ')[0]! })
      packed.pipe(response)
      packed.write('first, ')
      packed.flush(() => undefined)
    })
    const reader = (await client().fetch(url)).body!.getReader()
    let text = Buffer.from((await reader.read()).value!).toString()
    expect(text).toBe('first, ')
    packed.end('second')
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value)
    expect(text).toBe('first, second')
  })

  test.each(['gzip', 'deflate', 'br'])(
    'a length of zero is no content, and nothing to decode: %s',
    async (encoding) => {
      const url = await served(encoding, Buffer.alloc(0), false)
      expect(await readBounded(await client().fetch(url), LARGEST)).toHaveLength(0)
    },
  )

  test.each(['x-unknown', 'identity, x-unknown', 'gzip, x-unknown'])(
    '%s: the bytes as they are, which are no document',
    async (encoding) => {
      const url = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding })
        response.end(zlib.gzipSync('{}'))
      })
      const read = readJsonObject(await client().fetch(url), { what: 'it', code: 'METADATA_INVALID' })
      expect(await failure(read)).toMatchObject({ code: 'METADATA_INVALID' })
    },
  )
})

/** A server of bytes: `answer` once for each request. */
function answering(answer: (socket: Socket) => void): Promise<URL> {
  const answered = new WeakMap<Socket, number>()
  return serveBytes((socket, sent) => {
    const asked = sent.split('\r\n\r\n').length - 1
    if (asked <= (answered.get(socket) ?? 0)) return
    answered.set(socket, asked)
    answer(socket)
  })
}

/** Writes for as long as anybody reads. */
function flood(socket: Socket, text: string): void {
  const more = () => {
    while (!socket.destroyed && socket.write(text));
  }
  socket.on('drain', more)
  more()
}

const OK = 'HTTP/1.1 200 OK\r\n'

describe('framing that lies', () => {
  test.each([
    ['two lengths that differ', `${OK}content-length: 2\r\ncontent-length: 5\r\n\r\nhello`],
    ['a length and chunks', `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ['a negative length', `${OK}content-length: -1\r\n\r\nhello`],
    ['a length that is no number', `${OK}content-length: 5x\r\n\r\nhello`],
    ['a length beyond all numbers', `${OK}content-length: 99999999999999999999999\r\n\r\nhello`],
    ['a header without a name', `${OK}: x\r\n\r\n`],
    ['a line feed in a header', `${OK}x: a\nlocation: /b\n\n`],
    ['a NUL in a header', `${OK}x: a\u0000b\r\ncontent-length: 0\r\n\r\n`],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n'],
    ['a status above all', 'HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n'],
    ['an upgrade that nobody asked for', 'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ])('%s', async (_, bytes) => {
    const url = await answering((socket) => socket.end(bytes))
    const error = await failure(
      client()
        .fetch(url, { method: 'POST', body: 'canary' })
        .then((response) => readBounded(response, LARGEST)),
    )
    expect(error).toMatchObject({ code: 'NETWORK_LOST' })
    expect(error.message).not.toContain('canary')
  })

  test('NODE_OPTIONS does not have it believed', async () => {
    const url = await answering((socket) => {
      socket.end(`${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`)
    })
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { readText } = await import(process.env.SRC + 'protocol/http/bounded-body.ts')
      const asked = createHttp({ dev: true, userAgent: 'test' }).fetch(new URL('${url.href}'))
      console.log(await asked.then((response) => readText(response, 1e6), (error) => error.code))`
    const { stdout } = await startNode(code, [], ['env', 'NODE_OPTIONS=--insecure-http-parser']).ended
    expect(stdout).toBe('NETWORK_LOST\n')
  })

  test('a length that is too small: the rest is not read as the next response', async () => {
    const answers = [
      `${OK}content-length: 2\r\n\r\nok${OK}content-length: 6\r\n\r\nforged`,
      `${OK}content-length: 4\r\n\r\ntrue`,
    ]
    const url = await answering((socket) => socket.write(answers.shift()!))
    const http = client()
    expect(await (await http.fetch(url)).text()).toBe('ok')
    expect(await (await http.fetch(url)).text()).toBe('true')
  })

  test('a chunk that is larger than it says', async () => {
    const url = await answering((socket) =>
      socket.end(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`),
    )
    const response = await client().fetch(url)
    expect(await failure(response.text())).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test('a chunk of almost no end: given up at the limit', async () => {
    const url = await answering((socket) => {
      socket.write(`${OK}transfer-encoding: chunked\r\n\r\nfffffffffffff\r\n`)
      flood(socket, 'a'.repeat(65_536))
    })
    const response = await client().fetch(url)
    expect(await readBounded(response, LARGEST)).toBeUndefined()
  })
})

describe('headers', () => {
  test.each([
    ['one of a megabyte', `x: ${'a'.repeat(1_048_576)}\r\n\r\n`],
    ['ten thousand', `${'x: a\r\n'.repeat(10_000)}\r\n`],
  ])('%s: refused', async (_, headers) => {
    const url = await answering((socket) => socket.write(OK + headers))
    expect(await failure(client().fetch(url))).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test.each([
    ['headers', `${OK}x: `, 'a'.repeat(1024)],
    ['lines of headers', OK, 'x: a\r\n'.repeat(1000)],
    ['interim responses', '', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(100)],
  ])('%s without an end: refused', async (_, first, again) => {
    const url = await answering((socket) => {
      socket.write(first)
      flood(socket, again)
    })
    expect(await failure(client().fetch(url, { timeoutSeconds: 0.5 }))).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test('one byte at a time: given up at the limit', async () => {
    const url = await answering((socket) => {
      const timer = setInterval(() => socket.write('a'), 5)
      socket.on('close', () => clearInterval(timer))
      socket.write(`${OK}x: `)
    })
    const error = await failure(client().fetch(url, { timeoutSeconds: 0.1 }))
    expect(error).toMatchObject({
      code: 'NETWORK_LOST',
      message: expect.stringContaining('timed out after 0.1 seconds'),
    })
  })

  test('the same twice is one value that is none: media type, nonce, retry', async () => {
    const twice = (name: string, one: string, other: string) => `${name}: ${one}\r\n${name}: ${other}\r\n`
    const headers = [
      twice('content-type', 'application/json', 'text/html'),
      twice('DPoP-Nonce', 'one', 'two'),
      twice('location', '/a', 'https://evil.dev'),
    ]
    const url = await answering((socket) => socket.end(`${OK}${headers.join('')}content-length: 2\r\n\r\n{}`))
    const response = await client().fetch(url)
    expect(isNonce(response.headers.get('dpop-nonce')!)).toBe(false)
    const read = readJsonObject(response, { what: 'it', code: 'METADATA_INVALID' })
    expect(await failure(read)).toMatchObject({ code: 'METADATA_INVALID' })
  })
})

describe('pauses, while streaming', () => {
  test('a body that stops is given up, and one of ours says so', async () => {
    const url = await serve((_, response) => response.write('{"a":'))
    const response = await client({ idleMilliseconds: 1_000 }).fetch(url, { streaming: true })
    const error = await failure(response.text())
    expect(error).toMatchObject({
      code: 'NETWORK_LOST',
      message: expect.stringContaining('timed out in the middle of the response'),
    })
  })

  test('headers that never come too', async () => {
    const connected = vi.fn()
    const url = await serve(connected)
    const error = await failure(client({ idleMilliseconds: 100 }).fetch(url, { streaming: true, timeoutSeconds: 20 }))
    expect(error).toMatchObject({
      code: 'NETWORK_LOST',
      message: expect.stringContaining('timed out waiting for the response'),
    })
    expect(connected).toHaveBeenCalledOnce()
  })

  test('the limit of one request is its own, shorter or longer', async () => {
    const url = await serve((_, response) => response.write('{"a":'))
    const shorter = await client().fetch(url, { streaming: true, pauseSeconds: 0.05 })
    await expect(shorter.text()).rejects.toMatchObject({ code: 'NETWORK_LOST' })
    const late = await serve((_, response) => setTimeout(() => response.end('late'), 200))
    const longer = await client({ idleMilliseconds: 20 }).fetch(late, { streaming: true, pauseSeconds: 30 })
    expect(await longer.text()).toBe('late')
  })
})
