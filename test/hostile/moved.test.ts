/** What changes under a login or a session: the account's PDS, its authorization server, an endpoint; and two servers mixed up. */
import { describe, expect, test } from 'vitest'
import { hintOf } from '../../src/cli/errors.ts'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { readXrpcError } from '../../src/protocol/xrpc/error.ts'
import { explainAccountState } from '../../src/session/account-state.ts'
import { openSession } from '../../src/session/open.ts'
import type { RsErrorName } from '../../src/testing/xrpc-errors.ts'
import { type FakeWorld, json } from '../support/fake-atproto.ts'
import {
  at,
  COMPLETE,
  completeRefused,
  consented,
  GET_SESSION,
  REFRESH,
  refreshRefused,
  refused,
  type Stage,
  signedIn,
  stageOf,
  steadyWorld,
  upTo,
} from './flows.ts'

const [PDS, AS, EVIL] = ['https://pds.fake.dev', 'https://as.fake.dev', 'https://evil.fake.dev']

describe('what changes between init and complete', () => {
  /** Alice's PDS is another one from now on, with an authorization server of its own. */
  const move = (world: FakeWorld) => {
    world.faults.mutateDidDocument = (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: EVIL }],
    })
    world.serve(EVIL, () => json(200, { resource: EVIL, authorization_servers: [EVIL] }))
  }

  test('11.9, 1.20 the account is on another PDS: neither code nor token is sent', async () => {
    const world = steadyWorld()
    const login = await consented(world)
    move(world)
    const sent: Stage[] = ['did', 'prm', 'asm', 'elsewhere']
    await completeRefused(world, login, { code: 'ISSUER_MISMATCH', sent, login: 'open' })

    const other = steadyWorld()
    const credentials = await signedIn(other)
    move(other)
    const moved = { code: 'ISSUER_MISMATCH', session: 'alive', sent } as const
    await refreshRefused(other, credentials, moved)
  })

  test('9.10 the PDS names another authorization server: neither code nor token is sent', async () => {
    const rename = (world: FakeWorld) => {
      world.faults.mutateProtectedResource = (document) => ({ ...document, authorization_servers: [EVIL] })
    }
    const world = steadyWorld()
    const login = await consented(world)
    rename(world)
    await completeRefused(world, login, { code: 'ISSUER_MISMATCH', sent: upTo(COMPLETE, 'prm'), login: 'open' })

    const other = steadyWorld()
    const credentials = await signedIn(other)
    rename(other)
    const sent = upTo(REFRESH, 'prm')
    await refreshRefused(other, credentials, { code: 'ISSUER_MISMATCH', session: 'alive', sent })
  })

  test('4.19 the issuer’s own token endpoint is a new one: honoured, with a proof for that one', async () => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    world.faults.mutateAuthorizationServer = (document) => ({ ...document, token_endpoint: `${EVIL}/token` })
    world.serve(EVIL, () => json(400, { error: 'invalid_grant' }))
    const run = () => complete(callback, world)
    const sent: Stage[] = ['did', 'prm', 'asm', 'elsewhere']
    await refusedWithCodeSent(world, run, sent)
    const proof = world.requests.at(-1)!.headers['dpop']!
    expect(JSON.parse(atob(proof.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/')))).toMatchObject({
      htu: `${EVIL}/token`,
    })
  })

  /** Without the search for secrets: the code goes where the issuer said. */
  async function refusedWithCodeSent(world: FakeWorld, run: () => Promise<unknown>, sent: Stage[]) {
    const before = world.requests.length
    await expect(run()).rejects.toMatchObject({ code: 'EXCHANGE_REFUSED', session: 'none' })
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual(sent)
  }
})

