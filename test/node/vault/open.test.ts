import { randomBytes } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import {
  createUserKey,
  createVault,
  parseUserKey,
  sessionName,
  type VaultKeys,
} from '../../../src/node/vault/envelope.ts'
import { makeVault } from '../../../src/node/vault/make.ts'
import { inheritMemory, openVault } from '../../../src/node/vault/open.ts'
import { seal } from '../../../src/node/vault/record.ts'
import { type MemoryHooks, MemoryService } from '../../support/memory-engine.ts'
import { sessionRecord, tempFolder } from '../helpers.ts'

const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }
const OLD = Date.now() - 3_600_000
/** No fresh access token, so that the vault is read. */
const SESSION = sessionRecord({ accessTokenExpiresAt: OLD, rotation: 2, createdAt: OLD })

async function createWorld() {
  const service = new MemoryService()
  const key = createUserKey(random)
  const { keys, text } = await createVault(service.address, parseUserKey(key), random)
  service.set(VAULT_RECORD, text)
  return { service, key, keys, put: (session = SESSION) => put(service, keys, session) }
}

async function put(service: MemoryService, keys: VaultKeys, session = SESSION): Promise<void> {
  const { name, text } = await seal({ version: 1, kind: 'session', session }, keys)
  service.set(name, text)
}

/** A machine by its folder. */
async function machine(
  { service, key }: { service: MemoryService; key: string },
  folder?: string,
  hooks?: MemoryHooks,
) {
  const warnings: string[] = []
  const ended: (string | undefined)[] = []
  const place = folder ?? (await tempFolder())
  const options = { engine: service.connect(hooks), key, folder: place, environment: {}, ...random }
  const open = () =>
    openVault({
      ...options,
      holdSignals: (work) => work(),
      endTokens: async ({ refreshToken }) => void ended.push(refreshToken),
      warn: (message) => void warnings.push(message),
    })
  return { store: await open(), open, warnings, ended }
}

test('a vault that was lost is stored again by a machine that has a session of it, for all others too', async () => {
  const world = await createWorld()
  await world.put()
  const first = await machine(world)
  expect(await first.store.list()).toMatchObject([{ did: SESSION.did }])
  world.service.clear()
  expect(await first.store.list()).toMatchObject([{ did: SESSION.did }])
  expect(first.warnings).toStrictEqual([
    'the vault at memory:vault was lost: stored it again',
    expect.stringContaining('stored the newer one again'),
  ])
  const { store } = await machine(world)
  expect(await store.list()).toMatchObject([{ did: SESSION.did, rotation: 2 }])
})

test('two machines that store it again have one vault', async () => {
  const world = await createWorld()
  await world.put()
  const [first, second] = [await machine(world), await machine(world)]
  await Promise.all([first, second].map(({ store }) => store.list()))
  world.service.clear()
  const lists = await Promise.all([first, second].map(({ store }) => store.list()))
  expect(lists.map((records) => records.length)).toStrictEqual([1, 1])
  expect(world.service.records.size).toBe(2)
})

test('one with ended sessions alone is gone', async () => {
  const world = await createWorld()
  await world.put({ ...SESSION, ended: { at: OLD, reason: 'it was revoked' } })
  const first = await machine(world)
  expect(await first.store.list()).toHaveLength(1)
  world.service.clear()
  for (const store of [first.store, await first.open()]) {
    await expect(store.list()).rejects.toMatchObject({ facts: { reason: 'vault-not-found' } })
  }
  expect(world.service.records.size).toBe(0)
})

test('nothing is stored in a vault that has replaced this one: its key is another', async () => {
  const world = await createWorld()
  await world.put()
  const first = await machine(world)
  await first.store.list()
  const other = await createVault(world.service.address, parseUserKey(createUserKey(random)), random)
  world.service.clear()
  world.service.set(VAULT_RECORD, other.text)
  const version = world.service.version
  for (const store of [first.store, await first.open()]) {
    await expect(store.list()).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
    await expect(store.update(SESSION.thumbprint, async () => {})).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
  }
  expect(world.service.version).toBe(version)
})

test('nor are tokens that this machine owes to the vault before', async () => {
  const world = await createWorld()
  await world.put()
  const first = await machine(world)
  await first.store.list()
  const { name, text } = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
  await first.store.memory.write('ahead', SESSION.thumbprint, `${name}\n${text}`)
  const other = await createVault(world.service.address, parseUserKey(createUserKey(random)), random)
  world.service.clear()
  world.service.set(VAULT_RECORD, other.text)
  await expect((await first.open()).list()).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
  expect(world.service.records.get(sessionName(SESSION.did, world.keys))).toBeUndefined()
  expect(await first.store.memory.read('ahead', SESSION.thumbprint)).toBeDefined()
})

test('a vault with the same key, wrapped anew, is opened', async () => {
  const world = await createWorld()
  await world.put()
  const first = await machine(world)
  await first.store.list()
  const { keys, text } = await createVault(world.service.address, parseUserKey(world.key), random)
  world.service.clear()
  world.service.set(VAULT_RECORD, text)
  await put(world.service, keys, { ...SESSION, rotation: 9 })
  expect(await first.store.list()).toMatchObject([{ rotation: 9 }])
})

test('what makes the vault unusable is found before a session is begun, with its reason', async () => {
  const world = await createWorld()
  const { store } = await machine(world)
  const fix = new OAuthError('VAULT_REFUSED', 'no permission to push', { facts: { reason: 'vault-write-denied' } })
  const found = { topic: 'push', verdict: 'broken', detail: fix.message } as const
  vi.spyOn(store.engine, 'describe')
    .mockResolvedValueOnce([{ ...found, fix }])
    .mockResolvedValueOnce([found])
  await expect(store.prepare()).rejects.toBe(fix)
  await expect(store.prepare()).rejects.toThrow('the vault cannot be used: no permission to push')
  await store.prepare()
})

/** In place of the first one, whose key is lost. */
async function replaced({ service }: { service: MemoryService }): Promise<string> {
  const key = createUserKey(random)
  const ports = { ...random, sleep: async () => {} }
  await makeVault(service.connect(), parseUserKey(key), service.records.get(VAULT_RECORD), ports)
  return key
}

test('a machine that owes tokens to a vault that was replaced ends them, and uses the new vault', async () => {
  const world = await createWorld()
  const folder = await tempFolder()
  const { store } = await machine(world, folder)
  await store.list()
  const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
  await store.memory.write('ahead', SESSION.thumbprint, `${next.name}\n${next.text}`)
  const key = await replaced(world)
  await inheritMemory(world.service.connect(), world.key, key, folder)
  const current = await machine({ service: world.service, key }, folder)
  const { version } = world.service
  expect(await current.store.list(true)).toStrictEqual([])
  expect(current.ended).toStrictEqual([SESSION.refreshToken])
  expect(await current.store.memory.names('ahead')).toStrictEqual([])
  expect(world.service.version).toBe(version)
})

test('a login that is saved at the moment at which the vault is replaced leaves nothing in the new one', async () => {
  const world = await createWorld()
  let isDone = false
  const { store } = await machine(world, undefined, {
    async before({ operation }) {
      if (operation !== 'swap' || isDone) return undefined
      isDone = true
      await replaced(world)
      return undefined
    },
  })
  const saving = store.update(SESSION.thumbprint, ({ commit }) => commit(SESSION))
  await expect(saving).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
  expect(isDone).toBe(true)
  expect([...world.service.records.keys()]).toStrictEqual([VAULT_RECORD])
})
