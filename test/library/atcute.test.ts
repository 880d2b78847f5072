/** Sessions on their way to `@atcute/oauth-node-client` and back, with that library itself. */
import { OAuthClient as AtcuteClient, MemoryStore, type StoredSession } from '@atcute/oauth-node-client'
import { expect, test } from 'vitest'
import { type AtcuteSession, memoryStores } from '../../src/index.ts'
import type { HttpInit } from '../../src/ports.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { CALM } from '../support/login.ts'
import { clientOf, SCOPE } from './support.ts'

type AtcuteDid = Parameters<AtcuteClient['restore']>[0]
const SESSION = '/xrpc/com.atproto.server.getSession'

function atcuteIn(world: FakeWorld) {
  const sessions = new MemoryStore<AtcuteDid, StoredSession>({ maxSize: 10 })
  const send = async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init)
    const body = request.body === null ? undefined : await request.text()
    const headers = Object.fromEntries(request.headers)
    const sent: HttpInit = { method: request.method, headers, ...(body !== undefined && { body }) }
    return world.fetch(new URL(request.url), sent)
  }
  const client = new AtcuteClient({
    metadata: { redirect_uris: ['http://127.0.0.1/callback'], scope: SCOPE },
    actorResolver: {
      resolve: async () => ({ did: world.alice.did as AtcuteDid, handle: 'alice.fake.dev', pds: world.pds }),
    },
    stores: { sessions, states: new MemoryStore({ maxSize: 10 }) },
    fetch: send as typeof fetch,
  })
  return { client, sessions }
}

test('one of ours is used and refreshed there, comes back refreshed, and is used and refreshed here', async () => {
  const world = createFakeWorld({ faults: CALM, startAt: Date.now() })
  const ours = clientOf(world)
  const atcute = atcuteIn(world)
  const clientId = atcute.client.metadata.client_id!
  const { url } = await ours.authorize('alice.fake.dev', { clientId, scope: SCOPE })
  const session = await ours.callback(world.authorize(url))
  expect(session.status.clientId).toBe(clientId)

  const did = session.did as AtcuteDid
  await session.handOver('atcute', (value: AtcuteSession) => atcute.sessions.set(did, value as StoredSession))
  const theirs = await atcute.client.restore(did)
  expect((await theirs.handle(SESSION, {})).status).toBe(200)
  const before = (await atcute.sessions.get(did))!.tokenSet.refresh_token
  await atcute.client.restore(did, { refresh: true })
  const stored = (await atcute.sessions.get(did))!
  expect(stored.tokenSet.refresh_token).not.toBe(before)

  const elsewhere = clientOf(world, { stores: memoryStores() })
  for (const client of [elsewhere, ours]) {
    const back = await client.importSession(JSON.parse(JSON.stringify(stored)), { clientId })
    expect(await back.query('com.atproto.server.getSession')).toMatchObject({ did })
    if (client === ours) await back.refresh()
  }
  expect(world.sessionAlive(did)).toBe(true)
  expect(await failure(ours.importSession(stored, { clientId }))).toMatchObject({ code: 'CREDENTIALS_MISMATCH' })
})

test('one that was made there', async () => {
  const world = createFakeWorld({ faults: CALM, startAt: Date.now() })
  const atcute = atcuteIn(world)
  const { url } = await atcute.client.authorize({
    target: { type: 'account', identifier: 'alice.fake.dev' },
    scope: SCOPE,
  })
  const callback = new URL(world.authorize(url))
  const { session } = await atcute.client.callback(callback.searchParams)
  const value = await atcute.sessions.get(session.did)
  const ours = await clientOf(world).importSession(value, { clientId: atcute.client.metadata.client_id! })
  await ours.refresh()
  expect(await ours.query('com.atproto.server.getSession')).toMatchObject({ did: session.did })
})
