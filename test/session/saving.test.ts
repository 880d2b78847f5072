import { describe, expect, test } from 'vitest'
import { parseDotenv } from '../../src/credentials/dotenv.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { dotenvLines, type Entries } from '../../src/credentials/write.ts'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Completed } from '../../src/model.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { createFakeStores } from '../../src/testing/memory-stores.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { CALM, GET_SESSION, HOUR, signIn } from '../support/login.ts'

const inStore = (world: FakeWorld) => ({ ...world, saving: { ...world.saving, inStore: true } })

describe('20.6 a new session that cannot be stored', () => {
  /** All that `complete` could write to fails from the moment when the code was sent. */
  async function nowhere(world: FakeWorld, deliver: () => Promise<void>) {
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const callback = world.authorize(authorizationUrl)
    world.stores.failPut = (record) => (record.status === 'received' ? new Error('disk full') : undefined)
    world.stores.failCommit = () => new Error('disk full')
    return { callback, error: await failure(complete(callback, { ...world, deliver })) }
  }

  test('is ended again, and nothing of it is left', async () => {
    const world = createFakeWorld()
    const { error } = await nowhere(world, () => Promise.reject(new Error('no paper')))
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'dead' })
    expect(error.message).toBe('cannot store the new session: no paper; it was revoked')
    expect(error.facts).toMatchObject({ reason: 'session-not-stored', handle: 'alice.fake.dev' })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test.each(['unavailable', 'absent'] as const)(
    'and that it could not be ended is said: revocation %s',
    async (revocation) => {
      const world = createFakeWorld({ faults: { revocation } })
      const { error } = await nowhere(world, () => Promise.reject(new Error('no paper')))
      expect(error.message).toContain('no paper; it will expire by itself')
      expect(error.session).toBe('dead')
    },
  )

  test('lives if it was kept with the login: the next complete delivers it', async () => {
    const world = createFakeWorld()
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const callback = world.authorize(authorizationUrl)
    world.stores.failCommit = () => new Error('disk full')
    const deliver = async ({ credentials, handle }: Completed) => {
      await saveSession(credentials, handle, inStore(world))
    }
    const error = await failure(complete(callback, { ...world, deliver }))
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
    world.stores.failCommit = () => undefined
    await complete(callback, { ...world, deliver })
    expect(world.sent('token')).toHaveLength(1)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect(world.stores.sessionRecords.size).toBe(1)
  })

  test('a save target that fails is another matter: the store has it, and it lives', async () => {
    const world = createFakeWorld()
    const { credentials, handle } = await signIn(world)
    const target = { name: 'file:/x', durable: true, save: () => Promise.reject(new Error('no room')) }
    const saving = { ...world.saving, targets: [target] }
    expect(await failure(saveSession(credentials, handle, { ...world, saving }))).toMatchObject({ code: 'SAVE_FAILED' })
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect([...world.stores.sessionRecords.values()]).toMatchObject([{ undelivered: ['file:/x'] }])
  })
})

test.each([
  ['the store', true],
  ['another target', false],
])('a target that fails is given up once %s is named instead', async (_, inStore) => {
  const world = createFakeWorld()
  const { credentials, handle } = await signIn(world)
  const broken = { name: 'exec:broken', durable: true, save: () => Promise.reject(new Error('signed out')) }
  const good = { name: 'file:/good', durable: true, save: async () => undefined }
  const open = () => broken
  await failure(saveSession(credentials, handle, { ...world, saving: { ...world.saving, targets: [broken], open } }))
  const call = async (saving: Partial<FakeWorld['saving']>) =>
    (await openStoredSession(undefined, { ...world, saving: { ...world.saving, open, ...saving } })).refresh()
  expect(await failure(call({}))).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
  expect(await failure(call({ inStore: true, targets: [broken] }))).toMatchObject({ code: 'SAVE_FAILED' })
  await call(inStore ? { inStore } : { targets: [good] })
  expect(world.warnings.join()).toContain('exec:broken keeps older credentials, because other save targets were given')
  await call({})
  expect(world.sessionAlive(world.alice.did)).toBe(true)
})

