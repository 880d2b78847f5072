import { describe, expect, test } from 'vitest'
import type { Did, Handle } from '../../../src/model.ts'
import { parseDidDocument, resolveDid, resolveFromHandle, verifyHandle } from '../../../src/protocol/identity/did.ts'
import { createFakeWorld, type FakeWorld, json } from '../../support/fake-atproto.ts'
import { failure } from '../helpers.ts'

const DID = 'did:plc:alice234567alice234567ab' as Did
const PDS = { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: 'https://pds.fake.dev' }

function judge(changes: Record<string, unknown>, dev = false) {
  return parseDidDocument({ id: DID, alsoKnownAs: ['at://alice.fake.dev'], service: [PDS], ...changes }, DID, dev)
}

describe('from a handle', () => {
  test('1.17 the document claims it', async () => {
    const world = createFakeWorld()
    expect(await resolveFromHandle('alice.fake.dev' as Handle, world)).toStrictEqual({
      did: DID,
      claimedHandle: 'alice.fake.dev',
      pds: 'https://pds.fake.dev',
      handle: 'alice.fake.dev',
    })
  })

  test('1.17 the claim is compared in lower case', async () => {
    const world = createFakeWorld()
    world.identity.editDidDocument(DID, (document) => ({ ...document, alsoKnownAs: ['at://Alice.Fake.DEV'] }))
    expect(await resolveFromHandle('alice.fake.dev' as Handle, world)).toMatchObject({ handle: 'alice.fake.dev' })
  })

  test.each([
    ['another handle', ['at://mallory.fake.dev'], 'claims mallory.fake.dev'],
    ['another handle first', ['at://mallory.fake.dev', 'at://alice.fake.dev'], 'claims mallory.fake.dev'],
    ['none', [], 'claims no handle'],
    ['no list', undefined, 'claims no handle'],
  ])('1.17, 1.18 the document claims %s', async (_, alsoKnownAs, why) => {
    const world = createFakeWorld()
    world.identity.editDidDocument(DID, (document) => ({ ...document, alsoKnownAs }))
    expect(await failure(() => resolveFromHandle('alice.fake.dev' as Handle, world))).toMatchObject({
      code: 'HANDLE_NOT_CLAIMED',
      message: expect.stringContaining(why),
      facts: { did: DID },
    })
    expect(world.sent('oauth-protected-resource')).toStrictEqual([])
  })
})

describe('1.19 from a DID', () => {
  const resolveFromDid = async (did: Did, world: FakeWorld) => verifyHandle(await resolveDid(did, world), world)

  test('the handle leads back', async () => {
    expect(await resolveFromDid(DID, createFakeWorld())).toMatchObject({ did: DID, handle: 'alice.fake.dev' })
  })

  test.each([
    ['leads elsewhere', (world: ReturnType<typeof createFakeWorld>) => [[`did=${world.mallory.did}`]]],
    ['cannot be looked up', () => 'SERVFAIL' as const],
    ['is ambiguous', (world: ReturnType<typeof createFakeWorld>) => [[`did=${world.mallory.did}`], [`did=${DID}`]]],
  ])('a handle that %s is not shown, and no obstacle', async (_, txt) => {
    const world = createFakeWorld()
    world.identity.txt.set('_atproto.alice.fake.dev', txt(world))
    world.identity.wellKnown.delete('alice.fake.dev')
    expect(await resolveFromDid(DID, world)).toMatchObject({ pds: 'https://pds.fake.dev', handle: undefined })
  })

  test('1.6 a claimed reserved name is not looked up', async () => {
    const world = createFakeWorld()
    world.identity.editDidDocument(DID, (document) => ({ ...document, alsoKnownAs: ['at://printer.local'] }))
    expect(await resolveFromDid(DID, world)).toMatchObject({ claimedHandle: 'printer.local', handle: undefined })
    expect(world.identity.txtQueries).toStrictEqual([])
    expect(world.requests.map(({ url }) => new URL(url).host)).toStrictEqual(['plc.directory'])
  })
})

