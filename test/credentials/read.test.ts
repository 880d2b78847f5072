import { describe, expect, test } from 'vitest'
import { claimsOf, readClientJwk, readCredentials } from '../../src/credentials/read.ts'
import type { Environment } from '../../src/credentials/variables.ts'
import { bundle, credentialEntries } from '../../src/credentials/write.ts'
import { OAuthError } from '../../src/errors.ts'
import { generateSecp256k1Jwk } from '../support/keys.ts'
import { CREDENTIALS, ENVIRONMENT, JWK, set, VSCHARS } from './helpers.ts'

const { ATPROTO_OAUTH_CLIENT_ID, ...PYTHON } = ENVIRONMENT
const JSON_JWK = ENVIRONMENT.ATPROTO_OAUTH_DPOP_PRIVATE_JWK
/** As they come out of one value: that is also how they have to be saved again. */
const BUNDLED = { ...CREDENTIALS, bundled: true }
const NAMES = Object.keys(ENVIRONMENT)
const LEASED = {
  ATPROTO_OAUTH_ACCESS_TOKEN: 'acc-canary',
  ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON_JWK,
  ATPROTO_OAUTH_DID: ENVIRONMENT.ATPROTO_OAUTH_DID,
}
/** Pieces of every secret there is in these tests. */
const SECRET = /canary|rPQUCt|Dcz3Kf|Y2FuYXJ5/

const read = (environment: Environment, dev = false) => readCredentials(environment, dev)
const parsed = (environment: Environment) => set(read(environment) ?? {})
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The error, in which no value is quoted. */
function refused(environment: Environment, dev = false): OAuthError {
  try {
    read(environment, dev)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    expect(error.session).toBe('alive')
    expect(error.cause).toBeUndefined()
    expect([error.message, JSON.stringify(error.facts), error.stack].join('\n')).not.toMatch(SECRET)
    return error
  }
  throw new Error('it was accepted')
}

describe('as they were printed', () => {
  test('the five variables', () => {
    expect(parsed(ENVIRONMENT)).toStrictEqual(CREDENTIALS)
  })

  test('26.15 a secp256k1 key, as variables and in one value; a client key is P-256', () => {
    const dpopPrivateJwk = generateSecp256k1Jwk()
    const credentials = { ...CREDENTIALS, dpopPrivateJwk }
    expect(parsed(Object.fromEntries(credentialEntries(credentials)))).toStrictEqual(credentials)
    expect(parsed({ ATPROTO_OAUTH_SESSION: bundle(credentials) })).toMatchObject({ dpopPrivateJwk })
    const clientKey = { ATPROTO_OAUTH_CLIENT_JWK: JSON.stringify({ ...dpopPrivateJwk, kid: 'k' }) }
    expect(() => readClientJwk(clientKey)).toThrow(/is not a private P-256 JWK$/)
  })

  test('a leased access token: with the key and the account it is enough', () => {
    const { did, dpopPrivateJwk } = CREDENTIALS
    expect(parsed(LEASED)).toStrictEqual({ did, dpopPrivateJwk, accessToken: 'acc-canary' })
  })

  test('a token of every character that tokens have', () => {
    expect(read({ ...ENVIRONMENT, ATPROTO_OAUTH_REFRESH_TOKEN: VSCHARS })).toMatchObject({ refreshToken: VSCHARS })
  })

  test.each([
    {},
    { ATPROTO_OAUTH_CLIENT_ID },
    { ATPROTO_OAUTH_DID: ENVIRONMENT.ATPROTO_OAUTH_DID },
    { ATPROTO_OAUTH_PDS_ISSUER: 'x' },
    Object.fromEntries([...NAMES, 'ATPROTO_OAUTH_SESSION'].map((name) => [name, ''])), // a fork’s pull request in CI
    Object.fromEntries(NAMES.map((name) => [name, ' \r\n'])),
  ])('no session at all: %j', (environment) => {
    expect(read(environment)).toBeUndefined()
  })
})

