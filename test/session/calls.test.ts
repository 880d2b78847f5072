/** Requests to the PDS, and how its responses are interpreted. */
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { isOAuthError } from '../../src/errors.ts'
import type { HttpInit } from '../../src/ports.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import { openSession } from '../../src/session/open.ts'
import type { RsErrorName } from '../../src/testing/xrpc-errors.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { CALM, GET_SESSION, isCall, isRefresh, signedIn } from '../support/login.ts'

const CREATE = 'com.atproto.repo.createRecord'
const post = (world: FakeWorld) =>
  JSON.stringify({ repo: world.alice.did, collection: 'app.bsky.feed.post', record: { text: 'x' } })

/** A session that knows its nonces, so that each request from here on is one. */
async function opened(faults: Partial<FakeWorld['faults']> = {}) {
  const { world, credentials } = await signedIn(faults)
  const session = await openSession(credentials, world)
  await session.call(GET_SESSION)
  const before = world.sent(isCall).length
  return { world, session, calls: () => world.sent(isCall).slice(before) }
}

describe('14 the errors of a PDS', () => {
  const LIMIT = 'RATE_LIMITED'
  const OTHER = 'XRPC_ERROR'
  test.each<[RsErrorName, string]>([
    ['authMissing', OTHER],
    ['unknownScheme', OTHER],
    ['malformedAuthorization', OTHER],
    ['bearer', OTHER],
    ['bearerOld', OTHER],
    ['badProof', OTHER],
    ['missingPermission', 'PERMISSION_MISSING'],
    ['closedToOAuth', OTHER],
    ['emailChange', OTHER],
    ['foreignRepo', OTHER],
    ['takedown', OTHER],
    ['deactivated', OTHER],
    ['accountNotFound', OTHER],
    ['badTokenMethod', OTHER],
    ['upstreamFailure', OTHER],
    ['upstreamUnauthorized', OTHER],
    ['invalidRequest', OTHER],
    ['notFound', OTHER],
    ['internal', OTHER],
    ['notImplemented', OTHER],
    ['rateLimitedSeconds', LIMIT],
    ['rateLimitedDate', LIMIT],
    ['rateLimitedReset', LIMIT],
    ['html', OTHER],
  ])('11.13, 14.6, 18.8 %s is %s: sent once, told, no reason to refresh', async (rsError, code) => {
    for (const request of [GET_SESSION, { nsid: CREATE, body: '{}' }]) {
      const { world, session, calls } = await opened()
      world.faults.rsError = rsError
      const response = await session.call(request)
      const error = xrpcError(request.nsid, response, await response.text(), world.now(), {})
      expect(error).toMatchObject({ code, session: 'alive' })
      expect(error.message).toContain(String(response.status === 429 ? 'rate limit of' : response.status))
      expect(calls()).toHaveLength(1)
      expect(world.sent(isRefresh)).toHaveLength(0)
    }
  })

  test('14.5 where a challenge says that tokens are from is of no interest', async () => {
    const hints = 'resource_metadata="https://evil.fake.dev/prm", authorization_uri="https://evil.fake.dev"'
    const writeChallenge = (error: string) => `DPoP ${hints}, error="${error}"`
    const { world, session } = await opened({ writeChallenge })
    world.advance(120_000)
    let refused = 0
    world.faults.rsError = () => (refused++ === 0 ? 'tokenExpired' : undefined)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    const tokens = world.sent(isRefresh).map(({ url }) => url)
    expect(new Set(tokens)).toStrictEqual(new Set([`${world.as}/oauth/token`]))
    expect(world.requests.filter(({ url }) => url.includes('evil'))).toStrictEqual([])
  })

  test('18.8 a 5xx repeats neither a write nor a read: whoever called decides', async () => {
    for (const status of [500, 502, 503, 504]) {
      const { world, session, calls } = await opened()
      world.faults.httpFault = (request) => (isCall(request) ? new Response('', { status }) : undefined)
      for (const request of [GET_SESSION, { nsid: CREATE, body: post(world) }]) {
        expect((await session.call(request)).status).toBe(status)
      }
      expect(calls()).toHaveLength(2)
    }
  })

  test('18.2 the wrong verb is the server’s to refuse, in its words', async () => {
    const { world, session } = await opened()
    const response = await session.call({ ...GET_SESSION, method: 'POST' })
    const error = xrpcError('x.y.z', response, await response.text(), world.now(), {})
    expect(error.message).toContain('400 InvalidRequest "Incorrect HTTP method (POST) expected GET"')
  })
})

