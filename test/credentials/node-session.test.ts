import { describe, expect, test } from 'vitest'
import { fromNodeSession, nodeSessionClientId, toNodeSession } from '../../src/credentials/node-session.ts'
import type { ClientJwk, Did, Origin, PrivateJwk } from '../../src/model.ts'
import { generateClientJwk } from '../../src/protocol/oauth/client-auth.ts'
import { generateDpopJwk, importDpopKey } from '../../src/protocol/oauth/dpop.ts'
import { failure } from '../support/failure.ts'
import { generateSecp256k1Jwk } from '../support/keys.ts'
import { set } from './helpers.ts'

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' as Did
const clientId = 'http://localhost?scope=atproto'
const HOSTED = 'https://app.example.com/client.json'
const dpopJwk: PrivateJwk = await generateDpopJwk()
const { thumbprint } = await importDpopKey(dpopJwk)
const clientJwk: ClientJwk = await generateClientJwk()

const jwt = (claims: object) =>
  ['e30', Buffer.from(JSON.stringify(claims)).toString('base64url'), 'canary-signature'].join('.')
const CLAIMS = { sub: did, client_id: clientId, cnf: { jkt: thumbprint } }

/** A value as the library's own store has it: `privateJwk` of its key, and what else its versions put there. */
const SAVED = {
  dpopJwk: { ...dpopJwk, alg: 'ES256', kid: '1' },
  authMethod: { method: 'none' },
  tokenSet: {
    iss: 'https://as.example.com',
    sub: did,
    aud: 'https://pds.example.com/',
    scope: 'atproto transition:generic',
    refresh_token: 'ref-canary',
    access_token: jwt(CLAIMS),
    token_type: 'DPoP',
    expires_at: '2026-01-02T03:04:05.678Z',
  },
}
const tokens = (change: object) => ({ ...SAVED, tokenSet: { ...SAVED.tokenSet, ...change } })
const read = (value: unknown, more: object = {}) => fromNodeSession(value, { clientId, ...more })

test('a stored session is read, and made of the same credentials again', async () => {
  const credentials = await read(SAVED)
  expect(set(credentials)).toStrictEqual({
    did,
    clientId,
    dpopPrivateJwk: dpopJwk,
    server: 'https://pds.example.com',
    issuer: 'https://as.example.com',
    refreshToken: 'ref-canary',
    accessToken: SAVED.tokenSet.access_token,
    accessTokenExpiresAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    scope: 'atproto transition:generic',
    thumbprint,
  })
  expect(toNodeSession(credentials)).toStrictEqual({ ...SAVED, dpopJwk: { ...dpopJwk, alg: 'ES256' } })
})

test('26.15 a secp256k1 key, which the library makes where ES256K is listed first: there and back', async () => {
  const jwk = generateSecp256k1Jwk()
  const key = { ...jwk, alg: 'ES256K' }
  const jkt = (await importDpopKey(jwk)).thumbprint
  const saved = { ...tokens({ access_token: jwt({ ...CLAIMS, cnf: { jkt } }) }), dpopJwk: key }
  const credentials = await read({ ...saved, dpopJwk: { ...key, kid: '1' } })
  expect(credentials).toMatchObject({ dpopPrivateJwk: jwk, thumbprint: jkt })
  expect(toNodeSession(credentials)).toStrictEqual(saved)
  expect((await failure(read({ ...SAVED, dpopJwk: key }))).message).toMatch(/dpopJwk is not the key/)
})

test('members that some versions omit: the client authentication, and the expiry of the access token', async () => {
  const { authMethod, ...earliest } = SAVED
  const { expires_at, ...endless } = SAVED.tokenSet
  const credentials = await read({ ...earliest, tokenSet: endless })
  expect(credentials.accessTokenExpiresAt).toBeUndefined()
  expect(toNodeSession(credentials)).toStrictEqual({
    ...SAVED,
    dpopJwk: { ...dpopJwk, alg: 'ES256' },
    tokenSet: endless,
  })
})

