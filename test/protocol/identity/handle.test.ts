import { describe, expect, test } from 'vitest'
import type { Handle } from '../../../src/model.ts'
import { resolveHandle } from '../../../src/protocol/identity/handle.ts'
import type { TxtRecords } from '../../../src/testing/faults.ts'
import { createFakeWorld, type FakeWorld, type FakeWorldOptions, json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

const ALICE = 'did:plc:alice234567alice234567ab'
const MALLORY = 'did:plc:mallory234567mallory2345'
const HANDLE = 'alice.fake.dev' as Handle
const TXT = '_atproto.alice.fake.dev'
const WELL_KNOWN = 'https://alice.fake.dev/.well-known/atproto-did'

/** A world in which alice's handle has just what the test gives it. */
function worldWith(txt: TxtRecords | undefined, web?: string | Response, options: FakeWorldOptions = {}): FakeWorld {
  const world = createFakeWorld(options)
  world.identity.wellKnown.delete(HANDLE)
  if (txt) world.identity.txt.set(TXT, txt)
  else world.identity.txt.delete(TXT)
  if (typeof web === 'string') world.identity.wellKnown.set(HANDLE, web)
  if (web instanceof Response) world.serve(`https://${HANDLE}`, () => web)
  return world
}

describe('by DNS', () => {
  test.each<[string, TxtRecords]>([
    ['1.7 alone', [[`did=${ALICE}`]]],
    ['1.8 beside other values', [['v=spf1'], [`did=${ALICE}`], ['google-site=did=x']]],
    ['1.8 in chunks', [['did=', ALICE]]],
    ['1.8 in chunks through the prefix', [['di', 'd=did:plc:', ALICE.slice(8)]]],
    ['1.9 twice the same', [[`did=${ALICE}`], [`did=${ALICE}`]]],
  ])('%s', async (_, txt) => {
    const world = worldWith(txt)
    expect(await resolveHandle(HANDLE, world)).toBe(ALICE)
    expect(world.identity.txtQueries).toStrictEqual([TXT])
  })

  test.each([` did=${ALICE}`, `DID=${ALICE}`, ALICE, `did:=${ALICE}`])('1.8 ignores %j', async (value) => {
    expect(await failure(() => resolveHandle(HANDLE, worldWith([[value]])))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
  })

  test.each([
    ['1.8 a space after the mark', `did= ${ALICE}`],
    ['1.8 a space at the end', `did=${ALICE} `],
    ['1.16 did:key', 'did=did:key:z6Mkabc'],
    ['2.5 did:web with a path', 'did=did:web:a.org:u'],
    ['nothing', 'did='],
  ])('%s is no valid DID', async (_, value) => {
    const error = await failure(() => resolveHandle(HANDLE, worldWith([[value]])))
    expect(error).toMatchObject({ code: 'HANDLE_NOT_FOUND', message: expect.stringContaining('no valid DID') })
  })

  test('1.9 different DIDs are ambiguous, whatever HTTPS says', async () => {
    const world = worldWith([[`did=${ALICE}`], [`did=${MALLORY}`]], ALICE)
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_AMBIGUOUS' })
  })

  test.each([
    [244, 1],
    [245, 0],
  ])('1.10 a handle of %i characters: %i TXT queries', async (length, queries) => {
    const handle = `${'a.'.repeat(120)}${'b'.repeat(length - 240)}` as Handle
    const world = createFakeWorld()
    world.identity.wellKnown.set(handle, ALICE)
    expect(handle).toHaveLength(length)
    expect(await resolveHandle(handle, world)).toBe(ALICE)
    expect(world.identity.txtQueries).toHaveLength(queries)
  })

  test('1.15 DNS wins over HTTPS', async () => {
    expect(await resolveHandle(HANDLE, worldWith([[`did=${ALICE}`]], MALLORY))).toBe(ALICE)
  })

  test('1.15 does not wait for a slow HTTPS, and gives it up', async () => {
    let signal: AbortSignal | undefined
    const { resolveTxt, now, settings } = worldWith([[`did=${ALICE}`]])
    const fetch = (_: URL, init?: { signal?: AbortSignal }) => {
      signal = init?.signal
      return new Promise<Response>(() => undefined)
    }
    expect(await resolveHandle(HANDLE, { resolveTxt, now, settings, fetch })).toBe(ALICE)
    expect(signal?.aborted).toBe(true)
  })

  test('2.5 did:web on localhost, with --dev', async () => {
    const txt = [['did=did:web:localhost%3A3000']]
    const dev = worldWith(txt, undefined, { settings: { dev: true } })
    expect(await resolveHandle(HANDLE, dev)).toBe('did:web:localhost%3A3000')
    expect(await failure(() => resolveHandle(HANDLE, worldWith(txt)))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
  })
})

describe('by HTTPS', () => {
  test.each([
    ['1.7 no TXT record', undefined],
    ['1.11 SERVFAIL', 'SERVFAIL'],
    ['1.11 timeout', 'TIMEOUT'],
    ['1.8 only other values', [['v=spf1']]],
  ] as const)('%s', async (_, txt) => {
    const world = worldWith(txt, ALICE)
    expect(await resolveHandle(HANDLE, world)).toBe(ALICE)
    expect(world.requests.map(({ url }) => url)).toStrictEqual([WELL_KNOWN])
  })

  test.each([
    ['space around', new Response(`\n ${ALICE} \r\n`)],
    ['any type', new Response(ALICE, { headers: { 'content-type': 'text/html' } })],
    ['any 2xx', new Response(ALICE, { status: 203 })],
  ])('1.12 %s', async (_, answer) => {
    expect(await resolveHandle(HANDLE, worldWith(undefined, answer))).toBe(ALICE)
  })

  test.each([
    ['1.12 404', new Response(ALICE, { status: 404 }), 'HANDLE_NOT_FOUND'],
    ['1.12 HTML', new Response('<!doctype html><p>hello'), 'HANDLE_NOT_FOUND'],
    ['1.12 two lines', new Response(`${ALICE}\n${MALLORY}`), 'HANDLE_NOT_FOUND'],
    ['1.12 the TXT form', new Response(`did=${ALICE}`), 'HANDLE_NOT_FOUND'],
    ['1.12 empty', new Response(''), 'HANDLE_NOT_FOUND'],
    ['1.12 not UTF-8', new Response(new Uint8Array([0xff, 0xfe])), 'HANDLE_NOT_FOUND'],
    ['1.16 did:key', new Response('did:key:z6Mkabc'), 'HANDLE_NOT_FOUND'],
    ['1.14 padded beyond the cap', new Response(ALICE + ' '.repeat(4096)), 'HANDLE_NOT_FOUND'],
    ['1.11 503', new Response(ALICE, { status: 503 }), 'HANDLE_LOOKUP_FAILED'],
    ['1.11 429', new Response(ALICE, { status: 429 }), 'HANDLE_LOOKUP_FAILED'],
  ])('%s: %s', async (_, answer, code) => {
    expect(await failure(() => resolveHandle(HANDLE, worldWith(undefined, answer)))).toMatchObject({ code })
  })

  test('1.14 an endless body is not read to its end', async () => {
    let pulled = 0
    const body = new ReadableStream({
      pull(controller) {
        pulled += 1
        controller.enqueue(new TextEncoder().encode('x'.repeat(1024)))
      },
    })
    const world = worldWith(undefined, new Response(body))
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
    expect(pulled).toBeLessThan(10)
  })

  test('1.14 every hop has three seconds', async () => {
    const limits: unknown[] = []
    const { resolveTxt, now, settings } = worldWith(undefined)
    const fetch = async (url: URL, init?: { timeoutSeconds?: number }) => {
      limits.push(init?.timeoutSeconds)
      return url.pathname === '/last' ? new Response(ALICE) : Response.redirect(`https://${HANDLE}/last`)
    }
    expect(await resolveHandle(HANDLE, { resolveTxt, now, settings, fetch })).toBe(ALICE)
    expect(limits).toStrictEqual([3, 3])
  })

  test('1.11 if both fail, the message names both', async () => {
    const error = await failure(() => resolveHandle(HANDLE, worldWith('SERVFAIL', new Response('', { status: 500 }))))
    expect(error.code).toBe('HANDLE_LOOKUP_FAILED')
    expect(error.message).toMatch(/ESERVFAIL.*atproto-did returned 500/)
  })

  test('1.11 DNS failed and HTTPS has nothing: that is not "not found"', async () => {
    const world = worldWith('SERVFAIL', new Response('', { status: 404 }))
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_LOOKUP_FAILED' })
  })

  test('1.11 a lost response may arrive the next time, an absent host will not', async () => {
    const lost = worldWith(undefined, ALICE, { faults: { httpFault: () => 'lostBefore' } })
    expect(await failure(() => resolveHandle(HANDLE, lost))).toMatchObject({ code: 'HANDLE_LOOKUP_FAILED' })
    expect(await failure(() => resolveHandle(HANDLE, worldWith(undefined)))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
  })
})

describe('1.13 redirects', () => {
  /** A chain of redirects, each to the next path, the last one answered with alice. */
  function chain(hops: number): FakeWorld {
    const world = worldWith(undefined)
    world.serve(`https://${HANDLE}`, ({ url }) => {
      const hop = Number(/hop(\d+)$/.exec(url)?.[1] ?? 0)
      return hop < hops
        ? new Response(null, { status: 302, headers: { location: `/hop${hop + 1}` } })
        : new Response(ALICE)
    })
    return world
  }

  test.each([1, 5])('%i are followed', async (hops) => {
    const world = chain(hops)
    expect(await resolveHandle(HANDLE, world)).toBe(ALICE)
    expect(world.requests).toHaveLength(hops + 1)
  })

  test('six are not', async () => {
    const world = chain(6)
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
    expect(world.requests).toHaveLength(6)
  })

  test('to another host', async () => {
    const location = 'https://www.fake.dev/did'
    const world = worldWith(undefined, new Response(null, { status: 301, headers: { location } }))
    world.serve('https://www.fake.dev', () => new Response(ALICE))
    expect(await resolveHandle(HANDLE, world)).toBe(ALICE)
  })

  test.each([
    'http://alice.fake.dev/did',
    'https://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    'https://',
  ])('not to %s', async (location) => {
    const world = worldWith(undefined, new Response(null, { status: 302, headers: { location } }))
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
    expect(world.requests).toHaveLength(1)
  })

  test('not to http, with --dev neither', async () => {
    const redirect = new Response(null, { status: 302, headers: { location: 'http://www.fake.dev/did' } })
    const world = worldWith(undefined, redirect, { settings: { dev: true } })
    world.serve('http://www.fake.dev', () => new Response(ALICE))
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
  })
})

describe('by a resolver instead', () => {
  const settings = { handleResolver: 'https://resolver.fake.dev' }

  test('asks it alone', async () => {
    const world = createFakeWorld({ settings })
    expect(await resolveHandle(HANDLE, world)).toBe(ALICE)
    expect(world.identity.txtQueries).toStrictEqual([])
    expect(world.requests.map(({ url }) => url)).toStrictEqual([
      'https://resolver.fake.dev/xrpc/com.atproto.identity.resolveHandle?handle=alice.fake.dev',
    ])
  })

  test.each([
    ['does not know it', json(400, { error: 'InvalidRequest', message: 'Unable to resolve' }), 'HANDLE_NOT_FOUND'],
    ['does not know it, as PDS 0.5 says', json(400, { error: 'HandleNotFound' }), 'HANDLE_NOT_FOUND'],
    ['1.16 names a did:key', json(200, { did: 'did:key:z6Mkabc' }), 'HANDLE_NOT_FOUND'],
    ['names none', json(200, {}), 'HANDLE_NOT_FOUND'],
    ['sends HTML', new Response('<p>'), 'HANDLE_NOT_FOUND'],
    ['fails', new Response('', { status: 502 }), 'HANDLE_LOOKUP_FAILED'],
    ['limits us', new Response('', { status: 429 }), 'RATE_LIMITED'],
  ])('%s: %s', async (_, answer, code) => {
    const world = createFakeWorld({ settings, faults: { httpFault: () => answer } })
    expect(await failure(() => resolveHandle(HANDLE, world))).toMatchObject({ code })
  })
})

test.each(['printer.local', 'handle.invalid', 'alice.test'])('1.6 %s: no DNS, no HTTP', async (handle) => {
  const world = createFakeWorld()
  expect(await failure(() => resolveHandle(handle as Handle, world))).toMatchObject({ code: 'HANDLE_NOT_FOUND' })
  expect(world.identity.txtQueries).toStrictEqual([])
  expect(world.requests).toStrictEqual([])
})
