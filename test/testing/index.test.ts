import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { callWithRetry } from '../../src/call/retry.ts'
import { isOAuthError, OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Runtime } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { createTestWorld, type TestWorld } from '../../src/testing/index.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'
import { GET_SESSION } from '../support/login.ts'

const CODES: Record<string, 'NETWORK_UNREACHABLE' | 'NETWORK_LOST'> = {
  ECONNREFUSED: 'NETWORK_UNREACHABLE',
  ECONNRESET: 'NETWORK_LOST',
}

/** The ports of a client of this world, which has the platform's `fetch`. */
function portsOf(world: TestWorld): Runtime {
  const { fetch, resolveTxt, clock, stores } = world.clientOptions()
  return {
    ...createFakeWorld(),
    randomBytes,
    ...clock,
    resolveTxt,
    stores,
    async fetch(url, { method = 'GET', headers = {}, body, signal } = {}) {
      try {
        return await fetch(url, {
          method,
          headers,
          ...(body !== undefined && { body: body as BodyInit }),
          ...(signal && { signal }),
        })
      } catch (error) {
        const code = CODES[Object((error as Error).cause).code]
        if (!code) throw error
        throw new OAuthError(code, 'the connection failed', { cause: error })
      }
    },
  }
}

async function signedIn(world: TestWorld, scope = 'atproto transition:generic') {
  const ports = portsOf(world)
  const { authorizationUrl } = await init(world.alice.handle, { scope }, ports)
  const { credentials } = await complete(world.signIn(authorizationUrl), ports)
  return { session: await openSession(credentials, ports), ports }
}

async function opened(world: TestWorld) {
  const ports = portsOf(world)
  return { session: await openSession(await world.createSession(), ports), ports }
}

const post = (did: string, text: string) => ({
  nsid: 'com.atproto.repo.createRecord',
  body: JSON.stringify({ repo: did, collection: 'app.bsky.feed.post', record: { text } }),
})
const refreshes = (world: TestWorld) =>
  world.requests.filter(({ body }) => body.includes('grant_type=refresh_token')).length

describe('sign-in', () => {
  test('a person signs in, and the session writes', async () => {
    const world = createTestWorld()
    const { session } = await signedIn(world)
    expect(session.did).toBe(world.alice.did)
    expect((await session.call(post(session.did, 'hello'))).status).toBe(200)
    expect(world.records).toMatchObject([{ value: { text: 'hello' } }])
  })

  test('a person denies, grants less, or signs in as somebody else', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const ports = portsOf(world)
    const begin = async () => {
      const scope = 'atproto transition:generic'
      return (await init('alice.fake.dev', { scope }, ports)).authorizationUrl
    }
    await expect(complete(world.signIn(await begin(), { deny: true }), ports)).rejects.toMatchObject({
      code: 'AUTHORIZATION_DENIED',
    })
    const { grantedScope } = await complete(world.signIn(await begin(), { scope: 'atproto' }), ports)
    expect(grantedScope).toBe('atproto')
    await expect(complete(world.signIn(await begin(), { account: bob }), ports)).rejects.toMatchObject({
      code: 'ACCOUNT_MISMATCH',
    })
  })

  test('an account that was added signs in by its handle, and has the same DID in each run', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const ports = portsOf(world)
    const { authorizationUrl } = await init('bob.example.com', {}, ports)
    expect((await complete(world.signIn(authorizationUrl), ports)).credentials.did).toBe(bob.did)
    expect(createTestWorld().addAccount('bob.example.com')).toStrictEqual(bob)
    expect(bob.did).toMatch(/^did:plc:[a-z2-7]{24}$/)
  })

  test('a session without a sign-in, of any account and scope, can be refreshed', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const session = await openSession(await world.createSession(bob, 'atproto'), portsOf(world))
    await session.refresh()
    expect(await (await session.call(GET_SESSION)).json()).toMatchObject({ handle: 'bob.example.com' })
    expect((await session.call(post(session.did, 'no'))).status).toBe(403)
    await expect(createTestWorld().createSession(bob)).rejects.toThrow(`there is no account ${bob.did}`)
  })
})

describe('methods', () => {
  test('records are created, replaced, listed by page and deleted', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    const repo = session.did
    const collection = 'app.bsky.feed.post'
    for (const text of ['one', 'two', 'three']) await session.call(post(repo, text))
    const list = async (more: [string, string][] = []) => {
      const parameters: [string, string][] = [['repo', repo], ['collection', collection], ...more]
      return (await session.call({ nsid: 'com.atproto.repo.listRecords', parameters })).json()
    }
    const texts = (page: { records: { value: { text: string } }[] }) => page.records.map(({ value }) => value.text)
    const first = await list([['limit', '2']])
    expect(texts(first)).toStrictEqual(['three', 'two'])
    const second = await list([
      ['limit', '2'],
      ['cursor', first.cursor],
    ])
    expect([texts(second), second.cursor]).toStrictEqual([['one'], undefined])
    expect(texts(await list([['reverse', 'true']]))).toStrictEqual(['one', 'two', 'three'])

    const rkey = first.records[0].uri.split('/').at(-1)
    const write = (nsid: string, body: object) =>
      session.call({ nsid: `com.atproto.repo.${nsid}`, body: JSON.stringify({ repo, collection, rkey, ...body }) })
    await write('putRecord', { record: { text: 'third' } })
    expect(texts(await list())).toStrictEqual(['third', 'two', 'one'])
    await write('deleteRecord', {})
    expect(texts(await list())).toStrictEqual(['two', 'one'])
    await write('createRecord', { record: { text: 'again' } })
    expect(world.records.at(-1)?.uri).toBe(`at://${repo}/${collection}/${rkey}`)
  })

  test('a method that was added gets the request and the account', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    world.respond('com.example.echo', (request, account) => ({ method: request.method, handle: account.handle }))
    world.respond('com.example.teapot', () => new Response(null, { status: 418 }))
    const echo = await session.call({ nsid: 'com.example.echo', method: 'POST' })
    expect(await echo.json()).toStrictEqual({ method: 'POST', handle: 'alice.fake.dev' })
    expect((await session.call({ nsid: 'com.example.teapot' })).status).toBe(418)
    expect((await world.fetch(`${world.pds}/xrpc/com.example.echo`)).status).toBe(401)
  })
})

