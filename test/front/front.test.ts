import { AtpAgent, lexicons } from '@atproto/api'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { HOUR, isCall, isRefresh } from '../support/login.ts'
import { type OpenFront, ORIGIN, openFront, PASSWORD } from './support.ts'

const SERVER = 'com.atproto.server'
const REFUSED = { status: 401, body: { error: 'AuthenticationRequired', message: 'Invalid identifier or password' } }
const claimsOf = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString())
const post = (front: OpenFront, text = 'hello') => ({
  body: {
    repo: front.world.alice.did,
    collection: 'app.bsky.feed.post',
    record: { $type: 'app.bsky.feed.post', text, createdAt: '2026-01-01T00:00:00Z' },
  },
})
/** What the PDS answers to every call. */
function answerWith(front: OpenFront, answer: () => Response | Promise<never>): void {
  front.world.faults.httpFault = (request) => (isCall(request) ? answer() : undefined)
}
/** The front as a server is, for a program that is given `fetch`. */
function fetchOf(front: OpenFront): typeof fetch {
  return async (input, init) => {
    const request = new Request(input as RequestInfo, init)
    const { pathname, search, host } = new URL(request.url)
    const bytes = new Uint8Array(await request.arrayBuffer())
    const { status, headers, body } = await front.handle({
      method: request.method,
      target: pathname + search,
      headers: { host, ...Object.fromEntries(request.headers) },
      body: async () => (bytes.length > 0 ? bytes : undefined),
      smallBody: async () => (bytes.length > 0 ? bytes : undefined),
      signal: request.signal,
    })
    return new Response(body as BodyInit, { status, headers: new Headers([...headers] as [string, string][]) })
  }
}

describe('signing in', () => {
  test.each([
    ['the handle', 'alice.fake.dev'],
    ['the handle in other letters, with an @', '@Alice.Fake.Dev'],
    ['the DID', 'did:plc:alice234567alice234567ab'],
  ])('with %s', async (_, identifier) => {
    const front = await openFront()
    const { status, body } = await front.ask(`${SERVER}.createSession`, { body: { identifier, password: PASSWORD } })
    expect(status).toBe(200)
    lexicons.assertValidXrpcOutput(`${SERVER}.createSession`, body)
    expect(body).toStrictEqual({
      did: front.world.alice.did,
      handle: 'alice.fake.dev',
      active: true,
      accessJwt: expect.any(String),
      refreshJwt: expect.any(String),
    })
    const iat = Math.floor(front.world.now() / 1000)
    const common = { sub: front.world.alice.did, aud: 'did:web:127.0.0.1%3A1234', iat }
    expect(claimsOf(body.accessJwt)).toMatchObject({ ...common, scope: 'com.atproto.access', exp: iat + 7200 })
    expect(claimsOf(body.refreshJwt)).toMatchObject({ ...common, scope: 'com.atproto.refresh', exp: iat + 90 * 86400 })
    expect(front.world.sent('com.atproto.server.createSession')).toHaveLength(0)
  })

  test.each([
    ['another password', { password: `${PASSWORD}x` }],
    ['the beginning of the password', { password: PASSWORD.slice(0, -1) }],
    ['the password twice', { password: PASSWORD + PASSWORD }],
    ['no password', { password: '' }],
    ['another account', { identifier: 'mallory.fake.dev' }],
    ['another DID', { identifier: 'did:plc:mallory234567mallory2345' }],
    ['no account', { identifier: '' }],
  ])('%s is refused', async (_, changes) => {
    const front = await openFront()
    const body = { identifier: 'alice.fake.dev', password: PASSWORD, ...changes }
    expect(await front.ask(`${SERVER}.createSession`, { body })).toMatchObject(REFUSED)
  })

  test('input that is none is an invalid request', async () => {
    const front = await openFront()
    for (const body of [{}, { identifier: 'alice.fake.dev' }, { identifier: 1, password: 1 }, new Uint8Array([0xff])]) {
      const answer = await front.ask(`${SERVER}.createSession`, { body })
      expect(answer).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    }
    expect(await front.ask(`${SERVER}.createSession`)).toMatchObject({ status: 400, body: { error: 'InvalidRequest' } })
    const body = new ReadableStream<Uint8Array>()
    expect(await front.ask(`${SERVER}.createSession`, { body })).toMatchObject({ status: 413 })
  })

  test('an account without a handle has the one that is invalid everywhere', async () => {
    const front = await openFront({ handle: undefined })
    const { authorization } = await front.signIn()
    const { body } = await front.ask(`${SERVER}.getSession`, { headers: { authorization } })
    lexicons.assertValidXrpcOutput(`${SERVER}.getSession`, body)
    expect(body).toStrictEqual({ did: front.world.alice.did, handle: 'handle.invalid', active: true })
  })

  test('the server describes itself to everybody', async () => {
    const front = await openFront()
    const { status, body } = await front.ask(`${SERVER}.describeServer`)
    expect(status).toBe(200)
    lexicons.assertValidXrpcOutput(`${SERVER}.describeServer`, body)
    expect(body).toMatchObject({ did: 'did:web:127.0.0.1%3A1234', availableUserDomains: [] })
  })
})

