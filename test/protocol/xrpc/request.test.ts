import { describe, expect, test } from 'vitest'
import type { Did } from '../../../src/model.ts'
import { toResponse } from '../../../src/protocol/http/http-response.ts'
import { isExpiredToken, saysExpiredToken, xrpcError } from '../../../src/protocol/xrpc/error.ts'
import { buildXrpcRequest, type XrpcRequest } from '../../../src/protocol/xrpc/request.ts'
import { json } from '../../support/fake-atproto.ts'
import { failure, vectors } from '../helpers.ts'

const DID = 'did:plc:alice234567alice234567ab' as Did
const NSID = 'com.example.getThing'
const build = (request: Partial<XrpcRequest>) => buildXrpcRequest({ nsid: NSID, ...request }, DID)

describe('18.1 the path', () => {
  test.each(vectors('nsid_syntax_valid'))('%s', (nsid) => {
    expect(build({ nsid }).path).toBe(`/xrpc/${nsid}`)
  })

  test.each([
    ...vectors('nsid_syntax_invalid'),
    'com.example/../x',
    '//evil.dev/x',
    'https://evil.dev/x',
    '../../admin',
    'com.example.getThing?x=1',
    'com.example.getThing#x',
    'com.example.getThing\n',
    '',
  ])('14.4 refused: %.40j', async (nsid) => {
    expect(await failure(() => build({ nsid }))).toMatchObject({ code: 'NSID_INVALID' })
  })

  test('18.12 subscriptions', async () => {
    expect(await failure(() => build({ nsid: 'com.atproto.sync.subscribeRepos' }))).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('WebSocket'),
    })
    expect(build({ nsid: 'com.example.subscriber.list' }).path).toBe('/xrpc/com.example.subscriber.list')
  })
})

describe('18.3 parameters', () => {
  test.each<[string, [string, string][], string]>([
    ['none', [], ''],
    ['at://', [['uri', 'at://did:plc:x/a.b.c/3k']], '?uri=at%3A%2F%2Fdid%3Aplc%3Ax%2Fa.b.c%2F3k'],
    ['# + & = and space', [['q', 'a#b+c&d=e f%']], '?q=a%23b%2Bc%26d%3De%20f%25'],
    ['UTF-8', [['q', 'zażółć 🦋']], '?q=za%C5%BC%C3%B3%C5%82%C4%87%20%F0%9F%A6%8B'],
    [
      'a list',
      [
        ['uris', 'a'],
        ['uris', 'b'],
        ['x', '1'],
      ],
      '?uris=a&uris=b&x=1',
    ],
    [
      'booleans and numbers as written',
      [
        ['a', 'true'],
        ['limit', '50'],
      ],
      '?a=true&limit=50',
    ],
    ['an empty value', [['cursor', '']], '?cursor='],
    [
      'the account',
      [
        ['repo', '{did}'],
        ['u', 'at://{did}/{did}'],
      ],
      `?repo=${en(DID)}&u=${en(`at://${DID}/${DID}`)}`,
    ],
    [
      '19.7 getServiceAuth',
      [
        ['aud', 'did:web:x.y#svc'],
        ['lxm', 'a.b.c'],
      ],
      '?aud=did%3Aweb%3Ax.y%23svc&lxm=a.b.c',
    ],
  ])('%s', (_, parameters, query) => {
    expect(build({ parameters }).path).toBe(`/xrpc/${NSID}${query}`)
  })

  test('half a character', async () => {
    expect(await failure(() => build({ parameters: [['q', '\ud800']] }))).toMatchObject({ code: 'USAGE' })
  })
})