describe('faults', () => {
  test('an access token that has expired costs a refresh', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    await session.call(GET_SESSION)
    world.expireTokens()
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(refreshes(world)).toBe(1)
    world.expireTokens()
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(refreshes(world)).toBe(2)
    world.advance(2 * 60 * 60)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(refreshes(world)).toBe(3)
  })

  test('a session that has ended at the server cannot be refreshed; those of other accounts can', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    const other = await openSession(await world.createSession(world.addAccount('bob.example.com')), portsOf(world))
    world.endSessions(world.alice)
    await expect(session.call(GET_SESSION)).rejects.toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
    expect((await other.call(GET_SESSION)).status).toBe(200)
    world.endSessions()
    await expect(other.refresh()).rejects.toMatchObject({ code: 'SESSION_DEAD' })
  })

  test('new nonces cost a retry', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    await session.call(GET_SESSION)
    const before = world.requests.length
    world.changeNonces()
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(world.requests.length - before).toBe(2)
  })

  test('a rate limit ends when it says, and waiting for that takes no time', async () => {
    const world = createTestWorld()
    const { session, ports } = await opened(world)
    world.failNext('rateLimited', { seconds: 3600 })
    const before = ports.now()
    expect((await callWithRetry(session, GET_SESSION, { wait: true }, ports)).status).toBe(200)
    expect(ports.now() - before).toBeGreaterThanOrEqual(3_600_000)
    world.failNext('rateLimited', { times: 2 })
    const statuses = []
    for (let call = 0; call < 3; call += 1) statuses.push((await session.call(GET_SESSION)).status)
    expect(statuses).toStrictEqual([429, 429, 200])
  })

  test('a fault can be for one method, also of the authorization server', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    world.failNext('serverError', { method: 'com.atproto.repo.createRecord' })
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect((await session.call(post(session.did, 'hello'))).status).toBe(500)
    expect(world.records).toHaveLength(0)
    world.failNext('unreachable', { method: 'token' })
    await expect(session.refresh()).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE', session: 'alive' })
    await session.refresh()
  })

  test('a lost request has no effect, a lost response has one', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    const failure = { code: 'NETWORK_LOST' }
    world.failNext('requestLost', { method: 'com.atproto.repo.createRecord' })
    await expect(session.call(post(session.did, 'hello'))).rejects.toMatchObject(failure)
    expect(world.records).toHaveLength(0)
    world.failNext('responseLost', { method: 'com.atproto.repo.createRecord' })
    await expect(session.call(post(session.did, 'hello'))).rejects.toMatchObject(failure)
    expect(world.records).toHaveLength(1)
  })

  test('a fault can be a response, each time', async () => {
    const world = createTestWorld()
    const { session } = await opened(world)
    world.failNext(new Response('{"error":"Odd"}', { status: 418 }), { times: 2 })
    for (let call = 0; call < 2; call += 1) {
      expect(await (await session.call(GET_SESSION)).json()).toStrictEqual({ error: 'Odd' })
    }
  })
})

describe('fetch', () => {
  test('takes what the global one takes, and fails as it does', async () => {
    const world = createTestWorld()
    const health = `${world.pds}/xrpc/_health`
    for (const input of [health, new URL(health), new Request(health)]) {
      expect((await world.fetch(input)).status).toBe(200)
    }
    const failure = await world.fetch('https://elsewhere.example.com/').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(TypeError)
    expect(isOAuthError(failure)).toBe(false)
    expect((failure as Error).cause).toMatchObject({ code: 'ENOTFOUND' })
    await expect(world.fetch(health, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
  })

  test('a body of any kind arrives', async () => {
    const world = createTestWorld()
    const url = `${world.authorizationServer}/oauth/par`
    const bodies = ['a=b', new URLSearchParams({ a: 'b' }), new Blob(['a=b']), new TextEncoder().encode('a=b')]
    for (const body of [...bodies, new Blob(['a=b']).stream()]) await world.fetch(url, { method: 'POST', body })
    expect(world.requests.map((request) => request.body)).toStrictEqual(Array(5).fill('a=b'))
  })

  test('clients of different machines have different stores', async () => {
    const world = createTestWorld()
    const { ports } = await signedIn(world)
    expect(await ports.stores.pending.list?.()).toHaveLength(1)
    expect(await world.clientOptions().stores.pending.list?.()).toStrictEqual([])
  })
})
