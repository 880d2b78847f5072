/** What becomes of connections: used again, given up, held back by one of the two sides. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import type net from 'node:net'
import { createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import type { Http } from '../../../src/ports.ts'
import { failure } from '../../support/failure.ts'
import { client, serve, serveBytes, serveCounting, serveInThread } from './servers.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
/** More than the buffers of two sockets hold. */
const LARGE = 32 * 1024 * 1024
/** A thread whose server answers one request on each connection, and closes it when it is told to. */
const CLOSING_SERVER = `
  const { parentPort, workerData: flags } = require('node:worker_threads')
  const server = require('node:net').createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 4\\r\\n\\r\\nhere', () => {
        Atomics.wait(flags, 0, 0)
        Atomics.store(flags, 0, 0)
        socket.destroy()
      })
    })
    socket.once('close', () => {
      Atomics.add(flags, 1, 1)
      Atomics.notify(flags, 1)
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe('between two requests', () => {
  test('a server that closes after its response without announcing it does not get the next request on that connection', async () => {
    const url = await serve(({ socket }, response) => response.end('here', () => socket.destroy()))
    const http = client()
    for (let request = 0; request < 20; request += 1) {
      expect(await (await http.fetch(url, { method: 'POST', body: 'refresh_token=canary' })).text()).toBe('here')
    }
  })

  test.each([
    ['every response', 1],
    ['every third response', 3],
  ])('many at once, and the server closes after %s: none is lost', async (_, period) => {
    let answered = 0
    const url = await serve(({ socket }, response) => {
      answered += 1
      const isLast = answered % period === 0
      response.end('here', () => isLast && socket.destroy())
    })
    const http = client()
    const send = async () => {
      for (let request = 0; request < 20; request += 1) {
        expect(await (await http.fetch(url, { method: 'POST', body: 'refresh_token=canary' })).text()).toBe('here')
      }
    }
    await Promise.all(Array.from({ length: 32 }, send))
    expect(answered).toBe(32 * 20)
  })

  test.each([
    ['at once', () => pause(0)],
    ['when the connection is free', () => pause(20)],
    ['when it is free, after a file was read', () => pause(20).then(() => stat('.'))],
  ])(
    'a server that closes while this process is blocked %s does not get the next request on that connection',
    async (_, before) => {
      /** Set by this thread when the server may close the connection, and by the server when it has. */
      const { url, flags } = await serveInThread(CLOSING_SERVER)
      const http = client()
      for (let request = 0; request < 10; request += 1) {
        expect(await (await http.fetch(url, { method: 'POST', body: 'refresh_token=canary' })).text()).toBe('here')
        await before()
        Atomics.store(flags, 0, 1)
        Atomics.notify(flags, 0)
        Atomics.wait(flags, 1, request)
      }
    },
  )

  test.each([
    ['a response without a body', (http: Http, url: URL) => http.fetch(url)],
    [
      'a response that nobody reads, in the same moment',
      async (http: Http, url: URL) => void (await (await http.fetch(url)).body?.cancel()),
    ],
  ])('after %s, a free connection to another server makes no difference', async (_, send) => {
    const connections = new Set<net.Socket>()
    const url = await serve(({ socket }, response) => {
      connections.add(socket)
      response.writeHead(204).end()
    })
    const other = await serve((_, response) => response.end('here'))
    const http = client()
    await (await http.fetch(other)).text()
    await pause(20)
    for (let request = 0; request < 10; request += 1) await send(http, url)
    expect(connections.size).toBe(1)
  })

  test('a process waits for a connection that rests, and ends after its last response', async () => {
    const url = await serve((_, response) => response.end('here'))
    const source = new URL('../../../src/node/http/client.ts', import.meta.url)
    const script = `
      const { createHttp } = await import(${JSON.stringify(source.href)})
      const http = createHttp({ dev: true, userAgent: 'test' })
      for (let request = 0; request < 3; request += 1) {
        const { body } = await http.fetch(new URL(${JSON.stringify(url.href)}))
        for await (const _ of body) {}
      }
      console.log('done')
    `
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import=tsx',
      '--input-type=module',
      '-e',
      script,
    ])
    expect(stdout).toBe('done\n')
  })

  test('many at once have no more connections than requests on their way', async () => {
    const { url, sockets: connections } = await serveCounting()
    const http = client()
    const send = async () => {
      for (let request = 0; request < 20; request += 1) await (await http.fetch(url)).text()
    }
    await Promise.all(Array.from({ length: 8 }, send))
    expect(connections.size).toBe(8)
  })

  test.each([
    ['200', `${OK}content-length: 0\r\n\r\n`],
    ['204', 'HTTP/1.1 204 No\r\n\r\n'],
    ['205', 'HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n'],
    ['304, and what the length would be', 'HTTP/1.1 304 Not\r\ncontent-length: 5\r\n\r\n'],
  ])('the connection is used again: %s', async (_, answer) => {
    const connections = new Set<net.Socket>()
    const url = await serveBytes((socket) => {
      connections.add(socket)
      socket.write(answer)
    })
    const http = client()
    for (let request = 0; request < 3; request += 1) await (await http.fetch(url)).text()
    expect(connections.size).toBe(1)
  })

  test('a request may have a connection of its own, which is not used again', async () => {
    const { url, sockets: connections } = await serveCounting()
    const http = client()
    const own = [false, true, true, false]
    for (const ownConnection of own) await (await http.fetch(url, { ownConnection })).text()
    expect(connections.size).toBe(3)
  })

  test('a connection is given up before the server does', async () => {
    const ended = vi.fn()
    const url = await serveBytes((socket) => {
      socket.once('end', ended)
      socket.write(`${OK}keep-alive: timeout=2\r\ncontent-length: 0\r\n\r\n`)
    })
    await (await client().fetch(url)).text()
    await vi.waitFor(() => expect(ended).toHaveBeenCalled(), 3000)
  })
})

describe('no connection yet', () => {
  const silent = async () => new URL(`https://${(await serveBytes(() => undefined)).host}`)

  test('the time limit ends it', async () => {
    const error = await failure(client().fetch(await silent(), { timeoutSeconds: 0.05 }))
    expect(error).toMatchObject({
      code: 'NETWORK_LOST',
      message: expect.stringContaining('timed out after 0.05 seconds'),
    })
  })

  test('whoever asked does not want it any more', async () => {
    const controller = new AbortController()
    const { host } = await serveBytes(() => controller.abort('their own words'))
    const asked = client().fetch(new URL(`https://${host}`), { signal: controller.signal })
    await expect(asked).rejects.toBe('their own words')
  })

  test('what is not wanted from the beginning is not sent', async () => {
    const connected = vi.fn()
    const url = await serve(connected)
    const http = client()
    await expect(http.fetch(url, { signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(connected).not.toHaveBeenCalled()
  })

  test.each([
    ['a server that never ends its TLS handshake', ''],
    ['a proxy that responds a byte at a time', 'x'],
  ])('%s is given up', async (_, byte) => {
    const reached = vi.fn()
    const server = await serveBytes((socket) => {
      const timer = byte && setInterval(() => socket.write(byte), 20)
      socket.once('close', () => clearInterval(timer || undefined))
      if (byte) socket.write('HTTP/1.1 200 OK\r\nx-slow: ')
      reached()
    })
    if (byte) vi.stubEnv('HTTPS_PROXY', server.href)
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    try {
      const error = failure(client().fetch(new URL(`https://${server.host}`)))
      while (reached.mock.calls.length === 0) await setImmediate()
      vi.advanceTimersByTime(5000)
      expect(await error).toMatchObject({ code: 'NETWORK_UNREACHABLE', message: expect.stringMatching(/: timed out$/) })
    } finally {
      vi.useRealTimers()
      vi.unstubAllEnvs()
    }
  })
})

describe('a response before the request is complete', () => {
  const bodies = {
    bytes: () => new Uint8Array(LARGE),
    blob: () => new Blob([new Uint8Array(LARGE)]),
    stream: () => new Blob([new Uint8Array(LARGE)]).stream(),
  }

  test.each([
    ...Object.entries(bodies).map(([kind, body]) => [kind, 413, 'content-length: 2\r\n\r\nno', body] as const),
    ['bytes', 204, '\r\n', bodies.bytes] as const,
  ])('%s: after the %d nobody sends the rest', async (_, status, rest, body) => {
    const closed = vi.fn()
    let server: net.Socket | undefined
    let sent = ''
    const url = await serveBytes((socket, all) => {
      sent = all
      if (server) return
      server = socket.pause()
      socket.once('close', closed).write(`HTTP/1.1 ${status} No\r\n${rest}`)
    })
    const response = await client().fetch(url, { method: 'POST', body: body(), streaming: true })
    expect([response.status, await response.text()]).toStrictEqual([status, status === 413 ? 'no' : ''])
    server!.resume()
    await vi.waitFor(() => expect(closed).toHaveBeenCalled(), 3000)
    expect(sent.length).toBeLessThan(LARGE)
  })

  test('205 with a body that has no end', async () => {
    const closed = vi.fn()
    const url = await serveBytes((socket) => {
      socket.once('close', closed).write('HTTP/1.1 205 Reset\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n')
    })
    expect(await client().fetch(url)).toMatchObject({ status: 205, body: null })
    await vi.waitFor(() => expect(closed).toHaveBeenCalled())
  })
})

describe('what is awaited before a request is sent', () => {
  test('the connection stands, nothing was sent, and the request follows', async () => {
    const events: string[] = []
    const url = await serve((_, response) => {
      events.push('request')
      response.end('done')
    })
    const beforeSend = async () => {
      events.push('before')
      await setImmediate()
      events.push('confirmed')
    }
    const response = await client().fetch(url, { method: 'POST', body: 'secret', ownConnection: true, beforeSend })
    expect([await response.text(), ...events]).toStrictEqual(['done', 'before', 'confirmed', 'request'])
  })

  test.each([
    ['an error of ours', new OAuthError('SESSION_BUSY', 'taken over')],
    ['what is no error, such as the wish to begin again', { wait: 'for another machine' }],
  ])('it rejects with %s, which is thrown: not a byte is sent', async (_, refusal) => {
    const received: string[] = []
    const server = createServer((socket) => {
      socket.on('data', (data) => received.push(String(data))).on('close', () => received.push('closed'))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const url = new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    const beforeSend = () => Promise.reject(refusal)
    const asked = client().fetch(url, { method: 'POST', body: 'secret', ownConnection: true, beforeSend })
    await expect(asked).rejects.toBe(refusal)
    await vi.waitFor(() => expect(received).toStrictEqual(['closed']))
  })

  test.each(['closes the connection', 'is silent until the timeout'])(
    'the server %s meanwhile: nothing was sent',
    async (what) => {
      const received: string[] = []
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('data', (data) => received.push(String(data)))
        if (what.startsWith('closes')) socket.end()
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      onTestFinished(() => void server.close())
      const url = new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
      let release = () => {}
      const confirmed = new Promise<void>((resolve) => {
        release = resolve
      })
      const init = { method: 'POST', body: 'secret', ownConnection: true, timeoutSeconds: 0.2 }
      const error = await failure(client().fetch(url, { ...init, beforeSend: () => confirmed }))
      expect(error).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
      release()
      await pause(50)
      expect(received).toStrictEqual([])
    },
  )

  test('the server has closed the connection while the process was blocked: nothing was sent', async () => {
    const sockets: net.Socket[] = []
    const received: string[] = []
    const server = createServer((socket) => {
      sockets.push(socket.on('data', (data) => received.push(String(data))))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const url = new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    const beforeSend = async () => {
      while (sockets.length === 0) await setImmediate()
      await setImmediate()
      sockets[0]!.destroy() // closes it at once, and nothing is read between that and the end of this function
    }
    const asked = client().fetch(url, { method: 'POST', body: 'secret', ownConnection: true, beforeSend })
    expect(await failure(asked)).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    expect(received).toStrictEqual([])
  })

  test('a response that comes before is none: nothing was sent', async () => {
    const received: string[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', (data) => received.push(String(data)))
      socket.write('HTTP/1.1 408 Timeout\r\ncontent-length: 0\r\n\r\n')
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const url = new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    const asked = client().fetch(url, {
      method: 'POST',
      ownConnection: true,
      beforeSend: async () => void (await pause(50)),
    })
    expect(await failure(asked)).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: `cannot reach ${url.host}: it responded before the request`,
    })
    expect(received).toStrictEqual([])
  })

  test('no connection: it is not asked', async () => {
    const beforeSend = vi.fn()
    const url = await serve(() => undefined)
    url.port = '1'
    expect(await failure(client().fetch(url, { beforeSend }))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    expect(beforeSend).not.toHaveBeenCalled()
  })
})

describe('a request as a stream', () => {
  test('that fails before there is a connection', async () => {
    const url = await serve(() => undefined)
    const body = new ReadableStream({ start: (controller) => controller.error(new Error('canary')) })
    const error = await failure(client().fetch(url, { method: 'POST', body }))
    expect(error).toMatchObject({ code: 'NETWORK_LOST', message: expect.not.stringContaining('canary') })
  })

  test('that nobody wants any more is told so', async () => {
    const controller = new AbortController()
    const cancel = vi.fn()
    const url = await serve(() => controller.abort('their own words'))
    const body = new ReadableStream({ pull: (source) => source.enqueue(new Uint8Array(9)), cancel })
    const asked = client().fetch(url, { method: 'POST', body, signal: controller.signal })
    await expect(asked).rejects.toBe('their own words')
    await vi.waitFor(() => expect(cancel).toHaveBeenCalled())
  })

  test.each(['DELETE', 'POST'])('%s tells where it ends, as does every other body', async (method) => {
    const url = await serve(async (request, response) => {
      response.end((await request.toArray()).join('') + request.headers['content-length'])
    })
    const bodies = ['four', new TextEncoder().encode('four'), new Blob(['four']), new Blob(['four']).stream()]
    const answers = bodies.map(async (body) => (await client().fetch(url, { method, body })).text())
    expect(await Promise.all(answers)).toStrictEqual(['four4', 'four4', 'four4', 'fourundefined'])
  })
})

describe('whose pause it is', () => {
  test('a request that comes slowly is not given up', async () => {
    const url = await serve(async (request, response) => response.end((await request.toArray()).join('')))
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode('slow'))
        await pause(2_500)
        controller.enqueue(new TextEncoder().encode('ly'))
        controller.close()
      },
    })
    const response = await client({ idleMilliseconds: 1_000 }).fetch(url, { method: 'POST', body })
    expect(await response.text()).toBe('slowly')
  })

  test('a slowly read response does not time out; a server that stops sending does', async () => {
    const chunk = 'x'.repeat(0x40000)
    const url = await serveBytes((socket) =>
      socket.write(`${OK}transfer-encoding: chunked\r\n\r\n40000\r\n${chunk}\r\n`),
    )
    const response = await client({ idleMilliseconds: 1_000 }).fetch(url, { streaming: true })
    await pause(2_500)
    let length = 0
    const reading = (async () => {
      for await (const part of response.body!) length += part.length
    })()
    expect(await failure(reading)).toMatchObject({
      message: expect.stringContaining('timed out in the middle of the response'),
    })
    expect(length).toBe(chunk.length)
  })
})
