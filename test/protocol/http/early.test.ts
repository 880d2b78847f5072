import { describe, expect, test, vi } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import type { Http, HttpInit } from '../../../src/ports.ts'
import { type DocumentInit, withEarly } from '../../../src/protocol/http/early.ts'
import { failure } from '../../support/failure.ts'

const URL_ = new URL('https://pds.fake.dev/document')
const INIT: DocumentInit = { headers: { accept: 'application/json' }, timeoutSeconds: 10 }

function network(answer: (url: URL, init?: HttpInit) => Promise<Response> = async () => new Response('here')) {
  const fetch = vi.fn(answer)
  const connect = vi.fn<NonNullable<Http['connect']>>()
  return { fetch, connect }
}

describe('an early response', () => {
  test('is that of the same request, once', async () => {
    const ports = network()
    await withEarly(ports, async ({ early, fetch }) => {
      early.request(URL_, INIT)
      early.request(URL_, INIT)
      expect(ports.fetch).toHaveBeenCalledTimes(1)
      expect(await (await fetch(URL_, INIT)).text()).toBe('here')
      expect(ports.fetch).toHaveBeenCalledTimes(1)
      await fetch(URL_, INIT)
      expect(ports.fetch).toHaveBeenCalledTimes(2)
    })
  })

  test.each<[string, URL, HttpInit]>([
    ['another URL', new URL('?', URL_), INIT],
    ['another media type', URL_, { ...INIT, headers: { accept: 'text/plain' } }],
    ['another method', URL_, { ...INIT, method: 'POST' }],
    ['a body', URL_, { ...INIT, body: 'x' }],
    ['an authorization', URL_, { ...INIT, headers: { ...INIT.headers, authorization: 'DPoP x' } }],
    ['a connection of its own', URL_, { ...INIT, ownConnection: true }],
    ['another timeout', URL_, { ...INIT, timeoutSeconds: 3 }],
  ])('is not that of a request with %s', async (_, url, init) => {
    const ports = network()
    await withEarly(ports, async ({ early, fetch }) => {
      early.request(URL_, INIT)
      await fetch(url, init)
      expect(ports.fetch).toHaveBeenCalledTimes(2)
    })
  })

  test('that failed is the failure of the request, and of nobody where there is none', async () => {
    const ports = network(async () => {
      throw new OAuthError('NETWORK_LOST', 'gone')
    })
    await withEarly(ports, async ({ early, fetch }) => {
      early.request(URL_, INIT)
      expect(await failure(fetch(URL_, INIT))).toMatchObject({ message: 'gone' })
    })
    await withEarly(ports, async ({ early }) => early.request(URL_, INIT))
  })

  test.each([429, 503])('with %i is not the last word: the request is made once more', async (status) => {
    const cancel = vi.fn()
    const answers = [new Response(new ReadableStream({ cancel }), { status }), new Response(null, { status })]
    const ports = network(async () => answers.shift()!)
    await withEarly(ports, async ({ early, fetch }) => {
      early.request(URL_, INIT)
      expect((await fetch(URL_, INIT)).status).toBe(status)
      expect(ports.fetch).toHaveBeenCalledTimes(2)
    })
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('that nobody used is given up at the end, also if the work fails', async () => {
    const cancel = vi.fn()
    const signals: (AbortSignal | undefined)[] = []
    const ports = network(async (_, init) => {
      signals.push(init?.signal)
      return new Response(new ReadableStream({ cancel }))
    })
    const work = withEarly(ports, async ({ early }) => {
      early.request(URL_, INIT)
      throw new Error('the work')
    })
    await expect(work).rejects.toThrow('the work')
    expect(signals.map((signal) => signal?.aborted)).toStrictEqual([true])
    await vi.waitFor(() => expect(cancel).toHaveBeenCalledOnce())
  })
})

test('connections are opened until the end, where the network can', async () => {
  const ports = network()
  await withEarly(ports, async ({ early }) => early.connect(URL_, { ownConnection: true }))
  expect(ports.connect).toHaveBeenCalledWith(URL_, { ownConnection: true, signal: expect.any(AbortSignal) })
  expect(ports.connect.mock.calls[0]![1].signal.aborted).toBe(true)
  await withEarly({ fetch: ports.fetch }, async ({ early }) => early.connect(URL_))
})
