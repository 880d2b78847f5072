import { describe, expect, test } from 'vitest'
import {
  addedScopes,
  emptyIncludes,
  missingScopes,
  parseScope,
  requestable,
  scopeAdvice,
  scopeTokens,
  unaskedScopes,
} from '../../../src/protocol/scope/scope.ts'
import { failure } from '../helpers.ts'

describe('what one grant allows and another does not', () => {
  test.each<[granted: string, other: string, added: string[]]>([
    [
      'atproto repo?collection=a.b.c&collection=a.b.d',
      'atproto repo:a.b.c',
      ['create', 'delete', 'update'].map((action) => `repo:a.b.d?action=${action}`),
    ],
    ['atproto repo:a.b.c', 'atproto repo:a.b.c?action=delete&action=create', ['repo:a.b.c?action=update']],
    ['atproto rpc?lxm=a.b.c&lxm=a.b.d&aud=*', 'atproto rpc:a.b.d?aud=*', ['rpc:a.b.c?aud=*']],
    ['atproto repo:a.b.c blob:*/*', 'atproto transition:generic', []],
    ['atproto repo:a.b.c account:email', 'atproto include:a.b.authX', ['account:email']],
    ['atproto transition:email', 'atproto', ['transition:email']],
  ])('%s, and not %s', (granted, other, added) => {
    expect(addedScopes(granted, other)).toStrictEqual(added)
  })
})

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

  test.each(['atproto,transition:generic', 'atproto, transition:generic', 'atproto rpc:a.b,c'])(
    '15.1 commas in %j: the message says what to do',
    async (text) => {
      expect(await failure(() => parseScope(text))).toMatchObject({
        code: 'SCOPE_INVALID',
        message: expect.stringContaining('separate permissions by spaces'),
      })
    },
  )

  test.each([
    ['atproto,transition:generic', 'atproto transition:generic'],
    ['atproto+transition:generic', 'atproto transition:generic'],
    ['atproto%20transition:generic', 'atproto transition:generic'],
    ['transition:generic+repo:a.b.c', 'transition:generic repo:a.b.c'],
    ['"atproto transition:generic"', 'atproto transition:generic'],
    ['["atproto","transition:generic"]', 'atproto transition:generic'],
    ['atproto\ntransition:generic', 'atproto transition:generic'],
    ['atproto  blob:*/*', 'atproto blob:*/*'],
    ['atproto,foo', undefined],
    ['openid,profile', undefined],
  ])('permissions separated in another way: %j', async (text, scope) => {
    expect(await failure(() => parseScope(text))).toMatchObject({
      code: 'SCOPE_INVALID',
      facts: scope ? { scope } : {},
    })
  })

  test.each(['atproto blob:image/svg+xml', 'atproto rpc:a.b.c?aud=did:web:x.y%20z'])(
    '%s has no other separator',
    (text) => {
      expect(() => parseScope(text)).not.toThrow(/several permissions/)
    },
  )

  test('15.9, 7.6 atproto is added if it is missing', () => {
    expect(parseScope('transition:generic')).toBe('atproto transition:generic')
    expect(parseScope('space:atproto')).toBe('atproto space:atproto')
  })

  test('5.14 nothing twice', () => {
    expect(parseScope('atproto transition:email atproto transition:email')).toBe('atproto transition:email')
  })

  test.each(['', ' ', 'atproto  repo:*', ' atproto', 'atproto ', 'atproto\trepo:*', 'atproto\n', 'a"b', 'a\\b', 'ü'])(
    '15.1 %j is refused',
    async (text) => {
      expect(await failure(() => parseScope(text))).toMatchObject({ code: 'SCOPE_INVALID' })
    },
  )

  test('7.4 openid does not exist', async () => {
    const error = await failure(() => parseScope('atproto openid'))
    expect(error).toMatchObject({ code: 'SCOPE_INVALID', message: expect.stringContaining('openid') })
    expect(parseScope('atproto openid:x')).toBe('atproto openid:x')
  })
})

