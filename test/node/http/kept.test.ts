/** Connections that are kept between requests: which are used again, and what is left of them. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { type ClientRequest, request as requestHttp } from 'node:http'
import net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { TlsSessions } from '../../../src/node/http/connect.ts'
import { Connections } from '../../../src/node/http/connections.ts'
import { proxiesFrom } from '../../../src/node/http/proxies.ts'
import { failure } from '../../support/failure.ts'
import { startNode } from '../helpers.ts'
import { client, listen, serve, serveBytes, serveCounting, serveTls, unusedPort } from './servers.ts'

const EMPTY = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

class Deferred {
  open = () => {}
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })
}

const connectionsFor = () => {
  const connections = new Connections(true, proxiesFrom({}))
  const send = (url: URL, own = false) => {
    const agent = connections.to(url, own)
    const request = requestHttp({ ...agent.server, path: '/', agent: agent as never })
    return { agent, request: request.end() }
  }
  return { connections, send }
}

test('a response that nobody asked for is not taken for that of the next request', async () => {
  const sockets = new Set<net.Socket>()
  const url = await serveBytes((socket) => {
    sockets.add(socket)
    socket.write(EMPTY)
  })
  const http = client()
  await (await http.fetch(url)).text()
  await pause(20)
  const [first] = sockets
  await new Promise<void>((resolve) => first!.write('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n', () => resolve()))
  await pause(20)
  expect((await http.fetch(url)).status).toBe(200)
  expect(sockets.size).toBe(2)
})

test.each([
  ['timeout=1', 3],
  ['max=9, timeout=1', 3],
  ['timeout=0', 3],
  ['timeout=5', 1],
  ['max=9', 1],
  ['x-timeout=1', 1],
])('after `keep-alive: %s`, three requests have %d connections', async (announced, count) => {
  const sockets = new Set<net.Socket>()
  const url = await serveBytes((socket) => {
    sockets.add(socket)
    socket.write(EMPTY.replace('\r\n\r\n', `\r\nkeep-alive: ${announced}\r\n\r\n`))
  })
  const http = client()
  for (let request = 0; request < 3; request += 1) await (await http.fetch(url)).text()
  expect(sockets.size).toBe(count)
})

test('a request that is given up leaves its connection to the others', async () => {
  const { url, sockets } = await serveCounting()
  const http = client()
  await (await http.fetch(url)).text()
  // While the connection rests.
  const controller = new AbortController()
  const givenUp = http.fetch(url, { signal: controller.signal })
  controller.abort('no')
  await expect(givenUp).rejects.toBe('no')
  await pause(20)
  expect(await (await http.fetch(url)).text()).toBe('here')
  expect(sockets.size).toBe(1)
})

test('of two requests for one connection, one is given up: the other gets it', async () => {
  const { url, sockets } = await serveCounting()
  const http = client()
  await (await http.fetch(url)).text()
  await pause(20)
  const controller = new AbortController()
  const [givenUp, wanted] = [http.fetch(url, { signal: controller.signal }), http.fetch(url)]
  controller.abort('no')
  await expect(givenUp).rejects.toBe('no')
  await (await wanted).text()
  expect(sockets.size).toBe(1)
})

test.each([
  ['is there for the next one', false, 1],
  ['of its own is closed', true, 2],
])('a connection that stands only after its request was given up %s', async (_, ownConnection, count) => {
  const closed: string[] = []
  const url = await serve((_request, response) => response.end('here'))
  const [tunnels, gate] = [new Set<net.Socket>(), new Deferred()]
  const proxy = net.createServer((socket) => {
    tunnels.add(socket)
    socket.once('close', () => closed.push('closed')).on('error', () => undefined)
    socket.once('data', async () => {
      await gate.opened
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const there = net.connect(Number(url.port), '127.0.0.1')
      socket.pipe(there).pipe(socket)
    })
  })
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${await listen(proxy)}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  const controller = new AbortController()
  const http = client()
  const givenUp = http.fetch(url, { ownConnection, signal: controller.signal })
  await vi.waitFor(() => expect(tunnels.size).toBe(1))
  controller.abort('no')
  await expect(givenUp).rejects.toBe('no')
  gate.open()
  await pause(50)
  expect(closed).toHaveLength(ownConnection ? 1 : 0)
  expect(await (await http.fetch(url, { ownConnection })).text()).toBe('here')
  expect(tunnels.size).toBe(count)
})

test('of very many, some are kept', async () => {
  const sockets = new Set<net.Socket>()
  const all = new Deferred()
  const url = await serve(async ({ socket }, response) => {
    sockets.add(socket)
    if (sockets.size === 300) all.open()
    await all.opened
    response.end('here')
  })
  const http = client()
  await Promise.all(Array.from({ length: 300 }, async () => (await http.fetch(url)).text()))
  await vi.waitFor(() => expect([...sockets].filter((socket) => !socket.destroyed)).toHaveLength(256))
})

test('of as many requests as that at once, each has a connection', async () => {
  const { url, sockets } = await serveCounting()
  const http = client()
  const send = async () => {
    for (let request = 0; request < 4; request += 1) await (await http.fetch(url)).text()
  }
  await Promise.all(Array.from({ length: 300 }, send))
  expect(sockets.size).toBe(300)
})

test('a request that ends together with its response leaves one connection to one request', async () => {
  const url = await serve((request, response) => {
    const answer = () => response.end(request.url)
    if (request.method === 'POST') answer()
    else setTimeout(answer, 20)
  })
  const http = client()
  for (let turn = 0; turn < 5; turn += 1) {
    const gate = new Deferred()
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new Uint8Array(9))
        await gate.opened
        controller.close()
      },
    })
    const response = await http.fetch(new URL('/stream', url), { method: 'POST', body })
    gate.open()
    expect(await response.text()).toBe('/stream')
    await pause(10)
    const both = ['/alice', '/bob'].map(async (path) => (await http.fetch(new URL(path, url))).text())
    expect(await Promise.all(both)).toStrictEqual(['/alice', '/bob'])
  }
})

test.each(['gzip', 'br'])('a compressed response that nobody reads leaves no connection: %s', async (encoding) => {
  let closed = false
  const url = await serve((request, response) => {
    request.socket.once('close', () => {
      closed = true
    })
    const content = (encoding === 'br' ? brotliCompressSync : gzipSync)('x'.repeat(99))
    response.writeHead(200, { 'content-encoding': encoding })
    // Both in one packet, as of a server that compresses while it sends.
    response.socket!.cork()
    response.write(content.subarray(0, 10))
    response.end(content.subarray(10))
    response.socket!.uncork()
  })
  await (await client().fetch(url)).body!.cancel()
  await vi.waitFor(() => expect(closed).toBe(true))
})

test('a connection that rested while the process was blocked is given up like any other', async () => {
  const ended = vi.fn()
  const url = await serveBytes((socket) => {
    socket.once('end', ended)
    socket.write(EMPTY.replace('\r\n\r\n', '\r\nkeep-alive: timeout=2\r\n\r\n'))
  })
  await (await client().fetch(url)).text()
  await new Promise<void>((resolve) => process.nextTick(resolve)) // it rests from here
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100)
  await vi.waitFor(() => expect(ended).toHaveBeenCalled(), 3_000)
})

test('a connection from before the machine slept is not used', async () => {
  const sockets = new Set<net.Socket>()
  const url = await serveBytes((socket) => {
    sockets.add(socket)
    socket.write(EMPTY)
  })
  const http = client()
  await (await http.fetch(url)).text()
  await pause(20)
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  vi.setSystemTime(Date.now() + 60_000)
  await (await http.fetch(url)).text()
  expect(sockets.size).toBe(2)
})

test('a connection that is reported as free while it is used is not given away', async () => {
  const sockets = new Set<net.Socket>()
  const url = await serve(({ socket }, response) => {
    sockets.add(socket)
    setTimeout(() => response.end('here'), 50)
  })
  const { send } = connectionsFor()
  const { request } = send(url)
  await once(request, 'socket')
  request.socket!.emit('free')
  await pause(10)
  const responses = await Promise.all([request, send(url).request].map((sent) => once(sent, 'response')))
  expect(responses.map(([{ statusCode }]) => statusCode)).toStrictEqual([200, 200])
  expect(sockets.size).toBe(2)
})

test('so is what it calls on a connection that was opened early, in another context', async () => {
  const { url, certificate } = await serveTls((_, response) => response.end())
  const code = `
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
    const http = createHttp({ dev: true, userAgent: 'test' })
    const url = new URL(process.argv[1])
    const storage = new AsyncLocalStorage()
    storage.run('early', () => http.connect(url, { signal: new AbortController().signal }))
    const beforeSend = async () => console.log(storage.getStore())
    await storage.run('request', () => http.fetch(url, { beforeSend }))
    process.exit()`
  const { stdout } = await startNode(code, [url.href], ['env', `NODE_EXTRA_CA_CERTS=${certificate}`]).ended
  expect(stdout).toBe('request\n')
})

test('what a request calls is called in its own asynchronous context', async () => {
  const url = await serve((request, response) => request.resume().once('end', () => response.end()))
  const http = client()
  const storage = new AsyncLocalStorage<string>()
  const seen: [string, string | undefined][] = []
  const send = async (name: string) => {
    let count = 0
    const note = () => void seen.push([name, storage.getStore()])
    const pull = (controller: ReadableStreamDefaultController) => {
      note()
      count += 1
      if (count === 3) controller.close()
      else controller.enqueue(new Uint8Array(9))
    }
    const body = new ReadableStream({ pull }, { highWaterMark: 0 })
    await (await http.fetch(url, { method: 'POST', body, beforeSend: async () => note() })).text()
  }
  for (const name of ['first', 'second', 'third']) await storage.run(name, () => send(name))
  expect(seen).toHaveLength(12)
  for (const [name, store] of seen) expect(store).toBe(name)
})

describe('over TLS', () => {
  /** Sends one request after the other in a process of its own, and pauses where there is no path. */
  const send = (url: URL, certificate: string, paths: readonly (string | number)[], init: object = {}) => {
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const http = createHttp({ dev: true, userAgent: 'test' })
      const [url, paths, init] = process.argv.slice(1)
      for (const path of JSON.parse(paths)) {
        if (typeof path === 'number') await new Promise((resolve) => setTimeout(resolve, path))
        else try {
          for await (const _ of (await http.fetch(new URL(path, url), JSON.parse(init))).body) {}
        } catch (error) {
          console.log(error.code)
        }
      }
      process.exit()`
    const environment = ['env', `NODE_EXTRA_CA_CERTS=${certificate}`]
    return startNode(code, [url.href, JSON.stringify(paths), JSON.stringify(init)], environment).ended
  }
  const serving = async () => {
    const sockets = new Map<net.Socket, boolean>()
    const { url, certificate } = await serveTls(({ socket, url: path }, response) => {
      sockets.set(socket, (socket as TLSSocket).isSessionReused())
      if (path === '/close') response.setHeader('connection', 'close')
      response.end('here')
    })
    return { url, certificate, resumed: () => [...sockets.values()] }
  }

  test('they are used again, and a further one takes up the session', async () => {
    const { url, certificate, resumed } = await serving()
    await send(url, certificate, ['/close', ...Array.from({ length: 100 }, () => '/')])
    expect(resumed()).toStrictEqual([false, true])
  })

  test('so does a connection of its own, after the one before was closed', async () => {
    const { url, certificate, resumed } = await serving()
    await send(url, certificate, ['/', 50, '/', 50, '/'], { ownConnection: true })
    expect(resumed()).toStrictEqual([false, true, true])
  })

  test('and not one after an error', async () => {
    const { url, certificate, resumed } = await serving()
    const port = Number(url.port)
    let count = 0
    const relay = net.createServer((socket) => {
      count += 1
      socket.on('error', () => undefined)
      if (count === 2) socket.once('data', () => socket.resetAndDestroy())
      else
        socket
          .pipe(net.connect(port, '127.0.0.1'))
          .on('error', () => undefined)
          .pipe(socket)
    })
    url.port = `${await listen(relay)}`
    const { stdout } = await send(url, certificate, ['/', 50, '/', 50, '/', 50, '/'], { ownConnection: true })
    expect(stdout).toBe('NETWORK_UNREACHABLE\n')
    expect(resumed()).toStrictEqual([false, false, true])
  })

  test('of very many servers, the last sessions are kept', () => {
    const sessions = new TlsSessions()
    for (let index = 0; index < 150; index += 1) sessions.set(`${index}`, Buffer.from(`${index}`))
    sessions.set('60', Buffer.from('again'))
    for (let index = 150; index < 200; index += 1) sessions.set(`${index}`, Buffer.from(`${index}`))
    expect([49, 60, 100, 101, 199].map((index) => sessions.get(`${index}`)?.toString())).toStrictEqual([
      undefined,
      'again',
      undefined,
      '101',
      '199',
    ])
  })
})

describe('of a server without connections nothing is left', () => {
  test.each([
    ['the server closes', false],
    ['a request had its own', true],
  ])('%s', async (_, own) => {
    let close = () => {}
    const url = await serve(({ socket }, response) => {
      close = () => void socket.destroy()
      response.end()
    })
    const { connections, send } = connectionsFor()
    const { agent, request } = send(url, own)
    expect(connections.to(url, own)).toBe(agent)
    expect(connections.to(url, !own)).not.toBe(agent)
    const [response] = await once(request, 'response')
    await once(response.resume(), 'end')
    expect(connections.to(url, own)).toBe(agent)
    close()
    await vi.waitFor(() => expect(connections.to(url, own)).not.toBe(agent))
  })

  test('no connection', async () => {
    const url = new URL(`http://127.0.0.1:${await unusedPort()}`)
    const { connections, send } = connectionsFor()
    const { agent, request } = send(url)
    expect(connections.to(url)).toBe(agent)
    await once(request, 'error')
    expect(connections.to(url)).not.toBe(agent)
  })

  test('one that was opened in advance, and is closed', async () => {
    const server = net.createServer()
    const url = new URL(`http://127.0.0.1:${await listen(server)}`)
    const { connections } = connectionsFor()
    const controller = new AbortController()
    const agent = connections.to(url)
    agent.open(controller.signal)
    await once(server, 'connection')
    expect(connections.to(url)).toBe(agent)
    controller.abort()
    expect(connections.to(url)).not.toBe(agent)
  })

  test('one of two that were opened in advance is closed: the other one is left', async () => {
    const server = net.createServer()
    const url = new URL(`http://127.0.0.1:${await listen(server)}`)
    const { connections } = connectionsFor()
    const controllers = [new AbortController(), new AbortController()]
    const agent = connections.to(url)
    for (const { signal } of controllers) agent.open(signal)
    controllers[0]!.abort()
    expect(connections.to(url)).toBe(agent)
    controllers[1]!.abort()
    expect(connections.to(url)).not.toBe(agent)
  })

  test('who still uses the earlier ones does not disturb the later', async () => {
    const url = await serveBytes(() => undefined)
    const { connections, send } = connectionsFor()
    const giveUp = async (request: ClientRequest) => {
      request.on('error', () => undefined)
      if (!request.socket) await once(request, 'socket')
      const { socket } = request
      request.destroy()
      await once(socket!, 'close')
    }
    const { agent, request } = send(url)
    await giveUp(request)
    const later = send(url)
    expect(later.agent).not.toBe(agent)
    await giveUp(requestHttp({ ...agent.server, agent: agent as never }).end())
    expect(connections.to(url)).toBe(later.agent)
    await giveUp(later.request)
    expect(connections.to(url)).not.toBe(later.agent)
  })

  test('no request', () => {
    const { connections } = connectionsFor()
    const url = new URL('http://localhost')
    const agent = connections.to(url)
    agent.open(AbortSignal.abort())
    expect(() => requestHttp({ ...agent.server, agent: agent as never, headers: { bad: '\n' } })).toThrow()
    expect(connections.to(url)).not.toBe(agent)
  })

  test('one that was opened in advance, and is used', async () => {
    const url = await serve((_, response) => response.end())
    const { connections, send } = connectionsFor()
    const controller = new AbortController()
    const agent = connections.to(url)
    agent.open(controller.signal)
    const { request } = send(url)
    await once(request, 'socket')
    controller.abort()
    expect(connections.to(url)).toBe(agent)
    await once(request, 'response')
  })

  test('a refused address', async () => {
    const connections = new Connections(false, proxiesFrom({}))
    const url = new URL('https://10.0.0.1')
    const error = await failure(Promise.resolve().then(() => connections.to(url)))
    expect(error).toMatchObject({ code: 'ADDRESS_REFUSED' })
  })
})
