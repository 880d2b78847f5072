import { describe, expect, test } from 'vitest'
import { savedEntries } from '../../src/credentials/write.ts'
import type { Credentials, Origin } from '../../src/model.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { toCredentials } from '../../src/session/token-family.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { CALM, GET_SESSION, isRefresh, signedIn, signIn } from '../support/login.ts'

/** A session that the store has. */
async function inUse(faults: Partial<FakeWorld['faults']> = {}) {
  const { world, separate } = await signedIn(faults)
  const session = await openSession(separate, world)
  expect((await session.call(GET_SESSION)).status).toBe(200)
  const left = () => world.stores.sessionRecords.size + world.stores.nonces.size
  return { world, session, left, alive: () => world.sessionAlive(world.alice.did) }
}

describe('16.8 a session that is revoked is forgotten here, whatever the server says', () => {
  test.each([
    ['it does', 'challenge', 'revoked', false],
    ['it does, and would not say if it did not', 'silent', 'revoked', false],
    ['it is down', 'unavailable', 'unconfirmed', true],
    ['it offers none', 'absent', 'unsupported', true],
  ] as const)('%s', async (_, revocation, outcome, alive) => {
    const setting = await inUse({ revocation, asNonces: 'rotate' })
    expect(await revoke(setting.session.record(), setting.world)).toMatchObject({ outcome })
    expect(setting.alive()).toBe(alive)
    expect(setting.left()).toBe(0)
  })

  test('that its token was no good any more is no failure', async () => {
    const { world, session, left } = await inUse()
    world.sessions[0]!.endedBecause = 'elsewhere'
    expect(await revoke(session.record(), world)).toMatchObject({ outcome: 'revoked' })
    expect(left()).toBe(0)
  })

  test('16.8 the response is lost: reported, and deleted here', async () => {
    const { world, session, left } = await inUse()
    world.faults.httpFault = ({ url }) => (url.endsWith('/oauth/revoke') ? 'lostAfter' : undefined)
    expect(await revoke(session.record(), world)).toMatchObject({ outcome: 'unconfirmed' })
    expect(left()).toBe(0)
  })

  test('a server that cannot be asked has not ended it: kept, for another try', async () => {
    const { world, session, left } = await inUse()
    const before = left()
    world.faults.httpFault = ({ url }) => (url.includes('oauth-authorization-server') ? 'unreachable' : undefined)
    expect(await failure(revoke(session.record(), world))).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      session: 'alive',
    })
    expect(left()).toBe(before)
    expect(world.sent('revoke')).toHaveLength(0)
  })
})

test.each(['refreshToken', 'accessToken'] as const)('16.9 the whole session ends with its %s', async (name) => {
  const { world, credentials } = await signedIn()
  const other = name === 'refreshToken' ? 'accessToken' : 'refreshToken'
  const session = await openSession({ ...credentials, [other]: undefined } as Credentials, world)
  expect(await revoke(session.record(), world)).toMatchObject({ outcome: 'revoked' })
  const sent = world.sent('revoke').map(({ body }) => new URLSearchParams(body).get('token'))
  expect(new Set(sent)).toStrictEqual(new Set([credentials[name]]))
  expect(world.sessionAlive(world.alice.did)).toBe(false)
})

test('a lease cannot end its session, and does not say that it had', async () => {
  const { world, session, alive } = await inUse()
  const { sessionRecords } = world.stores
  const leased = await session.lease(0)
  sessionRecords.clear() // on another machine
  const before = world.requests.length
  const error = await failure(revoke((await openSession(leased, world)).record(), world))
  expect(error).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE', session: 'alive' })
  expect(error.message).toContain('leased')
  expect(world.requests).toHaveLength(before)
  expect(alive()).toBe(true)
})

