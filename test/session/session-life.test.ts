/** How long a session lasts, and what servers do to it; the servers are the fake ones, as they are, without faults. */
import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { isFresh } from '../../src/session/freshness.ts'
import { openSession } from '../../src/session/open.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'
import { elsewhere, GET_SESSION, HOUR, isCall, isRefresh, signedIn, signIn, stored } from '../support/login.ts'

describe('the code', () => {
  test('10.4 one that came too late: the server’s reason, and what to do', async () => {
    const world = createFakeWorld()
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const callback = world.authorize(authorizationUrl)
    world.advance(6 * 60_000)
    const error = await failure(complete(callback, world))
    expect(error).toMatchObject({ code: 'EXCHANGE_REFUSED', session: 'none' })
    expect(error.message).toContain('This code has expired')
    expect(error.facts).toMatchObject({ handle: 'alice.fake.dev' })
    expect(world.sessions).toHaveLength(0)
  })
})

describe('a session without a refresh token', () => {
  const signedInFor = async (expires_in: number | undefined) => {
    const world = createFakeWorld()
    world.faults.mutateToken = (json) => ({ ...json, refresh_token: undefined, expires_in })
    const { credentials } = await signIn(world)
    return { world, credentials, session: await openSession(credentials, world) }
  }

  test('10.10, 11.16 is used as long as its access token lasts; then nothing is sent, and a login asked for', async () => {
    const { world, credentials, session } = await signedInFor(3600)
    expect(credentials.refreshToken).toBeUndefined()
    expect((await session.call(GET_SESSION)).status).toBe(200)
    world.advance(HOUR)
    const before = world.requests.length
    expect(await failure(session.call(GET_SESSION))).toMatchObject({
      code: 'SESSION_NOT_REFRESHABLE',
      session: 'dead',
      facts: { did: expect.any(String) },
    })
    expect(world.requests).toHaveLength(before)
  })

  test('11.16, 10.9 without an expires_in it is used until it is refused', async () => {
    const { world, credentials, session } = await signedInFor(undefined)
    expect(credentials.accessTokenExpiresAt).toBeUndefined()
    world.advance(HOUR - 60_000)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    world.advance(60_000)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SESSION_NOT_REFRESHABLE' })
    expect(world.sent(isRefresh)).toHaveLength(0)
  })
})

describe('when to refresh', () => {
  test('11.12 not with ten minutes left, always with five seconds, and in between not all at once', async () => {
    const { world, credentials } = await signedIn()
    const record = (await openSession(credentials, world)).record()
    const fresh = (seconds: number, random: number) => {
      const randomBytes = (length: number) => new Uint8Array(length).fill(random)
      const expiring = { accessTokenExpiresAt: world.now() + seconds * 1000, rotatedAt: world.now() - HOUR }
      return isFresh({ ...record, ...expiring }, { ...world, randomBytes })
    }
    expect([fresh(600, 0), fresh(600, 255), fresh(41, 255), fresh(11, 0)]).toStrictEqual([true, true, true, true])
    expect([fresh(10, 0), fresh(5, 0), fresh(5, 255), fresh(40, 255), fresh(-1, 0)]).not.toContain(true)
  })

  test('11.14 a rotation ends the access token of the process beside: it reads the store, and does not rotate again', async () => {
    const { world, separate } = await signedIn()
    const [one, other] = [await openSession(separate, world), await openSession(separate, world)]
    await one.call(GET_SESSION)
    await other.call(GET_SESSION)
    world.advance(120_000)
    await one.refresh()
    const refreshes = world.sent(isRefresh).length
    const calls = world.sent(isCall).length
    expect((await other.call(GET_SESSION)).status).toBe(200)
    expect(world.sent(isRefresh)).toHaveLength(refreshes)
    expect(world.sent(isCall)).toHaveLength(calls + 2) // refused, and again with the token of the store
    expect(other.record().accessToken).toBe(stored(world).accessToken)
  })
})

