import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { type InitOptions, init } from '../../src/login/init.ts'
import type { Completed } from '../../src/model.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, pathOf } from '../support/fake-atproto.ts'

async function started(world: FakeWorld, options: InitOptions = {}, identifier = 'alice.fake.dev') {
  return init(identifier, options, world)
}

/** The callback URL of a person who signs in, and a world without the requests that led there. */
async function calledBack(
  world: FakeWorld,
  decision: Parameters<FakeWorld['authorize']>[1] = {},
  options?: InitOptions,
) {
  const { authorizationUrl, pending } = await started(world, options)
  const callback = world.authorize(authorizationUrl, decision)
  const before = world.requests.length
  return { callback, pending, since: () => world.requests.slice(before).map((request) => pathOf(request)) }
}

const isTokenRequest = ({ url, body }: FakeRequest) => url.endsWith('/oauth/token') && body.includes('grant_type=')

describe('10 exchange', () => {
  test('10.1 sends exactly the parameters of the specification, with the key of the request', async () => {
    const world = createFakeWorld()
    const { callback, pending } = await calledBack(world)
    const { credentials } = await complete(callback, world)

    const sent = world.sent(isTokenRequest).at(-1)!
    const form = new URLSearchParams(sent.body)
    expect([...form.keys()].sort()).toStrictEqual(['client_id', 'code', 'code_verifier', 'grant_type', 'redirect_uri'])
    expect(form.get('redirect_uri')).toBe(pending.redirectUri)
    expect(form.get('client_id')).toBe(pending.clientId)
    expect(sent.headers['authorization']).toBeUndefined()
    expect(credentials.dpopPrivateJwk).toStrictEqual(pending.dpopPrivateJwk)
    expect(credentials).toMatchObject({
      did: world.alice.did,
      clientId: pending.clientId,
      server: world.pds,
      issuer: world.as,
      refreshToken: world.currentRefreshToken(world.alice.did),
    })
  })

  test('the nonce that PAR left saves the exchange a round trip', async () => {
    const world = createFakeWorld({ faults: { asNonces: 'constant' } })
    const { callback, since } = await calledBack(world)
    await complete(callback, world)
    expect(since().sort()).toStrictEqual([
      '/.well-known/oauth-authorization-server',
      '/.well-known/oauth-protected-resource',
      `/${world.alice.did}`,
      '/oauth/token',
    ])
  })

  test('the account is looked up before the code is sent: a PLC directory that is away costs nothing', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    world.faults.httpFault = (request) => (request.url.startsWith('https://plc.directory/') ? 'unreachable' : undefined)
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    expect(world.sent(isTokenRequest)).toHaveLength(0)

    world.faults.httpFault = () => undefined
    await expect(complete(callback, world)).resolves.toMatchObject({ handle: 'alice.fake.dev' })
  })

  test.each([
    [
      'the store',
      (world: FakeWorld, error: OAuthError) => {
        world.stores.sessions.update = () => Promise.reject(error)
        return { ...world.saving, inStore: true }
      },
    ],
    [
      'a save target',
      (world: FakeWorld, error: OAuthError) => {
        const save = async () => undefined
        const target = { name: 'file:/x', durable: true, save, lock: () => Promise.reject(error) }
        return { ...world.saving, targets: [target] }
      },
    ],
  ])('%s cannot be locked: found out before the code is sent', async (_, harm) => {
    const world = createFakeWorld()
    const { callback, since } = await calledBack(world)
    const { update } = world.stores.sessions
    const saving = harm(world, new OAuthError('STORE_UNAVAILABLE', 'cannot lock it'))
    expect(await failure(complete(callback, { ...world, saving }))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(since()).not.toContain('/oauth/token')
    world.stores.sessions.update = update
    await complete(callback, world)
  })

  test('10.2 a refused code is not sent twice, and a second run sends nothing', async () => {
    const world = createFakeWorld({ faults: { asNonces: 'constant' } })
    const { callback, since } = await calledBack(world)
    world.faults.httpFault = (request) =>
      isTokenRequest(request)
        ? Response.json({ error: 'invalid_grant', error_description: 'Invalid code' }, { status: 400 })
        : undefined
    const first = await failure(complete(callback, world))
    expect(first).toMatchObject({ code: 'EXCHANGE_REFUSED', session: 'none' })
    expect(first.facts).toMatchObject({ handle: 'alice.fake.dev', did: world.alice.did, scope: 'atproto' })
    expect(since().filter((path) => path === '/oauth/token')).toHaveLength(1)

    const before = world.requests.length
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED' })
    expect(world.requests).toHaveLength(before)
  })

  test('a code that was cut off costs the login nothing: the whole one may follow', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    expect(await failure(complete(callback.slice(0, -4), world))).toMatchObject({
      code: 'EXCHANGE_REFUSED',
      facts: { reason: 'code-rejected', handle: 'alice.fake.dev' },
    })
    expect(await failure(complete(callback.slice(0, -4), world))).toMatchObject({
      code: 'CODE_USED',
      facts: { handle: 'alice.fake.dev', scope: 'atproto' },
    })
    await expect(complete(callback, world)).resolves.toMatchObject({ handle: 'alice.fake.dev' })
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED', session: 'alive' })
  })

  test('two at once: one sends the code, the other says so', async () => {
    const world = createFakeWorld({ faults: { nonceMemory: 100 } })
    const { callback } = await calledBack(world)
    const results = await Promise.allSettled([complete(callback, world), complete(callback, world)])
    expect(results.map(({ status }) => status).sort()).toStrictEqual(['fulfilled', 'rejected'])
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'CODE_USED' } })
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('a journal that cannot be written at the end does not cost the session', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    world.stores.failPut = (record) =>
      record.status === 'spent' && record.outcome === 'completed' ? new Error('full') : undefined
    await expect(complete(callback, world)).resolves.toBeDefined()
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test.each([
    ['dropped after the server committed', 'lostAfter' as const],
    ['dropped before it', 'lostBefore' as const],
    ['a gateway error', new Response('<h1>Bad gateway</h1>', { status: 502 })],
  ])('11.8 %s: ambiguous, and nothing is repeated', async (_, fault) => {
    const world = createFakeWorld({ faults: { asNonces: 'none' } })
    const { callback } = await calledBack(world)
    world.faults.httpFault = (request) => (isTokenRequest(request) ? fault : undefined)
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'EXCHANGE_AMBIGUOUS' })
    world.faults.httpFault = () => undefined
    const before = world.requests.length
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED', session: 'unknown' })
    expect(world.requests).toHaveLength(before)
  })

  test('a code that never left this machine can be tried again', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    world.faults.httpFault = (request) => (isTokenRequest(request) ? 'unreachable' : undefined)
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    world.faults.httpFault = () => undefined
    await expect(complete(callback, world)).resolves.toBeDefined()
  })

  test('10.3 the second run after a success says so, sends nothing and leaves the session alone', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    await complete(callback, world)
    const before = world.requests.length
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED', session: 'alive' })
    expect(world.requests).toHaveLength(before)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('6.7 the journal is written before the code is sent, and holds no secret', async () => {
    const world = createFakeWorld({ faults: { asNonces: 'none' } })
    const { callback, pending } = await calledBack(world)
    let journal: unknown
    world.faults.httpFault = (request) => {
      if (isTokenRequest(request)) journal = structuredClone(world.stores.pendingRecords.get(pending.state))
      return undefined
    }
    await complete(callback, world)
    expect(journal).toMatchObject({ status: 'spent', outcome: 'sent' })
    for (const record of [journal, world.stores.pendingRecords.get(pending.state)]) {
      const text = JSON.stringify(record)
      for (const secret of world.secrets()) expect(text).not.toContain(secret)
    }
  })
})

