import { describe, expect, test } from 'vitest'
import { callWithRetry } from '../../src/call/retry.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

const READ: XrpcRequest = { nsid: 'com.example.read' }
const WRITE: XrpcRequest = { nsid: 'com.example.write', method: 'POST' }

/** A session that answers with these statuses, one after the other. */
async function asked(request: XrpcRequest, statuses: number[], headers = {}, wait = false) {
  const world = createFakeWorld()
  const began = world.now()
  let calls = 0
  const call = async () => {
    calls += 1
    return new Response('', { status: statuses.shift() ?? 599, headers })
  }
  const limits: number[] = []
  const onRateLimit = (until: number) => limits.push((until - world.now()) / 1000)
  const response = await callWithRetry({ call }, request, { wait, onRateLimit }, world)
  return { status: response.status, calls, seconds: (world.now() - began) / 1000, world, limits }
}

describe('18.8 a gateway error', () => {
  test('a read is made again, after longer and longer pauses, and no more than four times', async () => {
    const once = await asked(READ, [502, 200])
    expect(once).toMatchObject({ status: 200, calls: 2 })
    const always = await asked(READ, [503, 504, 502, 503, 200])
    expect(always).toMatchObject({ status: 503, calls: 4 })
    expect(always.seconds).toBeGreaterThanOrEqual(3.5)
    expect(always.seconds).toBeLessThanOrEqual(7)
    expect(always.seconds).toBeGreaterThan(3 * once.seconds)
  })

  test.each([500, 501, 400, 401, 403, 404, 413, 429])('%d is a response', async (status) => {
    expect(await asked(READ, [status, 200])).toMatchObject({ status, calls: 1, seconds: 0 })
  })

  test('a write is not repeated', async () => {
    for (const request of [WRITE, { nsid: 'com.example.write', body: '{}' }]) {
      expect(await asked(request, [503, 200])).toMatchObject({ status: 503, calls: 1 })
    }
  })
})

describe('18.8 a rate limit', () => {
  test('is sat out if asked for, writes too, and said', async () => {
    const { status, calls, seconds, world, limits } = await asked(WRITE, [429, 429, 200], { 'retry-after': '60' }, true)
    expect({ status, calls, limits }).toStrictEqual({ status: 200, calls: 3, limits: [60.5, 60.5] })
    expect(seconds).toBeGreaterThanOrEqual(120)
    expect(world.warnings).toHaveLength(2)
    expect(world.warnings[0]).toBe('rate limit exceeded: continuing in 1 minute')
  })

  test('by ratelimit-reset, or for half a minute if no time is named', async () => {
    const reset = Math.floor(createFakeWorld().now() / 1000) + 10
    expect((await asked(READ, [429, 200], { 'ratelimit-reset': String(reset) }, true)).seconds).toBeCloseTo(10.5)
    expect((await asked(READ, [429, 200], {}, true)).seconds).toBeCloseTo(30.5)
  })

  test('that is over already still takes a second', async () => {
    expect((await asked(READ, [429, 200], { 'retry-after': '0' }, true)).seconds).toBe(1)
  })

  test('of a year is slept through in pieces that a timer can hold', async () => {
    const world = createFakeWorld()
    const pieces: number[] = []
    const { sleep } = world
    world.sleep = (milliseconds) => {
      pieces.push(milliseconds)
      return sleep(milliseconds)
    }
    const began = world.now()
    const statuses = [429, 200]
    const call = async () => new Response('', { status: statuses.shift()!, headers: { 'retry-after': '30000000' } })
    expect(await callWithRetry({ call }, WRITE, { wait: true }, world)).toMatchObject({ status: 200 })
    expect(Math.max(...pieces)).toBeLessThan(2 ** 31)
    expect(world.now() - began).toBeGreaterThanOrEqual(30_000_000_000)
  })

  test('of one request holds back another of the same session, which says nothing of it', async () => {
    const world = createFakeWorld()
    const limit = { until: world.now() + 60_000 }
    let askedAt = 0
    const call = async () => {
      askedAt = world.now()
      return new Response('')
    }
    const began = world.now()
    await callWithRetry({ call }, READ, { wait: true, limit }, world)
    expect(askedAt).toBe(began + 60_000)
    expect(world.warnings).toStrictEqual([])
  })

  test('a stream cannot be sent again', async () => {
    const request = { ...WRITE, body: new ReadableStream<Uint8Array>() }
    expect(await asked(request, [429, 200], {}, true)).toMatchObject({ status: 429, calls: 1 })
  })
})