describe('as a secret store, an editor or a shell changed them', () => {
  const CHANGES: Record<string, (value: string) => string> = {
    'a line feed at the end': (value) => `${value}\n`,
    'several lines at the end': (value) => `${value}\n\r\n\n`,
    'CR LF': (value) => `${value}\r\n`,
    'a byte order mark': (value) => `\ufeff${value}`,
    'spaces and tabs around': (value) => ` \t${value}\t `,
    'single quotes around': (value) => `'${value}'`,
    'double quotes around': (value) => `"${value}"`,
    'both kinds of quotes': (value) => `"'${value}'"`,
    'quotes and line ends': (value) => `\ufeff"${value}\r\n"\r\n`,
  }
  test.each(Object.entries(CHANGES))('%s', (_, change) => {
    const environment = Object.fromEntries(Object.entries(ENVIRONMENT).map(([name, value]) => [name, change(value)]))
    expect(parsed(environment)).toStrictEqual(CREDENTIALS)
    expect(parsed({ ATPROTO_OAUTH_SESSION: change(bundle(CREDENTIALS)) })).toStrictEqual(BUNDLED)
  })

  // With ?> and ?? the two base64 alphabets differ.
  const ODD = JSON.stringify({ ...JWK, kid: '?>?>??ÿÿ' })
  test.each([
    ['escaped quotes', JSON_JWK.replaceAll('"', '\\"')],
    ['JSON in JSON', JSON.stringify(JSON_JWK)],
    ['JSON in JSON in quotes', `'${JSON.stringify(JSON_JWK)}'`],
    ['lines of JSON', JSON.stringify(JWK, null, 2)],
    ['lines of JSON, CR LF', JSON.stringify(JWK, null, 2).replaceAll('\n', '\r\n')],
    ['more members', JSON.stringify({ ...JWK, alg: 'ES256', use: 'sig', key_ops: ['sign'], ext: true })],
    ['base64url', Buffer.from(ODD).toString('base64url')],
    ['base64, padded', Buffer.from(`${ODD} `).toString('base64')],
    ['base64 in lines', Buffer.from(ODD).toString('base64').replaceAll(/.{76}/g, '$&\n')],
  ])('the key as %s', (_, value) => {
    expect(parsed({ ...ENVIRONMENT, ATPROTO_OAUTH_DPOP_PRIVATE_JWK: value })).toStrictEqual(CREDENTIALS)
  })

  test('the two base64 of that key do differ', () => {
    expect(Buffer.from(ODD).toString('base64')).toMatch(/[+/]/)
  })
})

describe('incomplete: each missing variable is named, and no other', () => {
  const missing = (environment: Environment) => {
    const error = refused(environment)
    expect(error.code).toBe('CREDENTIALS_INCOMPLETE')
    return error.message.match(/ATPROTO_OAUTH_\w+/g)?.sort()
  }

  test.each(NAMES)('%s', (name) => {
    expect(missing({ ...ENVIRONMENT, [name]: undefined })).toStrictEqual([name])
    expect(missing({ ...ENVIRONMENT, [name]: '""' })).toStrictEqual([name])
  })

  test.each(['ATPROTO_OAUTH_REFRESH_TOKEN', 'ATPROTO_OAUTH_DPOP_PRIVATE_JWK'] as const)('only %s is set', (name) => {
    const others = NAMES.filter((other) => other !== name).sort()
    expect(missing({ [name]: ENVIRONMENT[name] })).toStrictEqual(others)
  })

  test.each(['ATPROTO_OAUTH_DPOP_PRIVATE_JWK', 'ATPROTO_OAUTH_DID'])('leased, without %s', (name) => {
    expect(missing({ ...LEASED, [name]: undefined })).toStrictEqual([name])
  })

  test('the four of atproto-oauth-py: it is known what is missing', () => {
    expect(missing(PYTHON)).toStrictEqual(['ATPROTO_OAUTH_CLIENT_ID'])
    expect(refused(PYTHON).facts).toStrictEqual({ reason: 'client-id-missing' })
    expect(parsed({ ...PYTHON, ATPROTO_OAUTH_CLIENT_ID })).toStrictEqual(CREDENTIALS)
  })
})

describe('wrong: the variable is named, its value is not quoted', () => {
  const { d, ...publicJwk } = JWK
  test.each([
    ['REFRESH_TOKEN', 'ref-canary\twith a tab'],
    ['REFRESH_TOKEN', 'ref-canary\nref-canary'],
    ['REFRESH_TOKEN', 'ref-canäry-canary'],
    ['ACCESS_TOKEN', 'acc-canary\u0007'],
    ['DPOP_PRIVATE_JWK', 'canary'],
    ['DPOP_PRIVATE_JWK', JSON_JWK.slice(0, -5)],
    ['DPOP_PRIVATE_JWK', Buffer.from(JSON_JWK).toString('base64url').slice(0, -9)],
    ['DPOP_PRIVATE_JWK', JSON.stringify(publicJwk)],
    ['DPOP_PRIVATE_JWK', JSON.stringify([JWK])],
    ['DPOP_PRIVATE_JWK', JSON.stringify({ ...JWK, crv: 'P-384' })],
    ['DPOP_PRIVATE_JWK', JSON.stringify({ ...JWK, crv: 'P-384' })],
    ['DPOP_PRIVATE_JWK', JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: JWK.x, d })],
    ['DPOP_PRIVATE_JWK', JSON.stringify({ kty: 'RSA', n: 'canary', e: 'AQAB', d })],
    ['DPOP_PRIVATE_JWK', JSON.stringify({ ...JWK, d: 'canary' })],
    ['DPOP_PRIVATE_JWK', '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----'],
    ['PDS_ISSUER', 'pds.example.com'],
    ['PDS_ISSUER', 'https://pds.example.com/canary'],
    ['PDS_ISSUER', 'https://pds.example.com?canary'],
    ['PDS_ISSUER', 'https://pds.example.com#canary'],
    ['PDS_ISSUER', 'https://user:canary@pds.example.com'],
    ['PDS_ISSUER', 'http://pds.example.com'],
    ['PDS_ISSUER', 'http://127.0.0.1:2583'],
    ['REFRESH_TOKEN', '***'],
    ['REFRESH_TOKEN', '\u0024{{ secrets.canary }}'],
    ['DID', 'did:key:canary'],
    ['DID', 'alice.canary.example'],
    ['DID', 'did:plc:canary'],
    ['CLIENT_ID', 'canary'],
  ])('%s: %j', (name, value) => {
    const error = refused({ ...ENVIRONMENT, [`ATPROTO_OAUTH_${name}`]: value })
    expect(error.code).toBe('CREDENTIALS_INVALID')
    expect(error.message.match(/ATPROTO_OAUTH_\w+/g)).toStrictEqual([`ATPROTO_OAUTH_${name}`])
  })
})

