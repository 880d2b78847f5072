/** Which sessions of an account a new login leaves behind, and what they allow. */
import { describe, expect, test } from 'vitest'
import { savedEntries } from '../../src/credentials/write.ts'
import type { Credentials } from '../../src/model.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { broaderScopes, type EarlierOptions, findEarlier } from '../../src/session/earlier.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { CALM, HOUR, signIn, stored } from '../support/login.ts'

const DAY = 24 * HOUR
const calmWorld = () => createFakeWorld({ faults: CALM })
const withTargets = (world: FakeWorld, ...targets: SaveTarget[]) => ({ ...world, saving: { ...world.saving, targets } })

function target(name: string, content: Credentials | Record<string, string> | Error): SaveTarget {
  const variables = () => {
    if (content instanceof Error) throw content
    return 'did' in content ? Object.fromEntries(savedEntries(content as Credentials, false)) : content
  }
  return { name, durable: true, save: async () => undefined, read: async () => variables() as Record<string, string> }
}

async function keep(world: FakeWorld, credentials: Credentials): Promise<void> {
  await saveSession(credentials, undefined, { ...world, saving: { ...world.saving, inStore: true } })
}

/** Where each one is. */
async function places(world: FakeWorld, options: EarlierOptions = {}, ...targets: SaveTarget[]) {
  const found = await findEarlier(world.alice.did, options, withTargets(world, ...targets))
  return found.map(({ isStored, isGiven, targets }) => ({ isStored, isGiven, targets }))
}

describe('found', () => {
  test('in the store, as given and in a save target: each session once', async () => {
    const world = calmWorld()
    expect(await places(world)).toStrictEqual([])
    const [one, two] = [(await signIn(world)).credentials, (await signIn(world)).credentials]
    await keep(world, one)
    expect(await places(world)).toStrictEqual([{ isStored: true, isGiven: false, targets: [] }])
    const all = await places(world, { given: one }, target('file:/a', two), target('file:/b', two))
    expect(all).toStrictEqual([
      { isStored: true, isGiven: true, targets: [] },
      { isStored: false, isGiven: false, targets: ['file:/a', 'file:/b'] },
    ])
    expect(await places(world, { given: two, except: one.thumbprint })).toStrictEqual([
      { isStored: false, isGiven: true, targets: [] },
    ])
  })

  test('with its newest tokens', async () => {
    const world = calmWorld()
    const { credentials } = await signIn(world)
    await keep(world, credentials)
    await (await openSession(credentials, world)).refresh()
    const [found] = await findEarlier(world.alice.did, { given: credentials }, world)
    expect(found!.record.refreshToken).toBe(stored(world).refreshToken)
    expect(found!.record.refreshToken).not.toBe(credentials.refreshToken)
  })
})

describe('not found', () => {
  test('of another account', async () => {
    const world = calmWorld()
    const { credentials } = await signIn(world)
    await keep(world, credentials)
    expect(await findEarlier(world.mallory.did, { given: credentials }, world)).toStrictEqual([])
  })

  test('one that has ended: by its record, by its deadline, or because it was revoked from here', async () => {
    const world = calmWorld()
    const { credentials } = await signIn(world)
    await keep(world, credentials)
    const record = stored(world)
    world.stores.sessionRecords.set(record.thumbprint, { ...record, ended: { at: 1, reason: 'replayed' } })
    expect(await places(world)).toStrictEqual([])
    world.stores.sessionRecords.clear()
    await revoke(record, world)
    expect(await places(world, { given: credentials }, target('file:/a', credentials))).toStrictEqual([])
    const later = (await signIn(world)).credentials
    await keep(world, later)
    world.advance(15 * DAY)
    expect(await places(world)).toStrictEqual([])
  })

  test('a lease, and what cannot be read', async () => {
    const world = calmWorld()
    const { did, dpopPrivateJwk, accessToken } = (await signIn(world)).credentials
    const unreadable = { ATPROTO_OAUTH_SESSION: 'damaged' }
    world.stores.sessions.list = () => Promise.reject(new (class extends Error {})('no disk'))
    await expect(places(world)).rejects.toThrow('no disk') // none of ours
    world.stores.sessions.list = async () => []
    const given = { did, dpopPrivateJwk, accessToken }
    expect(await places(world, { given }, target('file:/a', unreadable))).toStrictEqual([])
  })
})

describe('what the earlier one allows besides', () => {
  const GENERIC = 'atproto transition:generic'
  test.each<[string, string, string[]]>([
    ['the same', GENERIC, []],
    ['atproto', GENERIC, []],
    [GENERIC, 'atproto', ['transition:generic']],
    ['atproto repo:app.bsky.feed.post?action=create', GENERIC, []],
    ['atproto repo:app.bsky.feed.post', 'atproto repo:app.bsky.feed.post?action=create', ['repo:app.bsky.feed.post']],
    [
      'atproto repo:app.bsky.feed.post',
      'atproto repo?collection=app.bsky.feed.post&action=create&action=update&action=delete',
      [],
    ],
    ['atproto blob:*/*', 'atproto blob:image/*', ['blob:*/*']],
    ['atproto include:a.b.c', GENERIC, ['include:a.b.c']],
    ['atproto include:a.b.c', 'atproto include:a.b.c', []],
  ])('%s, then %s', async (earlier, later, more) => {
    const world = calmWorld()
    await keep(world, (await signIn(world)).credentials)
    const scope = earlier === 'the same' ? later : earlier
    expect(broaderScopes({ ...stored(world), scope }, later)).toStrictEqual(more)
  })

  test('of separate variables: what the client_id declares; without that it is not known', async () => {
    const world = calmWorld()
    await keep(world, (await signIn(world)).credentials)
    const record = { ...stored(world), scope: '' }
    expect(broaderScopes(record, 'atproto')).toStrictEqual(['transition:generic'])
    expect(broaderScopes({ ...record, clientId: 'https://a.dev/c.json' }, 'atproto')).toBeUndefined()
  })
})
