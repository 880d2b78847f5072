import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { TxtRecords } from '../../src/testing/faults.ts'
import type { Json } from '../../src/testing/http.ts'
import type { Fault } from '../support/fake-atproto.ts'
import { brokenOff, endless, fattened, html, JSON_TYPE, redirect, retyped } from '../support/fake-bodies.ts'
import {
  at,
  COMPLETE,
  completeRefused,
  consented,
  INIT,
  initRefused,
  REFRESH,
  refreshRefused,
  type Stage,
  signedIn,
  steadyWorld,
  upTo,
} from './flows.ts'

const ALICE = 'did:plc:alice234567alice234567ab'
const MALLORY = 'did:plc:mallory234567mallory2345'
const EVIL = 'https://evil.fake.dev'

describe('DNS, for a handle that HTTPS knows nothing of', () => {
  test.each<[string, TxtRecords, ErrorCode, Stage]>([
    ['1.9 two different DIDs', [[`did=${ALICE}`], [`did=${MALLORY}`]], 'HANDLE_AMBIGUOUS', 'handle'],
    [
      '1.9 in chunks that differ',
      [
        ['did=', ALICE],
        ['did', `=${MALLORY}`],
      ],
      'HANDLE_AMBIGUOUS',
      'handle',
    ],
    ['1.16 a did:key', [['did=did:key:z6Mkabc']], 'HANDLE_NOT_FOUND', 'handle'],
    ['1.8 other values alone', [['v=spf1'], [`x did=${ALICE}`]], 'HANDLE_NOT_FOUND', 'handle'],
    ['1.11 NXDOMAIN', 'NXDOMAIN', 'HANDLE_NOT_FOUND', 'handle'],
    ['1.11 SERVFAIL', 'SERVFAIL', 'HANDLE_LOOKUP_FAILED', 'handle'],
    ['1.11 no response', 'TIMEOUT', 'HANDLE_LOOKUP_FAILED', 'handle'],
    ['1.17 the DID of somebody else', [[`did=${MALLORY}`]], 'HANDLE_NOT_CLAIMED', 'did'],
    ['2.4 a DID that nobody has', [['did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa']], 'DID_NOT_FOUND', 'did'],
  ])('%s: %j', async (_, answer, code, last) => {
    const world = steadyWorld()
    world.faults.txt = () => answer
    world.faults.httpFault = at('handle', () => new Response('not found', { status: 404 }))
    await initRefused(world, code, upTo(INIT, last))
  })

  test.each<[string, TxtRecords]>([
    ['1.8 one record in many chunks', [[...`did=${ALICE}`]]],
    ['1.9 the same twice', [[`did=${ALICE}`], ['did=', ALICE]]],
    ['1.8 after a thousand others', [...Array.from({ length: 1000 }, (_, at) => [`x=${at}`]), [`did=${ALICE}`]]],
  ])('%s is a response', async (_, answer) => {
    const world = steadyWorld()
    world.faults.txt = () => answer
    await expect(consented(world)).resolves.toMatchObject({ pending: { did: ALICE } })
  })
})

