import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type GivenFetch, httpOver } from '../../../src/node/http/given-fetch.ts'
import { toResponse } from '../../../src/protocol/http/http-response.ts'
import { countingListeners } from '../../library/support.ts'
import { failure } from '../../support/failure.ts'

const over = (given: GivenFetch, dev = true) => httpOver(given, { dev, userAgent: 'test/1' })

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`)
}

describe('what is checked from outside', () => {
  test.each([
    ['http', 'http://pds.example.com/'],
    ['a private address', 'https://127.0.0.1/'],
    ['a name of this network', 'https://pds.local/'],
  ])('%s: the given fetch is not called', async (_, url) => {
    const given = vi.fn<GivenFetch>()
    expect(await failure(over(given, false).fetch(new URL(url)))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(given).not.toHaveBeenCalled()
  })

  test('what it is asked: no redirects, no cookies, no cache', async () => {
    const given = vi.fn<GivenFetch>(async () => new Response('ok'))
    await over(given).fetch(new URL('http://a.test/'), { method: 'POST', body: 'x', headers: { dpop: 'proof' } })
    const [, init] = given.mock.calls[0]!
    expect(init).toMatchObject({
      method: 'POST',
      body: 'x',
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
    })
    expect(init.headers).toMatchObject({ dpop: 'proof', 'user-agent': 'test/1' })
  })

  test('a URL that it changes is its own', async () => {
    const url = new URL('http://a.test/xrpc/x')
    const given: GivenFetch = async (at) => {
      at.host = 'elsewhere.test'
      at.searchParams.set('key', 'value')
      return new Response('ok')
    }
    await over(given).fetch(url)
    expect(url.href).toBe('http://a.test/xrpc/x')
  })

  test('a redirect is returned; one that was followed is an error', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/x') response.writeHead(302, { location: '/y' }).end()
      else response.end('followed')
    })
    expect(await over(fetch).fetch(url)).toMatchObject({ status: 302 })
    const following: GivenFetch = (at, init) => fetch(at, { ...init, redirect: 'follow' })
    expect(await failure(over(following).fetch(url))).toMatchObject({ code: 'ADDRESS_REFUSED' })
  })

  test('nothing is sent before beforeSend, nor after it has rejected', async () => {
    const given = vi.fn<GivenFetch>(async () => new Response())
    const beforeSend = async () => {
      expect(given).not.toHaveBeenCalled()
      throw new Error('another process has taken over')
    }
    await over(given)
      .fetch(new URL('http://a.test/'), { beforeSend })
      .catch(() => undefined)
    expect(given).not.toHaveBeenCalled()
    const refusal = { wait: 'for another machine' }
    const asked = over(given).fetch(new URL('http://a.test/'), { beforeSend: () => Promise.reject(refusal) })
    await expect(asked).rejects.toBe(refusal)
    expect(given).not.toHaveBeenCalled()
  })
})

describe('errors', () => {
  test('nothing was sent: connection refused', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await new Promise((resolve) => server.close(resolve))
    expect(await failure(over(fetch).fetch(url))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
  })

  test('it may have arrived: the connection ends without a response', async () => {
    const url = await serve((request) => void request.socket.destroy())
    expect(await failure(over(fetch).fetch(url))).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test('what is not an Error', async () => {
    const given: GivenFetch = () => Promise.reject('a string with a secret')
    const error = await failure(over(given).fetch(new URL('http://a.test/')))
    expect(error).toMatchObject({ code: 'NETWORK_LOST', message: expect.not.stringContaining('secret') })
  })

  test('a body that is cut off', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('12345', () => response.destroy())
    })
    const response = await over(fetch).fetch(url)
    await expect(toResponse(response).text()).rejects.toMatchObject({ code: 'NETWORK_LOST' })
  })

  test('a body that is compressed for whoever takes it, and cut off', async () => {
    const text = 'not a word of it is missing. '.repeat(1000)
    const url = await serve(({ headers }, response) => {
      const isCompressed = headers['accept-encoding']?.includes('gzip')
      const body = isCompressed ? gzipSync(text) : Buffer.from(text)
      if (isCompressed) response.writeHead(200, { 'content-encoding': 'gzip' }).end(body.subarray(0, body.length / 2))
      else response.end(body)
    })
    expect(await toResponse(await over(fetch).fetch(url)).text()).toBe(text)
  })

  test('no response within the timeout, and a body that pauses', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/body') response.writeHead(200).write('begun')
    })
    const error = await failure(over(fetch).fetch(url, { timeoutSeconds: 0.05 }))
    expect(error).toMatchObject({ code: 'NETWORK_LOST', message: expect.stringContaining('timed out') })
    const paused = await over(fetch).fetch(new URL('/body', url), { streaming: true, pauseSeconds: 0.05 })
    await expect(toResponse(paused).text()).rejects.toMatchObject({ code: 'NETWORK_LOST' })
  })
})

test('the signal ends a request and a body, with its reason; no listener stays', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/whole') response.end('whole')
    if (request.url === '/body') response.writeHead(200).write('begun')
  })
  const { controller, count } = countingListeners()
  const { signal } = controller
  const http = over(fetch)
  for (let round = 0; round < 5; round += 1) {
    expect(await toResponse(await http.fetch(new URL('/whole', url), { signal })).text()).toBe('whole')
    await (await http.fetch(new URL('/whole', url), { signal })).body?.cancel()
    expect((await http.fetch(new URL('/whole', url), { signal, method: 'HEAD' })).body).toBeNull()
  }
  expect(count()).toBe(0)
  const response = await http.fetch(new URL('/body', url), { signal, streaming: true })
  const waiting = http.fetch(url, { signal })
  controller.abort('enough')
  await expect(waiting).rejects.toBe('enough')
  await expect(toResponse(response).text()).rejects.toBe('enough')
  await expect(http.fetch(url, { signal })).rejects.toBe('enough')
  expect(count()).toBe(0)
})
