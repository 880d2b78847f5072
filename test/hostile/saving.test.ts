/** What reaches a save target while servers misbehave, and what waits for whom while they are slow. */
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { failure } from '../support/failure.ts'
import { type FakeWorld, type Fault, json } from '../support/fake-atproto.ts'
import { html } from '../support/fake-bodies.ts'
import { at, GET_SESSION, type Stage, signedIn, stageOf, steadyWorld } from './flows.ts'

/** A world with one save target, and each refresh token that it was ever given. */
function savingWorld() {
  const world = steadyWorld()
  const given: (string | undefined)[] = []
  const target: SaveTarget = {
    name: 'exec:keep',
    durable: true,
    save: async (entries) => void given.push(new Map(entries).get('ATPROTO_OAUTH_REFRESH_TOKEN')),
  }
  world.saving = { inStore: false, targets: [target], open: () => target, checkDurable: () => undefined }
  return { world, given }
}

const call = async (world: FakeWorld, credentials: Awaited<ReturnType<typeof signedIn>>) =>
  (await openSession(credentials, world)).call(GET_SESSION)

describe('a save target is given no token that cannot be trusted', () => {
  test.each<[Stage, () => Fault, ErrorCode]>([
    ['did', () => html(500), 'SERVER_UNAVAILABLE'],
    ['prm', () => json(200, {}), 'METADATA_INVALID'],
    ['asm', () => 'lostAfter', 'NETWORK_LOST'],
  ])('%s fails: it is not touched', async (stage, fault, code) => {
    const { world, given } = savingWorld()
    const credentials = await signedIn(world)
    world.faults.httpFault = at(stage, fault)
    expect(await failure(call(world, credentials))).toMatchObject({ code, session: 'alive' })
    expect(given).toStrictEqual([])
  })

  test.each<[string, Partial<FakeWorld['faults']>, ErrorCode]>([
    ['refused', { httpFault: at('refresh', () => json(400, { error: 'invalid_request' })) }, 'REFRESH_REFUSED'],
    ['lost', { httpFault: at('refresh', () => 'lostAfter') }, 'REFRESH_AMBIGUOUS'],
    ['HTML', { httpFault: at('refresh', () => () => html()) }, 'REFRESH_AMBIGUOUS'],
    ['over', { httpFault: at('refresh', () => json(400, { error: 'invalid_grant' })) }, 'SESSION_DEAD'],
    [
      'for another account',
      { mutateToken: (answer) => ({ ...answer, sub: 'did:plc:mallory234567mallory2345' }) },
      'TOKEN_RESPONSE_INVALID',
    ],
    ['for Bearer', { mutateToken: (answer) => ({ ...answer, token_type: 'Bearer' }) }, 'TOKEN_RESPONSE_INVALID'],
  ])('the refresh is %s: it was tried with the token that was good, once', async (_, faults, code) => {
    const { world, given } = savingWorld()
    const credentials = await signedIn(world)
    Object.assign(world.faults, faults)
    expect(await failure(call(world, credentials))).toMatchObject({ code })
    expect(given).toStrictEqual([credentials.refreshToken])
  })

  test('the refresh is good: first the old one on trial, then the new one', async () => {
    const { world, given } = savingWorld()
    const credentials = await signedIn(world)
    expect((await call(world, credentials)).status).toBe(200)
    expect(given).toStrictEqual([credentials.refreshToken, world.currentRefreshToken(world.alice.did)])
  })
})

describe('11.5 a token endpoint that takes its time', () => {
  test.each<[string, Fault, ErrorCode | undefined]>([
    ['and responds', undefined, undefined],
    ['and drops the connection', 'lostAfter', 'REFRESH_AMBIGUOUS'],
    ['and fails', html(502), 'REFRESH_AMBIGUOUS'],
  ])('%s: whoever comes meanwhile waits, and nobody sends the same token beside it', async (_, fault, code) => {
    const world = steadyWorld()
    const credentials = await signedIn(world)
    let release = () => {}
    const slow = new Promise<void>((resolve) => (release = resolve))
    let arrived = () => {}
    const first = new Promise<void>((resolve) => (arrived = resolve))
    let refreshes = 0
    world.faults.httpFault = async (request) => {
      if (stageOf(request) !== 'refresh' || refreshes++ > 0) return undefined
      arrived()
      await slow
      return fault
    }
    const one = call(world, credentials)
    await first
    const others = [call(world, credentials), call(world, credentials)]
    release()
    if (code === undefined) {
      for (const response of await Promise.all([one, ...others])) expect(response.status).toBe(200)
      expect(refreshes).toBe(1)
      return
    }
    expect(await failure(one)).toMatchObject({ code, session: 'unknown' })
    await Promise.allSettled(others)
    // The others shared that refresh, or came later: then one of them found out by the one repetition that there is.
    await call(world, credentials).catch(() => undefined)
    expect(refreshes).toBe(2)
    expect(world.warnings.join()).toContain('an earlier refresh was sent, but no response was stored')
  })
})