describe('10 the token response is validated, and a session that fails is ended', () => {
  const abandoned = async (world: FakeWorld, promise: Promise<unknown>, code: string) => {
    const error = await failure(promise)
    expect(error).toMatchObject({ code })
    expect(world.sent((request) => request.url.endsWith('/oauth/revoke'))).not.toHaveLength(0)
    expect(world.sessions.filter((session) => !session.endedBecause)).toHaveLength(0)
    expect(world.stores.sessionRecords.size).toBe(0)
    return error
  }

  test('10.13 another account than the one the login was started for', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world, { account: world.mallory.did })
    const error = await abandoned(world, complete(callback, world), 'ACCOUNT_MISMATCH')
    expect(error.message).toContain('alice.fake.dev')
    expect(error.message).toContain(world.mallory.did)
  })

  test.each([
    ['10.6 token_type', { token_type: 'Bearer' }],
    ['10.7 sub', { sub: 'did:key:z6Mk' }],
    ['10.8 scope', { scope: 'atprotofoo' }],
    ['10.5 access_token', { access_token: '' }],
  ])('%s', async (_, wrong) => {
    const world = createFakeWorld()
    world.faults.mutateToken = (json) => ({ ...json, ...wrong })
    const { callback } = await calledBack(world)
    await abandoned(world, complete(callback, world), 'TOKEN_RESPONSE_INVALID')
  })

  test('10.14 started at a server: whose account it is must lead back to that server', async () => {
    const world = createFakeWorld()
    const { authorizationUrl } = await started(world, {}, world.as)
    const callback = world.authorize(authorizationUrl, { account: world.alice.did })
    world.identity.editDidDocument(world.alice.did, (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://other.fake.dev' }],
    }))
    world.serve('https://other.fake.dev', () =>
      Response.json({ resource: 'https://other.fake.dev', authorization_servers: ['https://other.fake.dev'] }),
    )
    await abandoned(world, complete(callback, world), 'ISSUER_MISMATCH')
  })

  test('1.20 an account that moved between init and complete: found out before the code is sent', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world)
    world.identity.editDidDocument(world.alice.did, (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://other.fake.dev' }],
    }))
    world.serve('https://other.fake.dev', () =>
      Response.json({ resource: 'https://other.fake.dev', authorization_servers: ['https://other.fake.dev'] }),
    )
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'ISSUER_MISMATCH' })
    expect(world.sent(isTokenRequest)).toHaveLength(0)
  })

  test('10.18 scopes denied on the consent screen are named', async () => {
    const world = createFakeWorld()
    const { callback } = await calledBack(world, { scope: 'atproto' }, { scope: 'atproto transition:generic' })
    const completed: Completed = await complete(callback, world)
    expect(completed).toMatchObject({ grantedScope: 'atproto', missingScopes: ['transition:generic'] })
  })
})

