import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Did, SessionRecord } from '../../../src/model.ts'
import { keepClientKey } from '../../../src/node/vault/client-keys.ts'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import {
  clientKeyRecordName,
  createUserKey,
  createVault,
  openRecord,
  parseUserKey,
  sealRecord,
  unwrapAnyKeys,
  unwrapKeys,
} from '../../../src/node/vault/envelope.ts'
import { moveVault, readLeftBehind } from '../../../src/node/vault/move.ts'
import { goneTo } from '../../../src/node/vault/moved.ts'
import { openVault } from '../../../src/node/vault/open.ts'
import { seal, unseal, type VaultRecord } from '../../../src/node/vault/record.ts'
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
const CLAIM = { id: 'c', rotation: 2, purpose: 'refresh', holder: 'h', durable: false, label: 'another' }

/** A vault with a session, one that was ended, and a client key; and a place with nothing. */
async function createWorld() {
  const [source, target] = [new MemoryService('memory:old'), new MemoryService('memory:new')]
  const key = createUserKey(random)
  const { keys, text } = await createVault(source.address, parseUserKey(key), random)
  source.set(VAULT_RECORD, text)
  const other = sessionRecord({ did: BOB, ended: ENDED, accessTokenExpiresAt: OLD })
  const names: string[] = []
  for (const session of [SESSION, other]) {
    const sealed = await seal({ version: 1, kind: 'session', session }, keys)
    source.set(sealed.name, sealed.text)
    names.push(sealed.name)
  }
  const clientKey = clientKeyRecordName('x', keys)
  source.set(clientKey, await sealRecord(CLIENT_KEY, clientKey, keys))
  const put = async (record: Partial<VaultRecord>) => {
    const sealed = await seal({ version: 1, kind: 'session', session: SESSION, ...record }, keys)
    source.set(sealed.name, sealed.text)
    return sealed
  }
  return { source, target, key, keys, names, clientKey, put }
}
type World = Awaited<ReturnType<typeof createWorld>>

interface Opening {
  readonly folder?: string
  readonly hooks?: MemoryHooks
  readonly isMoving?: boolean
  readonly endTokens?: (record: SessionRecord) => Promise<void>
}

async function machine(
  service: MemoryService,
  key: string,
  { folder, hooks, isMoving, endTokens = async () => {} }: Opening = {},
) {
  const warnings: string[] = []
  const store = await openVault({
    engine: service.connect(hooks),
    key,
    isMoving,
    folder: folder ?? (await tempFolder()),
    environment: {},
    holdSignals: (work) => work(),
    endTokens,
    warn: (message) => void warnings.push(message),
    ...random,
  })
  return { store, warnings }
}

async function move({ source, target, key }: World, opening: Opening = {}) {
  const { store } = await machine(source, key, { ...opening, isMoving: true })
  const to = target.address
  const isTo = async (address: string) => address === to
  const given = { from: source.address, to, isTo, userKey: parseUserKey(key) }
  return moveVault(store, target.connect(opening.hooks), given, ports)
}

const MOVED = { code: 'VAULT_INVALID', facts: { reason: 'vault-moved', address: 'memory:new' } }
const UNFINISHED = {
  code: 'VAULT_INVALID',
  facts: { reason: 'vault-move-unfinished', from: 'memory:old', address: 'memory:new' },
}

async function sessionsAt(service: MemoryService, key: string) {
  const found = await (await machine(service, key)).store.list()
  return found.map(({ did, rotation }) => [did, rotation]).sort()
}