describe('tokens', () => {
  test('a refresh token can be used many times, and its access tokens stay valid', async () => {
    const front = await openFront()
    const { refreshJwt, authorization } = await front.signIn()
    const refresh = () =>
      front.ask(`${SERVER}.refreshSession`, { method: 'POST', headers: { authorization: `Bearer ${refreshJwt}` } })
    for (const { status, body } of await Promise.all([refresh(), refresh(), refresh()])) {
      expect(status).toBe(200)
      lexicons.assertValidXrpcOutput(`${SERVER}.refreshSession`, body)
      for (const used of [authorization, `Bearer ${body.accessJwt}`]) {
        expect(await front.ask(`${SERVER}.getSession`, { headers: { authorization: used } })).toMatchObject({
          status: 200,
        })
      }
    }
    expect(front.world.sent(isRefresh)).toHaveLength(0)
  })

  test('an access token expires after two hours, and is refreshed here', async () => {
    const front = await openFront()
    const { refreshJwt, authorization } = await front.signIn()
    front.world.advance(2 * HOUR)
    const expired = { status: 400, body: { error: 'ExpiredToken', message: 'Token has expired' } }
    for (const nsid of [`${SERVER}.getSession`, 'app.bsky.actor.getProfile']) {
      expect(await front.ask(nsid, { headers: { authorization } })).toMatchObject(expired)
    }
    const headers = { authorization: `Bearer ${refreshJwt}` }
    const { body } = await front.ask(`${SERVER}.refreshSession`, { method: 'POST', headers })
    const next = { authorization: `Bearer ${body.accessJwt}` }
    expect(await front.ask(`${SERVER}.getSession`, { headers: next })).toMatchObject({ status: 200 })
  })

  test('after deleteSession, its refresh tokens are revoked, and those of another sign-in are not', async () => {
    const front = await openFront()
    const [one, other] = [await front.signIn(), await front.signIn()]
    const ask = (nsid: string, jwt: string) =>
      front.ask(nsid, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } })
    const renewed = (await ask(`${SERVER}.refreshSession`, one.refreshJwt)).body.refreshJwt
    const deleted = await ask(`${SERVER}.deleteSession`, one.refreshJwt)
    expect(deleted).toMatchObject({ status: 200, body: '' })
    for (const jwt of [one.refreshJwt, renewed]) {
      expect(await ask(`${SERVER}.refreshSession`, jwt)).toMatchObject({ status: 400, body: { error: 'ExpiredToken' } })
    }
    expect(await ask(`${SERVER}.deleteSession`, one.refreshJwt)).toMatchObject({ status: 200 })
    expect(await ask(`${SERVER}.refreshSession`, other.refreshJwt)).toMatchObject({ status: 200 })
    expect(front.world.sessionAlive(front.world.alice.did)).toBe(true)
  })

  test('without one, with a wrong one, and with that of another kind or front', async () => {
    const front = await openFront()
    const { accessJwt, refreshJwt } = await front.signIn()
    const [header, payload, signature] = accessJwt.split('.')
    const longer = { ...claimsOf(accessJwt), exp: 9999999999 }
    const forged = Buffer.from(JSON.stringify(longer)).toString('base64url')
    const cases: [string | undefined, number, string][] = [
      [undefined, 401, 'AuthMissing'],
      ['', 400, 'InvalidToken'],
      ['Bearer', 400, 'InvalidToken'],
      [`Bearer ${accessJwt} x`, 400, 'InvalidToken'],
      [`DPoP ${accessJwt}`, 400, 'InvalidToken'],
      [`Basic ${btoa(`alice.fake.dev:${PASSWORD}`)}`, 400, 'InvalidToken'],
      [`Bearer ${refreshJwt}`, 400, 'InvalidToken'],
      [`Bearer ${header}.${forged}.${signature}`, 400, 'InvalidToken'],
      [`Bearer ${header}.${payload}.`, 400, 'InvalidToken'],
      [`Bearer ${header}.${payload}`, 400, 'InvalidToken'],
      ['Bearer .', 400, 'InvalidToken'],
      ['Bearer x', 400, 'InvalidToken'],
    ]
    for (const nsid of [`${SERVER}.getSession`, 'app.bsky.actor.getProfile', 'com.atproto.identity.resolveHandle']) {
      for (const [authorization, status, error] of cases) {
        const headers = authorization === undefined ? {} : { authorization }
        expect(await front.ask(nsid, { headers }), authorization).toMatchObject({ status, body: { error } })
      }
    }
    const headers = { authorization: `Bearer ${accessJwt}` }
    const asRefresh = await front.ask(`${SERVER}.refreshSession`, { method: 'POST', headers })
    expect(asRefresh).toMatchObject({ status: 400, body: { error: 'InvalidToken' } })
    expect(front.world.sent(isCall)).toHaveLength(0)
  })

  test('of an earlier run are not valid', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    const later = await front.another().handle({
      method: 'GET',
      target: `/xrpc/${SERVER}.getSession`,
      headers: { host: '127.0.0.1:1234', authorization },
      body: async () => undefined,
      smallBody: async () => undefined,
      signal: new AbortController().signal,
    })
    expect(later).toMatchObject({ status: 400, body: expect.stringContaining('InvalidToken') })
  })
})

