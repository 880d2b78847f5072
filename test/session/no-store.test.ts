/** A session whose refresh token only save targets are to have. */
import { describe, expect, test } from 'vitest'
import { parseDotenv } from '../../src/credentials/dotenv.ts'
import { toNodeSession } from '../../src/credentials/node-session.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { OAuthError } from '../../src/errors.ts'
import type { Credentials, SessionRecord } from '../../src/model.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { exportSession } from '../../src/session/export.ts'
import { importSession } from '../../src/session/import.ts'
import { moveToVault } from '../../src/session/move.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { tokenHash } from '../../src/session/token-family.ts'
import { createFakeStores } from '../../src/testing/memory-stores.ts'
import { failure } from '../support/failure.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { GET_SESSION, HOUR, isRefresh, signedIn, stored } from '../support/login.ts'

interface Target extends SaveTarget {
  /** What it has. */
  readonly saved: Credentials | undefined
  failure: Error | undefined
}

/** @param isReadable like a file, and not like a secret of GitHub */
function createTarget(name: string, isReadable: boolean): Target {
  let variables: Readonly<Record<string, string>> | undefined
  const target: Target = {
    name,
    durable: true,
    failure: undefined,
    get saved() {
      return variables && readCredentials(variables, false)
    },
    async save(entries) {
      if (target.failure) throw target.failure
      const text = entries.map(([key, value]) => `${key}='${value}'\n`).join('')
      variables = parseDotenv(text)
    },
    ...(isReadable && { read: async () => variables }),
  }
  return target
}

async function begin({ isReadable = false, withoutStore = true } = {}) {
  const { world, separate } = await signedIn()
  const name = isReadable ? 'file:/session.env' : 'gh:a/b'
  const target = createTarget(name, isReadable)
  const saving = { ...world.saving, targets: [target], withoutStore, open: () => target }
  return { world: { ...world, saving }, bare: world, target, separate }
}

const refreshesOf = (world: FakeWorld) => world.requests.filter(isRefresh).length
const tokensStored = (world: FakeWorld) =>
  world.stores.history.flatMap((record) =>
    'refreshToken' in record && record.refreshToken ? [record.refreshToken] : [],
  )
const current = (world: FakeWorld) => world.currentRefreshToken(world.alice.did)!

async function call(credentials: Credentials | undefined, world: FakeWorld): Promise<SessionRecord> {
  const session = credentials ? await openSession(credentials, world) : await openStoredSession(undefined, world)
  expect((await session.call(GET_SESSION)).status).toBe(200)
  return session.record()
}

test('a program that fails with the token that is good now may have emptied the only place: the store keeps it', async () => {
  const { world, target, separate, bare } = await begin()
  await call(separate, world)
  const { saved } = target
  world.advance(2 * HOUR)
  const written: (SessionRecord | undefined)[] = []
  const failing = {
    ...target,
    async save() {
      written.push(stored(world)) // as it is for the next run if this one is killed now
      throw new Error('killed by SIGKILL')
    },
  }
  const saving = { ...world.saving, targets: [failing], open: () => failing }
  await expect(call(saved, { ...world, saving })).rejects.toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
  const { refreshToken } = saved!
  expect(written).toMatchObject([{ refreshToken, undelivered: ['gh:a/b'] }])
  expect(stored(world)).toMatchObject({ refreshToken })
  expect(stored(world).undelivered).toBeUndefined()
  expect(refreshesOf(world)).toBe(1)
  // Without anything that the target had.
  await call(undefined, { ...bare, saving: { ...bare.saving, targets: [] } })
  expect(refreshesOf(world)).toBe(2)
})

