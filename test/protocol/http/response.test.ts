import { describe, expect, test } from 'vitest'
import { readBounded, readText } from '../../../src/protocol/http/bounded-body.ts'
import {
  describe as describeError,
  mediaType,
  parseJsonObject,
  rateLimited,
  readJsonObject,
  readServerError,
  retryAt,
} from '../../../src/protocol/http/response.ts'
import { json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

describe('bodies', () => {
  test.each([
    [0, 0],
    [10, 10],
    [11, undefined],
  ])('20.2 %i bytes with a cap of 10', async (length, read) => {
    expect((await readBounded(new Response('x'.repeat(length)), 10))?.length).toBe(read)
  })

  test('20.2 the chunks are put together in order, and no body is an empty one', async () => {
    const chunks = ['one ', 'two ', 'three']
    const body = new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
        controller.close()
      },
    })
    expect(await readText(new Response(body), 100)).toBe('one two three')
    expect(await readText(new Response(null, { status: 204 }), 100)).toBe('')
  })

  test('20.2 what is too large is cancelled, whatever Content-Length says', async () => {
    let cancelled = false
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(8)),
      cancel: () => {
        cancelled = true
      },
    })
    expect(await readBounded(new Response(body, { headers: { 'content-length': '5' } }), 10)).toBeUndefined()
    expect(cancelled).toBe(true)
  })

  test('text is UTF-8 or none', async () => {
    expect(await readText(new Response('zażółć'), 100)).toBe('zażółć')
    expect(await readText(new Response(new Uint8Array([0xc3, 0x28])), 100)).toBeUndefined()
  })

  test.each([undefined, '', 'null', '[]', '"x"', '7', '{', '<p>'])('3.2 %j is no JSON object', (text) => {
    expect(parseJsonObject(text)).toBeUndefined()
  })

  test('3.2 a JSON object is one', () => {
    expect(parseJsonObject(' {"a":[1]} ')).toStrictEqual({ a: [1] })
  })
})

describe('documents', () => {
  const expectation = { what: 'the thing', code: 'RESPONSE_INVALID' } as const

  test.each([
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    [' text/html ;x', 'text/html'],
    ['', ''],
  ])('3.2 media type of %j', (value, expected) => {
    expect(mediaType(new Headers({ 'content-type': value }))).toBe(expected)
  })

  test.each([
    [
      'of another type',
      new Response('{}', { headers: { 'content-type': 'text/html' } }),
      'has the media type text/html',
    ],
    ['of no type', new Response(new Uint8Array([0x7b, 0x7d])), 'has no media type'],
    ['too large', json(200, { x: 'x'.repeat(2048) }), 'of at most 1 KiB'],
    ['a list', json(200, []), 'not a JSON object'],
  ])('3.2 %s: the message says so', async (_, response, why) => {
    expect(await failure(() => readJsonObject(response, { ...expectation, largest: 1024 }))).toMatchObject({
      code: 'RESPONSE_INVALID',
      message: expect.stringContaining(why),
    })
  })

  test('3.2 is given as it is', async () => {
    expect(await readJsonObject(json(200, { a: 1 }), expectation)).toStrictEqual({ a: 1 })
  })
})

describe('7.11 errors of a server', () => {
  test.each<[string, Response, string]>([
    [
      'OAuth',
      json(400, { error: 'invalid_grant', error_description: 'Invalid code' }),
      '400 invalid_grant "Invalid code"',
    ],
    ['18.7 XRPC', json(403, { error: 'ScopeMissingError', message: 'No' }), '403 ScopeMissingError "No"'],
    ['both', json(400, { error: 'x', error_description: 'a', message: 'b' }), '400 x "a"'],
    ['the name alone', json(400, { error: 'x' }), '400 x'],
    ['other types', json(500, { error: { a: 1 }, error_description: 7, message: null }), '500'],
    ['empty strings', json(400, { error: '', error_description: '' }), '400'],
    ['HTML', new Response('<h1>Bad gateway</h1>', { status: 502 }), '502'],
    ['nothing', new Response(null, { status: 500 }), '500'],
    ['18.7 huge', json(500, { error: 'x'.repeat(600_000) }), '500'],
    ['20.8 ANSI', json(400, { error: '\u001b[31mx', error_description: 'a\nb\u202e' }), '400 x "a b"'],
  ])('%s', async (_, response, expected) => {
    expect(describeError(await readServerError(response))).toBe(expected)
  })
})

describe('18.8 rate limits', () => {
  const NOW = Date.UTC(2026, 0, 1)
  test.each([
    ['seconds', { 'retry-after': '120' }, NOW + 120_000],
    ['a date', { 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }, NOW + 60_000],
    ['epoch seconds', { 'ratelimit-reset': '1767225700' }, 1_767_225_700_000],
    ['Retry-After first', { 'retry-after': '1', 'ratelimit-reset': '1767225700' }, NOW + 1000],
    ['the other if it is nonsense', { 'retry-after': 'soon', 'ratelimit-reset': '1767225700' }, 1_767_225_700_000],
    ['nonsense', { 'retry-after': 'soon', 'ratelimit-reset': '-1' }, undefined],
    ['no number', { 'ratelimit-reset': '1e99' }, undefined],
    ['none', {}, undefined],
    ['more digits than any time', { 'retry-after': '9'.repeat(400) }, NOW + 36_500 * 86_400_000],
    ['a date that is too far', { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }, NOW + 36_500 * 86_400_000],
    ['an epoch that is too far', { 'ratelimit-reset': '9'.repeat(20) }, NOW + 36_500 * 86_400_000],
  ])('%s', (_, headers: Record<string, string>, expected) => {
    expect(retryAt(new Headers(headers), NOW)).toBe(expected)
  })

  test('the sentence', () => {
    expect(rateLimited('as.fake.dev', new Headers({ 'retry-after': '60' }), NOW)).toMatchObject({
      code: 'RATE_LIMITED',
      message: 'rate limit of as.fake.dev exceeded until 00:01:00 UTC (in 1 minute)',
    })
    const days = rateLimited('as.fake.dev', new Headers({ 'retry-after': String(3 * 86_400) }), NOW)
    expect(days.message).toBe('rate limit of as.fake.dev exceeded until 2026-01-04 00:00 UTC (in 3 days)')
    expect(rateLimited('as.fake.dev', new Headers(), NOW).message).toBe('rate limit of as.fake.dev exceeded')
  })

  test.each(['999999999', '99999999999', '9'.repeat(16), '9'.repeat(400)])('a far future is no crash: %s', (value) => {
    for (const name of ['retry-after', 'ratelimit-reset']) {
      expect(rateLimited('x', new Headers({ [name]: value }), NOW).code).toBe('RATE_LIMITED')
    }
  })
})
