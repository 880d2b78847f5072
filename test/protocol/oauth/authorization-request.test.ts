import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { chooseClient } from '../../../src/client/client-id.ts'
import {
  type AuthorizationRequest,
  authorizationUrl,
  createPkce,
  createState,
  PROMPTS,
} from '../../../src/protocol/oauth/authorization-request.ts'
import { seededBytes } from '../../../src/testing/http.ts'
import { createFakeWorld, type FakeWorld, formOf, json } from '../../support/fake-atproto.ts'
import { agentOf, failure, serverOf } from '../helpers.ts'

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const { clientId, redirectUri, scope } = chooseClient({ scope: 'atproto transition:generic' })
const REQUEST: AuthorizationRequest = {
  redirectUri,
  scope,
  state: 'c3RhdGUtb2YtdGhlLXRlc3Q',
  codeChallenge: CHALLENGE,
}
const URN = 'urn:ietf:params:oauth:request_uri:req-1'

async function push(world: FakeWorld, changes: Partial<AuthorizationRequest> = {}) {
  return (await agentOf(world, { clientId })).par({ ...REQUEST, ...changes })
}

/** The request gets a response with this. */
async function pushTo(answer: () => Response) {
  const world = createFakeWorld({ faults: { httpFault: answer } })
  return push(world)
}

describe('6 PKCE and state', () => {
  test('6.2, 22.6 the vector of RFC 7636', async () => {
    const bytes = Buffer.from('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'base64url')
    expect(await createPkce({ randomBytes: () => new Uint8Array(bytes) })).toStrictEqual({
      codeVerifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      codeChallenge: CHALLENGE,
    })
  })

  test('6.1, 6.3 a thousand verifiers are all different and well-formed', async () => {
    const random = { randomBytes: seededBytes('pkce') }
    const pairs = await Promise.all(Array.from({ length: 1000 }, () => createPkce(random)))
    expect(new Set(pairs.map(({ codeVerifier }) => codeVerifier)).size).toBe(1000)
    expect(new Set(pairs.map(({ codeChallenge }) => codeChallenge)).size).toBe(1000)
    for (const { codeVerifier } of pairs) expect(codeVerifier).toMatch(/^[A-Za-z0-9._~-]{43,128}$/)
  })

  test('6.5 state is 128 random bits and nothing else', () => {
    expect(createState({ randomBytes: (length) => new Uint8Array(length).fill(255) })).toBe('_____________________w')
  })
})

describe('7 the pushed request', () => {
  test('7.1, 7.2, 7.3, 6.4 what is sent, each parameter once, and nothing more', async () => {
    const world = createFakeWorld()
    await push(world, { loginHint: 'alice.fake.dev', prompt: 'login' })
    const request = world.sent('par').at(-1)!
    expect(request).toMatchObject({
      method: 'POST',
      url: `${world.as}/oauth/par`,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    })
    expect([...new URLSearchParams(request.body)].sort()).toStrictEqual([
      ['client_id', clientId],
      ['code_challenge', CHALLENGE],
      ['code_challenge_method', 'S256'],
      ['login_hint', 'alice.fake.dev'],
      ['prompt', 'login'],
      ['redirect_uri', 'http://127.0.0.1/callback'],
      ['response_type', 'code'],
      ['scope', 'atproto transition:generic'],
      ['state', REQUEST.state],
    ])
  })

  test('7.7, 4.20 without a login_hint or a prompt there is none', async () => {
    const world = createFakeWorld()
    await push(world)
    const form = formOf(world.sent('par').at(-1)!)
    expect(form).not.toHaveProperty('login_hint')
    expect(form).not.toHaveProperty('prompt')
  })

  test('7.8 prompt none is not offered', () => {
    expect(PROMPTS).toStrictEqual(['login', 'consent', 'select_account', 'create'])
  })

  test('7.10, 7.5 one retry with the nonce: the same request, another proof, no ath', async () => {
    const world = createFakeWorld()
    expect(await push(world)).toStrictEqual({
      requestUri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:req-[0-9a-f]{64}$/),
      expiresInSeconds: 300,
    })
    const [first, second] = world.sent('par')
    expect(world.sent('par')).toHaveLength(2)
    expect(second!.body).toBe(first!.body)
    const proofs = [first!, second!].map(({ headers }) => decodeJwt(headers['dpop']!))
    expect(proofs[1]!.jti).not.toBe(proofs[0]!.jti)
    for (const proof of proofs) expect(proof).not.toHaveProperty('ath')
  })
})

