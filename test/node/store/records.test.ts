import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import { parseNonces, parsePending, parseSession, sealed, storedLogin } from '../../../src/node/store/records.ts'
import { generateSecp256k1Jwk } from '../../support/keys.ts'
import { KEY, pendingRecord, sessionRecord, shown, THUMBPRINT, thumbprintOf } from '../helpers.ts'

const PATH = '/home/alice/.local/share/atproto-oauth/record.json'
const OTHER_KEY = { ...KEY, x: 'A'.repeat(43) }
const SPENT = {
  version: 1,
  status: 'spent',
  state: 'canary-state',
  codeHash: 'h',
  outcome: 'completed',
  at: 1_700_000_000_000,
}
const { did, dpopPrivateJwk, pds, refreshToken } = sessionRecord()
const RECEIVED = {
  version: 1,
  status: 'received',
  state: 'canary-state',
  codeHash: 'h',
  did,
  requestedScope: 'atproto',
  credentials: { did, dpopPrivateJwk, pdsIssuer: pds, refreshToken },
  at: 1_700_000_000_000,
}

function expectInvalid(run: () => unknown): void {
  let error: unknown
  try {
    run()
  } catch (reason) {
    error = reason
  }
  expect(error).toBeInstanceOf(OAuthError)
  expect(error).toMatchObject({ code: 'STORE_INVALID', session: 'alive' })
  expect(shown(error as OAuthError)).toContain(PATH)
  expect(shown(error as OAuthError)).not.toMatch(/canary|rPQUCt/)
}

const WHOLE = [
  ['pending', pendingRecord()],
  ['session', sessionRecord()],
] as const
const parse = (text: string) => [() => parsePending(text, PATH), () => parseSession(text, PATH, THUMBPRINT)]

describe('no record at all', () => {
  const texts = ['', ' ', 'null', '[]', '1', '"canary"', '{}', 'REFRESH_TOKEN=canary', '\0\0']
  test.each(texts)('%j', (text) => {
    for (const run of parse(text)) expectInvalid(run)
  })

  test.each(WHOLE)('a %s that was cut', (kind, record) => {
    const text = JSON.stringify(record, null, 2)
    for (const end of [1, text.length / 2, text.length - 1])
      expectInvalid(parse(text.slice(0, end))[Number(kind === 'session')]!)
  })

  test('each in the place of the other', () => {
    expectInvalid(() => parsePending(JSON.stringify(sessionRecord()), PATH))
    expectInvalid(() => parseSession(JSON.stringify(pendingRecord()), PATH, THUMBPRINT))
  })
})

test('26.15 a session with a secp256k1 key is read under its own thumbprint only', () => {
  const jwk = generateSecp256k1Jwk()
  const record = sessionRecord({ dpopPrivateJwk: jwk, thumbprint: thumbprintOf(jwk) })
  const text = JSON.stringify(sealed(record))
  expect(parseSession(text, PATH, record.thumbprint)).toStrictEqual(record)
  expectInvalid(() => parseSession(text.replace('secp256k1', 'P-256'), PATH, record.thumbprint))
})

describe('parsePending', () => {
  test('gives back what is whole', () => {
    const full = pendingRecord({ did: sessionRecord().did })
    for (const record of [pendingRecord(), full, SPENT]) {
      expect(parsePending(JSON.stringify(record), PATH)).toStrictEqual(record)
    }
  })

  test.each([
    { version: 2 },
    { version: '1' },
    { status: 'other' },
    { status: undefined },
    { state: 1 },
    { issuer: 'as.example.com' },
    { issuer: 'https://as.example.com/path' },
    { clientId: undefined },
    { redirectUri: null },
    { scope: ['atproto'] },
    { codeVerifier: undefined },
    { dpopPrivateJwk: undefined },
    { dpopPrivateJwk: { ...KEY, d: undefined } },
    { dpopPrivateJwk: { ...KEY, crv: 'P-384' } },
    { did: 1 },
    { did: 'alice.example.com' },
    { handle: 'Alice' },
    { refusedCodes: 7 },
    { refusedCodes: [7] },
    { nonces: undefined },
    { nonces: ['n1'] },
    { nonces: { 'https://as.example.com': 1 } },
    { createdAt: '2026-01-01' },
    { requestExpiresAt: null },
    { expiresAt: undefined },
    { expiresAt: 1e300 },
  ])('pending with %j', (change) => {
    expectInvalid(() => parsePending(JSON.stringify({ ...pendingRecord(), ...change }), PATH))
  })

  test.each([
    { credentials: undefined },
    { credentials: { did, dpopPrivateJwk } },
    { credentials: { ...RECEIVED.credentials, dpopPrivateJwk: { ...KEY, d: undefined } } },
    { credentials: { ...RECEIVED.credentials, refreshToken: 1 } },
    { did: undefined },
    { credentials: { ...RECEIVED.credentials, scope: 1 } },
    { credentials: { ...RECEIVED.credentials, createdAt: 'canary' } },
    { codeHash: 1 },
    { requestedScope: undefined },
  ])('received with %j', (change) => {
    const credentials = { did, dpopPrivateJwk, server: pds, refreshToken }
    const record = parsePending(JSON.stringify(RECEIVED), PATH)
    expect(record).toStrictEqual({ ...RECEIVED, credentials })
    expect(storedLogin(record)).toStrictEqual(RECEIVED)
    expectInvalid(() => parsePending(JSON.stringify({ ...RECEIVED, ...change }), PATH))
  })

  test.each([{ codeHash: undefined }, { outcome: 'perhaps' }, { at: undefined }, { state: undefined }, { did: 1 }])(
    'spent with %j',
    (change) => {
      expectInvalid(() => parsePending(JSON.stringify({ ...SPENT, ...change }), PATH))
    },
  )
})

