import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Did, Handle } from '../../../src/model.ts'
import { keepClientKey, readClientKey } from '../../../src/node/vault/client-keys.ts'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import {
  clientKeyRecordName,
  createUserKey,
  createVault,
  dataKeyId,
  openRecord,
  parseUserKey,
  sealRecord,
  unwrapKeys,
  wrapsOf,
} from '../../../src/node/vault/envelope.ts'
import { createFolderMemory } from '../../../src/node/vault/machine.ts'
import { inheritMemory, openVault, vaultFolder } from '../../../src/node/vault/open.ts'
import { seal } from '../../../src/node/vault/record.ts'
import { addKey, finishRekey } from '../../../src/node/vault/rekey.ts'
import { type MemoryHooks, MemoryService } from '../../support/memory-engine.ts'
import { sessionRecord, tempFolder } from '../helpers.ts'

const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }
const ports = { ...random, sleep: async () => {} }
const OLD = Date.now() - 3_600_000
/** No fresh access token, so that the vault is read. */
const SESSION = sessionRecord({ accessTokenExpiresAt: OLD, rotation: 2, createdAt: OLD })
const BOB = 'did:plc:bob4567bob4567bob4567bob' as Did
const EVE = 'did:plc:eve4567eve4567eve4567eve' as Did
const ENDED = { at: OLD, reason: 'it was revoked' }
const CLIENT_KEY = { version: 1, kind: 'client-key', clientId: 'https://client.example.com', jwk: {} }

/** A vault with a session, one that was ended, and a client key. */
async function createWorld() {
  const service = new MemoryService()
  const [oldKey, newKey] = [createUserKey(random), createUserKey(random)]
  const { keys, text } = await createVault(service.address, parseUserKey(oldKey), random)
  service.set(VAULT_RECORD, text)
  const other = sessionRecord({ did: BOB, ended: ENDED, accessTokenExpiresAt: OLD })
  for (const session of [SESSION, other]) {
    const sealed = await seal({ version: 1, kind: 'session', session }, keys)
    service.set(sealed.name, sealed.text)
  }
  const clientKey = clientKeyRecordName('x', keys)
  service.set(clientKey, await sealRecord(CLIENT_KEY, clientKey, keys))
  return { service, oldKey, newKey, keys, clientKey }
}
type World = Awaited<ReturnType<typeof createWorld>>

async function machine({ service }: World, key: string, folder?: string, hooks?: MemoryHooks) {
  const warnings: string[] = []
  const store = await openVault({
    engine: service.connect(hooks),
    key,
    folder: folder ?? (await tempFolder()),
    environment: {},
    holdSignals: (work) => work(),
    endTokens: async () => {},
    warn: (message) => void warnings.push(message),
    ...random,
  })
  return { store, warnings }
}

async function add({ service, oldKey, newKey }: World, hooks?: MemoryHooks) {
  const userKeys = { userKey: parseUserKey(oldKey), newKey: parseUserKey(newKey) }
  return addKey(service.connect(hooks), service.records.get(VAULT_RECORD)!, userKeys, ports)
}

async function finish(world: World, hooks?: MemoryHooks, key = world.newKey) {
  const { store } = await machine(world, key, undefined, hooks)
  return finishRekey(store, parseUserKey(key), ports)
}

const sessionsOf = async (world: World, key: string) => (await (await machine(world, key)).store.list()).length

test('both keys open the vault until it is finished, and then only the new one', async () => {
  const world = await createWorld()
  const { service, oldKey, newKey, keys, clientKey } = world
  const before = new Map(service.records)
  expect(await add(world)).toBe(true)
  expect([await sessionsOf(world, oldKey), await sessionsOf(world, newKey)]).toStrictEqual([2, 2])
  expect(await finish(world)).toStrictEqual({ encrypted: 3, unreadable: [] })
  await expect(sessionsOf(world, oldKey)).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
  expect(await sessionsOf(world, newKey)).toBe(2)
  const text = service.records.get(VAULT_RECORD)!
  const current = await unwrapKeys(text, parseUserKey(newKey), service.address)
  expect(current).toMatchObject({ id: keys.id, nameKey: keys.nameKey })
  expect(current).not.toHaveProperty('earlier')
  expect([...service.records.keys()].sort()).toStrictEqual([...before.keys()].sort())
  for (const [name, record] of service.records) {
    if (name !== VAULT_RECORD) expect(dataKeyId(record)).toBe(current.kid)
    if (name !== VAULT_RECORD) await expect(openRecord(record, name, keys)).rejects.toThrow()
  }
  expect(await openRecord(service.records.get(clientKey)!, clientKey, current)).toStrictEqual(CLIENT_KEY)
  expect(await finish(world)).toBeUndefined()
})