describe('the handle’s host, when DNS knows nothing', () => {
  test.each<[string, () => Fault, ErrorCode]>([
    ['1.12 404 with a DID', () => new Response(ALICE, { status: 404 }), 'HANDLE_NOT_FOUND'],
    ['1.12 HTML', () => html(), 'HANDLE_NOT_FOUND'],
    ['1.12 JSON', () => Response.json({ did: ALICE }), 'HANDLE_NOT_FOUND'],
    ['1.12 an empty body', () => new Response(''), 'HANDLE_NOT_FOUND'],
    ['1.12 no body', () => new Response(null, { status: 204 }), 'HANDLE_NOT_FOUND'],
    ['1.14 ten megabytes', () => fattened, 'HANDLE_NOT_FOUND'],
    ['1.14 one byte a second', () => brokenOff(), 'HANDLE_LOOKUP_FAILED'],
    ['1.14 lost', () => 'lostAfter', 'HANDLE_LOOKUP_FAILED'],
    ['1.11 500', () => html(500), 'HANDLE_LOOKUP_FAILED'],
    ['1.11 429', () => html(429), 'HANDLE_LOOKUP_FAILED'],
    ['1.13 to http', () => redirect(302, 'http://alice.fake.dev/.well-known/atproto-did'), 'HANDLE_NOT_FOUND'],
    ['1.13 to cloud metadata', () => redirect(302, 'https://169.254.169.254/latest'), 'HANDLE_NOT_FOUND'],
    ['1.13 to this machine', () => redirect(302, 'https://[::1]/'), 'HANDLE_NOT_FOUND'],
    ['1.13 to a file', () => redirect(302, 'file:///etc/passwd'), 'HANDLE_NOT_FOUND'],
    ['1.13 without a place', () => new Response(null, { status: 302 }), 'HANDLE_NOT_FOUND'],
    ['1.13 to nonsense', () => redirect(302, 'https://['), 'HANDLE_NOT_FOUND'],
  ])('%s', async (_, fault, code) => {
    const world = steadyWorld()
    world.faults.txt = () => 'NXDOMAIN'
    world.faults.httpFault = at('handle', fault)
    await initRefused(world, code, ['handle'])
  })

  test('1.13 to itself for ever: six requests', async () => {
    const world = steadyWorld()
    world.faults.txt = () => 'NXDOMAIN'
    world.faults.httpFault = at('handle', () => redirect(302, '/.well-known/atproto-did'))
    await initRefused(world, 'HANDLE_NOT_FOUND', Array<Stage>(6).fill('handle'))
  })

  test('1.14 never-ending: given up and closed, with a few kB read', async () => {
    const world = steadyWorld()
    const body = endless(200, { 'content-type': 'text/plain' })
    world.faults.txt = () => 'NXDOMAIN'
    world.faults.httpFault = at('handle', () => body.answer)
    await initRefused(world, 'HANDLE_NOT_FOUND', ['handle'])
    expect(body.isCancelled()).toBe(true)
    expect(body.taken()).toBeLessThan(100_000)
  })

  test('1.13 a redirect to another host is followed, and its claim is checked like any other', async () => {
    const world = steadyWorld()
    world.faults.txt = () => 'NXDOMAIN'
    world.serve(EVIL, () => new Response(MALLORY))
    world.faults.httpFault = at('handle', () => redirect(301, EVIL))
    await initRefused(world, 'HANDLE_NOT_CLAIMED', ['handle', 'elsewhere', 'did'])
  })
})

/** Every fault a document of somebody else's can have in transit. */
const TRANSPORT: [string, () => Fault, ErrorCode][] = [
  ['2.4 404', () => html(404), 'DID_NOT_FOUND'],
  ['2.4 410', () => html(410), 'DID_NOT_FOUND'],
  ['2.4 429', () => html(429), 'RATE_LIMITED'],
  ['2.4 500', () => html(500), 'SERVER_UNAVAILABLE'],
  ['403', () => html(403), 'DID_DOCUMENT_INVALID'],
  ['201', () => (answer) => new Response(answer.body, { status: 201, headers: JSON_TYPE }), 'DID_DOCUMENT_INVALID'],
  ['2.3 text/html', () => retyped('text/html'), 'DID_DOCUMENT_INVALID'],
  ['2.3 no type', () => retyped(''), 'DID_DOCUMENT_INVALID'],
  ['2.7 301', () => redirect(301, `${EVIL}/did.json`), 'DID_DOCUMENT_INVALID'],
  ['2.7 307 to this machine', () => redirect(307, 'https://127.0.0.1/'), 'DID_DOCUMENT_INVALID'],
  ['HTML', () => html(), 'DID_DOCUMENT_INVALID'],
  ['2.7 ten megabytes', () => fattened, 'DID_DOCUMENT_INVALID'],
  ['2.7 never-ending', () => endless().answer, 'DID_DOCUMENT_INVALID'],
  ['2.7 one byte a second', () => brokenOff(), 'NETWORK_LOST'],
  ['dropped', () => 'lostAfter', 'NETWORK_LOST'],
  ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
]

