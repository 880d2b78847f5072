import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { openSession } from '../../src/session/open.ts'
import type { Faults } from '../../src/testing/faults.ts'
import type { Json } from '../../src/testing/http.ts'
import { failure } from '../support/failure.ts'
import { type Fault, json } from '../support/fake-atproto.ts'
import { endless, html, redirect } from '../support/fake-bodies.ts'
import { at, GET_SESSION, REFRESH, refreshRefused, signedIn, stageOf, steadyWorld } from './flows.ts'
import { MALLORY, NO_TOKENS, ODD_TOKENS, refuse } from './token-faults.ts'

describe('11.11 refused before the token was looked at: the session lives', () => {
  test.each<[string, () => Fault, ErrorCode]>([
    ['400 invalid_request', refuse(400, 'invalid_request'), 'REFRESH_REFUSED'],
    ['400 unsupported_grant_type', refuse(400, 'unsupported_grant_type'), 'REFRESH_REFUSED'],
    ['400 unauthorized_client', refuse(400, 'unauthorized_client'), 'REFRESH_REFUSED'],
    ['400 invalid_scope', refuse(400, 'invalid_scope'), 'REFRESH_REFUSED'],
    ['401 invalid_client', refuse(401, 'invalid_client'), 'REFRESH_REFUSED'],
    ['401 invalid_dpop_proof', refuse(401, 'invalid_dpop_proof'), 'REFRESH_REFUSED'],
    ['400 HTML that says invalid_grant', () => new Response('invalid_grant', { status: 400 }), 'REFRESH_REFUSED'],
    ['400 invalid_grant as a description', () => json(400, { error_description: 'invalid_grant' }), 'REFRESH_REFUSED'],
    ['400 invalid_grant as a list', () => json(400, { error: ['invalid_grant'] }), 'REFRESH_REFUSED'],
    ['400 never-ending', () => endless(400).answer, 'REFRESH_REFUSED'],
    ['404', () => html(404), 'REFRESH_REFUSED'],
    ['7.12 302', () => redirect(302, 'https://evil.fake.dev/token'), 'REFRESH_REFUSED'],
    ['7.12 307', () => redirect(307, 'https://evil.fake.dev/token'), 'REFRESH_REFUSED'],
    ['7.12 308', () => redirect(308, 'http://127.0.0.1/token'), 'REFRESH_REFUSED'],
    ['307 that says invalid_grant', refuse(307, 'invalid_grant'), 'REFRESH_REFUSED'],
    ['429', () => html(429), 'RATE_LIMITED'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
  ])('%s', async (_, fault, code) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('refresh', fault)
    await refreshRefused(world, credentials, { code, session: 'alive', sent: REFRESH })
  })

  test.each<[Faults['asNonces'], number]>([
    ['alwaysChallenge', 2],
    ['duplicate', 1],
  ])('13.4 nonces %s: no endless retry, and the token is not spent', async (asNonces, times) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.forgetNonces()
    world.faults.asNonces = asNonces
    const sent = [...REFRESH.slice(0, -1), ...Array<'refresh'>(times).fill('refresh')]
    const session = await openSession(credentials, world)
    const before = world.requests.length
    const error = await failure(session.call(GET_SESSION))
    expect(error).toMatchObject({ code: 'REFRESH_REFUSED', session: 'alive' })
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual(sent)
    expect(world.currentRefreshToken(world.alice.did)).toBe(credentials.refreshToken)
  })
})

describe('11.8 it is not known whether the token is spent', () => {
  test.each<[string, () => Fault]>([
    ...NO_TOKENS,
    ['500 that says invalid_grant', refuse(500, 'invalid_grant')],
    ['201 that says invalid_grant', refuse(201, 'invalid_grant')],
    ['10.5 200 HTML, before the server had it', () => html()],
  ])('%s', async (_, fault) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('refresh', fault)
    await refreshRefused(world, credentials, { code: 'REFRESH_AMBIGUOUS', session: 'unknown', sent: REFRESH })
  })
})