test('the old key opens nothing that has a new data key, at any time', async () => {
  const world = await createWorld()
  await add(world)
  await finish(world)
  for (const state of world.service.states) {
    const text = state.get(VAULT_RECORD)
    if (text === undefined) continue
    const found = await unwrapKeys(text, parseUserKey(world.oldKey), world.service.address).catch(() => undefined)
    if (found) expect(found).toMatchObject({ kid: world.keys.kid })
    if (found) expect(found).not.toHaveProperty('earlier')
  }
})

test('what the service loses while the old data key is given up is encrypted again', async () => {
  const world = await createWorld()
  await add(world)
  const { service, newKey } = world
  const old = [...service.records].filter(([name]) => name !== VAULT_RECORD)
  let changes = 0
  const before: MemoryHooks['before'] = ({ operation, name }) => {
    const isLast = operation === 'swap' && name === VAULT_RECORD && ++changes === 2
    if (isLast) for (const [each, text] of old) service.set(each, text)
    return undefined
  }
  expect(await finish(world, { before })).toStrictEqual({ encrypted: 3, unreadable: [] })
  expect(changes).toBe(2)
  expect(await sessionsOf(world, newKey)).toBe(2)
})

describe.each(['unreachable', 'lost-before', 'lost-after'] as const)('interrupted at every swap: %s', (fault) => {
  test('while the key is added, both keys stay usable, or the old one', async () => {
    const world = await createWorld()
    await add(world, { before: ({ operation }) => (operation === 'swap' ? fault : undefined) }).catch(() => undefined)
    expect(await sessionsOf(world, world.oldKey)).toBe(2)
    if (wrapsOf(world.service.records.get(VAULT_RECORD)!).length === 1) await add(world)
    expect(await sessionsOf(world, world.newKey)).toBe(2)
  })

  test('while it is finished, the new key opens everything, and the next run finishes it', async () => {
    for (let last = 1; last <= 5; last++) {
      const world = await createWorld()
      await add(world)
      let swaps = 0
      const before: MemoryHooks['before'] = ({ operation }) => {
        // From this swap on, nothing gets through: as if the process had been killed.
        if (operation === 'swap') swaps++
        if (swaps < last) return undefined
        return operation === 'swap' && swaps === last ? fault : 'unreachable'
      }
      await expect(finish(world, { before })).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' })
      expect(swaps).toBeGreaterThanOrEqual(last)
      expect(await sessionsOf(world, world.newKey), `swap ${last}`).toBe(2)
      await finish(world)
      expect(wrapsOf(world.service.records.get(VAULT_RECORD)!)).toHaveLength(1)
      expect(await sessionsOf(world, world.newKey)).toBe(2)
      await expect(sessionsOf(world, world.oldKey)).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
    }
  })
})

test('a machine with the old key is told that it was replaced, and changes nothing', async () => {
  const world = await createWorld()
  const folder = await tempFolder()
  const { store } = await machine(world, world.oldKey, folder)
  expect(await store.list()).toHaveLength(2)
  await add(world)
  await finish(world)
  const { version } = world.service
  for (const one of [store, (await machine(world, world.oldKey, folder)).store]) {
    await expect(one.list()).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG', facts: { reason: 'vault-key-replaced' } })
  }
  expect(world.service.version).toBe(version)
})

test('a process with the new key goes on over the change, and its records can be read by others', async () => {
  const world = await createWorld()
  await add(world)
  const { store } = await machine(world, world.newKey)
  expect(await store.list()).toHaveLength(2)
  await finish(world)
  await store.update(SESSION.thumbprint, ({ stored, commit }) =>
    commit({ ...stored!, handle: 'new.example.com' as Handle }),
  )
  const others = await (await machine(world, world.newKey)).store.list()
  expect(others.map(({ handle }) => handle)).toContain('new.example.com')
})

