import { expect, test } from 'vitest'
import type { HttpBody, HttpResponse } from '../../../src/ports.ts'
import { bodyOf, peek, toResponse, withBody } from '../../../src/protocol/http/http-response.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** A response as of a port that has no `Response`, and what became of its body. */
function plain(parts: readonly (string | Error)[]) {
  const seen = { read: 0, isCancelled: false }
  const body: HttpBody = {
    async *[Symbol.asyncIterator]() {
      try {
        for (const part of parts) {
          seen.read += 1
          if (part instanceof Error) throw part
          yield bytes(part)
        }
      } finally {
        seen.isCancelled = seen.read < parts.length
      }
    },
    cancel: async () => {
      seen.isCancelled = true
    },
  }
  const response: HttpResponse = { status: 201, statusText: 'Made', ok: true, headers: new Headers({ a: '1' }), body }
  return { response, seen }
}

test('a Response has all that the port returned, and reads no more than is asked for', async () => {
  const { response, seen } = plain(['one, ', 'two'])
  const real = toResponse(response)
  expect(real).toBeInstanceOf(Response)
  expect([real.status, real.statusText, real.ok, [...real.headers]]).toStrictEqual([201, 'Made', true, [['a', '1']]])
  expect(seen.read).toBe(0)
  expect(await real.text()).toBe('one, two')
})

test('a Response without a body, with an interrupted one, and with one that nobody wants', async () => {
  expect(toResponse({ ...plain([]).response, status: 204, body: null }).body).toBeNull()
  await expect(toResponse(plain(['one', new Error('cut off')]).response).text()).rejects.toThrow('cut off')
  const { response, seen } = plain(['one', 'two'])
  await toResponse(response).body!.cancel()
  expect(seen.isCancelled).toBe(true)
})

test('a Response of another port is that one', () => {
  const response = new Response('x')
  expect(toResponse(response)).toBe(response)
})

test('two cookies stay two', () => {
  const headers = [
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ]
  const made = toResponse({ ...plain([]).response, headers: headers as unknown as Headers })
  expect(made.headers.getSetCookie()).toStrictEqual(['a=1', 'b=2'])
})

test('what was looked at can be read again, also if it is larger than what is looked at, or breaks off', async () => {
  const whole = await peek(plain(['one, ', 'two']).response, 8)
  expect(whole.bytes).toStrictEqual(bytes('one, two'))
  expect(await toResponse(whole.response).text()).toBe('one, two')

  const { response, seen } = plain(['one, ', 'two, ', 'three'])
  const large = await peek(response, 7)
  expect([large.bytes, seen.read]).toStrictEqual([undefined, 2])
  expect(await toResponse(large.response).text()).toBe('one, two, three')

  const broken = await peek(plain(['one', new Error('cut off')]).response, 100)
  expect(broken.bytes).toBeUndefined()
  await expect(toResponse(broken.response).text()).rejects.toThrow('cut off')
})

test('what was looked at and is not wanted ends the rest', async () => {
  const { response, seen } = plain(['one', 'two', 'three'])
  const looked = await peek(response, 1)
  await looked.response.body!.cancel()
  expect(seen).toStrictEqual({ read: 1, isCancelled: true })
})

test('another body, the same head', async () => {
  const made = withBody(new Response('x', { status: 400, headers: { b: '2' } }), bodyOf(bytes('y')))
  expect([made.status, made.ok, made.headers.get('B'), await toResponse(made).text()]).toStrictEqual([
    400,
    false,
    '2',
    'y',
  ])
})
