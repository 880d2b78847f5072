import { describe, expect, test } from 'vitest'
import type { OAuthError } from '../../../src/errors.ts'
import type { Did } from '../../../src/model.ts'
import {
  asDid,
  asHandle,
  asNsid,
  asOrigin,
  asServer,
  didWebHost,
  isDid,
  isReservedName,
  parseIdentifier,
} from '../../../src/protocol/identity/syntax.ts'
import { buildXrpcRequest } from '../../../src/protocol/xrpc/request.ts'
import { failure, vectors } from '../helpers.ts'

const PLC = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
const KELVIN = '\u212Aelly.fake.dev'

describe('vectors', () => {
  test.each(vectors('handle_syntax_valid'))('1.3 handle %j', (text) => {
    expect(asHandle(text)).toBe(text.toLowerCase())
  })
  test.each(vectors('handle_syntax_invalid'))('1.3 not a handle: %j', (text) => {
    expect(asHandle(text)).toBeUndefined()
  })
  test.each(vectors('did_syntax_valid'))('2.1 DID %j', (text) => {
    expect(isDid(text)).toBe(true)
  })
  test.each(vectors('did_syntax_invalid'))('2.1 not a DID: %j', (text) => {
    expect(isDid(text)).toBe(false)
  })
  test.each(vectors('nsid_syntax_valid'))('18.1 NSID %j', (text) => {
    expect(asNsid(text)).toBe(text)
  })
  test.each(vectors('nsid_syntax_invalid'))('18.1 not an NSID: %j', (text) => {
    expect(asNsid(text)).toBeUndefined()
  })
  test.each(vectors('atidentifier_syntax_valid'))('1.1 identifier %j', (text) => {
    expect(isDid(text) || asHandle(text) !== undefined).toBe(true)
  })
  test.each(vectors('atidentifier_syntax_invalid'))('1.1 not an identifier: %j', (text) => {
    expect(isDid(text) || asHandle(text) !== undefined).toBe(false)
  })
})

describe('vectors, as a person types them', () => {
  test.each(vectors('atidentifier_syntax_valid'))('1.1 %j is one, or of a kind that is not supported', async (text) => {
    const accepted = asDid(text) ?? (asHandle(text) && !isReservedName(text.toLowerCase(), false))
    if (accepted) expect(parseIdentifier(text, false).kind).toBe(text.startsWith('did:') ? 'did' : 'handle')
    else
      expect((await failure(() => parseIdentifier(text, false))).code).toMatch(
        /^(?:IDENTIFIER_INVALID|DID_METHOD_UNSUPPORTED)$/,
      )
  })
  test.each(vectors('atidentifier_syntax_invalid'))('1.1 %j is none, but for a mark or space around', async (text) => {
    const mended = text.trim().replace(/^@/, '')
    if (mended !== text && (isDid(mended) || asHandle(mended))) return
    expect(await failure(() => parseIdentifier(text, false))).toMatchObject({ code: 'IDENTIFIER_INVALID' })
  })
})

// Record keys are parameters of a call, and the server's to judge.
test.each([...vectors('recordkey_syntax_valid'), ...vectors('recordkey_syntax_invalid')])(
  '18.3 the record key %j arrives as it was given',
  (key) => {
    const { path } = buildXrpcRequest({ nsid: 'com.atproto.repo.getRecord', parameters: [['rkey', key]] }, PLC as Did)
    const [, query] = path.split('?')
    expect([...new URLSearchParams(query)]).toStrictEqual([['rkey', key]])
  },
)

