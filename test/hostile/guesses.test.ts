/**
 * Requests that are sent early, to servers that are only expected to be the right ones. What is wrong with a guess must not be
 * noticed, and what changes between guess and proof must be.
 */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Origin } from '../../src/model.ts'
import { openSession } from '../../src/session/open.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, type Fault, json, pathOf } from '../support/fake-atproto.ts'
import { endless, html, redirect } from '../support/fake-bodies.ts'
import { at, consented, GET_SESSION, refused, signedIn, stageOf, steadyWorld } from './flows.ts'

const [PDS, AS, NEW] = ['https://pds.fake.dev', 'https://as.fake.dev', 'https://new.fake.dev']
const METADATA = '/.well-known/oauth-authorization-server'
const hang = () => new Promise<never>(() => undefined)
const originOf = ({ url }: FakeRequest) => new URL(url).origin
/** Everything that is not for everybody to see. */
const isSecret = ({ body, headers }: FakeRequest) =>
  headers['authorization'] !== undefined || /(?:^|&)(?:code|code_verifier|refresh_token|state|scope|token)=/.test(body)
const secretsTo = (world: FakeWorld, origin: string) =>
  world.requests.filter((request) => originOf(request) === origin && isSecret(request))

/** The account is at another PDS from now on. */
function move(world: FakeWorld, issuer: string, onRequest: (request: FakeRequest) => void = () => undefined): void {
  world.identity.editDidDocument(world.alice.did, (document) => ({
    ...document,
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: NEW }],
  }))
  world.faults.mutateAuthorizationServer = (document) => ({ ...document, protected_resources: [NEW] })
  world.serve(NEW, (request) => {
    onRequest(request)
    return json(200, { resource: NEW, authorization_servers: [issuer] })
  })
}

describe('init guesses that the PDS is its own issuer', () => {
  test('and it says so to whoever asks, but names another one: the pushed request goes to that alone', async () => {
    const world = steadyWorld()
    const honest = await (await world.fetch(new URL(METADATA, AS))).json()
    const text = JSON.stringify({ ...(honest as object), issuer: PDS }).replaceAll(`${AS}/oauth`, `${PDS}/oauth`)
    world.faults.httpFault = (request) =>
      originOf(request) === PDS && pathOf(request) === METADATA ? json(200, JSON.parse(text)) : undefined
    const { pending } = await init('alice.fake.dev', {}, world)
    expect(pending.issuer).toBe(AS)
    expect(new Set(world.sent('par').map(originOf))).toStrictEqual(new Set([AS]))
    expect(secretsTo(world, PDS)).toStrictEqual([])
  })

  test.each<[string, () => Fault | Promise<Fault>]>([
    ['hangs', hang],
    ['is unreachable', () => 'unreachable'],
    ['is lost', () => 'lostAfter'],
    ['is never-ending', () => endless().answer],
    ['is HTML', () => html()],
    ['fails', () => html(503)],
    ['is rate-limited', () => html(429)],
    ['redirects to this machine', () => redirect(307, 'https://127.0.0.1/')],
    ['is a list', () => json(200, [])],
    ['has a nonce of its own', () => json(400, {}, { 'dpop-nonce': 'elsewhere' })],
  ])('%s: the login goes on', async (_, fault) => {
    const world = steadyWorld()
    world.faults.httpFault = (request) => (stageOf(request) === 'guess' ? fault() : undefined)
    const { pending } = await init('alice.fake.dev', {}, world)
    expect(pending).toMatchObject({ issuer: AS, pds: PDS })
    expect(world.warnings).toStrictEqual([])
    expect(world.sent('par')).toHaveLength(1)
  })

  test('nothing is asked of a PDS whose account does not claim the handle (1.17)', async () => {
    const world = steadyWorld()
    world.faults.mutateDidDocument = (document) => ({ ...document, alsoKnownAs: ['at://other.fake.dev'] })
    await expect(init('alice.fake.dev', {}, world)).rejects.toMatchObject({ code: 'HANDLE_NOT_CLAIMED' })
    expect(world.requests.filter((request) => originOf(request) === PDS)).toStrictEqual([])
  })

  test('the request for the nonce hangs: the pushed request does without, after a round trip', async () => {
    const world = createFakeWorld({ startAt: Date.UTC(2026, 0, 1) })
    world.faults.httpFault = (request) => {
      world.advance(100) // it takes time, so that there is a measure for what a round trip is
      return stageOf(request) === 'nonce' ? hang() : undefined
    }
    await init('alice.fake.dev', {}, world)
    expect(world.sent('par')).toHaveLength(2)
  })

  test('a timer that was only for a response that has arrived does not keep the process running', async () => {
    const world = createFakeWorld({ startAt: Date.UTC(2026, 0, 1) })
    world.faults.httpFault = (request) => {
      world.advance(1000)
      if (stageOf(request) !== 'nonce') return undefined
      return async (answer) => {
        while (timers.length === 0) await setImmediate()
        return answer
      }
    }
    const timers: (AbortSignal | undefined)[] = []
    const sleep = (_: number, signal?: AbortSignal) => {
      timers.push(signal)
      return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    }
    await init('alice.fake.dev', {}, { ...world, sleep })
    expect(timers.map((signal) => signal?.aborted)).toStrictEqual([true])
  })

  test('a Bluesky PDS: the entryway is asked, and only the PDS decides', async () => {
    const world = steadyWorld()
    const [pds, entryway] = ['https://morel.host.bsky.network', 'https://bsky.social']
    const asked: string[] = []
    world.identity.editDidDocument(world.alice.did, (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
    }))
    world.faults.mutateAuthorizationServer = ({ protected_resources, ...document }) => document
    world.serve(pds, () => json(200, { resource: pds, authorization_servers: [AS] }))
    world.serve(entryway, (request) => {
      asked.push(`${request.method} ${pathOf(request)}`)
      return html(500)
    })
    expect((await init('alice.fake.dev', {}, world)).pending.issuer).toBe(AS)
    expect(asked.toSorted()).toStrictEqual([`GET ${METADATA}`, 'POST /oauth/token'])
    expect(secretsTo(world, entryway)).toStrictEqual([])
    expect(world.requests.filter((request) => originOf(request) === pds)).toHaveLength(1)
  })
})