describe('a program that knows only passwords', () => {
  test('@atproto/api signs in, posts, reads, resumes and signs out', async () => {
    const front = await openFront()
    // The agent validates it.
    const cid = 'bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a'
    front.world.faults.httpFault = (request) =>
      request.url.endsWith('createRecord')
        ? async (answer) => (answer.ok ? Response.json({ ...(await answer.json()), cid }) : answer)
        : undefined
    const stored: unknown[] = []
    const persistSession = (_: string, session: unknown) => void stored.push(session)
    const agent = new AtpAgent({ service: ORIGIN, fetch: fetchOf(front), persistSession })
    await agent.login({ identifier: '@alice.fake.dev', password: PASSWORD })
    expect(agent.dispatchUrl.href).toBe(`${ORIGIN}/`)
    const { uri } = await agent.post({ text: 'from a program', createdAt: '2026-01-01T00:00:00Z' })
    expect(front.world.records).toMatchObject([{ uri, value: { text: 'from a program' } }])
    expect((await agent.getProfile({ actor: agent.assertDid })).data.handle).toBe('alice.fake.dev')

    front.world.advance(3 * HOUR) // both tokens have expired
    await agent.post({ text: 'hours later', createdAt: '2026-01-01T00:00:00Z' })
    expect(front.world.records).toHaveLength(2)
    expect(front.world.sent(isRefresh)).toHaveLength(2) // one for the credentials without an access token

    const later = new AtpAgent({ service: ORIGIN, fetch: fetchOf(front) })
    await later.resumeSession(stored.at(-1) as never)
    expect(later.dispatchUrl.href).toBe(`${ORIGIN}/`)
    expect((await later.com.atproto.server.getSession()).data.did).toBe(front.world.alice.did)
    await later.logout()
    expect(front.world.sessionAlive(front.world.alice.did)).toBe(true)
  })

  test('no token of the session reaches it, and none of its own the PDS', async () => {
    const front = await openFront({ faults: { rsNonces: 'rotate' } })
    const { authorization } = await front.signIn()
    const answers = [
      await front.ask('com.atproto.repo.createRecord', { ...post(front), headers: { authorization } }),
      await front.ask('app.bsky.actor.getProfile?actor=nobody', { headers: { authorization } }),
    ]
    front.world.faults.rsError = 'badProof'
    answers.push(await front.ask('app.bsky.actor.getProfile?actor=nobody', { headers: { authorization } }))
    expect(answers.map(({ status }) => status)).toStrictEqual([200, 400, 401])
    const seen = JSON.stringify(answers)
    for (const secret of front.world.secrets()) expect(seen).not.toContain(secret)
    for (const { headers } of answers) {
      expect(Object.keys(headers)).not.toContain('dpop-nonce')
      expect(Object.keys(headers)).not.toContain('www-authenticate')
    }
    expect(JSON.stringify(front.world.requests)).not.toContain(authorization.slice('Bearer '.length))
  })
})