describe('nonces', () => {
  test('13.7 one that is stale, as after a pause, costs one round trip', async () => {
    const { world, session, calls } = await opened()
    world.forgetNonces()
    expect((await (await openSession(session.record(), world)).call(GET_SESSION)).status).toBe(200)
    const nonces = calls().map(({ headers }) => decodeJwt(headers['dpop']!)['nonce'])
    expect(nonces).toHaveLength(2)
    expect(nonces[0]).not.toBe(nonces[1])
  })

  test('13.6, 18.6 a stream with a stale nonce is sent once, after a request that gets a good one', async () => {
    const { world, session, calls } = await opened()
    world.forgetNonces()
    const pieces = ['\u0089PNG', ' and the rest'].map((text) => new TextEncoder().encode(text))
    const body = new ReadableStream({
      pull: (controller) => {
        const piece = pieces.shift()
        if (piece) controller.enqueue(piece)
        else controller.close()
      },
    })
    const headers = { 'content-type': 'image/png' }
    const response = await session.fetchHandler('/xrpc/com.atproto.repo.uploadBlob', { method: 'POST', headers, body })
    expect(await response.json()).toMatchObject({ blob: { mimeType: 'image/png' } })
    const sent = calls()
    expect(
      sent
        .filter(({ method }) => method === 'POST')
        .map(({ body: bytes, headers: { 'content-type': type } }) => [bytes, type]),
    ).toStrictEqual([['\u0089PNG and the rest', 'image/png']])
  })

  test.each([
    ['on refusals only', { asNonces: 'absentOnSuccess', rsNonces: 'absentOnSuccess' }],
    ['never, as of cirrus', { personality: 'cirrus' }],
  ] as const)('13.9 a server that gives nonces %s is no reason to throw tokens away', async (_, faults) => {
    const { world, credentials } = await signedIn({ ...CALM, ...faults })
    const session = await openSession({ ...credentials, accessToken: undefined }, world)
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('13.9 nor is a method that gives none', async () => {
    const { world, session } = await opened()
    const { uri } = (await (await session.call({ nsid: CREATE, body: post(world) })).json()) as { uri: string }
    const [repo, collection, rkey] = uri.slice('at://'.length).split('/')
    const parameters = Object.entries({ repo, collection, rkey }) as [string, string][]
    const response = await session.call({ nsid: 'com.atproto.repo.getRecord', parameters })
    expect([response.status, response.headers.get('dpop-nonce')]).toStrictEqual([200, null])
  })
})

describe('what is stored of them', () => {
  /** A session with a token to refresh, and what its store was told, in order. */
  async function watched() {
    const { world, separate } = await signedIn({ asNonces: 'rotate', rsNonces: 'rotate', nonceMemory: 1 })
    const events: string[] = []
    const { sessions } = world.stores
    const ports: FakeWorld = {
      ...world,
      fetch: async (url, init) => {
        const response = await world.fetch(url, init)
        events.push(response.ok && url.pathname === '/oauth/token' ? 'refreshed' : 'answered')
        return response
      },
      stores: {
        ...world.stores,
        sessions: {
          ...sessions,
          update: (thumbprint, transaction) =>
            sessions.update(thumbprint, (inner) =>
              transaction({
                ...inner,
                commit: (next) => inner.commit(next).then(() => void events.push('saved')),
              }),
            ),
          writeNonces: async () => {
            events.push('nonces')
            throw new Error('disk full')
          },
        },
      },
    }
    return { session: await openSession(separate, ports), events }
  }

  test('nothing comes between the response to a refresh and its save; afterwards the nonces are stored', async () => {
    const { session, events } = await watched()
    await session.refresh()
    expect(events.slice(events.indexOf('refreshed'))).toStrictEqual(['refreshed', 'saved', 'nonces'])
    expect(events.filter((event) => event === 'nonces')).toHaveLength(1)
  })

  test('that they cannot be stored is no failure', async () => {
    const { session, events } = await watched()
    expect((await session.call(GET_SESSION)).status).toBe(200)
    expect(events.at(-1)).toBe('nonces')
  })
})

test('what sends requests can be taken off its session', async () => {
  const { session } = await opened()
  const { fetchHandler, handle } = session
  for (const send of [fetchHandler, handle]) {
    expect((await send(`/xrpc/${GET_SESSION.nsid}`)).status).toBe(200)
  }
})

describe('bodies', () => {
  test('18.6 a blob needs its type, which a server tells if nobody else does', async () => {
    const { world, session } = await opened()
    const response = await session.call({ nsid: 'com.atproto.repo.uploadBlob', body: new Uint8Array([1]) })
    const error = xrpcError('x.y.z', response, await response.text(), world.now(), {})
    expect(error).toMatchObject({ code: 'XRPC_ERROR', message: expect.stringContaining('Content-Type') })
  })

  test('18.5 a procedure with input, and one without: JSON, and nothing at all', async () => {
    const { world, session, calls } = await opened()
    expect((await session.call({ nsid: CREATE, body: post(world) })).status).toBe(200)
    expect(calls().at(-1)).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } })
    await session.call({ nsid: 'com.atproto.server.requestEmailConfirmation', method: 'POST' })
    expect(calls().at(-1)).toMatchObject({ method: 'POST', body: '' })
    expect(calls().at(-1)!.headers).not.toHaveProperty('content-type')
  })

  test('12.3 a method in lower case is sent, and proven, as fetch has it', async () => {
    const { session, calls } = await opened()
    await session.fetchHandler('/xrpc/com.atproto.server.requestEmailConfirmation', { method: 'post' })
    const request = calls().at(-1)!
    expect([request.method, decodeJwt(request.headers['dpop']!)['htm']]).toStrictEqual(['POST', 'POST'])
  })

  test('18.12 a subscription is refused, and nothing is opened', async () => {
    const { world, session } = await opened()
    const before = world.requests.length
    const error = await session.call({ nsid: 'com.atproto.sync.subscribeRepos' }).catch((reason: unknown) => reason)
    expect(isOAuthError(error, 'USAGE')).toBe(true)
    expect(world.requests).toHaveLength(before)
  })
})