test('everything is at the new address, with the same key, and the old one says where', async () => {
  const world = await createWorld()
  const { source, target, key, keys, names, clientKey } = world
  expect(await sessionsAt(source, key)).toHaveLength(2)
  expect(await move(world)).toStrictEqual({ isRepeated: false, records: 3, unreadable: [] })
  expect(await sessionsAt(target, key)).toStrictEqual([
    [BOB, undefined],
    [SESSION.did, 2],
  ])
  const current = await unwrapKeys(target.records.get(VAULT_RECORD)!, parseUserKey(key), target.address)
  expect(current).toMatchObject({ id: keys.id, nameKey: keys.nameKey, movedFrom: [source.address] })
  expect(await openRecord(target.records.get(clientKey)!, clientKey, current)).toStrictEqual(CLIENT_KEY)
  for (const name of [...names, clientKey]) {
    expect(goneTo(await openRecord(source.records.get(name)!, name, keys))).toBe(target.address)
  }
  await expect(sessionsAt(source, key)).rejects.toMatchObject(MOVED)
  const before = [source.version, target.version]
  expect(await move(world)).toStrictEqual({ isRepeated: true, records: 0, unreadable: [] })
  expect([source.version, target.version]).toStrictEqual(before)
})

test('no session can be read at both places, at any time', async () => {
  const world = await createWorld()
  const { source, target, key } = world
  const open: string[][] = []
  const look = async () => {
    const found = await Promise.all(
      [source, target].map(async (service) => {
        const text = service.records.get(VAULT_RECORD)
        if (text === undefined) return []
        return unwrapKeys(text, parseUserKey(key), service.address).then(
          () => [service.address],
          () => [],
        )
      }),
    )
    open.push(found.flat())
  }
  await move(world, { hooks: { after: ({ operation }) => (operation === 'swap' ? look() : undefined) } })
  expect(open.every((places) => places.length <= 1)).toBe(true)
  expect(open[0]).toStrictEqual([source.address])
  expect(open.at(-1)).toStrictEqual([target.address])
  expect(open.some((places) => places.length === 0)).toBe(true)
})

describe.each(['unreachable', 'lost-before', 'lost-after'] as const)('cut off at every change: %s', (fault) => {
  test('the next run finishes it, on this machine or another one', async () => {
    for (let last = 1; last <= 10; last++) {
      const world = await createWorld()
      let swaps = 0
      const before: MemoryHooks['before'] = ({ operation }) => {
        if (operation === 'swap') swaps++
        if (swaps < last) return undefined
        return operation === 'swap' && swaps === last ? fault : 'unreachable'
      }
      const folder = await tempFolder()
      await expect(move(world, { folder, hooks: { before } })).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' })
      expect(swaps).toBeGreaterThanOrEqual(last)
      expect(await move(world, last % 2 === 0 ? { folder } : {}), `swap ${last}`).toMatchObject({ unreadable: [] })
      expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
      await expect(sessionsAt(world.source, world.key)).rejects.toMatchObject(MOVED)
    }
  })
})

test.each(['old', 'new'])('gives up if changes at the %s place are never confirmed', async (which) => {
  const world = await createWorld()
  const folder = await tempFolder()
  const lose: MemoryHooks['before'] = ({ operation, name }) =>
    operation === 'swap' && name !== VAULT_RECORD ? 'lost-before' : undefined
  const { store } = await machine(world.source, world.key, {
    folder,
    isMoving: true,
    ...(which === 'old' && { hooks: { before: lose } }),
  })
  const target = world.target.connect(which === 'new' ? { before: lose } : {})
  const given = { from: 'memory:old', to: 'memory:new', isTo: async () => true, userKey: parseUserKey(world.key) }
  const cut = { code: 'VAULT_UNREACHABLE', session: 'alive' }
  await expect(moveVault(store, target, given, ports)).rejects.toMatchObject(cut)
  expect(await move(world)).toMatchObject({ isRepeated: false, unreadable: [] })
  expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
})

test('until it is finished, both places say so', async () => {
  const world = await createWorld()
  let swaps = 0
  const before: MemoryHooks['before'] = ({ operation }) =>
    operation === 'swap' && ++swaps > 3 ? 'unreachable' : undefined
  await expect(move(world, { hooks: { before } })).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' })
  for (const service of [world.source, world.target]) {
    await expect(sessionsAt(service, world.key)).rejects.toMatchObject(UNFINISHED)
  }
})

