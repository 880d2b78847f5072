import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import type { Finding } from '../../src/ports.ts'
import { generateDpopJwk, importDpopKey } from '../../src/protocol/oauth/dpop.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { HOUR, signedIn, stored } from '../support/login.ts'
import { all, found, notOk, TXT, topics } from './support.ts'

describe('sessions', () => {
  const DAY = 24 * HOUR
  const edited = async (change: object) => {
    const { world, credentials } = await signedIn()
    const { dpopPrivateJwk, server, thumbprint, ...rest } = credentials
    world.stores.sessionRecords.set(thumbprint!, {
      version: 1,
      ...rest,
      thumbprint: thumbprint!,
      dpopPrivateJwk,
      pds: server!,
      scope: 'atproto',
      spentTokens: [],
      ...change,
    })
    return { world, record: stored(world) }
  }
  const first = async (world: FakeWorld) => (await found(world)).find(({ topic }) => topic === 'session')

  test.each<[string, object, Finding['verdict'], RegExp, number?]>([
    ['a good one', {}, 'ok', /ends in 14 days$/],
    ['one of dates at the end of time', { createdAt: 8.64e15, rotatedAt: 8.64e15 }, 'ok', /has no known deadline/],
    [
      'one that was moved into a vault',
      { ended: { at: 1, reason: 'moved into the vault', movedTo: 'git:/b' } },
      'ok',
      /is no longer here/,
    ],
    ['one that ended', { ended: { at: 1, reason: 'replayed' } }, 'broken', /has ended: replayed/],
    ['17 one that is over', {}, 'broken', /ended \d+ hours ago$/, 15 * DAY],
    ['17 one that is soon over', {}, 'warning', /ends in \d+ (?:hours|days)$/, 12 * DAY],
    ['one whose refresh has no response', { intent: { tokenHash: 'x', at: 1 } }, 'warning', /no response arrived/],
    ['one that was not delivered', { undelivered: ['file:/x'] }, 'warning', /not yet in file:\/x/],
    ['one without a client_id', { clientId: undefined }, 'broken', /client_id/],
    [
      '16 one of a client key that is not here',
      { clientId: 'https://app.fake.dev/c.json', clientKey: { kid: 'k1', thumbprint: 'x'.repeat(43) } },
      'broken',
      /no client key is set/,
    ],
    ['a lease that is over', { refreshToken: undefined, accessTokenExpiresAt: 1 }, 'broken', /is a lease/],
  ])('%s', async (_, change, verdict, detail, later = 0) => {
    const { world } = await edited(change)
    world.advance(later)
    const finding = await first(world)
    expect(finding).toMatchObject({ verdict, detail: expect.stringMatching(detail) })
    if (verdict !== 'ok') expect(finding!.fix).toBeTruthy()
  })

  test('one of the environment that was revoked from here', async () => {
    const { world, credentials } = await signedIn()
    await revoke((await openSession(credentials, world)).record(), world)
    const finding = (await found(world, undefined, { credentials })).find(({ topic }) => topic === 'session')
    expect(finding).toMatchObject({
      verdict: 'broken',
      detail: expect.stringMatching(/has ended: it was revoked here$/),
    })
  })

  test('one that ended is no fault where a newer session exists of the account', async () => {
    const { world, record } = await edited({})
    world.stores.sessionRecords.set('x', { ...record, thumbprint: 'x', ended: { at: 1, reason: 'replayed' } })
    const findings = await found(world)
    expect(all(notOk(findings))).toStrictEqual([])
    expect(all(findings).join()).toContain('a newer session exists')
  })

  test('one of a vault, with the client key that is kept there', async () => {
    const jwk = { ...(await generateDpopJwk()), kid: 'k1' }
    const { thumbprint } = await importDpopKey(jwk)
    const clientKey = { kid: 'k1', thumbprint }
    const { world } = await edited({ clientId: 'https://app.fake.dev/c.json', clientKey })
    Object.assign(world.stores.sessions, { isSharedSession: () => true, clientKey: async () => jwk })
    expect(await first(world)).toMatchObject({ verdict: 'ok', detail: expect.stringMatching(/in the vault ends in/) })
  })

  test('a vault that cannot be used', async () => {
    const { world } = await signedIn()
    const error = new OAuthError('VAULT_UNREACHABLE', 'cannot reach git.example.com')
    world.stores.sessions.list = async () => Promise.reject(error)
    expect(notOk(await found(world))).toMatchObject([{ topic: 'vault', verdict: 'broken', detail: error.message }])
  })

  test('a lease in the environment needs no PDS', async () => {
    const { world, separate } = await signedIn()
    const { did, dpopPrivateJwk } = separate
    const lease = { did, dpopPrivateJwk, accessToken: 'x', accessTokenExpiresAt: world.now() + 1 }
    const findings = await found(world, undefined, { credentials: lease })
    expect(all(notOk(findings))).toStrictEqual([])
    expect(topics(findings)).toContain('PDS')
    world.advance(1)
    expect(notOk(await found(world, undefined, { credentials: lease }))).toMatchObject([{ topic: 'session' }])
  })

  test('without an identifier their accounts are looked at, each server once', async () => {
    const { world, separate } = await signedIn()
    const { world: other } = await edited({})
    world.stores.sessionRecords.set('x', { ...stored(other), thumbprint: 'x', did: world.mallory.did })
    const findings = await found(world, undefined, { credentials: separate })
    expect(all(notOk(findings))).toStrictEqual([])
    const named = topics(findings)
    expect(named.filter((topic) => topic === 'session')).toHaveLength(2)
    expect(named.filter((topic) => topic === 'DID document')).toHaveLength(2)
    expect(named.filter((topic) => topic === 'PDS')).toHaveLength(1)
  })

  test('11.9 an account that has moved takes none along', async () => {
    const { world } = await edited({ issuer: 'https://old.fake.dev' })
    const wrong = notOk(await found(world, 'alice.fake.dev'))
    expect(all(wrong)).toStrictEqual([
      `broken session: the session of ${world.alice.did} is from https://old.fake.dev, but the account is now at https://as.fake.dev`,
    ])
    expect(wrong[0]!.fix).toMatchObject({ code: 'SESSION_DEAD', facts: { did: world.alice.did } })
  })

  test('credentials with a key of another session are told, and the way goes on', async () => {
    const { world, separate } = await signedIn()
    const findings = await found(world, undefined, { credentials: { ...separate, thumbprint: 'x'.repeat(43) } })
    expect(notOk(findings)).toMatchObject([{ topic: 'environment', verdict: 'broken' }])
    expect(topics(findings)).toContain('PDS')
  })

  test('where DNS and the directory are down, a session still knows the server', async () => {
    const { world } = await edited({ handle: 'alice.fake.dev' })
    world.identity.txt.set(TXT, 'TIMEOUT')
    world.identity.wellKnown.delete('alice.fake.dev')
    world.faults.httpFault = ({ url }) => (url.startsWith('https://plc.directory') ? 'unreachable' : undefined)
    const findings = await found(world, 'alice.fake.dev')
    expect(notOk(findings).map(({ topic }) => topic)).toStrictEqual(['DNS', 'HTTPS', 'DID document'])
    expect(topics(findings)).toContain('pushed request')
  })
})