describe('7.9 the response', () => {
  test.each([200, 201])('%i', async (status) => {
    const answer = () => json(status, { request_uri: URN, expires_in: 60, extra: 1 })
    expect(await pushTo(answer)).toStrictEqual({ requestUri: URN, expiresInSeconds: 60 })
  })

  test.each<[string, unknown]>([
    ['no request_uri', { expires_in: 60 }],
    ['a blank one', { request_uri: ' ', expires_in: 60 }],
    ['an empty one', { request_uri: '', expires_in: 60 }],
    ['a list of them', { request_uri: [URN], expires_in: 60 }],
    ['no expires_in', { request_uri: URN }],
    ['a negative one', { request_uri: URN, expires_in: -1 }],
    ['zero', { request_uri: URN, expires_in: 0 }],
    ['half a second', { request_uri: URN, expires_in: 0.5 }],
    ['a string', { request_uri: URN, expires_in: '60' }],
    ['a list', [{ request_uri: URN, expires_in: 60 }]],
  ])('%s', async (_, body) => {
    expect(await failure(() => pushTo(() => json(201, body)))).toMatchObject({ code: 'RESPONSE_INVALID' })
  })

  test('HTML', async () => {
    const html = () => new Response('<p>', { status: 201, headers: { 'content-type': 'text/html' } })
    expect(await failure(() => pushTo(html))).toMatchObject({ code: 'RESPONSE_INVALID' })
  })
})

describe('7.11 refusals', () => {
  test.each([
    ['invalid_request', 400],
    ['invalid_scope', 400],
    ['unauthorized_client', 400],
    ['unsupported_response_type', 400],
    ['invalid_client', 401],
    ['invalid_client_metadata', 400],
    ['invalid_redirect_uri', 400],
    ['temporarily_unavailable', 400],
    ['invalid_dpop_proof', 401],
    ['invalid_token', 401],
    ['not_found', 405],
    ['constructor', 400],
    ['__proto__', 400],
  ])('%s %i', async (error, status) => {
    const answer = () => json(status, { error, error_description: 'said \u001b[31mso' })
    expect(await failure(() => pushTo(answer))).toMatchObject({
      code: 'PAR_REFUSED',
      message: `https://as.fake.dev rejected the authorization request: ${status} ${error} "said so"`,
      facts: { status, serverError: error },
    })
  })

  test('26.10 too_large 413, with the size of the request', async () => {
    const answer = () => json(413, { error: 'too_large', error_description: 'said so' })
    const error = await failure(() => pushTo(answer))
    expect(error).toMatchObject({
      code: 'PAR_REFUSED',
      facts: { status: 413, serverError: 'too_large', reason: 'request-too-large' },
    })
    expect(error.message).toMatch(
      /^https:\/\/as\.fake\.dev rejected the authorization request: 413 too_large "said so"; its \d+ bytes are too many$/,
    )
  })

  test.each([
    ['429', () => json(429, { error: 'slow_down' }), 'RATE_LIMITED'],
    ['500', () => json(500, { error: 'server_error' }), 'SERVER_UNAVAILABLE'],
    ['502 HTML', () => new Response('<h1>', { status: 502 }), 'SERVER_UNAVAILABLE'],
  ])('%s', async (_, answer, code) => {
    expect(await failure(() => pushTo(answer))).toMatchObject({ code })
  })

  test('7.12 a redirect is a refusal, and the body goes nowhere else', async () => {
    const answer = () => new Response(null, { status: 307, headers: { location: 'https://evil.fake.dev/par' } })
    const world = createFakeWorld({ faults: { httpFault: answer } })
    expect(await failure(() => push(world))).toMatchObject({ code: 'PAR_REFUSED' })
    expect(world.requests.map(({ url }) => url)).toStrictEqual([`${world.as}/oauth/par`])
  })

  test('13.4 nonces without end', async () => {
    const world = createFakeWorld({ faults: { asNonces: 'alwaysChallenge' } })
    expect(await failure(() => push(world))).toMatchObject({
      code: 'PAR_REFUSED',
      message: expect.stringContaining('use_dpop_nonce'),
    })
    expect(world.requests).toHaveLength(2)
  })
})

describe('8.1 the URL for the browser', () => {
  const server = serverOf(createFakeWorld())

  test('client_id and request_uri, encoded, and nothing else', () => {
    expect(authorizationUrl(server, 'http://localhost?scope=atproto+a%3Ab', URN).href).toBe(
      'https://as.fake.dev/oauth/authorize?client_id=http%3A%2F%2Flocalhost%3Fscope%3Datproto%2Ba%253Ab' +
        '&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Areq-1',
    )
  })

  test('4.4 the endpoint’s own query is kept, but not a client of its own', () => {
    const authorization_endpoint = 'https://login.fake.dev/a?tenant=1&client_id=evil&request_uri=evil'
    const url = authorizationUrl({ ...server, authorization_endpoint }, 'http://localhost', URN)
    expect(url.origin).toBe('https://login.fake.dev')
    expect([...url.searchParams]).toStrictEqual([
      ['tenant', '1'],
      ['client_id', 'http://localhost'],
      ['request_uri', URN],
    ])
  })
})
