/** One account's way from init to revoke, and what every single request on it was. */
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { init } from '../../src/login/init.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, formOf, pathOf } from '../support/fake-atproto.ts'
import { GET_SESSION, HOUR, signIn } from '../support/login.ts'

/** Login, call, refresh, call with a query, write, revoke. */
async function wholeWay(world: FakeWorld) {
  const { credentials, pending } = await signIn(world)
  const session = await openSession(credentials, world)
  expect((await session.call(GET_SESSION)).status).toBe(200)
  world.advance(HOUR)
  const profile = { nsid: 'app.bsky.actor.getProfile', parameters: [['actor', '{did}']] as const }
  expect((await session.call(profile)).status).toBe(200)
  const record = { repo: world.alice.did, collection: 'app.bsky.feed.post', record: { text: 'x' } }
  expect((await session.call({ nsid: 'com.atproto.repo.createRecord', body: JSON.stringify(record) })).status).toBe(200)
  await revoke(session.record(), world)
  expect(world.sessionAlive(world.alice.did)).toBe(false)
  return { credentials, pending }
}

const proofOf = ({ headers }: FakeRequest) => headers['dpop']!
const isSigned = ({ headers }: FakeRequest) => headers['dpop'] !== undefined
const keyOf = (request: FakeRequest) => calculateJwkThumbprint(decodeProtectedHeader(proofOf(request)).jwk as JWK)
const originOf = ({ url }: FakeRequest) => new URL(url).origin

describe.each(['rotate', 'constant', 'none'] as const)('with nonces: %s', (mode) => {
  const walk = async () => {
    const world = createFakeWorld({ faults: { asNonces: mode, rsNonces: mode } })
    return { world, ...(await wholeWay(world)) }
  }

  test('12.8 every POST to the authorization server and every call has a proof, and nothing else has', async () => {
    const { world } = await walk()
    const paths = [...new Set(world.requests.filter(isSigned).map(pathOf))]
    expect(paths).toStrictEqual([
      '/oauth/token', // for the nonce
      '/oauth/par',
      '/xrpc/com.atproto.server.getSession',
      '/xrpc/app.bsky.actor.getProfile',
      '/xrpc/com.atproto.repo.createRecord',
      '/oauth/revoke',
    ])
    for (const request of world.requests) {
      const isCall = pathOf(request).startsWith('/xrpc/')
      expect(isSigned(request), request.url).toBe(isCall || request.method === 'POST')
      if (!isCall) expect(request.headers).not.toHaveProperty('authorization')
      else expect(request.headers['authorization']).toMatch(/^DPoP [^ ,]+$/)
      expect(request.url).not.toMatch(/access_token|DPoP/)
    }
  })

  test('12.2, 10.1 one key from PAR to revocation; 12.3, 12.10 and no proof twice', async () => {
    const { world, credentials } = await walk()
    const signed = world.requests.filter(isSigned)
    expect(new Set(await Promise.all(signed.map(keyOf)))).toStrictEqual(new Set([credentials.thumbprint]))
    const jtis = signed.map((request) => decodeJwt(proofOf(request)).jti)
    expect(new Set(jtis).size).toBe(signed.length)
  })

  test('12.4, 18.4 each proof is for its own method and URL, without the query', async () => {
    const { world } = await walk()
    const calls = world.requests.filter(isSigned)
    expect(calls.some(({ url }) => url.includes('?actor='))).toBe(true)
    for (const request of calls) {
      const htu = originOf(request) + pathOf(request)
      expect(decodeJwt(proofOf(request))).toMatchObject({ htm: request.method, htu })
    }
  })

  test('13.1 a nonce goes to the origin that it is from', async () => {
    const world = createFakeWorld({ faults: { asNonces: mode, rsNonces: mode } })
    const given = new Map<string, string>()
    world.faults.httpFault = (request) => (answer) => {
      const nonce = answer.headers.get('dpop-nonce')
      if (nonce !== null) given.set(nonce, originOf(request))
      return answer
    }
    await wholeWay(world)
    const used = world.requests.filter(isSigned).filter((request) => decodeJwt(proofOf(request))['nonce'] !== undefined)
    expect(used.length > 0).toBe(mode !== 'none')
    expect(new Set(used.map(originOf)).size).toBe(mode === 'none' ? 0 : 2)
    for (const request of used) expect(given.get(String(decodeJwt(proofOf(request))['nonce']))).toBe(originOf(request))
  })
})