describe('passing on', () => {
  test('method, query, body and headers as they are; none that is for the front', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    const headers = {
      'accept-language': 'de',
      'atproto-accept-labelers': 'did:plc:x;redact',
      'atproto-proxy': 'did:web:api.bsky.app#bsky_appview',
      'x-bsky-topics': 'a',
      'user-agent': 'program/1',
      'content-encoding': 'gzip',
    }
    const dropped = {
      'x-http-method-override': 'POST',

      cookie: 'a=b',
      dpop: 'x',
      'sec-fetch-mode': 'cors',
      'accept-encoding': 'zstd',
      expect: '100-continue',
    }
    await front.ask('app.bsky.actor.getProfile?actor=a%2Fb&x=1&x=2', {
      headers: { authorization, ...headers, ...dropped },
    })
    const [sent] = front.world.sent('app.bsky.actor.getProfile')
    expect(sent).toMatchObject({ method: 'GET', headers })
    expect(sent!.url).toMatch(/getProfile\?actor=a%2Fb&x=1&x=2$/)
    for (const name of [...Object.keys(dropped), 'host'].filter((each) => each !== 'dpop')) {
      expect(sent!.headers[name]).toBeUndefined()
    }
    expect(sent!.headers['authorization']).toMatch(/^DPoP /)
    expect(sent!.headers['dpop']).not.toBe('x')
  })

  test.each(['did:web:127.0.0.1%3A1234', 'did:web:127.0.0.1:1234', 'did:web:localhost:1234', 'did:web:video.bsky.app'])(
    'a service token for %s: the front stands for the PDS',
    async (aud) => {
      const front = await openFront()
      const { authorization } = await front.signIn()
      const query = new URLSearchParams({ aud, lxm: 'com.atproto.repo.uploadBlob' })
      await front.ask(`com.atproto.server.getServiceAuth?${query}`, { headers: { authorization } })
      const [sent] = front.world.sent('com.atproto.server.getServiceAuth')
      expect(Object.fromEntries(new URL(sent!.url).searchParams)).toStrictEqual({
        aud: aud.includes('1234') ? 'did:web:pds.fake.dev' : aud,
        lxm: 'com.atproto.repo.uploadBlob',
      })
    },
  )

  test('a service token is asked for with nothing that the permit has not read', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    const query = 'aud=did:web:a.dev&lxm[]=com.atproto.server.createAccount&lxm%5B0%5D=x&x=1&exp=1'
    await front.ask(`com.atproto.server.getServiceAuth?${query}`, { headers: { authorization } })
    const [sent] = front.world.sent('com.atproto.server.getServiceAuth')
    expect(new URL(sent!.url).search).toBe('?aud=did%3Aweb%3Aa.dev&exp=1')
  })

  test('a range and HEAD without encodings, because a part cannot be decoded', async () => {
    const front = await openFront()
    answerWith(front, () => new Response(null, { status: 206, headers: { 'content-range': 'bytes 0-9/99' } }))
    const { authorization } = await front.signIn()
    const nsid = 'com.atproto.sync.getBlob'
    const part = await front.ask(nsid, { headers: { authorization, range: 'bytes=0-9' } })
    expect(part).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 0-9/99' } })
    await front.ask(nsid, { method: 'HEAD', headers: { authorization } })
    const sent = front.world.sent(nsid)
    expect(sent.map(({ method, headers }) => [method, headers['accept-encoding']])).toStrictEqual([
      ['GET', 'identity'],
      ['HEAD', 'identity'],
    ])
    expect(sent[0]!.headers['range']).toBe('bytes=0-9')
  })

  test('responses and errors of the PDS as they are, without what belongs to its connection or to browsers', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    const headers = {
      'access-control-allow-origin': '*',
      'set-cookie': 'a=b',
      'atproto-repo-rev': '1',
      'content-type': 'text/plain',
      'ratelimit-remaining': '3',
    }
    for (const status of [200, 404, 429, 502]) {
      answerWith(front, () => new Response('text', { status, headers }))
      const answer = await front.ask('app.bsky.feed.getTimeline', { headers: { authorization } })
      expect(answer).toStrictEqual({
        status,
        body: 'text',
        headers: { 'atproto-repo-rev': '1', 'content-type': 'text/plain', 'ratelimit-remaining': '3' },
      })
    }
  })

  test('a token that the PDS calls expired is refreshed once for all, and an upload that is a stream is not lost', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    await front.ask('app.bsky.actor.getProfile?actor=nobody', { headers: { authorization } })
    const before = front.world.sent(isRefresh).length
    front.world.faults.clockOffsetMs = HOUR // the server's clock alone: only it knows
    const image = new Blob([new Uint8Array(300_000)])
    const answers = await Promise.all([
      ...Array.from({ length: 50 }, (_, each) =>
        front.ask('com.atproto.repo.createRecord', { ...post(front, `${each}`), headers: { authorization } }),
      ),
      front.ask('com.atproto.repo.uploadBlob', {
        headers: { authorization, 'content-type': 'image/png', 'content-length': '300000' },
        body: image.stream(),
      }),
    ])
    expect(answers.map(({ status }) => status)).toStrictEqual(Array.from(answers, () => 200))
    expect(answers.at(-1)!.body.blob).toMatchObject({ size: 300_000 })
    const refreshes = front.world.sent(isRefresh).slice(before)
    expect(new Set(refreshes.map(({ body }) => /refresh_token=([^&]+)/.exec(body)![1])).size).toBe(1)
    expect(front.world.sent('com.atproto.repo.uploadBlob').at(-1)!.headers['content-length']).toBe('300000')
  })

  test('a client that goes away does not stop a refresh, which can be waited for', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    let begun = () => {}
    const isBegun = new Promise<void>((resolve) => (begun = resolve))
    front.world.faults.httpFault = async (request) => {
      if (!isRefresh(request)) return undefined
      begun()
      await held
      return undefined
    }
    const client = new AbortController()
    const asked = front.ask('app.bsky.actor.getProfile?actor=x', { headers: { authorization }, signal: client.signal })
    await isBegun
    client.abort()
    await asked
    let isSettled = false
    const settled = front.settled().then(() => (isSettled = true))
    await new Promise(setImmediate)
    expect(isSettled).toBe(false)
    release()
    await settled
    expect(front.world.sessionAlive(front.world.alice.did)).toBe(true)
    expect(front.world.stores.sessionRecords.size).toBe(1)
    expect(front.world.warnings).toStrictEqual([])
  })
})

