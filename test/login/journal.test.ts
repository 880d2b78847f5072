/** What came back for a code is kept with the login until it is where it is wanted. */
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Completed } from '../../src/model.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { publishSet } from '../support/permission-sets.ts'

async function calledBack(world: FakeWorld) {
  const { authorizationUrl, pending } = await init('alice.fake.dev', {}, world)
  const callback = world.authorize(authorizationUrl)
  const record = () => world.stores.pendingRecords.get(pending.state)!
  const fail = (error: Error) => failure(complete(callback, { ...world, deliver: () => Promise.reject(error) }))
  return { callback, record, fail }
}

const FULL = new OAuthError('STORE_UNAVAILABLE', 'the disk is full')
const exchanges = (world: FakeWorld) => world.sent('token').filter(({ body }) => body.includes('code_verifier'))

describe('11.2 the credentials of a login', () => {
  test('are kept while they are delivered, and not any longer', async () => {
    const world = createFakeWorld()
    const { callback, record } = await calledBack(world)
    let meanwhile: unknown
    const deliver = async () => {
      meanwhile = record()
    }
    const { credentials } = await complete(callback, { ...world, deliver })
    expect(meanwhile).toMatchObject({ status: 'received', credentials })
    expect(record()).toMatchObject({ status: 'spent', outcome: 'completed' })
    expect(JSON.stringify(record())).not.toContain(credentials.refreshToken)
  })

  test('that could not be delivered: said, and delivered by the next run, without a request', async () => {
    const world = createFakeWorld()
    const { callback, record, fail } = await calledBack(world)
    const error = await fail(FULL)
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
    expect(error.message).toBe('the disk is full; the credentials are kept with the login')
    expect(record()).toMatchObject({ status: 'received' })

    const sent = world.requests.length
    const delivered: Completed[] = []
    const again = await complete(callback, { ...world, deliver: async (completed) => void delivered.push(completed) })
    expect(delivered).toStrictEqual([again])
    expect(again).toMatchObject({ handle: 'alice.fake.dev', grantedScope: 'atproto', missingScopes: [] })
    expect(again.credentials.refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    expect(world.requests).toHaveLength(sent)
    expect(record()).toMatchObject({ status: 'spent', outcome: 'completed' })
  })

  test('that could not be delivered: the state of the application is still known', async () => {
    const world = createFakeWorld()
    const { authorizationUrl } = await init('alice.fake.dev', { scope: 'atproto', appState: 'user 7' }, world)
    const callback = world.authorize(authorizationUrl)
    await failure(complete(callback, { ...world, deliver: () => Promise.reject(FULL) }))
    expect(await complete(callback, { ...world, deliver: async () => undefined })).toMatchObject({ appState: 'user 7' })
  })

  test('26.4 that could not be delivered: what was not granted of a permission set is still known', async () => {
    const world = createFakeWorld()
    publishSet(world, {
      permissions: ['post', 'like'].map((name) => ({ resource: 'repo', collection: [`dev.fake.lex.${name}`] })),
    })
    const scope = 'atproto include:dev.fake.lex.authAll'
    const { authorizationUrl } = await init('alice.fake.dev', { scope }, world)
    const callback = world.authorize(authorizationUrl, { scope: 'atproto repo:dev.fake.lex.post' })
    await failure(complete(callback, { ...world, deliver: () => Promise.reject(FULL) }))
    expect(await complete(callback, { ...world, deliver: async () => undefined })).toMatchObject({
      emptyIncludes: [],
      missingFromSets: ['repo:dev.fake.lex.like'],
    })

    publishSet(world, { permissions: [] })
    const next = await init('alice.fake.dev', { scope }, world)
    const back = world.authorize(next.authorizationUrl, { scope: 'atproto repo:dev.fake.lex.post' })
    await failure(complete(back, { ...world, deliver: () => Promise.reject(FULL) }))
    const { emptyIncludes } = await complete(back, { ...world, deliver: async () => undefined })
    expect(emptyIncludes).toStrictEqual(['include:dev.fake.lex.authAll'])
  })

  test('are not given for another code', async () => {
    const world = createFakeWorld()
    const { callback, record, fail } = await calledBack(world)
    await fail(FULL)
    const other = new URL(callback)
    other.searchParams.set('code', 'cod-another')
    const deliver = () => Promise.reject(new Error('delivered'))
    expect(await failure(complete(other.href, { ...world, deliver }))).toMatchObject({ code: 'CODE_USED' })
    expect(record()).toMatchObject({ status: 'received' })
    expect(exchanges(world)).toHaveLength(1)
  })

  test('that are safe elsewhere are not kept here too', async () => {
    const { record, fail } = await calledBack(createFakeWorld())
    const elsewhere = new OAuthError('SAVE_FAILED', 'they are in the per-user store')
    expect(await fail(elsewhere)).toMatchObject({
      message: elsewhere.message,
      session: 'alive',
      hasExplicitState: true,
    })
    expect(record()).toMatchObject({ status: 'spent', outcome: 'completed' })
  })

  test('that could not be stored: the session is ended, because it would be lost', async () => {
    const world = createFakeWorld()
    const { record, fail } = await calledBack(world)
    world.stores.failPut = ({ status }) => (status === 'received' ? new Error('disk full') : undefined)
    expect(await fail(new OAuthError('SAVE_FAILED', 'lost', { session: 'unknown' }))).toMatchObject({
      code: 'SAVE_FAILED',
      session: 'dead',
      message: 'cannot store the new session: lost; it was revoked',
    })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
    expect(record()).toMatchObject({ outcome: 'sent' })
  })
})
