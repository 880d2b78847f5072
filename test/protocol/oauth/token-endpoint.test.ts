import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { anyToken, parseTokenResponse } from '../../../src/protocol/oauth/token-endpoint.ts'
import { createFakeWorld, type FakeWorld, type Fault, json } from '../../support/fake-atproto.ts'
import { agentOf, failure, pendingOf, serverOf } from '../helpers.ts'

const NOW = 1_700_000_000_000
const clock = { now: () => NOW }
const TOKENS = {
  access_token: 'at-1',
  token_type: 'DPoP',
  refresh_token: 'ref-1',
  expires_in: 3600,
  sub: 'did:plc:alice234567alice234567ab',
  scope: 'atproto transition:generic',
}

function judge(changes: Record<string, unknown>) {
  return parseTokenResponse({ ...TOKENS, ...changes }, false, clock)
}

async function exchange(world: FakeWorld) {
  const { redirectUri, codeVerifier } = pendingOf(world)
  return (await agentOf(world)).exchange({ code: 'cod-1', redirectUri, codeVerifier })
}

async function refresh(world: FakeWorld) {
  return (await agentOf(world, { clientId: 'http://localhost' })).refresh('ref-1')
}

const faulty = (fault: () => Fault) => createFakeWorld({ faults: { httpFault: fault } })
const bodyOf = (world: FakeWorld) => [...new URLSearchParams(world.requests.at(-1)!.body)].sort()

describe('10.5 to 10.12 the token response', () => {
  test('a good one', () => {
    expect(judge({})).toStrictEqual({
      accessToken: 'at-1',
      accessTokenExpiresAt: NOW + 3_600_000,
      refreshToken: 'ref-1',
      sub: 'did:plc:alice234567alice234567ab',
      scope: 'atproto transition:generic',
    })
  })

  test.each<[string, string, unknown[]]>([
    ['10.5', 'access_token', [undefined, '', null, 7, 'a\nb', 'ü', ['x'], 'x'.repeat(20_000)]],
    ['10.6', 'token_type', [undefined, 'Bearer', '', 'DPoP ', ['DPoP'], null]],
    ['10.7', 'sub', [undefined, '', 'alice.fake.dev', 'did:key:z6Mkabc', 'did:plc:short', 'did:web:localhost', 7]],
    ['10.8', 'scope', [undefined, '', 'atprotofoo', 'xatproto', 'transition:generic', ['atproto'], 'ATPROTO']],
    ['10.10', 'refresh_token', ['', 7, null, 'a\u0000b']],
  ])('%s %s', async (_, field, values) => {
    for (const value of values) {
      expect(await failure(() => judge({ [field]: value })), JSON.stringify(value)).toMatchObject({
        code: 'TOKEN_RESPONSE_INVALID',
        message: expect.stringContaining(
          field === 'scope' ? 'scope' : `its ${field}`.replace('its access', 'no access'),
        ),
      })
    }
  })

  test.each(['dpop', 'DPOP', 'DPoP'])('10.6 token_type %s', (token_type) => {
    expect(judge({ token_type }).accessToken).toBe('at-1')
  })

  test.each(['repo:* atproto', 'atproto', 'a  atproto '])('10.8 scope %j', (scope) => {
    expect(judge({ scope }).scope).toBe(scope)
  })

  test.each<[unknown, number | undefined]>([
    [undefined, undefined],
    [null, undefined],
    ['3600', NOW + 3_600_000],
    ['59.9', NOW + 59_000],
    ['60s', undefined],
    ['-60', undefined],
    ['', undefined],
    ['9'.repeat(400), NOW + 365 * 24 * 3600 * 1000],
    [true, undefined],
    [[3600], undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, NOW + 365 * 24 * 3600 * 1000],
    [Number.NEGATIVE_INFINITY, undefined],
    [1e300, NOW + 365 * 24 * 3600 * 1000],
    [0, undefined],
    [0.9, undefined],
    [-5, undefined],
    [1, NOW + 1000],
    [1.9, NOW + 1000],
    [1e12, NOW + 365 * 24 * 3600 * 1000],
  ])('10.9 expires_in %s', (expires_in, expected) => {
    expect(judge({ expires_in }).accessTokenExpiresAt).toBe(expected)
  })

  test('10.10 no refresh_token; 10.11, 10.12 id_token and more ignored', () => {
    const { refresh_token, ...rest } = TOKENS
    expect(parseTokenResponse({ ...rest, id_token: 'x', extra: {} }, false, clock).refreshToken).toBeUndefined()
  })

  test('10.9 the access token is not decoded', () => {
    const access_token = `x.${Buffer.from('{"sub":"did:plc:other","exp":1}').toString('base64url')}.x`
    expect(judge({ access_token })).toMatchObject({ accessToken: access_token, accessTokenExpiresAt: NOW + 3_600_000 })
  })

  test('2.5 did:web:localhost with --dev', () => {
    expect(parseTokenResponse({ ...TOKENS, sub: 'did:web:localhost' }, true, clock).sub).toBe('did:web:localhost')
  })

  test.each([
    [TOKENS, 'ref-1'],
    [{ access_token: 'at-1', token_type: 'Bearer' }, 'at-1'],
    [{ refresh_token: 7, access_token: '' }, undefined],
  ])('10.16 what could be revoked: %j', (document, token) => {
    expect(anyToken(document)).toBe(token)
  })
})

