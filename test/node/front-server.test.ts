import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type FrontServer, type RequestHandler, startFrontServer } from '../../src/node/front-server.ts'
import type { LocalRequest, LocalResponse } from '../../src/ports.ts'
import { openFront, PASSWORD } from '../front/support.ts'

const LARGE = 5 * 1024 * 1024
const OK: LocalResponse = { status: 200, headers: [['content-type', 'text/plain']], body: 'ok' }
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function serve(handle: RequestHandler['handle'], settled = async () => {}): Promise<FrontServer> {
  const server = await startFrontServer()
  server.serve({ handle, settled })
  onTestFinished(() => server.close())
  return server
}

/** A server that notes what it was asked, with the body. */
async function listening(response: LocalResponse = OK) {
  const asked: (Omit<LocalRequest, 'body'> & { body: Uint8Array | undefined; isStream: boolean })[] = []
  const server = await serve(async (request) => {
    const body = await request.body()
    const isStream = body instanceof ReadableStream
    asked.push({
      ...request,
      isStream,
      body: body && new Uint8Array(await new Response(body as BodyInit).arrayBuffer()),
    })
    return response
  })
  return { server, asked }
}

/** Sends bytes, and waits until the server closes the connection. */
async function sendBytes(server: FrontServer, ...lines: string[]): Promise<string> {
  const { port, hostname } = new URL(server.origin)
  const socket = net.connect(Number(port), hostname)
  onTestFinished(() => void socket.destroy())
  socket.write(lines.join('\r\n'))
  return text(socket)
}

