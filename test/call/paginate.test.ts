import { describe, expect, test } from 'vitest'
import { itemsOf, type Page, type PagesOptions, pages } from '../../src/call/paginate.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { openSession } from '../../src/session/open.ts'
import { failure } from '../support/failure.ts'
import type { FakeRequest, FakeWorld } from '../support/fake-atproto.ts'
import { isCall, signedIn } from '../support/login.ts'

/** A method of the fake PDS, so that token and proof of every request are judged; its answers are replaced. */
const NSID = 'com.atproto.server.getSession'
const QUERY: XrpcRequest = { nsid: NSID, parameters: [['limit', '2']] }

/** Has the PDS answer with what `page` gives for the number of the request, from 1. */
function serve(world: FakeWorld, page: (count: number, request: FakeRequest) => string | Response) {
  let count = 0
  world.faults.httpFault = (request) => {
    if (!isCall(request)) return undefined
    return (answer) => {
      if (!answer.ok) return answer
      count += 1
      const given = page(count, request)
      return typeof given === 'string' ? new Response(given, { headers: answer.headers }) : given
    }
  }
}

/** The queries that were answered, each as it was sent. */
function asked(world: FakeWorld): string[] {
  return world.sent(isCall).map(({ url }) => decodeURIComponent(new URL(url).search))
}

async function all(
  page: (count: number) => string | Response,
  { request = QUERY, ...options }: PagesOptions & { request?: XrpcRequest } = {},
) {
  const { world, credentials } = await signedIn({ rsNonces: 'none' })
  const session = await openSession(credentials, world)
  serve(world, (count) => page(count))
  const given: Page[] = []
  const follow = async () => {
    for await (const next of pages(session, request, options, world)) given.push(next)
  }
  const error = await follow().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return { given, error, world, asked: asked(world), texts: given.map(({ text }) => text) }
}

const page = (count: number, last = 3) =>
  JSON.stringify({ ...(count < last && { cursor: `c${count}` }), records: [{ n: count }, { n: -count }] })

describe('18.11 pages', () => {
  test('the first without a cursor, the others with that of the page before, all else as it was', async () => {
    const { texts, asked, error, world } = await all(page)
    expect(error).toBeUndefined()
    expect(asked).toStrictEqual(['?limit=2', '?limit=2&cursor=c1', '?limit=2&cursor=c2'])
    expect(texts).toStrictEqual([page(1), page(2), page(3)])
    expect(world.warnings).toStrictEqual([])
  })

  test('from a cursor that was asked for, which is replaced and not added to', async () => {
    const request = { ...QUERY, parameters: [['cursor', 'mine'] as const, ['limit', '2'] as const] }
    expect((await all(page, { request })).asked).toStrictEqual([
      '?cursor=mine&limit=2',
      '?limit=2&cursor=c1',
      '?limit=2&cursor=c2',
    ])
  })

  test.each(['{"records":[1]}', '{"cursor":"","records":[1]}', '{"cursor":null}'])('%s is the last', async (last) => {
    expect((await all(() => last)).texts).toStrictEqual([last])
  })

  test('each byte of a page is given as it was received', async () => {
    const text = ' {"records" : [ "\\u00e9é\u2028" ],\r\n"n":1.0e2}\n\n'
    expect((await all(() => text)).texts).toStrictEqual([text])
  })

  test('no more than were asked for', async () => {
    const { given, asked } = await all((count) => page(count, 99), { limitPages: 2 })
    expect(asked).toHaveLength(2)
    expect(given.at(-1)?.cursor).toBe('c2')
  })

  test('whoever stops looking causes no request more', async () => {
    const { world, credentials } = await signedIn({ rsNonces: 'none' })
    const session = await openSession(credentials, world)
    serve(world, (count) => page(count, 99))
    for await (const { cursor } of pages(session, QUERY, {}, world)) if (cursor === 'c2') break
    expect(asked(world)).toHaveLength(2)
  })
})

describe('18.11 a server that leads in circles', () => {
  test.each([
    ['at once', ['a', 'a', 'b'], 2],
    ['after a while', ['a', 'b', 'c', 'a', 'd'], 4],
    ['to where it began', ['a', 'mine', 'b'], 2],
  ])('a cursor for the second time, %s, is the end and said', async (_, cursors, count) => {
    const request = { ...QUERY, parameters: [['cursor', 'mine'] as const] }
    const circle = (at: number) => JSON.stringify({ cursor: cursors[at - 1], records: [1] })
    const { given, error, world } = await all(circle, { request })
    expect([given.length, error]).toStrictEqual([count, undefined])
    expect(world.warnings).toStrictEqual([`${NSID} returned the same cursor twice: stopped at page ${count}`])
  })

  test('more than fifty empty pages in a row are the end, and fifty are not', async () => {
    const always = await all((count) => JSON.stringify({ cursor: `c${count}`, records: [] }))
    expect(always.given).toHaveLength(51)
    expect(always.world.warnings).toStrictEqual([`${NSID} returned 51 empty pages in a row: stopped at page 51`])

    const sometimes = (count: number) =>
      JSON.stringify({ ...(count < 110 && { cursor: `c${count}` }), records: count % 51 === 0 ? [1] : [] })
    const { given, world } = await all(sometimes)
    expect([given.length, world.warnings]).toStrictEqual([110, []])
  })
})