test('credentials of an old copy that were never delivered do not replace the newer ones in a save target', async () => {
  const world = createFakeWorld()
  const { credentials, handle } = await signIn(world)
  let isWritable = false
  const saved: unknown[] = []
  const target = {
    name: 'file:/x',
    durable: true,
    async save(entries: unknown) {
      if (!isWritable) throw new Error('no room')
      saved.push(entries)
    },
  }
  const saving = { ...world.saving, targets: [target], open: () => target }
  await failure(saveSession(credentials, handle, { ...world, saving }))
  isWritable = true
  const outdated = new OAuthError('SESSION_OUTDATED', 'an old copy')
  const sessions = { ...world.stores.sessions, assertNewest: () => Promise.reject(outdated) }
  const restored = { ...world, saving, stores: { ...world.stores, sessions } }
  const session = await openStoredSession(undefined, restored)
  expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_OUTDATED' })
  expect(saved).toStrictEqual([])
  await (await openStoredSession(undefined, { ...world, saving })).refresh()
  expect(saved.length).toBeGreaterThan(0)
})

test('a login that is delivered again, from a store that does not know what became of it: a newer copy stays', async () => {
  const world = createFakeWorld()
  const { credentials, handle } = await signIn(world)
  let variables: Record<string, string> = {}
  const target = {
    name: 'file:/x',
    durable: true,
    read: async () => variables,
    save: async (entries: Entries) => {
      variables = parseDotenv(dotenvLines(entries))
    },
  }
  const saving = { ...world.saving, targets: [target] }
  await saveSession(credentials, handle, { ...world, saving })
  const elsewhere = { ...world, saving, stores: createFakeStores() }
  await (await openSession(readCredentials(variables, false)!, elsewhere)).refresh()
  await saveSession(credentials, handle, { ...world, saving })
  expect(variables).toMatchObject({
    ATPROTO_OAUTH_REFRESH_TOKEN: world.currentRefreshToken(world.alice.did),
    ATPROTO_OAUTH_ROTATION: '1',
  })
})

describe('10.17 a second login of the same account', () => {
  async function twoLogins() {
    const world = createFakeWorld({ faults: CALM })
    const first = await signIn(world)
    await saveSession(first.credentials, first.handle, inStore(world))
    world.advance(60_000)
    const second = await signIn(world, 'atproto')
    await saveSession(second.credentials, second.handle, inStore(world))
    return { world, first, second }
  }

  test('leaves the first alone: a job or another machine may live by it', async () => {
    const { world, first, second } = await twoLogins()
    expect(world.sessions.filter(({ endedBecause }) => endedBecause === undefined)).toHaveLength(2)
    for (const { credentials } of [first, second]) {
      const session = await openSession({ ...credentials, accessToken: undefined }, world)
      expect((await session.call(GET_SESSION)).status).toBe(200)
    }
  })

  test('is the one that is used from the store, also once the first is refreshed later', async () => {
    const { world, first, second } = await twoLogins()
    world.advance(HOUR)
    await (await openSession(first.credentials, world)).refresh()
    const session = await openStoredSession(world.alice.did, world)
    expect(session.record().thumbprint).toBe(second.credentials.thumbprint)
  })

  test('once it is revoked, the first is next, so that none is forgotten', async () => {
    const { world, first } = await twoLogins()
    await revoke((await openStoredSession(undefined, world)).record(), world)
    const session = await openStoredSession(undefined, world)
    expect(session.record().thumbprint).toBe(first.credentials.thumbprint)
    await revoke(session.record(), world)
    expect(await failure(openStoredSession(undefined, world))).toMatchObject({ code: 'SESSION_MISSING' })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })
})
