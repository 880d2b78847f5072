import { expect, test } from 'vitest'
import { randomBytes } from '../../src/node/random.ts'

test('no bytes are given twice, and what was given does not change', () => {
  const given = Array.from({ length: 500 }, () => randomBytes(16))
  const texts = given.map((bytes) => Buffer.from(bytes).toString('hex'))
  expect(new Set(texts).size).toBe(500)
  expect(given.map((bytes) => Buffer.from(bytes).toString('hex'))).toStrictEqual(texts)
  expect(texts).not.toContain('00'.repeat(16))
})

test.each([0, 1, 16, 127, 128, 129, 512, 5000])('%i bytes', (length) => {
  const bytes = randomBytes(length)
  expect(bytes).toHaveLength(length)
  if (length >= 16) expect(new Set(bytes).size).toBeGreaterThan(4)
})

test('every byte takes every value', () => {
  const seen = new Set<number>()
  for (let count = 0; count < 20_000; count += 1) for (const byte of randomBytes(1)) seen.add(byte)
  expect(seen.size).toBe(256)
})

test('each has memory of its own', () => {
  const [one, other] = [randomBytes(16), randomBytes(16)]
  one.fill(7)
  expect(other.every((byte) => byte === 7)).toBe(false)
  expect(one.buffer).not.toBe(other.buffer)
})
