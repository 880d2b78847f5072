import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { bundle } from '../../src/credentials/write.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { ClientJwk } from '../../src/model.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { statusOf } from '../../src/session/status.ts'
import { toCredentials } from '../../src/session/token-family.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, formOf, json } from '../support/fake-atproto.ts'

const CLIENT_ID = 'https://app.fake.dev/oauth-client-metadata.json'
const CLIENT = { clientId: CLIENT_ID, redirectUri: 'https://app.fake.dev/callback', scope: 'atproto' }
const GET_SESSION = { nsid: 'com.atproto.server.getSession' }
const DAY = 86_400_000

async function clientKey(kid: string): Promise<ClientJwk> {
  const { x, y, d } = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  return { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d!, kid }
}

function publish(world: FakeWorld, ...keys: ClientJwk[]): void {
  const jwks = { keys: keys.map(({ d, ...open }) => open) }
  world.clients.set(CLIENT_ID, { redirect_uris: [CLIENT.redirectUri], scope: 'atproto', jwks })
}

/** The same world, for a process with another key in its environment. */
function withKey(world: FakeWorld, clientJwk: ClientJwk | undefined): FakeWorld {
  return { ...world, settings: { ...world.settings, clientJwk } }
}

async function confidential(options: Parameters<typeof createFakeWorld>[0] = {}) {
  const world = createFakeWorld(options)
  const key = await clientKey('first')
  publish(world, key)
  const ours = withKey(world, key)
  const { authorizationUrl, pending } = await init('alice.fake.dev', CLIENT, ours)
  const callback = world.authorize(authorizationUrl)
  return { world, key, ours, pending, callback }
}

async function signedIn(options: Parameters<typeof createFakeWorld>[0] = {}) {
  const login = await confidential(options)
  const { credentials } = await complete(login.callback, login.ours)
  const { accessToken, accessTokenExpiresAt, ...lasting } = credentials
  return { ...login, credentials: lasting }
}

/** Not the token request without a grant, which is sent for its nonce. */
const isAuthenticated = ({ url, body }: FakeRequest) =>
  /\/oauth\/(?:par|revoke)$/.test(url) || body.includes('grant_type=')
const assertionOf = (request: FakeRequest) => formOf(request)['client_assertion']!

