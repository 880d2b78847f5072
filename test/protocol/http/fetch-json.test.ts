import { describe, expect, test } from 'vitest'
import { fetchJson } from '../../../src/protocol/http/fetch-json.ts'
import { createFakeWorld, json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

const request = {
  url: new URL('https://host.fake.dev/doc?x=1'),
  what: 'the thing',
  code: 'METADATA_INVALID',
  absent: { code: 'OAUTH_UNSUPPORTED', message: 'there is no thing' },
} as const

function worldWith(answer: () => Response) {
  return createFakeWorld({ faults: { httpFault: answer } })
}

test('one GET that asks for the media types it takes', async () => {
  const world = worldWith(() => json(200, { a: 1 }))
  expect(await fetchJson(request, world)).toStrictEqual({ a: 1 })
  expect(world.requests).toMatchObject([{ method: 'GET', url: request.url.href, body: '' }])
  expect(world.requests[0]!.headers).toStrictEqual({ accept: 'application/json' })
})

describe('every other response has an error message', () => {
  test.each([404, 410])('2.4 %i', async (status) => {
    expect(
      await failure(() =>
        fetchJson(
          request,
          worldWith(() => json(status, {})),
        ),
      ),
    ).toMatchObject({
      code: 'OAUTH_UNSUPPORTED',
      message: 'there is no thing',
    })
  })

  test.each([
    [429, 'RATE_LIMITED', 'rate limit of host.fake.dev exceeded'],
    [500, 'SERVER_UNAVAILABLE', 'host.fake.dev returned 500'],
    [503, 'SERVER_UNAVAILABLE', 'host.fake.dev returned 503'],
    [301, 'METADATA_INVALID', 'redirects, which is not allowed'],
    [307, 'METADATA_INVALID', 'redirects, which is not allowed'],
    [201, 'METADATA_INVALID', 'host.fake.dev returned 201'],
    [403, 'METADATA_INVALID', 'host.fake.dev returned 403'],
  ])('3.2 %i', async (status, code, why) => {
    const world = worldWith(() => json(status, { a: 1 }, { location: 'https://evil.fake.dev/' }))
    expect(await failure(() => fetchJson(request, world))).toMatchObject({
      code,
      message: expect.stringContaining(why),
    })
    expect(world.requests).toHaveLength(1)
  })

  test('what the network says stays as it is', async () => {
    const world = createFakeWorld({ faults: { httpFault: () => 'lostBefore' } })
    expect(await failure(() => fetchJson(request, world))).toMatchObject({ code: 'NETWORK_LOST' })
  })
})
