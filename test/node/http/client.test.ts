import type http from 'node:http'
import type net from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { failure } from '../../support/failure.ts'
import { startNode } from '../helpers.ts'
import { client, serve, serveBytes, unusedPort } from './servers.ts'

describe('an exchange', () => {
  test('method, headers, body and user agent arrive; status, headers and body come back', async () => {
    const url = await serve(async (request, response) => {
      const body = (await request.toArray()).join('')
      response.writeHead(418, { 'x-answer': 'yes', 'content-type': 'application/json' })
      const { method, url: path, headers } = request
      response.end(JSON.stringify({ method, path, agent: headers['user-agent'], own: headers['x-own'], body }))
    })
    const response = await client().fetch(url, { method: 'POST', headers: { 'x-own': '1' }, body: 'ü&=' })
    expect(response).toMatchObject({ status: 418, ok: false })
    expect(response.headers.get('x-answer')).toBe('yes')
    expect(await response.json()).toStrictEqual({
      method: 'POST',
      path: '/path?query=1',
      agent: 'atproto-oauth/test',
      own: '1',
      body: 'ü&=',
    })
  })

  test.each([
    ['GET', undefined],
    ['HEAD', undefined],
    ['DELETE', undefined],
    ['POST', '0'],
    ['PUT', '0'],
    ['PATCH', '0'],
  ])('without a body, the length of a %s is %s', async (method, length) => {
    const seen: unknown[] = []
    const url = await serve((request, response) => {
      const { headers, rawHeaders } = request
      seen.push(headers['content-length'], headers['transfer-encoding'], rawHeaders[0], headers.host)
      response.end()
    })
    const response = await client().fetch(url, { method })
    await response.body?.cancel()
    expect(seen).toStrictEqual([length, undefined, 'host', url.host])
  })

  test('each header is sent once, with the value of the caller', async () => {
    const url = await serve((request, response) => response.end(JSON.stringify(request.rawHeaders)))
    const headers = { Accept: 'a/b', 'USER-AGENT': 'me', 'x-other': '1' }
    const sent: string[] = await (await client().fetch(url, { headers })).json()
    const names = sent.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
    expect(names).toStrictEqual([...new Set(names)])
    expect(sent).toStrictEqual(expect.arrayContaining(['accept', 'a/b', 'user-agent', 'me', 'x-other', '1']))
  })

  test('a stream of a length that the caller names is not chunked', async () => {
    const url = await serve(async (request, response) => {
      const { length } = Buffer.concat(await request.toArray())
      response.end(JSON.stringify([request.headers['content-length'], request.headers['transfer-encoding'], length]))
    })
    const body = new Blob([new Uint8Array(9)]).stream()
    const response = await client().fetch(url, { method: 'POST', headers: { 'Content-Length': '9' }, body })
    expect(await response.json()).toStrictEqual(['9', null, 9])
  })

  test.each([
    [{}, 'image/png'],
    [{ 'Content-Type': 'image/webp' }, 'image/webp'],
  ])('a blob tells its length, and its type unless the headers do: %o', async (headers, type) => {
    const url = await serve(async (request, response) => {
      const { length } = Buffer.concat(await request.toArray())
      response.end(JSON.stringify([request.headers['content-type'], request.headers['content-length'], length]))
    })
    const body = new Blob([new Uint8Array(200_000)], { type: 'image/png' })
    const response = await client().fetch(url, { method: 'POST', headers, body })
    expect(await response.json()).toStrictEqual([type, '200000', 200_000])
  })

  test('what stands before the @ of an address is not sent', async () => {
    const url = await serve(({ headers }, response) => response.end(String(headers.authorization)))
    url.username = 'canary'
    expect(await (await client().fetch(url)).text()).toBe('undefined')
  })

  test.each([204, 304])('%d has no body', async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end())
    const response = await client().fetch(url)
    expect([response.status, response.body]).toStrictEqual([status, null])
  })

  test.each([301, 302, 303, 307, 308])('a redirect (%d) is returned, not followed', async (status) => {
    const asked: string[] = []
    const url = await serve((request, response) => {
      asked.push(request.url!)
      response.writeHead(status, { location: '/elsewhere' }).end('moved')
    })
    const response = await client().fetch(url, { method: 'POST', body: 'secret' })
    expect([response.status, response.headers.get('location')]).toStrictEqual([status, '/elsewhere'])
    expect(asked).toStrictEqual(['/path?query=1'])
  })

  test('a cancelled body ends the connection', async () => {
    const closed = vi.fn()
    const url = await serve((_, response) => {
      response.on('close', closed)
      response.write('x'.repeat(10_000))
    })
    await (await client().fetch(url)).body!.cancel()
    await vi.waitFor(() => expect(closed).toHaveBeenCalled())
  })

  test('an unread response does not keep the process running', async () => {
    const url = await serve((_, response) => response.end('x'.repeat(1000)))
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { status } = await createHttp({ dev: true, userAgent: 'test' }).fetch(new URL('${url.href}'))
      console.log(status)`
    // The server would not end the connection before the test does.
    expect(await startNode(code).ended).toMatchObject({ code: 0, stdout: '200\n' })
  })

  test('each outcome is reported, with nothing of what was sent', async () => {
    const lines: string[] = []
    const { fetch } = client({ onRequest: (line) => lines.push(line) })
    const url = await serve((_, response) => response.end())
    await fetch(url, { method: 'POST', headers: { authorization: 'DPoP canary' }, body: 'canary' })
    await failure(fetch(new URL(`http://127.0.0.1:${await unusedPort()}/`)))
    expect(lines).toStrictEqual([
      expect.stringMatching(/^POST http:\S+ 200 \(\d+ ms\)$/),
      expect.stringMatching(/^GET http:\S+ NETWORK_UNREACHABLE \(\d+ ms\)$/),
    ])
    expect(lines.join()).not.toContain('canary')
  })
})