describe('9 a paste that is wrong costs nothing', () => {
  test.each([
    [
      'another state',
      (url: string) => url.replace(/state=[^&]+/, 'state=AAAAAAAAAAAAAAAAAAAAAA'),
      'CALLBACK_STATE_UNKNOWN',
    ],
    [
      '9.5 another issuer',
      (url: string) => url.replace(/iss=[^&]+/, 'iss=https%3A%2F%2Fevil.fake.dev'),
      'CALLBACK_REFUSED',
    ],
    ['9.3 another address', (url: string) => url.replace('127.0.0.1/callback', '127.0.0.1/other'), 'CALLBACK_REFUSED'],
    ['cut at &', (url: string) => url.replace(/&.*/, ''), 'CALLBACK_INCOMPLETE'],
    ['not a URL', () => 'hello', 'CALLBACK_UNREADABLE'],
  ])('%s', async (_, spoil, code) => {
    const world = createFakeWorld()
    const { callback, since } = await calledBack(world)
    expect(await failure(complete(spoil(callback), world))).toMatchObject({ code, session: 'none' })
    expect(since()).toStrictEqual([])
    await expect(complete(callback, world)).resolves.toBeDefined()
  })

  test('9.6 a refusal ends the login, sends nothing, and is told as what it is', async () => {
    const world = createFakeWorld()
    const { callback, since } = await calledBack(world, { deny: true })
    const error = await failure(complete(`${callback}&code=cod-x`, world))
    expect(error).toMatchObject({ code: 'AUTHORIZATION_DENIED', facts: { handle: 'alice.fake.dev' } })
    expect(since()).toStrictEqual([])
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED' })
  })

  test('6.8 after an hour the login has expired, without traffic', async () => {
    const world = createFakeWorld()
    const { callback, since } = await calledBack(world)
    world.advance(3_600_001)
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'AUTHORIZATION_EXPIRED' })
    expect(since()).toStrictEqual([])
  })
})

test('25 the other server: no nonces at all, opaque tokens', async () => {
  const world = createFakeWorld({ faults: { personality: 'cirrus' } })
  const { callback } = await calledBack(world)
  await expect(complete(callback, world)).resolves.toMatchObject({ credentials: { did: world.alice.did } })
})
