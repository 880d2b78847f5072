import { describe, expect, test } from 'vitest'
import { memoryStores, OAuthError, XrpcError } from '../../src/index.ts'
import { failure } from '../support/failure.ts'
import type { FakeRequest, FakeWorld } from '../support/fake-atproto.ts'
import { isCall } from '../support/login.ts'
import { clientOf, createWorld, signedIn } from './support.ts'

const LIST = 'com.atproto.repo.listRecords'
/** A method that the fake PDS has; its responses are replaced. */
const NSID = 'com.atproto.server.getSession'

/** Replaces the response of each call that the PDS accepts. */
function respond(world: FakeWorld, response: (count: number, request: FakeRequest) => Response): void {
  let count = 0
  world.faults.httpFault = (request) => {
    if (!isCall(request)) return undefined
    return (answer) => {
      if (answer.status === 401) return answer
      count += 1
      return response(count, request)
    }
  }
}

const json = (value: unknown, init?: ResponseInit) => Response.json(value, init)
/** The requests after the one of `opened`. */
const sent = (world: FakeWorld) => world.sent(isCall).slice(FIRST)
const calls = (world: FakeWorld) => sent(world).map(({ url }) => new URL(url))
/** How often a request is sent whose nonce is not known yet. */
const FIRST = 2

async function opened() {
  const world = createWorld()
  const session = await signedIn(world)
  await session.query(NSID)
  expect(world.sent(isCall)).toHaveLength(FIRST)
  return { world, session }
}

describe('parameters', () => {
  test('plain values, as the lexicon has them: arrays repeat, undefined is omitted, braces stay', async () => {
    const { world, session } = await opened()
    respond(world, () => json({}))
    await session.query('com.example.get', {
      text: 'a {did} & b',
      n: 5,
      yes: true,
      no: false,
      tags: ['x', 'y'],
      none: undefined,
      empty: [],
    })
    const [url] = calls(world).slice(-1)
    expect([...url!.searchParams]).toStrictEqual([
      ['text', 'a {did} & b'],
      ['n', '5'],
      ['yes', 'true'],
      ['no', 'false'],
      ['tags', 'x'],
      ['tags', 'y'],
    ])
  })

  test.each([[null], [{ a: 1 }], [Number.NaN], [[null]]])('%j is none', async (value) => {
    const { world, session } = await opened()
    const before = world.requests.length
    const error = await failure(session.query('com.example.get', { value: value as never }))
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('parameter value') })
    expect(world.requests).toHaveLength(before)
  })
})

test('a published method of the other kind: nothing is sent', async () => {
  const { world, session } = await opened()
  const before = world.requests.length
  const create = await failure(session.query('com.atproto.repo.createRecord'))
  expect(create).toMatchObject({ code: 'USAGE', message: expect.stringContaining('call it with procedure') })
  const get = await failure(session.procedure('com.atproto.repo.getRecord', {}))
  expect(get).toMatchObject({ code: 'USAGE', message: expect.stringContaining('call it with query') })
  expect(world.requests).toHaveLength(before)
})

