import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { type InitOptions, init } from '../../src/login/init.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, formOf, pathOf } from '../support/fake-atproto.ts'

const HOUR = 3_600_000
const PROFILE = { nsid: 'app.bsky.actor.getProfile', parameters: [['actor', 'alice.fake.dev']] } as const
const isToken = (request: FakeRequest) => pathOf(request).endsWith('/token') && request.body.includes('grant_type=')
const isRefresh = (request: FakeRequest) => formOf(request)['grant_type'] === 'refresh_token'
const forms = (world: FakeWorld) => world.sent(({ method, url }) => method === 'POST' && url.startsWith(world.as))

async function logIn(world: FakeWorld, options: InitOptions = {}) {
  const { authorizationUrl, pending } = await init('alice.fake.dev', options, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  return { authorizationUrl, pending, credentials }
}

/** Sign in, call, call again when the token has run out, and end it. */
async function wholeLife(world: FakeWorld, options: InitOptions = {}) {
  const life = await logIn(world, { scope: 'transition:generic', ...options })
  const session = await openSession(life.credentials, world)
  expect((await session.call(PROFILE)).status).toBe(200)
  expect(world.sent(isRefresh)).toHaveLength(0)
  world.advance(HOUR)
  const response = await session.call(PROFILE)
  expect(response.status).toBe(200)
  expect(world.sent(isRefresh).length).toBeGreaterThan(0)
  return { ...life, outcome: (await revoke(session.record(), world)).outcome }
}

describe('25 both kinds of servers', () => {
  test.each([
    ['reference', 'revoked'],
    ['cirrus', 'unsupported'],
  ] as const)('a whole life with %s: its session is %s', async (personality, outcome) => {
    const world = createFakeWorld({ faults: { personality } })
    expect((await wholeLife(world)).outcome).toBe(outcome)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test.each(['reference', 'cirrus'] as const)('5.24 %s takes a redirect with a port', async (personality) => {
    const world = createFakeWorld({ faults: { personality } })
    const { pending } = await wholeLife(world, { redirectUri: 'http://127.0.0.1:8737/callback' })
    expect(new URL(pending.clientId).searchParams.getAll('redirect_uri')).toStrictEqual([pending.redirectUri])
    for (const form of forms(world).map(formOf)) {
      if ('redirect_uri' in form) expect(form['redirect_uri']).toBe(pending.redirectUri)
    }
  })

  test('a scope that the server does not know: dropped and told, or refused', async () => {
    const options = { scope: 'atproto unheard:of' }
    const reference = createFakeWorld()
    const { authorizationUrl } = await init('alice.fake.dev', options, reference)
    expect(await complete(reference.authorize(authorizationUrl), reference)).toMatchObject({
      grantedScope: 'atproto',
      missingScopes: ['unheard:of'],
    })
    const cirrus = createFakeWorld({ faults: { personality: 'cirrus' } })
    expect(await failure(init('alice.fake.dev', options, cirrus))).toMatchObject({
      code: 'PAR_REFUSED',
      message: expect.stringContaining('unheard:of'),
      facts: { serverError: 'invalid_scope' },
    })
  })

  test('an expired token is refreshed before it is used: a server may ignore it instead of rejecting it', async () => {
    const world = createFakeWorld({ faults: { personality: 'cirrus' } })
    const { credentials } = await logIn(world, { scope: 'transition:generic' })
    world.advance(HOUR)
    const response = await (await openSession(credentials, world)).call(PROFILE)
    expect(await response.json()).toMatchObject({ viewer: { seenBy: world.alice.did } })
    const [call] = world.sent(PROFILE.nsid)
    expect(world.sent(PROFILE.nsid)).toHaveLength(1)
    expect(call!.headers['authorization']).toBe(`DPoP ${world.sessions[0]!.accessToken}`)
    expect(call!.headers['authorization']).not.toBe(`DPoP ${credentials.accessToken}`)
  })
})

describe('5.27, 5.28 one client for the whole life of a session', () => {
  test('the same client_id, byte for byte, at each step; a loopback client asserts nothing', async () => {
    const world = createFakeWorld()
    const { authorizationUrl, pending, credentials } = await wholeLife(world)
    expect(new Set(forms(world).map(pathOf))).toStrictEqual(new Set(['/oauth/par', '/oauth/token', '/oauth/revoke']))
    for (const form of forms(world).map(formOf)) {
      expect(form['client_id']).toBe(pending.clientId)
      expect(Object.keys(form).filter((name) => /assertion|secret/.test(name))).toStrictEqual([])
    }
    expect(authorizationUrl.searchParams.get('client_id')).toBe(pending.clientId)
    expect(credentials.clientId).toBe(pending.clientId)
  })

  test('5.24 a login with another redirect and scope since then changes nothing for the older session', async () => {
    const world = createFakeWorld()
    const { credentials } = await logIn(world)
    await init('alice.fake.dev', { redirectUri: 'http://127.0.0.1:9999/', scope: 'transition:generic' }, world)
    world.advance(HOUR)
    await (await openSession(credentials, world)).refresh()
    expect(formOf(world.sent(isRefresh).at(-1)!)['client_id']).toBe(credentials.clientId)
  })
})

describe('5.15 a hosted client that the server refuses', () => {
  const clientId = 'https://app.fake.dev/client.json'
  const redirectUri = 'https://app.fake.dev/callback'
  const DOCUMENT = {
    client_id: clientId,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'atproto',
    token_endpoint_auth_method: 'none',
    dpop_bound_access_tokens: true,
  }

  test.each([
    ['with a fault: it is named', DOCUMENT, /; client metadata document: scope does not declare transition:generic$/],
    ['without one: the server’s word', { ...DOCUMENT, scope: 'atproto transition:generic' }, /metadata"$/],
  ])('its document is %s', async (_, document, said) => {
    const world = createFakeWorld()
    world.clients.set(clientId, DOCUMENT)
    world.serve('https://app.fake.dev', () => Response.json(document))
    const options = { clientId, redirectUri, scope: 'atproto transition:generic' }
    const error = await failure(init('alice.fake.dev', options, world))
    expect(error).toMatchObject({ code: 'PAR_REFUSED', message: expect.stringMatching(said) })
    expect(world.stores.pendingRecords.size).toBe(0)
  })

  test('no document is looked for when the client is a loopback one', async () => {
    const world = createFakeWorld({ faults: { personality: 'cirrus' } })
    await failure(init('alice.fake.dev', { scope: 'unheard:of' }, world))
    expect(new URL(world.requests.at(-1)!.url).pathname).toBe('/oauth/par')
  })
})

describe('between init and complete', () => {
  async function started(world: FakeWorld) {
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    return world.authorize(authorizationUrl)
  }

  test('4.19 the server’s metadata are read again: a token endpoint that moved gets the code, the old one nothing', async () => {
    const world = createFakeWorld()
    const callback = await started(world)
    world.faults.mutateAuthorizationServer = (json) => ({ ...json, token_endpoint: 'https://new.fake.dev/token' })
    world.serve('https://new.fake.dev', () => Response.json({ error: 'invalid_grant' }, { status: 400 }))
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'EXCHANGE_REFUSED' })
    expect(world.sent(isToken).map(({ url }) => url)).toStrictEqual(['https://new.fake.dev/token'])
  })

  test.each([
    ['of another issuer', { issuer: 'https://evil.fake.dev', token_endpoint: 'https://evil.fake.dev/token' }],
    ['that are not good enough any more', { dpop_signing_alg_values_supported: [] }],
  ])('9.10 metadata %s: the code goes nowhere, and the login stays open', async (_, changes) => {
    const world = createFakeWorld()
    const callback = await started(world)
    world.faults.mutateAuthorizationServer = (json) => ({ ...json, ...changes })
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'METADATA_INVALID' })
    expect(world.sent(isToken)).toStrictEqual([])
    world.faults.mutateAuthorizationServer = (json) => json
    await expect(complete(callback, world)).resolves.toBeDefined()
  })

  test('9.10 a callback of one server with the state of another: neither gets the code', async () => {
    const world = createFakeWorld()
    const callback = new URL(await started(world))
    callback.searchParams.set('iss', world.pds)
    const before = world.requests.length
    expect(await failure(complete(callback.href, world))).toMatchObject({ code: 'CALLBACK_REFUSED' })
    expect(world.requests).toHaveLength(before)
  })

  test('9.4 a state that is not known here costs no traffic', async () => {
    const world = createFakeWorld()
    const callback = new URL(await started(world))
    callback.searchParams.set('state', 'A'.repeat(22))
    const before = world.requests.length
    expect(await failure(complete(callback.href, world))).toMatchObject({ code: 'CALLBACK_STATE_UNKNOWN' })
    expect(world.requests).toHaveLength(before)
  })
})