describe('18.2, 18.5, 18.6 method and body', () => {
  test('GET without a body', () => {
    expect(build({})).toStrictEqual({
      path: `/xrpc/${NSID}`,
      method: 'GET',
      headers: { accept: 'application/json, */*;q=0.8' },
      body: undefined,
    })
  })

  test('POST with JSON', () => {
    expect(build({ body: '{}' })).toMatchObject({
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
  })

  test('POST without input has no body and no type', () => {
    const request = build({ method: 'POST' })
    expect(request.method).toBe('POST')
    expect(request.body).toBeUndefined()
    expect(request.headers).not.toHaveProperty('content-type')
  })

  test('bytes keep the type they were given', () => {
    const body = new Uint8Array([1, 2])
    const request = build({ body, headers: { 'Content-Type': 'image/png', Accept: 'x/y' } })
    expect(request).toMatchObject({ method: 'POST', body, headers: { 'content-type': 'image/png', accept: 'x/y' } })
    expect(build({ body }).headers).not.toHaveProperty('content-type')
  })

  test('an empty body is a body', () => {
    expect(build({ body: '' })).toMatchObject({ method: 'POST', body: '' })
  })

  test('a GET has none', async () => {
    expect(await failure(() => build({ method: 'GET', body: '{}' }))).toMatchObject({ code: 'USAGE' })
  })
})

describe('headers', () => {
  test('19.1, 18.13 others pass', () => {
    const headers = { 'atproto-proxy': 'did:web:api.bsky.app#bsky_appview', 'Atproto-Accept-Labelers': '' }
    expect(build({ headers }).headers).toMatchObject({
      'atproto-proxy': 'did:web:api.bsky.app#bsky_appview',
      'atproto-accept-labelers': '',
    })
  })

  test.each(['Authorization', 'DPoP', 'host', 'Content-Length', 'connection', 'transfer-encoding'])(
    '12.8 %s is ours',
    async (name) => {
      expect(await failure(() => build({ headers: { [name]: 'x' } }))).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('is set by this tool'),
      })
    },
  )

  test.each([
    ['x y', '1'],
    ['', '1'],
    ['x:', '1'],
    ['x', 'a\r\nauthorization: b'],
    ['x', 'a\u0000'],
    ['x', '日本'],
    ['Trailer', 'x'],
  ])('%j: %j cannot be sent', async (name, value) => {
    expect(await failure(() => build({ headers: { [name]: value } }))).toMatchObject({ code: 'USAGE' })
  })
})

test.each([
  ['*/*', false],
  ['image/*; q=1', false],
  ['image/png', true],
  ['text/plain; charset="*"', true],
])('the type of a body is one type: %s', async (type, isGood) => {
  const request = { body: new Uint8Array(1), headers: { 'Content-Type': type } }
  if (isGood) expect(build(request).headers['content-type']).toBe(type)
  else
    expect(await failure(() => build(request))).toMatchObject({
      code: 'USAGE',
      facts: { reason: 'media-type-unclear' },
    })
})

describe('11.13, 14.2 is it the token?', () => {
  test.each<[string, number, string | undefined, boolean]>([
    ['DPoP', 401, 'DPoP algs="ES256", error="invalid_token"', true],
    ['Bearer', 401, 'Bearer error="invalid_token"', true],
    ['one of two', 401, 'Bearer realm="x", DPoP error="invalid_token"', true],
    ['no challenge', 401, undefined, false],
    ['another error', 401, 'DPoP error="invalid_dpop_proof"', false],
    ['another scheme', 401, 'Basic error="invalid_token"', false],
    ['in a description', 401, 'DPoP error="x", error_description="error=\\"invalid_token\\""', false],
    ['another status', 403, 'DPoP error="invalid_token"', false],
    ['another status', 400, 'DPoP error="invalid_token"', false],
  ])('%s %i', (_, status, header, expected) => {
    const headers: Record<string, string> = header === undefined ? {} : { 'www-authenticate': header }
    expect(isExpiredToken(json(status, { error: 'invalid_token' }, headers))).toBe(expected)
  })
})

describe('26.13 is it the token, by the body alone?', () => {
  test.each<[number, string, string | undefined, boolean]>([
    [401, 'ExpiredToken', undefined, true],
    [401, 'InvalidToken', undefined, true],
    [400, 'ExpiredToken', undefined, true],
    [400, 'InvalidToken', undefined, false],
    [403, 'ExpiredToken', undefined, false],
    [401, 'AuthMissing', undefined, false],
    [401, 'ExpiredToken', 'DPoP error="use_dpop_nonce"', false],
    [401, 'InvalidToken', 'DPoP error="invalid_token"', true],
  ])('%i %s, challenge %s: %s', async (status, error, header, expected) => {
    const headers: Record<string, string> = header === undefined ? {} : { 'www-authenticate': header }
    const response = json(status, { error }, headers)
    const { isExpired, response: again } = await saysExpiredToken(response)
    expect(isExpired).toBe(expected)
    const body = await toResponse(again).text()
    expect(JSON.parse(body)).toStrictEqual({ error })
    expect(isExpiredToken(response, body)).toBe(expected)
  })
})

const SESSION = { handle: 'alice.fake.dev', scope: 'atproto transition:email' }

