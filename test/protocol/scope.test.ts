import { describe, expect, test } from 'vitest'
import { missingScopes, parseScope, scopeTokens } from '../../src/protocol/scope.ts'
import { failure } from './helpers.ts'

describe('the scope to ask for', () => {
  test.each([
    ['atproto', 'atproto'],
    ['atproto transition:generic', 'atproto transition:generic'],
    ['transition:generic atproto', 'transition:generic atproto'],
    ['atproto repo:a.b.c?action=create&action=update', 'atproto repo:a.b.c?action=create&action=update'],
    ['atproto rpc:*?aud=did:web:x.y%23z blob:*/*', 'atproto rpc:*?aud=did:web:x.y%23z blob:*/*'],
  ])('15.1 %s', (text, expected) => {
    expect(parseScope(text)).toBe(expected)
  })

  test('15.9, 7.6 atproto is added if it was left out', () => {
    expect(parseScope('transition:generic')).toBe('atproto transition:generic')
    expect(parseScope('atprotofoo')).toBe('atproto atprotofoo')
  })

  test('5.14 nothing twice', () => {
    expect(parseScope('atproto transition:email atproto transition:email')).toBe('atproto transition:email')
  })

  test.each(['', ' ', 'atproto  repo:*', ' atproto', 'atproto ', 'atproto\trepo:*', 'atproto\n', 'a"b', 'a\\b', 'ü'])(
    '15.1 %j is refused',
    async (text) => {
      expect(await failure(() => parseScope(text))).toMatchObject({ code: 'SCOPE_INVALID', exit: 2 })
    },
  )

  test('7.4 openid does not exist', async () => {
    const error = await failure(() => parseScope('atproto openid'))
    expect(error).toMatchObject({ code: 'SCOPE_INVALID', message: expect.stringContaining('openid') })
    expect(parseScope('atproto openid:x')).toBe('atproto openid:x')
  })
})

test('15.1 the tokens of what a server wrote', () => {
  expect(scopeTokens(' atproto  repo:* ')).toStrictEqual(['atproto', 'repo:*'])
  expect(scopeTokens('')).toStrictEqual([])
})

test.each<[string, string, string, string[]]>([
  ['10.18 all', 'atproto repo:*', 'repo:* atproto', []],
  ['15.12 partly', 'atproto repo:* blob:*/*', 'atproto blob:*/*', ['repo:*']],
  ['15.13 more', 'atproto', 'atproto repo:*', []],
  ['15.11 include is never missed', 'atproto include:a.b.auth include?nsid=a.b.c', 'rpc:a.b.x?aud=* atproto', []],
  ['10.8 no substrings', 'atproto repo:a.b.c', 'atproto repo:a.b.cd', ['repo:a.b.c']],
  ['a look-alike of include', 'atproto includes:x', 'atproto', ['includes:x']],
])('%s', (_, requested, granted, missing) => {
  expect(missingScopes(requested, granted)).toStrictEqual(missing)
})