describe('1.22 the account is its DID', () => {
  test('with another handle it is still the same session', async () => {
    const world = createFakeWorld()
    const { credentials } = await logIn(world)
    await (await openSession(credentials, world)).refresh()
    world.identity.editDidDocument(world.alice.did, (document) => ({ ...document, alsoKnownAs: ['at://new.fake.dev'] }))
    world.identity.txt.set('_atproto.new.fake.dev', [[`did=${world.alice.did}`]])
    for (const account of [world.alice.did, 'new.fake.dev']) {
      await expect((await openStoredSession(account, world)).refresh()).resolves.toMatchObject({ did: world.alice.did })
    }
    expect(world.stores.sessionRecords.size).toBe(1)
  })
})

describe('init', () => {
  test.each(['https://127.0.0.1', 'https://10.0.0.1:8443', 'https://[::1]', 'https://169.254.169.254'])(
    '2.13 a DID document that places the PDS at %s',
    async (serviceEndpoint) => {
      const world = createFakeWorld()
      world.identity.editDidDocument(world.alice.did, (document) => ({
        ...document,
        service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }],
      }))
      expect(await failure(init('alice.fake.dev', {}, world))).toMatchObject({ code: 'ADDRESS_REFUSED' })
      expect(new Set(world.requests.map(({ url }) => new URL(url).host))).toStrictEqual(
        new Set(['alice.fake.dev', 'plc.directory']),
      )
      expect(world.stores.pendingRecords.size).toBe(0)
    },
  )

  test('8.2 each run has a request of its own; 8.3 and knows how long it is good', async () => {
    const world = createFakeWorld()
    world.faults.mutatePar = (json) => ({ ...json, expires_in: 90 })
    const one = await init('alice.fake.dev', {}, world)
    const two = await init('alice.fake.dev', {}, world)
    const uris = [one, two].map(({ authorizationUrl }) => authorizationUrl.searchParams.get('request_uri'))
    expect(new Set(uris).size).toBe(2)
    expect(one.pending.requestExpiresAt).toBe(world.now() + 90_000)
  })
})
