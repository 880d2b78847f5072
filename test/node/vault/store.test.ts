/** The sessions of a vault in memory, with the fake servers. */
import { expect, test } from 'vitest'
import type { SessionRecord } from '../../../src/model.ts'
import { generateDpopJwk } from '../../../src/protocol/oauth/dpop.ts'
import { openSession, openStoredSession } from '../../../src/session/open.ts'
import { revoke } from '../../../src/session/revoke.ts'
import { saveSession } from '../../../src/session/saving.ts'
import { failure } from '../../support/failure.ts'
import { createVaultWorld } from '../../support/vault-world.ts'

test('one session, twenty machines, none of which has seen it: one refresh, and all get its tokens', async () => {
  const world = await createVaultWorld()
  await world.put()
  world.fake.advance(2 * 3600_000)
  const machines = await Promise.all(Array.from({ length: 20 }, () => world.machine()))
  const tokens = await Promise.all(
    machines.map(async ({ runtime }) => {
      const session = await openStoredSession(undefined, runtime)
      expect((await session.fetchHandler('/xrpc/com.atproto.server.getSession')).status).toBe(200)
      return session.record().accessToken
    }),
  )
  expect(new Set(tokens).size).toBe(1)
  expect(world.refreshes()).toBe(1)
})

test('a machine that has seen a good access token does not look', async () => {
  const world = await createVaultWorld()
  await world.put()
  const { runtime, requests } = await world.machine()
  await openStoredSession(undefined, runtime)
  requests.length = 0
  const session = await openStoredSession(undefined, runtime)
  expect((await session.fetchHandler('/xrpc/com.atproto.server.getSession')).status).toBe(200)
  expect(requests).toStrictEqual([])
})

test('a session that was ended there is not used any more, and what says so has no token', async () => {
  const world = await createVaultWorld()
  const record: SessionRecord = await world.put()
  const one = await world.machine()
  expect(await revoke(record, one.runtime)).toMatchObject({ outcome: 'revoked' })
  const [ended] = await (await world.machine()).store.list()
  expect(ended).toMatchObject({ did: record.did, ended: { reason: 'it was revoked' } })
  expect(ended).not.toHaveProperty('refreshToken')
  const session = await openSession(world.credentials, (await world.machine()).runtime)
  expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_DEAD' })
})

test('a session that another machine has stored since is found, although that of another account is still good', async () => {
  const world = await createVaultWorld()
  await world.put()
  const [one, other] = [await world.machine(), await world.machine()]
  await openStoredSession(undefined, one.runtime)
  const { thumbprint, ...credentials } = world.credentials
  const { did } = world.fake.mallory
  const second = { ...credentials, did: did as typeof credentials.did, dpopPrivateJwk: await generateDpopJwk() }
  await saveSession(second, undefined, { ...other.runtime, saving: { ...other.runtime.saving, inStore: true } })
  expect((await openStoredSession(did, one.runtime)).did).toBe(did)
})
