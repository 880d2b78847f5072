import { describe, expect, test } from 'vitest'
import { isOAuthError, OAuthClient, type OAuthSession } from '../../src/index.ts'
import { createTestWorld, type TestAccount, type TestWorld } from '../../src/testing/index.ts'

const SCOPE = 'atproto transition:generic'
const COLLECTION = 'app.bsky.feed.post'

/** A client on a machine of its own. */
const clientOf = (world: TestWorld) => new OAuthClient(world.clientOptions())

async function opened(world: TestWorld, account?: TestAccount, scope?: string): Promise<OAuthSession> {
  return clientOf(world).restore(await world.createSession(account, scope))
}

const whoAmI = (session: OAuthSession) => session.query('com.atproto.server.getSession')
const post = (session: OAuthSession, text: string) =>
  session.procedure('com.atproto.repo.createRecord', { repo: session.did, collection: COLLECTION, record: { text } })
const refreshes = (world: TestWorld) =>
  world.requests.filter(({ body }) => body.includes('grant_type=refresh_token')).length

describe('sign-in', () => {
  test('a person signs in, and the session writes', async () => {
    const world = createTestWorld()
    const client = clientOf(world)
    const { url } = await client.authorize(world.alice.handle, { scope: SCOPE })
    const session = await client.callback(world.signIn(url))
    expect(session.did).toBe(world.alice.did)
    await post(session, 'hello')
    expect(world.records).toMatchObject([{ value: { text: 'hello' } }])
  })

  test('a person denies, grants less, or signs in as somebody else', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const client = clientOf(world)
    const begin = async () => (await client.authorize(world.alice.handle, { scope: SCOPE })).url
    const denied = client.callback(world.signIn(await begin(), { deny: true }))
    await expect(denied).rejects.toMatchObject({ code: 'AUTHORIZATION_DENIED' })
    const { login } = await client.callback(world.signIn(await begin(), { scope: 'atproto' }))
    expect(login?.grantedScope).toBe('atproto')
    const another = client.callback(world.signIn(await begin(), { account: bob }))
    await expect(another).rejects.toMatchObject({ code: 'ACCOUNT_MISMATCH' })
  })

  test('an account that was added signs in by its handle, and has the same DID in each run', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const client = clientOf(world)
    const { url } = await client.authorize('bob.example.com')
    expect((await client.callback(world.signIn(url))).did).toBe(bob.did)
    expect(createTestWorld().addAccount('bob.example.com')).toStrictEqual(bob)
    expect(bob.did).toMatch(/^did:plc:[a-z2-7]{24}$/)
  })

  test('a session without a sign-in, of any account and scope, can be refreshed', async () => {
    const world = createTestWorld()
    const bob = world.addAccount('bob.example.com')
    const session = await opened(world, bob, 'atproto')
    await session.refresh()
    expect(await whoAmI(session)).toMatchObject({ handle: 'bob.example.com' })
    await expect(post(session, 'no')).rejects.toMatchObject({ code: 'PERMISSION_MISSING' })
    await expect(createTestWorld().createSession(bob)).rejects.toThrow(`there is no account ${bob.did}`)
  })

  test.each([
    ['blob:image/*', true],
    ['blob:*/*', true],
    ['blob?accept=video/mp4&accept=image/*', true],
    ['blob:video/*', false],
    ['repo:*', false],
  ])('with %s, an image can be uploaded: %s', async (permission, isAllowed) => {
    const session = await opened(createTestWorld(), undefined, `atproto ${permission}`)
    const upload = session.upload(new Uint8Array(3), { mimeType: 'image/png' })
    if (isAllowed) await expect(upload).resolves.toMatchObject({ mimeType: 'image/png' })
    else await expect(upload).rejects.toMatchObject({ code: 'PERMISSION_MISSING' })
  })

  test.each([
    [`repo:${COLLECTION}`, 'nothing'],
    ['repo:*?action=create&action=update', 'nothing'],
    [`repo?collection=a.b.c&collection=${COLLECTION}`, 'nothing'],
    [`repo:${COLLECTION}?action=create`, 'update'],
    [`repo:${COLLECTION}?action=update`, 'create'],
  ])('with %s, putRecord lacks %s', async (permission, missing) => {
    const session = await opened(createTestWorld(), undefined, `atproto ${permission}`)
    const input = { repo: session.did, collection: COLLECTION, rkey: 'one', record: { text: 'hello' } }
    const put = session.procedure('com.atproto.repo.putRecord', input)
    if (missing === 'nothing') await expect(put).resolves.toHaveProperty('uri')
    else await expect(put).rejects.toThrow(`${COLLECTION}?action=${missing}`)
  })

  test('each client is on a machine of its own', async () => {
    const world = createTestWorld()
    const [one, other] = [clientOf(world), clientOf(world)]
    await one.callback(world.signIn((await one.authorize(world.alice.handle)).url))
    expect(await one.accounts()).toHaveLength(1)
    expect(await other.accounts()).toStrictEqual([])
  })
})

