import { describe, expect, test } from 'vitest'
import type { ErrorCode, SessionState } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import type { Faults } from '../../src/testing/faults.ts'
import type { Json } from '../../src/testing/http.ts'
import type { Fault } from '../support/fake-atproto.ts'
import { html, redirect } from '../support/fake-bodies.ts'
import { at, COMPLETE, completeRefused, consented, steadyWorld } from './flows.ts'
import { instead, MALLORY, NO_TOKENS, ODD_TOKENS, refuse } from './token-faults.ts'

describe('the code is refused, and no session came of it', () => {
  test.each([
    [400, 'invalid_grant'],
    [400, 'invalid_request'],
    [400, 'unsupported_grant_type'],
    [400, 'unauthorized_client'],
    [400, 'invalid_scope'],
    [401, 'invalid_client'],
    [401, 'invalid_dpop_proof'],
    [403, 'access_denied'],
    [405, 'invalid_request'],
  ])('10.2 %i %s: sent once, not sent again', async (status, error) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.httpFault = at('exchange', refuse(status, error))
    const { callback } = login
    await expect(complete(callback, world)).rejects.toMatchObject({
      code: 'EXCHANGE_REFUSED',
      session: 'none',
    })
    expect(world.sessions).toStrictEqual([])
    world.faults.httpFault = () => undefined
    const before = world.requests.length
    await expect(complete(callback, world)).rejects.toMatchObject({ code: 'CODE_USED', session: 'none' })
    expect(world.requests).toHaveLength(before)
  })

  test.each<[string, () => Fault, ErrorCode]>([
    ['11.11 429', () => html(429), 'RATE_LIMITED'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
  ])('%s: the code is as good as before', async (_, fault, code) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.httpFault = at('exchange', fault)
    await completeRefused(world, login, { code, sent: COMPLETE, login: 'open' })
  })
})

describe('11.8 it is not known whether there is a session now', () => {
  test.each<[string, () => Fault]>([...NO_TOKENS, ['10.5 200 with a list', instead('[]')]])('%s', async (_, fault) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.httpFault = at('exchange', fault)
    await completeRefused(world, login, {
      code: 'EXCHANGE_AMBIGUOUS',
      session: 'unknown',
      sent: COMPLETE,
      login: 'over',
    })
  })

  test.each([302, 307, 308])('7.12 %i: the code does not follow it', async (status) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.httpFault = at('exchange', () => redirect(status, 'https://evil.fake.dev/token'))
    await expect(complete(login.callback, world)).rejects.toMatchObject({ code: 'EXCHANGE_REFUSED', session: 'none' })
    expect(world.requests.filter(({ url }) => url.includes('evil'))).toStrictEqual([])
    expect(world.sessions).toStrictEqual([])
  })
})