describe('what ends a session at the server', () => {
  test('11.3 its refresh token was used on another machine: over, also there', async () => {
    const { world, separate } = await signedIn()
    const there = elsewhere(world)
    const session = await openSession(separate, there)
    await session.call(GET_SESSION)
    const error = await failure((await openSession(separate, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
    expect(error.message).toContain('Refresh token replayed')
    expect(stored(world).refreshToken).toBeUndefined()
    expect(world.sessionAlive(world.alice.did)).toBe(false)
    world.advance(HOUR)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SESSION_DEAD' })
  })

  test('11.4 a wrong key that could not be detected ends the session', async () => {
    const { world, separate } = await signedIn()
    const mixed = { ...separate, dpopPrivateJwk: await generateDpopJwk() }
    expect(await failure((await openSession(mixed, world)).call(GET_SESSION))).toMatchObject({
      code: 'SESSION_DEAD',
    })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('11.4 a nonce challenge, a bad proof, and a client that is not known do not', async () => {
    for (const error of ['use_dpop_nonce', 'invalid_dpop_proof', 'invalid_client']) {
      const { world, separate } = await signedIn()
      world.faults.httpFault = (request) =>
        isRefresh(request) ? Response.json({ error }, { status: error === 'use_dpop_nonce' ? 400 : 401 }) : undefined
      const session = await openSession(separate, world)
      expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'REFRESH_REFUSED', session: 'alive' })
      world.faults.httpFault = () => undefined
      expect((await session.call(GET_SESSION)).status).toBe(200)
    }
  })

  test('11.11 fourteen days: said by the server, then by us', async () => {
    const { world, separate } = await signedIn()
    await (await openSession(separate, world)).call(GET_SESSION)
    world.advance(14 * 24 * HOUR)
    const session = await openSession(separate, world)
    const error = await failure(session.call(GET_SESSION))
    expect(error).toMatchObject({ code: 'SESSION_DEAD', message: expect.stringContaining('Session expired') })
    const before = world.requests.length
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SESSION_DEAD' })
    expect(world.requests).toHaveLength(before)
  })
})

describe('11.10 the response to a refresh is validated like that of a login', () => {
  test.each([
    ['another account', { sub: 'did:plc:mallory234567mallory2345' }],
    ['no account', { sub: undefined }],
    ['a scope without atproto', { scope: 'transition:generic' }],
    ['no scope', { scope: undefined }],
    ['tokens of another type', { token_type: 'Bearer' }],
    ['no access token', { access_token: '' }],
  ])('%s: dropped, revoked, over', async (_, wrong) => {
    const { world, separate } = await signedIn()
    world.faults.mutateToken = (json) => ({ ...json, ...wrong })
    const error = await failure((await openSession(separate, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', session: 'dead' })
    expect(world.sent(isCall)).toHaveLength(0)
    expect(world.sent('revoke')).not.toHaveLength(0)
    const { accessToken, refreshToken, ended } = stored(world)
    expect({ accessToken, refreshToken }).toStrictEqual({ accessToken: undefined, refreshToken: undefined })
    expect(ended).toBeDefined()
  })

  test.each(['atproto', 'repo:* transition:generic atproto rpc:a.b.c?aud=*'])('the scope is now %s', async (scope) => {
    const { world, separate } = await signedIn()
    world.faults.mutateToken = (json) => ({ ...json, scope })
    await (await openSession(separate, world)).call(GET_SESSION)
    expect(stored(world).scope).toBe(scope)
  })

  test('11.2 the new refresh token is used from then on, also by who still has the old one', async () => {
    const { world, separate } = await signedIn()
    const sent: (string | null)[] = []
    world.faults.httpFault = (request) => {
      if (isRefresh(request)) sent.push(new URLSearchParams(request.body).get('refresh_token'))
      return undefined
    }
    for (let round = 0; round < 3; round += 1) {
      expect((await (await openSession(separate, world)).call(GET_SESSION)).status).toBe(200)
      world.advance(HOUR)
    }
    const used = sent.filter((token, index) => token !== sent[index - 1]) // without the nonce retry
    expect(used).toHaveLength(3)
    expect(new Set(used).size).toBe(3)
    expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })
})