test('a refresh that fails after its client has gone away is reported once it is waited for', async () => {
  const failures: string[] = []
  const front = await openFront({ onFailure: ({ code }) => void failures.push(code) })
  const { authorization } = await front.signIn()
  const client = new AbortController()
  front.world.faults.httpFault = async (request) => {
    if (!isRefresh(request)) return undefined
    client.abort()
    await new Promise(setImmediate)
    return Response.json({ error: 'invalid_grant' }, { status: 400 })
  }
  await front.ask('app.bsky.actor.getProfile?actor=x', { headers: { authorization }, signal: client.signal })
  expect(failures).toStrictEqual([])
  await front.settled()
  await front.settled()
  expect(failures).toStrictEqual(['SESSION_DEAD'])
})

describe('what is not passed on', () => {
  test.each([
    ['another host', { host: 'evil.example:1234' }],
    ['another port', { host: '127.0.0.1:99' }],
    ['two hosts', { host: '127.0.0.1:1234, evil.example' }],
    ['a web page', { origin: 'https://evil.example' }],
    ['a page of its own', { origin: ORIGIN }],
    ['a page without an origin', { origin: 'null' }],
    ['an image in a page', { 'sec-fetch-site': 'cross-site' }],
  ])('requests of %s', async (_, headers) => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    for (const nsid of ['app.bsky.actor.getProfile', `${SERVER}.describeServer`, `${SERVER}.createSession`]) {
      const answer = await front.ask(nsid, { headers: { authorization, ...headers } })
      expect(answer).toMatchObject({ status: 403, body: { error: 'Forbidden' } })
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toStrictEqual([])
    }
    expect(front.world.sent(isCall)).toHaveLength(0)
  })

  test('localhost is this machine', async () => {
    const front = await openFront()
    const answer = await front.ask(`${SERVER}.describeServer`, { headers: { host: 'LocalHost:1234' } })
    expect(answer.status).toBe(200)
    const onDefaultPort = await openFront({ origin: 'http://127.0.0.1' })
    for (const [host, status] of [
      ['127.0.0.1', 200],
      ['localhost', 200],
      ['localhost:99', 403],
    ] as const) {
      expect(await onDefaultPort.ask(`${SERVER}.describeServer`, { headers: { host } })).toMatchObject({ status })
    }
  })

  test.each([
    ['GET', '/', 404, 'NotFound'],
    ['GET', '/.well-known/oauth-protected-resource', 404, 'NotFound'],
    ['GET', '//evil.example/xrpc/app.bsky.actor.getProfile', 404, 'NotFound'],
    ['GET', 'http://evil.example/xrpc/app.bsky.actor.getProfile', 404, 'NotFound'],
    ['GET', '/xrpc/app.bsky.actor.getProfile/', 404, 'NotFound'],
    ['GET', '/xrpc/../oauth/token', 404, 'NotFound'],
    ['GET', '/xrpc/..', 400, 'InvalidRequest'],
    ['GET', '/xrpc/', 400, 'InvalidRequest'],
    ['GET', '/xrpc/com.atproto.server.create%41ppPassword', 400, 'InvalidRequest'],
    ['GET', '/xrpc/com.atproto.sync.subscribeRepos?cursor=1', 501, 'MethodNotImplemented'],
    ['OPTIONS', '/xrpc/app.bsky.actor.getProfile', 405, 'InvalidRequest'],
    ['PUT', '/xrpc/app.bsky.actor.getProfile', 405, 'InvalidRequest'],
    ['GET', '/xrpc/com.atproto.server.createSession', 400, 'InvalidRequest'],
    ['POST', '/xrpc/com.atproto.server.CREATEsession', 400, 'InvalidRequest'],
    ['POST', '/xrpc/com.atproto.server.getSession', 400, 'InvalidRequest'],
  ])('%s %s', async (method, target, status, error) => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    const answer = await front.ask(target.startsWith('http') ? `/${target}` : target, {
      method,
      headers: { authorization },
    })
    expect(answer).toMatchObject({ status, body: { error, message: expect.any(String) } })
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toStrictEqual([])
    expect(front.world.sent(isCall)).toHaveLength(0)
  })

  test('WebSockets', async () => {
    const front = await openFront()
    const headers = { upgrade: 'WebSocket' }
    const answer = await front.ask('app.bsky.actor.getProfile', { headers })
    expect(answer).toMatchObject({ status: 501, body: { message: expect.stringContaining('WebSockets') } })
  })

  test.each(['createAccount', 'createAppPassword', 'CREATEAPPPASSWORD', 'deleteAccount', 'resetPassword'])(
    'server.%s, said once',
    async (name) => {
      const front = await openFront()
      const { authorization } = await front.signIn()
      for (const _ of [1, 2]) {
        const answer = await front.ask(`${SERVER}.${name}`, { body: {}, headers: { authorization } })
        expect(answer).toMatchObject({ status: 403, body: { error: 'Forbidden', message: /not passed on/ } })
      }
      expect(front.refusals).toStrictEqual([{ nsid: `${SERVER}.${name}`, reason: 'credentials' }])
      expect(front.world.sent(isCall)).toHaveLength(0)
    },
  )

  test('methods outside the permit: each said once, in the words of the program', async () => {
    const front = await openFront({
      permit: { allow: ['app.bsky.*'], readOnly: true },
      explain: ({ nsid, reason }) => `${nsid}: ${reason}`,
    })
    const { authorization } = await front.signIn()
    const ask = (nsid: string, body?: object) => front.ask(nsid, { headers: { authorization }, ...(body && { body }) })
    expect(await ask('app.bsky.actor.getProfile?actor=alice.fake.dev')).toMatchObject({ status: 200 })
    const refused = [
      ['com.atproto.repo.getRecord', undefined, 'not-allowed'],
      ['app.bsky.actor.putPreferences', {}, 'read-only'],
    ] as const
    for (const [nsid, body, reason] of [...refused, ...refused]) {
      const message = `${nsid}: ${reason}`
      expect(await ask(nsid, body)).toMatchObject({ status: 403, body: { error: 'Forbidden', message } })
    }
    expect(front.refusals).toStrictEqual(refused.map(([nsid, , reason]) => ({ nsid, reason })))
  })
})

