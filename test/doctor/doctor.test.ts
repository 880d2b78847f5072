import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/doctor/doctor.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { createFakeWorld, type FakeWorld, json } from '../support/fake-atproto.ts'
import { signedIn } from '../support/login.ts'
import { all, found, HOPS, notOk, topics } from './support.ts'

describe('a good world', () => {
  test.each([
    ['from a handle', (_: FakeWorld) => 'alice.fake.dev', [...HOPS]],
    ['from a DID', (world: FakeWorld) => world.alice.did, ['DID document', 'DNS', 'HTTPS', ...HOPS.slice(3)]],
    ['from a PDS', (world: FakeWorld) => world.pds, HOPS.slice(4).filter((topic) => topic !== 'account')],
    ['from an authorization server', (world: FakeWorld) => world.as, ['server metadata', 'pushed request', 'clock']],
  ])('%s has no finding but ok', async (_, identifier, hops) => {
    const world = createFakeWorld()
    const findings = await found(world, identifier(world))
    expect(all(notOk(findings))).toStrictEqual([])
    expect(topics(findings)).toStrictEqual(hops)
  })

  test.each(['reference', 'cirrus'] as const)('of %s, together on one host', async (personality) => {
    const world = createFakeWorld({ topology: 'together', faults: { personality } })
    expect(all(notOk(await found(world, 'alice.fake.dev')))).toStrictEqual([])
  })

  test('without an account nothing is sent', async () => {
    const world = createFakeWorld()
    expect(await found(world)).toStrictEqual([])
    expect(world.requests).toStrictEqual([])
  })
})

test('nothing is stored, and no token is asked for or used', async () => {
  const { world, separate } = await signedIn()
  const before = structuredClone([...world.stores.history])
  const from = world.requests.length
  await found(world, 'alice.fake.dev', { credentials: separate })
  await found(world)
  const sent = world.requests.slice(from)
  expect(sent.some(({ url }) => url.endsWith('/oauth/par'))).toBe(true)
  expect(sent.filter(({ url }) => /\/oauth\/(?:token|revoke)/.test(url))).toStrictEqual([])
  expect(sent.filter(({ headers }) => headers['authorization'] !== undefined)).toStrictEqual([])
  expect(JSON.stringify(sent)).not.toContain(separate.refreshToken)
  expect(world.stores.history).toStrictEqual(before)
  expect(world.sessionAlive(separate.did)).toBe(true)
})

test('each probe has a key, a verifier and a state of its own', async () => {
  const world = createFakeWorld({ faults: { asNonces: 'constant' } })
  await found(world, world.pds)
  await found(world, world.pds)
  const forms = world.sent('/oauth/par').map(({ body }) => new URLSearchParams(body))
  expect(new Set(forms.map((form) => form.get('state'))).size).toBe(2)
  expect(new Set(forms.map((form) => form.get('code_challenge'))).size).toBe(2)
})

describe('12.7 clocks', () => {
  test.each([
    [29_000, []],
    [-90_000, ['warning clock', 'warning clock']],
    [400_000, ['warning clock', 'warning clock']],
  ])('%d ms off: it is corrected for', async (clockOffsetMs, finds) => {
    const world = createFakeWorld({ faults: { clockOffsetMs } })
    const wrong = notOk(await found(world, 'alice.fake.dev'))
    expect(wrong.map(({ verdict, topic }) => `${verdict} ${topic}`)).toStrictEqual(finds)
    for (const { detail, fix } of wrong) {
      expect(detail).toContain('this program corrects for it')
      expect(fix).toContain('the clock of this machine')
    }
  })

  test('where servers differ with each other, it is not our clock', async () => {
    const world = createFakeWorld({ faults: { clockOffsetMs: 90_000 } })
    world.faults.httpFault = ({ url }) =>
      url.startsWith(world.pds)
        ? (answer) => {
            answer.headers.set('date', new Date(world.now()).toUTCString())
            return answer
          }
        : undefined
    const [only, ...others] = notOk(await found(world, 'alice.fake.dev'))
    expect(others).toStrictEqual([])
    expect(only).toMatchObject({ topic: 'clock', fix: expect.stringContaining('the operator of https://as.fake.dev') })
  })
})

describe('5 a hosted client', () => {
  const clientId = 'https://app.fake.dev/oauth-client-metadata.json'
  const redirectUri = 'https://app.fake.dev/callback'
  const document = {
    client_id: clientId,
    application_type: 'web',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [redirectUri],
    scope: 'atproto',
    token_endpoint_auth_method: 'none',
    dpop_bound_access_tokens: true,
  }

  test('is tried at the server, and its document checked', async () => {
    const world = createFakeWorld()
    world.clients.set(clientId, document)
    world.serve('https://app.fake.dev', () => json(200, document))
    const findings = await found(world, world.pds, { clientId, redirectUri })
    expect(all(notOk(findings))).toStrictEqual([])
    expect(topics(findings)).toContain('client document')
    expect(new URLSearchParams(world.sent('/oauth/par').at(-1)!.body).get('client_id')).toBe(clientId)
  })

  test('16 a private key that is not published there is a fault of it', async () => {
    const { x, y, d } = await generateDpopJwk()
    const clientJwk = { kty: 'EC', crv: 'P-256', x, y, d, kid: 'mine' } as const
    const world = createFakeWorld({ settings: { clientJwk } })
    world.serve('https://app.fake.dev', () => json(200, document))
    const wrong = notOk(await found(world, undefined, { clientId }))
    expect(wrong.map(({ topic, verdict }) => `${verdict} ${topic}`)).toContain('broken client document')
    expect(JSON.stringify(wrong)).not.toContain(d)
  })

  test('each fault of it is a finding, without an account too', async () => {
    const world = createFakeWorld()
    world.serve('https://app.fake.dev', () => json(200, { ...document, scope: 'x', dpop_bound_access_tokens: false }))
    const wrong = notOk(await found(world, undefined, { clientId }))
    expect(wrong).toMatchObject([
      {
        verdict: 'broken',
        detail: expect.stringMatching(/^dpop_bound_access_tokens is not true: .*reject every login/),
      },
      { verdict: 'broken', detail: expect.stringMatching(/^scope lacks atproto: /) },
      { verdict: 'warning', detail: expect.stringMatching(/^scope contains the invalid permission x/) },
    ])
    expect(new Set(wrong.map(({ fix }) => fix)).size).toBe(3)
  })
})

test.each([
  ['not an identifier', 'alice', {}, 'IDENTIFIER_INVALID'],
  ['a client_id that is none', 'alice.fake.dev', { clientId: 'https:' }, 'CLIENT_INVALID'],
  ['a scope that no server has', 'alice.fake.dev', { scope: 'atproto openid' }, 'SCOPE_INVALID'],
])('%s is refused at once', (_, identifier, options, code) => {
  const world = createFakeWorld()
  expect(() => diagnose(identifier, options, world)).toThrow(expect.objectContaining({ code }))
})