describe('bodies and responses', () => {
  test('a plain object is sent as JSON, and the response is parsed', async () => {
    const { world, session } = await opened()
    respond(world, () => json({ uri: 'at://x', cid: 'c' }))
    const record = { text: 'x', nothing: undefined }
    const created = await session.procedure('com.atproto.repo.createRecord', {
      repo: session.did,
      collection: 'app.bsky.feed.post',
      record,
    })
    expect(created.uri).toBe('at://x')
    const { method, headers, body } = sent(world).at(-1)!
    expect([method, headers['content-type']]).toStrictEqual(['POST', 'application/json'])
    expect(JSON.parse(body)).toStrictEqual({
      repo: session.did,
      collection: 'app.bsky.feed.post',
      record: { text: 'x' },
    })
  })

  test('a procedure without input has no body; an empty response is undefined', async () => {
    const { world, session } = await opened()
    respond(world, () => new Response(null, { status: 200 }))
    expect(await session.procedure('com.atproto.server.requestEmailConfirmation')).toBeUndefined()
    expect(sent(world).at(-1)).toMatchObject({ method: 'POST', body: '' })
    expect(await session.procedure('com.example.do', undefined, { params: { a: 1 } })).toBeUndefined()
    expect(calls(world).at(-1)!.search).toBe('?a=1')
  })

  test('a file of another type is bytes', async () => {
    const { world, session } = await opened()
    const headers = { 'content-type': 'application/vnd.ipld.car' }
    respond(world, () => new Response(new Uint8Array([1, 2, 3]), { headers }))
    expect(await session.query('com.atproto.sync.getRepo', { did: session.did })).toStrictEqual(
      new Uint8Array([1, 2, 3]),
    )
  })

  test('JSON that is none', async () => {
    const { world, session } = await opened()
    respond(world, () => new Response('{', { headers: { 'content-type': 'application/json' } }))
    expect(await failure(session.query(NSID))).toMatchObject({ code: 'RESPONSE_INVALID' })
  })

  test('upload: the type of the blob, or the given one, and never a guess', async () => {
    const { world, session } = await opened()
    const blob = { $type: 'blob', ref: { $link: 'bafy' }, mimeType: 'image/png', size: 3 }
    respond(world, () => json({ blob }))
    const data = new Uint8Array([1, 2, 3])
    const uploads = () => sent(world).filter(({ method }) => method === 'POST')
    const types = () => uploads().map(({ headers }) => headers['content-type'])
    expect(await session.upload(new Blob([data], { type: 'image/png' }))).toStrictEqual(blob)
    expect(await session.upload(data, { mimeType: 'image/gif' })).toStrictEqual(blob)
    expect(await session.upload(new Blob([data]).stream(), { mimeType: 'video/mp4' })).toStrictEqual(blob)
    expect(types()).toStrictEqual(['image/png', 'image/gif', 'video/mp4'])
    expect(await failure(session.upload(data))).toMatchObject({ code: 'USAGE' })
  })

  test('headers and services', async () => {
    const { world, session } = await opened()
    respond(world, () => json({}))
    await session.query('chat.bsky.convo.listConvos')
    await session.query('app.bsky.actor.getPreferences', {}, { service: 'appview', headers: { 'X-Own': 'yes' } })
    const [chat, view] = sent(world).slice(-2)
    expect(chat!.headers['atproto-proxy']).toBe('did:web:api.bsky.chat#bsky_chat')
    expect(view!.headers).toMatchObject({ 'atproto-proxy': 'did:web:api.bsky.app#bsky_appview', 'x-own': 'yes' })
    expect(await failure(session.query(NSID, {}, { headers: { authorization: 'x' } }))).toMatchObject({ code: 'USAGE' })
  })
})

describe('errors', () => {
  test('an XRPC error has status, name, message and headers, and is an OAuthError', async () => {
    const { world, session } = await opened()
    const headers = { 'x-request-id': '7' }
    respond(world, () => json({ error: 'RecordNotFound', message: 'no such record' }, { status: 400, headers }))
    const error = await failure(session.query(NSID))
    expect(error).toBeInstanceOf(XrpcError)
    expect(error).toBeInstanceOf(OAuthError)
    expect(error).toMatchObject({ name: 'XrpcError', code: 'XRPC_ERROR', status: 400, error: 'RecordNotFound' })
    expect((error as XrpcError).message).toContain('no such record')
    expect((error as XrpcError).headers.get('x-request-id')).toBe('7')
  })

  test.each([
    [403, { error: 'ScopeMissingError', message: 'Missing required scope "repo:a.b.c"' }, 'PERMISSION_MISSING'],
    [429, { error: 'RateLimitExceeded' }, 'RATE_LIMITED'],
  ])('%d has the code %s', async (status, body, code) => {
    const { world, session } = await opened()
    respond(world, () => json(body, { status }))
    expect(await failure(session.query(NSID))).toMatchObject({ code, status, error: body.error })
    const pages = session.paginate(LIST, { repo: session.did, collection: 'a.b.c' })
    expect(await failure(pages.next())).toMatchObject({ code, status, error: body.error })
  })

  test('wait: a rate limit is waited for, until the signal is aborted', async () => {
    const { world, session } = await opened()
    const reset = String(Math.floor(world.now() / 1000) + 60)
    respond(world, (count) =>
      count === 1 ? json({}, { status: 429, headers: { 'ratelimit-reset': reset } }) : json({ ok: true }),
    )
    expect(await session.query('com.example.get', {}, { wait: true })).toStrictEqual({ ok: true })
    expect(world.now() / 1000).toBeGreaterThanOrEqual(Number(reset))
  })

  test('a read is retried after a gateway error, a write is not', async () => {
    const { world, session } = await opened()
    respond(world, (count) => (count < 3 ? json({}, { status: 503 }) : json({ ok: true })))
    expect(await session.query('com.example.get')).toStrictEqual({ ok: true })
    respond(world, () => json({}, { status: 503 }))
    const before = sent(world).length
    expect(await failure(session.procedure('com.example.do', {}))).toMatchObject({ status: 503 })
    expect(sent(world)).toHaveLength(before + 1)
  })
})