describe('requests', () => {
  test('method, target and headers; those of the connection are dropped, repeated ones joined', async () => {
    const { server, asked } = await listening()
    const answer = await sendBytes(
      server,
      'POST /xrpc/a.b.c?x=%2F&y#z HTTP/1.1',
      'Host: one',
      'Accept-Language: de',
      'X-Own: 1',
      'x-own: 2',
      'X-Hop: 1',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Proxy-Connection: x',
      'Connection: close, X-Hop',
      'Content-Length: 2',
      '',
      'hi',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*content-length: 2\r\n[\s\S]*\r\n\r\nok$/)
    expect(asked).toMatchObject([{ method: 'POST', target: '/xrpc/a.b.c?x=%2F&y#z', isStream: false }])
    expect({ ...asked[0]!.headers }).toStrictEqual({
      host: 'one',
      'accept-language': 'de',
      'x-own': '1, 2',
      'content-length': '2',
    })
    expect(Buffer.from(asked[0]!.body!).toString()).toBe('hi')
  })

  test('a header whose name a page of JavaScript would not expect', async () => {
    const { server, asked } = await listening()
    await fetch(server.origin, { headers: { __proto__: 'x', constructor: 'y' } })
    expect(Object.entries(asked[0]!.headers)).toEqual(expect.arrayContaining([['constructor', 'y']]))
  })

  test.each([
    ['small, with a length', 1000, false, false],
    ['small, in chunks', 1000, true, false],
    ['large, with a length', LARGE, false, true],
    ['large, in chunks', LARGE, true, true],
  ])('a body: %s', async (_, size, isChunked, isStream) => {
    const { server, asked } = await listening()
    const bytes = new Uint8Array(randomBytes(size))
    const body = isChunked ? new Blob([bytes]).stream() : bytes
    const response = await fetch(server.origin, {
      method: 'POST',
      body,
      ...(isChunked && { duplex: 'half' }),
    } as RequestInit)
    expect(await response.text()).toBe('ok')
    expect(asked[0]!.isStream).toBe(isStream)
    expect(asked[0]!.headers['content-length']).toBe(isChunked ? undefined : String(size))
    expect(sha256(asked[0]!.body!)).toBe(sha256(bytes))
  })

  test('without a body', async () => {
    const { server, asked } = await listening()
    await fetch(server.origin)
    await fetch(server.origin, { method: 'POST' })
    expect(asked.map(({ body }) => body)).toStrictEqual([undefined, undefined])
  })

  test('one that arrived before there was a front', async () => {
    const server = await startFrontServer()
    onTestFinished(() => server.close())
    const asked = fetch(server.origin)
    server.serve({ handle: async () => OK, settled: async () => {} })
    expect((await asked).status).toBe(200)
  })

  test('a response before the end of an upload is read by the client', async () => {
    const server = await serve(async () => ({ status: 401, headers: [], body: 'who are you?' }))
    const body = new Uint8Array(4 * LARGE)
    const response = await fetch(server.origin, { method: 'POST', body })
    expect([response.status, await response.text()]).toStrictEqual([401, 'who are you?'])
  })

  test('an upload that is not read to its end still has a response', async () => {
    const server = await serve(async (request) => {
      const reader = ((await request.body()) as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      await reader.cancel()
      return { status: 413, headers: [], body: 'too large' }
    })
    const response = await fetch(server.origin, { method: 'POST', body: new Uint8Array(2 * LARGE) })
    expect([response.status, await response.text()]).toStrictEqual([413, 'too large'])
  })

  test('a client that goes away aborts its request, and no other', async () => {
    const signals: AbortSignal[] = []
    let arrived = () => {}
    const both = new Promise<void>((resolve) => (arrived = resolve))
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    const server = await serve(async ({ signal }) => {
      signals.push(signal)
      if (signals.length === 2) arrived()
      await Promise.race([released, once(signal, 'abort')])
      return OK
    })
    const controller = new AbortController()
    const gone = fetch(server.origin, { signal: controller.signal }).catch(() => 'gone')
    const stays = fetch(server.origin)
    await both
    controller.abort()
    expect(await gone).toBe('gone')
    await Promise.race(signals.map((signal) => once(signal, 'abort')))
    release()
    expect((await stays).status).toBe(200)
    expect(signals.filter(({ aborted }) => aborted)).toHaveLength(1)
  })
})

describe('responses', () => {
  test('a large stream, and its headers', async () => {
    const bytes = new Uint8Array(randomBytes(LARGE))
    const headers: [string, string][] = [
      ['content-type', 'image/png'],
      ['content-length', String(LARGE)],
      ['atproto-repo-rev', '1'],
      ['x-two', 'a'],
      ['x-two', 'b'],
    ]
    const server = await serve(async () => ({ status: 206, headers, body: new Blob([bytes]).stream() }))
    const response = await fetch(server.origin)
    expect(response.status).toBe(206)
    expect(Object.fromEntries(response.headers)).toMatchObject({ 'content-length': String(LARGE), 'x-two': 'a, b' })
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sha256(bytes))
  })

  test.each([
    ['gzip', false],
    ['br, gzip', false],
    ['zstd', true],
  ])('content-encoding %s, which was decoded or not', async (encoding, isKept) => {
    const headers: [string, string][] = [
      ['content-encoding', encoding],
      ['content-length', '6'],
    ]
    const server = await serve(async () => ({ status: 200, headers, body: new Blob(['decode']).stream() }))
    const { hostname, port } = new URL(server.origin)
    const [response] = (await once(http.get({ hostname, port }), 'response')) as [http.IncomingMessage]
    expect(response.headers['content-encoding']).toBe(isKept ? encoding : undefined)
    expect(response.headers['content-length']).toBe(isKept ? '6' : undefined)
    expect(await text(response)).toBe('decode')
  })

  test('HEAD, 204 and 304 have none, and the connection can be used again', async () => {
    const answers: LocalResponse[] = [
      { status: 200, headers: [['content-length', '99']], body: null },
      { status: 204, headers: [['content-length', '0']], body: null },
      { status: 304, headers: [['etag', '"1"']], body: null },
      OK,
    ]
    const server = await serve(async () => answers.shift()!)
    const { hostname, port } = new URL(server.origin)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const seen = []
    for (const method of ['HEAD', 'GET', 'GET', 'HEAD']) {
      const request = http.request({ hostname, port, agent, method }).end()
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      seen.push([response.statusCode, response.headers['content-length'], await text(response)])
    }
    expect(seen).toStrictEqual([
      [200, '99', ''],
      [204, undefined, ''],
      [304, undefined, ''],
      [200, '2', ''],
    ])
  })

  test('one that breaks off is incomplete for the client too', async () => {
    const body = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode('beginning')),
        pull: (controller) => controller.error(new Error('lost')),
      })
    const server = await serve(async () => ({ status: 200, headers: [], body: body() }))
    await expect(fetch(server.origin).then((response) => response.text())).rejects.toThrow()
  })

  test('an endless one waits for the client, and ends with it', async () => {
    let produced = 0
    let cancelled = () => {}
    const isCancelled = new Promise<void>((resolve) => (cancelled = resolve))
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        produced += 65_536
        controller.enqueue(new Uint8Array(65_536))
      },
      cancel: () => cancelled(),
    })
    const server = await serve(async () => ({ status: 200, headers: [], body }))
    const { hostname, port } = new URL(server.origin)
    const [response] = (await once(http.get({ hostname, port }), 'response')) as [http.IncomingMessage]
    for (let read = 0; read < LARGE; ) {
      const chunk: Buffer | null = response.read()
      if (chunk === null) await once(response, 'readable')
      else read += chunk.length
    }
    response.destroy()
    await isCancelled
    expect(produced).toBeLessThan(10 * LARGE)
  })

  test('a handler that fails closes the connection, and the server goes on', async () => {
    const answers = [() => Promise.reject(new Error('unexpected')), async () => OK]
    const server = await serve(() => answers.shift()!())
    await expect(fetch(server.origin)).rejects.toThrow()
    expect((await fetch(server.origin)).status).toBe(200)
  })
})