test('a record that is created at the moment of the change is encrypted anew', async () => {
  const world = await createWorld()
  await add(world)
  let isDone = false
  const { store } = await machine(world, world.newKey, undefined, {
    async before({ operation, before }) {
      if (operation !== 'swap' || before !== undefined || isDone) return undefined
      isDone = true
      await finish(world)
      return undefined
    },
  })
  const session = sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43) })
  await store.update(session.thumbprint, ({ commit }) => commit(session))
  expect(isDone).toBe(true)
  expect(await sessionsOf(world, world.newKey)).toBe(3)
})

test('so is a client key, and a process reads one that was encrypted anew', async () => {
  const world = await createWorld()
  await add(world)
  let isDone = false
  const { store } = await machine(world, world.newKey, undefined, {
    async before({ operation, name }) {
      if (operation === 'swap' && name !== VAULT_RECORD && !isDone) {
        isDone = true
        await finish(world)
      }
      return undefined
    },
  })
  const clientId = 'https://client.example.com/oauth-client-metadata.json'
  const { kty, crv, x, y, d } = SESSION.dpopPrivateJwk as { kty: 'EC'; crv: 'P-256'; x: string; y: string; d: string }
  const jwk = { kid: 'one', kty, crv, x, y, d }
  const reader = (await machine(world, world.newKey)).store
  await reader.keys()
  await keepClientKey(clientId, jwk, store)
  expect(isDone).toBe(true)
  expect(await readClientKey(clientId, jwk, reader)).toStrictEqual(jwk)
})

test('what a machine has received with the old key is stored once it has the new one', async () => {
  const world = await createWorld()
  const folder = await tempFolder()
  const { store } = await machine(world, world.oldKey, folder)
  await store.list()
  const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
  await store.memory.write('ahead', SESSION.thumbprint, `${next.name}\n${next.text}`)
  await add(world)
  await finish(world)
  await inheritMemory(world.service.connect(), world.oldKey, world.newKey, folder)
  const current = (await machine(world, world.newKey, folder)).store
  expect(await current.read(SESSION.thumbprint)).toMatchObject({ rotation: 3 })
  expect(await (await machine(world, world.newKey)).store.read(SESSION.thumbprint)).toMatchObject({ rotation: 3 })
  const old = createFolderMemory(`${folder}/${vaultFolder(world.service.address, parseUserKey(world.oldKey))}`)
  expect(await old.names('ahead')).toStrictEqual([])
})

test('a machine that goes back to the old key, as a backup was restored, stores the newer session that it has seen', async () => {
  const world = await createWorld()
  const { service, oldKey, newKey } = world
  const folder = await tempFolder()
  await (await machine(world, oldKey, folder)).store.list()
  const { version } = service
  await add(world)
  await inheritMemory(service, oldKey, newKey, folder)
  await finish(world)
  const { store } = await machine(world, newKey, folder)
  const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, await store.keys())
  service.set(next.name, next.text)
  await store.list()
  service.restore(version)
  await expect(store.list(true)).rejects.toMatchObject({ facts: { reason: 'vault-key-replaced' } })
  await inheritMemory(service, newKey, oldKey, folder)
  const found = await (await machine(world, oldKey, folder)).store.list(true)
  expect(found.find(({ did }) => did === SESSION.did)).toMatchObject({ rotation: 3 })
})

test('a service that has lost the new key gets it again from a machine that has it', async () => {
  const world = await createWorld()
  const { version } = world.service
  await add(world)
  const { store, warnings } = await machine(world, world.newKey)
  await store.list()
  world.service.restore(version)
  expect(await store.list()).toHaveLength(2)
  expect(warnings).toStrictEqual(['the vault at memory:vault had lost a key: stored it again'])
  expect(wrapsOf(world.service.records.get(VAULT_RECORD)!)).toHaveLength(2)
})

test('only one new key at a time, and only who has it can finish', async () => {
  const world = await createWorld()
  await add(world)
  const { version } = world.service
  await expect(add(world)).rejects.toMatchObject({ facts: { reason: 'vault-rekey-begun' } })
  await expect(finish(world, {}, world.oldKey)).rejects.toMatchObject({ facts: { reason: 'vault-rekey-begun' } })
  expect(world.service.version).toBe(version)
})

test('a record that cannot be read is left as it is, and named', async () => {
  const world = await createWorld()
  const name = 'f'.repeat(40)
  world.service.set(name, 'damaged')
  await add(world)
  expect(await finish(world)).toStrictEqual({ encrypted: 3, unreadable: [name] })
  expect(world.service.records.get(name)).toBe('damaged')
})
