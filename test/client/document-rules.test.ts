import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { clientFaults, validateClientDocument } from '../../src/client/document-rules.ts'
import { findClientFaults } from '../../src/client/fetch.ts'
import { generateClientJwk, publicClientJwk } from '../../src/protocol/oauth/client-auth.ts'
import { cirrusRefuses, referenceRefuses } from '../support/client-judges.ts'
import { createFakeWorld, json } from '../support/fake-atproto.ts'

const clientId = 'https://app.fake.dev/bot/oauth-client-metadata.json'
const DOCUMENT = {
  client_id: clientId,
  client_uri: 'https://app.fake.dev',
  redirect_uris: ['https://app.fake.dev/bot/callback/'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'atproto transition:generic',
  token_endpoint_auth_method: 'none',
  dpop_bound_access_tokens: true,
}
const PRIVATE = await generateClientJwk()
const { alg: _, use: __, ...KEY } = publicClientJwk(PRIVATE)
const CONFIDENTIAL = {
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  jwks: { keys: [KEY] },
}

const judge = (changes: object) => validateClientDocument({ ...DOCUMENT, ...changes }, { clientId })

/** Whether a server refuses it whose code is known. */
async function isRefused(changes: object): Promise<boolean> {
  const fetched = () => json(200, JSON.parse(JSON.stringify({ ...DOCUMENT, ...changes })))
  const refusals = [referenceRefuses(clientId, fetched, PRIVATE), cirrusRefuses(clientId, fetched, PRIVATE)]
  return (await Promise.all(refusals)).includes(true)
}

describe('documents without fault', () => {
  test.each<[string, object]>([
    ['5.3 a public one', {}],
    ['5.4 web, written out', { application_type: 'web' }],
    ['5.7 a confidential one', CONFIDENTIAL],
    ['5.7 its key for signing', { ...CONFIDENTIAL, jwks: { keys: [{ ...KEY, use: 'sig', key_ops: ['verify'] }] } }],
    ['5.7 a key of another kind too', { ...CONFIDENTIAL, jwks: { keys: [{ kty: 'RSA', kid: 'two' }, KEY] } }],
    ['5.7 its keys elsewhere', { ...CONFIDENTIAL, jwks: undefined, jwks_uri: 'https://keys.fake.dev/jwks.json' }],
    [
      '5.10 a native one with each kind of redirect',
      {
        application_type: 'native',
        redirect_uris: ['https://app.fake.dev/cb', 'http://127.0.0.1/cb', 'http://[::1]/', 'dev.fake.app:/cb'],
      },
    ],
    ['5.10 a web one that returns elsewhere', { redirect_uris: ['https://www.fake.dev/cb'] }],
    ['5.12 its home a folder above', { client_uri: 'https://app.fake.dev/bot', logo_uri: 'https://img.fake.dev/1' }],
  ])('%s', async (_, changes) => {
    expect(judge(changes)).toStrictEqual([])
    if (!('jwks_uri' in changes)) expect(await isRefused(changes)).toBe(false)
  })

  test('5.2 ours, on any host', () => {
    const template = readFileSync('oauth-templates/oauth-client-metadata.json', 'utf8')
    const document = JSON.parse(template.replaceAll('example.com', 'bot.fake.dev'))
    expect(validateClientDocument(document, { clientId: document.client_id })).toStrictEqual([])
  })
})

describe('each fault by itself', () => {
  const withKey = (changes: object) => ({ ...CONFIDENTIAL, jwks: { keys: [{ ...KEY, ...changes }] } })
  test.each<[string, object, string]>([
    ['5.2 another client_id', { client_id: `${clientId}/` }, 'client_id must be'],
    ['5.2 no client_id', { client_id: undefined }, 'client_id must be'],
    ['5.3 no redirects', { redirect_uris: undefined }, 'redirect_uris is missing or empty'],
    ['5.3 an empty list of redirects', { redirect_uris: [] }, 'redirect_uris is missing or empty'],
    [
      '5.3 a redirect of another type',
      { redirect_uris: [...DOCUMENT.redirect_uris, 7] },
      'redirect_uris is missing or empty',
    ],
    ['5.3 no code grant', { grant_types: ['refresh_token'] }, 'grant_types lacks authorization_code'],
    ['5.3 no refresh grant', { grant_types: ['authorization_code'] }, 'grant_types lacks refresh_token'],
    ['5.3 no response type', { response_types: undefined }, 'response_types lacks code'],
    ['5.3 no scope', { scope: undefined }, 'scope lacks atproto'],
    ['5.3 a scope without atproto', { scope: 'atprotofoo transition:generic' }, 'scope lacks atproto'],
    ['5.3 a list for a scope', { scope: ['atproto'] }, 'scope lacks atproto'],
    ['5.3 tokens not bound', { dpop_bound_access_tokens: undefined }, 'dpop_bound_access_tokens is not true'],
    ['5.3 bound in words', { dpop_bound_access_tokens: 'true' }, 'dpop_bound_access_tokens is not true'],
    ['5.4 another type', { application_type: 'browser' }, 'application_type is neither'],
    ['5.5 no method', { token_endpoint_auth_method: undefined }, 'token_endpoint_auth_method must be none or'],
    ['5.6 none with an algorithm', { token_endpoint_auth_signing_alg: 'ES256' }, 'token_endpoint_auth_signing_alg'],
    ['5.7 no algorithm', { ...CONFIDENTIAL, token_endpoint_auth_signing_alg: undefined }, 'must be ES256'],
    ['5.7 no keys', { ...CONFIDENTIAL, jwks: undefined }, 'jwks or jwks_uri'],
    ['5.7 keys here and elsewhere', { ...CONFIDENTIAL, jwks_uri: 'https://k.fake.dev/' }, 'jwks or jwks_uri'],
    ['5.7 keys over http', { ...CONFIDENTIAL, jwks: undefined, jwks_uri: 'http://k.fake.dev/' }, 'jwks_uri is not'],
    ['5.7 an empty set', { ...CONFIDENTIAL, jwks: { keys: [] } }, 'jwks has no keys'],
    ['5.7 no set', { ...CONFIDENTIAL, jwks: null }, 'jwks has no keys'],
    ['5.7 no key', { ...CONFIDENTIAL, jwks: { keys: [KEY, 'x'] } }, 'jwks.keys[1] is not a key'],
    ['5.7 a private key', withKey({ d: 'secret' }), 'jwks.keys[0] is a private key'],
    ['5.7 a private key of a public client', { jwks: { keys: [{ ...KEY, d: 's' }] } }, 'jwks.keys[0] is a private key'],
    ['5.7 another curve', withKey({ crv: 'P-384' }), 'jwks has no key for ES256'],
    ['5.7 another kind of key', withKey({ kty: 'OKP' }), 'jwks has no key for ES256'],
    ['5.7 no kid', withKey({ kid: undefined }), 'jwks.keys[0] has no kid'],
    ['5.7 an empty kid', withKey({ kid: '' }), 'jwks.keys[0] has no kid'],
    ['5.7 a key to encrypt with', withKey({ use: 'enc' }), 'jwks.keys[0] has a use'],
    ['5.7 a key to sign with', withKey({ key_ops: ['sign'] }), 'jwks.keys[0] has key_ops'],
    [
      '5.8 a native confidential one',
      { ...CONFIDENTIAL, application_type: 'native' },
      'application_type native requires the method none',
    ],
    ['5.9 a web one with loopback', { redirect_uris: ['http://127.0.0.1/cb'] }, 'requires application_type native'],
    ['5.9 a web one with a scheme', { redirect_uris: ['dev.fake.app:/cb'] }, 'requires application_type native'],
    [
      '5.10 a native one that returns elsewhere',
      { application_type: 'native', redirect_uris: ['https://www.fake.dev/cb'] },
      'must be on https://app.fake.dev',
    ],
    ['5.10 localhost', { application_type: 'native', redirect_uris: ['http://localhost/cb'] }, 'which servers reject'],
    ['5.10 half the host', { application_type: 'native', redirect_uris: ['dev.fake:/cb'] }, 'which servers reject'],
    ['5.10 two slashes', { application_type: 'native', redirect_uris: ['dev.fake.app://cb'] }, 'which servers reject'],
    ['5.11 a fragment', { redirect_uris: ['https://app.fake.dev/cb#x'] }, 'which servers reject'],
    ['5.11 a password', { redirect_uris: ['https://u:p@app.fake.dev/cb'] }, 'which servers reject'],
    ['5.12 a home elsewhere', { client_uri: 'https://www.fake.dev' }, 'client_uri must be'],
    ['5.12 a home beside', { client_uri: 'https://app.fake.dev/bo' }, 'client_uri must be'],
    ['5.12 a home that is no URL', { client_uri: 7 }, 'client_uri must be'],
    ['5.12 a picture over http', { logo_uri: 'http://app.fake.dev/logo.png' }, 'logo_uri is not an https URL'],
    ['5.12 terms that are no URL', { tos_uri: 'terms' }, 'tos_uri is not an https URL'],
    ['5.13 a secret', { client_secret: 'x' }, 'client_secret is not allowed'],
    ['5.13 a secret’s end', { client_secret_expires_at: 0 }, 'client_secret_expires_at is not allowed'],
    [
      '5.13 a method with a secret',
      { token_endpoint_auth_method: 'client_secret_basic' },
      'must be none or private_key_jwt',
    ],
    ['5.14 a scope twice', { scope: 'atproto repo:* repo:*' }, 'scope contains a duplicate'],
    [
      '5.14 a grant twice',
      { grant_types: [...DOCUMENT.grant_types, 'refresh_token'] },
      'grant_types contains implicit',
    ],
    ['5.14 implicit', { grant_types: [...DOCUMENT.grant_types, 'implicit'] }, 'grant_types contains implicit'],
    ['5.14 default_max_age', { default_max_age: 1 }, 'default_max_age is not allowed'],
    ['5.14 userinfo', { userinfo_signed_response_alg: 'ES256' }, 'userinfo_signed_response_alg is not allowed'],
    ['5.14 id_token', { id_token_signed_response_alg: 'ES256' }, 'id_token_signed_response_alg is not allowed'],
    ['5.14 mTLS', { tls_client_certificate_bound_access_tokens: true }, 'tls_client_certificate_bound_access_tokens'],
  ])('%s', (_, changes, fault) => {
    const faults = clientFaults({ ...DOCUMENT, ...changes }, { clientId })
    expect(faults).toStrictEqual([
      {
        level: 'error',
        message: expect.stringContaining(fault),
        consequence: expect.stringMatching(/./),
        fix: expect.stringMatching(/./),
      },
    ])
  })

  test('5.2 to 5.14 a value without fault is one that no server refuses', async () => {
    const fields = ['client_id', 'client_uri', 'redirect_uris', 'grant_types', 'response_types', 'scope']
    const others = ['application_type', 'token_endpoint_auth_method', 'token_endpoint_auth_signing_alg', 'jwks']
    const more = ['dpop_bound_access_tokens', 'logo_uri', 'tos_uri', 'policy_uri', 'default_max_age']
    const values = [undefined, null, true, false, 0, '', 'none', 'code', 'https://app.fake.dev', [], ['code'], {}]
    const changed = [{}, CONFIDENTIAL].flatMap((base) =>
      [...fields, ...others, ...more].flatMap((field) => values.map((value) => ({ ...base, [field]: value }))),
    )
    const good = changed.filter((changes) => judge(changes).length === 0)
    expect(good.length).toBeGreaterThan(20)
    for (const changes of good) expect(await isRefused(changes), JSON.stringify(changes)).toBe(false)
  })

  test('5.15 scopes count as they are spelled, and the redirect too', () => {
    const scope = 'atproto rpc?lxm=a.b.c&aud=*'
    const use = { clientId, redirectUri: 'https://app.fake.dev/bot/callback' }
    expect(validateClientDocument({ ...DOCUMENT, scope }, { ...use, scope: 'atproto rpc:a.b.c?aud=*' })).toStrictEqual([
      'scope does not declare rpc:a.b.c?aud=*',
      `redirect_uris lacks ${use.redirectUri}`,
    ])
    const redirectUri = DOCUMENT.redirect_uris[0]!
    expect(validateClientDocument({ ...DOCUMENT, scope }, { clientId, redirectUri, scope })).toStrictEqual([])
  })
})

describe('5.2 the document as it is published', () => {
  test('is fetched once, and validated', async () => {
    const world = createFakeWorld()
    world.serve('https://app.fake.dev', () => json(200, { ...DOCUMENT, scope: 'atproto' }))
    expect(await findClientFaults({ clientId, scope: 'atproto repo:*' }, world)).toStrictEqual([
      'scope does not declare repo:*',
    ])
    expect(world.requests.map(({ method, url }) => `${method} ${url}`)).toStrictEqual([`GET ${clientId}`])
  })

  test.each<[string, () => Response, ...string[]]>([
    ['404', () => json(404, {}), 'no client document at'],
    ['201', () => json(201, DOCUMENT), 'status 201'],
    ['a redirect', () => json(301, {}, { location: 'https://www.fake.dev/' }), 'redirects to'],
    ['HTML', () => new Response('<p>', { headers: { 'content-type': 'text/html' } }), 'text/html', 'JSON'],
    ['a list', () => json(200, [DOCUMENT]), 'JSON'],
    ['a server that is down', () => json(503, {}), 'returned 503'],
  ])('%s is all that is wrong with it', async (_, answer, ...why) => {
    const world = createFakeWorld({ faults: { httpFault: answer } })
    expect(await findClientFaults({ clientId }, world)).toStrictEqual(why.map((part) => expect.stringContaining(part)))
    expect(world.requests).toHaveLength(1)
  })
})
