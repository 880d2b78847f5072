/** The sessions of a vault that is known, beside those of the per-user store. */
import { expect, test } from 'vitest'
import type { SessionRecord } from '../../../src/model.ts'
import { createCombinedSessions } from '../../../src/node/vault/sessions.ts'
import { generateDpopJwk } from '../../../src/protocol/oauth/dpop.ts'
import { openStoredSession } from '../../../src/session/open.ts'
import { saveSession } from '../../../src/session/saving.ts'
import { handedOver } from '../../../src/session/token-family.ts'
import { failure } from '../../support/failure.ts'
import type { MemoryFault } from '../../support/memory-engine.ts'
import { createVaultWorld, type VaultTestMachine, type VaultWorld } from '../../support/vault-world.ts'

/** A machine with a vault that can be made to fail. */
async function createMachine(world: VaultWorld) {
  let fault: MemoryFault | undefined
  const machine = await world.machine({ hooks: { before: () => fault } })
  const warnings: string[] = []
  const { runtime } = machine
  const { stores } = world.fake
  const vault = Object.assign(machine.store, { openIfSet: async () => machine.store })
  const sessions = createCombinedSessions(vault, stores.sessions, (message) => void warnings.push(message))
  return {
    ...machine,
    warnings,
    combined: { ...runtime, stores: { ...runtime.stores, sessions } },
    fail(next: MemoryFault | undefined) {
      fault = next
    },
  }
}

/** A session of Mallory, stored where `runtime` stores sessions. */
async function putMallory(world: VaultWorld, runtime: VaultTestMachine['runtime']): Promise<SessionRecord['did']> {
  const { thumbprint, ...credentials } = world.credentials
  const did = world.fake.mallory.did as SessionRecord['did']
  const other = { ...credentials, did, dpopPrivateJwk: await generateDpopJwk() }
  await saveSession(other, undefined, { ...runtime, saving: { ...runtime.saving, inStore: true } })
  return did
}

test.each(['unreachable', 'refused'] as const)(
  'a vault that is %s hides no session of the per-user store',
  async (fault) => {
    const world = await createVaultWorld()
    await world.put()
    const did = await putMallory(world, world.fake)
    const { combined, fail, warnings } = await createMachine(world)
    fail(fault)
    expect((await openStoredSession(did, combined)).did).toBe(did)
    expect(warnings).toStrictEqual([expect.stringMatching(/: only sessions of the per-user store can be used$/)])
  },
)

test('a session that may be in an unreachable vault is not reported as missing', async () => {
  const world = await createVaultWorld()
  await world.put()
  await putMallory(world, world.fake)
  const { combined, fail } = await createMachine(world)
  fail('unreachable')
  expect(await failure(openStoredSession(world.credentials.did, combined))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
})

test('no other account is used in place of one that was seen in the vault', async () => {
  const world = await createVaultWorld()
  await world.put()
  await putMallory(world, world.fake)
  const { combined, fail } = await createMachine(world)
  expect(await failure(openStoredSession(undefined, combined))).toMatchObject({ code: 'ACCOUNT_UNCLEAR' })
  world.fake.advance(2 * 3600_000)
  fail('unreachable')
  expect(await failure(openStoredSession(undefined, combined))).toMatchObject({ code: 'ACCOUNT_UNCLEAR' })
  const session = await openStoredSession(world.credentials.did, combined)
  expect(await failure(session.refresh())).toMatchObject({ code: 'VAULT_UNREACHABLE' })
})

test('a session that another machine has put into the vault since is found', async () => {
  const world = await createVaultWorld()
  await world.put()
  const { combined } = await createMachine(world)
  await openStoredSession(undefined, combined)
  const did = await putMallory(world, (await world.machine()).runtime)
  expect((await openStoredSession(did, combined)).did).toBe(did)
})

test('a session that was exported from the vault and imported here is used here', async () => {
  const world = await createVaultWorld()
  const record = await world.put()
  const { store, combined } = await createMachine(world)
  await store.update(record.thumbprint, async ({ commit, confirm }) => {
    await confirm()
    await commit(await handedOver(record, 1))
  })
  await saveSession(world.credentials, undefined, { ...world.fake, saving: { ...world.fake.saving, inStore: true } })
  const session = await openStoredSession(undefined, combined)
  expect(session.record().ended).toBeUndefined()
  expect(combined.stores.sessions.isSharedSession?.(record.thumbprint)).toBe(false)
})

test('an export that another machine has overtaken is no success: two would have the session', async () => {
  const world = await createVaultWorld()
  const record = await world.put()
  const { store } = await createMachine(world)
  const suspended = store.update(record.thumbprint, async ({ commit, confirm }) => {
    await confirm()
    const other = await world.machine({ times: { takeover: 0, takeoverDurable: 0 } })
    await (await openStoredSession(undefined, other.runtime)).refresh()
    await commit(await handedOver(record, 1))
  })
  expect(await failure(suspended)).toMatchObject({ code: 'SESSION_BUSY' })
  expect(await store.read(record.thumbprint)).toMatchObject({ rotation: 1 })
})

test('an unreachable vault is not listed as one without sessions', async () => {
  const world = await createVaultWorld()
  await world.put()
  const { combined, fail } = await createMachine(world)
  fail('unreachable')
  expect(await failure(combined.stores.sessions.list())).toMatchObject({ code: 'VAULT_UNREACHABLE' })
  fail(undefined)
  expect(await combined.stores.sessions.list()).toHaveLength(1)
  fail('unreachable')
  expect(await combined.stores.sessions.list()).toHaveLength(1)
})