describe('what ends it', () => {
  test('an error: the pages before stay, and the server is quoted without our secrets', async () => {
    const said: string[] = []
    const refusal = (count: number) =>
      count < 3 ? page(count) : Response.json({ error: 'Broken', message: 'no more' }, { status: 400 })
    const { texts, error } = await all(refusal, { onRefusal: (body) => void said.push(body) })
    expect(texts).toStrictEqual([page(1), page(2)])
    expect(error).toMatchObject({ code: 'XRPC_ERROR', message: `${NSID} returned 400 Broken "no more"` })
    expect(said).toStrictEqual(['{"error":"Broken","message":"no more"}'])
  })

  test('an error that repeats the token', async () => {
    const { world, credentials } = await signedIn({ rsNonces: 'none' })
    const session = await openSession(credentials, world)
    serve(world, (_, { headers }) =>
      Response.json({ error: 'Broken', message: headers['authorization'] }, { status: 400 }),
    )
    let said = ''
    const onRefusal = (body: string) => {
      said = body
    }
    const error = await failure(pages(session, QUERY, { onRefusal }, world).next())
    expect(said).toContain('DPoP …')
    for (const text of [said, error.message]) expect(text).not.toContain(credentials.accessToken)
  })

  test.each(['[]', '"x"', 'null', '<p>', '\ufeff{}', '{"cursor":7}', '{"cursor":{}}'])(
    '%s is no page',
    async (text) => {
      const { given, error } = await all((count) => (count === 1 ? page(1) : text))
      expect(given).toHaveLength(1)
      expect(error).toMatchObject({ code: 'RESPONSE_INVALID' })
    },
  )

  test('18.8 a gateway error does not, nor a rate limit that can be waited for', async () => {
    const answer = (count: number) =>
      count === 2 ? new Response('', { status: 502 }) : count === 4 ? new Response('', { status: 429 }) : page(count, 5)
    const { texts, error, world } = await all(answer, { retry: { wait: true } })
    expect(error).toBeUndefined()
    expect(texts).toStrictEqual([page(1, 5), page(3, 5), page(5, 5)])
    expect(world.warnings).toHaveLength(1)
  })

  test.each([
    { nsid: NSID, method: 'POST' as const },
    { nsid: NSID, body: '{}' },
  ])('a procedure is not begun: %j', async (request) => {
    const { error, asked } = await all(page, { request })
    expect(error).toMatchObject({ code: 'USAGE' })
    expect(asked).toStrictEqual([])
  })
})

describe('the items of a page', () => {
  const items = (text: string, key?: string) => itemsOf({ text, json: JSON.parse(text), cursor: undefined }, key)

  test('are those of the only list, compact', () => {
    const text = `{ "subject": {"list": [0], "records": ["no"]}, "records":
      [ { "n" : 9007199254740991, "x": [-15, [], {}], "s": "a, \\"b\\" ] }  c\\\\" } , [ ] , "t,\\u0041" , 0 , null, true ], "cursor": "records" }`
    expect(items(text)).toStrictEqual([
      '{"n":9007199254740991,"x":[-15,[],{}],"s":"a, \\"b\\" ] }  c\\\\"}',
      '[]',
      '"t,A"',
      '0',
      'null',
      'true',
    ])
  })

  test('keep their integers to 53 bits, and lose digits beyond', () => {
    expect(items('{"feed":[-9007199254740991,9007199254740993]}')).toStrictEqual([
      '-9007199254740991',
      '9007199254740992',
    ])
  })

  test('those of a list whose name is given, or escaped, or given twice', () => {
    expect(items('{"feed":[1],"other":[2]}', 'other')).toStrictEqual(['2'])
    expect(items('{"\\u0066eed":[1]}', 'feed')).toStrictEqual(['1'])
    expect(items('{"feed":[1],"a":"feed","feed":[2,3]}')).toStrictEqual(['2', '3'])
    expect(items('{"a":"feed","b":[1]}')).toStrictEqual(['1'])
  })

  test('none, where there is no list', () => {
    for (const text of ['{}', '{"feed":{}}', '{"cursor":"x"}', '{"feed":[]}', '{"feed": [ ] }']) {
      expect(items(text)).toStrictEqual([])
    }
    expect(items('{"cursor":"x"}', 'feed')).toStrictEqual([])
  })

  test('of several lists one has to be named, and exist', async () => {
    const several = () => items('{"feed":[],"x":{},"other":[]}')
    expect(several).toThrow('the response has several lists; choose feed or other')
    expect(() => items('{"feed":[]}', 'fed')).toThrow('the response has no list "fed"; choose feed')
    expect(() => items('{"subject":{}}', 'subject')).toThrow('the response has no list "subject"')
    expect(await failure(Promise.resolve().then(several))).toMatchObject({ code: 'USAGE' })
  })

  test('of megabytes', () => {
    const long = JSON.stringify('"\\'.repeat(3_000_000))
    expect(items(`{"feed":[${long},1]}`)).toStrictEqual([long, '1'])
  })

  test('are what JSON.parse finds, whatever stands in them', () => {
    const values = ['', '"', '\\', '\\"', '[', ']', '}', ',', ':', '[{"', { a: [{ b: '],' }] }, [[[]]], 1e21, -1.5]
    const text = JSON.stringify({ before: { feed: [1] }, feed: values }, null, 2)
    expect(items(text).map((item) => JSON.parse(item))).toStrictEqual(values)
    expect(items(text)).toStrictEqual(values.map((value) => JSON.stringify(value)))
  })
})
