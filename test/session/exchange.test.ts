/** Who owns a session that is handed over, and takes it back. */
import { describe, expect, test } from 'vitest'
import type { NodeSession } from '../../src/credentials/node-session.ts'
import { checkSessions } from '../../src/doctor/sessions.ts'
import { OAuthError } from '../../src/errors.ts'
import type { Credentials } from '../../src/model.ts'
import { signEs256k } from '../../src/node/ec-signing.ts'
import type { Finding } from '../../src/ports.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { exportSession } from '../../src/session/export.ts'
import { importSession } from '../../src/session/import.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { tokenHash, toSessionRecord } from '../../src/session/token-family.ts'
import { failure } from '../support/failure.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { generateSecp256k1Jwk } from '../support/keys.ts'
import { elsewhere, GET_SESSION, HOUR, isRefresh, signedIn, stored } from '../support/login.ts'

/** Hands a session over, as it is in the environment. @returns the value that the other program gets */
async function exported(credentials: Credentials, world: FakeWorld, keep = false): Promise<NodeSession> {
  const values: NodeSession[] = []
  const session = await openSession(credentials, world)
  await exportSession(session, async (value) => void values.push(value), { keep }, world)
  expect(values).toHaveLength(1)
  return values[0]!
}

/** What the other program makes of it: another machine's refresh. */
async function renewedThere(value: NodeSession, clientId: string, world: FakeWorld): Promise<NodeSession> {
  const there = elsewhere(world)
  const credentials = await importSession(value, { clientId }, there)
  await (await openSession(credentials, there)).refresh()
  return exported(credentials, there)
}

const given = async () => {
  const { world, credentials, separate } = await signedIn()
  return { world, credentials, separate, clientId: credentials.clientId! }
}

test('26.15 a secp256k1 key with halves of two keys, or where it cannot sign: not imported, and nothing sent', async () => {
  const { world, credentials, clientId } = await given()
  const value = await exported(credentials, world)
  const [one, two] = [generateSecp256k1Jwk(), generateSecp256k1Jwk()]
  const opaque = { ...value, tokenSet: { ...value.tokenSet, access_token: 'opaque' } }
  const sent = world.requests.length
  for (const [d, ports] of [
    [one.d, world],
    [two.d, { ...world, signEs256k }],
  ] as const) {
    const error = await failure(importSession({ ...opaque, dpopJwk: { ...one, d } }, { clientId }, ports))
    expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID', message: expect.stringContaining('secp256k1') })
    const opened = await failure(
      openSession({ ...credentials, dpopPrivateJwk: { ...one, d }, thumbprint: undefined }, ports),
    )
    expect(opened).toMatchObject({ code: 'CREDENTIALS_INVALID' })
  }
  expect(world.requests).toHaveLength(sent)
})