describe('it may have arrived: NETWORK_LOST', () => {
  test.each([
    ['closed', (socket: net.Socket) => socket.end()],
    ['reset', (socket: net.Socket) => socket.resetAndDestroy()],
    ['answered with something else', (socket: net.Socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
    ['cut in the headers', (socket: net.Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-ty')],
  ])('the connection was %s after the request, which is not repeated', async (_, answer) => {
    let requests = 0
    const url = await serveBytes((socket, sent) => {
      if (!sent.endsWith('refresh_token=canary')) return
      requests += 1
      answer(socket)
    })
    const error = await failure(client().fetch(url, { method: 'POST', body: 'refresh_token=canary' }))
    expect(error).toMatchObject({ code: 'NETWORK_LOST' })
    expect(error.message).toContain(url.host)
    expect(error.message).not.toContain('canary')
    expect(requests).toBe(1)
  })

  test('no response within the timeout', async () => {
    const url = await serve(() => undefined)
    const error = await failure(client().fetch(url, { timeoutSeconds: 0.05 }))
    expect(error).toMatchObject({
      code: 'NETWORK_LOST',
      message: expect.stringContaining('timed out after 0.05 seconds'),
    })
  })

  test('whoever asked does not want it any more', async () => {
    const controller = new AbortController()
    const reason = new Error('their own words')
    const url = await serve(() => controller.abort(reason))
    await expect(client().fetch(url, { signal: controller.signal })).rejects.toBe(reason)
  })

  test('whoever asked does not want the rest of the body', async () => {
    const controller = new AbortController()
    const url = await serveBytes((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'))
    const response = await client().fetch(url, { signal: controller.signal, streaming: true })
    const reading = response.text()
    controller.abort('their own words')
    await expect(reading).rejects.toBe('their own words')
  })

  test.each([
    ['content-length', 'content-length: 100\r\n\r\n{"access_'],
    ['chunks', 'transfer-encoding: chunked\r\n\r\n9\r\n{"access_\r\n'],
  ])('the body breaks off, by its %s: an error of ours also there', async (_, rest) => {
    const url = await serveBytes((socket) => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
    const response = await client().fetch(url)
    expect(response.status).toBe(200)
    expect(await failure(response.text())).toMatchObject({ code: 'NETWORK_LOST' })
  })

  test('20.2 a body of one byte at a time ends with the total limit', async () => {
    const url = await serve(trickle)
    const response = await client().fetch(url, { timeoutSeconds: 1 })
    const error = await failure(response.text())
    expect(error).toMatchObject({ code: 'NETWORK_LOST', message: expect.stringContaining('timed out after 1 second') })
  })

  test('streaming, it may take as long as it keeps coming', async () => {
    const url = await serve((request, response) => trickle(request, response, 60))
    const response = await client().fetch(url, { timeoutSeconds: 1, streaming: true })
    expect(await response.text()).toBe('.'.repeat(60))
  })

  /** A byte each 20 ms; without `count`, no end. */
  function trickle(_: http.IncomingMessage, response: http.ServerResponse, count = Number.POSITIVE_INFINITY): void {
    let sent = 0
    const timer = setInterval(() => {
      response.write('.')
      sent += 1
      if (sent < count) return
      clearInterval(timer)
      response.end()
    }, 20)
    response.on('close', () => clearInterval(timer))
  }
})
