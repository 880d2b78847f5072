import { describe, expect, test } from 'vitest'
import { openSession } from '../../src/session/open.ts'
import { type Revoked, revoke } from '../../src/session/revoke.ts'
import { toSessionRecord } from '../../src/session/token-family.ts'
import type { Faults } from '../../src/testing/faults.ts'
import { createFakeWorld, type FakeWorld, type Fault, json } from '../support/fake-atproto.ts'
import { endless, html, redirect } from '../support/fake-bodies.ts'
import { at, GET_SESSION, refused, signedIn, stageOf, steadyWorld } from './flows.ts'

/** A session that is in the store, as after a call. */
async function stored(world: FakeWorld) {
  const session = await openSession(await signedIn(world), world)
  await session.call(GET_SESSION)
  expect(world.stores.sessionRecords.size).toBe(1)
  return session.record()
}

describe('16.8 what revoke says is what the server did, and nothing stays here', () => {
  test.each<[string, Partial<Faults>, Revoked['outcome'], boolean]>([
    ['200 (reference)', {}, 'revoked', false],
    ['200 even to bad proofs, with nonces that rotate', { asNonces: 'rotate' }, 'revoked', false],
    ['a nonce asked for aloud', { revocation: 'challenge', asNonces: 'rotate' }, 'revoked', false],
    ['a nonce asked for without end', { revocation: 'challenge', asNonces: 'alwaysChallenge' }, 'unconfirmed', true],
    ['503', { revocation: 'unavailable' }, 'unconfirmed', true],
    ['no such endpoint', { revocation: 'absent' }, 'unsupported', true],
    ['the other server', { personality: 'cirrus' }, 'unsupported', true],
  ])('%s', async (_, faults, outcome, alive) => {
    const world = createFakeWorld({ faults })
    world.faults.asNonces = 'constant'
    const record = await stored(world)
    world.forgetNonces()
    Object.assign(world.faults, faults)
    const before = world.requests.length
    await expect(revoke(record, world)).resolves.toMatchObject({ outcome })
    expect(world.sessionAlive(world.alice.did)).toBe(alive)
    expect(world.stores.sessionRecords.size + world.stores.nonces.size).toBe(0)
    const stages = world.requests.slice(before).map(stageOf)
    expect(stages.filter((stage) => stage !== 'revoke')).toStrictEqual(['asm'])
  })

  test.each<[string, () => Fault, boolean]>([
    ['400', () => json(400, { error: 'unsupported_token_type' }), true],
    ['401', () => json(401, { error: 'invalid_client' }), true],
    ['404 HTML', () => html(404), true],
    ['429', () => html(429), true],
    ['500 never-ending', () => endless(500).answer, true],
    ['302', () => redirect(302, 'https://evil.fake.dev/revoke'), true],
    ['307', () => redirect(307, 'https://evil.fake.dev/revoke'), true],
    ['unreachable', () => 'unreachable', true],
    ['dropped before the server had it', () => 'lostBefore', true],
    ['dropped after the server committed', () => 'lostAfter', false],
  ])('%s: not confirmed, and the token goes nowhere else', async (_, fault, alive) => {
    const world = steadyWorld()
    const record = await stored(world)
    world.faults.httpFault = at('revoke', fault)
    const before = world.requests.length
    await expect(revoke(record, world)).resolves.toMatchObject({ outcome: 'unconfirmed' })
    expect(world.sessionAlive(world.alice.did)).toBe(alive)
    expect(world.requests.slice(before).map(stageOf)).toStrictEqual(['asm', 'revoke', 'revoke'])
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test.each<[string, (world: FakeWorld) => void, 'METADATA_INVALID' | 'OAUTH_UNSUPPORTED' | 'NETWORK_UNREACHABLE']>([
    [
      '4.2 of another issuer',
      ({ faults }) => {
        faults.mutateAuthorizationServer = (document) => ({ ...document, issuer: 'https://evil.fake.dev' })
      },
      'METADATA_INVALID',
    ],
    [
      'gone',
      ({ faults }) => void Object.assign(faults, { httpFault: at('asm', () => html(404)) }),
      'OAUTH_UNSUPPORTED',
    ],
    [
      'away',
      ({ faults }) => void Object.assign(faults, { httpFault: at('asm', () => 'unreachable') }),
      'NETWORK_UNREACHABLE',
    ],
  ])('metadata %s: no token is sent, and the session is still here', async (_, spoil, code) => {
    const world = steadyWorld()
    const record = await stored(world)
    spoil(world)
    const before = structuredClone(world.stores.sessionRecords)
    await refused(world, () => revoke(record, world), { code, session: 'alive', sent: ['asm'] })
    expect(world.stores.sessionRecords).toStrictEqual(before)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('a session that ended already: nothing is sent, and what was left is forgotten', async () => {
    const world = steadyWorld()
    const record = await stored(world)
    const ended = { at: world.now(), reason: 'x' }
    world.stores.sessionRecords.set(record.thumbprint, {
      ...record,
      refreshToken: undefined,
      accessToken: undefined,
      ended,
    })
    const given = await toSessionRecord({
      did: record.did,
      dpopPrivateJwk: record.dpopPrivateJwk,
      server: record.pds,
    })
    await refused(world, () => revoke(given, world), { code: 'SESSION_MISSING', session: 'none', sent: [] })
    expect(world.stores.sessionRecords.size).toBe(0)
  })
})
