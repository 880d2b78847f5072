/** Changes of a vault's key and address, by several machines in simulated time. */
import { expect, test, vi } from 'vitest'
import type { VaultMemory } from '../../../src/node/vault/memory.ts'
import { FIRST, Findings, MACHINES, RUNS, STRIDE, THOROUGH } from '../../support/vault-findings.ts'
import { type Plan, simulate } from '../../support/vault-model.ts'
import {
  BEGIN,
  EARLY,
  movePlan,
  owingMovePlan,
  racingMovePlan,
  randomMovePlan,
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
        if (name.includes('lose-write') || count++ % Math.ceil(STRIDE / 2) !== 0) continue
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
        if (name.includes('lose-write') || count++ % Math.ceil(STRIDE / 2) !== 0) continue
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
  for (let at = 0; at <= 3000; at += THOROUGH ? 500 : 3000) {
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
