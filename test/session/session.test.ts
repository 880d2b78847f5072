import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Credentials, Handle, SessionRecord } from '../../src/model.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld } from '../support/fake-atproto.ts'

const HOUR = 3_600_000
const isTokenRequest = (request: FakeRequest) => request.url.endsWith('/oauth/token')
const isRefresh = (request: FakeRequest) => request.body.includes('grant_type=refresh_token')
const GET_SESSION = { nsid: 'com.atproto.server.getSession' }

/** A world in which alice has signed in, and her credentials as another machine has them: without the access token. */
async function signedIn(faults: Partial<FakeWorld['faults']> = {}) {
  const world = createFakeWorld({ faults: { asNonces: 'constant', rsNonces: 'constant', ...faults } })
  const { authorizationUrl } = await init('alice.fake.dev', { scope: 'transition:generic' }, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  const { accessToken, accessTokenExpiresAt, issuer, thumbprint, createdAt, rotatedAt, rotation, scope, ...separate } =
    credentials
  return { world, credentials, separate: separate as Credentials }
}

async function getSession(credentials: Credentials, world: FakeWorld) {
  const session = await openSession(credentials, world)
  const response = await session.call(GET_SESSION)
  expect(response.status).toBe(200)
  return response.json()
}

function brokenBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"access_token":')),
    pull: (controller) => controller.error(new TypeError('terminated')),
  })
}

function stored(world: FakeWorld): SessionRecord {
  expect(world.stores.sessionRecords.size).toBe(1)
  return [...world.stores.sessionRecords.values()][0]!
}

