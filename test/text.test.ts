import { describe, expect, test } from 'vitest'
import {
  decodeUtf8,
  isObject,
  parseJson,
  relativeTime,
  sanitize,
  sanitizeLines,
  singleQuote,
  toSafeJson,
} from '../src/text.ts'

test.each([
  ['colour', 'a\u001b[31;1mred\u001b[0mb', 'aredb'],
  ['cursor and erase', 'a\u001b[2J\u001b[1;1Hb', 'ab'],
  ['private mode', '\u001b[?25lhidden', 'hidden'],
  ['title, ended by BEL', 'a\u001b]0;owned\u0007b', 'ab'],
  ['hyperlink, ended by ST', '\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\', 'click'],
  ['title without an end', 'a\u001b]0;owned', 'a'],
  ['device control', 'a\u001bPq#0\u001b\\b', 'ab'],
  ['two characters', 'a\u001bcb', 'ab'],
  ['two ESC in a row', 'a\u001b\u001b[31mb', 'ab'],
])('20.8 no ANSI: %s', (_, text, expected) => {
  expect(sanitize(text)).toBe(expected)
})

test.each([
  ['C0', 'a\u0000\u0007\u0008b'],
  ['DEL', 'a\u007fb'],
  ['C1 CSI and OSC', 'a\u009b\u009db'],
  ['bidirectional overrides', 'a\u202e\u202d\u202cb'],
  ['bidirectional isolates', 'a\u2066\u2067\u2069b'],
  ['zero width', 'a\u200b\u200d\ufeffb'],
  ['private use', 'a\ue000b'],
  ['lone surrogate', 'a\ud800b'],
  ['tags outside the BMP', 'a\u{e0041}b'],
])('20.8 nothing unseen: %s', (_, text) => {
  expect(sanitize(text)).toBe('ab')
})

test.each(['a\nb', 'a\r\nb', 'a\u2028b', 'a\u2029b', 'a\u0085b', 'a\n\n\nb'])('20.8 %j is one line', (text) => {
  expect(sanitize(text)).toBe('a b')
})

test.each([
  '::error::owned',
  '  ::error::owned',
  '\n::error::owned',
  '\u001b[0m::error::owned',
  '\u200b::error::owned',
  '::::error::owned',
])('20.8 no workflow command: %j', (text) => {
  expect(sanitize(text)).toBe(':error::owned')
})

test('20.8 text of other scripts, emoji and a colon inside stay', () => {
  expect(sanitize('zażółć 日本語 🦋 did:plc:x::y')).toBe('zażółć 日本語 🦋 did:plc:x::y')
})

test.each([
  ['500 by default', 'x'.repeat(501), undefined, `${'x'.repeat(500)}…`],
  ['not cut at the limit', 'x'.repeat(500), undefined, 'x'.repeat(500)],
  ['as asked', 'abcdef', 3, 'abc…'],
  ['characters, not halves of them', '🦋🦋🦋', 2, '🦋🦋…'],
  ['of what is left, not of what was sent', '\u001b[31mabc', 3, 'abc'],
])('20.8 length: %s', (_, text, longest, expected) => {
  expect(sanitize(text, longest)).toBe(expected)
})

test('20.8 a text of several lines keeps them and their indent, and each is clean', () => {
  expect(sanitizeLines('one\r\n  two\u001b[31m\n\n::error::x\n')).toBe('one\n  two\n\n:error::x\n')
})

test('20.8 JSON is the same value, in characters that can be seen', () => {
  const value = { a: ['\u001b[31m\u009b\u202e\u2028\ud800 \u{e0041}\n', 'zażółć 🦋'] }
  const json = toSafeJson(value)
  expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}]/u)
  expect(json).toContain('zażółć 🦋')
  expect(JSON.parse(json)).toStrictEqual(value)
})

describe('parseJson', () => {
  const nested = (depth: number) => '{"a":['.repeat(depth / 2) + ']}'.repeat(depth / 2)

  test('what it gives can be written, in every form', () => {
    const value = parseJson(nested(1000))
    expect(JSON.stringify(value)).toBe(nested(1000))
    expect(JSON.stringify(value, null, 2).replace(/\s/g, '')).toBe(nested(1000))
  })

  test.each(['', '{', nested(1002), nested(100_000)])('%#: not JSON, or too deep to be written', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  })

  test.each(['null', '7', '"x"', '[]', '{"a":null,"b":[{}]}'])('%s is what JSON.parse says', (text) => {
    expect(parseJson(text)).toStrictEqual(JSON.parse(text))
  })
})

describe('UTF-8', () => {
  test('is decoded, and what is none is undefined', () => {
    expect(decodeUtf8(new TextEncoder().encode('zwölf 🦋'))).toBe('zwölf 🦋')
    expect(decodeUtf8(new Uint8Array())).toBe('')
    for (const bytes of [[0x61, 0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
      expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined()
    }
  })

  test('loses its byte order mark, unless that is wanted', () => {
    const bytes = new TextEncoder().encode('\ufeffa')
    expect(decodeUtf8(bytes)).toBe('a')
    expect(decodeUtf8(bytes, { keepsMark: true })).toBe('\ufeffa')
  })
})

test.each([
  ['a b', "'a b'"],
  ["it's $HOME", "'it'\\''s $HOME'"],
  ['', "''"],
])('%j is one word of a shell', (text, word) => {
  expect(singleQuote(text)).toBe(word)
})

test('an object is neither a list nor null', () => {
  expect([{}, { a: 1 }].every(isObject)).toBe(true)
  expect([[], null, undefined, 'x', 7].some(isObject)).toBe(false)
})

test.each([
  [59 * 60, 'in 59 minutes'],
  [60 * 60, 'in 1 hour'],
  [-90, '1 minute ago'],
  [-47 * 3600, '47 hours ago'],
  [48 * 3600, 'in 2 days'],
  [14 * 86_400 - 1, 'in 13 days'],
  [1.9, 'in 1 second'],
  [0.4, 'now'],
  [0, 'just now'],
  [-0.4, 'just now'],
])('a moment %d seconds from now is %j', (seconds, said) => {
  const now = Date.UTC(2026, 0, 1)
  expect(relativeTime(now + seconds * 1000, now)).toBe(said)
})
