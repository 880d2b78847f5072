import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Credentials } from '../../src/model.ts'
import type { SignedHeaders } from '../../src/protocol/oauth/dpop-fetch.ts'
import { openSession } from '../../src/session/open.ts'
import { failure } from '../support/failure.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { HOUR, isCall, isRefresh, signedIn, stored } from '../support/login.ts'

const SESSION = '/xrpc/com.atproto.server.getSession'
const PROFILE = '/xrpc/app.bsky.actor.getProfile?actor=alice.fake.dev&x=%20'
const CREATE = '/xrpc/com.atproto.repo.createRecord'

/** As another tool sends it. */
function send(world: FakeWorld, method: string, path: string, headers: SignedHeaders, body?: string) {
  const type = body !== undefined && { 'content-type': 'application/json' }
  const init = { method, headers: { ...headers, ...type }, ...(body !== undefined && { body }) }
  return world.fetch(new URL(path, world.pds), init)
}

async function proofOf(world: FakeWorld, credentials: Credentials, path = SESSION, method = 'GET') {
  return (await openSession(credentials, world)).proof(method, world.pds + path)
}

describe('12.8 the headers of one request', () => {
  test('are good at the first attempt, where each nonce is good once', async () => {
    const { world, credentials } = await signedIn({ rsNonces: 'rotate', nonceMemory: 1 })
    for (const path of [SESSION, PROFILE]) {
      const headers = await proofOf(world, credentials, path)
      expect((await send(world, 'GET', path, headers)).status).toBe(200)
    }
    const record = { $type: 'app.bsky.feed.post', text: 'x' }
    const body = JSON.stringify({ repo: world.alice.did, collection: 'app.bsky.feed.post', record })
    const headers = await proofOf(world, credentials, CREATE, 'post')
    expect((await send(world, 'POST', CREATE, headers, body)).status).toBe(200)
    expect(world.records).toHaveLength(1)
  })

  test('and for no other method, no other path, and not twice', async () => {
    const { world, credentials } = await signedIn()
    const statuses = async (method: string, path: string) =>
      (await send(world, method, path, await proofOf(world, credentials))).status
    expect(await statuses('GET', SESSION)).toBe(200)
    expect(await statuses('POST', SESSION)).toBe(401)
    expect(await statuses('GET', PROFILE)).toBe(401)

    const headers = await proofOf(world, credentials)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(401)
  })

  test('18.4 the query is not in them', async () => {
    const { world, credentials } = await signedIn()
    const { dpop } = await proofOf(world, credentials, PROFILE)
    expect(decodeJwt(dpop)['htu']).toBe(`${world.pds}/xrpc/app.bsky.actor.getProfile`)
  })

  test('12.7 tell the time of the server', async () => {
    const { world, credentials } = await signedIn()
    world.faults.clockOffsetMs = 40 * 60_000
    const headers = await proofOf(world, credentials)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
  })
})

describe('the token in them', () => {
  test('is refreshed first, if it has expired', async () => {
    const { world, credentials } = await signedIn()
    world.advance(HOUR)
    const headers = await proofOf(world, credentials)
    expect(stored(world).spentTokens).toHaveLength(1)
    expect(headers.authorization).not.toContain(credentials.accessToken)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
  })

  test('is refreshed, if the PDS rejects it', async () => {
    const { world, credentials } = await signedIn()
    let refusals = 0
    world.faults.rsError = () => (refusals++ === 0 ? 'tokenExpired' : undefined)
    world.advance(120_000)
    const headers = await proofOf(world, credentials)
    expect(stored(world).spentTokens).toHaveLength(1)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
  })

  test('may be a leased one', async () => {
    const { world, credentials } = await signedIn()
    const { did, dpopPrivateJwk, accessToken } = credentials
    const headers = await proofOf(world, { did, dpopPrivateJwk, accessToken } as Credentials)
    expect(headers.authorization).toBe(`DPoP ${accessToken}`)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
  })

  test.each([
    ['revoked', 401, 'XRPC_ERROR'],
    ['limited', 429, 'RATE_LIMITED'],
    ['failing', 500, 'XRPC_ERROR'],
  ] as const)('is not handed out if it is %s', async (_, status, code) => {
    const { world, credentials } = await signedIn()
    const body = { error: 'Broken', message: `said of ${credentials.accessToken}` }
    world.faults.httpFault = (request) => (isCall(request) ? Response.json(body, { status }) : undefined)
    const error = await failure(proofOf(world, credentials))
    expect(error).toMatchObject({ code })
    expect(error.message).not.toContain(credentials.accessToken)
  })
})

describe('what is not signed', () => {
  test.each([
    ['GET', 'https://as.fake.dev/xrpc/com.atproto.server.getSession'],
    ['GET', 'http://pds.fake.dev/xrpc/com.atproto.server.getSession'],
    ['GET', 'https://pds.fake.dev:8443/xrpc/com.atproto.server.getSession'],
    ['GET', 'https://pds.fake.dev.evil.dev/xrpc/com.atproto.server.getSession'],
    ['GET', 'https://pds.fake.dev@evil.dev/xrpc/com.atproto.server.getSession'],
    ['GET', 'https://user:pass@pds.fake.dev/xrpc/com.atproto.server.getSession'],
    ['POST', 'https://pds.fake.dev/oauth/token'],
    ['POST', 'https://pds.fake.dev/xrpc/../oauth/token'],
    ['POST', 'https://pds.fake.dev/xrpc/%2e%2e/oauth/token'],
    ['GET', 'https://pds.fake.dev/xrpc/'],
    ['GET', 'https://pds.fake.dev/'],
    ['GET', 'com.atproto.server.getSession'],
    ['https://pds.fake.dev/xrpc/com.atproto.server.getSession', 'GET'],
    ['G ET', 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'],
    ['CONNECT', 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'],
    ['', 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'],
  ])('%s %s', async (method, url) => {
    const { world, credentials } = await signedIn()
    const session = await openSession(credentials, world)
    const before = world.requests.length
    expect(await failure(session.proof(method, url))).toMatchObject({ code: 'USAGE', session: 'alive' })
    expect(world.requests).toHaveLength(before)
  })

  test('a request to the authorization server, where the credentials name that instead of the PDS', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession({ ...separate, server: world.as as Credentials['server'] }, world)
    expect(await failure(session.proof('GET', `https://evil.dev${SESSION}`))).toMatchObject({ code: 'USAGE' })
    expect(world.sent(isRefresh)).toStrictEqual([])
    expect(await failure(session.proof('GET', world.as + SESSION))).toMatchObject({ code: 'USAGE' })
    const headers = await session.proof('GET', world.pds + SESSION)
    expect((await send(world, 'GET', SESSION, headers)).status).toBe(200)
    expect(world.sent((request) => isCall(request) && request.url.startsWith(world.as))).toStrictEqual([])
  })
})