describe('ATPROTO_OAUTH_PDS_ISSUER', () => {
  test.each([
    ['https://pds.example.com/', false, 'https://pds.example.com'],
    ['HTTPS://PDS.Example.com:443', false, 'https://pds.example.com'],
    ['https://pds.example.com:8443', false, 'https://pds.example.com:8443'],
    ['http://127.0.0.1:2583/', true, 'http://127.0.0.1:2583'],
  ])('%s, dev %s', (value, dev, expected) => {
    expect(read({ ...ENVIRONMENT, ATPROTO_OAUTH_PDS_ISSUER: value }, dev)).toMatchObject({ server: expected })
  })
})

describe('ATPROTO_OAUTH_SESSION', () => {
  const session = (value: string) => ({ ATPROTO_OAUTH_SESSION: value })

  test('wins over the other variables, whatever is in them', () => {
    const others = Object.fromEntries(NAMES.map((name) => [name, 'other-canary']))
    expect(parsed({ ...others, ...session(bundle(CREDENTIALS)) })).toStrictEqual(BUNDLED)
  })

  test('empty, it is not set', () => {
    expect(parsed({ ...ENVIRONMENT, ...session('') })).toStrictEqual(CREDENTIALS)
  })

  test('broken, it is not passed over for the others', () => {
    expect(refused({ ...ENVIRONMENT, ...session('canary') })).toMatchObject({ code: 'CREDENTIALS_INVALID' })
  })

  test('cut anywhere, it is refused', () => {
    const whole = bundle(CREDENTIALS)
    for (let end = 1; end < whole.length; end += 1) {
      expect(refused(session(whole.slice(0, end))).message).toContain('ATPROTO_OAUTH_SESSION')
    }
  })

  const { server, ...others } = CREDENTIALS
  const content = { version: 1, ...others, pdsIssuer: server }
  test.each([
    ['another version', { ...content, version: 2 }],
    ['no version', { ...content, version: undefined }],
    ['a list', [content]],
    ['a text', 'canary'],
    ['nothing', null],
    ['no refresh token', { ...content, refreshToken: undefined }],
    ['no client_id', { ...content, clientId: undefined }],
    ['no PDS', { ...content, pdsIssuer: undefined }],
    ['no key', { ...content, dpopPrivateJwk: undefined }],
    ['a public key', { ...content, dpopPrivateJwk: { ...JWK, d: undefined } }],
    ['no account', { ...content, did: undefined }],
    ['a number for a token', { ...content, refreshToken: 5 }],
    ['a token with a line feed', { ...content, refreshToken: 'ref\ncanary' }],
    ['an object for a scope', { ...content, scope: { canary: 1 } }],
    ['an issuer that is no origin', { ...content, issuer: 'canary' }],
  ])('with %s it is refused', (_, value) => {
    const error = refused(session(encoded(value)))
    expect(error).toMatchObject({
      code: 'CREDENTIALS_INVALID',
      message: expect.stringContaining('ATPROTO_OAUTH_SESSION'),
    })
  })

  test('unknown members and invalid times are omitted', () => {
    const odd = { ...content, later: 'x', createdAt: 'yesterday', rotatedAt: 9e15 }
    expect(parsed(session(encoded(odd)))).toStrictEqual(BUNDLED)
  })
})