test('a new place that loses the change that opened it is opened by the next run', async () => {
  const world = await createWorld()
  await move(world)
  world.target.loseLastWrite()
  await expect(sessionsAt(world.target, world.key)).rejects.toMatchObject(UNFINISHED)
  expect(await move(world)).toStrictEqual({ isRepeated: true, records: 0, unreadable: [] })
  expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
  world.target.clear()
  expect(await move(world)).toMatchObject({ isRepeated: true })
  expect(world.target.records.size).toBe(0)
})

test('two machines that move it at the same time both succeed', async () => {
  const world = await createWorld()
  const outcomes = await Promise.all([move(world), move(world)])
  expect(outcomes.map(({ unreadable }) => unreadable)).toStrictEqual([[], []])
  expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
})

test.each([1, 2])(
  'what another machine has copied, and what was changed there since read %i of the record, is not overwritten',
  async (moment) => {
    const world = await createWorld()
    const [name = ''] = world.names
    let reads = 0
    let newer = ''
    const hooks: MemoryHooks = {
      async after({ operation, name: read }) {
        if (operation !== 'read' || read !== name || ++reads !== moment) return
        await move(world)
        const keys = await unwrapKeys(world.target.records.get(VAULT_RECORD)!, parseUserKey(world.key), 'memory:new')
        newer = (await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, keys)).text
        world.target.set(name, newer)
      },
    }
    expect(await move(world, { hooks })).toMatchObject({ isRepeated: false })
    expect(newer).toMatch(/^eyJ/)
    expect(world.target.records.get(name)).toBe(newer)
  },
)

test('of two machines that move it to different places, the second one leaves nothing at its place', async () => {
  const world = await createWorld()
  const third = new MemoryService('memory:third')
  const before: MemoryHooks['before'] = async ({ operation, name, before: text }) => {
    if (operation !== 'swap' || name !== VAULT_RECORD || text === undefined) return undefined
    if (world.target.records.size === 0) await move(world)
    return undefined
  }
  await expect(move({ ...world, target: third }, { hooks: { before } })).rejects.toMatchObject(MOVED)
  expect(third.version).toBe(2)
  expect(third.records.size).toBe(0)
  expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
})

describe('a target that is not empty is refused', () => {
  const taken = { code: 'VAULT_INVALID', facts: { reason: 'vault-target-taken', address: 'memory:new' } }

  test('another vault', async () => {
    const world = await createWorld()
    const { text } = await createVault(world.target.address, parseUserKey(createUserKey(random)), random)
    world.target.set(VAULT_RECORD, text)
    const { version } = world.source
    await expect(move(world)).rejects.toMatchObject(taken)
    expect([world.source.version, world.target.version]).toStrictEqual([version, 1])
  })

  test('a record without a vault, or another vault with the same key', async () => {
    const world = await createWorld()
    world.target.set('f'.repeat(40), 'left')
    await expect(move(world)).rejects.toMatchObject(taken)
    const other = await createWorld()
    other.target.set(VAULT_RECORD, (await createVault('memory:new', parseUserKey(other.key), random)).text)
    await expect(move(other)).rejects.toMatchObject(taken)
  })

  test('what is left of this vault, which was there before', async () => {
    const world = await createWorld()
    await move(world)
    const back = { ...world, source: world.target, target: world.source }
    await expect(move(back)).rejects.toMatchObject({ facts: { reason: 'vault-target-taken' } })
    world.source.clear()
    await move(back)
    expect(await sessionsAt(world.source, world.key)).toHaveLength(2)
  })
})

test('an unfinished move goes nowhere else', async () => {
  const world = await createWorld()
  await move(world)
  await expect(move({ ...world, target: new MemoryService('memory:third') })).rejects.toMatchObject(MOVED)
})

