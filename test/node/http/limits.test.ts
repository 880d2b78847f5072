/** Answers that are larger, longer or other than they say. */
import { getEventListeners } from 'node:events'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readBounded } from '../../../src/protocol/http/bounded-body.ts'
import { fetchJson } from '../../../src/protocol/http/fetch-json.ts'
import { readJsonObject } from '../../../src/protocol/http/response.ts'
import { asOrigin } from '../../../src/protocol/identity/syntax.ts'
import { failure } from '../../support/failure.ts'
import { client, serve, serveBytes } from './servers.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const MEGABYTE = 1024 * 1024
const expectation = { what: 'the document', code: 'METADATA_INVALID' } as const
const request = (url: URL) => {
  return { ...expectation, url, absent: { code: 'DID_NOT_FOUND', message: 'absent' } as const }
}

describe('18.14 compressed bodies', () => {
  const text = JSON.stringify({ text: 'zażółć'.repeat(1000) })
  test.each([
    ['gzip', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['deflate', deflateSync(text)],
  ])('%s is asked for and read', async (encoding, body) => {
    const url = await serve(({ headers }, response) => {
      const isAccepted = headers['accept-encoding']?.includes(encoding)
      response.writeHead(isAccepted ? 200 : 406, { ...JSON_TYPE, 'content-encoding': encoding }).end(body)
    })
    const response = await client().fetch(url)
    expect(JSON.stringify(await readJsonObject(response, expectation))).toBe(text)
  })

  test('a bomb is put down as soon as it is larger than the limit, whatever it is packed into', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MEGABYTE, '{'))
    expect(bomb.length).toBeLessThan(MEGABYTE / 8)
    const url = await serve((_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end(bomb)
    })
    expect(await readBounded(await client().fetch(url), MEGABYTE)).toBeUndefined()
    const error = await failure(
      client()
        .fetch(url)
        .then((response) => readJsonObject(response, expectation)),
    )
    expect(error).toMatchObject({ code: 'METADATA_INVALID', message: expect.stringContaining('at most 512 KiB') })
  })

  test('what does not unpack broke off', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }).end('{"this":"is no gzip"}')
    })
    const error = await failure(
      client()
        .fetch(url)
        .then((response) => readJsonObject(response, expectation)),
    )
    expect(error.code).toBe('NETWORK_LOST')
  })
})

describe('20.2 bodies without an end', () => {
  test('an endless one: no more of it is read than the limit', async () => {
    let sent = 0
    const url = await serve((_, response) => {
      response.writeHead(200, JSON_TYPE)
      const more = () => {
        while (!response.destroyed && sent < 64 * MEGABYTE) {
          sent += 65_536
          if (!response.write('x'.repeat(65_536))) return response.once('drain', more)
        }
        return response.end()
      }
      more()
    })
    const error = await failure(fetchJson(request(url), { ...client(), now: () => 0 }))
    expect(error).toMatchObject({ code: 'METADATA_INVALID', message: expect.stringContaining('at most 512 KiB') })
    expect(sent).toBeLessThan(32 * MEGABYTE) // what fits into the buffers of two sockets, and not all of it
  })

  test('20.2 a Content-Length that promises more than comes', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n'
    const url = await serveBytes((socket) => socket.end(`${head}{}`))
    expect(await failure(fetchJson(request(url), { ...client(), now: () => 0 }))).toMatchObject({
      code: 'NETWORK_LOST',
    })
  })

  test('20.2 a Content-Length that promises less than comes: only that much is the body', async () => {
    const url = await serveBytes((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}{"more":1}'),
    )
    expect(await fetchJson(request(url), { ...client(), now: () => 0 })).toStrictEqual({})
  })

  test('headers without an end', async () => {
    const url = await serveBytes((socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(MEGABYTE)}\r\n`))
    expect(await failure(client().fetch(url))).toMatchObject({ code: 'NETWORK_LOST' })
  })
})

test('18.15 every request says who is asking, and nobody waits for ever', async () => {
  const agents: (string | undefined)[] = []
  const url = await serve(({ headers, url: path }, response) => {
    agents.push(headers['user-agent'])
    if (path === '/answered') response.end()
  })
  expect((await client().fetch(new URL('/answered', url))).status).toBe(200)
  expect(agents).toStrictEqual(['atproto-oauth/test'])
  const error = await failure(client().fetch(url, { timeoutSeconds: 0.05, streaming: true }))
  expect(error).toMatchObject({
    code: 'NETWORK_LOST',
    message: expect.stringContaining('timed out after 0.05 seconds'),
  })
})

test('20.2 a server may be at another port than 443', async () => {
  const url = await serve((_, response) => response.writeHead(200, JSON_TYPE).end('{}'))
  expect(url.port).not.toBe('')
  expect(asOrigin('https://pds.example.com:8443', false)).toBe('https://pds.example.com:8443')
  expect(await fetchJson(request(url), { ...client(), now: () => 0 })).toStrictEqual({})
})

describe('timeouts of any size', () => {
  test.each([Number.POSITIVE_INFINITY, 2 ** 31, 1e300, 1e7])(
    '%d seconds is long, and not over at once',
    async (timeoutSeconds) => {
      const url = await serve((_, response) => {
        setImmediate(() => response.end('{}'))
      })
      expect((await client().fetch(url, { timeoutSeconds })).status).toBe(200)
    },
  )

  test.each([Number.NaN, 0, -1, Number.NEGATIVE_INFINITY])('%d is none: nothing is sent', async (timeoutSeconds) => {
    let requests = 0
    const url = await serve((_, response) => {
      requests += 1
      response.end()
    })
    const error = await failure(client().fetch(url, { timeoutSeconds }))
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining(`not ${timeoutSeconds}`) })
    expect(requests).toBe(0)
  })
})

describe('one signal for many requests', () => {
  const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

  test('keeps nothing of them once they are over, however they end', async () => {
    const { signal } = new AbortController()
    const url = await serve(({ url: path }, response) => {
      if (path === '/cut') response.socket!.destroy()
      else if (path === '/none') response.writeHead(204).end()
      else response.end('{}')
    })
    const { fetch } = client()
    for (let times = 0; times < 20; times += 1) {
      for (const streaming of [true, false]) {
        await (await fetch(url, { signal, streaming })).text()
        await (await fetch(url, { signal, streaming })).body!.cancel()
        await fetch(new URL('/none', url), { signal, streaming })
        await fetch(url, { signal, streaming, method: 'HEAD' })
        await failure(fetch(new URL('/cut', url), { signal, streaming }))
      }
    }
    await expect.poll(() => listeners(signal)).toBe(0)
  })

  test('still ends a body that is under way, with its own reason', async () => {
    const controller = new AbortController()
    const url = await serve((_, response) => void response.write('{'))
    const response = await client().fetch(url, { signal: controller.signal, streaming: true })
    expect(listeners(controller.signal)).toBe(1)
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(response.text()).rejects.toBe(reason)
    await expect(client().fetch(url, { signal: controller.signal })).rejects.toBe(reason)
  })
})