test('an access token that tells nothing is no reason to doubt', async () => {
  for (const access_token of ['opaque', 'a.b.c', jwt({}), jwt({ sub: 7, cnf: 'x', client_id: null })]) {
    expect((await read(tokens({ access_token }))).accessToken).toBe(access_token)
  }
})

describe('what is wrong is named, and no secret quoted:', () => {
  const INVALID = 'CREDENTIALS_INVALID'
  test.each<[string, unknown, string, RegExp]>([
    ['nothing', null, INVALID, /^the session is not an object/],
    ['a list', [SAVED], INVALID, /^the session is not an object/],
    ['a text', JSON.stringify(SAVED), INVALID, /^the session is not an object/],
    ['a whole store', { [did]: SAVED }, INVALID, /whole session store/],
    ['no tokens', { ...SAVED, tokenSet: undefined }, INVALID, /^tokenSet is missing/],
    ['no key', { ...SAVED, dpopJwk: undefined }, INVALID, /^dpopJwk is missing/],
    ['a key as text', { ...SAVED, dpopJwk: JSON.stringify(dpopJwk) }, INVALID, /^dpopJwk is not an object/],
    ['a public key', { ...SAVED, dpopJwk: { ...dpopJwk, d: undefined } }, INVALID, /private P-256 or secp256k1 JWK$/],
    ['another curve', { ...SAVED, dpopJwk: { ...dpopJwk, crv: 'P-384' } }, INVALID, /private P-256/],
    ['halves of two keys', { ...SAVED, dpopJwk: { ...dpopJwk, d: clientJwk.d } }, INVALID, /valid P-256/],
    ['a handle', tokens({ sub: 'alice.example.com' }), INVALID, /sub is not an atproto DID/],
    ['another DID method', tokens({ sub: 'did:key:z6Mk' }), INVALID, /sub is not an atproto DID/],
    ['no account', tokens({ sub: undefined }), INVALID, /sub is missing/],
    ['a number', tokens({ sub: 7 }), INVALID, /sub is not a string/],
    ['an issuer without TLS', tokens({ iss: 'http://as.example.com' }), INVALID, /iss is not an https origin/],
    ['an issuer with a path', tokens({ iss: 'https://as.example.com/x' }), INVALID, /iss is not an https origin/],
    ['an issuer with a password', tokens({ iss: 'https://canary-pw@as.example.com' }), INVALID, /iss is not an https/],
    ['a PDS that is none', tokens({ aud: 'pds.example.com' }), INVALID, /aud is not an https origin/],
    ['bearer tokens', tokens({ token_type: 'Bearer' }), INVALID, /token_type is not DPoP/],
    ['a scope without atproto', tokens({ scope: 'transition:generic' }), INVALID, /scope/],
    ['a scope with a line', tokens({ scope: 'atproto \n::x' }), INVALID, /scope/],
    ['no refresh token', tokens({ refresh_token: undefined }), INVALID, /refresh_token is missing/],
    ['an empty one', tokens({ refresh_token: '' }), INVALID, /refresh_token is missing/],
    [
      'a refresh token with a line',
      tokens({ refresh_token: 'ref-canary\n' }),
      INVALID,
      /refresh_token contains invalid characters/,
    ],
    ['no access token', tokens({ access_token: undefined }), INVALID, /access_token is missing/],
    ['no time', tokens({ expires_at: 'soon' }), INVALID, /expires_at is not a timestamp/],
    ['a time as a number', tokens({ expires_at: 1767323045 }), INVALID, /expires_at is not a string/],
    [
      'an unknown way to authenticate',
      { ...SAVED, authMethod: { method: 'client_secret_jwt' } },
      INVALID,
      /authMethod/,
    ],
    ['a client key without a name', { ...SAVED, authMethod: { method: 'private_key_jwt' } }, INVALID, /kid is missing/],
    [
      'a client key of a client that has none',
      { ...SAVED, authMethod: { method: 'private_key_jwt', kid: 'k' } },
      'CREDENTIALS_MISMATCH',
      /localhost.* has none/,
    ],
    [
      'the key of another session',
      tokens({ access_token: jwt({ ...CLAIMS, cnf: { jkt: 'x' } }) }),
      'CREDENTIALS_MISMATCH',
      /dpopJwk is not the key/,
    ],
    [
      'the token of another account',
      tokens({ access_token: jwt({ ...CLAIMS, sub: 'did:plc:x' }) }),
      'CREDENTIALS_MISMATCH',
      /another account/,
    ],
    [
      'another client',
      tokens({ access_token: jwt({ ...CLAIMS, client_id: HOSTED }) }),
      'CREDENTIALS_MISMATCH',
      /created with the client_id https:\/\/app\.example\.com\/client\.json, not http:\/\/localhost/,
    ],
  ])('%s', async (_, value, code, message) => {
    const error = await failure(read(value))
    expect(error).toMatchObject({ code, session: 'alive' })
    expect(error.message).toMatch(message)
    expect(`${error.message} ${JSON.stringify(error.facts)} ${error.cause}`).not.toMatch(/canary|ref-/)
    expect(`${error.message} ${JSON.stringify(error.facts)}`).not.toContain(dpopJwk.d)
  })
})

