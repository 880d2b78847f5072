/**
 * A vault in memory, the fake servers, and any number of machines with a memory of their own. Waiting takes no time, and
 * lets the others go on.
 */

import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Completed, Credentials, SessionRecord } from '../../src/model.ts'
import { VAULT_RECORD } from '../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey, type VaultKeys } from '../../src/node/vault/envelope.ts'
import type { VaultMemory } from '../../src/node/vault/memory.ts'
import { type VaultClock, type VaultMachine, VaultStore } from '../../src/node/vault/store.ts'
import type { VaultTimes } from '../../src/node/vault/times.ts'
import type { SessionStore } from '../../src/ports.ts'
import { endSession } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { createFakeWorld, type FakeWorld } from './fake-atproto.ts'
import { type MemoryHooks, type MemoryRequest, MemoryService } from './memory-engine.ts'

const CLIENT = {
  clientId: 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto',
  redirectUri: 'http://127.0.0.1/callback',
  scope: 'atproto',
}

export interface MachineOptions {
  readonly hooks?: MemoryHooks
  readonly memory?: VaultMemory
  readonly machine?: Partial<VaultMachine>
  readonly clock?: Partial<VaultClock>
  readonly times?: Partial<VaultTimes>
}

export interface VaultTestMachine {
  readonly store: VaultStore
  readonly memory: VaultMemory
  readonly runtime: FakeWorld
  /** What it asked the vault for. */
  readonly requests: MemoryRequest[]
}

export interface VaultWorld {
  readonly fake: FakeWorld
  readonly service: MemoryService
  readonly keys: VaultKeys
  readonly userKey: string
  /** Of the login that `put` stored. */
  readonly credentials: Credentials
  /** Stores a new login. */
  put(): Promise<SessionRecord>
  machine(options?: MachineOptions): Promise<VaultTestMachine>
  /** How many refresh tokens reached the server. */
  refreshes(): number
}

export function createTestMemory(): VaultMemory {
  const files = new Map<string, string>()
  const queues = new Map<string, Promise<void>>()
  return {
    read: async (kind, name) => files.get(`${kind}/${name}`),
    write: async (kind, name, text) => void files.set(`${kind}/${name}`, text),
    remove: async (kind, name) => void files.delete(`${kind}/${name}`),
    names: async (kind) =>
      [...files.keys()].filter((path) => path.startsWith(`${kind}/`)).map((path) => path.split('/')[1]!),
    reserve: async () => ({ [Symbol.asyncDispose]: async () => {} }),
    async lock(thumbprint, work) {
      const before = queues.get(thumbprint) ?? Promise.resolve()
      let leave = () => {}
      queues.set(thumbprint, new Promise<void>((resolve) => (leave = resolve)))
      await before
      try {
        return await work({ confirm: async () => {} })
      } finally {
        leave()
      }
    },
  }
}

export async function createVaultWorld(address?: string): Promise<VaultWorld> {
  const fake = createFakeWorld({ topology: 'together', faults: { nonceMemory: 1000 } })
  const service = new MemoryService(address)
  const userKey = createUserKey(fake)
  const { keys, text } = await createVault(service.address, parseUserKey(userKey), fake)
  service.set(VAULT_RECORD, text)
  const nonces = new Map<string, Awaited<ReturnType<SessionStore['readNonces']>>>()
  let login: Completed | undefined
  let count = 0

  async function machine(options: MachineOptions = {}): Promise<VaultTestMachine> {
    count++
    const name = `machine ${count}`
    const requests: MemoryRequest[] = []
    const engine = service.connect({
      ...options.hooks,
      before(request) {
        requests.push(request)
        return options.hooks?.before?.(request)
      },
    })
    const memory = options.memory ?? createTestMemory()
    const store: VaultStore = new VaultStore({
      engine,
      keys: async () => keys,
      memory,
      clock: {
        now: fake.now,
        monotonic: fake.now,
        uptime: fake.now,
        boot: name,
        sleep: () => new Promise((resolve) => setImmediate(resolve)),
        ...options.clock,
      },
      machine: { holder: name, label: name, durable: true, ...options.machine },
      holdSignals: (work) => work(),
      endTokens: async (record) => void (await endSession(record, runtime)),
      randomBytes: fake.randomBytes,
      warn: fake.warn,
      ...(options.times && { times: options.times }),
      nonces: {
        readNonces: async (thumbprint) => nonces.get(thumbprint) ?? {},
        writeNonces: async (thumbprint, next) => void nonces.set(thumbprint, next),
      },
    })
    const runtime: FakeWorld = { ...fake, stores: { ...fake.stores, sessions: store } }
    return { store, memory, runtime, requests }
  }

  return {
    fake,
    service,
    keys,
    userKey,
    get credentials() {
      return login!.credentials
    },
    async put() {
      const { authorizationUrl } = await init('alice.fake.dev', CLIENT, fake)
      login = await complete(fake.authorize(authorizationUrl), fake)
      const { runtime } = await machine()
      const saving = { ...runtime.saving, inStore: true }
      return saveSession(login.credentials, login.handle, { ...runtime, saving })
    },
    machine,
    refreshes: () =>
      fake.sent('token').filter((request) => String(request.body).includes('grant_type=refresh_token')).length,
  }
}
