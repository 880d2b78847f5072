/** One refresh token, one request: however many callers, processes and stores want it. */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { openTarget } from '../../src/node/save/targets.ts'
import { LOCK_TIMES } from '../../src/node/store/lock.ts'
import { createSessionStore, SAVE_TIMES } from '../../src/node/store/sessions.ts'
import { TOKEN_TIMEOUT } from '../../src/protocol/oauth/server-agent.ts'
import { openSession } from '../../src/session/open.ts'
import { tempFolder } from '../node/helpers.ts'
import { failure } from '../support/failure.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { GET_SESSION, HOUR, isRefresh, signedIn, stored } from '../support/login.ts'

describe('a process that was suspended does not send', () => {
  test('the last confirmation, two attempts and the save end before others take over', () => {
    const attempts = 2 // the second after a nonce challenge; each is confirmed
    const longest = LOCK_TIMES.oldestConfirmation + attempts * TOKEN_TIMEOUT * 1000 + SAVE_TIMES.nowhere
    expect(longest).toBeLessThan(LOCK_TIMES.stale)
    expect(LOCK_TIMES.heartbeat * 3).toBeLessThan(LOCK_TIMES.stale)
  })

  test('another process has taken over: nothing is sent, and the session lives', async () => {
    const { world, separate } = await signedIn()
    world.stores.failConfirm = () => new OAuthError('SESSION_BUSY', 'another process has taken over')
    const session = await openSession(separate, world)
    expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_BUSY', session: 'alive' })
    expect(world.sent(isRefresh)).toHaveLength(0)
    world.stores.failConfirm = () => undefined
    await session.refresh()
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('an old copy, as this machine knows: nothing is sent, and nothing is recorded', async () => {
    const { world, separate } = await signedIn()
    const outdated = new OAuthError('SESSION_OUTDATED', 'an old copy')
    const sessions = { ...world.stores.sessions, assertNewest: () => Promise.reject(outdated) }
    const session = await openSession(separate, { ...world, stores: { ...world.stores, sessions } })
    expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_OUTDATED' })
    expect(world.sent(isRefresh)).toHaveLength(0)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test('it is asked again before the retry with a nonce', async () => {
    const { world, separate } = await signedIn()
    let confirmations = 0
    world.stores.failConfirm = () => {
      confirmations += 1
    }
    await (await openSession(separate, world)).refresh()
    expect(confirmations).toBe(world.sent(isRefresh).length)
    expect(confirmations).toBeGreaterThan(0)
  })
})

describe('many callers in one process', () => {
  test('2,000 with an expired token: one refresh, all get their response', async () => {
    const { world, separate } = await signedIn()
    const first = await openSession(separate, world)
    await first.refresh()
    world.advance(2 * HOUR)
    const refreshes = world.sent(isRefresh).length
    const others = await Promise.all([1, 2, 3].map(() => openSession(separate, world)))
    const sessions = [first, ...others]
    const calls = Array.from({ length: 2000 }, (_, at) => sessions[at % sessions.length]!.call(GET_SESSION))
    expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toStrictEqual(new Set([200]))
    expect(world.sent(isRefresh)).toHaveLength(refreshes + 1)
  })

  test('2,000 that ask for a refresh: they share it, and whoever asks afterwards gets another', async () => {
    const { world, separate } = await signedIn()
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(separate, world)))
    await Promise.all(Array.from({ length: 2000 }, (_, at) => sessions[at % sessions.length]!.refresh()))
    expect(world.sent(isRefresh)).toHaveLength(1)
    await sessions[0]!.refresh()
    expect(world.sent(isRefresh)).toHaveLength(2)
  })

  test('a failure is that of all, once', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    world.faults.httpFault = (request) => (isRefresh(request) ? 'unreachable' : undefined)
    const calls = await Promise.allSettled(Array.from({ length: 20 }, () => session.call(GET_SESSION)))
    expect(new Set(calls.map((call) => call.status === 'rejected' && call.reason.code))).toStrictEqual(
      new Set(['NETWORK_UNREACHABLE']),
    )
    expect(world.sent(isRefresh)).toHaveLength(1)
    world.faults.httpFault = () => undefined
    expect((await session.call(GET_SESSION)).status).toBe(200)
  })

  test('whoever gives up gets the reason of their own signal; the refresh goes on for the others', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    const controller = new AbortController()
    const reason = new Error('no longer interested')
    world.faults.httpFault = (request) => {
      if (isRefresh(request)) controller.abort(reason)
      return undefined
    }
    const path = `/xrpc/${GET_SESSION.nsid}`
    const mine = session.fetchHandler(path, { signal: controller.signal })
    const theirs = session.fetchHandler(path)
    await expect(mine).rejects.toBe(reason)
    expect((await theirs).status).toBe(200)
    await expect(session.fetchHandler(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(stored(world).intent).toBeUndefined()
  })

  test('whoever has given up before starts no refresh, which nobody would wait for', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    const path = `/xrpc/${GET_SESSION.nsid}`
    const reason = new Error('no longer interested')
    await expect(session.fetchHandler(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await session.settled()
    expect(world.sent(isRefresh)).toHaveLength(0)
  })
})

describe('two stores with one file as their save target', () => {
  async function machines(world: FakeWorld) {
    const file = `file:${join(await tempFolder(), 'session.env')}`
    const machine = async (): Promise<FakeWorld> => {
      const open = (name: string) => openTarget(name, { environment: {} })
      const sessions = createSessionStore(await tempFolder(), { holdSignals: (work) => work() })
      const stores = { ...world.stores, sessions }
      return { ...world, stores, saving: { ...world.saving, targets: [open(file)], open } }
    }
    return { path: file.slice('file:'.length), one: await machine(), other: await machine() }
  }

  test('both refresh at once, again and again: the session lives, and the file has the newest token', async () => {
    const { world, separate } = await signedIn()
    const { path, one, other } = await machines(world)
    for (let round = 0; round < 5; round += 1) {
      const sessions = await Promise.all(
        [one, other].map((machine) => openSession({ ...separate, rotation: 0 }, machine)),
      )
      await Promise.all(sessions.map((session) => session.refresh()))
      expect(world.sessionAlive(world.alice.did)).toBe(true)
      expect(await readFile(path, 'utf8')).toContain(world.currentRefreshToken(world.alice.did))
      world.advance(2 * HOUR)
    }
  })

  test('an older copy in the file is not sent', async () => {
    const { world, separate } = await signedIn()
    const { path, one } = await machines(world)
    const session = await openSession(separate, one)
    await session.refresh()
    const old = await readFile(path, 'utf8')
    await session.refresh()
    await writeFile(path, old)
    world.advance(2 * HOUR)
    expect((await (await openSession(separate, one)).call(GET_SESSION)).status).toBe(200)
    expect(await readFile(path, 'utf8')).toContain(world.currentRefreshToken(world.alice.did))
  })

  test('the file cannot be locked: nothing is sent, and the target is named', async () => {
    const { world, separate } = await signedIn()
    const { path, one } = await machines(world)
    await writeFile(join(dirname(path), '.session.env.lock'), '')
    const error = await failure((await openSession(separate, one)).refresh())
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'alive', facts: { reason: 'target-failed' } })
    expect(error.message).toMatch(/^cannot save to file:.*; nothing was sent, and the credentials are unchanged$/)
    expect(world.sent(isRefresh)).toHaveLength(0)
  })

  test('two files whose names begin alike have a lock each', async () => {
    const folder = await tempFolder()
    const [one, other] = ['a', 'b'].map((end) =>
      openTarget(`file:${folder}/${'x'.repeat(200)}${end}`, { environment: {} }),
    )
    expect(await one!.lock!(() => other!.lock!(async () => 'both'))).toBe('both')
  })

  test('copies without an order, in the file and elsewhere: nothing is sent, and both are named', async () => {
    const { world, separate } = await signedIn()
    const { path, one, other } = await machines(world)
    await (await openSession(separate, one)).refresh()
    await writeFile(path, (await readFile(path, 'utf8')).replace(/^ATPROTO_OAUTH_ROTATION=.*\n/m, ''))
    const sent = world.sent(isRefresh).length
    const session = await openSession({ ...separate, refreshToken: 'another-token' }, other)
    const error = await failure(session.refresh())
    expect(error).toMatchObject({ code: 'COPIES_DIFFER', session: 'alive' })
    expect(error.message).toContain(`file:${path} and the session in use have different refresh tokens`)
    expect(world.sent(isRefresh)).toHaveLength(sent)
  })
})