describe('a service behind the PDS', () => {
  const proxied = { nsid: 'app.bsky.actor.getProfile', parameters: [['actor', 'alice.fake.dev']] as const }
  const headers = { 'atproto-proxy': 'did:web:api.bsky.app#bsky_appview' }

  test('19.5 the proof is for the PDS, wherever the request goes on to', async () => {
    const { world, session, calls } = await opened()
    expect((await session.call({ ...proxied, headers })).status).toBe(200)
    const request = calls().at(-1)!
    expect(request.headers['atproto-proxy']).toBe(headers['atproto-proxy'])
    expect(decodeJwt(request.headers['dpop']!)['htu']).toBe(`${world.pds}/xrpc/app.bsky.actor.getProfile`)
  })

  test('19.4 no header of ours has to arrive there', async () => {
    const { session, calls } = await opened()
    await session.call(proxied)
    expect(Object.keys(calls().at(-1)!.headers).sort()).toStrictEqual(['accept', 'authorization', 'dpop'])
  })

  test('19.2 chat has no service that a PDS would know by itself: a word to the person, and the request as it is', async () => {
    const { world, session, calls } = await opened()
    await session.call({ nsid: 'chat.bsky.convo.listConvos' })
    expect(world.warnings).toStrictEqual([expect.stringContaining('did:web:api.bsky.chat#bsky_chat')])
    expect(calls().at(-1)!.headers).not.toHaveProperty('atproto-proxy')
    await session.call({ nsid: 'chat.bsky.convo.listConvos', headers: { 'Atproto-Proxy': 'did:web:x.y#chat' } })
    await session.call(proxied)
    expect(world.warnings).toHaveLength(1)
  })

  test('19.2 an expired token is refreshed before the request: a proxied method might ignore it', async () => {
    const { world, session } = await opened({ personality: 'cirrus' })
    world.advance(3_600_000)
    const answer = await (await session.call(proxied)).json()
    expect(answer).toMatchObject({ viewer: { seenBy: world.alice.did } })
  })

  test('18.13, 19.4 labelers are chosen by a header, whose value may be empty; the response keeps its own header', async () => {
    const { world, session, calls } = await opened()
    world.faults.httpFault = () => (answer) => {
      answer.headers.set('atproto-content-labelers', 'did:web:mod.fake.dev')
      return answer
    }
    for (const value of ['', 'did:web:mod.fake.dev;redact, did:web:other.fake.dev']) {
      const response = await session.call({ ...proxied, headers: { 'atproto-accept-labelers': value } })
      expect(calls().at(-1)!.headers['atproto-accept-labelers']).toBe(value)
      expect(response.headers.get('atproto-content-labelers')).toBe('did:web:mod.fake.dev')
    }
    await session.call(proxied)
    expect(calls().at(-1)!.headers).not.toHaveProperty('atproto-accept-labelers')
  })
})