describe('credentials that do not say where they are from', () => {
  test('end where the account is now', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    expect(await revoke(session.record(), world)).toMatchObject({ outcome: 'revoked' })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('send nothing if it has moved: the new server is not the one that the token is from', async () => {
    const { world, separate } = await signedIn()
    const session = await openSession(separate, world)
    world.faults.mutateProtectedResource = (document) => ({
      ...document,
      authorization_servers: ['https://evil.fake.dev'],
    })
    world.serve('https://old.fake.dev', () =>
      Response.json({ resource: 'https://old.fake.dev', authorization_servers: [world.as] }),
    )
    const record = { ...session.record(), pds: 'https://old.fake.dev' as Origin }
    expect(await failure(revoke(record, world))).toMatchObject({ code: 'ISSUER_MISMATCH', session: 'alive' })
    expect(world.sent('revoke')).toHaveLength(0)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })
})

describe('a session that was revoked from here has ended, also for its other copies', () => {
  async function revoked(faults: Partial<FakeWorld['faults']> = {}) {
    const { world, credentials, separate } = await signedIn(faults)
    await revoke((await openSession(credentials, world)).record(), world)
    const before = world.requests.length
    return { world, credentials, separate, sent: () => world.requests.length - before }
  }

  test.each(['credentials', 'separate'] as const)(
    '%s: nothing is sent, and the login can be repeated',
    async (name) => {
      const setting = await revoked()
      const { world, sent } = setting
      const session = await openSession(setting[name], world)
      const dead = { code: 'SESSION_DEAD', session: 'dead', facts: { reason: 'revoked', did: world.alice.did } }
      for (const work of [session.call(GET_SESSION), session.refresh(), revoke(session.record(), world)]) {
        const error = await failure(work)
        expect(error).toMatchObject(dead)
        expect(error.message).toMatch(/was revoked here just now$/)
        expect(error.facts.scope).toBe('atproto transition:generic')
      }
      expect(sent()).toBe(0)
      expect(world.stores.sessionRecords.size).toBe(0)
    },
  )

  test('none is stored any more: the error says why, of this account alone', async () => {
    const { world } = await revoked()
    for (const account of [undefined, world.alice.did]) {
      const error = await failure(openStoredSession(account, world))
      expect(error).toMatchObject({ code: 'SESSION_MISSING', facts: { scope: 'atproto transition:generic' } })
      expect(error.message).toContain('was revoked here just now, and no other one of this account is stored')
    }
    expect((await failure(openStoredSession(world.mallory.did, world))).message).not.toContain('revoked')
  })

  test('a token of a later refresh may be of a session that the server did not end', async () => {
    const { world, credentials } = await revoked()
    const session = await openSession({ ...credentials, refreshToken: 'newer', rotation: 1 }, world)
    expect(session.record().ended).toBeUndefined()
  })

  test('a lease may outlive its session', async () => {
    const { world, credentials } = await revoked()
    const { did, dpopPrivateJwk, server, accessToken } = credentials
    const session = await openSession({ did, dpopPrivateJwk, server, accessToken }, world)
    expect(session.record().ended).toBeUndefined()
  })

  test.each(['unavailable', 'absent'] as const)('not where the server did not confirm it: %s', async (revocation) => {
    const { world, credentials } = await revoked({ revocation })
    expect((await openSession(credentials, world)).record().ended).toBeUndefined()
    expect((await failure(openStoredSession(undefined, world))).message).not.toContain('revoked')
  })
})

describe('a session that another process revokes while this one uses it', () => {
  /** Two processes with one store: this one has refreshed just now. */
  async function revokedBeside() {
    const world = createFakeWorld({ topology: 'together', faults: CALM })
    const { credentials } = await signIn(world)
    const session = await openSession(credentials, world)
    await session.refresh()
    const other = await openStoredSession(undefined, world)
    await revoke(other.record(), world)
    const before = world.sent(isRefresh).length
    return { world, session, refreshes: () => world.sent(isRefresh).length - before }
  }
  /** A reason would be advice about variables, which need not be set. */
  const revokedHere = {
    code: 'SESSION_DEAD',
    session: 'dead',
    message: expect.stringMatching(/was revoked here just now$/),
    facts: expect.not.objectContaining({ reason: expect.anything() }),
  }

  test('its next refresh says so, and sends nothing', async () => {
    const { world, session, refreshes } = await revokedBeside()
    expect(await failure(session.refresh())).toMatchObject(revokedHere)
    expect(refreshes()).toBe(0)
    expect(world.stores.sessionRecords.size).toBe(0)
  })

  test('so does a call with a token that the server rejects, however new the token is', async () => {
    const { session, refreshes } = await revokedBeside()
    expect(await failure(session.call(GET_SESSION))).toMatchObject(revokedHere)
    expect(refreshes()).toBe(0)
  })

  test('and a second revocation', async () => {
    const { world, session } = await revokedBeside()
    const before = world.requests.length
    expect(await failure(revoke(session.record(), world))).toMatchObject(revokedHere)
    expect(world.requests).toHaveLength(before)
  })

  test('a new token that the server rejects costs no refresh where nothing here has ended the session', async () => {
    const { world, session, refreshes } = await revokedBeside()
    world.stores.revocations.clear() // it was revoked from another machine
    expect((await session.call(GET_SESSION)).status).toBe(401)
    expect(refreshes()).toBe(0)
    world.advance(60_000)
    expect(await failure(session.call(GET_SESSION))).toMatchObject({ code: 'SESSION_DEAD' })
  })

  test.each([
    ['its revoked token', 0, 'revoked'],
    ['a token of a later refresh', 1, undefined],
  ] as const)('a save target still has %s', async (_, later, reason) => {
    const { world, session, refreshes } = await revokedBeside()
    const { rotation = 0, refreshToken, ...record } = session.record()
    const token = later === 0 ? refreshToken : 'a later one'
    const saved = toCredentials({ ...record, rotation: rotation + later, refreshToken: token })
    const target: SaveTarget = {
      name: 'file:/a/secrets.env',
      durable: true,
      save: async () => undefined,
      read: async () => Object.fromEntries(savedEntries(saved, false)),
    }
    const again = await openSession(toCredentials(session.record()), {
      ...world,
      saving: { ...world.saving, targets: [target] },
    })
    const error = await failure(again.refresh())
    expect(error).toMatchObject({ code: 'SESSION_DEAD' })
    expect(error.facts.reason).toBe(reason)
    expect(refreshes() > 0).toBe(later > 0)
  })
})
