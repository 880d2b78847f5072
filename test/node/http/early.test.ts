/** Connections that are opened before a request needs them. */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { failure } from '../../support/failure.ts'
import { startNode } from '../helpers.ts'
import { client, serveInThread, serveProxy, serveTls, unusedPort } from './servers.ts'

const { signal } = new AbortController()
/** A thread whose server closes the first connection when it is told to, and answers on the second. */
const CLOSING_SERVER = `
  const { parentPort, workerData: flags } = require('node:worker_threads')
  let count = 0
  const server = require('node:net').createServer((socket) => {
    count += 1
    socket.on('error', () => undefined)
    if (count > 1) {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\n2'))
      return
    }
    parentPort.postMessage('connected')
    Atomics.wait(flags, 0, 0)
    socket.once('close', () => {
      Atomics.store(flags, 1, 1)
      Atomics.notify(flags, 1)
    })
    socket.destroy()
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

/** A server that says which of its connections a request came on, and what became of the others. */
async function numbering(onConnection: (socket: net.Socket) => void = () => undefined) {
  const sockets: net.Socket[] = []
  const closed: number[] = []
  const server = net.createServer((socket) => {
    const number = sockets.push(socket)
    socket.on('error', () => undefined).on('close', () => closed.push(number))
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${number}`))
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return { url, sockets, closed }
}

const text = async (response: Promise<Response>) => (await response).text()

describe('the first request gets the connection', () => {
  test.each([false, true])('own: %s, and the second one another if it wants its own', async (ownConnection) => {
    const { url, sockets } = await numbering()
    const http = client()
    http.connect!(url, { ownConnection, signal })
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    expect(await text(http.fetch(url, { ownConnection }))).toBe('1')
    expect(await text(http.fetch(url, { ownConnection }))).toBe(ownConnection ? '2' : '1')
  })

  test('also before it stands', async () => {
    const { url, sockets } = await numbering()
    const http = client()
    http.connect!(url, { signal })
    expect(await text(http.fetch(url))).toBe('1')
    expect(sockets).toHaveLength(1)
  })

  test('a connection of its own is for a request with its own, and nothing was sent on it before', async () => {
    const { url, sockets } = await numbering()
    const http = client()
    http.connect!(url, { ownConnection: true, signal })
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    expect(await text(http.fetch(url))).toBe('2')
    expect(sockets[0]!.bytesRead).toBe(0)
    expect(await text(http.fetch(url, { ownConnection: true }))).toBe('1')
  })

  test('not a request to another server', async () => {
    const [one, two] = [await numbering(), await numbering()]
    const http = client()
    http.connect!(one.url, { signal })
    await text(http.fetch(two.url))
    expect(two.sockets).toHaveLength(1)
  })
})

describe('a connection that is of no use is replaced', () => {
  test.each<[string, (socket: net.Socket) => void]>([
    ['closed by the server', (socket) => socket.destroy()],
    ['ended by the server', (socket) => socket.end()],
    ['with a response to no request', (socket) => socket.write('HTTP/1.1 408 Timeout\r\ncontent-length: 0\r\n\r\n')],
  ])('%s', async (_, spoil) => {
    let isFirst = true
    const { url, sockets } = await numbering((socket) => {
      if (isFirst) spoil(socket)
      isFirst = false
    })
    const http = client()
    http.connect!(url, { ownConnection: true, signal })
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    expect(await text(http.fetch(url, { method: 'POST', body: 'x', ownConnection: true }))).toBe('2')
  })

  test('closed by the server while this process was blocked', async () => {
    const { url, flags, worker } = await serveInThread(CLOSING_SERVER)
    const http = client()
    http.connect(url, { ownConnection: true, signal })
    await once(worker, 'message')
    await stat('.') // after a file was read, sockets are not read again before what was set to be next
    Atomics.store(flags, 0, 1)
    Atomics.notify(flags, 0)
    Atomics.wait(flags, 1, 0)
    expect(await text(http.fetch(url, { method: 'POST', body: 'refresh_token=canary', ownConnection: true }))).toBe('2')
  })

  test('after three seconds: servers do not wait for a request for long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { url, sockets, closed } = await numbering()
    const http = client()
    http.connect!(url, { ownConnection: true, signal })
    while (sockets.length === 0) await setImmediate()
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    vi.advanceTimersByTime(3000)
    while (closed.length === 0) await setImmediate()
    vi.useRealTimers()
    expect(await text(http.fetch(url, { ownConnection: true }))).toBe('2')
  })

  test('its error is that of the request, and of nobody where there is none', async () => {
    const http = client()
    const url = new URL(`http://127.0.0.1:${await unusedPort()}/`)
    http.connect!(url, { signal })
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    expect(await failure(http.fetch(url))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
  })
})