describe('1.3 to 1.6 handles', () => {
  test.each([
    ['253 characters', `${'a.'.repeat(125)}com`, true],
    ['254 characters', `${'a.'.repeat(125)}comm`, false],
    ['label of 63', `${'a'.repeat(63)}.com`, true],
    ['label of 64', `${'a'.repeat(64)}.com`, false],
    ['line break at the end', 'alice.fake.dev\n', false],
  ])('1.3 %s', (_, text, valid) => {
    expect(asHandle(text) !== undefined).toBe(valid)
  })

  test('1.4 is in lower case afterwards', () => {
    expect(asHandle('XX.LCS.MIT.EDU')).toBe('xx.lcs.mit.edu')
  })

  test('1.5 Kelvin sign is refused before lower-casing', () => {
    expect(KELVIN.toLowerCase()).toBe('kelly.fake.dev')
    expect(asHandle(KELVIN)).toBeUndefined()
  })

  test.each(['alt', 'arpa', 'example', 'internal', 'invalid', 'local', 'localhost', 'onion'])(
    '1.6 .%s is reserved, with --dev too',
    async (tld) => {
      expect(isReservedName(`alice.${tld}`, true)).toBe(true)
      expect(await failure(() => parseIdentifier(`alice.${tld}`, true))).toMatchObject({ code: 'IDENTIFIER_INVALID' })
    },
  )

  test('1.6 .test is for development, and the error says so', async () => {
    expect(await failure(() => parseIdentifier('Alice.Test', false))).toMatchObject({
      code: 'IDENTIFIER_INVALID',
      facts: { reason: 'dev-mode-needed' },
    })
    expect(parseIdentifier('Alice.Test', true)).toEqual({ kind: 'handle', handle: 'alice.test' })
  })

  test('1.6 handle.invalid is no account; a reserved word elsewhere in the name is harmless', async () => {
    expect(await failure(() => parseIdentifier('handle.invalid', false))).toMatchObject({ code: 'IDENTIFIER_INVALID' })
    expect(isReservedName('local.example.com', false)).toBe(false)
  })
})