describe('fetching the document', () => {
  test('2.3 from the PLC directory, with its media types', async () => {
    const world = createFakeWorld({ settings: { plcUrl: 'https://plc.fake.dev' } })
    await resolveDid(DID, world)
    expect(world.requests).toMatchObject([
      {
        method: 'GET',
        url: `https://plc.fake.dev/${DID}`,
        headers: { accept: 'application/did+ld+json, application/json' },
      },
    ])
  })

  test.each([
    ['did:web:alice.fake.dev', false, 'https://alice.fake.dev/.well-known/did.json'],
    ['did:web:localhost%3A3000', true, 'http://localhost:3000/.well-known/did.json'],
  ])('2.5 %s (dev: %s) from %s', async (did, dev, url) => {
    const world = createFakeWorld({
      settings: { dev },
      faults: { httpFault: () => json(200, { id: did, service: [PDS] }) },
    })
    expect(await resolveDid(did as Did, world)).toMatchObject({ did })
    expect(world.requests.map((request) => request.url)).toStrictEqual([url])
  })

  test.each(['application/json', 'application/did+ld+json; charset=utf-8'])('2.3 as %s', async (type) => {
    const answer = () => json(200, { id: DID, service: [PDS] }, { 'content-type': type })
    expect(await resolveDid(DID, createFakeWorld({ faults: { httpFault: answer } }))).toMatchObject({ did: DID })
  })

  test.each([404, 410])('2.4 %i is for good', async (status) => {
    const world = createFakeWorld({ faults: { httpFault: () => json(status, { message: 'DID not available' }) } })
    expect(await failure(() => resolveDid(DID, world))).toMatchObject({ code: 'DID_NOT_FOUND' })
  })

  test.each([
    ['2.4 429', new Response('', { status: 429, headers: { 'retry-after': '30' } }), 'RATE_LIMITED'],
    ['2.4 500', new Response('', { status: 500 }), 'SERVER_UNAVAILABLE'],
    ['2.4 503', new Response('', { status: 503 }), 'SERVER_UNAVAILABLE'],
    [
      '2.3, 2.7 redirect',
      new Response('', { status: 302, headers: { location: 'https://plc.fake.dev/' } }),
      'DID_DOCUMENT_INVALID',
    ],
    [
      '2.3 HTML',
      new Response(JSON.stringify({ id: DID, service: [PDS] }), { headers: { 'content-type': 'text/html' } }),
      'DID_DOCUMENT_INVALID',
    ],
    ['a list', json(200, [{ id: DID, service: [PDS] }]), 'DID_DOCUMENT_INVALID'],
    ['2.7 half a megabyte', json(200, { id: DID, service: [PDS], x: 'x'.repeat(524_288) }), 'DID_DOCUMENT_INVALID'],
    ['2.8 of another DID', json(200, { id: 'did:plc:mallory', service: [PDS] }), 'DID_DOCUMENT_INVALID'],
  ])('%s', async (_, answer, code) => {
    const world = createFakeWorld({ faults: { httpFault: () => answer } })
    expect(await failure(() => resolveDid(DID, world))).toMatchObject({ code })
    expect(world.requests).toHaveLength(1)
  })

  test('1.20 nothing is cached', async () => {
    const world = createFakeWorld()
    await resolveDid(DID, world)
    world.identity.editDidDocument(DID, (document) => ({
      ...document,
      service: [{ ...PDS, serviceEndpoint: 'https://new.fake.dev' }],
    }))
    expect(await resolveDid(DID, world)).toMatchObject({ pds: 'https://new.fake.dev' })
  })
})