test('a service token for a method outside the permit is refused in other words than its own method', async () => {
  const front = await openFront({ permit: { allow: ['com.atproto.server.*'] } })
  const { authorization } = await front.signIn()
  const query = 'aud=did:web:x.fake.dev&lxm=com.atproto.repo.uploadBlob'
  const { status, body } = await front.ask(`${SERVER}.getServiceAuth?${query}`, { headers: { authorization } })
  expect({ status, body }).toStrictEqual({
    status: 403,
    body: {
      error: 'Forbidden',
      message: `${SERVER}.getServiceAuth is not passed on, because its token would authorize a method that is not passed on`,
    },
  })
})

describe('errors', () => {
  test('a missing permission is passed on as the PDS says it, and reported once with the scope', async () => {
    const front = await openFront({ scope: 'atproto repo:app.bsky.feed.like' })
    const { authorization } = await front.signIn()
    for (const _ of [1, 2]) {
      const answer = await front.ask('com.atproto.repo.createRecord', { ...post(front), headers: { authorization } })
      expect(answer).toMatchObject({ status: 403, body: { error: 'ScopeMissingError' } })
    }
    expect(front.refusals).toMatchObject([
      {
        nsid: 'com.atproto.repo.createRecord',
        reason: 'scope',
        scope: 'repo:app.bsky.feed.post?action=create',
        error: { code: 'PERMISSION_MISSING', facts: { scope: expect.stringContaining('repo:app.bsky.feed.like') } },
      },
    ])
  })

  test('another 403 is passed on too', async () => {
    const front = await openFront({ faults: { rsError: 'closedToOAuth' } })
    const { authorization } = await front.signIn()
    const answer = await front.ask('com.atproto.server.listAppPasswords', { headers: { authorization } })
    expect(answer).toMatchObject({ status: 403 })
    expect(front.refusals).toStrictEqual([])
  })

  test('a session that has ended: said once, no refresh of the program helps, and nothing more is sent', async () => {
    const failures: OAuthError[] = []
    const front = await openFront({ onFailure: (error) => void failures.push(error) })
    const agent = new AtpAgent({ service: ORIGIN, fetch: fetchOf(front) })
    await agent.login({ identifier: 'alice.fake.dev', password: PASSWORD })
    front.world.faults.httpFault = (request) =>
      isRefresh(request)
        ? new Response('{"error":"invalid_grant","error_description":"Session expired"}', {
            status: 400,
            headers: { 'content-type': 'application/json' },
          })
        : undefined
    const profile = () => agent.getProfile({ actor: 'alice.fake.dev' })
    await expect(profile()).rejects.toMatchObject({ status: 401, error: 'AuthenticationRequired' })
    const sent = front.world.requests.length
    await expect(profile()).rejects.toMatchObject({ status: 401 })
    const login = agent.login({ identifier: 'alice.fake.dev', password: PASSWORD })
    await expect(login).rejects.toMatchObject({ status: 401, message: failures[0]!.message })
    expect(front.world.requests).toHaveLength(sent)
    expect(failures.map(({ session }) => session)).toStrictEqual(['dead'])
  })

  test.each([
    ['NETWORK_UNREACHABLE', 502, 'UpstreamFailure'],
    ['NETWORK_LOST', 502, 'UpstreamFailure'],
    ['RATE_LIMITED', 429, 'RateLimitExceeded'],
    ['SESSION_BUSY', 503, 'ServiceUnavailable'],
    ['USAGE', 400, 'InvalidRequest'],
    ['SAVE_FAILED', 500, 'InternalServerError'],
  ] as const)('%s is a %s, and reported once', async (code, status, error) => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    answerWith(front, () => Promise.reject(new OAuthError(code, 'said plainly')))
    for (const _ of [1, 2]) {
      const answer = await front.ask('app.bsky.actor.getProfile', { headers: { authorization } })
      expect(answer).toMatchObject({ status, body: { error, message: 'said plainly' } })
    }
    expect(front.world.warnings).toStrictEqual(['said plainly'])
  })

  test('the message of an unexpected error is not shown', async () => {
    const front = await openFront()
    const { authorization } = await front.signIn()
    answerWith(front, () => Promise.reject(new TypeError('secret')))
    const answer = await front.ask('app.bsky.actor.getProfile', { headers: { authorization } })
    expect(answer).toMatchObject({ status: 500, body: { error: 'InternalServerError', message: 'unexpected error' } })
  })
})