describe('the session has ended', () => {
  test('11.11 the server says so', async () => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.advance(15 * 86_400_000)
    const sent = REFRESH
    await refreshRefused(world, credentials, { code: 'SESSION_DEAD', session: 'dead', sent })
  })

  test('11.3 the token was used by somebody else before: replay', async () => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    const elsewhere = steadyWorld()
    await (await openSession(credentials, { ...world, stores: elsewhere.stores })).call(GET_SESSION)
    await refreshRefused(world, credentials, { code: 'SESSION_DEAD', session: 'dead', sent: REFRESH })
  })

  test('11.4 with the key of another session: the server deletes the session, and so do we', async () => {
    const world = steadyWorld()
    const { thumbprint, ...credentials } = await signedIn(world)
    const mixed = { ...credentials, dpopPrivateJwk: await generateDpopJwk() }
    await refreshRefused(world, mixed, { code: 'SESSION_DEAD', session: 'dead', sent: REFRESH })
  })

  test.each<[string, (answer: Json) => unknown]>([
    ['11.10 for another account', (answer) => ({ ...answer, sub: MALLORY })],
    ['10.5 without access_token', ({ access_token, ...answer }) => answer],
    ['10.6 for Bearer', (answer) => ({ ...answer, token_type: 'Bearer' })],
    ['10.7 without sub', ({ sub, ...answer }) => answer],
    ['10.7 for a handle', (answer) => ({ ...answer, sub: 'alice.fake.dev' })],
    ['11.10 without atproto', (answer) => ({ ...answer, scope: 'transition:generic' })],
    ['10.8 without scope', ({ scope, ...answer }) => answer],
    ['10.10 refresh_token null', (answer) => ({ ...answer, refresh_token: null })],
  ])('tokens %s: revoked and not kept', async (_, mutate) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.mutateToken = mutate
    const sent = [...REFRESH, 'revoke'] as const
    await refreshRefused(world, credentials, { code: 'TOKEN_RESPONSE_INVALID', session: 'dead', sent })
  })

  test.each<[string, Partial<Faults>, 'revoke'[]]>([
    ['absent', { revocation: 'absent' }, []],
    ['unavailable', { revocation: 'unavailable' }, ['revoke']],
    ['lost on the way', { httpFault: at('revoke', () => 'lostAfter') }, ['revoke']],
  ])('16.8 with the revocation %s it is deleted here anyway', async (_, faults, after) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    Object.assign(world.faults, faults, { mutateToken: (answer: Json) => ({ ...answer, sub: MALLORY }) })
    const before = world.requests.length
    const error = await failure((await openSession(credentials, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', session: 'dead' })
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual([...REFRESH, ...after])
    const kept = JSON.stringify([...world.stores.sessionRecords.values()])
    for (const { accessToken, refreshToken } of world.sessions) {
      for (const token of [accessToken, refreshToken]) expect(kept).not.toContain(token)
    }
  })
})

describe('unusual but valid responses', () => {
  test.each(ODD_TOKENS)('26.11 tokens %s: kept, and used', async (_, fault) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('refresh', fault)
    const session = await openSession(credentials, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record()).toMatchObject({ refreshToken: world.currentRefreshToken(world.alice.did), rotation: 1 })
    expect(session.record().intent).toBeUndefined()
    expect(world.sent((request) => stageOf(request) === 'refresh')).toHaveLength(1)
  })

  test.each<[string, Json]>([
    ['10.9 no expires_in', { expires_in: undefined }],
    ['10.9 expires_in as text', { expires_in: '3600' }],
    ['10.9 expires_in beyond all measure', { expires_in: 1e12 }],
    ['10.9 expires_in over already', { expires_in: -5 }],
    ['10.11 an id_token', { id_token: 'eyJ.x.y' }],
    ['11.10 less scope', { scope: 'atproto' }],
    ['11.10 more scope', { scope: 'repo:* atproto' }],
  ])('%s: kept, and used', async (_, change) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.mutateToken = (answer) => ({ ...answer, ...change })
    const session = await openSession(credentials, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(session.record()).toMatchObject({ refreshToken: world.currentRefreshToken(world.alice.did) })
    expect(session.record().scope).toBe(change['scope'] ?? 'atproto')
    expect(world.sent((request) => stageOf(request) === 'refresh')).toHaveLength(1)
  })
})
