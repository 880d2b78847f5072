/** The rules of the vault, each switched off: the model notices it. */
import { test, vi } from 'vitest'
import { VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import type { MemoryKind, VaultMemory } from '../../src/node/vault/memory.ts'
import type { Sealed } from '../../src/node/vault/record.ts'
import { VaultStore } from '../../src/node/vault/store.ts'
import type { SessionTransaction, Transaction } from '../../src/ports.ts'
import { expectNoticed, MACHINES, seeded } from '../support/vault-findings.ts'
import { type Mutation, type Plan, simulate } from '../support/vault-model.ts'
import {
  BEGIN,
  EARLY,
  owingMovePlan,
  randomMovePlan,
  randomPlan,
  randomRekeyPlan,
  randomReplacePlan,
  singleFaults,
  sleepingMovePlan,
  smallPlan,
} from '../support/vault-plans.ts'

vi.mock('../../src/protocol/oauth/dpop.ts', async (original) => {
  const { mockCrypto } = await import('../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockCrypto }
})
vi.mock('../../src/protocol/oauth/discovery.ts', async (original) => {
  const { mockDiscovery } = await import('../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockDiscovery }
})
vi.mock('../../src/node/vault/envelope.ts', async (original) => {
  const { mockEnvelope } = await import('../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockEnvelope }
})

/** Changes what a transaction is given. */
function withTransaction(change: (given: SessionTransaction) => Partial<SessionTransaction>): typeof VaultStore {
  return class extends VaultStore {
    override update<T>(thumbprint: string, transaction: Transaction<T>): Promise<T> {
      return super.update(thumbprint, (given) => transaction({ ...given, ...change(given) }))
    }
  }
}

const without = (kind: MemoryKind) => (memory: VaultMemory) => ({
  ...memory,
  write: async (...[at, name, text]: Parameters<VaultMemory['write']>) => {
    if (at !== kind) await memory.write(at, name, text)
  },
})

/** While its response is on the way, the first machine loses the vault. */
const cutOff = (begin: number): Partial<Plan> => ({
  partitions: [{ from: begin + 2000, until: begin + 60_000, machine: 0 }],
})

/** @property seed of a plan that shows that it is missing */
type Rule = Mutation & { readonly seed?: number }

/** The rules for a change of the key, each switched off. */
const REKEY_RULES: Readonly<Record<string, Rule>> = {
  'new tokens are encrypted with the present key': {
    seed: 1268,
    store: class extends VaultStore {
      override async resealed(sealed: Sealed) {
        return sealed
      }
    },
  },
  'a claim is waited for': {
    store: class extends VaultStore {
      override async mayTakeOver(...[name, claim, isLocked]: Parameters<VaultStore['mayTakeOver']>) {
        return isLocked ? super.mayTakeOver(name, claim, true) : true
      }
    },
  },
  'what was received before is not forgotten': {
    memory: (memory) => ({ ...memory, names: async (kind) => (kind === 'keys' ? [] : memory.names(kind)) }),
  },
}

/** What moves the vault believes that it has changed these records, and nobody else sees it. */
function pretending(
  engine: VaultEngine,
  isConcerned: (name: string, after: string | undefined) => boolean,
): VaultEngine {
  const believed = new Map<string, string>()
  return {
    ...engine,
    read: async (name) => believed.get(name) ?? engine.read(name),
    list: async () => new Map([...(await engine.list()), ...believed]),
    async swap(name, before, after) {
      if (after === undefined || !isConcerned(name, after)) {
        const known = believed.get(name) === before ? await engine.read(name) : before
        const outcome = await engine.swap(name, known, after)
        if (outcome === 'won') believed.delete(name)
        return outcome
      }
      believed.set(name, after)
      return 'won'
    },
  }
}

/** The rules for a move, each switched off. */
const MOVE_RULES: Readonly<Record<string, Rule & { readonly plan?: (seed: number) => Plan }>> = {
  'the old place is closed first': {
    move: (source, target) => [
      pretending(source, (name, after) => name === VAULT_RECORD && after?.includes('"isFinished":false') === true),
      target,
    ],
  },
  'what was copied is closed': {
    move: (source, target) => [pretending(source, (name) => name !== VAULT_RECORD), target],
  },
  'the new place is opened last': {
    move: (source, target) => {
      const open = (text?: string) => text?.replace(/,"move":\{[^}]*\}/, '')
      const engine = pretending(target, (name) => name === VAULT_RECORD)
      const early: VaultEngine = {
        ...engine,
        async swap(name, before, after) {
          if (name === VAULT_RECORD) await target.swap(name, await target.read(name), open(after))
          return engine.swap(name, before, after)
        },
      }
      return [source, early]
    },
  },
  'a claim is waited for': {
    seed: 587,
    moveStore: class extends VaultStore {
      override async mayTakeOver() {
        return true
      }
    },
  },
  'what another machine has copied is not overwritten': {
    plan: sleepingMovePlan,
    move: (source, target) => {
      const overwriting: VaultEngine = {
        ...target,
        async swap(name, before, after) {
          return target.swap(name, name === VAULT_RECORD ? before : await target.read(name), after)
        },
      }
      return [source, overwriting]
    },
  },
  'what was received at the old address is not forgotten': {
    plan: owingMovePlan,
    memory: (memory) => ({ ...memory, names: async (kind) => (kind === 'ahead' ? [] : memory.names(kind)) }),
  },
}

test.each(Object.entries(MOVE_RULES))(
  'the model notices that a rule for a move is missing: %s',
  (rule, { plan = randomMovePlan, seed, ...mutation }) => expectNoticed(rule, seeded(plan, seed), mutation),
)

/** The rules for a vault that is replaced, each switched off. */
const REPLACE_RULES: Readonly<Record<string, Rule>> = {
  'what is stored after it was replaced is taken back': {
    seed: 1000,
    store: class extends VaultStore {
      override async refreshKeys() {
        // The keys are still those that it has.
      }
    },
  },
}

test.each(Object.entries(REPLACE_RULES))(
  'the model notices that a rule for a replaced vault is missing: %s',
  (rule, { seed, ...mutation }) => expectNoticed(rule, seeded(randomReplacePlan, seed), mutation),
)

test.each(Object.entries(REKEY_RULES))(
  'the model notices that a rule for a change of the key is missing: %s',
  (rule, { seed, ...mutation }) => expectNoticed(rule, seeded(randomRekeyPlan, seed), mutation),
)

/** The rules of the vault, each switched off. */
const RULES: Readonly<
  Record<
    string,
    Mutation & {
      readonly when: RegExp
      /** All processes are on one machine. */
      readonly isAlone?: boolean
      readonly besides?: (begin: number) => Partial<Plan>
    }
  >
> = {
  'a claim before a token is sent': {
    when: /^$|suspend/,
    store: withTransaction(({ commit }) => ({
      commit: async (next) => {
        if (!next.intent) await commit(next)
      },
    })),
  },
  'a claim is young when the token is sent': {
    when: /suspend/,
    store: withTransaction(() => ({ confirm: async () => undefined })),
  },
  'a claim is as old as any clock says': {
    when: /nap/,
    store: class extends VaultStore {
      override stopwatch() {
        const [wall, monotonic] = [this.clock.now(), this.clock.monotonic()]
        return () => Math.max(this.clock.now() - wall, this.clock.monotonic() - monotonic)
      }
    },
  },
  'a claim is left alone for a while': {
    when: /^$|slow|suspend/,
    store: class extends VaultStore {
      override async mayTakeOver() {
        return true
      }
    },
  },
  'for longer than its process can need': {
    when: /slow|suspend/,
    times: { takeover: 20_000, takeoverDurable: 20_000 },
  },
  'a change that may have been made is looked at': {
    when: /lost-before|late/,
    store: class extends VaultStore {
      override async swap(before: Sealed | undefined, after: Sealed) {
        return (await this.engine.swap(after.name, before?.text, after.text)) !== 'lost'
      }
    },
  },
  'new tokens are stored by their rotation': {
    when: /suspend/,
    besides: () => ({ serverFaults: new Map([[2, 'unreachable']]) }),
    store: class extends VaultStore {
      override async publish(...[next, expected, limit]: Parameters<VaultStore['publish']>) {
        return expected === undefined ? super.publish(next, expected, limit) : this.swap(expected, next, limit)
      }
    },
  },
  'new tokens are kept before they are published': {
    when: /crash/,
    isAlone: true,
    besides: cutOff,
    memory: without('ahead'),
  },
  'what was kept is published first': {
    when: /crash/,
    isAlone: true,
    besides: cutOff,
    store: class extends VaultStore {
      override async finishAhead() {
        // Left for ever.
      }
    },
  },
  'what was lost there is restored': {
    when: /lose-write/,
    isAlone: true,
    memory: (memory) => ({ ...memory, names: async (kind) => (kind === 'seen' ? [] : memory.names(kind)) }),
  },
  'the access token is asked before a token is sent again': {
    when: /crash/,
    store: withTransaction(() => ({ sentBy: undefined })),
  },
  'one process of a machine at a time': {
    when: /^$|slow|suspend/,
    isAlone: true,
    memory: (memory) => ({ ...memory, lock: (_, work) => work({ confirm: async () => undefined }) }),
  },
}

/** Small schedules first: with the faults that matter, and early ones, where the access token still works. */
async function* plansFor(
  when: RegExp,
  all: typeof MACHINES,
  besides: (begin: number) => Partial<Plan>,
): AsyncGenerator<Plan> {
  for (const kinds of [
    ['refresh', 'refresh'],
    ['refresh', 'call', 'refresh'],
    ['call', 'call'],
  ] as const) {
    for (const machines of all) {
      for (const begin of [EARLY, BEGIN]) {
        const base = { ...smallPlan(kinds, { machines, begin }), ...besides(begin) }
        yield base
        for (const [name, change] of singleFaults(await simulate(base)))
          if (when.test(name)) yield { ...base, ...change, ...besides(begin) }
      }
    }
  }
  yield* seeded(randomPlan)
}

test.each(Object.entries(RULES))(
  'the model notices that a rule is missing: %s',
  (rule, { when, isAlone, besides = () => ({}), ...mutation }) =>
    expectNoticed(rule, plansFor(when, isAlone ? MACHINES.slice(-1) : MACHINES, besides), mutation),
)
