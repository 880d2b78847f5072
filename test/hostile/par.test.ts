import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { openSession } from '../../src/session/open.ts'
import type { ChallengeForm, NonceMode } from '../../src/testing/faults.ts'
import { createFakeWorld, type Fault, json } from '../support/fake-atproto.ts'
import { brokenOff, endless, fattened, html, JSON_TYPE, redirect, retyped } from '../support/fake-bodies.ts'
import { at, GET_SESSION, INIT, initRefused, inOrder, signedIn, stageOf, steadyWorld, upTo } from './flows.ts'

/** With the one request that gets a response, and without the one that the nonce costs. */
const ONCE = upTo(INIT, 'par')
const refuse = (status: number, error: string) => () => json(status, { error, error_description: 'why' })

describe('a pushed request that is refused', () => {
  test.each([
    [400, 'invalid_request'],
    [400, 'invalid_scope'],
    [400, 'unauthorized_client'],
    [400, 'unsupported_response_type'],
    [400, 'invalid_client_metadata'],
    [400, 'invalid_redirect_uri'],
    [400, 'invalid_grant'],
    [400, 'temporarily_unavailable'],
    [400, '__proto__'],
    [401, 'invalid_client'],
    [401, 'invalid_token'],
    [401, 'invalid_dpop_proof'],
    [403, 'access_denied'],
    [405, 'invalid_request'],
    [413, 'invalid_request'],
  ])('7.11 %i %s', async (status, error) => {
    const world = steadyWorld()
    world.faults.httpFault = at('par', refuse(status, error))
    const { message } = await initRefused(world, 'PAR_REFUSED', ONCE)
    expect(message).toContain(`${status} ${error} "why"`)
  })

  test.each<[string, () => Fault, ErrorCode]>([
    ['7.11 400 HTML', () => html(400), 'PAR_REFUSED'],
    ['7.11 404 HTML', () => html(404), 'PAR_REFUSED'],
    ['7.11 429', () => html(429), 'RATE_LIMITED'],
    ['7.11 500 server_error', refuse(500, 'server_error'), 'SERVER_UNAVAILABLE'],
    ['7.11 502 HTML', () => html(502), 'SERVER_UNAVAILABLE'],
    ['7.11 400 never-ending', () => endless(400).answer, 'PAR_REFUSED'],
    ['7.12 302', () => redirect(302, 'https://evil.fake.dev/par'), 'PAR_REFUSED'],
    ['7.12 307', () => redirect(307, 'https://evil.fake.dev/par'), 'PAR_REFUSED'],
    ['7.12 308 to itself', () => redirect(308, 'https://as.fake.dev/oauth/par'), 'PAR_REFUSED'],
    ['7.9 204', () => new Response(null, { status: 204 }), 'PAR_REFUSED'],
    ['7.9 200 HTML', () => html(), 'RESPONSE_INVALID'],
    ['7.9 200 never-ending', () => endless().answer, 'RESPONSE_INVALID'],
    ['7.9 200 one byte a second', () => brokenOff(), 'NETWORK_LOST'],
    ['dropped before', () => 'lostBefore', 'NETWORK_LOST'],
    ['dropped after', () => 'lostAfter', 'NETWORK_LOST'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
  ])('%s', async (_, fault, code) => {
    const world = steadyWorld()
    world.faults.httpFault = at('par', fault)
    await initRefused(world, code, ONCE)
  })

  test.each<[string, (answer: Response) => Response | Promise<Response>, ErrorCode]>([
    ['7.9 as text/html', retyped('text/html'), 'RESPONSE_INVALID'],
    ['7.9 with ten megabytes', fattened, 'RESPONSE_INVALID'],
    ['7.9 as a list', async (answer) => new Response(`[${await answer.text()}]`, answer), 'RESPONSE_INVALID'],
    ['7.9 as 202', (answer) => new Response(answer.body, { status: 202, headers: JSON_TYPE }), 'PAR_REFUSED'],
  ])('%s, after the server took it', async (_, spoil, code) => {
    const world = steadyWorld()
    // The challenge stays as it is: only what the server grants is spoilt.
    world.faults.httpFault = at('par', () => (answer) => (answer.ok ? spoil(answer) : answer))
    await initRefused(world, code, INIT)
  })

  test.each<[string, unknown[]]>([
    ['request_uri', [undefined, null, '', '  ', 7, ['urn:x'], {}]],
    ['expires_in', [undefined, null, 0, -1, 1.5, '300', [300], Number.NaN]],
  ])('7.9 %s', async (field, values) => {
    for (const value of values) {
      const world = steadyWorld()
      world.faults.mutatePar = (answer) => ({ ...answer, [field]: value })
      await initRefused(world, 'RESPONSE_INVALID', INIT)
    }
  })

  test.each([200, 201])('7.9 %i is a response', async (parStatus) => {
    const world = steadyWorld({ faults: { parStatus } })
    await expect(signedIn(world)).resolves.toMatchObject({ did: world.alice.did })
  })

  test('8.4 a request_uri that looks like parameters stays one value', async () => {
    const world = steadyWorld()
    world.faults.mutatePar = (answer) => ({ ...answer, request_uri: 'urn:x&client_id=https://evil.dev/c#f' })
    const { authorizationUrl, pending } = await init('alice.fake.dev', {}, world)
    expect(authorizationUrl.origin).toBe(world.as)
    expect([...authorizationUrl.searchParams]).toStrictEqual([
      ['client_id', pending.clientId],
      ['request_uri', 'urn:x&client_id=https://evil.dev/c#f'],
    ])
  })
})

describe('nonces over a whole life: init, complete, call, refresh', () => {
  async function wholeLife(world: ReturnType<typeof createFakeWorld>) {
    const credentials = await signedIn(world)
    const session = await openSession(credentials, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    world.advance(3_600_000)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    return world.requests.map(stageOf)
  }

  test.each<[string, NonceMode, NonceMode, number, number]>([
    // A call more wherever a nonce is missing or old. That of the first request is learned early.
    ['constant', 'constant', 'constant', 1, 3],
    ['none', 'none', 'none', 1, 2],
    ['rotating, an hour apart', 'rotate', 'rotate', 1, 4],
    ['absent on success', 'absentOnSuccess', 'absentOnSuccess', 1, 4],
    ['at the authorization server only', 'rotate', 'none', 1, 2],
  ])('13.2 %s', async (_, asNonces, rsNonces, pars, calls) => {
    const world = createFakeWorld({ faults: { asNonces, rsNonces } })
    const stages = await wholeLife(world)
    expect(stages.filter((stage) => stage === 'par')).toHaveLength(pars)
    expect(stages.filter((stage) => stage === 'call')).toHaveLength(calls)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test.each<ChallengeForm>([
    { status: 400, form: 'json' },
    { status: 401, form: 'json' },
    { status: 400, form: 'header' },
    { status: 401, form: 'header' },
    { status: 401, form: 'both' },
  ])('13.3 asked for with %j', async (form) => {
    const world = createFakeWorld({ faults: { asChallenge: form, rsChallenge: form } })
    await wholeLife(world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('12.3, 12.10 no jti twice in a whole life, retries included', async () => {
    const world = createFakeWorld()
    await wholeLife(world)
    const proofs = world.requests.map(({ headers }) => headers['dpop']).filter((proof) => proof !== undefined)
    const jtis = proofs.map((proof) => JSON.parse(Buffer.from(proof.split('.')[1]!, 'base64url').toString()).jti)
    expect(proofs.length).toBeGreaterThan(6)
    expect(new Set(jtis).size).toBe(jtis.length)
  })

  test('13.4 a new nonce demanded each time: two requests, not three', async () => {
    await initRefused(steadyWorld({ faults: { asNonces: 'alwaysChallenge' } }), 'PAR_REFUSED', [...INIT, 'par'])
  })

  test('13.5 two nonces in one response are ignored: no second request', async () => {
    const world = steadyWorld({ faults: { asNonces: 'duplicate' } })
    await expect(init('alice.fake.dev', {}, world)).rejects.toMatchObject({ code: 'PAR_REFUSED', session: 'none' })
    expect(inOrder(world.requests.map(stageOf))).toStrictEqual(inOrder(INIT))
    expect(world.stores.history).toStrictEqual([])
  })

  test.each(['alwaysChallenge', 'duplicate'] as const)(
    '13.4 %s at the exchange: refused, with no third request',
    async (mode) => {
      const world = createFakeWorld()
      const { authorizationUrl } = await init('alice.fake.dev', {}, world)
      const callback = world.authorize(authorizationUrl)
      world.forgetNonces()
      world.faults.asNonces = mode
      await expect(complete(callback, world)).rejects.toMatchObject({
        code: 'EXCHANGE_REFUSED',
        session: 'none',
      })
      const exchanges = world.requests.filter((request) => stageOf(request) === 'exchange')
      expect(exchanges).toHaveLength(mode === 'duplicate' ? 1 : 2)
      expect(world.sessions).toStrictEqual([])
      expect(world.stores.sessionRecords.size).toBe(0)
    },
  )
})
