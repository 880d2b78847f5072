import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Nonces } from '../../../src/model.ts'
import { toResponse } from '../../../src/protocol/http/http-response.ts'
import { generateDpopJwk, importDpopKey } from '../../../src/protocol/oauth/dpop.ts'
import { createDpopFetch } from '../../../src/protocol/oauth/dpop-fetch.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

const HOST = 'https://host.fake.dev'
const OTHER = 'https://other.fake.dev'
const URL_ = new URL(`${HOST}/oauth/token?x=1`)
const POST = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'the body' }

/** A host that answers with these, one after the other, and a fetch that signs. */
async function host(answers: Response[], known: Nonces = {}, world: FakeWorld = createFakeWorld()) {
  world.serve(HOST, () => answers.shift() ?? new Response('no more answers', { status: 599 }))
  const told: Nonces[] = []
  const onNonces = (nonces: Nonces) => void told.push(nonces)
  const dpopFetch = createDpopFetch(await importDpopKey(await generateDpopJwk()), { nonces: known, onNonces }, world)
  return { dpopFetch, told, requests: world.requests, nonces: () => world.requests.map(nonceOf) }
}

function nonceOf({ headers }: FakeRequest): unknown {
  return decodeJwt(headers['dpop']!)['nonce']
}

function challenge(nonce: string | undefined, form: 'json' | 'header' = 'json', status = 400): Response {
  const headers = {
    ...(nonce !== undefined && { 'dpop-nonce': nonce }),
    ...(form === 'header' && { 'www-authenticate': 'DPoP algs="ES256", error="use_dpop_nonce"' }),
  }
  return json(status, { error: form === 'json' ? 'use_dpop_nonce' : 'Unauthorized' }, headers)
}

const good = (nonce?: string) => json(200, { ok: true }, nonce === undefined ? {} : { 'dpop-nonce': nonce })

describe('what is sent', () => {
  test('12.8 at an authorization server: one proof, no Authorization', async () => {
    const { dpopFetch, requests } = await host([good()])
    await dpopFetch(URL_, POST)
    expect(requests).toHaveLength(1)
    expect(Object.keys(requests[0]!.headers).sort()).toStrictEqual(['content-type', 'dpop'])
    const { jti, iat, ...claims } = decodeJwt(requests[0]!.headers['dpop']!)
    expect(claims).toStrictEqual({ htm: 'POST', htu: `${HOST}/oauth/token` })
  })

  test('12.8, 12.5 at a PDS: the token after exactly one space, and its hash', async () => {
    const { dpopFetch, requests } = await host([good()])
    await dpopFetch(URL_, { accessToken: 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU' })
    expect(requests[0]).toMatchObject({
      method: 'GET',
      headers: { authorization: 'DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU' },
    })
    expect(decodeJwt(requests[0]!.headers['dpop']!)).toMatchObject({
      htm: 'GET',
      ath: 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
    })
  })

  test('a caller cannot put its own proof or token in their place', async () => {
    const { dpopFetch, requests } = await host([good()])
    await dpopFetch(URL_, { headers: { dpop: 'mine', authorization: 'Bearer mine' }, accessToken: 'at' })
    expect(requests[0]!.headers['authorization']).toBe('DPoP at')
    expect(decodeJwt(requests[0]!.headers['dpop']!).jti).toBeTypeOf('string')
  })
})

describe('13.3 challenges', () => {
  test.each([
    [400, 'json'],
    [401, 'json'],
    [400, 'header'],
    [401, 'header'],
  ] as const)('%i with the error in its %s', async (status, form) => {
    const { dpopFetch, requests, nonces } = await host([challenge('n1', form, status), good('n2')])
    const response = await dpopFetch(URL_, POST)
    expect(response.status).toBe(200)
    expect(nonces()).toStrictEqual([undefined, 'n1'])
    expect(requests.map(({ method, url, body }) => [method, url, body])).toStrictEqual(
      Array(2).fill(['POST', URL_.href, 'the body']),
    )
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'n2' })
  })

  test('12.10 the retry has a proof and a jti of its own', async () => {
    const { dpopFetch, requests } = await host([challenge('n1'), good()])
    await dpopFetch(URL_, POST)
    const [first, second] = requests.map(({ headers }) => decodeJwt(headers['dpop']!))
    expect(second!.jti).not.toBe(first!.jti)
    expect(second).toMatchObject({ htm: 'POST', htu: first!['htu'] })
  })

  test('13.6 bytes are sent again', async () => {
    const { dpopFetch, requests } = await host([challenge('n1'), good()])
    await dpopFetch(URL_, { ...POST, body: new TextEncoder().encode('bytes') })
    expect(requests.map(({ body }) => body)).toStrictEqual(['bytes', 'bytes'])
  })

  test('13.4 at most once', async () => {
    const { dpopFetch, nonces } = await host([challenge('n1'), challenge('n2'), good()])
    expect((await dpopFetch(URL_, POST)).status).toBe(400)
    expect(nonces()).toStrictEqual([undefined, 'n1'])
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'n2' })
  })

  test.each([
    ['there is no nonce', undefined, {}],
    ['there is none, though one was sent', undefined, { [HOST]: 'n1' }],
    ['it is the one just used', 'n1', { [HOST]: 'n1' }],
  ])('13.4 not if %s', async (_, nonce, known: Nonces) => {
    for (const form of ['json', 'header'] as const) {
      const { dpopFetch, requests } = await host([challenge(nonce, form), good()], known)
      const response = await dpopFetch(URL_, POST)
      expect(response.status).toBe(400)
      expect(await toResponse(response).json()).toHaveProperty('error')
      expect(requests).toHaveLength(1)
    }
  })

  test.each([
    ['another error', json(400, { error: 'invalid_grant' }, { 'dpop-nonce': 'n1' })],
    ['another status', json(403, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'n1' })],
    ['a success', json(200, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'n1' })],
    [
      '14.2 text in a realm',
      new Response('', {
        status: 401,
        headers: { 'dpop-nonce': 'n1', 'www-authenticate': 'DPoP realm="error=\\"use_dpop_nonce\\""' },
      }),
    ],
    ['a body that is not JSON', new Response('use_dpop_nonce', { status: 400, headers: { 'dpop-nonce': 'n1' } })],
  ])('13.4 not for %s', async (_, answer) => {
    const { dpopFetch, requests } = await host([answer, good()])
    expect((await dpopFetch(URL_, POST)).status).toBe(answer.status)
    expect(requests).toHaveLength(1)
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'n1' })
  })

  test('10.2 the body of a refusal is still there for its reader', async () => {
    const refusal = { error: 'invalid_grant', error_description: 'Invalid code' }
    const { dpopFetch } = await host([json(400, refusal)])
    const response = await dpopFetch(URL_, POST)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await toResponse(response).json()).toStrictEqual(refusal)
  })
})

