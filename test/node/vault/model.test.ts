/** The transactions of several machines on one vault, in simulated time. */
import { writeFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { VAULT_RECORD, type VaultEngine } from '../../../src/node/vault/engine.ts'
import type { MemoryKind, VaultMemory } from '../../../src/node/vault/memory.ts'
import type { Sealed } from '../../../src/node/vault/record.ts'
import { VaultStore } from '../../../src/node/vault/store.ts'
import { VAULT_TIMES } from '../../../src/node/vault/times.ts'
import type { SessionTransaction, Transaction } from '../../../src/ports.ts'
import { TOKEN_TIMEOUT } from '../../../src/protocol/oauth/server-agent.ts'
import {
  type MachinePlan,
  type Mutation,
  type OperationKind,
  type Outcome,
  type Plan,
  simulate,
} from '../../support/vault-model.ts'
import {
  BEGIN,
  both,
  EARLY,
  movePlan,
  owingMovePlan,
  racingMovePlan,
  randomMovePlan,
  randomPlan,
  randomRekeyPlan,
  randomReplacePlan,
  rekeyPlan,
  singleFaults,
  sleepingMovePlan,
  smallPlan,
} from '../../support/vault-plans.ts'

vi.mock('../../../src/protocol/oauth/dpop.ts', async (original) => {
  const { mockCrypto } = await import('../../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockCrypto }
})
vi.mock('../../../src/protocol/oauth/discovery.ts', async (original) => {
  const { mockDiscovery } = await import('../../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockDiscovery }
})
vi.mock('../../../src/node/vault/envelope.ts', async (original) => {
  const { mockEnvelope } = await import('../../support/vault-model-mocks.ts')
  return { ...(await original<object>()), ...mockEnvelope }
})

/** More find more: `ATPROTO_OAUTH_TEST_VAULT_RUNS=100000 npx vitest run … model.test.ts`. */
const THOROUGH = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] !== undefined
const RUNS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_RUNS'] ?? (THOROUGH ? 1000 : 100))
const FIRST = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_SEED'] ?? 1)
/** Where each kind of violation is written, with its schedule and what happened. */
const FOLDER = process.env['ATPROTO_OAUTH_TEST_VAULT_REPORT']

/** What was found in many schedules: each cause once. */
class Findings {
  readonly total = { schedules: 0, steps: 0, tokens: 0, resends: 0, losses: 0 }
  readonly causes = new Map<string, { count: number; readonly first: string }>()

  async run(plan: Plan, name = `seed ${plan.seed}`, mutation?: Mutation): Promise<Outcome> {
    const outcome = await simulate(plan, mutation)
    const { steps, tokenRequests, resends, losses, violations, trace } = outcome
    const { total, causes } = this
    total.schedules++
    total.steps += steps
    total.tokens += tokenRequests
    total.resends += resends
    total.losses += losses
    for (const violation of new Set(violations)) {
      const cause = violation.replaceAll(/m\d\/p\d+|\d+/g, '#')
      const known = causes.get(cause)
      const asText = (_: string, value: unknown) => (value instanceof Map ? [...value] : value)
      if (known) known.count++
      else causes.set(cause, { count: 1, first: [name, JSON.stringify(plan, asText), ...trace].join('\n') })
    }
    return outcome
  }

  assertNone(): void {
    let number = 0
    if (FOLDER) for (const { first } of this.causes.values()) writeFileSync(`${FOLDER}/${++number}.txt`, first)
    if (FOLDER) writeFileSync(`${FOLDER}/total.json`, JSON.stringify(this.total))
    const [worst] = [...this.causes.values()].sort((one, other) => one.first.length - other.first.length)
    const counts = [...this.causes].map(([cause, { count }]) => `${count} × ${cause}`)
    expect(counts, worst?.first).toStrictEqual([])
  }
}

test('random schedules', async () => {
  const findings = new Findings()
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) await findings.run(randomPlan(seed))
  findings.assertNone()
})

/** Of how many schedules of the exhaustive tests one is run; 1 for all. */
const STRIDE = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_STRIDE'] ?? (THOROUGH ? 30 : 150))
const KINDS: readonly (readonly OperationKind[])[] = [
  ['call', 'call'],
  ['refresh', 'call'],
  ['refresh', 'refresh'],
  ['call', 'revoke'],
  ['revoke', 'refresh'],
  ['call', 'login'],
  ['login', 'refresh'],
  ['login', 'login'],
  ['refresh', 'import'],
  ['refresh', 'refresh', 'call'],
]
const MACHINES: readonly (readonly MachinePlan[])[] = [
  [{ durable: true }, { durable: false }],
  [{ durable: true }, { durable: true }],
  [{ durable: false }, { durable: false }],
  [{ durable: true }],
]

test('every fault at every step of two operations', async () => {
  const findings = new Findings()
  let count = 0
  for (const kinds of KINDS) {
    for (const machines of MACHINES) {
      for (const together of [true, false]) {
        const base = smallPlan(kinds, { machines, together, ...(count % 2 === 0 && { begin: EARLY }) })
        const plain = await findings.run(base, kinds.join(', '))
        const isMain = kinds === KINDS[0] && machines === MACHINES[0] && together
        for (const [name, change] of singleFaults(plain)) {
          if (count++ % (isMain ? Math.min(STRIDE, THOROUGH ? 1 : 10) : STRIDE) === 0)
            await findings.run({ ...base, ...change }, `${kinds.join(', ')}: ${name}`)
        }
      }
    }
  }
  findings.assertNone()
})

test('two faults in two operations', async () => {
  const findings = new Findings()
  let count = 0
  for (const kinds of KINDS) {
    const base = smallPlan(kinds, { together: true })
    const faults = singleFaults(await findings.run(base))
    for (const [one, first] of faults) {
      for (const [other, second] of faults) {
        if (other <= one || count++ % (STRIDE * 160) !== 0) continue
        await findings.run({ ...base, ...both(first, second) }, `${kinds.join(', ')}: ${one}, ${other}`)
      }
    }
  }
  findings.assertNone()
})

test('random schedules with a change of the key', async () => {
  const findings = new Findings()
  for (let seed = FIRST; seed < FIRST + RUNS / 2; seed++) await findings.run(randomRekeyPlan(seed))
  findings.assertNone()
})

const REKEYS = [
  { finish: 12_000, take: 7000, kinds: ['refresh', 'refresh'] },
  { finish: 3000, kinds: ['call', 'refresh', 'call'] },
  { finish: 1800, take: 1600, kinds: ['call', 'refresh'] },
  { finish: 2500, take: 60_000, kinds: ['revoke', 'refresh'] },
  { finish: 2000, take: 1700, kinds: ['login', 'refresh'] },
] as const

test('every fault at every step of a change of the key', async () => {
  const findings = new Findings()
  let count = 0
  for (const rekey of REKEYS) {
    for (const machines of MACHINES.slice(0, 3)) {
      const base = rekeyPlan(rekey, { machines, ...(count % 2 === 0 && { begin: EARLY }) })
      const plain = await findings.run(base, JSON.stringify(rekey))
      expect([plain.losses, plain.resends]).toStrictEqual([0, 0])
      expect(plain.answers).toContain('rekey added a key')
      expect(plain.answers).toContain('finish finished')
      for (const [name, change] of singleFaults(plain)) {
        // Whoever has only the new key cannot tell a vault that has lost it from another one.
        if (name.includes('lose-write') || count++ % Math.ceil(STRIDE / (THOROUGH ? 4 : 2)) !== 0) continue
        await findings.run({ ...base, ...change }, `${JSON.stringify(rekey)}: ${name}`)
      }
    }
  }
  findings.assertNone()
})

test('random schedules with a move to another address', async () => {
  const findings = new Findings()
  for (let seed = FIRST; seed < FIRST + RUNS / 2; seed++) await findings.run(randomMovePlan(seed))
  for (let seed = FIRST; seed < FIRST + RUNS / 10; seed++) {
    await findings.run(racingMovePlan(seed), `racing ${seed}`)
    await findings.run(owingMovePlan(seed), `owing ${seed}`)
    await findings.run(sleepingMovePlan(seed), `sleeping ${seed}`)
  }
  findings.assertNone()
})

test('random schedules with a vault whose key is lost, and that is replaced', async () => {
  const findings = new Findings()
  for (let seed = FIRST; seed < FIRST + RUNS / 2; seed++) await findings.run(randomReplacePlan(seed))
  findings.assertNone()
})

const MOVES = [
  { take: 12_000, kinds: ['refresh', 'refresh'] },
  { kinds: ['call', 'refresh', 'call'] },
  { take: 2500, kinds: ['call', 'refresh', 'refresh'] },
  { take: 60_000, kinds: ['revoke', 'refresh'] },
  { take: 4000, kinds: ['refresh', 'login'] },
  { take: 4000, kinds: ['import', 'refresh'] },
  { take: 6000, rekey: 2000, kinds: ['refresh', 'call'] },
] as const

test('every fault at every step of a move', async () => {
  const findings = new Findings()
  let count = 0
  for (const move of MOVES) {
    for (const machines of MACHINES.slice(0, 3)) {
      const base = movePlan(move, { machines, ...(count % 2 === 0 && { begin: EARLY }) })
      const plain = await findings.run(base, JSON.stringify(move))
      expect([plain.losses, plain.resends]).toStrictEqual([0, 0])
      if (!('rekey' in move)) expect(plain.answers).toContain('move moved')
      for (const [name, change] of singleFaults(plain)) {
        // Of a place that has lost the move, a machine without a memory learns nothing.
        if (name.includes('lose-write') || count++ % Math.ceil(STRIDE / (THOROUGH ? 4 : 2)) !== 0) continue
        await findings.run({ ...base, ...change }, `${JSON.stringify(move)}: ${name}`)
      }
    }
  }
  findings.assertNone()
})

test('a machine that has seen that the vault moved sends nothing from the old place, if that is restored', async () => {
  const minutes = (count: number) => BEGIN + count * 60_000
  const plan: Plan = {
    ...smallPlan([], { machines: [{ durable: true }, { durable: true }] }),
    operations: [
      { at: BEGIN, machine: 1, kind: 'refresh' },
      { at: minutes(1), machine: 0, kind: 'move' },
      { at: minutes(5), machine: 1, kind: 'refresh' },
      { at: minutes(120), machine: 1, kind: 'refresh' },
    ],
    losses: [{ at: minutes(10), kind: 'restore-old-place' }],
    quietAt: minutes(200),
  }
  const findings = new Findings()
  const { answers } = await findings.run(plan)
  findings.assertNone()
  expect(answers.slice(0, 4)).toStrictEqual([
    'refresh refreshed ref-0-1',
    'move moved',
    'refresh VAULT_INVALID',
    'refresh VAULT_INVALID',
  ])
  const forgetful = (memory: VaultMemory): VaultMemory => ({
    ...memory,
    write: async (kind, name, text) => {
      if (kind !== 'keys' || !text.includes('"direction":"to"')) await memory.write(kind, name, text)
    },
  })
  const { violations } = await simulate(plan, { memory: forgetful })
  expect(violations[0]).toContain('sends a token from the place that the vault left')
})

test('a machine that refreshes while it gets a new key keeps what it has received', async () => {
  const findings = new Findings()
  for (let at = 0; at <= 3000; at += THOROUGH ? 500 : 1500) {
    const base = smallPlan(['refresh'], { machines: [{ durable: true }] })
    const rekey = { at: BEGIN + at, machine: 0, kind: 'rekey' } as const
    const later = { at: BEGIN + 10 * 60_000, machine: 0, kind: 'refresh' } as const
    const plan = { ...base, operations: [rekey, ...base.operations, later] }
    for (const [name, change] of singleFaults(await findings.run(plan, `rekey at ${at}`))) {
      if (/crash|lose-write/.test(name)) await findings.run({ ...plan, ...change }, `rekey at ${at}: ${name}`)
    }
  }
  findings.assertNone()
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

/** The rules for a change of the key, each switched off. */
const REKEY_RULES: Readonly<Record<string, Mutation>> = {
  'new tokens are encrypted with the present key': {
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
const MOVE_RULES: Readonly<Record<string, Mutation & { readonly plan?: (seed: number) => Plan }>> = {
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

function* seeded(planFor: (seed: number) => Plan): Generator<Plan> {
  for (let seed = 1; seed <= 4000; seed++) yield planFor(seed)
}

/** That one of the plans shows what is wrong without a rule, and that nothing is wrong in it with the rule. */
async function expectNoticed(
  rule: string,
  plans: Iterable<Plan> | AsyncIterable<Plan>,
  mutation: Mutation,
): Promise<void> {
  const [without, withRule] = [new Findings(), new Findings()]
  for await (const plan of plans) {
    await without.run(plan, undefined, mutation)
    if (without.causes.size === 0) continue
    if (FOLDER) writeFileSync(`${FOLDER}/${rule}.txt`, [...without.causes.values()][0]!.first)
    await withRule.run(plan)
    return withRule.assertNone()
  }
  throw new Error('nothing was found')
}

test.runIf(THOROUGH).each(Object.entries(MOVE_RULES))(
  'the model notices that a rule for a move is missing: %s',
  (rule, { plan = randomMovePlan, ...mutation }) => expectNoticed(rule, seeded(plan), mutation),
)

/** The rules for a vault that is replaced, each switched off. */
const REPLACE_RULES: Readonly<Record<string, Mutation>> = {
  'what is stored after it was replaced is taken back': {
    store: class extends VaultStore {
      override async refreshKeys() {
        // The keys are still those that it has.
      }
    },
  },
}

test.runIf(THOROUGH).each(Object.entries(REPLACE_RULES))(
  'the model notices that a rule for a replaced vault is missing: %s',
  (rule, mutation) => expectNoticed(rule, seeded(randomReplacePlan), mutation),
)

test.runIf(THOROUGH).each(Object.entries(REKEY_RULES))(
  'the model notices that a rule for a change of the key is missing: %s',
  (rule, mutation) => expectNoticed(rule, seeded(randomRekeyPlan), mutation),
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

test.runIf(THOROUGH).each(Object.entries(RULES))(
  'the model notices that a rule is missing: %s',
  (rule, { when, isAlone, besides = () => ({}), ...mutation }) =>
    expectNoticed(rule, plansFor(when, isAlone ? MACHINES.slice(-1) : MACHINES, besides), mutation),
)

const MARGIN = 1000
/** Two machines that keep nothing, and a token request whose response takes as long as one may. */
const slowResponse = (milliseconds: number): Plan => ({
  ...smallPlan(['refresh', 'refresh'], { machines: [{ durable: false }, { durable: false }], together: false }),
  responseAfter: milliseconds,
})

test('the times fit together: whoever takes over comes after the last moment at which a response can be stored', () => {
  const { claimSwap, lastSend, publish, publishFromHere, takeover, takeoverDurable, firstSend } = VAULT_TIMES
  expect(firstSend).toBeLessThanOrEqual(lastSend)
  // Both attempts of a request with a nonce begin before `lastSend`.
  expect(claimSwap + lastSend + TOKEN_TIMEOUT * 1000 + publish).toBeLessThan(takeover)
  expect(takeover).toBeLessThan(takeoverDurable)
  // Of a move, which waits that long for a machine without a memory too.
  expect(claimSwap + lastSend + TOKEN_TIMEOUT * 1000 + publishFromHere).toBeLessThan(takeoverDurable)
})

test('a response that takes as long as it may is stored, and nobody sends the token again', async () => {
  const findings = new Findings()
  const { answers, resends } = await findings.run(slowResponse(TOKEN_TIMEOUT * 1000 - MARGIN))
  findings.assertNone()
  expect(resends).toBe(0)
  expect(answers.slice(0, 2)).toStrictEqual(['refresh refreshed ref-0-1', 'refresh refreshed ref-0-1'])
})

/** The first machine cannot reach the vault from the moment it sends its token until `until`. */
async function cutOffUntil(until: number): Promise<Plan> {
  const machines = [{ durable: false }, { durable: false }]
  const plan = smallPlan(['refresh', 'refresh'], { machines, together: false })
  const { trace } = await simulate(plan)
  const [, sent] = /^ *([\d.]+) m0\/p1 refresh: sends/m.exec(trace.join('\n'))!
  return { ...plan, partitions: [{ from: Number(sent) * 1000, until, machine: 0 }] }
}

test('a response that is stored one second before the takeover is kept', async () => {
  const findings = new Findings()
  const takenOver = await findings.run(await cutOffUntil(BEGIN + VAULT_TIMES.publishFromHere))
  expect(takenOver.resends).toBe(1)
  const at = Number(/^ *([\d.]+) m1\/p2 refresh: swap .* claim .*: won$/m.exec(takenOver.trace.join('\n'))![1]) * 1000
  expect(at).toBeGreaterThan(BEGIN + VAULT_TIMES.takeover)
  const kept = await findings.run({
    ...(await cutOffUntil(BEGIN + VAULT_TIMES.publishFromHere)),
    storesAt: at - MARGIN,
  })
  findings.assertNone()
  expect(kept.resends).toBe(0)
  expect(kept.losses).toBe(0)
})

test('an access token that still works is used while the vault is out of reach', async () => {
  const findings = new Findings()
  const machine = { durable: true }
  const plan = smallPlan(['refresh', 'call', 'call'], { machines: [machine], begin: EARLY })
  const late = { at: EARLY + 56 * 60_000, machine: 0, kind: 'call' } as const
  const partitions = [{ from: EARLY + 60_000, until: EARLY + 3600_000, machine: 0 }]
  for (let seed = 1; seed <= 20; seed++) {
    const { answers } = await findings.run({ ...plan, seed, operations: [plan.operations[0]!, late], partitions })
    expect(answers.slice(0, 2)).toStrictEqual(['refresh refreshed ref-0-1', 'call 200'])
  }
  findings.assertNone()
})

test('the same schedule twice is the same to the last step', async () => {
  const [one, other] = [await simulate(randomPlan(7)), await simulate(randomPlan(7))]
  expect(one.trace).toStrictEqual(other.trace)
})