test('a connection that no request has taken is closed at the signal, and one that was taken is not', async () => {
  const { url, sockets, closed } = await numbering()
  const over = new AbortController()
  const http = client()
  http.connect!(url, { signal: over.signal })
  http.connect!(url, { ownConnection: true, signal: over.signal })
  await vi.waitFor(() => expect(sockets).toHaveLength(2))
  const used = await text(http.fetch(url))
  over.abort()
  await vi.waitFor(() => expect(closed).toHaveLength(1))
  expect(closed).not.toContain(Number(used))
  expect(await text(http.fetch(url))).toBe(used)
})

test('nothing is opened after the signal', async () => {
  const { url, sockets } = await numbering()
  const http = client()
  http.connect!(url, { signal: AbortSignal.abort() })
  expect(await text(http.fetch(url))).toBe('1')
  expect(sockets).toHaveLength(1)
})

test('20.1 the same guard: no private address, no http, no other scheme', async () => {
  const { url, sockets } = await numbering()
  const http = client({ dev: false })
  for (const href of [
    url.href,
    url.href.replace('http:', 'https:'),
    `https://localhost:${url.port}/`,
    'ftp://x.com/',
  ]) {
    http.connect!(new URL(href), { signal })
  }
  expect(await failure(http.fetch(url))).toMatchObject({ code: 'ADDRESS_REFUSED' })
  for (let turn = 0; turn < 20; turn += 1) await setImmediate()
  expect(sockets).toHaveLength(0)
})

describe('in a process of its own', () => {
  const IMPORTS = `
    const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
    const { toResponse } = await import(process.env.SRC + 'protocol/http/http-response.ts')`
  const run = (code: string, args: string[], environment: string[] = []) =>
    startNode(IMPORTS + code, args, ['env', ...environment]).ended

  test('an unused connection does not keep the process running', async () => {
    const { url } = await numbering()
    const { url: tls } = await serveTls(() => undefined)
    const silent = await numbering()
    const code = `
      const http = createHttp({ dev: true, userAgent: 'test' })
      const { signal } = new AbortController()
      for (const url of process.argv.slice(1)) http.connect(new URL(url), { ownConnection: true, signal })
      console.log(await toResponse(await http.fetch(new URL(process.argv[1]))).text())
      console.log(process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name)).length)`
    const { stdout } = await run(code, [url.href, tls.href, silent.url.href.replace('http:', 'https:')])
    expect(stdout).toMatch(/^\d\n0\n$/)
  })

  test('20.4 the certificate is checked, and a request has no use for one of somebody else', async () => {
    const { url, certificate } = await serveTls((_, response) => response.end('yes'))
    const code = `
      const http = createHttp({ dev: true, userAgent: 'test' })
      for (const url of process.argv.slice(1).map((href) => new URL(href))) {
        http.connect(url, { ownConnection: true, signal: new AbortController().signal })
        console.log(await http.fetch(url, { ownConnection: true }).then((response) => toResponse(response).text(), (error) => error.code))
      }
      process.exit()`
    const elsewhere = `https://localhost:${url.port}/`
    const { stdout } = await run(code, [url.href, elsewhere], [`NODE_EXTRA_CA_CERTS=${certificate}`])
    expect(stdout).toBe('yes\nNETWORK_UNREACHABLE\n')
  })

  test('through a proxy, one tunnel', async () => {
    const { url, certificate } = await serveTls((_, response) => response.end('through the tunnel'))
    const proxy = await serveProxy(200, url)
    const code = `
      const http = createHttp({ dev: false, userAgent: 'test' })
      const target = new URL('https://pds.example.com/')
      http.connect(target, { ownConnection: true, signal: new AbortController().signal })
      console.log(await toResponse(await http.fetch(target, { ownConnection: true })).text())
      process.exit()`
    const environment = [`NODE_EXTRA_CA_CERTS=${certificate}`, `HTTPS_PROXY=${proxy.url.href}`]
    const { stdout, stderr } = await run(code, [], environment)
    expect({ stdout, stderr }).toStrictEqual({ stdout: 'through the tunnel\n', stderr: '' })
    expect(proxy.asked).toStrictEqual(['CONNECT pds.example.com:443'])
  })
})