describe('judging the document', () => {
  test.each([
    ['another', 'did:plc:mallory234567mallory2345'],
    ['other case', DID.toUpperCase()],
    ['missing', undefined],
  ])('2.8 id: %s', async (_, id) => {
    expect(await failure(() => judge({ id }))).toMatchObject({ code: 'DID_DOCUMENT_INVALID' })
  })

  test.each([
    [['https://x', 'at://bad_handle', 'at://alice.fake.dev'], 'alice.fake.dev'],
    [['at://alice.fake.dev/x', 'at://bob.fake.dev'], 'bob.fake.dev'],
    [['at://alice.fake.dev', 'at://bob.fake.dev'], 'alice.fake.dev'],
    [['AT://alice.fake.dev'], undefined],
    [[{ handle: 'at://alice.fake.dev' }, 7, null], undefined],
    ['at://alice.fake.dev', undefined],
  ])('1.18 %j claims %s', (alsoKnownAs, handle) => {
    expect(judge({ alsoKnownAs }).claimedHandle).toBe(handle)
  })

  const other = (changes: object) => ({ ...PDS, serviceEndpoint: 'https://other.fake.dev', ...changes })
  test.each([
    ['2.9 full id', [{ ...PDS, id: `${DID}#atproto_pds` }]],
    ['2.9 wrong type first', [other({ type: 'Other' }), PDS]],
    ['2.9 type in a list first', [other({ type: ['AtprotoPersonalDataServer'] }), PDS]],
    ['2.9 another DID first', [other({ id: 'did:plc:other#atproto_pds' }), PDS]],
    ['2.9 longer id first', [other({ id: '#atproto_pds_x' }), PDS]],
    ['2.12 the first of doubles', [PDS, other({})]],
    ['garbage first', [null, 7, 'x', PDS]],
    ['2.10 one trailing slash', [{ ...PDS, serviceEndpoint: 'https://pds.fake.dev/' }]],
    ['2.10 upper case, default port', [{ ...PDS, serviceEndpoint: 'https://PDS.fake.dev:443' }]],
  ])('%s', (_, service) => {
    expect(judge({ service }).pds).toBe('https://pds.fake.dev')
  })

  test('2.10 a port stays', () => {
    expect(judge({ service: [{ ...PDS, serviceEndpoint: 'https://pds.fake.dev:8443' }] }).pds).toBe(
      'https://pds.fake.dev:8443',
    )
  })

  test.each([
    ['2.11 none', []],
    ['2.11 no list', undefined],
    ['2.11 an object', { '#atproto_pds': PDS }],
    ['2.9 only another id', [{ ...PDS, id: '#bsky_fg' }]],
    ['2.9 only another type', [{ ...PDS, type: 'atprotopersonaldataserver' }]],
  ])('%s: names no PDS', async (_, service) => {
    expect(await failure(() => judge({ service }))).toMatchObject({
      code: 'DID_DOCUMENT_INVALID',
      message: expect.stringContaining('names no PDS'),
    })
  })

  test.each([
    'https://u:p@pds.fake.dev',
    'https://pds.fake.dev/x',
    'https://pds.fake.dev//',
    'https://pds.fake.dev?x',
    'https://pds.fake.dev#x',
    'https://pds.fake.dev\\x',
    'https://pds.fake.dev\n',
    'https://pds.\tfake.dev',
    'https:pds.fake.dev',
    'pds.fake.dev',
    'http://pds.fake.dev',
    'ftp://pds.fake.dev',
    '',
    { uri: 'https://pds.fake.dev' },
    ['https://pds.fake.dev'],
    undefined,
  ])('2.10 endpoint %j is refused', async (serviceEndpoint) => {
    const error = await failure(() => judge({ service: [{ ...PDS, serviceEndpoint }] }))
    expect(error).toMatchObject({
      code: 'DID_DOCUMENT_INVALID',
      message: expect.stringContaining('not an https origin'),
    })
  })

  test('20.3 http with --dev', () => {
    const service = [{ ...PDS, serviceEndpoint: 'http://localhost:2583' }]
    expect(judge({ service }, true).pds).toBe('http://localhost:2583')
  })
})
