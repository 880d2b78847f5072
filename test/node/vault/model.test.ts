/** The transactions of several machines on one vault, in simulated time. */
import { expect, test, vi } from 'vitest'
import { VAULT_TIMES } from '../../../src/node/vault/times.ts'
import { TOKEN_TIMEOUT } from '../../../src/protocol/oauth/server-agent.ts'
import { FIRST, Findings, MACHINES, RUNS, STRIDE, THOROUGH } from '../../support/vault-findings.ts'
import { type OperationKind, type Plan, simulate } from '../../support/vault-model.ts'
import { BEGIN, both, EARLY, randomPlan, singleFaults, smallPlan } from '../../support/vault-plans.ts'

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

test('random schedules', async () => {
  const findings = new Findings()
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) await findings.run(randomPlan(seed))
  findings.assertNone()
})

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