describe('20.7 parseSession', () => {
  test.each([
    {},
    { did: 'did:plc:44ybard66vv44zksje25o7dz' },
    { clientId: 'http://localhost' },
    { pds: 'https://else.example.com' },
    { refreshToken: 'canary-other' },
    { refreshToken: undefined },
  ])('what belongs together, edited by hand: %j', (change) => {
    const text = JSON.stringify({ ...sealed(sessionRecord()), ...change })
    if (Object.keys(change).length > 0) expectInvalid(() => parseSession(text, PATH, THUMBPRINT))
    else expect(parseSession(text, PATH, THUMBPRINT)).toStrictEqual(sessionRecord())
  })

  test('gives back what is whole', () => {
    const { refreshToken, accessToken, accessTokenExpiresAt, clientId, ...ended } = sessionRecord()
    for (const record of [
      sessionRecord(),
      sessionRecord({ intent: { tokenHash: 'h', at: 1 }, createdAt: 1, rotatedAt: 2, spentTokens: ['a', 'b'] }),
      { ...ended, ended: { at: 1, reason: 'invalid_grant' } },
    ]) {
      expect(parseSession(JSON.stringify(record), PATH, THUMBPRINT)).toStrictEqual(record)
    }
  })

  test.each([
    { version: undefined },
    { thumbprint: 'A'.repeat(43) },
    { did: undefined },
    { handle: 1 },
    { pds: 'pds.example.com' },
    { pds: 'https://pds.example.com/' },
    { issuer: 'not a URL' },
    { clientId: 5 },
    { scope: undefined },
    { dpopPrivateJwk: 'text' },
    { dpopPrivateJwk: OTHER_KEY },
    { dpopPrivateJwk: { ...KEY, kty: 'RSA' } },
    { dpopPrivateJwk: { ...KEY, d: 'canary short' } },
    { accessToken: 1 },
    { accessTokenExpiresAt: 'soon' },
    { refreshToken: { canary: 1 } },
    { createdAt: null },
    { rotatedAt: 'x' },
    { spentTokens: undefined },
    { spentTokens: [1] },
    { intent: { tokenHash: 'h' } },
    { intent: true },
    { ended: { at: 9e15, reason: 'x' } },
    { ended: { at: 1 } },
    { bundled: 'yes' },
    { savedTo: 'file:x' },
    { undelivered: [1] },
  ])('with %j', (change) => {
    expectInvalid(() => parseSession(JSON.stringify({ ...sessionRecord(), ...change }), PATH, THUMBPRINT))
  })

  test('a file under the name of another session', () => {
    expectInvalid(() => parseSession(JSON.stringify(sessionRecord()), PATH, 'B'.repeat(43)))
  })
})

test('the message names the member that is wrong, and no name that could be anything', () => {
  const message = (change: object) => {
    try {
      return parsePending(JSON.stringify({ ...pendingRecord(), ...change }), PATH)
    } catch (error) {
      return error instanceof Error ? error.message.split(': ')[1] : error
    }
  }
  expect(message({ refusedCodes: 7 })).toBe('refusedCodes is not an array')
  expect(message({ dpopPrivateJwk: { ...KEY, d: 'canary' } })).toBe('dpopPrivateJwk.d is not valid')
  expect(message({ ...RECEIVED, credentials: { ...RECEIVED.credentials, pdsIssuer: 'canary' } })).toBe(
    'credentials.pdsIssuer is not valid',
  )
  expect(message({ status: 'canary' })).toBe('status is not pending or received or spent')
  expect(message({ nonces: { 'canary /': 7 } })).toBe('nonces is not a string')
})

describe('parseNonces', () => {
  test.each([
    [undefined, {}],
    ['', {}],
    ['null', {}],
    ['{"a":', {}],
    ['["a"]', {}],
    ['\ufeff{"https://a":"1"}', { 'https://a': '1' }],
    ['{"https://a":"1","https://b":2,"https://c":null}', { 'https://a': '1' }],
  ])('%j', (text, expected) => {
    expect(parseNonces(text)).toStrictEqual(expected)
  })
})
