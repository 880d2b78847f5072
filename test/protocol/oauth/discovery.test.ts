import { describe, expect, test } from 'vitest'
import type { Origin } from '../../../src/model.ts'
import { resolveDid } from '../../../src/protocol/identity/did.ts'
import {
  discoverFromAccount,
  discoverFromServer,
  fetchAuthorizationServer,
  fetchIssuer,
  locateAccount,
  validateAuthorizationServer,
  validateProtectedResource,
} from '../../../src/protocol/oauth/discovery.ts'
import { createFakeWorld, json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

const PDS = 'https://pds.fake.dev' as Origin
const AS = 'https://as.fake.dev' as Origin
const RESOURCE = { resource: PDS, authorization_servers: [AS] }
const SERVER: Record<string, unknown> = {
  issuer: AS,
  authorization_endpoint: `${AS}/authorize`,
  token_endpoint: `${AS}/token`,
  pushed_authorization_request_endpoint: `${AS}/par`,
  response_types_supported: ['code'],
  grant_types_supported: ['authorization_code', 'refresh_token'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
  token_endpoint_auth_signing_alg_values_supported: ['ES256'],
  scopes_supported: ['atproto'],
  dpop_signing_alg_values_supported: ['ES256'],
  authorization_response_iss_parameter_supported: true,
  require_pushed_authorization_requests: true,
  client_id_metadata_document_supported: true,
}

function judge(changes: Record<string, unknown>, resource: Origin | undefined = PDS) {
  return validateAuthorizationServer({ ...SERVER, ...changes }, AS, resource, false)
}

/** Rows 3.2 and 4.1: what is no JSON document at all. */
const ANSWERS: [string, () => Response, string][] = [
  ['201', () => json(201, {}), 'METADATA_INVALID'],
  ['204', () => new Response(null, { status: 204 }), 'METADATA_INVALID'],
  ['301', () => new Response(null, { status: 301, headers: { location: '/x' } }), 'METADATA_INVALID'],
  ['400', () => json(400, {}), 'METADATA_INVALID'],
  ['404', () => json(404, {}), 'OAUTH_UNSUPPORTED'],
  ['429', () => json(429, {}), 'RATE_LIMITED'],
  ['503', () => json(503, {}), 'SERVER_UNAVAILABLE'],
  ['text/json', () => new Response('{}', { headers: { 'content-type': 'text/json' } }), 'METADATA_INVALID'],
  ['JSON-LD', () => new Response('{}', { headers: { 'content-type': 'application/ld+json' } }), 'METADATA_INVALID'],
  ['no type', () => new Response(new Uint8Array([0x7b, 0x7d])), 'METADATA_INVALID'],
  ['a list', () => json(200, [RESOURCE]), 'METADATA_INVALID'],
  ['null', () => json(200, null), 'METADATA_INVALID'],
  ['half of it', () => new Response('{"a":', { headers: { 'content-type': 'application/json' } }), 'METADATA_INVALID'],
  ['too much', () => json(200, { ...RESOURCE, ...SERVER, x: 'x'.repeat(524_288) }), 'METADATA_INVALID'],
]

describe('protected-resource metadata', () => {
  test('3.1 fetched from its path', async () => {
    const world = createFakeWorld()
    expect(await fetchIssuer(PDS, world)).toBe(AS)
    expect(world.requests.map(({ url }) => url)).toStrictEqual([`${PDS}/.well-known/oauth-protected-resource`])
  })

  test.each(ANSWERS)('3.2 %s', async (_, answer, code) => {
    const world = createFakeWorld({ faults: { httpFault: answer } })
    expect(await failure(() => fetchIssuer(PDS, world))).toMatchObject({ code })
    expect(world.requests).toHaveLength(1)
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON;x=y'])('3.2 %s is good', async (type) => {
    const answer = () => new Response(JSON.stringify(RESOURCE), { headers: { 'content-type': type } })
    expect(await fetchIssuer(PDS, createFakeWorld({ faults: { httpFault: answer } }))).toBe(AS)
  })

  test.each([undefined, 'https://evil.dev', `${PDS}/`, `${PDS}:8443`, 'https://PDS.fake.dev', [PDS], null])(
    '3.3 resource %j',
    async (resource) => {
      expect(await failure(() => validateProtectedResource({ ...RESOURCE, resource }, PDS, false))).toMatchObject({
        code: 'METADATA_INVALID',
        message: expect.stringContaining('for another resource'),
      })
    },
  )

  test.each([undefined, [], [AS, AS], [7], [null], AS, { 0: AS, length: 1 }])(
    '3.4 authorization_servers %j',
    async (authorization_servers) => {
      const document = { ...RESOURCE, authorization_servers }
      expect(await failure(() => validateProtectedResource(document, PDS, false))).toMatchObject({
        code: 'METADATA_INVALID',
        message: expect.stringContaining('exactly one'),
      })
    },
  )

  test.each([
    'https://as/',
    'https://as/p',
    'https://as:443',
    'https://AS',
    'http://as',
    'https://u@as',
    'https://as?x',
  ])('3.5 issuer %s', async (issuer) => {
    const document = { ...RESOURCE, authorization_servers: [issuer] }
    expect(await failure(() => validateProtectedResource(document, PDS, false))).toMatchObject({
      code: 'METADATA_INVALID',
      message: expect.stringContaining('not an https origin'),
    })
  })

  test('3.5 a port of its own; 20.3 http with --dev; 3.7 more members', () => {
    expect(validateProtectedResource({ ...RESOURCE, scopes_supported: 7, extra: {} }, PDS, false)).toBe(AS)
    expect(validateProtectedResource({ ...RESOURCE, authorization_servers: ['https://as:8443'] }, PDS, false)).toBe(
      'https://as:8443',
    )
    expect(validateProtectedResource({ ...RESOURCE, authorization_servers: ['http://as'] }, PDS, true)).toBe(
      'http://as',
    )
  })

  test('3.8 an issuer on a private address is refused by the guard', async () => {
    const world = createFakeWorld()
    expect(await failure(() => fetchAuthorizationServer('https://10.0.0.1' as Origin, PDS, world))).toMatchObject({
      code: 'ADDRESS_REFUSED',
    })
  })
})

describe('authorization-server metadata', () => {
  test('4.1 fetched from its path', async () => {
    const world = createFakeWorld()
    expect(await fetchAuthorizationServer(AS, PDS, world)).toStrictEqual({
      issuer: AS,
      authorization_endpoint: `${AS}/oauth/authorize`,
      token_endpoint: `${AS}/oauth/token`,
      pushed_authorization_request_endpoint: `${AS}/oauth/par`,
      revocation_endpoint: `${AS}/oauth/revoke`,
    })
    expect(world.requests.map(({ url }) => url)).toStrictEqual([`${AS}/.well-known/oauth-authorization-server`])
  })

  test.each(ANSWERS)('4.1 %s', async (_, answer, code) => {
    const world = createFakeWorld({ faults: { httpFault: answer } })
    expect(await failure(() => fetchAuthorizationServer(AS, PDS, world))).toMatchObject({ code })
    expect(world.requests).toHaveLength(1)
  })

  test('4.15, 4.17 what is here is enough, more is ignored', () => {
    const more = { require_request_uri_registration: true, jwks_uri: 7, prompt_values_supported: 'x', extra: null }
    expect(Object.keys(judge(more))).toStrictEqual([
      'issuer',
      'authorization_endpoint',
      'token_endpoint',
      'pushed_authorization_request_endpoint',
    ])
  })

  const urls = ['javascript:alert(1)', 'http://as.fake.dev/x', 'file:///etc/passwd', '/oauth', '', 7, null, [`${AS}/x`]]
  const badUrls = [...urls, `${AS}/x#frag`, `${AS}/x#`, 'https://u:p@as.fake.dev/x']
  test.each<[string, string, unknown[]]>([
    ['4.2', 'issuer', [undefined, `${AS}/`, 'https://AS.fake.dev', `${AS}:443`, 'https://evil.dev', [AS]]],
    ['4.4', 'authorization_endpoint', [undefined, ...badUrls]],
    ['4.4', 'token_endpoint', [undefined, ...badUrls]],
    ['4.4', 'pushed_authorization_request_endpoint', [undefined, ...badUrls]],
    ['4.17', 'revocation_endpoint', badUrls],
    ['4.5', 'response_types_supported', [undefined, ['token'], 'code', { 0: 'code' }]],
    ['4.6', 'grant_types_supported', [undefined, ['authorization_code'], ['refresh_token'], 7]],
    ['4.7', 'code_challenge_methods_supported', [undefined, ['plain'], 'S256']],
    ['4.8', 'token_endpoint_auth_methods_supported', [undefined, ['none'], ['private_key_jwt']]],
    ['4.10', 'scopes_supported', [undefined, 'atproto', ['openid'], ['atprotofoo']]],
    ['4.11', 'authorization_response_iss_parameter_supported', [undefined, false, 'true', 1]],
    ['4.12', 'require_pushed_authorization_requests', [undefined, false, 'true']],
    ['4.13', 'dpop_signing_alg_values_supported', [undefined, ['RS256'], 'ES256']],
    ['4.14', 'client_id_metadata_document_supported', [undefined, false, 'true']],
    ['4.15', 'require_request_uri_registration', [false, 'true', null]],
  ])('%s %s', async (_, field, values) => {
    for (const value of values) {
      const error = await failure(() => judge({ [field]: value }))
      expect(error, JSON.stringify(value)).toMatchObject({
        code: 'METADATA_INVALID',
        message: expect.stringContaining(`specification: ${field}`),
      })
      expect(error.message, JSON.stringify(value)).not.toContain(';')
    }
  })

  test.each([
    [undefined, 'lacks ES256'],
    [['RS256'], 'lacks ES256'],
    [['ES256', 'none'], 'may be unsigned'],
  ])('4.9 token_endpoint_auth_signing_alg_values_supported %j', async (algorithms, why) => {
    expect(await failure(() => judge({ token_endpoint_auth_signing_alg_values_supported: algorithms }))).toMatchObject({
      code: 'METADATA_INVALID',
      message: expect.stringContaining(why),
    })
  })

  test.each([[[]], [['https://other.dev']], [PDS], [null]])(
    '4.16 protected_resources %j',
    async (protected_resources) => {
      expect(await failure(() => judge({ protected_resources }))).toMatchObject({
        code: 'METADATA_INVALID',
        message: expect.stringContaining(`protected_resources does not list ${PDS}`),
      })
    },
  )

  test('4.16 a list with our PDS, and any list if no PDS is known', () => {
    expect(judge({ protected_resources: ['https://other.dev', PDS] }).issuer).toBe(AS)
    expect(validateAuthorizationServer({ ...SERVER, protected_resources: [] }, AS, undefined, false).issuer).toBe(AS)
  })

  test('4.4 endpoints may be on another host, and keep their query', () => {
    const elsewhere = 'https://login.fake.dev/authorize?tenant=1'
    expect(judge({ authorization_endpoint: elsewhere }).authorization_endpoint).toBe(elsewhere)
  })

  test('4.18 every fault is named at once, and none is forgiven', async () => {
    const { message } = await failure(() => judge({ scopes_supported: [], token_endpoint: 'http://x' }))
    expect(message).toMatch(/scopes_supported lacks atproto; token_endpoint is "http:\/\/x"$/)
  })
})

describe('from an account', () => {
  const paths = ({ requests }: { requests: readonly { url: string }[] }) =>
    requests.map(({ url }) => new URL(url).pathname)

  test('DID document, PDS, issuer, and the metadata of the issuer', async () => {
    const world = createFakeWorld()
    const { did } = world.alice
    expect(await discoverFromAccount(did, {}, world)).toMatchObject({ server: { issuer: AS }, pds: PDS })
    expect(paths(world)).toStrictEqual([
      `/${did}`,
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-authorization-server',
    ])
  })

  test('without the metadata, and without a DID document that was fetched just now', async () => {
    const world = createFakeWorld()
    const identity = await resolveDid(world.alice.did, world)
    expect(await locateAccount(identity, {}, world)).toStrictEqual({
      claimedHandle: 'alice.fake.dev',
      pds: PDS,
      issuer: AS,
    })
    expect(paths(world)).toStrictEqual([`/${world.alice.did}`, '/.well-known/oauth-protected-resource'])
  })

  test('an issuer that is not expected is asked nothing', async () => {
    const world = createFakeWorld()
    const found: unknown[] = []
    const verify = async (location: unknown) => {
      found.push(location)
      throw new Error('moved')
    }
    await expect(discoverFromAccount(world.alice.did, { verify }, world)).rejects.toThrow('moved')
    expect(found).toStrictEqual([{ claimedHandle: 'alice.fake.dev', pds: PDS, issuer: AS }])
    expect(world.requests.filter(({ url }) => url.startsWith(AS))).toStrictEqual([])
  })

  test('the issuer has to serve the PDS', async () => {
    const world = createFakeWorld()
    world.faults.mutateAuthorizationServer = (document) => ({ ...document, protected_resources: [AS] })
    expect(await failure(() => discoverFromAccount(world.alice.did, {}, world))).toMatchObject({
      code: 'METADATA_INVALID',
    })
  })
})

describe('4.20 from a server', () => {
  test('that is a PDS', async () => {
    const world = createFakeWorld()
    expect(await discoverFromServer(PDS, {}, world)).toMatchObject({ issuer: AS })
  })

  test('3.6 that is an authorization server', async () => {
    const world = createFakeWorld()
    expect(await discoverFromServer(AS, {}, world)).toMatchObject({ issuer: AS })
    expect(world.requests.map(({ url }) => new URL(url).pathname)).toStrictEqual([
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-authorization-server',
    ])
  })

  test('4.21 that is neither: OpenID is not tried', async () => {
    const world = createFakeWorld()
    world.serve('https://www.fake.dev', () => new Response('', { status: 404 }))
    expect(await failure(() => discoverFromServer('https://www.fake.dev' as Origin, {}, world))).toMatchObject({
      code: 'OAUTH_UNSUPPORTED',
    })
    expect(world.requests).toHaveLength(2)
  })

  test.each(ANSWERS.filter(([name]) => name !== '404'))('3.2 no fallback after %s', async (_, answer, code) => {
    const world = createFakeWorld({ faults: { httpFault: answer } })
    expect(await failure(() => discoverFromServer(PDS, {}, world))).toMatchObject({ code })
    expect(world.requests).toHaveLength(1)
  })
})