describe('which token is used', () => {
  test('the access token of complete, without a refresh and without the store', async () => {
    const { world, credentials } = await signedIn()
    await expect(getSession(credentials, world)).resolves.toMatchObject({ did: world.alice.did })
    expect(world.sent(isRefresh)).toHaveLength(0)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test('credentials from the environment: one refresh, then the store, one request a call', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    expect(world.sent(isRefresh).length).toBeGreaterThan(0)
    const refreshes = world.sent(isRefresh).length
    const before = world.requests.length
    await getSession(separate, world)
    expect(world.requests).toHaveLength(before + 1)
    expect(world.sent(isRefresh)).toHaveLength(refreshes)
  })

  test('11.12 a token about to expire is refreshed first, with the newest of environment and store', async () => {
    const { world, separate } = await signedIn()
    for (let round = 0; round < 4; round += 1) {
      await getSession(separate, world)
      expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
      world.advance(HOUR - 5_000)
    }
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect(stored(world).spentTokens).toHaveLength(4)
  })

  test.each([
    [3, 4],
    [0, 1],
    [undefined, undefined],
  ])('a copy without an order, and %s refreshes counted in the store: the hint helps', async (count, hinted) => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const record = { ...stored(world), rotation: count }
    world.stores.sessionRecords.set(record.thumbprint, { ...record, refreshToken: 'older', spentTokens: [] })
    const newest = { ...separate, refreshToken: record.refreshToken }
    const error = await failure(openSession(newest, world))
    expect(error.facts).toStrictEqual({
      reason: 'copies-differ',
      rotation: hinted,
      thumbprint: record.thumbprint,
    })
    if (hinted === undefined) world.stores.sessionRecords.delete(record.thumbprint)
    await (await openSession({ ...newest, rotation: hinted }, world)).refresh()
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test.each([
    ['with a count: it is used', 2, undefined],
    ['without: nothing is sent', undefined, 'COPIES_DIFFER'],
  ])('a token that was rotated on another machine, %s', async (_, rotation, code) => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const elsewhere = { ...world, stores: createFakeWorld().stores }
    const shared = { ...separate, refreshToken: stored(world).refreshToken }
    world.advance(HOUR)
    await getSession(shared, elsewhere as FakeWorld)
    const handedBack = { ...separate, rotation, refreshToken: world.currentRefreshToken(world.alice.did) }
    world.advance(HOUR)
    const sent = world.sent(isRefresh).length
    if (code !== undefined) {
      const error = await failure(openSession(handedBack, world))
      expect(error).toMatchObject({ code, session: 'alive', facts: { reason: 'copies-differ', rotation: 2 } })
      expect(error.message).toContain('the given credentials and the store have different refresh tokens')
      expect(world.sent(isRefresh)).toHaveLength(sent)
      expect(world.sessionAlive(world.alice.did)).toBe(true)
      return
    }
    await getSession(handedBack, world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })

  test('11.13 a token that the PDS refuses is refreshed once and the request repeated once', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const refreshes = world.sent(isRefresh).length
    world.advance(120_000)
    let refused = 0
    world.faults.rsError = () => (refused++ === 0 ? 'tokenExpired' : undefined)
    await getSession(separate, world)
    expect(world.sent(isRefresh)).toHaveLength(refreshes + 1)

    world.advance(120_000)
    world.faults.rsError = 'tokenExpired'
    const session = await openSession(separate, world)
    const response = await session.call(GET_SESSION)
    expect(response.status).toBe(401)
    expect(world.sent(isRefresh)).toHaveLength(refreshes + 2)

    // Refused again at once: it is not the token that is wrong, and more rotations would only cost.
    for (let calls = 0; calls < 3; calls += 1) expect((await session.call(GET_SESSION)).status).toBe(401)
    expect(world.sent(isRefresh)).toHaveLength(refreshes + 2)
  })

  test.each(['missingPermission', 'closedToOAuth', 'foreignRepo', 'upstreamUnauthorized', 'badProof'] as const)(
    '11.13 %s is no reason to refresh',
    async (rsError) => {
      const { world, separate } = await signedIn()
      await getSession(separate, world)
      const refreshes = world.sent(isRefresh).length
      world.faults.rsError = rsError
      await (await openSession(separate, world)).call(GET_SESSION)
      expect(world.sent(isRefresh)).toHaveLength(refreshes)
    },
  )

  test('11.5 twenty calls at once from cold: one refresh', async () => {
    const { world, separate } = await signedIn({ nonceMemory: 100 })
    await Promise.all(Array.from({ length: 20 }, () => getSession(separate, world)))
    expect(stored(world).spentTokens).toHaveLength(1)
    expect(world.sent(isRefresh)).toHaveLength(1)
  })
})

describe('clocks that differ, or are set back', () => {
  test('of two bundles the later rotation is the newer one, whatever the times in them say', async () => {
    const { world, credentials } = await signedIn()
    const { accessToken, ...first } = credentials
    const here = await openSession(first, world)
    const second = await here.refresh()
    const elsewhere = { ...world, now: () => world.now() - 24 * HOUR, stores: createFakeWorld().stores } as FakeWorld
    const newest = await (await openSession(second, elsewhere)).refresh()
    expect(newest).toMatchObject({ rotation: 2, rotatedAt: second.rotatedAt })
    const third = { ...newest, rotatedAt: second.rotatedAt! - 24 * HOUR } // as a machine that is a day behind dates it
    expect(third.rotatedAt).toBeLessThan(second.rotatedAt!)
    // What the store has is newer than the second, and older than the third.
    await getSession(third, world)
    world.advance(2 * HOUR)
    for (const old of [first, second, third]) await getSession({ ...old, rotatedAt: world.now() + HOUR }, world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('an old bundle that this store has never seen is still known to be old', async () => {
    const { world, credentials } = await signedIn()
    const { accessToken, ...first } = credentials
    const elsewhere = { ...world, stores: createFakeWorld().stores } as FakeWorld
    const away = await openSession(first, elsewhere)
    await away.refresh()
    await getSession(await away.refresh(), world) // the store has rotation 3 now, and has seen 2
    await getSession(first, world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('a token refreshed in the future is not trusted to last', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    world.advance(-24 * HOUR)
    world.faults.clockOffsetMs = 24 * HOUR + 2 * HOUR // the server is where it was, two hours later
    const before = world.sent(isRefresh).length
    await getSession(separate, world)
    expect(world.sent(isRefresh)).toHaveLength(before + 1)
  })

  test('a token that the PDS rejects is refreshed even if the last refresh was in the future', async () => {
    const { world, separate } = await signedIn({ accessTokenSeconds: 30 })
    world.faults.mutateToken = ({ expires_in, ...rest }) => rest
    await getSession(separate, world)
    world.advance(-24 * HOUR)
    world.faults.clockOffsetMs = 24 * HOUR + 60_000
    await getSession(separate, world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('a token that the PDS rejects is refreshed even if it seems new to a clock that was set back', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    world.faults.clockOffsetMs = 24 * HOUR
    await getSession(separate, world)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('refresh --if-older-than refreshes a token that was refreshed in the future', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    await session.refresh()
    const { refreshToken } = session.record()
    await session.refresh(60)
    expect(session.record().refreshToken).toBe(refreshToken)
    world.advance(-24 * HOUR)
    world.faults.clockOffsetMs = 24 * HOUR
    await session.refresh(60)
    const renewed = session.record().refreshToken
    expect(renewed).not.toBe(refreshToken)
    // Now the difference is known, and when the last refresh was.
    await session.refresh(60)
    expect(session.record().refreshToken).toBe(renewed)
  })
})

describe('before a token is sent', () => {
  test.each([
    ['12.2 the key of another session', async () => ({ dpopPrivateJwk: await generateDpopJwk() })],
    ['another account', async (world: FakeWorld) => ({ did: world.mallory.did })],
    ['5.27 another client_id', async () => ({ clientId: 'http://localhost' })],
  ])('mixed-up secrets: %s is noticed', async (_, change) => {
    const { world, separate, credentials } = await signedIn()
    await getSession(separate, world)
    world.advance(HOUR)
    const before = world.requests.length
    const mixed = { ...credentials, accessToken: undefined, ...(await change(world)) }
    const error = await failure(openSession(mixed, world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', session: 'alive' })
    expect(world.requests).toHaveLength(before)
  })

  test('the refresh token of another session that is known here: nothing is sent', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const { authorizationUrl } = await init('mallory.fake.dev', {}, world)
    const other = await complete(world.authorize(authorizationUrl, { account: world.mallory.did }), world)
    const { accessToken, ...hers } = other.credentials
    await getSession({ ...hers, thumbprint: undefined }, world)
    const before = world.sent(isRefresh).length
    for (const refreshToken of [hers.refreshToken, world.currentRefreshToken(world.mallory.did)]) {
      world.advance(HOUR)
      const opened = openSession({ ...separate, refreshToken }, world)
      expect(await failure(opened)).toMatchObject({ code: 'CREDENTIALS_MISMATCH' })
      const counted = await openSession({ ...separate, refreshToken, rotation: 9 }, world)
      expect(await failure(counted.call(GET_SESSION))).toMatchObject({ code: 'CREDENTIALS_MISMATCH' })
    }
    expect(world.sent(isRefresh)).toHaveLength(before)
  })

  test('a token from outside that is refused does not cost the one in the store', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    world.advance(HOUR)
    const strange = { ...separate, refreshToken: 'ref-of-nobody', rotation: 9 }
    world.faults.httpFault = (request) =>
      request.body.includes('ref-of-nobody') ? Response.json({ error: 'invalid_grant' }, { status: 400 }) : undefined
    const error = await failure((await openSession(strange, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'SESSION_DEAD', session: 'unknown' })
    expect(error.message).toContain('the stored one was not sent')
    expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    await getSession(strange, world) // as the hint says
  })

  test('11.9 an account that moved: its token goes to nobody', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    world.identity.editDidDocument(world.alice.did, (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://new.fake.dev' }],
    }))
    world.serve('https://new.fake.dev', () =>
      Response.json({ resource: 'https://new.fake.dev', authorization_servers: ['https://new.fake.dev'] }),
    )
    world.advance(HOUR)
    const sent = world.sent(isTokenRequest).length
    const session = await openSession(separate, world)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({
      code: 'ISSUER_MISMATCH',
      session: 'alive',
    })
    expect(world.sent(isTokenRequest)).toHaveLength(sent)
    expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
  })

  test('a store that cannot be written: nothing is sent', async () => {
    const { world, separate } = await signedIn()
    world.stores.failCommit = () => new Error('disk full')
    const session = await openSession(separate, world)
    await expect(session.call(GET_SESSION)).rejects.toThrow('disk full')
    expect(world.sent(isRefresh)).toHaveLength(0)
  })

  test('a store that fails after the server could not be reached: the session is not said to be lost', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    world.advance(2 * HOUR)
    world.faults.httpFault = (request) => (isRefresh(request) ? 'unreachable' : undefined)
    world.stores.failCommit = ({ intent }) =>
      intent ? undefined : new OAuthError('SAVE_FAILED', 'the response could not be saved', { session: 'unknown' })
    const session = await openSession(separate, world)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'NETWORK_UNREACHABLE', session: 'alive' })
    world.faults.httpFault = () => undefined
    world.stores.failCommit = () => undefined
    expect((await session.call(GET_SESSION)).status).toBe(200)
  })

  test('the PDS variable may hold the issuer', async () => {
    const { world, separate } = await signedIn()
    await getSession({ ...separate, server: world.as as Credentials['server'] }, world)
    const last = world.requests.at(-1)!
    expect(new URL(last.url).origin).toBe(world.pds)
  })
})

describe('what comes back', () => {
  test('11.11 invalid_grant ends the session here too; the next run says so without traffic', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const session = world.sessions[0]!
    world.faults.httpFault = (request) =>
      isRefresh(request)
        ? Response.json({ error: 'invalid_grant', error_description: 'Refresh token expired' }, { status: 400 })
        : undefined
    world.advance(HOUR)
    const error = await failure((await openSession(separate, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
    expect(error.message).toContain('Refresh token expired')
    expect(error.facts).toMatchObject({ did: world.alice.did })
    expect(JSON.stringify(stored(world))).not.toContain(session.refreshToken)

    const before = world.requests.length
    expect(await failure((await openSession(separate, world)).call(GET_SESSION))).toMatchObject({
      code: 'SESSION_DEAD',
    })
    expect(world.requests).toHaveLength(before)
  })

  test.each([
    ['a 4xx', () => Response.json({ error: 'invalid_request' }, { status: 400 }), 'REFRESH_REFUSED'],
    ['429', () => new Response('', { status: 429, headers: { 'retry-after': '30' } }), 'RATE_LIMITED'],
    ['unreachable', () => 'unreachable' as const, 'NETWORK_UNREACHABLE'],
  ])('11.11 %s keeps the session, and the next call works', async (_, fault, code) => {
    const { world, separate } = await signedIn()
    world.faults.httpFault = (request) => (isRefresh(request) ? fault() : undefined)
    expect(await failure((await openSession(separate, world)).call(GET_SESSION))).toMatchObject({
      code,
      session: 'alive',
    })
    world.faults.httpFault = () => undefined
    await getSession(separate, world)
    expect(world.warnings).toStrictEqual([])
  })

  test.each([
    ['lost before the server had it', 'lostBefore' as const, true],
    ['lost after the server committed', 'lostAfter' as const, false],
  ])(
    '11.8 a response %s: ambiguous, not retried; the next run says what it is about to do',
    async (_, fault, survives) => {
      const { world, separate } = await signedIn({ asNonces: 'none' })
      world.faults.httpFault = (request) => (isRefresh(request) ? fault : undefined)
      const session = await openSession(separate, world)
      expect(await failure(session.call(GET_SESSION))).toMatchObject({
        code: 'REFRESH_AMBIGUOUS',
        session: 'unknown',
      })
      expect(world.sent(isRefresh)).toHaveLength(1)
      expect(stored(world).intent).toBeDefined()

      world.faults.httpFault = () => undefined
      const again = (await openSession(separate, world)).call(GET_SESSION)
      if (survives) expect((await again).status).toBe(200)
      else expect(await failure(again)).toMatchObject({ code: 'SESSION_DEAD' })
      expect(world.warnings.join()).toContain('no response was stored')
    },
  )

  test.each([
    ['a page of a gateway', () => new Response('<h1>ok</h1>', { headers: { 'content-type': 'text/html' } })],
    ['a body that breaks off', () => new Response(brokenBody(), { headers: { 'content-type': 'application/json' } })],
  ])('11.8 200 with %s: ambiguous, and remembered', async (_, answer) => {
    const { world, separate } = await signedIn({ asNonces: 'none' })
    world.faults.httpFault = (request) => (isRefresh(request) ? answer() : undefined)
    const error = await failure((await openSession(separate, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'REFRESH_AMBIGUOUS', session: 'unknown' })
    expect(stored(world).intent).toBeDefined()
    expect(stored(world).refreshToken).toBe(separate.refreshToken)
  })

  test('11.10 tokens for another account: the session is ended, and they are not kept', async () => {
    const { world, separate } = await signedIn()
    world.faults.mutateToken = (json) => ({ ...json, sub: world.mallory.did })
    const error = await failure((await openSession(separate, world)).call(GET_SESSION))
    expect(error).toMatchObject({ code: 'TOKEN_RESPONSE_INVALID', session: 'dead' })
    expect(stored(world).refreshToken).toBeUndefined()
  })

  test('11.2 a server that does not rotate: the old refresh token is kept, and not counted as spent', async () => {
    const { world, separate } = await signedIn()
    world.faults.mutateToken = (json) => ({ ...json, refresh_token: undefined })
    await getSession(separate, world)
    expect(stored(world)).toMatchObject({ refreshToken: separate.refreshToken, spentTokens: [] })
  })
})

describe('where requests go', () => {
  test.each(['https://evil.fake.dev/xrpc/a.b.c', '//evil.fake.dev/xrpc/a.b.c', '/oauth/token', '/xrpc/../oauth/token'])(
    '14.4 not to %s',
    async (path) => {
      const { world, credentials } = await signedIn()
      const before = world.requests.length
      expect(await failure((await openSession(credentials, world)).fetchHandler(path))).toMatchObject({ code: 'USAGE' })
      expect(world.requests).toHaveLength(before)
    },
  )

  test('14.3 a redirect is returned: the token does not follow it', async () => {
    const { world, credentials } = await signedIn()
    world.faults.rsError = 'redirect'
    const response = await (await openSession(credentials, world)).call(GET_SESSION)
    expect(response.status).toBeGreaterThanOrEqual(300)
    expect(response.status).toBeLessThan(400)
    expect(new URL(world.requests.at(-1)!.url).origin).toBe(world.pds)
  })
})

describe('the per-user store', () => {
  test('its only session, or the account named by DID or handle', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    for (const account of [undefined, world.alice.did, '@Alice.fake.dev']) {
      await expect(openStoredSession(account, world)).resolves.toMatchObject({ did: world.alice.did })
    }
    expect(await failure(openStoredSession(world.mallory.did, world))).toMatchObject({
      code: 'SESSION_MISSING',
    })
  })

  describe('a stored handle that changes its owner', () => {
    /** Alice has another handle now, and her old one is mallory's. */
    const given = async () => {
      const { world, separate } = await signedIn()
      await getSession(separate, world)
      const record = { ...stored(world), handle: 'alice.fake.dev' as Handle }
      world.stores.sessionRecords.set(record.thumbprint, record)
      world.identity.txt.set('_atproto.alice.fake.dev', [[`did=${world.mallory.did}`]])
      world.identity.txt.set('_atproto.new.fake.dev', [[`did=${world.alice.did}`]])
      world.identity.editDidDocument(world.alice.did, (document) => ({
        ...document,
        alsoKnownAs: ['at://new.fake.dev'],
      }))
      return world
    }

    test('selects nothing for its old owner, and nothing is sent', async () => {
      const world = await given()
      const before = world.requests.length
      expect(await failure(openStoredSession('alice.fake.dev', world))).toMatchObject({
        code: 'SESSION_MISSING',
        message: `alice.fake.dev now belongs to ${world.mallory.did}, which has no session here; the stored session is of ${world.alice.did}`,
      })
      expect(world.requests.slice(before).filter(({ url }) => url.startsWith(world.pds))).toStrictEqual([])
      await expect(openStoredSession('new.fake.dev', world)).resolves.toMatchObject({ did: world.alice.did })
    })

    test('selects the session of its new owner', async () => {
      const world = await given()
      const theirs = { ...stored(world), did: world.mallory.did, thumbprint: 'x'.repeat(43), handle: undefined }
      world.stores.sessionRecords.set(theirs.thumbprint, { ...theirs, dpopPrivateJwk: await generateDpopJwk() })
      await expect(openStoredSession('alice.fake.dev', world)).resolves.toMatchObject({ did: world.mallory.did })
    })

    test('is replaced at the next refresh, and is not the current one before that', async () => {
      const world = await given()
      const session = await openStoredSession(undefined, world)
      expect(session.accountHandle).toBe('alice.fake.dev')
      expect(await session.currentHandle()).toBe('new.fake.dev')
      await session.refresh()
      expect(session.accountHandle).toBe('new.fake.dev')
      expect(stored(world).handle).toBe('new.fake.dev')
    })

    test('that the DID document claims without owning it is no handle', async () => {
      const world = await given()
      world.identity.editDidDocument(world.alice.did, (document) => ({
        ...document,
        alsoKnownAs: ['at://alice.fake.dev'],
      }))
      expect(await (await openStoredSession(world.alice.did, world)).currentHandle()).toBeUndefined()
    })

    test('a refresh that ends the session hints at the handle of now', async () => {
      const world = await given()
      for (const session of world.sessions) session.endedBecause = 'revoked'
      const error = await failure((await openStoredSession(undefined, world)).refresh())
      expect(error).toMatchObject({ code: 'SESSION_DEAD', facts: { handle: 'new.fake.dev' } })
    })

    test('serves where nothing can be resolved, with a warning', async () => {
      const world = await given()
      world.faults.txt = () => 'SERVFAIL'
      world.faults.httpFault = ({ url }) => (url.includes('/xrpc/') ? undefined : 'unreachable')
      const warnings: string[] = []
      const ports = { ...world, warn: (text: string) => void warnings.push(text) }
      const session = await openStoredSession('alice.fake.dev', ports)
      expect(session.did).toBe(world.alice.did)
      expect(await session.currentHandle()).toBe('alice.fake.dev')
      expect(warnings).toStrictEqual([
        expect.stringMatching(
          /^alice\.fake\.dev was the handle of did:plc:alice\w+ when its session was last refreshed: /,
        ),
        expect.stringMatching(/^alice\.fake\.dev is the last known handle of did:plc:alice\w+: /),
      ])
      await expect(openStoredSession('other.fake.dev', ports)).rejects.toMatchObject({ code: 'HANDLE_LOOKUP_FAILED' })
    })
  })

  test('two accounts: one has to be named', async () => {
    const { world, separate } = await signedIn()
    await getSession(separate, world)
    const other = await generateDpopJwk()
    const record = { ...stored(world), did: world.mallory.did, dpopPrivateJwk: other, thumbprint: 'x'.repeat(43) }
    const named = { ...record, handle: 'mallory.fake.dev' as Handle }
    world.stores.sessionRecords.set(record.thumbprint, named)
    const error = await failure(openStoredSession(undefined, world))
    expect(error).toMatchObject({
      code: 'ACCOUNT_UNCLEAR',
      session: 'none',
      message: expect.stringContaining(`mallory.fake.dev (${named.did})`),
    })
    expect([world.alice.did, named.did]).toContain(error.facts.did)
    expect(error.facts.handle).toMatch(/\.fake\.dev$/)
  })

  test('none at all', async () => {
    expect(await failure(openStoredSession(undefined, createFakeWorld()))).toMatchObject({
      code: 'SESSION_MISSING',
    })
  })
})