describe('the key of a confidential client', () => {
  const KEY = { ...JSON.parse(JSON_JWK), kid: 'first' }
  const readKey = (value: string) => readClientJwk({ ATPROTO_OAUTH_CLIENT_JWK: value })

  test('16.2 the key and its kid, whatever a secret store did to it, and nothing else of it', () => {
    const { kty, crv, x, y, d } = JWK
    const text = JSON.stringify({ ...KEY, use: 'sig', alg: 'ES256' })
    for (const value of [text, `${text}\r\n`, `'${text}'`, text.replaceAll('"', '\\"'), encoded({ ...KEY })]) {
      expect(readKey(value)).toStrictEqual({ kty, crv, x, y, d, kid: 'first' })
    }
    expect(readClientJwk({})).toBeUndefined()
    expect(readKey('')).toBeUndefined()
  })

  test.each([
    ['16.2 without a kid', { ...KEY, kid: undefined }, 'no kid'],
    ['with an empty one', { ...KEY, kid: '' }, 'no kid'],
    ['with one that is no text', { ...KEY, kid: 1 }, 'no kid'],
    ['a public key', { ...KEY, d: undefined }, 'private'],
    ['another curve', { ...KEY, crv: 'P-384' }, 'private'],
    ['a set of keys', { keys: [KEY] }, 'private'],
  ])('%s is refused without being quoted', (_, value, why) => {
    const run = () => readKey(JSON.stringify(value))
    expect(run).toThrow(expect.objectContaining({ code: 'CLIENT_INVALID', message: expect.stringContaining(why) }))
    expect(run).not.toThrow(SECRET)
  })

  test('a count beside a bundle counts only for one without', () => {
    const beside = { ATPROTO_OAUTH_ROTATION: '7' }
    expect(read({ ATPROTO_OAUTH_SESSION: bundle(CREDENTIALS), ...beside })?.rotation).toBe(7)
    expect(read({ ATPROTO_OAUTH_SESSION: bundle({ ...CREDENTIALS, rotation: 3 }), ...beside })?.rotation).toBe(3)
  })

  test('a bundle remembers its name, and a damaged one does no harm', () => {
    const clientKey = { kid: 'first', thumbprint: 'T'.repeat(43) }
    const bundled = (value: unknown) => ({
      ATPROTO_OAUTH_SESSION: bundle({ ...CREDENTIALS, clientKey: value as typeof clientKey }),
    })
    expect(read(bundled(clientKey))).toMatchObject({ clientKey })
    // Of another form, it still refuses every other key.
    expect(read(bundled({ kid: 'first', thumbprint: 'b' }))?.clientKey).toStrictEqual({ kid: 'first', thumbprint: 'b' })
    for (const value of [null, 'first', { kid: 'first' }, { kid: 1, thumbprint: 'T' }]) {
      expect(read(bundled(value))?.clientKey).toBeUndefined()
    }
  })
})

describe('a leased access token with its key alone', () => {
  const jwt = (payload: unknown) => `${encoded({ typ: 'at+jwt' })}.${encoded(payload)}.signature`
  const { ATPROTO_OAUTH_DID: did, ...TWO } = LEASED

  test('is enough if the token names the account', () => {
    expect(read({ ...TWO, ATPROTO_OAUTH_ACCESS_TOKEN: jwt({ sub: did }) })).toMatchObject({ did })
    // What is said goes before what can be guessed.
    const other = { ...LEASED, ATPROTO_OAUTH_ACCESS_TOKEN: jwt({ sub: 'did:plc:another234567another2345' }) }
    expect(read(other)).toMatchObject({ did })
  })

  test.each([
    ['an opaque one', 'acc-canary'],
    ['one without a sub', jwt({})],
    ['one with another sub', jwt({ sub: 1 })],
  ])('is not for %s', (_, token) => {
    expect(refused({ ...TWO, ATPROTO_OAUTH_ACCESS_TOKEN: token })).toMatchObject({
      code: 'CREDENTIALS_INCOMPLETE',
      message: expect.stringContaining('ATPROTO_OAUTH_DID'),
    })
  })
})

test('the claims of an access token are read among others, as the PDS issues them', () => {
  const cnf = { jkt: 'thumbprint' }
  const payload = {
    jti: 'tok-1',
    sub: 'did:plc:x',
    iat: 1,
    exp: 2,
    aud: 'did:web:pds',
    cnf,
    client_id: 'c',
    iss: 'https://as',
  }
  const token = `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`
  expect(claimsOf(token)).toStrictEqual({ sub: 'did:plc:x', client_id: 'c', cnf })
})

test('a member of a bundle that is called server does not stand in for the PDS', () => {
  const text = Buffer.from(bundle(CREDENTIALS), 'base64url').toString()
  const planted = { ...JSON.parse(text), server: 'https://evil.example' }
  const env = { ATPROTO_OAUTH_SESSION: Buffer.from(JSON.stringify(planted)).toString('base64url') }
  expect(readCredentials(env, false)?.server).toBe(CREDENTIALS.server)
})
