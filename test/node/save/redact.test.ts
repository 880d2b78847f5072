import { describe, expect, test } from 'vitest'
import { shownOutput } from '../../../src/node/save/redact.ts'
import { KEY } from '../helpers.ts'

const TOKEN = 'ref-canary-0123456789abcdefghijklmnopqrstuvwxyz'
const JWK = JSON.stringify(KEY)
const BUNDLE = Buffer.from(JSON.stringify({ version: 1, refreshToken: TOKEN, key: KEY })).toString('base64url')
const ENTRIES = [
  ['ATPROTO_OAUTH_DID', 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'],
  ['ATPROTO_OAUTH_REFRESH_TOKEN', TOKEN],
  ['ATPROTO_OAUTH_DPOP_PRIVATE_JWK', JWK],
  ['ATPROTO_OAUTH_SESSION', BUNDLE],
] as const
const shown = (text: string, longest = 1000) => shownOutput(text, ENTRIES, longest)
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('what a program printed is shown without the credentials', () => {
  test('all that it was given; the account is no secret', () => {
    const given = ENTRIES.map(([name, value]) => `${name}='${value}'`).join('\n')
    expect(shown(`${given}\nno such secret`)).toBe(
      [
        "ATPROTO_OAUTH_DID='did:plc:ewvi7nxzyoun6zhxrhs64oiz'",
        "ATPROTO_OAUTH_REFRESH_TOKEN='[redacted]'",
        "ATPROTO_OAUTH_DPOP_PRIVATE_JWK='[redacted]'",
        "ATPROTO_OAUTH_SESSION='[redacted]'",
        'no such secret',
      ].join('\n'),
    )
  })

  test.each([
    ['a token', TOKEN],
    ['twice', TOKEN + TOKEN],
    ['its beginning', TOKEN.slice(0, 20)],
    ['its end', TOKEN.slice(-20)],
    ['the private member of the key', KEY.d],
    ['the key, formatted', JSON.stringify(KEY, null, 2)],
    ['the key, as a string of JSON', JSON.stringify(JWK)],
    ['a bundle, decoded', Buffer.from(BUNDLE, 'base64url').toString()],
    ['base64', base64(TOKEN)],
    ['base64 of a text with it in the middle', base64(`a: ${TOKEN}\n`)],
    ['base64 of a text with it elsewhere', base64(`ab: ${TOKEN}\n`)],
    ['base64 of a text with it at a third place', base64(`abc: ${TOKEN}\n`)],
    ['percent-encoded', encodeURIComponent(JWK)],
  ])('%s', (_, text) => {
    const seen = shown(`> ${text}`)
    expect(seen).toContain('[redacted]')
    for (const secret of [TOKEN, KEY.d]) {
      for (let at = 0; at + 12 <= secret.length; at += 1) expect(seen).not.toContain(secret.slice(at, at + 12))
    }
  })

  test('other text stays as it is, but for what would act on a terminal', () => {
    expect(shown('\u001b[31mHTTP 403\u001b[0m: ref-canary\r\n\n  see the log\u0007\n')).toBe(
      'HTTP 403: ref-canary\n\n  see the log',
    )
    expect(shown('')).toBe('')
  })

  test('the end of a long text', () => {
    expect(shown(`${'x'.repeat(5000)} the cause`, 10)).toBe('… the cause')
  })
})