describe('what is sent', () => {
  test('10.1 the exchange', async () => {
    const world = faulty(() => json(200, TOKENS))
    expect(await exchange(world)).toStrictEqual(TOKENS)
    const { clientId, codeVerifier, redirectUri } = pendingOf(world)
    expect(bodyOf(world)).toStrictEqual([
      ['client_id', clientId],
      ['code', 'cod-1'],
      ['code_verifier', codeVerifier],
      ['grant_type', 'authorization_code'],
      ['redirect_uri', redirectUri],
    ])
    const { headers, method, url } = world.requests[0]!
    expect([method, url]).toStrictEqual(['POST', `${world.as}/oauth/token`])
    expect(Object.keys(headers).sort()).toStrictEqual(['accept', 'content-type', 'dpop'])
    expect(decodeJwt(headers['dpop']!)).not.toHaveProperty('ath')
  })

  test('11.1 the refresh, without a scope', async () => {
    const world = faulty(() => json(200, TOKENS))
    expect(await refresh(world)).toStrictEqual(TOKENS)
    expect(bodyOf(world)).toStrictEqual([
      ['client_id', 'http://localhost'],
      ['grant_type', 'refresh_token'],
      ['refresh_token', 'ref-1'],
    ])
  })

  test.each([
    ['code', exchange],
    ['refresh token', refresh],
  ])('the %s goes over a connection that no request was on before', async (_, grant) => {
    const world = faulty(() => json(200, TOKENS))
    const seen: unknown[] = []
    const fetch: typeof world.fetch = (url, init) => {
      seen.push(init?.ownConnection)
      return world.fetch(url, init)
    }
    await grant({ ...world, fetch })
    expect(seen).toStrictEqual([true])
  })

  test('16.8, 12.8 the revocation, with a proof', async () => {
    const world = faulty(() => json(200, {}))
    const agent = await agentOf(world, { clientId: 'c' })
    expect(await agent.revoke('ref-1')).toBe(true)
    expect(bodyOf(world)).toStrictEqual([
      ['client_id', 'c'],
      ['token', 'ref-1'],
    ])
    expect(world.requests[0]).toMatchObject({ url: `${world.as}/oauth/revoke`, headers: { dpop: expect.any(String) } })
  })
})

/** Both grants: what the server does, what becomes of the exchange, what of the refresh. */
const refuse = (status: number, error: string) => () => json(status, { error, error_description: 'why' })
test.each<[string, () => Fault, string, string]>([
  ['11.11, 10.3 invalid_grant', refuse(400, 'invalid_grant'), 'EXCHANGE_REFUSED', 'SESSION_DEAD'],
  ['11.11 invalid_client', refuse(401, 'invalid_client'), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['26.10 413', refuse(413, 'payload_too_large'), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['11.4 invalid_dpop_proof', refuse(401, 'invalid_dpop_proof'), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['13.4 use_dpop_nonce without end', refuse(400, 'use_dpop_nonce'), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['400 HTML', () => new Response('invalid_grant', { status: 400 }), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['7.12 307', () => new Response(null, { status: 307 }), 'EXCHANGE_REFUSED', 'REFRESH_REFUSED'],
  ['10.5 201 without tokens', () => json(201, {}), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['10.5 200 with JSON of a gateway', () => json(200, { ok: true }), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['11.11 500', refuse(500, 'server_error'), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['11.11 502 HTML', () => new Response('<h1>', { status: 502 }), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['11.11 429', refuse(429, 'slow_down'), 'RATE_LIMITED', 'RATE_LIMITED'],
  ['11.8 lost on the way', () => 'lostBefore', 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['11.8 response lost', () => 'lostAfter', 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['11.11 unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE', 'NETWORK_UNREACHABLE'],
  ['10.5 200 HTML', () => new Response('<p>'), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['10.5 200 list', () => json(200, [TOKENS]), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
  ['10.5 10 MB', () => json(200, { ...TOKENS, x: 'x'.repeat(10_485_760) }), 'EXCHANGE_AMBIGUOUS', 'REFRESH_AMBIGUOUS'],
])('%s: exchange %s', async (_, fault, exchangeCodeOf, refreshCodeOf) => {
  const worlds = [faulty(fault), faulty(fault)] as const
  expect(await failure(() => exchange(worlds[0]))).toMatchObject({ code: exchangeCodeOf })
  expect(await failure(() => refresh(worlds[1]))).toMatchObject({ code: refreshCodeOf })
  for (const { requests } of worlds) expect(requests, '10.2, 11.3 sent once').toHaveLength(1)
})

test('10.2 a nonce retry is one, and no more than one', async () => {
  const world = createFakeWorld({ faults: { asNonces: 'alwaysChallenge' } })
  expect(await failure(() => exchange(world))).toMatchObject({
    code: 'EXCHANGE_REFUSED',
    message: expect.stringContaining('use_dpop_nonce'),
  })
  expect(world.requests).toHaveLength(2)
  expect(world.requests[0]!.body).toBe(world.requests[1]!.body)
})

test('11.3 what the server says is in the message, and the refresh token is not', async () => {
  const { message, session } = await failure(() => refresh(faulty(refuse(400, 'invalid_grant'))))
  expect(message).toContain('400 invalid_grant "why"')
  expect(message).not.toContain('ref-1')
  expect(session).toBe('dead')
})

test.each<[string, () => Fault]>([
  ['503', () => json(503, {})],
  ['400', () => json(400, { error: 'unsupported_token_type' })],
  ['lost', () => 'lostAfter'],
  ['unreachable', () => 'unreachable'],
])('16.8 a revocation that fails is told, not thrown: %s', async (_, fault) => {
  const world = faulty(fault)
  expect(await (await agentOf(world)).revoke('t')).toBe(false)
})

test('16.8 without an endpoint nothing is sent', async () => {
  const world = createFakeWorld()
  const { revocation_endpoint, ...server } = serverOf(world)
  expect(await (await agentOf(world, { server })).revoke('t')).toBe(false)
  expect(world.requests).toStrictEqual([])
})