const TOKENS: [string, (answer: Json) => unknown, ErrorCode][] = [
  ['10.5 no access_token', ({ access_token, ...answer }) => answer, 'TOKEN_RESPONSE_INVALID'],
  ['10.5 an empty one', (answer) => ({ ...answer, access_token: '' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.5 one with a line feed', (answer) => ({ ...answer, access_token: 'a\r\nx: y' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.6 no token_type', ({ token_type, ...answer }) => answer, 'TOKEN_RESPONSE_INVALID'],
  ['10.6 Bearer', (answer) => ({ ...answer, token_type: 'Bearer' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.7 no sub', ({ sub, ...answer }) => answer, 'TOKEN_RESPONSE_INVALID'],
  ['10.7 a handle', (answer) => ({ ...answer, sub: 'alice.fake.dev' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.7 a did:key', (answer) => ({ ...answer, sub: 'did:key:z6Mkabc' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.8 no scope', ({ scope, ...answer }) => answer, 'TOKEN_RESPONSE_INVALID'],
  ['10.8 atproto as a part of a word', (answer) => ({ ...answer, scope: 'atprotofoo' }), 'TOKEN_RESPONSE_INVALID'],
  ['10.10 refresh_token a number', (answer) => ({ ...answer, refresh_token: 7 }), 'TOKEN_RESPONSE_INVALID'],
  ['10.13 another account', (answer) => ({ ...answer, sub: MALLORY }), 'ACCOUNT_MISMATCH'],
]

describe('10.16 tokens that cannot be trusted are ended and not kept', () => {
  test.each(TOKENS)('%s', async (_, mutate, code) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.mutateToken = mutate
    await completeRefused(world, login, { code, sent: [...COMPLETE, 'revoke'], login: 'over' })
  })

  test.each<[string, Partial<Faults>, ('revoke' | 'elsewhere')[]]>([
    ['absent', { revocation: 'absent' }, []],
    ['unavailable', { revocation: 'unavailable' }, ['revoke']],
    ['lost on the way', { httpFault: at('revoke', () => 'lostBefore') }, ['revoke']],
    ['behind a redirect', { httpFault: at('revoke', () => redirect(307, 'https://evil.fake.dev')) }, ['revoke']],
  ])('16.8 with the revocation %s: a session may be left, and that is said', async (_, faults, after) => {
    const cases: [(answer: Json) => unknown, ErrorCode][] = [
      [(answer) => ({ ...answer, sub: MALLORY }), 'ACCOUNT_MISMATCH'],
      [(answer) => ({ ...answer, token_type: 'Bearer' }), 'TOKEN_RESPONSE_INVALID'],
    ]
    for (const [mutate, code] of cases) {
      const world = steadyWorld()
      const login = await consented(world)
      Object.assign(world.faults, faults, { mutateToken: mutate })
      const session: SessionState = 'unknown'
      await completeRefused(world, login, { code, session, sent: [...COMPLETE, ...after], login: 'over' })
    }
  })

  test('nothing in the response can be revoked: whether there is a session is unknown', async () => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.mutateToken = () => ({ token_type: 'DPoP' })
    const code = 'EXCHANGE_AMBIGUOUS'
    await completeRefused(world, login, { code, session: 'unknown', sent: COMPLETE, login: 'over' })
  })
})

describe('10.14 started at a server: who signed in is looked up afterwards', () => {
  test.each<[string, () => Fault, ErrorCode]>([
    ['PLC is away', () => 'unreachable', 'ACCOUNT_UNVERIFIED'],
    ['PLC limits us', () => html(429), 'ACCOUNT_UNVERIFIED'],
    ['PLC does not respond', () => 'lostAfter', 'ACCOUNT_UNVERIFIED'],
    ['nobody is known there', () => html(404), 'DID_NOT_FOUND'],
  ])('%s: the code is spent, so that is no failure to run again', async (_, fault, code) => {
    const world = steadyWorld()
    const login = await consented(world, world.as)
    world.faults.httpFault = at('did', fault)
    const error = await completeRefused(world, login, {
      code,
      sent: ['asm', 'exchange', 'did', 'revoke'],
      login: 'over',
    })
    expect(error.facts).toMatchObject({ did: undefined, handle: undefined, issuer: world.as })
  })
})

describe('unusual but valid responses', () => {
  test.each(ODD_TOKENS)('26.11 tokens %s: kept', async (_, fault) => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    world.faults.httpFault = at('exchange', fault)
    const { credentials } = await complete(callback, world)
    expect(credentials.refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    expect(world.sent('token')).toHaveLength(1)
  })

  test.each<[string, Json, Json]>([
    ['10.6 token_type in capitals', { token_type: 'DPOP' }, {}],
    ['10.9 no expires_in', { expires_in: undefined }, { accessTokenExpiresAt: undefined }],
    ['10.9 expires_in as text', { expires_in: 'soon' }, { accessTokenExpiresAt: undefined }],
    ['10.10 no refresh_token', { refresh_token: undefined }, { refreshToken: undefined }],
    ['10.11 an id_token', { id_token: 'eyJ.x.y' }, {}],
    ['10.12 more members', { account: MALLORY, error: 'invalid_grant', __proto__: null }, {}],
    [
      '10.8 more scope than was asked for',
      { scope: 'transition:generic atproto' },
      { scope: 'transition:generic atproto' },
    ],
  ])('%s', async (_, change, credentials) => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    world.faults.mutateToken = (answer) => ({ ...answer, ...change })
    const completed = await complete(callback, world)
    expect(completed.credentials).toMatchObject({ did: world.alice.did, server: world.pds, ...credentials })
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })
})