describe('the DID document', () => {
  test.each(TRANSPORT)('%s: init', async (_, fault, code) => {
    const world = steadyWorld()
    world.faults.httpFault = at('did', fault)
    await initRefused(world, code, upTo(INIT, 'did'))
  })

  test.each(TRANSPORT)('%s, of a did:web: init', async (_, fault, code) => {
    const world = steadyWorld()
    world.identity.documents.set('did:web:alice.fake.dev', {
      ...world.identity.documents.get(ALICE),
      id: 'did:web:alice.fake.dev',
    })
    world.faults.httpFault = at('did', fault)
    await initRefused(world, code, ['did'], 'did:web:alice.fake.dev')
  })

  test.each(TRANSPORT)('%s: the code is not sent, the login stays open', async (_, fault, code) => {
    const world = steadyWorld()
    const login = await consented(world)
    world.faults.httpFault = at('did', fault)
    await completeRefused(world, login, { code, sent: upTo(COMPLETE, 'did'), login: 'open' })
  })

  test.each(TRANSPORT)('%s: the refresh token is not sent, the session lives', async (_, fault, code) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at('did', fault)
    await refreshRefused(world, credentials, { code, session: 'alive', sent: upTo(REFRESH, 'did') })
  })
})

const service = (change: Json) => (document: Json) => ({
  ...document,
  service: [{ ...(document['service'] as Json[])[0], ...change }],
})
const DOCUMENTS: [string, (document: Json) => unknown][] = [
  ['2.8 of another DID', (document) => ({ ...document, id: MALLORY })],
  ['2.8 without id', ({ id, ...document }) => document],
  ['2.9 without services', ({ service: _, ...document }) => document],
  ['2.9 with another service id', service({ id: '#bsky_appview' })],
  ['2.9 with another service type', service({ type: 'BskyAppView' })],
  ['2.10 http', service({ serviceEndpoint: 'http://pds.fake.dev' })],
  ['2.10 a path', service({ serviceEndpoint: 'https://pds.fake.dev/x' })],
  ['2.10 a password', service({ serviceEndpoint: 'https://u:p@pds.fake.dev' })],
  ['2.10 an object', service({ serviceEndpoint: { uri: 'https://pds.fake.dev' } })],
  ['a list', (document) => [document]],
  ['null', () => null],
]

describe('a DID document that is wrong', () => {
  test.each(DOCUMENTS)('%s: at init, complete and refresh', async (_, mutate) => {
    const first = steadyWorld()
    first.faults.mutateDidDocument = mutate
    await initRefused(first, 'DID_DOCUMENT_INVALID', upTo(INIT, 'did'))

    const second = steadyWorld()
    const login = await consented(second)
    second.faults.mutateDidDocument = mutate
    await completeRefused(second, login, { code: 'DID_DOCUMENT_INVALID', sent: upTo(COMPLETE, 'did'), login: 'open' })

    const third = steadyWorld()
    const credentials = await signedIn(third)
    third.faults.mutateDidDocument = mutate
    const sent = upTo(REFRESH, 'did')
    await refreshRefused(third, credentials, { code: 'DID_DOCUMENT_INVALID', session: 'alive', sent })
  })

  test('2.13 a PDS on this network: refused by the guard, not asked', async () => {
    const world = steadyWorld()
    world.faults.mutateDidDocument = service({ serviceEndpoint: 'https://10.0.0.1' })
    await initRefused(world, 'ADDRESS_REFUSED', upTo(INIT, 'did'))
  })

  test.each([
    [1, 'init', 'HANDLE_NOT_CLAIMED'],
    [2, 'complete', undefined],
  ] as const)('1.17 a handle given away after read %i', async (reads, step, code) => {
    const world = steadyWorld()
    world.faults.mutateDidDocument = (document, count) =>
      count >= reads ? { ...document, alsoKnownAs: ['at://mallory.fake.dev'] } : document
    if (step === 'init') await initRefused(world, code, upTo(INIT, 'did'))
    else await expect(signedIn(world)).resolves.toMatchObject({ did: ALICE }) // 1.22 the DID is the account
  })
})
