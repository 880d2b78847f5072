/** What many schedules of the model are run for, and what they have found. */
import { writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { type MachinePlan, type Mutation, type Outcome, type Plan, simulate } from './vault-model.ts'

/** More find more: `ATPROTO_OAUTH_TEST_VAULT_RUNS=100000 npx vitest run … model`. */
export const THOROUGH = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] !== undefined
export const RUNS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_RUNS'] ?? (THOROUGH ? 1000 : 25))
export const FIRST = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_SEED'] ?? 1)
/** Of how many schedules of the exhaustive tests one is run; 1 for all. */
export const STRIDE = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_STRIDE'] ?? (THOROUGH ? 30 : 600))
/** Where each kind of violation is written, with its schedule and what happened. */
const FOLDER = process.env['ATPROTO_OAUTH_TEST_VAULT_REPORT']

/** What was found in many schedules: each cause once. */
export class Findings {
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

export const MACHINES: readonly (readonly MachinePlan[])[] = [
  [{ durable: true }, { durable: false }],
  [{ durable: true }, { durable: true }],
  [{ durable: false }, { durable: false }],
  [{ durable: true }],
]

const SEEDS = 4000
/** All of them, from the one on that has shown a fault before: nobody has to wait for it. */
export function* seeded(planFor: (seed: number) => Plan, first = 1): Generator<Plan> {
  for (let count = 0; count < SEEDS; count++) yield planFor(((first - 1 + count) % SEEDS) + 1)
}

/** That one of the plans shows what is wrong without a rule, and that nothing is wrong in it with the rule. */
export async function expectNoticed(
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
