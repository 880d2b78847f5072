import { expect, test } from 'vitest'
import { withServerClocks } from '../../../src/protocol/http/server-clock.ts'

const URL_ = new URL('https://host.fake.dev/path')
const NOON = Date.UTC(2026, 0, 2, 12)

/** A host that answers with `headers` after `latency` milliseconds. */
async function seen(headers: Record<string, string>, latency = 200): Promise<number> {
  let now = NOON
  const ports = withServerClocks({
    now: () => now,
    fetch: async (_: URL) => {
      now += latency
      return new Response(null, { headers })
    },
  })
  await ports.fetch(URL_)
  expect(ports.clocks.offset('https://other.fake.dev')).toBe(0)
  expect(ports.clocks.now(URL_.origin) - now).toBe(ports.clocks.offset(URL_.origin))
  return ports.clocks.offset(URL_.origin)
}

const date = (milliseconds: number) => ({ date: new Date(NOON + milliseconds).toUTCString() })

test.each([
  ['the same second', date(0), 0],
  ['a second that has just begun', date(-1000), 0],
  ['a minute ahead: what the latency may have cost is not counted', date(60_000), 59_800],
  ['a minute behind: nor the second that may have passed', date(-60_000), -59_000],
  ['no clock', {}, 0],
  ['a date that is none', { date: 'soon' }, 0],
  ['RFC 9111 §5.1 an answer from a cache', { ...date(-60_000), age: '60' }, 0],
])('12.7 %s', async (_, headers, offset) => {
  expect(await seen(headers as Record<string, string>)).toBe(offset)
})

test('a slow response does not change the offset', async () => {
  expect(await seen(date(20_000), 30_000)).toBe(0)
})

test('ports that know the clocks already keep what they know', () => {
  const ports = withServerClocks({ now: () => 0, fetch: async () => new Response() })
  expect(withServerClocks(ports)).toBe(ports)
})