describe('nonces', () => {
  test('13.2 the nonce of a success is used next, without a round trip', async () => {
    const { dpopFetch, nonces } = await host([good('n1'), good('n2'), good(), good()])
    for (let call = 0; call < 4; call += 1) await dpopFetch(URL_, POST)
    expect(nonces()).toStrictEqual([undefined, 'n1', 'n2', 'n2'])
  })

  test('13.2 the nonce of any failure too', async () => {
    const failed = new Response('', { status: 503, headers: { 'dpop-nonce': 'n1' } })
    const { dpopFetch, nonces } = await host([failed, good()])
    await dpopFetch(URL_, POST)
    await dpopFetch(URL_, POST)
    expect(nonces()).toStrictEqual([undefined, 'n1'])
  })

  test('13.1 each origin has its own', async () => {
    const world = createFakeWorld()
    const { dpopFetch } = await host([good('of-host'), good()], {}, world)
    world.serve('https://other.fake.dev', () => good('of-other'))
    const other = new URL('https://other.fake.dev/x')
    for (const url of [URL_, other, URL_, other]) await dpopFetch(url, {})
    expect(world.requests.map(nonceOf)).toStrictEqual([undefined, undefined, 'of-host', 'of-other'])
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'of-host', 'https://other.fake.dev': 'of-other' })
  })

  test('13.7 nonces of an earlier process are used, spoilt ones are not', async () => {
    const { dpopFetch, nonces } = await host([good()], { [HOST]: 'kept', 'https://other.fake.dev': 'a, b' })
    await dpopFetch(URL_, POST)
    expect(nonces()).toStrictEqual(['kept'])
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'kept' })
  })

  test('a changed nonce is told at once, with all others, and one that stays is not', async () => {
    const { dpopFetch, told } = await host([challenge('n1'), good('n1'), good(), good('n2')], { [OTHER]: 'kept' })
    for (let call = 0; call < 3; call += 1) await dpopFetch(URL_, POST)
    expect(told).toStrictEqual([
      { [OTHER]: 'kept', [HOST]: 'n1' },
      { [OTHER]: 'kept', [HOST]: 'n2' },
    ])
  })

  test('13.5 two headers are none', async () => {
    const headers = new Headers([
      ['dpop-nonce', 'a'],
      ['dpop-nonce', 'b'],
      ['content-type', 'application/json'],
    ])
    const doubled = new Response('{"error":"use_dpop_nonce"}', { status: 400, headers })
    const { dpopFetch, requests } = await host([doubled, good()], { [HOST]: 'kept' })
    expect((await dpopFetch(URL_, POST)).status).toBe(400)
    expect(requests).toHaveLength(1)
    expect(dpopFetch.nonces()).toStrictEqual({ [HOST]: 'kept' })
  })

  test.each(['a b', 'say"hi"', 'back\\slash', 'x'.repeat(102_400)])('13.5 not kept: %.20j', async (nonce) => {
    const { dpopFetch } = await host([good(nonce)])
    await dpopFetch(URL_, POST)
    expect(dpopFetch.nonces()).toStrictEqual({})
  })

  test('13.10 ten requests at once over a rotation', async () => {
    const world = createFakeWorld({ faults: { nonceMemory: 20 } })
    const { dpopFetch } = await host([], {}, world)
    const { accessToken } = world.openSession({ sub: world.alice.did, clientId: 'c', jkt: 'j' })
    const url = new URL(`${world.pds}/xrpc/com.atproto.server.getSession`)
    const answers = await Promise.all(Array.from({ length: 10 }, () => dpopFetch(url, { accessToken })))
    const errors = await Promise.all(answers.map((answer) => toResponse(answer).json()))
    // The key is not the session's, and that is all that is wrong in the end.
    expect(errors).toMatchObject(Array(10).fill({ error: 'invalid_token', message: 'Invalid DPoP key binding' }))
  })
})

test.each([
  ['unreachable', 'NETWORK_UNREACHABLE'],
  ['lostBefore', 'NETWORK_LOST'],
  ['lostAfter', 'NETWORK_LOST'],
] as const)('11.8 %s is not repeated: %s', async (fault, code) => {
  const world = createFakeWorld({ faults: { httpFault: () => fault } })
  const { dpopFetch } = await host([good()], {}, world)
  expect(await failure(() => dpopFetch(URL_, POST))).toMatchObject({ code })
  expect(world.requests).toHaveLength(1)
})