describe('pages and items', () => {
  const page = (count: number) =>
    json({ ...(count < 3 && { cursor: `c${count}` }), records: [{ uri: `at://${count}`, cid: '', value: {} }] })

  test('all items, in their order', async () => {
    const { world, session } = await opened()
    respond(world, page)
    const uris: string[] = []
    const params = { repo: session.did, collection: 'a.b.c', limit: 1 }
    for await (const record of session.items(LIST, params)) uris.push(record.uri)
    expect(uris).toStrictEqual(['at://1', 'at://2', 'at://3'])
    expect(calls(world).map(({ searchParams }) => searchParams.get('cursor'))).toStrictEqual([null, 'c1', 'c2'])
  })

  test('no more pages than are asked for, and none after break', async () => {
    const { world, session } = await opened()
    respond(world, page)
    const params = { repo: session.did, collection: 'a.b.c' }
    for await (const { records } of session.paginate(LIST, params)) {
      expect(records).toHaveLength(1)
      break
    }
    expect(calls(world)).toHaveLength(1)
    let pages = 0
    for await (const _ of session.paginate(LIST, params, { limitPages: 2 })) pages += 1
    expect(pages).toBe(2)
    expect(calls(world)).toHaveLength(3)
  })

  test('which of several lists', async () => {
    const { world, session } = await opened()
    respond(world, () => json({ a: [1], b: [2, 3] }))
    const items = async (list?: string) => {
      const found: unknown[] = []
      for await (const item of session.items('com.example.list', {}, { list })) found.push(item)
      return found
    }
    expect(await items('b')).toStrictEqual([2, 3])
    expect(await failure(items())).toMatchObject({ code: 'USAGE', facts: { lists: ['a', 'b'] } })
  })

  test('a signal that is aborted between pages', async () => {
    const { world, session } = await opened()
    respond(world, page)
    const controller = new AbortController()
    const read = async () => {
      const options = { signal: controller.signal }
      for await (const _ of session.paginate(LIST, { repo: session.did, collection: 'a.b.c' }, options)) {
        controller.abort('enough')
      }
    }
    await expect(read()).rejects.toBe('enough')
  })
})

describe('to other libraries and back', () => {
  test.each(['oauth-client-node', 'atcute'] as const)('%s', async (format) => {
    const world = createWorld()
    const client = clientOf(world)
    const session = await signedIn(world, client)
    const { clientId } = session.status
    let value: unknown
    await session.handOver(format, (given) => {
      value = JSON.parse(JSON.stringify(given))
    })
    expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_MISSING' })
    expect(await client.accounts()).toMatchObject([{ did: session.did, state: 'ended' }])
    const back = await clientOf(world, { stores: memoryStores() }).importSession(value, { clientId: clientId! })
    expect(await back.query('app.bsky.actor.getProfile', { actor: back.did })).toMatchObject({ did: session.did })
    expect(await failure(client.importSession(value, { clientId: 'http://localhost?scope=atproto' }))).toMatchObject({
      code: 'CREDENTIALS_MISMATCH',
    })
    await client.importSession(value, { clientId: clientId! })
    expect((await client.restore(session.did)).status.state).toBe('alive')
  })

  test('a session stays if it could not be written there', async () => {
    const { session } = await opened()
    const write = async () => {
      throw new Error('disk full')
    }
    await expect(session.handOver('atcute', write)).rejects.toThrow('disk full')
    expect(await session.query('app.bsky.actor.getProfile', { actor: session.did })).toMatchObject({ did: session.did })
  })
})