describe('methods', () => {
  test('records are created, replaced, listed by page and deleted', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    const repository = { repo: session.did, collection: COLLECTION }
    for (const text of ['one', 'two', 'three']) await post(session, text)
    const list = async (more: { limit?: number; cursor?: string | undefined; reverse?: boolean } = {}) => {
      const page = await session.query('com.atproto.repo.listRecords', { ...repository, ...more })
      return { ...page, texts: page.records.map(({ value }) => value['text']) }
    }
    const first = await list({ limit: 2 })
    expect(first.texts).toStrictEqual(['three', 'two'])
    const second = await list({ limit: 2, cursor: first.cursor })
    expect([second.texts, second.cursor]).toStrictEqual([['one'], undefined])
    expect((await list({ reverse: true })).texts).toStrictEqual(['one', 'two', 'three'])

    const rkey = first.records[0]!.uri.split('/').at(-1)!
    await session.procedure('com.atproto.repo.putRecord', { ...repository, rkey, record: { text: 'third' } })
    expect((await list()).texts).toStrictEqual(['third', 'two', 'one'])
    await session.procedure('com.atproto.repo.deleteRecord', { ...repository, rkey })
    expect((await list()).texts).toStrictEqual(['two', 'one'])
    await session.procedure('com.atproto.repo.createRecord', { ...repository, rkey, record: { text: 'again' } })
    expect(world.records.at(-1)?.uri).toBe(`at://${session.did}/${COLLECTION}/${rkey}`)
  })

  test('a method that was added gets the request and the account', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    world.respond('com.example.echo', ({ method, body }, { handle }) => ({ method, body, handle }))
    world.respond('com.example.teapot', () => new Response(null, { status: 418 }))
    const echo = { method: 'POST', body: '{"a":1}', handle: 'alice.fake.dev' }
    expect(await session.procedure('com.example.echo', { a: 1 })).toStrictEqual(echo)
    await expect(session.query('com.example.teapot')).rejects.toMatchObject({ status: 418 })
    expect((await world.fetch(`${world.pds}/xrpc/com.example.echo`)).status).toBe(401)
  })
})

describe('faults', () => {
  test('an access token that has expired costs a refresh', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    await whoAmI(session)
    for (const count of [1, 2]) {
      world.expireTokens()
      await whoAmI(session)
      expect(refreshes(world)).toBe(count)
    }
    world.advance(2 * 60 * 60)
    await whoAmI(session)
    expect(refreshes(world)).toBe(3)
  })

  test('a session that has ended at the server cannot be refreshed; those of other accounts can', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    const other = await opened(world, world.addAccount('bob.example.com'))
    const ended = { code: 'SESSION_DEAD', session: 'dead' }
    world.endSessions(world.alice)
    await expect(whoAmI(session)).rejects.toMatchObject(ended)
    expect(await whoAmI(other)).toMatchObject({ did: other.did })
    world.endSessions()
    await expect(other.refresh()).rejects.toMatchObject(ended)
  })

  test('public methods need no session, as on a real PDS', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    world.endSessions()
    const collection = { repo: session.did, collection: COLLECTION }
    await expect(session.query('com.atproto.repo.listRecords', collection)).resolves.toMatchObject({ records: [] })
    await expect(whoAmI(session)).rejects.toMatchObject({ code: 'SESSION_DEAD' })
  })

  test('new nonces cost a retry', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    await whoAmI(session)
    const before = world.requests.length
    world.changeNonces()
    await whoAmI(session)
    expect(world.requests.length - before).toBe(2)
  })

  test('a rate limit ends when it says, and waiting for that takes no time', async () => {
    const world = createTestWorld()
    const { clock, ...options } = world.clientOptions()
    const session = await new OAuthClient({ clock, ...options }).restore(await world.createSession())
    world.failNext('rateLimited', { seconds: 3600 })
    const before = clock.now()
    await session.query('com.atproto.server.getSession', {}, { wait: true })
    expect(clock.now() - before).toBeGreaterThanOrEqual(3_600_000)
    world.failNext('rateLimited', { times: 2 })
    for (let call = 0; call < 2; call += 1) {
      await expect(whoAmI(session)).rejects.toMatchObject({ code: 'RATE_LIMITED', status: 429 })
    }
    await whoAmI(session)
  })

  test('a fault can be for one method, also of the authorization server', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    world.failNext('serverError', { method: 'com.atproto.repo.createRecord' })
    await whoAmI(session)
    await expect(post(session, 'hello')).rejects.toMatchObject({ status: 500 })
    expect(world.records).toHaveLength(0)
    world.failNext('unreachable', { method: 'token' })
    await expect(session.refresh()).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE', session: 'alive' })
    await session.refresh()
  })

  test('a lost request has no effect, a lost response has one', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    const failure = { code: 'NETWORK_LOST' }
    world.failNext('requestLost', { method: 'com.atproto.repo.createRecord' })
    await expect(post(session, 'hello')).rejects.toMatchObject(failure)
    expect(world.records).toHaveLength(0)
    world.failNext('responseLost', { method: 'com.atproto.repo.createRecord' })
    await expect(post(session, 'hello')).rejects.toMatchObject(failure)
    expect(world.records).toHaveLength(1)
  })

  test('a fault can be a response, each time', async () => {
    const world = createTestWorld()
    const session = await opened(world)
    world.failNext(new Response('{"error":"Odd"}', { status: 418 }), { times: 2 })
    for (let call = 0; call < 2; call += 1) {
      await expect(whoAmI(session)).rejects.toMatchObject({ status: 418, error: 'Odd' })
    }
    await whoAmI(session)
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
})