describe('closing', () => {
  test('waits for requests in progress and for what has to be finished, and accepts no others', async () => {
    let arrived = () => {}
    const isThere = new Promise<void>((resolve) => (arrived = resolve))
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    let finish = () => {}
    const finished = new Promise<void>((resolve) => (finish = resolve))
    let handled = 0
    const handle = async () => {
      handled += 1
      arrived()
      await released
      return OK
    }
    const server = await serve(handle, () => finished)
    const { hostname, port } = new URL(server.origin)
    const agent = new http.Agent({ keepAlive: true })
    const asked = once(http.get({ hostname, port, agent }), 'response') as Promise<[http.IncomingMessage]>
    await isThere
    let isClosed = false
    const closed = server.close().then(() => (isClosed = true))
    await expect(fetch(server.origin)).rejects.toThrow()
    release()
    expect(await text((await asked)[0])).toBe('ok')
    expect(isClosed).toBe(false)
    finish()
    await closed
    expect(handled).toBe(1)
    await server.close()
  })

  test('a request that still waits for a front gets a response, and does not keep the server open', async () => {
    const server = await startFrontServer()
    const { hostname, port } = new URL(server.origin)
    const early = net.connect(Number(port), hostname)
    onTestFinished(() => void early.destroy())
    early.write('GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n')
    await once(early, 'data') // 100: it has arrived
    const answered = text(early)
    await server.close()
    expect(await answered).toMatch(/^HTTP\/1\.1 503 [\s\S]*this server is closing/)
  })

  test('a request on a connection that was open before is told so', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    let arrived = () => {}
    const isThere = new Promise<void>((resolve) => (arrived = resolve))
    const server = await serve(async () => {
      arrived()
      await released
      return OK
    })
    const { hostname, port } = new URL(server.origin)
    const late = net.connect(Number(port), hostname)
    onTestFinished(() => void late.destroy())
    await once(late, 'connect')
    const first = fetch(server.origin)
    await isThere
    const closed = server.close()
    let answer = ''
    late.on('data', (chunk) => (answer += String(chunk))).on('error', () => undefined)
    const isAnswered = Promise.race([once(late, 'data'), new Promise((resolve) => late.once('close', resolve))])
    late.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await isAnswered
    release()
    expect((await first).status).toBe(200)
    await closed
    // Node 26 closes a connection that has had no request.
    expect(answer).toMatch(/^$|^HTTP\/1\.1 503 [\s\S]*this server is closing/)
  })
})

const GET = 'GET /xrpc/com.atproto.server.describeServer HTTP/1.1'
const HOST = 'Host: 127.0.0.1:1234'