describe('a session that is handed over', () => {
  test('is refreshed only if its access token has expired, or a member is missing', async () => {
    const { world, credentials } = await given()
    const value = await exported(credentials, world, true)
    expect(value.tokenSet).toMatchObject({
      iss: world.as,
      aud: `${world.pds}/`,
      sub: credentials.did,
      access_token: credentials.accessToken,
      refresh_token: credentials.refreshToken,
    })
    expect(world.sent(isRefresh)).toHaveLength(0)
    world.advance(2 * HOUR)
    const later = await exported(credentials, world, true)
    expect(later.tokenSet.refresh_token).toBe(world.currentRefreshToken(world.alice.did))
    expect(later.tokenSet.expires_at).toBe(new Date(stored(world).accessTokenExpiresAt!).toISOString())
    expect(stored(world).rotation).toBe(1)

    for (const hasAccess of [false, true]) {
      const { separate, ...unknown } = await given()
      const { accessToken, accessTokenExpiresAt } = unknown.credentials
      const known = { ...separate, ...(hasAccess && { accessToken, accessTokenExpiresAt }) }
      expect((await exported(known, unknown.world)).tokenSet.iss).toBe(unknown.world.as)
    }
  })

  test('with a refresh that has no response is refreshed: a spent token would be useless', async () => {
    const { world, credentials } = await given()
    await exported(credentials, world, true)
    const record = await toSessionRecord(credentials)
    const intent = { tokenHash: await tokenHash(credentials.refreshToken!), at: world.now() }
    await world.stores.sessions.update(record.thumbprint, ({ commit }) => commit({ ...record, intent }))
    const value = await exported(credentials, world)
    expect(value.tokenSet.refresh_token).not.toBe(credentials.refreshToken)
    expect(value.tokenSet.refresh_token).toBe(world.currentRefreshToken(world.alice.did))
  })

  test('is deleted here, and its remaining tokens are not sent', async () => {
    const { world, credentials, separate } = await given()
    await exported(credentials, world)
    expect(JSON.stringify(stored(world))).not.toContain(credentials.refreshToken)
    const before = world.requests.length
    for (const old of [credentials, separate, { ...credentials, accessToken: undefined }]) {
      const session = await openSession(old, world)
      const errors = [await failure(session.call(GET_SESSION)), await failure(session.refresh())]
      errors.push(await failure(exportSession(session, async () => undefined, {}, world)))
      for (const error of errors) expect(error).toMatchObject({ code: 'SESSION_MISSING', session: 'alive' })
    }
    expect(await failure((await openStoredSession(undefined, world)).call(GET_SESSION))).toMatchObject({
      code: 'SESSION_MISSING',
      message: expect.stringContaining('it can be imported back'),
    })
    expect(world.requests).toHaveLength(before)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('is here until it has arrived there', async () => {
    const { world, separate } = await given()
    const session = await openSession(separate, world)
    const full = new OAuthError('OUTPUT_FAILED', 'disk full')
    expect(await failure(exportSession(session, () => Promise.reject(full), {}, world))).toBe(full)
    // Refreshed for it, and kept.
    expect(stored(world).refreshToken).toBe(world.currentRefreshToken(world.alice.did))
    expect((await (await openSession(separate, world)).call(GET_SESSION)).status).toBe(200)
  })

  test('and cannot be taken out of the store is said to be in both places', async () => {
    const { world, credentials } = await given()
    world.stores.failCommit = ({ ended }) => (ended ? new Error('read-only') : undefined)
    const session = await openSession(credentials, world)
    const error = await failure(exportSession(session, async () => undefined, {}, world))
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', session: 'alive' })
    expect(error.message).toContain('read-only')
  })

  test('cannot be a lease', async () => {
    const { world, credentials } = await given()
    const leased = await (await openSession(credentials, world)).lease(0)
    const session = await openSession(leased, world)
    const error = await failure(exportSession(session, async () => undefined, {}, world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE', session: 'alive' })
  })

  test('is no fault to doctor, and not ended by revoke', async () => {
    const { world, credentials } = await given()
    await exported(credentials, world)
    const findings: Finding[] = []
    for await (const finding of checkSessions(undefined, world)) findings.push(finding)
    expect(findings).toMatchObject([{ verdict: 'ok', detail: expect.stringContaining('handed over') }])
    expect(await failure(revoke(stored(world), world))).toMatchObject({ code: 'SESSION_MISSING', session: 'alive' })
    expect(world.stores.sessionRecords.size).toBe(0)
    expect(world.sent('revoke')).toHaveLength(0)
  })
})

describe('a session that is taken over', () => {
  test('is not touched by it: no token is sent, nothing is kept', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world, true)
    const here = elsewhere(world)
    const tokens = world.sent('token').length
    expect(await importSession(value, { clientId }, here)).toMatchObject({
      refreshToken: credentials.refreshToken,
      accessToken: credentials.accessToken,
      server: world.pds,
      issuer: world.as,
    })
    expect(world.sent('token')).toHaveLength(tokens)
    expect(here.stores.sessionRecords.size).toBe(0)
  })

  test.each([
    ['as it left', false, 0],
    ['renewed there', true, 1],
  ])('comes back %s: one lineage, one owner', async (_, isRenewed, rotation) => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world)
    const back = isRenewed ? await renewedThere(value, clientId, world) : value
    const imported = await importSession(back, { clientId }, world)
    expect(imported).toMatchObject({ createdAt: credentials.createdAt, rotation })
    expect(imported.rotatedAt).toBe(isRenewed ? undefined : credentials.rotatedAt)
    // In the environment, or in the store.
    expect((await (await openSession(imported, world)).call(GET_SESSION)).status).toBe(200)
    await saveSession(imported, undefined, { ...world, saving: { ...world.saving, inStore: true } })
    const session = await openStoredSession(world.alice.did, world)
    await session.refresh()
    expect(session.record()).toMatchObject({ rotation: rotation + 1, createdAt: credentials.createdAt })
    // What is older than it is not used in its place.
    expect((await openSession(credentials, world)).record().refreshToken).toBe(session.record().refreshToken)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('that has been refreshed here since is not: its token is spent', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world, true)
    await (await openSession(credentials, world)).refresh()
    const before = stored(world)
    const error = await failure(importSession(value, { clientId }, world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', session: 'alive' })
    expect(error.message).toContain('a newer one of the same session')
    expect(stored(world)).toStrictEqual(before)
  })

  test('that was kept here too, and refreshed there: nothing says which is newer, and nothing is sent', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world, true)
    await saveSession(credentials, undefined, { ...world, saving: { ...world.saving, inStore: true } })
    const back = await renewedThere(value, clientId, world)
    const sent = world.requests.length
    const error = await failure(importSession(back, { clientId }, world))
    expect(error).toMatchObject({ code: 'COPIES_DIFFER', session: 'alive' })
    expect(world.requests.slice(sent).filter(({ body }) => body !== '')).toStrictEqual([])
  })

  test('that ended here is not brought back by a token of then', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world, true)
    world.sessions[0]!.endedBecause = 'elsewhere'
    await failure((await openSession(credentials, world)).refresh())
    expect(await failure(importSession(value, { clientId }, world))).toMatchObject({ code: 'SESSION_DEAD' })
  })

  test('of an account that has moved, or under another client_id, is refused before anything is kept', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world)
    const before = stored(world)
    const moved = { ...value, tokenSet: { ...value.tokenSet, iss: 'https://other.fake.dev' } }
    expect(await failure(importSession(moved, { clientId }, world))).toMatchObject({
      code: 'ISSUER_MISMATCH',
      session: 'alive',
    })
    const other = `${clientId}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fother`
    expect(await failure(importSession(value, { clientId: other }, world))).toMatchObject({
      code: 'CREDENTIALS_MISMATCH',
    })
    expect(stored(world)).toStrictEqual(before)
  })

  test('with the token of another session, which it would end, is refused', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world, true)
    await saveSession(credentials, undefined, { ...world, saving: { ...world.saving, inStore: true } })
    const tokenSet = { ...value.tokenSet, access_token: 'opaque' }
    const mixed = { ...value, dpopJwk: await generateDpopJwk(), tokenSet }
    const error = await failure(importSession(mixed, { clientId }, world))
    expect(error).toMatchObject({ code: 'CREDENTIALS_MISMATCH', session: 'alive' })
    expect(error.message).toContain('belongs to another session')
  })

  test('is not put over that of another account', async () => {
    const { world, credentials, clientId } = await given()
    const value = await exported(credentials, world)
    const theirs = { ATPROTO_OAUTH_ACCESS_TOKEN: 'x', ATPROTO_OAUTH_DID: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' }
    const jwk = JSON.stringify((await toSessionRecord(credentials)).dpopPrivateJwk)
    const read = async () => ({ ...theirs, ATPROTO_OAUTH_DPOP_PRIVATE_JWK: jwk })
    const target = { name: 'file:/x', durable: true, save: () => Promise.reject(new Error('saved')), read }
    const saving = { ...world.saving, targets: [target] }
    expect(await failure(importSession(value, { clientId }, { ...world, saving }))).toMatchObject({
      code: 'SAVE_FAILED',
    })
  })
})