describe('the key of a confidential client', () => {
  const access_token = jwt({ ...CLAIMS, client_id: HOSTED })
  const confidential = {
    ...tokens({ access_token }),
    authMethod: { method: 'private_key_jwt', kid: clientJwk.kid },
  }
  const hosted = { clientId: HOSTED, clientJwk }

  test('is known by its name afterwards, both ways', async () => {
    const credentials = await read(confidential, hosted)
    expect(credentials.clientKey).toStrictEqual({ kid: clientJwk.kid, thumbprint: clientJwk.kid })
    expect(toNodeSession(credentials).authMethod).toStrictEqual(confidential.authMethod)
  })

  test('has to be there, and the one that it was', async () => {
    const missing = await failure(read(confidential, { clientId: HOSTED }))
    expect(missing).toMatchObject({
      code: 'CREDENTIALS_INCOMPLETE',
      facts: { reason: 'client-key-needed', clientId: HOSTED, kid: clientJwk.kid },
    })
    const other = await generateClientJwk()
    const wrong = await failure(read(confidential, { clientId: HOSTED, clientJwk: other }))
    expect(wrong).toMatchObject({ code: 'CREDENTIALS_MISMATCH', message: expect.stringContaining(other.kid) })
    expect(wrong.message).not.toContain(other.d)
  })

  test('is not used for a session that was made without', async () => {
    const error = await failure(read(tokens({ access_token }), hosted))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', facts: { reason: 'client-key-unwanted' } })
    // The loopback client has none, whatever is set.
    expect((await read(SAVED, { clientJwk })).clientKey).toBeUndefined()
  })
})

test('http: servers only in development', async () => {
  const value = tokens({ iss: 'http://localhost:1', aud: 'http://localhost:1/' })
  expect(await read(value, { dev: true })).toMatchObject({ issuer: 'http://localhost:1' as Origin })
})

test('a session without all its parts is not handed over', async () => {
  const { accessToken, issuer, ...rest } = await read(SAVED)
  expect(() => toNodeSession(rest)).toThrow(/missing accessToken, issuer$/)
  const odd = { ...rest, accessToken, issuer, scope: 'transition:generic' }
  expect(() => toNodeSession(odd)).toThrow(expect.objectContaining({ code: 'CREDENTIALS_INVALID' }))
})

test('the client_id that a token names can be asked for', () => {
  expect(nodeSessionClientId(SAVED)).toBe(clientId)
  for (const value of [null, 7, {}, { tokenSet: null }, tokens({ access_token: 'opaque' })]) {
    expect(nodeSessionClientId(value)).toBeUndefined()
  }
})