describe('9.5, 9.10 two authorization servers mixed up', () => {
  /** An evil server that takes the code of an honest one: it says that the honest one's page is its own. */
  const evilMetadata = (world: FakeWorld): void =>
    world.serve(EVIL, async ({ url }) => {
      if (!url.endsWith('/oauth-authorization-server')) return json(404, {})
      const honest = await (await world.fetch(new URL(`${AS}/.well-known/oauth-authorization-server`))).json()
      return json(200, { ...honest, issuer: EVIL, token_endpoint: `${EVIL}/token`, revocation_endpoint: undefined })
    })

  test('the code of the honest one does not go to the evil one', async () => {
    const world = steadyWorld()
    evilMetadata(world)
    const { authorizationUrl, pending } = await init(EVIL, {}, world)
    expect(pending.issuer).toBe(EVIL)
    const callback = world.authorize(authorizationUrl)
    const stored = structuredClone(world.stores.pendingRecords)
    await refused(world, () => complete(callback, world), { code: 'CALLBACK_REFUSED', session: 'none', sent: [] })
    expect(world.stores.pendingRecords).toStrictEqual(stored)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test('nor if the attacker forges the issuer of the callback and responds for the victim', async () => {
    const world = steadyWorld()
    evilMetadata(world)
    const { authorizationUrl, pending } = await init(EVIL, {}, world)
    const callback = world.authorize(authorizationUrl).replace(/iss=[^&]+/, `iss=${encodeURIComponent(EVIL)}`)
    const tokens = { access_token: 'at-evil', refresh_token: 'ref-evil', token_type: 'DPoP', scope: 'atproto' }
    const asked: string[] = []
    const { fetch } = world
    world.serve(EVIL, async (request) => {
      asked.push(request.url)
      if (request.url.endsWith('/token')) return json(200, { ...tokens, expires_in: 60, sub: world.alice.did })
      const honest = await (await fetch(new URL(`${AS}/.well-known/oauth-authorization-server`))).json()
      return json(200, { ...honest, issuer: EVIL, token_endpoint: `${EVIL}/token`, revocation_endpoint: undefined })
    })
    await expect(complete(callback, world)).rejects.toMatchObject({
      code: 'ISSUER_MISMATCH',
      session: 'unknown',
    })
    expect(asked).toStrictEqual([`${EVIL}/.well-known/oauth-authorization-server`, `${EVIL}/token`])
    expect(world.stores.sessionRecords.size).toBe(0)
    expect(JSON.stringify(world.stores.pendingRecords.get(pending.state))).not.toMatch(/at-evil|ref-evil/)
    expect(world.sent((request) => stageOf(request) === 'call')).toStrictEqual([])
  })

  test('10.15 a session sends its token to the PDS of the DID document alone', async () => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    await session.call(GET_SESSION)
    const withToken = world.requests.filter(({ headers }) => headers['authorization'] !== undefined)
    expect(new Set(withToken.map(({ url }) => new URL(url).origin))).toStrictEqual(new Set([PDS]))
  })
})

describe('26.14 the account of a session', () => {
  const moveTo = (world: FakeWorld, issuer: string) => {
    world.faults.mutateDidDocument = (document) => ({
      ...document,
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: EVIL }],
    })
    world.serve(EVIL, () => json(200, { resource: EVIL, authorization_servers: [issuer] }))
  }
  /** What the PDS says of the account to a request of its own session. */
  const rejected = async (rsError: RsErrorName, change: (world: FakeWorld) => void = () => undefined) => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    await session.call(GET_SESSION)
    change(world)
    world.faults.rsError = rsError
    const { error } = await readXrpcError(GET_SESSION, await session.call(GET_SESSION), session.record(), world.now())
    const before = world.requests.length
    const explained = (await explainAccountState(error, GET_SESSION, session.record(), world)) as OAuthError
    return { world, error, explained, sent: world.requests.slice(before).map(stageOf) }
  }

  test.each<[RsErrorName, string, RegExp]>([
    ['deactivated', 'account-deactivated', /is deactivated at https:\/\/pds.fake.dev, and has not moved$/],
    ['takedown', 'account-taken-down', /is taken down at https:\/\/pds.fake.dev, and has not moved$/],
    ['accountNotFound', 'account-unclear', /has no account at https:\/\/pds.fake.dev, although/],
  ])('%s, and still there: the state is named', async (rsError, reason, message) => {
    const { explained, sent } = await rejected(rsError)
    expect(explained).toMatchObject({ code: 'XRPC_ERROR', session: 'unknown', facts: { reason } })
    expect(explained.message).toMatch(message)
    expect(sent).toStrictEqual(['did'])
  })

  test.each<RsErrorName>(['deactivated', 'takedown', 'accountNotFound'])(
    '%s, but moved: init at the new PDS, by DID and with the same scope',
    async (rsError) => {
      const { world, explained, sent } = await rejected(rsError, (world) => moveTo(world, EVIL))
      expect(explained.message).toContain(`${world.alice.did} has moved from ${PDS} to ${EVIL}`)
      expect(hintOf(explained)).toBe(`sign in at the new PDS: atproto-oauth init ${world.alice.did}`)
      expect(sent).toStrictEqual(['did', 'did', 'elsewhere'])
    },
  )

  test('moved to a PDS with the same issuer: the session stays, and a refresh finds the PDS', async () => {
    const { world, explained } = await rejected('deactivated', (world) => {
      moveTo(world, AS)
      world.faults.mutateAuthorizationServer = (document) => ({ ...document, protected_resources: [EVIL] })
    })
    expect(hintOf(explained)).toBe(`atproto-oauth refresh --account ${world.alice.did}`)
  })

  test('the DID cannot be resolved, or is gone: said, and nothing is concluded', async () => {
    const lost = await rejected('deactivated', (world) => {
      world.faults.httpFault = at('did', () => 'unreachable')
    })
    expect(lost.explained.message).toContain('whether the account has moved is not known: ')
    const gone = await rejected('accountNotFound', (world) => {
      world.faults.httpFault = at('did', () => json(404, {}))
    })
    expect(gone.explained.message).toContain('it was never registered, or was deleted')
    for (const { world, explained } of [lost, gone]) {
      expect(hintOf(explained)).toBe(`find out where the account is: atproto-oauth doctor ${world.alice.did}`)
    }
  })

  test('what a server says of another account, or of something else, stays as it is', async () => {
    const world = steadyWorld()
    const session = await openSession(await signedIn(world), world)
    await session.call(GET_SESSION)
    const explain = (serverError: string, status: number, repo: string) => {
      const error = new OAuthError('XRPC_ERROR', 'x', { facts: { serverError, status } })
      const request = { nsid: 'com.atproto.sync.getRepo', parameters: [['did', repo]] as const }
      return explainAccountState(error, request, session.record(), world).then((explained) => explained === error)
    }
    expect(await explain('RepoNotFound', 400, world.mallory.did)).toBe(true)
    expect(await explain('InvalidRequest', 400, world.alice.did)).toBe(true)
    expect(await explain('RepoDeactivated', 400, world.alice.did)).toBe(false)
    expect(await explain('AccountDeactivated', 401, world.mallory.did)).toBe(false)
  })
})
