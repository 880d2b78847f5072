import { describe, expect, test } from 'vitest'
import type { SessionRecord } from '../../src/model.ts'
import { accountsOf, chooseSession, describeAccount, isSessionName, namedSession } from '../../src/session/choice.ts'

const [ALICE, BOB] = ['did:plc:ewvi7nxzyoun6zhxrhs64oiz', 'did:web:bob.example']
const KEY = (letter: string) => letter.repeat(43)

function session(did: string | undefined, letter: string, more: Partial<SessionRecord> = {}): SessionRecord {
  return { did, thumbprint: KEY(letter), scope: 'atproto', spentTokens: [], ...more } as unknown as SessionRecord
}

const ended = { at: 1, reason: 'x' }

describe('the session of an account', () => {
  test('is the newest login that has not ended', () => {
    const records = [
      session(ALICE, 'a', { createdAt: 1, rotatedAt: 9 }),
      session(ALICE, 'b', { createdAt: 2 }),
      session(ALICE, 'c', { createdAt: 3, ended }),
      session(BOB, 'd', { createdAt: 4 }),
    ]
    expect(chooseSession(records[0]!.did, records)?.thumbprint).toBe(KEY('b'))
  })

  test('is the last one that has ended, if there is no other', () => {
    expect(chooseSession(undefined, [session(ALICE, 'a', { ended })])?.thumbprint).toBe(KEY('a'))
    expect(chooseSession(undefined, [])).toBeUndefined()
  })

  test('is not chosen among accounts: they are listed by handle and name, ten at most', () => {
    const records = [session(ALICE, 'a', { handle: 'alice.example' as never, name: 'work' }), session(BOB, 'b')]
    expect(() => chooseSession(undefined, records)).toThrow(
      `sessions of 2 accounts are stored here: alice.example (${ALICE}, named work), ${BOB}`,
    )
    const many = Array.from({ length: 1000 }, (_, index) => session(`did:web:a${index}.example`, 'a'))
    expect(() => chooseSession(undefined, many)).toThrow(
      /^sessions of 1000 accounts .*did:web:a9\.example and 990 more$/,
    )
  })
})

test.each([
  ['work', true],
  ['a', true],
  ['2nd_key-x', true],
  ['alice.example', false],
  ['did:plc:x', false],
  ['Work', false],
  ['-a', false],
  ['', false],
  ['a'.repeat(33), false],
])('%j is the name of a session: %s', (text, expected) => {
  expect(isSessionName(text)).toBe(expected)
})

test('a session is found by its name and by its key', () => {
  const records = [session(ALICE, 'a', { name: 'work' }), session(ALICE, 'b')]
  expect(namedSession('work', records)).toBe(records[0])
  expect(namedSession(KEY('b'), records)).toBe(records[1])
  expect(namedSession('home', records)).toBeUndefined()
  expect(accountsOf(records).map(describeAccount)).toStrictEqual([`${ALICE} (named work)`])
})