describe('hostile requests, on a real front', () => {
  /** The front answers to port 1234, whatever the port of the server is. */
  async function start() {
    const front = await openFront()
    const server = await serve(front.handle, front.settled)
    return { front, server }
  }

  test.each<[string, number, string[]]>([
    ['a good one', 200, [GET, HOST]],
    ['without a host', 403, [GET]],
    ['with two hosts', 403, [GET, HOST, 'Host: evil.example']],
    ['with two equal hosts', 403, [GET, HOST, HOST]],
    ['of another name', 403, [GET, 'Host: evil.example:1234']],
    ['of HTTP/1.0, without a host', 403, [GET.replace('1.1', '1.0')]],
    ['of a page', 403, [GET, HOST, 'Origin: https://evil.example']],
    [
      'of a page, in a header that is said to be of the connection',
      403,
      [GET, HOST, 'Origin: https://evil.example', 'Connection: close, origin'],
    ],
    ['of an image', 403, [GET, HOST, 'Sec-Fetch-Site: same-site']],
    ['preflight', 405, [GET.replace('GET', 'OPTIONS'), HOST, 'Access-Control-Request-Method: POST']],
    ['for all of the server', 404, ['OPTIONS * HTTP/1.1', HOST]],
    ['to another server', 404, ['GET http://evil.example/xrpc/a.b.c HTTP/1.1', HOST]],
    ['to this server, as to a proxy', 404, ['GET http://127.0.0.1:1234/xrpc/a.b.c HTTP/1.1', HOST]],
    ['TRACE', 405, [GET.replace('GET', 'TRACE'), HOST]],
    ['with two lengths', 400, [GET, HOST, 'Content-Length: 0', 'Content-Length: 5']],
    ['with a length and chunks', 400, [GET, HOST, 'Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['with chunks and a length', 400, [GET, HOST, 'Transfer-Encoding: chunked', 'Content-Length: 5']],
    ['with an unknown framing', 400, [GET.replace('GET', 'POST'), HOST, 'Transfer-Encoding: chunked, x']],
    ['with a folded header', 400, [GET, HOST, 'X-A: 1', ' b']],
    ['with a space before the colon', 400, [GET, HOST, 'X-A : 1']],
    ['with a huge header', 431, [GET, HOST, `X-A: ${'x'.repeat(100_000)}`]],
    ['that is no HTTP', 400, ['hello']],
    [
      'for a WebSocket',
      501,
      [GET, HOST, 'Connection: Upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    ],
  ])('%s', async (_, status, lines) => {
    const { front, server } = await start()
    const isKept = lines[0]!.includes('HTTP/1.1') && !lines.some((line) => line.startsWith('Connection'))
    const answer = await sendBytes(server, ...lines, ...(isKept ? ['Connection: close'] : []), '', '')
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
    expect(answer.toLowerCase()).not.toContain('access-control')
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
    if (status !== 200)
      expect(JSON.parse(body)).toMatchObject({ error: expect.any(String), message: expect.any(String) })
    expect(front.world.sent(({ url }) => url.includes('/xrpc/'))).toHaveLength(0)
  })

  test('CONNECT has no response at all', async () => {
    const { server } = await start()
    expect(await sendBytes(server, 'CONNECT evil.example:443 HTTP/1.1', HOST, '', '')).toBe('')
  })

  test('an offer of HTTP/2, as some clients make it, is ignored', async () => {
    const { server } = await start()
    const upgrade = ['Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']
    expect(await sendBytes(server, GET, HOST, ...upgrade, '', '')).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('a second request that is hidden in the body of the first stays its body', async () => {
    const { front, server } = await start()
    const hidden = `${GET}\r\n${HOST}\r\n\r\n`
    const answer = await sendBytes(
      server,
      'POST /xrpc/com.atproto.repo.createRecord HTTP/1.1',
      HOST,
      'Connection: close',
      `Content-Length: ${hidden.length}`,
      '',
      hidden,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 401 [\s\S]*AuthMissing/)
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
    expect(front.world.sent(({ url }) => url.includes('/xrpc/'))).toHaveLength(0)
  })

  test('a body that never ends does not delay the response of a stranger', async () => {
    const { server } = await start()
    const { port, hostname } = new URL(server.origin)
    const socket = net.connect(Number(port), hostname)
    onTestFinished(() => void socket.destroy())
    socket.write(`POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\n${HOST}\r\nContent-Length: 999999\r\n\r\nx`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /)
  })

  test('a sign-in whose body never ends is closed after a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    let reading = () => {}
    const isReading = new Promise<void>((resolve) => (reading = resolve))
    const { handle, settled } = await openFront()
    const server = await serve((request) => {
      const smallBody: LocalRequest['smallBody'] = (most) => {
        const body = request.smallBody(most)
        reading()
        return body
      }
      return handle({ ...request, smallBody })
    }, settled)
    const { port, hostname } = new URL(server.origin)
    const socket = net.connect(Number(port), hostname).resume()
    const closed = once(socket, 'close')
    socket.write(`POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\n${HOST}\r\nContent-Length: 9\r\n\r\n{`)
    await isReading
    vi.advanceTimersByTime(59_999)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(1)
    await closed
  })

  test('a sign-in of more than 16 kB is refused before its end', async () => {
    const { server } = await start()
    const { port, hostname } = new URL(server.origin)
    const socket = net.connect(Number(port), hostname)
    onTestFinished(() => void socket.destroy())
    socket.write(`POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\n${HOST}\r\nContent-Length: 16385\r\n\r\n{`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('an upload that breaks off sends nothing more, and is no failure of the session', async () => {
    const { front, server } = await start()
    const { authorization } = await front.signIn()
    const { port, hostname } = new URL(server.origin)
    let reading = () => {}
    const isReading = new Promise<void>((resolve) => (reading = resolve))
    let ended: (outcome: string) => void = () => {}
    const outcome = new Promise<string>((resolve) => (ended = resolve))
    const { fetch: send } = front.world
    front.world.fetch = async (url, init) => {
      if (!url.pathname.endsWith('uploadBlob')) return send(url, init)
      const reader = (init!.body as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      reading()
      const end = (async () => {
        while (!(await reader.read()).done);
        return 'complete'
      })().catch(() => 'incomplete')
      ended(await end)
      throw new Error('the request failed, because its body did')
    }
    const socket = net.connect(Number(port), hostname)
    const headers = `${HOST}\r\nAuthorization: ${authorization}\r\nContent-Type: image/png\r\nContent-Length: 999999`
    socket.write(`POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\n${headers}\r\n\r\nx`)
    await isReading
    socket.destroy()
    expect(await outcome).toBe('incomplete')
    await server.close()
    expect(front.world.warnings).toStrictEqual([])
  })

  test('whoever knows the password may ask over a socket too', async () => {
    const { server } = await start()
    const body = JSON.stringify({ identifier: 'alice.fake.dev', password: PASSWORD })
    const answer = await sendBytes(
      server,
      'POST /xrpc/com.atproto.server.createSession HTTP/1.1',
      HOST,
      'Connection: close',
      `Content-Length: ${body.length}`,
      '',
      body,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*accessJwt/)
  })
})

test.each([
  ['headers that never end', `${GET}\r\n${HOST}\r\n`],
  ['a connection on which nothing is sent', ''],
])('%s: the connection is closed', async (_, sent) => {
  const server = await startFrontServer(0, { headersTimeout: 1, lookingInterval: 1 })
  onTestFinished(() => server.close())
  server.serve({ handle: async () => OK, settled: async () => {} })
  const { port, hostname } = new URL(server.origin)
  const socket = net.connect(Number(port), hostname)
  socket.write(sent)
  expect(await text(socket)).toMatch(/^$|^HTTP\/1\.1 408 /)
})

test('connections beyond the limit are closed, and those within it stay', async () => {
  const server = await startFrontServer(0, { connectionsMost: 1 })
  server.serve({ handle: async () => OK, settled: async () => {} })
  onTestFinished(() => server.close())
  const { hostname, port } = new URL(server.origin)
  const first = net.connect(Number(port), hostname)
  onTestFinished(() => void first.destroy())
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(first, 'data')
  const second = net.connect(Number(port), hostname)
  second.on('error', () => {})
  await once(second, 'close')
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const [answer] = (await once(first, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
})

test('a port that is in use is an error', async () => {
  const server = await serve(async () => OK)
  const port = Number(new URL(server.origin).port)
  await expect(startFrontServer(port)).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