describe('after a refresh', () => {
  test('the store has the access token and a hash of the refresh token, which the target has', async () => {
    const { world, target, separate } = await begin()
    const inUse = await call(separate, world)
    expect(inUse.refreshToken).toBe(current(world))
    expect(target.saved?.refreshToken).toBe(current(world))
    const record = stored(world)
    expect(record.refreshToken).toBeUndefined()
    expect(record).toMatchObject({
      accessToken: inUse.accessToken,
      tokenElsewhere: await tokenHash(current(world)),
      savedTo: ['gh:a/b'],
    })
    // Only while the target is tried, and between the response and its delivery.
    expect(tokensStored(world)).toStrictEqual([separate.refreshToken, current(world)])
  })

  test('calls with the credentials of the target use the access token, then refresh again', async () => {
    const { world, target, separate } = await begin()
    await call(separate, world)
    await call(target.saved, world)
    expect(refreshesOf(world)).toBe(1)
    world.advance(2 * HOUR)
    await call(target.saved, world)
    expect(refreshesOf(world)).toBe(2)
    expect(target.saved?.refreshToken).toBe(current(world))
    expect(stored(world).refreshToken).toBeUndefined()
    expect(stored(world).spentTokens).toHaveLength(2)
  })

  test('in one process too, which keeps the token in memory', async () => {
    const { world, separate } = await begin()
    const session = await openSession(separate, world)
    for (const _ of [1, 2, 3]) {
      await session.refresh()
      world.advance(2 * HOUR)
    }
    expect(refreshesOf(world)).toBe(3)
    expect(stored(world).refreshToken).toBeUndefined()
  })

  test('without the store being excluded, the next refresh keeps it there again', async () => {
    const { world, target, separate } = await begin()
    await call(separate, world)
    world.advance(2 * HOUR)
    await call(target.saved, { ...world, saving: { ...world.saving, withoutStore: false } })
    expect(stored(world)).toMatchObject({ refreshToken: current(world), tokenElsewhere: undefined })
  })
})

describe('a session that is in the store', () => {
  async function kept() {
    const { world, target, separate, bare } = await begin({ withoutStore: false })
    await call(separate, bare)
    expect(stored(bare).refreshToken).toBe(current(bare))
    const saving = { ...world.saving, withoutStore: true }
    return { world: { ...world, saving }, target }
  }

  test('is without its token after the next call, which needs no refresh for that', async () => {
    const { world, target } = await kept()
    await call(undefined, world)
    expect(refreshesOf(world)).toBe(1)
    expect(target.saved?.refreshToken).toBe(current(world))
    expect(stored(world).refreshToken).toBeUndefined()
    await call(target.saved, world)
  })

  test('keeps it while the target fails, and no longer', async () => {
    const { world, target } = await kept()
    target.failure = new Error('signed out')
    const session = await openStoredSession(undefined, world)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
    expect(stored(world)).toMatchObject({ refreshToken: current(world), undelivered: ['gh:a/b'] })
    target.failure = undefined
    await call(undefined, world)
    expect(stored(world).refreshToken).toBeUndefined()
  })
})

test.each([true, false])(
  'a failed delivery keeps the token until the next one: excluded again %s',
  async (withoutStore) => {
    const { world, target, separate } = await begin()
    const session = await openSession(separate, world)
    const { save } = target
    let saves = 0
    Object.assign(target, {
      save: async (entries: Parameters<SaveTarget['save']>[0]) => {
        saves += 1
        if (saves === 2) throw new Error('signed out') // the first one tries it with the old token
        await save(entries)
      },
    })
    const error = await failure(session.call(GET_SESSION))
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
    expect(error.message).toContain('the new credentials are in the store')
    expect(stored(world)).toMatchObject({ refreshToken: current(world), undelivered: ['gh:a/b'] })

    await call(separate, { ...world, saving: { ...world.saving, withoutStore } })
    expect(refreshesOf(world)).toBe(1)
    expect(target.saved?.refreshToken).toBe(current(world))
    expect(stored(world).refreshToken).toBeUndefined()
  },
)