describe('2.2, 2.5, 2.6 DIDs that atproto accepts', () => {
  test.each([PLC, 'did:web:example.com', 'did:web:a-b.c.co'])('%s', (text) => {
    expect(asDid(text)).toBe(text)
  })

  test.each([
    ['2.2 upper case', PLC.toUpperCase().replace('DID:PLC', 'did:plc')],
    ['2.2 23 characters', PLC.slice(0, -1)],
    ['2.2 25 characters', `${PLC}a`],
    ['2.2 digit 1', `${PLC.slice(0, -1)}1`],
    ['2.5 path', 'did:web:a.org:u'],
    ['2.5 port', 'did:web:a.org%3A8443'],
    ['2.5 reserved ending', 'did:web:foo.arpa'],
    ['2.6 IP address', 'did:web:1.2.3.4'],
    ['2.6 single label', 'did:web:foo'],
    ['2.6 percent-encoded letter', 'did:web:exa%6Dple.com'],
    ['2.6 upper-case host', 'did:web:EXAMPLE.com'],
    ['2.5 localhost without --dev', 'did:web:localhost%3A3000'],
    ['1.16 did:key', 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'],
  ])('%s is refused', (_, text) => {
    expect(isDid(text)).toBe(true)
    expect(asDid(text)).toBeUndefined()
  })

  test.each([
    ['did:web:localhost', 'localhost'],
    ['did:web:localhost%3A3000', 'localhost:3000'],
    ['did:web:localhost%3A99999', undefined],
    ['did:web:localhost%3Ax', undefined],
    ['did:web:127.0.0.1%3A3000', undefined],
    ['did:web:foo.test', 'foo.test'],
  ])('2.5 with --dev %s is at %s', (did, host) => {
    expect(didWebHost(did, true)).toBe(host)
    expect(asDid(did, true)).toBe(host && did)
  })
})

describe('1.1, 1.2 what a person types', () => {
  test.each([
    ['alice.fake.dev', { kind: 'handle', handle: 'alice.fake.dev' }],
    ['@Alice.Fake.DEV', { kind: 'handle', handle: 'alice.fake.dev' }],
    [' \t@alice.fake.dev\r\n', { kind: 'handle', handle: 'alice.fake.dev' }],
    ['bsky.team', { kind: 'handle', handle: 'bsky.team' }],
    [PLC, { kind: 'did', did: PLC }],
    [` ${PLC}\n`, { kind: 'did', did: PLC }],
    ['https://pds.fake.dev', { kind: 'server', origin: 'https://pds.fake.dev' }],
    ['HTTPS://PDS.fake.dev:443/', { kind: 'server', origin: 'https://pds.fake.dev' }],
    ['https://pds.fake.dev:8443', { kind: 'server', origin: 'https://pds.fake.dev:8443' }],
  ])('%j', (typed, expected) => {
    expect(parseIdentifier(typed, false)).toStrictEqual(expected)
  })

  test.each([
    ['nothing', ''],
    ['only the mark', '@'],
    ['two marks', '@@alice.fake.dev'],
    ['a space inside', 'alice fake.dev'],
    ['1.5 Kelvin sign', KELVIN],
    ['no-break space around', '\u00a0alice.fake.dev'],
    ['an e-mail address', 'alice@fake.dev'],
    ['a single label', 'alice'],
    ['a DID with bad syntax', 'did:plc:'],
    ['a DID with a fragment', `${PLC}#atproto_pds`],
    ['a URL with a path', 'https://bsky.app/profile/alice'],
    ['a URL with a query', 'https://pds.fake.dev?x'],
    ['a URL with credentials', 'https://me@pds.fake.dev'],
    ['a URL with a fragment', 'https://pds.fake.dev#x'],
    ['no URL at all', 'https://'],
  ])('1.21 bad syntax: %s', async (_, typed) => {
    expect(await failure(() => parseIdentifier(typed, false))).toMatchObject({ code: 'IDENTIFIER_INVALID' })
  })

  test.each(['did:key:z6Mkabc', 'did:web:a.org:u', 'did:plc:short'])('1.21 unsupported: %s', async (typed) => {
    expect(await failure(() => parseIdentifier(typed, false))).toMatchObject({ code: 'DID_METHOD_UNSUPPORTED' })
  })

  test('20.3 http is for development', async () => {
    expect(await failure(() => parseIdentifier('http://localhost:2583', false))).toMatchObject({
      code: 'IDENTIFIER_INVALID',
      facts: { reason: 'dev-mode-needed' },
    })
    expect(parseIdentifier('http://localhost:2583', true)).toEqual({ kind: 'server', origin: 'http://localhost:2583' })
  })
})

test.each([
  ['https://as.fake.dev', true],
  ['https://as.fake.dev:8443', true],
  ['https://as.fake.dev/', false],
  ['https://as.fake.dev/p', false],
  ['https://as.fake.dev:443', false],
  ['https://AS.fake.dev', false],
  ['https://u@as.fake.dev', false],
  ['https://as.fake.dev?x', false],
  ['https://as.fake.dev#x', false],
  ['http://as.fake.dev', false],
  ['javascript:alert(1)', false],
  ['null', false],
])('3.5, 4.3 bare origin: %s %s', (text, valid) => {
  expect(asOrigin(text, false)).toBe(valid ? text : undefined)
})

test.each([
  ['https://as.fake.dev', 'https://as.fake.dev'],
  ['https://AS.fake.dev/', 'https://as.fake.dev'],
  ['https://as.fake.dev/p', undefined],
  ['https://as.fake.dev/?', undefined],
  ['https://as.fake.dev/#', undefined],
  ['https://@as.fake.dev', undefined],
  ['http://as.fake.dev/', undefined],
  ['javascript:alert(1)', undefined],
  ['as.fake.dev', undefined],
])('a server as people copy it: %s is %s', (text, origin) => {
  expect(asServer(text, false)).toBe(origin)
})

test('a server over http: is one with --dev alone', () => {
  expect(asServer('http://as.fake.dev/', true)).toBe('http://as.fake.dev')
})

describe('what is no identifier, but contains one', () => {
  test.each([
    ['https://bsky.app/profile/alice.example', 'alice.example'],
    ['bsky.app/profile/alice.example', 'alice.example'],
    ['https://bsky.app/profile/Alice.Example/post/3jzfcijpj2z2a?ref=x#y', 'alice.example'],
    ['https://bsky.app/profile/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
    ['https://bsky.app/profile/did%3Aplc%3Aaaaaaaaaaaaaaaaaaaaaaaaa/', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
    ['at://alice.example/app.bsky.feed.post/3jzfcijpj2z2a', 'alice.example'],
    ['at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
    ['alice.example/', 'alice.example'],
    ['alice.example.', 'alice.example'],
    ['@alice.example,', 'alice.example'],
    ['\u201calice.example\u201d', 'alice.example'],
    ['\u2018@alice.example\u2019', 'alice.example'],
    ["'alice.example'", 'alice.example'],
    ['<alice.example>', 'alice.example'],
    ['\u202aalice.example\u202c', 'alice.example'],
    ['alice.\u200bexample', 'alice.example'],
    ['alice .example', 'alice.example'],
    ['alice', 'alice.bsky.social'],
    ['@alice', 'alice.bsky.social'],
    ['https://pds.fake.dev/oauth/authorize', 'https://pds.fake.dev'],
    ['bsky.social', 'https://bsky.social'],
    ['alice\\.example', 'alice.example'],
    ['handle=alice.example', 'alice.example'],
    ['alice\u3002example', 'alice.example'],
    ['\uff20\uff41lice.example', 'alice.example'],
    ['did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#atproto_pds', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
    ['DID:PLC:aaaaaaaaaaaaaaaaaaaaaaaa', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'],
    ['pds.fake.dev:3000', 'https://pds.fake.dev:3000'],
    ['127.0.0.1:2583', 'https://127.0.0.1:2583'],
    ['localhost', 'https://localhost'],
    ['wss://relay.fake.dev', 'https://relay.fake.dev'],
  ])('%j: %s', async (typed, identifier) => {
    const error = await failure(() => parseIdentifier(typed, false))
    expect(error).toMatchObject({ code: 'IDENTIFIER_INVALID', facts: { reason: 'identifier-meant', identifier } })
  })

  test.each(['alice@fake.dev', '@alice@fake.dev', 'mailto:alice@fake.dev'])('an e-mail address: %s', async (typed) => {
    const error = await failure(() => parseIdentifier(typed, false))
    expect(error).toMatchObject({ code: 'IDENTIFIER_INVALID', facts: { reason: 'identifier-email' } })
    expect(error.message).toContain('e-mail address')
  })

  test.each(['', '@', '/', 'a b c', '\u201c\u201d', 'alice_b', 'https://user:secret@pds.fake.dev/x', 'http://a/b'])(
    'nothing is guessed of %j',
    async (typed) =>
      expect((await failure(() => parseIdentifier(typed, false))).facts).not.toHaveProperty('identifier'),
  )

  test('a long text takes no time', async () => {
    for (const part of ['/', '/profile', '\u201c', '@', 'a.', '%3A']) {
      expect(await failure(() => parseIdentifier(part.repeat(50_000), false))).toMatchObject({
        code: 'IDENTIFIER_INVALID',
      })
    }
  })
})

test('with --dev a local address is one of a server with http:, and a path is no part of it', async () => {
  for (const typed of ['localhost:2583', 'http://localhost:2583/xrpc/a.b.c']) {
    const { facts } = (await failure(() => parseIdentifier(typed, true))) as OAuthError
    expect(facts).toEqual({ reason: 'identifier-meant', identifier: 'http://localhost:2583' })
  }
})

test.each([
  ['\u0024{HANDLE}', 'it is the name of a variable, not its value'],
  ['\u0024{{ secrets.HANDLE }}', 'it is the name of a variable, not its value'],
  ['%HANDLE%', 'it is the name of a variable, not its value'],
  ['$env:HANDLE', 'it is the name of a variable, not its value'],
  ['\u0430lice.example', 'it contains letters other than a-z'],
  ['', 'the handle is empty: was its variable not set?'],
])('%j: what is wrong, and no other account is suggested', async (typed, words) => {
  const { facts, message } = (await failure(() => parseIdentifier(typed, false))) as OAuthError
  expect(message).toContain(words)
  expect(facts).toEqual({})
})
