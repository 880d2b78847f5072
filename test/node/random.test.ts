import { expect, test } from 'vitest'
import { randomBytes } from '../../src/node/random.ts'

test('no bytes are given twice, and what was given does not change', () => {
  const given = Array.from({ length: 500 }, () => {
    const bytes = randomBytes(16)
    return { bytes, text: hex(bytes) }
  })
  expect(new Set(given.map(({ text }) => text)).size).toBe(500)
  expect(given.filter(({ bytes, text }) => hex(bytes) !== text)).toStrictEqual([])
})

test.each([0, 1, 15, 16, 17, 512, 5000])('%i bytes', (length) => {
  const bytes = randomBytes(length)
  expect(bytes).toHaveLength(length)
  if (length >= 15) expect(new Set(bytes).size).toBeGreaterThan(4)
})

test.each([-1, -16, 1.5, Number.NaN, Number.POSITIVE_INFINITY, undefined])('not %s bytes', (length) => {
  expect(() => randomBytes(length as number)).toThrow(RangeError)
  expect(hex(randomBytes(16))).not.toMatch(/^(?:00)*$/)
  expect(randomBytes(16)).toHaveLength(16)
})

test('every byte takes every value', () => {
  const seen = new Set<number>()
  for (let count = 0; count < 20_000; count += 1) for (const byte of randomBytes(1)) seen.add(byte)
  expect(seen.size).toBe(256)
})

test('each has memory of its own', () => {
  const [one, other] = [randomBytes(16), randomBytes(16)]
  expect([one.buffer.byteLength, other.buffer.byteLength]).toStrictEqual([16, 16])
  expect(one.buffer).not.toBe(other.buffer)
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