describe('with an older token, or none', () => {
  async function rotated(isReadable: boolean) {
    const begun = await begin({ isReadable })
    await call(begun.separate, begun.world)
    return begun
  }

  test('the access token is used as long as it lasts', async () => {
    const { world, separate } = await rotated(false)
    await call(separate, world)
    await call(undefined, world)
    expect(refreshesOf(world)).toBe(1)
  })

  test.each(['older', 'none'] as const)(
    'then nothing is sent, and the error says where the newest is: %s',
    async (which) => {
      const { world, separate, target } = await rotated(false)
      world.advance(2 * HOUR)
      const session = which === 'older' ? openSession(separate, world) : openStoredSession(undefined, world)
      const before = structuredClone(stored(world))
      const error = await failure((await session).call(GET_SESSION))
      expect(error).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE', session: 'alive' })
      expect(error.facts).toMatchObject({ reason: 'token-elsewhere', targets: ['gh:a/b'] })
      expect(error.message).toMatch(/it was saved to gh:a\/b only; nothing was sent$/)
      expect(refreshesOf(world)).toBe(1)
      expect(stored(world)).toStrictEqual(before)
      await call(target.saved, world)
    },
  )

  test.each(['older', 'none'] as const)('a target that can be read has the newest: %s', async (which) => {
    const { world, separate } = await rotated(true)
    world.advance(2 * HOUR)
    await call(which === 'older' ? separate : undefined, world)
    expect(refreshesOf(world)).toBe(2)
    expect(stored(world).refreshToken).toBeUndefined()
  })

  test('a target that has an older one does not help', async () => {
    const { world, separate, target } = await rotated(true)
    world.advance(2 * HOUR)
    const older = { ...target, read: async () => ({ ...variablesOf(separate) }) }
    const restored = { ...world, saving: { ...world.saving, targets: [older] } }
    const session = await openStoredSession(undefined, restored)
    expect((await failure(session.refresh())).facts).toMatchObject({ reason: 'token-elsewhere' })
    expect(refreshesOf(world)).toBe(1)
  })
})

const variablesOf = ({ refreshToken, dpopPrivateJwk, server, did, clientId }: Credentials) => ({
  ATPROTO_OAUTH_REFRESH_TOKEN: refreshToken!,
  ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON.stringify(dpopPrivateJwk),
  ATPROTO_OAUTH_PDS_ISSUER: server!,
  ATPROTO_OAUTH_DID: did,
  ATPROTO_OAUTH_CLIENT_ID: clientId!,
})

describe('a request that was not sent', () => {
  test('leaves what is stored as it was', async () => {
    const { world, separate, target } = await begin()
    await call(separate, world)
    world.advance(2 * HOUR)
    const before = structuredClone(stored(world))
    world.faults.httpFault = (request) => (isRefresh(request) ? 'unreachable' : undefined)
    const session = await openSession(target.saved!, world)
    const error = await failure(session.refresh())
    expect(error.session).toBe('alive')
    expect(stored(world)).toStrictEqual(before)
    world.faults.httpFault = () => undefined
    await call(target.saved, world)
  })
})

test('a rejected token that is not the newest one does not end the session', async () => {
  const { world, separate, target } = await begin()
  await call(separate, world)
  world.advance(2 * HOUR)
  const forged = { ...separate, refreshToken: 'ref-of-nobody', rotation: 9 }
  const session = await openSession(forged, {
    ...world,
    saving: { ...world.saving, targets: [createTarget('gh:c/d', false)] },
  })
  expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_DEAD', session: 'unknown' })
  await call(target.saved, world)
  expect(world.sessionAlive(world.alice.did)).toBe(true)
})

describe('two at once with the same credentials', () => {
  test.each([true, false])('one refreshes, and the other sends no spent token: readable %s', async (isReadable) => {
    const { world, separate } = await begin({ isReadable })
    const another = { ...world, stores: { ...world.stores, sessions: { ...world.stores.sessions } } }
    await Promise.all([call(separate, world), call(separate, another)])
    expect(refreshesOf(world)).toBe(1)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
    expect(stored(world).refreshToken).toBeUndefined()
  })
})