describe('what is sent', () => {
  test('16.1, 16.2, 16.3, 16.4 an assertion at PAR, exchange, refresh and revocation', async () => {
    const { world, ours, credentials } = await signedIn()
    const session = await openSession(credentials, ours)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(await revoke(session.record(), ours)).toMatchObject({ outcome: 'revoked' })
    const requests = world.sent(isAuthenticated)
    expect(new Set(requests.map(({ url }) => new URL(url).pathname))).toStrictEqual(
      new Set(['/oauth/par', '/oauth/token', '/oauth/revoke']),
    )
    for (const request of requests) {
      expect(formOf(request)).toMatchObject({
        client_id: CLIENT_ID,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      })
      expect(decodeProtectedHeader(assertionOf(request))).toStrictEqual({ alg: 'ES256', kid: 'first' })
      const { jti, ...claims } = decodeJwt(assertionOf(request))
      const now = Math.floor(world.now() / 1000)
      expect(claims).toStrictEqual({ iss: CLIENT_ID, sub: CLIENT_ID, aud: world.as, iat: now - 5, exp: now + 55 })
      expect(jti).toMatch(/^[\w-]{22}$/)
    }
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('16.5 each attempt has an assertion of its own, a nonce retry too', async () => {
    const { world, ours, callback } = await confidential()
    world.forgetNonces()
    await complete(callback, ours)
    const requests = world.sent(isAuthenticated)
    expect(requests.length).toBeGreaterThan(2) // the first exchange was answered with a nonce
    expect(new Set(requests.map((request) => decodeJwt(assertionOf(request)).jti)).size).toBe(requests.length)
  })

  test('16.6 one method only', async () => {
    const { world } = await signedIn()
    for (const request of world.sent(isAuthenticated)) {
      expect(request.headers).not.toHaveProperty('authorization')
      expect(formOf(request)).not.toHaveProperty('client_secret')
    }
  })

  test('12.2 the key of the client is not the key of the session', async () => {
    const { key, credentials } = await signedIn()
    expect(credentials.dpopPrivateJwk.d).not.toBe(key.d)
  })

  test('5.28 the loopback client stays public, whatever key is set', async () => {
    const world = createFakeWorld()
    const ours = withKey(world, await clientKey('first'))
    const { authorizationUrl } = await init('alice.fake.dev', {}, ours)
    const { credentials } = await complete(world.authorize(authorizationUrl), ours)
    expect(credentials.clientKey).toBeUndefined()
    for (const request of world.sent(isAuthenticated)) expect(formOf(request)).not.toHaveProperty('client_assertion')
  })
})

describe('11.15 a session keeps its key', () => {
  const refreshedWith = async (key: (made: ClientJwk) => Promise<ClientJwk | undefined>) => {
    const { world, key: made, credentials } = await signedIn()
    const other = await key(made)
    publish(world, made, ...(other && other.kid !== made.kid ? [other] : []))
    const before = world.requests.length
    const session = await openSession(credentials, withKey(world, other))
    const error = await failure(session.call(GET_SESSION))
    expect(world.sent('token').slice(1)).toStrictEqual([]) // but for the exchange
    expect(world.requests.slice(before).filter(isAuthenticated)).toStrictEqual([])
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    return error
  }

  test('none is set: nothing is sent', async () => {
    expect(await refreshedWith(async () => undefined)).toMatchObject({
      code: 'CREDENTIALS_INCOMPLETE',
      session: 'alive',
      facts: { reason: 'client-key-needed', kid: 'first' },
    })
  })

  test('16.7 a newer one of the client: nothing is sent, and the old one goes on', async () => {
    const error = await refreshedWith(() => clientKey('second'))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', message: expect.stringContaining('second') })
  })

  test('another one under the same name: nothing is sent', async () => {
    const error = await refreshedWith(() => clientKey('first'))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', message: expect.stringContaining('another key') })
  })

  test('16.7 with two keys published, sessions of either go on', async () => {
    const { world, key, ours, credentials } = await signedIn()
    const second = await clientKey('second')
    publish(world, key, second)
    const newer = withKey(world, second)
    const { authorizationUrl } = await init('alice.fake.dev', CLIENT, newer)
    const later = await complete(world.authorize(authorizationUrl), newer)
    expect(later.credentials.clientKey?.kid).toBe('second')
    for (const [of, there] of [
      [credentials, ours],
      [later.credentials, newer],
    ] as const) {
      await expect((await openSession(of, there)).refresh()).resolves.toMatchObject({ clientKey: of.clientKey })
    }
  })

  test('the session knows the redirect URI that another login with this client needs, also from a bundle', async () => {
    const { ours, credentials } = await signedIn()
    const { redirectUri } = CLIENT
    expect(credentials).toMatchObject({ redirectUri })
    const given = readCredentials({ ATPROTO_OAUTH_SESSION: bundle(credentials) }, false)!
    const session = await openSession(given, ours)
    await session.refresh()
    expect(session.record()).toMatchObject({ redirectUri })
    expect(toCredentials(session.record())).toMatchObject({ redirectUri })
  })

  test('16.7 a key that is no longer published: the session is alive but cannot be refreshed', async () => {
    const { world, ours, credentials } = await signedIn()
    publish(world, await clientKey('second'))
    const error = await failure((await openSession(credentials, ours)).refresh())
    expect(error).toMatchObject({
      code: 'REFRESH_REFUSED',
      session: 'alive',
      facts: { reason: 'client-rejected', clientId: credentials.clientId, serverError: 'invalid_client' },
    })
    expect(error.message).toContain('no key first is published')
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('26.8 a key that the document no longer has is retired, and the session needs it or another login', async () => {
    const { world, ours, credentials } = await signedIn()
    const serve = (document: object) => world.serve('https://app.fake.dev', () => json(200, document))
    const second = await clientKey('second')
    publish(world, second)
    const { d, ...open } = second
    const method = { client_id: CLIENT_ID, token_endpoint_auth_method: 'private_key_jwt' }
    serve({ ...method, jwks: { keys: [open] } })
    const session = await openSession(credentials, ours)
    const error = await failure(session.refresh())
    expect(error).toMatchObject({
      code: 'REFRESH_REFUSED',
      session: 'alive',
      message: expect.stringContaining('the client key first of the session is retired'),
      facts: { reason: 'client-key-retired', clientId: CLIENT_ID, kid: 'first', did: credentials.did },
    })
    // Published, so the server has another reason: an earlier document, or a wrong signature.
    serve({ ...method, jwks: { keys: [open, { ...open, kid: 'first' }] } })
    expect(await failure(session.refresh())).toMatchObject({ facts: { reason: 'client-rejected' } })
    // Nothing is known of keys that cannot be fetched.
    serve({ ...method, jwks_uri: 'https://app.fake.dev:1/none.json' })
    expect(await failure(session.refresh())).toMatchObject({ facts: { reason: 'client-rejected' } })
  })

  test('between init and complete: nothing is sent, and the login stays open', async () => {
    const { world, ours, callback } = await confidential()
    const other = withKey(world, await clientKey('second'))
    expect(await failure(complete(callback, other))).toMatchObject({ code: 'CREDENTIALS_MISMATCH', session: 'none' })
    expect(await failure(complete(callback, withKey(world, undefined)))).toMatchObject({
      code: 'CREDENTIALS_INCOMPLETE',
    })
    expect(world.sent('token')).toStrictEqual([])
    await expect(complete(callback, ours)).resolves.toMatchObject({ grantedScope: 'atproto' })
  })

  test('a login that was begun without it is completed without it', async () => {
    const world = createFakeWorld()
    world.clients.set(CLIENT_ID, { redirect_uris: [CLIENT.redirectUri], scope: 'atproto' })
    const { authorizationUrl } = await init('alice.fake.dev', CLIENT, world)
    const { credentials } = await complete(world.authorize(authorizationUrl), withKey(world, await clientKey('first')))
    expect(credentials.clientKey).toBeUndefined()
  })
})

test('a public session becomes a confidential one at its next refresh, and is held to the key from then on', async () => {
  const world = createFakeWorld()
  world.clients.set(CLIENT_ID, { redirect_uris: [CLIENT.redirectUri], scope: 'atproto' })
  const { authorizationUrl } = await init('alice.fake.dev', CLIENT, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  const key = await clientKey('first')
  publish(world, key)
  const upgraded = await (await openSession(credentials, withKey(world, key))).refresh()
  expect(upgraded.clientKey).toMatchObject({ kid: 'first' })
  world.advance(20 * DAY) // longer than a public one lives
  await expect((await openSession(upgraded, withKey(world, key))).refresh()).resolves.toBeDefined()
  expect(await failure((await openSession(upgraded, world)).refresh())).toMatchObject({
    code: 'CREDENTIALS_INCOMPLETE',
  })
})

test('17 its deadlines: two years from the login, a quarter from the last refresh', async () => {
  const { world, ours, credentials } = await signedIn()
  const began = world.now()
  world.advance(10 * DAY)
  const session = await openSession(credentials, ours)
  await session.refresh()
  const { absoluteDeadline, idleDeadline, clientKey: named } = statusOf(session.record(), world.now())
  expect({ absoluteDeadline, idleDeadline }).toStrictEqual({
    absoluteDeadline: began + 730.5 * DAY,
    idleDeadline: world.now() + 91.3125 * DAY,
  })
  expect(named?.kid).toBe('first')
  expect(toCredentials(session.record()).clientKey).toStrictEqual(named)
})
