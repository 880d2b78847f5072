import { describe, expect, test } from 'vitest'
import { BatchTally, counted, Rate, RateLimitWait, size } from '../../../src/cli/call/progress-text.ts'

const NOW = Date.UTC(2026, 0, 2)
const wait = () => new RateLimitWait({ now: () => NOW })

/** A batch of lines of `length` bytes, of which those up to `read` were read and those up to `answered` answered. */
function tallyOf({ lines = 1000, length = 100, read = 0, answered = 0, failed = 0, skipped = 0, limited = wait() }) {
  const tally = new BatchTally(lines * length, limited)
  for (let line = 1; line <= read; line += 1) tally.read(line, length, line <= skipped)
  for (let line = skipped + 1; line <= answered; line += 1) {
    tally.add({ line, ...(answered - line < failed && { error: 'InvalidRequest' }) })
  }
  return tally
}

describe('a batch', () => {
  test('what is done, failed, how fast, and what remains', () => {
    const tally = tallyOf({ read: 216, answered: 200, failed: 8 })
    expect(tally.text(5000)).toBe('200 requests done, 8 failed, 40 per second, about 800 left (20 seconds)')
  })

  test('of a stream nothing is known to remain', () => {
    const tally = new BatchTally(undefined, wait())
    tally.read(1, 100, false)
    tally.add({ line: 1 })
    expect(tally.text(2000)).toBe('1 request done, 0.5 per second')
  })

  test('before the first result', () => {
    expect(tallyOf({ read: 16 }).text(600)).toBe('0 requests done')
  })

  test('lines of an earlier run are not taken for work of this one', () => {
    const tally = tallyOf({ read: 960, skipped: 900, answered: 950 })
    expect(tally.text(5000)).toBe('50 requests done, 10 per second, about 50 left (5 seconds)')
  })

  test('blank lines, and a line that was read after the finished one', () => {
    const tally = new BatchTally(400, wait())
    for (const [index, length] of [100, 1, 99, 100].entries()) tally.read(index + 1, length, false)
    tally.add({ line: 1 })
    tally.add({ line: 3 })
    expect(tally.text(1000)).toMatch(/about 2 left/)
    tally.add({ line: 4 })
    expect(tally.text(1000)).toMatch(/about 1 left/)
  })

  test('a rate limit takes the place of the rate, and does not count as slowness afterwards', () => {
    let now = NOW
    const limited = new RateLimitWait({ now: () => now })
    const tally = tallyOf({ lines: 1000, read: 216, answered: 200, limited })
    limited.onRateLimit(NOW + 40_000)
    expect(tally.text(2000)).toBe('200 requests done, rate limited, continuing in 40 seconds')
    now += 30_000
    expect(tally.text(32_000)).toBe('200 requests done, rate limited, continuing in 10 seconds')
    now += 10_000
    tally.add({ line: 201 })
    expect(tally.text(32_200)).toBe('201 requests done, about 799 left')
    for (let line = 202; line <= 216; line += 1) tally.add({ line })
    expect(tally.text(33_000)).toMatch(/^216 requests done, 16 per second/)
  })

  test('its summary', () => {
    const nothing = { count: 0, failed: 0 }
    expect(tallyOf({ lines: 1200, read: 1200, answered: 1200, failed: 8 }).summary(nothing)).toBe(
      '1,200 requests: 1,192 succeeded, 8 failed',
    )
    const resumed = tallyOf({ read: 30, skipped: 10, answered: 30, failed: 1 })
    expect(resumed.summary({ count: 10, failed: 0 })).toBe('30 requests: 19 succeeded, 1 failed, 10 skipped')
    expect(resumed.summary({ count: 10, failed: 2 })).toBe(
      '30 requests: 19 succeeded, 1 failed, 10 skipped (2 had failed)',
    )
    expect(tallyOf({ read: 1, answered: 1 }).summary(nothing)).toBe('1 request: 1 succeeded')
    expect(tallyOf({}).summary(nothing)).toBe('0 requests')
  })
})

test('a rate is that of the last ten seconds', () => {
  const rate = new Rate()
  for (let at = 200; at <= 20_000; at += 200) rate.update(at, at / 10)
  expect(rate.update(20_200, 2020)).toBeCloseTo(100, 0)
  for (let at = 20_400; at <= 40_000; at += 200) rate.update(at, 2020)
  expect(rate.update(40_200, 2020)).toBe(0)
  expect(new Rate().update(999, 50)).toBe(0)
})

test('counts and sizes', () => {
  expect([counted(1, 'page'), counted(0, 'item'), counted(1200, 'item')]).toStrictEqual([
    '1 page',
    '0 items',
    '1,200 items',
  ])
  expect([size(1023), size(1536), size(5 * 1024 * 1024)]).toStrictEqual(['1023 bytes', '1.5 kB', '5.0 MB'])
})