describe('what atproto defines has to be written as it is defined', () => {
  test.each([
    'repo',
    'repo:com.example',
    'Repo:a.b.c',
    'repo%3Aa.b.c',
    'rpc:a.b.c',
    'rpc:*?aud=*',
    'blob:image',
    'account:*',
    'identity:submit',
    'include:com.example',
    'transition:foo',
    'transition',
    'ATPROTO',
    'foo',
    'post',
    'offline_access',
  ])('15.2, 15.9 %s', async (token) => {
    const error = await failure(() => parseScope(`atproto ${token}`))
    expect(error).toMatchObject({ code: 'SCOPE_INVALID', message: expect.stringContaining(`"${token}"`) })
    expect(error.facts).toStrictEqual({ reason: 'permission-malformed', permission: token })
  })

  test.each([
    'transition:generic',
    'transition:email',
    'transition:chat.bsky',
    'account:status',
    'repo:*?action=create',
  ])('15.9 %s is one', (token) => {
    expect(parseScope(`atproto ${token}`)).toBe(`atproto ${token}`)
  })

  test('15.10 undefined permissions are left to the server', () => {
    expect(parseScope('atproto space:x repository:a.b.c')).toBe('atproto space:x repository:a.b.c')
  })

  test('15.9 chat alone is no permission by the specification, and gets a word', () => {
    expect(scopeAdvice('atproto transition:chat.bsky')).toContain('transition:generic')
    expect(scopeAdvice('atproto transition:chat.bsky transition:generic')).toBeUndefined()
    expect(scopeAdvice('atproto repo:*')).toBeUndefined()
  })
})

test('15.1 the tokens of what a server wrote', () => {
  expect(scopeTokens(' atproto  repo:* ')).toStrictEqual(['atproto', 'repo:*'])
  expect(scopeTokens('')).toStrictEqual([])
})

describe('15.13 asked for and granted', () => {
  const AUD = 'did:web:x.y%23s'
  test.each<[string, string, string, string[], string[]]>([
    ['10.18 all', 'atproto repo:*', 'repo:* atproto', [], []],
    ['15.12 partly', 'atproto repo:* blob:*/*', 'atproto blob:*/*', ['repo:*'], []],
    ['15.10 dropped', 'atproto space:x', 'atproto', ['space:x'], []],
    ['more', 'atproto', 'atproto repo:* transition:email', [], ['repo:*', 'transition:email']],
    ['15.11 expanded', 'atproto include:a.b.auth include?nsid=a.b.c', `rpc:a.b.x?aud=* repo:a.b.y atproto`, [], []],
    ['15.11 not expanded', 'atproto include:a.b.auth', 'atproto include?nsid=a.b.auth', [], []],
    [
      '15.11 expanded to what a set cannot hold',
      'atproto include:a.b.c',
      'atproto account:email',
      [],
      ['account:email'],
    ],
    ['another set', 'atproto include:a.b.c', 'atproto include:a.b.d', [], ['include:a.b.d']],
    ['10.8 no substrings', 'atproto repo:a.b.c', 'atproto repo:a.b.cd', ['repo:a.b.c'], ['repo:a.b.cd']],
    ['another spelling', 'atproto rpc:a.b.c?aud=did:web:x.y#s', `atproto rpc?aud=${AUD}&lxm=a.b.c`, [], []],
    [
      'defaults',
      'atproto repo:a.b.c account:email',
      'atproto repo?collection=a.b.c&action=delete&action=create&action=update account:email?action=read',
      [],
      [],
    ],
    ['in pieces', 'atproto repo?collection=a.b.c&collection=d.e.f', 'atproto repo:d.e.f repo:a.b.c', [], []],
    ['less of one', 'atproto repo:a.b.c', 'atproto repo:a.b.c?action=create', ['repo:a.b.c'], []],
    ['wider of one', 'atproto blob:image/png', 'atproto blob:*/*', [], ['blob:*/*']],
    ['a look-alike of include', 'atproto includes:x', 'atproto', ['includes:x'], []],
    ['nothing', 'atproto repo:*', '', ['atproto', 'repo:*'], []],
  ])('%s', (_, requested, granted, missing, unasked) => {
    expect(missingScopes(requested, granted)).toStrictEqual(missing)
    expect(unaskedScopes(requested, granted)).toStrictEqual(unasked)
  })
})