test('while the key is being replaced, nothing is moved', async () => {
  const world = await createWorld()
  const newKey = createUserKey(random)
  const userKeys = { userKey: parseUserKey(world.key), newKey: parseUserKey(newKey) }
  await addKey(world.source.connect(), world.source.records.get(VAULT_RECORD)!, userKeys, ports)
  await expect(move(world)).rejects.toMatchObject({ facts: { reason: 'vault-rekey-begun' } })
  expect(world.target.records.size).toBe(0)
  const onNew = { ...world, key: newKey }
  await expect(move(onNew)).rejects.toMatchObject({ facts: { reason: 'vault-rekey-unfinished' } })
  expect(world.target.records.size).toBe(0)
})

test('the key of a vault that has moved is not replaced', async () => {
  const world = await createWorld()
  await move(world)
  const userKeys = { userKey: parseUserKey(world.key), newKey: parseUserKey(createUserKey(random)) }
  const text = world.source.records.get(VAULT_RECORD)!
  await expect(addKey(world.source.connect(), text, userKeys, ports)).rejects.toMatchObject(MOVED)
})

test('a claim of this machine, of a process that died, is taken over, and says who may have sent the token', async () => {
  const world = await createWorld()
  const folder = await tempFolder()
  const { holder } = (await machine(world.source, world.key, { folder })).store.machine
  const session = { ...SESSION, intent: { tokenHash: 'x', at: OLD } }
  const { name } = await world.put({ session, claim: { ...CLAIM, holder } })
  await move(world, { folder })
  const sealed = await unseal(name, world.target.records.get(name)!, world.keys)
  expect(sealed?.record).toMatchObject({ session, sentBy: { holder, label: 'another' } })
  expect(sealed?.record).not.toHaveProperty('claim')
})

test('a claim of another machine is waited for, and what it stores is moved', async () => {
  const world = await createWorld()
  const claimed = await world.put({ claim: CLAIM })
  let isAsked = false
  const after: MemoryHooks['after'] = async ({ operation, name }) => {
    if (operation !== 'read' || name !== claimed.name || isAsked) return
    isAsked = true
    expect(world.source.records.get(name)).toBe(claimed.text)
    await world.put({ session: { ...SESSION, rotation: 3 } })
  }
  await move(world, { hooks: { after } })
  expect(isAsked).toBe(true)
  expect(await sessionsAt(world.target, world.key)).toContainEqual([SESSION.did, 3])
})

test('what this machine has received and not stored is moved', async () => {
  const world = await createWorld()
  const folder = await tempFolder()
  const { store } = await machine(world.source, world.key, { folder })
  const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
  await store.memory.write('ahead', SESSION.thumbprint, `${next.name}\n${next.text}`)
  await move(world, { folder })
  expect(await sessionsAt(world.target, world.key)).toContainEqual([SESSION.did, 3])
})