describe('complete and refresh expect the account where it was', () => {
  const hanging = (world: FakeWorld) => {
    world.faults.httpFault = (request) => (originOf(request) === PDS ? hang() : undefined)
  }

  test('it has moved to a PDS with the same issuer, while the old one hangs: that is not waited for', async () => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    move(world, AS)
    hanging(world)
    const { credentials } = await complete(callback, world)
    expect(credentials.server).toBe(NEW)

    const other = steadyWorld()
    const session = await openSession(await signedIn(other), other)
    move(other, AS)
    hanging(other)
    await session.refresh()
    expect(session.record().pds).toBe(NEW)
  })

  test('11.9 it has moved to a PDS with another issuer, while the old one still names ours: neither code nor token is sent', async () => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    move(world, NEW)
    const code = 'ISSUER_MISMATCH'
    const documents = ['did', 'prm', 'asm', 'elsewhere'] as const
    await refused(world, () => complete(callback, world), { code, session: 'none', sent: documents })
    expect(secretsTo(world, NEW)).toStrictEqual([])

    const other = steadyWorld()
    const session = await openSession(await signedIn(other), other)
    move(other, NEW)
    const call = () => session.call(GET_SESSION)
    await refused(other, call, { code, session: 'alive', sent: documents })
    expect(secretsTo(other, NEW)).toStrictEqual([])
  })

  test('the issuer hangs, and the account has moved: said at once', async () => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    move(world, NEW)
    world.faults.httpFault = (request) => (originOf(request) === AS ? hang() : undefined)
    await expect(session.refresh()).rejects.toMatchObject({ code: 'ISSUER_MISMATCH', session: 'alive' })
  })

  test('the DID document changes after the early request: the one that was read counts, and is read once', async () => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    const reads: number[] = []
    world.faults.mutateDidDocument = (document, count) => {
      reads.push(count)
      return document
    }
    await session.refresh()
    expect(reads).toHaveLength(1)
  })

  test.each(['https://10.0.0.1', 'http://pds.fake.dev', 'https://localhost', 'https://no-such-host.fake.dev'])(
    'the PDS in the credentials is %s: nobody is told, as the DID document names another',
    async (pds) => {
      const world = steadyWorld()
      const credentials = await signedIn(world)
      const session = await openSession({ ...credentials, server: pds as Origin }, world)
      await session.refresh()
      expect(session.record().pds).toBe(PDS)
      expect(world.warnings).toStrictEqual([])
    },
  )

  test.each([502, 503, 429])('the nonce is refused early with %i: the token is not sent', async (status) => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    const before = world.sent('token').length
    world.faults.httpFault = at('nonce', () => html(status))
    await expect(session.refresh()).rejects.toMatchObject({ session: 'alive' })
    expect(world.sent('token')).toHaveLength(before)
  })

  test.each(
    ([429, 503] as const).flatMap((status) =>
      (['did', 'prm', 'asm', 'nonce'] as const).map((stage) => ({ status, stage })),
    ),
  )(
    '$status for the $stage, because too much was requested at once: once more, and all goes on',
    async ({ status, stage }) => {
      const world = createFakeWorld()
      const { callback } = await consented(world)
      let isRefused = false
      world.faults.httpFault = (request) => {
        if (stageOf(request) === stage && !isRefused) {
          isRefused = true
          return html(status)
        }
        if (stageOf(request) !== 'prm' || stage === 'prm') return undefined
        return async (answer) => {
          while (!isRefused) await setImmediate()
          return answer
        }
      }
      world.advance(120_000) // no nonce is current
      const { credentials } = await complete(callback, world)
      const session = await openSession(credentials, world)
      isRefused = false
      world.advance(120_000)
      await session.refresh()
      expect(isRefused).toBe(true)
      expect(world.warnings).toStrictEqual([])
      const granted = world.sent('token').map(({ body }) => new URLSearchParams(body).get('grant_type'))
      expect(granted.filter((grant) => grant !== null)).toStrictEqual(['authorization_code', 'refresh_token'])
    },
  )

  test('26.12 the token endpoint has another path: the nonce is learned there before the token is sent', async () => {
    const world = createFakeWorld({ faults: { spendsBeforeNonce: true } })
    const session = await openSession(await signedIn(world), world)
    world.forgetNonces()
    const asked: string[] = []
    const path = (request: FakeRequest) => pathOf(request) === '/other/token'
    world.faults.mutateAuthorizationServer = (document) => ({ ...document, token_endpoint: `${AS}/other/token` })
    world.faults.httpFault = (request) => {
      if (stageOf(request) === 'nonce') return html(404)
      if (path(request)) asked.push(new URLSearchParams(request.body).get('grant_type') ?? 'none')
      return path(request) ? json(400, { error: 'invalid_request' }, { 'dpop-nonce': 'n1' }) : undefined
    }
    await expect(session.refresh()).rejects.toMatchObject({ code: 'REFRESH_REFUSED' })
    expect(asked).toStrictEqual(['none', 'refresh_token'])
  })
})