describe('what is the caller’s', () => {
  test('18.9 the rate limit headers stay on the response', async () => {
    const { world, session } = await opened()
    const limits = { 'ratelimit-limit': '3000', 'ratelimit-remaining': '2999', 'ratelimit-policy': '3000;w=300' }
    world.faults.httpFault = () => (answer) => {
      for (const [name, value] of Object.entries(limits)) answer.headers.set(name, value)
      return answer
    }
    expect(Object.fromEntries((await session.call(GET_SESSION)).headers)).toMatchObject(limits)
  })

  test('18.11 a call is one page: a cursor is sent as it was given, and none is followed', async () => {
    const { world, session, calls } = await opened()
    world.faults.httpFault = (request) => (isCall(request) ? Response.json({ cursor: 'next', records: [] }) : undefined)
    const list = { nsid: 'com.atproto.repo.listRecords', parameters: [['cursor', 'a/b+c']] as const }
    expect(await (await session.call(list)).json()).toMatchObject({ cursor: 'next' })
    expect(calls().map(({ url }) => new URL(url).search)).toStrictEqual(['?cursor=a%2Fb%2Bc'])
  })
})

describe('the timeout of a request', () => {
  const POST = { nsid: CREATE, body: '{}' }
  const UPLOAD = { nsid: 'com.atproto.repo.uploadBlob', body: new Blob(['x'.repeat(100_000)]) }
  test.each([
    ['a query', GET_SESSION],
    ['a procedure', POST],
    ['an upload', UPLOAD],
  ])('%s: it reaches each request to the PDS, and is also that of a pause', async (_, request) => {
    for (const timeoutSeconds of [5, 600]) {
      const { world, credentials } = await signedIn()
      const limits: Pick<HttpInit, 'timeoutSeconds' | 'pauseSeconds'>[] = []
      const session = await openSession(credentials, {
        ...world,
        fetch(url, init) {
          const { timeoutSeconds: whole, pauseSeconds } = init ?? {}
          if (url.pathname.startsWith('/xrpc/')) limits.push({ timeoutSeconds: whole!, pauseSeconds: pauseSeconds! })
          return world.fetch(url, init)
        },
      })
      await session.call({ ...request, timeoutSeconds })
      expect(limits.length).toBeGreaterThan(0)
      for (const limit of limits) expect(limit).toStrictEqual({ timeoutSeconds, pauseSeconds: timeoutSeconds })
    }
  })
})