describe('a machine that had the old address', () => {
  test('is told, also if that place is restored or emptied later, and changes nothing there', async () => {
    const world = await createWorld()
    const folder = await tempFolder()
    const { version } = world.source
    const { store } = await machine(world.source, world.key, { folder })
    await store.list()
    await move(world)
    await expect(store.list()).rejects.toMatchObject(MOVED)
    for (const spoil of [() => world.source.restore(version), () => world.source.clear()]) {
      spoil()
      const { version: current } = world.source
      const later = await machine(world.source, world.key, { folder })
      await expect(later.store.list()).rejects.toMatchObject(MOVED)
      expect(world.source.version).toBe(current)
    }
  })

  test('stores what it has received, and what it has seen and was lost, at the new address', async () => {
    const world = await createWorld()
    const folder = await tempFolder()
    const { store } = await machine(world.source, world.key, { folder })
    await store.list()
    const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
    const bob = await seal(
      { version: 1, kind: 'session', session: sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43), rotation: 7 }) },
      world.keys,
    )
    await store.memory.write('ahead', SESSION.thumbprint, `${next.name}\n${next.text}`)
    await store.memory.write('seen', bob.name, bob.text)
    await move(world)
    await expect(store.list(true)).rejects.toMatchObject(MOVED)
    expect(await store.memory.names('ahead')).toHaveLength(1)
    const found = await (await machine(world.target, world.key, { folder })).store.list(true)
    expect(found.map(({ did, rotation }) => [did, rotation])).toContainEqual([SESSION.did, 3])
    expect(await sessionsAt(world.target, world.key)).toContainEqual([EVE, 7])
    expect(await store.memory.names('ahead')).toStrictEqual([])
  })

  test('and an earlier key stores nothing there when what was left is deleted', async () => {
    const world = await createWorld()
    const folder = await tempFolder()
    await (await machine(world.source, world.key, { folder })).store.list()
    const newKey = createUserKey(random)
    const userKeys = { userKey: parseUserKey(world.key), newKey: parseUserKey(newKey) }
    await addKey(world.source.connect(), world.source.records.get(VAULT_RECORD)!, userKeys, ports)
    const { store } = await machine(world.source, newKey)
    await finishRekey(store, userKeys.newKey, ports)
    const replaced = { code: 'VAULT_KEY_WRONG', facts: { reason: 'vault-key-replaced' } }
    await expect(move(world, { folder })).rejects.toMatchObject(replaced)
    await move({ ...world, key: newKey })
    world.source.clear()
    const { version } = world.source
    const late = await machine(world.source, world.key, { folder })
    await expect(late.store.list()).rejects.toMatchObject(replaced)
    expect(world.source.version).toBe(version)
  })

  test('that saves a login at this moment leaves nothing there', async () => {
    const world = await createWorld()
    let isDone = false
    const hooks: MemoryHooks = {
      async before({ operation, before }) {
        if (operation !== 'swap' || before !== undefined || isDone) return undefined
        isDone = true
        await move(world)
        return undefined
      },
    }
    const { store } = await machine(world.source, world.key, { hooks })
    const session = sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43) })
    await expect(store.update(session.thumbprint, ({ commit }) => commit(session))).rejects.toMatchObject(MOVED)
    expect(isDone).toBe(true)
    const { name } = await seal({ version: 1, kind: 'session', session }, world.keys)
    expect(world.source.records.has(name)).toBe(false)
    expect(await sessionsAt(world.target, world.key)).toHaveLength(2)
  })

  test('that saves a login which is moved at this moment stores it once, at the new address', async () => {
    const world = await createWorld()
    let isDone = false
    const hooks: MemoryHooks = {
      async after({ operation, before, after }) {
        if (operation !== 'swap' || before !== undefined || after === undefined || isDone) return
        isDone = true
        await move(world)
      },
    }
    const { store, warnings } = await machine(world.source, world.key, { hooks })
    const session = sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43) })
    await store.update(session.thumbprint, ({ commit }) => commit(session))
    expect(isDone).toBe(true)
    expect(warnings).toStrictEqual(['the vault at memory:old has moved to memory:new: the session is stored there'])
    expect(await sessionsAt(world.target, world.key)).toHaveLength(3)
  })

  test('that is killed when it has saved a login, after the last look: the login is moved', async () => {
    for (const isLater of [false, true]) {
      const world = await createWorld()
      const session = sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43) })
      const put = () => world.put({ session })
      const after: MemoryHooks['after'] = async ({ operation, name }) => {
        if (isLater || operation !== 'swap' || name !== VAULT_RECORD) return
        const keys = await unwrapAnyKeys(world.target.records.get(VAULT_RECORD)!, parseUserKey(world.key), 'memory:new')
        if (keys.move === undefined) await put()
      }
      await move(world, { hooks: { after } })
      if (isLater) {
        await put()
        expect(await move(world)).toStrictEqual({ isRepeated: true, records: 1, unreadable: [] })
      }
      const found = await sessionsAt(world.target, world.key)
      expect(found.map(([did]) => did)).toContain(EVE)
      expect(await readLeftBehind(world.source.connect(), parseUserKey(world.key))).toMatchObject({ pending: [] })
    }
  })

  test('a late login is moved on, also if the vault has moved twice since', async () => {
    for (const isKnown of [false, true]) {
      const world = await createWorld()
      const next = { ...world, source: world.target, target: new MemoryService('memory:last') }
      await move(world)
      await move(next)
      const session = isKnown ? { ...SESSION, thumbprint: 'e'.repeat(43) } : sessionRecord({ did: EVE })
      await world.put({ session })
      expect(await move(world)).toStrictEqual({ isRepeated: true, records: 1, unreadable: [], onward: 'memory:last' })
      const ended: string[] = []
      const endTokens = async ({ thumbprint }: SessionRecord) => void ended.push(thumbprint)
      expect(await move(next, { endTokens })).toStrictEqual({ isRepeated: true, records: 1, unreadable: [] })
      for (const { source } of [world, next]) {
        expect(await readLeftBehind(source.connect(), parseUserKey(world.key))).toMatchObject({ pending: [] })
      }
      const found = (await sessionsAt(next.target, world.key)).map(([did]) => did)
      expect(found.includes(EVE)).toBe(!isKnown)
      expect(ended).toStrictEqual(isKnown ? [session.thumbprint] : [])
      expect(await move(world)).toStrictEqual({ isRepeated: true, records: 0, unreadable: [] })
    }
  })

  test('that keeps a client key at this moment leaves nothing there, or has it moved', async () => {
    for (const isTaken of [false, true]) {
      const world = await createWorld()
      let isDone = false
      const once = async ({ operation, after }: { operation: string; after?: string | undefined }) => {
        if (operation !== 'swap' || after === undefined || isDone) return undefined
        isDone = true
        await move(world)
        return undefined
      }
      const hooks: MemoryHooks = isTaken ? { after: once } : { before: once }
      const { store } = await machine(world.source, world.key, { hooks })
      const { x, y, d } = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
      const jwk = { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d!, kid: 'first' } as const
      await expect(keepClientKey('https://client.example.com', jwk, store)).rejects.toMatchObject(MOVED)
      expect(isDone).toBe(true)
      expect(await readLeftBehind(world.source.connect(), parseUserKey(world.key))).toMatchObject({ pending: [] })
      expect(world.target.records.size).toBe(1 + 3 + (isTaken ? 1 : 0))
    }
  })

  test('a late login is ended if there is a newer one of the account', async () => {
    const world = await createWorld()
    await move(world)
    const current = await unwrapKeys(world.target.records.get(VAULT_RECORD)!, parseUserKey(world.key), 'memory:new')
    const newer = sessionRecord({ did: EVE, thumbprint: 'n'.repeat(43) })
    const there = await seal({ version: 1, kind: 'session', session: newer }, current)
    world.target.set(there.name, there.text)
    const session = sessionRecord({ did: EVE, thumbprint: 'e'.repeat(43) })
    await world.put({ session })
    const ended: string[] = []
    const endTokens = async ({ thumbprint }: SessionRecord) => void ended.push(thumbprint)
    expect(await move(world, { endTokens })).toMatchObject({ isRepeated: true })
    expect(world.target.records.get(there.name)).toBe(there.text)
    expect(ended).toStrictEqual([session.thumbprint])
  })

  test('that refreshes at this moment keeps the new tokens, and stores them at the new address', async () => {
    const world = await createWorld()
    const folder = await tempFolder()
    const { store } = await machine(world.source, world.key, { folder })
    const claimed = await world.put({ claim: { ...CLAIM, holder: store.machine.holder } })
    const next = await seal({ version: 1, kind: 'session', session: { ...SESSION, rotation: 3 } }, world.keys)
    const left = await sealRecord({ version: 1, kind: 'moved', to: 'memory:new' }, claimed.name, world.keys)
    world.source.set(claimed.name, left)
    await expect(store.publish(next, claimed, 0)).rejects.toMatchObject(MOVED)
    expect(world.source.records.get(claimed.name)).toBe(left)
  })
})

test('a record that cannot be read is left where it is, and named', async () => {
  const world = await createWorld()
  const name = 'f'.repeat(40)
  world.source.set(name, 'damaged')
  expect(await move(world)).toStrictEqual({ isRepeated: false, records: 3, unreadable: [name] })
  expect(world.source.records.get(name)).toBe('damaged')
  expect(world.target.records.has(name)).toBe(false)
})
