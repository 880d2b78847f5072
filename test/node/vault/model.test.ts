/** The transactions of several machines on one vault, in simulated time. */
import { writeFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { type Mutation, type Outcome, type Plan, simulate } from '../../support/vault-model.ts'
import { randomPlan } from '../../support/vault-plans.ts'

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
const RUNS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_RUNS'] ?? 1000)
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