describe('26.4 beside an include:', () => {
  const SET = 'include:a.b.auth?aud=did:web:x.y%23s'

  test.each([
    ['in the namespace', `repo:a.b.y rpc:a.b.x?aud=* rpc:a.b.z?aud=did:web:x.y%23s space:a.b.s`, []],
    ['deeper in it', 'repo:a.b.c.d', []],
    ['outside', 'repo:a.bc.d rpc:a.c.x?aud=* repo:*', ['repo:a.bc.d', 'rpc:a.c.x?aud=*', 'repo:*']],
    ['partly outside', 'repo?collection=a.b.y&collection=a.c.y', ['repo?collection=a.b.y&collection=a.c.y']],
    ['for another service', 'rpc:a.b.x?aud=did:web:z.y%23s', ['rpc:a.b.x?aud=did:web:z.y%23s']],
    ['of a kind that is in no set', 'blob:*/* account:email identity:*', ['blob:*/*', 'account:email', 'identity:*']],
  ])('what was not requested: %s', (_, granted, unasked) => {
    expect(unaskedScopes(`atproto ${SET}`, `atproto ${granted}`)).toStrictEqual(unasked)
  })

  test.each([
    ['nothing', 'atproto', [SET]],
    ['something else', 'atproto repo:a.c.d blob:*/*', [SET]],
    ['one permission', 'atproto repo:a.b.y', []],
    ['the set, unexpanded', `atproto include?nsid=a.b.auth&aud=did:web:x.y%23s`, []],
  ])('granted from it: %s', (_, granted, empty) => {
    expect(emptyIncludes(`atproto ${SET}`, granted)).toStrictEqual(empty)
    expect(emptyIncludes('atproto repo:a.b.y', granted)).toStrictEqual([])
  })

  test('a set that is known to be empty, beside another in its namespace', () => {
    const [other, requested] = ['include:a.b.other', `atproto include:a.b.other ${SET}`]
    expect(emptyIncludes(requested, 'atproto repo:a.b.y')).toStrictEqual([])
    expect(emptyIncludes(requested, 'atproto repo:a.b.y', [other])).toStrictEqual([other])
    expect(emptyIncludes(requested, `atproto repo:a.b.y ${other}`, [other])).toStrictEqual([])
  })
})

test('26.18 transition:email granted as account:email', () => {
  expect(missingScopes('atproto transition:email', 'atproto account:email')).toStrictEqual([])
  expect(unaskedScopes('atproto transition:email', 'atproto account:email')).toStrictEqual([])
  expect(missingScopes('atproto transition:email', 'atproto account:email?action=manage')).toStrictEqual([])
  expect(missingScopes('atproto transition:email', 'atproto account:repo')).toStrictEqual(['transition:email'])
})

test('26.17 a scope never names a bare DID', async () => {
  const bare = 'rpc:a.b.c?aud=did:web:x.y'
  expect(await failure(() => parseScope(`atproto ${bare}`))).toMatchObject({ code: 'SCOPE_INVALID' })
  expect(requestable(bare)).not.toContain('did:')
})

test('15.14, 19.8 what an older server says is missing, as it can be asked for', () => {
  expect(requestable('rpc:a.b.c?aud=did:web:x.y%23s')).toBe('rpc:a.b.c?aud=did:web:x.y%23s')
  expect(requestable('rpc:a.b.c?aud=did:web:x.y')).toBe('rpc:a.b.c?aud=*')
  expect(requestable('rpc:*?aud=did:web:x.y')).toBe('transition:generic')
  expect(requestable('identity:submit')).toBeUndefined()
  expect(requestable('space:x')).toBe('space:x')
  expect(requestable('transition:generic')).toBe('transition:generic')
})
