import { expect, test } from 'vitest'
import { addSpentToken } from '../../src/session/token-family.ts'
import { sessionRecord } from '../node/helpers.ts'

test('the list of spent tokens ends somewhere: the first and the last stay known', () => {
  let hashes: readonly string[] = Array.from({ length: 50_000 }, (_, at) => `hash-${at}`)
  hashes = addSpentToken(hashes, 'one more')
  const length = hashes.length
  expect(length).toBeLessThan(50_000)
  expect([hashes[0], hashes.at(-2), hashes.at(-1)]).toStrictEqual(['hash-0', 'hash-49999', 'one more'])
  hashes = addSpentToken(hashes, 'and one')
  expect([hashes.length, hashes[0], hashes.at(-2)]).toStrictEqual([length, 'hash-0', 'one more'])
  // A record with them stays far below what the store takes for a file of its own.
  expect(JSON.stringify(sessionRecord({ spentTokens: hashes }), null, 2).length).toBeLessThan(2 * 1024 ** 2)
})

test('a short list stays whole', () => {
  expect(addSpentToken(['a', 'b'], 'c')).toStrictEqual(['a', 'b', 'c'])
})