describe('other operations', () => {
  async function apart(isReadable: boolean) {
    const begun = await begin({ isReadable })
    await call(begun.separate, begun.world)
    return begun
  }

  test('revoke finds the token in a file, and otherwise says where it is', async () => {
    const { world, separate } = await apart(false)
    const error = await failure(revoke(stored(world), world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE', facts: { reason: 'token-elsewhere' } })
    expect(await failure(revoke((await openSession(separate, world)).record(), world))).toMatchObject({
      facts: { reason: 'token-elsewhere' },
    })
    expect(world.sessionAlive(world.alice.did)).toBe(true)

    const readable = await apart(true)
    expect(await revoke(stored(readable.world), readable.world)).toMatchObject({ outcome: 'revoked' })
    expect(readable.world.sessionAlive(readable.world.alice.did)).toBe(false)
    expect(readable.world.stores.sessionRecords.size).toBe(0)
  })

  test('revoke with the token of the target', async () => {
    const { world, target } = await apart(false)
    const session = await openSession(target.saved!, world)
    expect(await revoke(session.record(), world)).toMatchObject({ outcome: 'revoked' })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('export needs the token, and leaves its hash', async () => {
    const { world, target } = await apart(false)
    const hand = async () => undefined
    const bare = await openStoredSession(undefined, world)
    expect(await failure(exportSession(bare, hand, {}, world))).toMatchObject({ facts: { reason: 'token-elsewhere' } })
    await exportSession(await openSession(target.saved!, world), hand, {}, world)
    const { ended, tokenElsewhere } = stored(world)
    expect(tokenElsewhere).toBeUndefined()
    expect(ended?.handedOver).toBe(await tokenHash(current(world)))
  })

  test('a move into the vault needs the token, and takes no trace of the target along', async () => {
    const { world, target } = await apart(false)
    const vault = { ...createFakeStores().sessions, place: async () => 'git:https://example.com/vault' }
    const ports = { ...world, stores: { ...world.stores, local: world.stores.sessions, vault } }
    const before = structuredClone(stored(world))
    expect(await failure(moveToVault(stored(world), ports))).toMatchObject({ facts: { reason: 'token-elsewhere' } })
    expect(stored(world)).toStrictEqual(before)
    const session = await openSession(target.saved!, world)
    expect(await moveToVault(session.record(), ports)).toStrictEqual(['gh:a/b'])
    const moved = await vault.read(before.thumbprint)
    expect(moved).toMatchObject({ refreshToken: current(world), tokenElsewhere: undefined })
    expect(stored(world).ended?.movedTo).toBe('git:https://example.com/vault')
    expect(stored(world).tokenElsewhere).toBeUndefined()
  })

  test('an import of the newest token knows how old it is; one of an older token says where that is', async () => {
    const { world, target, separate } = await apart(false)
    const { accessToken, issuer, scope, rotation } = stored(world)
    const value = (credentials: Credentials) => toNodeSession({ ...credentials, accessToken, issuer, scope })
    const clientId = separate.clientId!
    const error = await failure(importSession(value(separate), { clientId }, world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE', facts: { reason: 'token-elsewhere' } })
    const imported = await importSession(value(target.saved!), { clientId }, world)
    expect(imported).toMatchObject({ refreshToken: current(world), rotation, rotatedAt: stored(world).rotatedAt })
  })

  test('a session that the server has ended', async () => {
    const { world, target } = await apart(false)
    await revoke((await openSession(target.saved!, { ...world, stores: (await begin()).world.stores })).record(), {
      ...world,
      stores: (await begin()).world.stores,
    })
    world.advance(2 * HOUR)
    const session = await openSession(target.saved!, world)
    expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
    expect(stored(world).tokenElsewhere).toBeUndefined()
  })

  test('a new session is not kept at all; one that could not be delivered is removed later', async () => {
    const { world, separate, target } = await begin()
    await saveSession(separate, undefined, world)
    expect(world.stores.sessionRecords.size).toBe(0)
    target.failure = new OAuthError('SAVE_FAILED', 'signed out')
    await failure(saveSession(separate, undefined, world))
    expect(stored(world)).toMatchObject({ refreshToken: separate.refreshToken, undelivered: ['gh:a/b'] })
    target.failure = undefined
    await call(undefined, { ...world, saving: { ...world.saving, withoutStore: false, targets: [] } })
    expect(target.saved?.refreshToken).toBeDefined()
  })
})