describe('what went wrong', () => {
  const errorOf = (status: number, body: string, headers: Record<string, string> = {}) =>
    xrpcError(NSID, new Response(null, { status, headers }), body, 0, SESSION)

  test.each([
    ['14.6', 'ScopeMissingError', 'Missing required scope "repo:a.b.c?action=create"'],
    ['25', 'InsufficientScope', 'Missing required scope "repo:a.b.c?action=create"'],
  ])('%s %s names the scope to ask for', (_, error, message) => {
    expect(errorOf(403, JSON.stringify({ error, message }))).toMatchObject({
      code: 'PERMISSION_MISSING',
      message: `${NSID} returned 403 ${error} "${message.replaceAll(`"`, `'`)}"`,
      facts: { handle: 'alice.fake.dev', scope: 'atproto transition:email repo:a.b.c?action=create', status: 403 },
    })
  })

  test.each([
    [
      'separate variables: the loopback client_id has it',
      { clientId: 'http://localhost?scope=atproto%20repo%3Ax.y.z' },
    ],
    ['less was granted', { clientId: 'http://localhost?scope=atproto+repo:x.y.z', scope: 'atproto' }],
    ['a hosted client', { clientId: 'https://a.dev/c', requestedScope: 'atproto repo:x.y.z', scope: 'atproto' }],
    ['it was requested, and not granted', { requestedScope: 'atproto repo:x.y.z repo:a.b.c?action=create' }],
    ['nothing else is known', { clientId: 'https://a.dev/c', scope: 'atproto repo:x.y.z' }],
  ])('14.6 the scope to ask for is the requested one, and what is missing: %s', (_, session) => {
    const body = '{"error":"ScopeMissingError","message":"Missing required scope \\"repo:a.b.c?action=create\\""}'
    const { facts } = xrpcError(NSID, new Response(null, { status: 403 }), body, 0, session)
    expect(facts.scope).toBe('atproto repo:x.y.z repo:a.b.c?action=create')
  })

  test('14.6 without a scope in the message there is none to ask for', () => {
    const error = errorOf(403, '{"error":"ScopeMissingError"}')
    expect(error.code).toBe('PERMISSION_MISSING')
    expect(error.facts).toStrictEqual({ status: 403, serverError: 'ScopeMissingError' })
  })

  test.each([
    ['403 for another reason', 403, '{"error":"Forbidden","message":"no"}', '403 Forbidden "no"'],
    ['the same name, another status', 400, '{"error":"ScopeMissingError"}', '400 ScopeMissingError'],
    ['an XRPC error', 400, '{"error":"InvalidRequest","message":"bad"}', '400 InvalidRequest "bad"'],
    ['18.7 HTML', 502, '<h1>Bad gateway</h1>', '502'],
    ['18.7 nothing', 500, '', '500'],
    ['20.8 ANSI', 400, '{"error":"X","message":"\\u001b[31mred"}', '400 X "red"'],
  ])('18.7 %s', (_, status, body, said) => {
    expect(errorOf(status, body)).toMatchObject({ code: 'XRPC_ERROR', message: `${NSID} returned ${said}` })
  })

  test('18.7 the status and the name of the error are facts', () => {
    expect(errorOf(500, '').facts).toStrictEqual({ status: 500, serverError: undefined })
    expect(errorOf(400, '{"error":"InvalidRequest"}').facts).toMatchObject({ serverError: 'InvalidRequest' })
  })

  test.each([
    [undefined, false],
    [new Date(61_000).toUTCString(), false],
    [new Date(-62_000).toUTCString(), false],
    [new Date(59_000).toUTCString(), true],
    [new Date(-59_000).toUTCString(), true],
  ])(
    '11.13 a token that is refused before it expires: at %s the clock of this machine is no suspect: %s',
    (date, isClockRight) => {
      const headers = { 'www-authenticate': 'DPoP error="invalid_token"', ...(date && { date }) }
      expect(errorOf(401, '{"error":"invalid_token"}', headers)).toMatchObject({
        code: 'XRPC_ERROR',
        session: 'unknown',
        message: expect.stringContaining('although the token has not expired'),
        facts: { reason: 'new-token-refused', isClockRight, handle: 'alice.fake.dev' },
      })
    },
  )

  test('18.8 429 with its time', () => {
    expect(errorOf(429, '{}', { 'retry-after': '60' })).toMatchObject({
      code: 'RATE_LIMITED',
      message: expect.stringContaining('00:01:00 UTC (in '),
    })
  })
})

function en(text: string): string {
  return encodeURIComponent(text)
}