test('12.2 each login has a key of its own; 13.11 and knows no nonce of the one before', async () => {
  const world = createFakeWorld({ faults: { asNonces: 'constant', rsNonces: 'constant' } })
  const first = await wholeWay(world)
  const before = world.requests.length
  const second = await signIn(world)
  expect(second.credentials.thumbprint).not.toBe(first.credentials.thumbprint)
  const [signed] = world.requests.slice(before).filter((request) => isSigned(request) && originOf(request) === world.as)
  expect(decodeJwt(proofOf(signed!))).not.toHaveProperty('nonce')
})

test('10.1, 11.1 the code and the refresh token are sent to the token endpoint alone, each with its client_id', async () => {
  const world = createFakeWorld()
  const { pending } = await wholeWay(world)
  const grants = world.requests.filter(({ body }) => body.includes('grant_type='))
  expect(new Set(grants.map(({ url }) => url))).toStrictEqual(new Set([`${world.as}/oauth/token`]))
  for (const request of grants) {
    const form = formOf(request)
    expect(form['client_id']).toBe(pending.clientId)
    if (form['grant_type'] === 'authorization_code') expect(form['redirect_uri']).toBe(pending.redirectUri)
    else expect(Object.keys(form).sort()).toStrictEqual(['client_id', 'grant_type', 'refresh_token'])
  }
})

test('10.15 calls go to the PDS of the DID document, which is not the authorization server', async () => {
  const world = createFakeWorld()
  await wholeWay(world)
  expect(world.pds).not.toBe(world.as)
  const calls = world.requests.filter((request) => pathOf(request).startsWith('/xrpc/'))
  expect(new Set(calls.map(originOf))).toStrictEqual(new Set([world.pds]))
  const authorized = world.requests.filter(({ headers }) => headers['authorization'] !== undefined)
  expect(new Set(authorized.map(originOf))).toStrictEqual(new Set([world.pds]))
})

test('12.11 a server that takes no proof of ours is told apart before anything is pushed', async () => {
  const world = createFakeWorld()
  world.faults.mutateAuthorizationServer = (json) => ({
    ...json,
    dpop_signing_alg_values_supported: ['RS256', 'ES384'],
  })
  expect(await failure(init('alice.fake.dev', {}, world))).toMatchObject({ code: 'METADATA_INVALID' })
  expect(world.requests.filter(isSigned)).toStrictEqual([])
})

test('15.16 as little as possible is asked for, whatever a server supports', async () => {
  const world = createFakeWorld()
  await init('alice.fake.dev', {}, world)
  await init('alice.fake.dev', { scope: 'repo:a.b.c?action=create' }, world)
  const scopes = world.sent('par').map((request) => formOf(request)['scope'])
  expect(new Set(scopes)).toStrictEqual(new Set(['atproto', 'atproto repo:a.b.c?action=create']))
})

test('15.17 what a token seems to say of its scope is not read', async () => {
  const world = createFakeWorld()
  const claims = Buffer.from(JSON.stringify({ scope: 'ref:bafyreib', exp: 1, sub: 'did:plc:x' })).toString('base64url')
  world.faults.mutateToken = (json) => ({ ...json, access_token: `e30.${claims}.x` })
  const { credentials, grantedScope } = await signIn(world)
  expect([credentials.scope, grantedScope]).toStrictEqual(Array(2).fill('atproto transition:generic'))
  expect(credentials.accessTokenExpiresAt).toBe(world.now() + HOUR)
})

test('15.13 more than was asked for is told', async () => {
  const world = createFakeWorld()
  world.faults.mutateToken = (json) => ({ ...json, scope: 'atproto transition:generic account:email' })
  expect(await signIn(world)).toMatchObject({ missingScopes: [], unaskedScopes: ['account:email'] })
})

test.each(['http://as.fake.dev', 'http://127.0.0.1:8080', 'http://localhost'])(
  '20.3 without --dev no document of a server’s leads to %s',
  async (origin) => {
    for (const member of ['token_endpoint', 'pushed_authorization_request_endpoint', 'revocation_endpoint', 'issuer']) {
      const world = createFakeWorld()
      world.faults.mutateAuthorizationServer = (json) => ({ ...json, [member]: `${origin}/oauth/x` })
      expect(await failure(init('alice.fake.dev', {}, world)), member).toMatchObject({ code: 'METADATA_INVALID' })
    }
    const world = createFakeWorld()
    world.faults.mutateProtectedResource = (json) => ({ ...json, authorization_servers: [origin] })
    expect(await failure(init('alice.fake.dev', {}, world))).toMatchObject({ code: 'METADATA_INVALID' })
    world.identity.editDidDocument(world.alice.did, (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: origin }],
    }))
    expect(await failure(init('alice.fake.dev', {}, world))).toMatchObject({ code: 'DID_DOCUMENT_INVALID' })
  },
)
