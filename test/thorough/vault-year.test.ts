/**
 * The model of the vault on real engines: each request to them is made, while simulated time stands still. A year of five
 * machines that share a vault, and short schedules with as many faults.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { lacks } from '../support/machine.ts'
import { REDIS_PROGRAMS } from '../support/redis-server.ts'
import { simulate } from '../support/vault-model.ts'
import { randomMovePlan, randomPlan, randomRekeyPlan } from '../support/vault-plans.ts'
import { type RealService, startGitService, startRedisService } from '../support/vault-services.ts'
import { whatLedTo, yearPlan } from '../support/vault-year.ts'

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

/** `ATPROTO_OAUTH_TEST_VAULT_SEED=7 npx vitest run … vault-year.test.ts` for another year. */
const SEED = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_SEED'] ?? 1)
/** How often the session is used on git, where each time takes a large part of a second; on Redis it is six times as often. */
const MOMENTS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_MOMENTS'] ?? 15)

async function expectYear(service: RealService, moments: number): Promise<void> {
  onTestFinished(() => service.close())
  const outcome = await simulate(yearPlan(SEED, moments), {}, service)
  const { violations, counts } = outcome
  expect(violations, `seed ${SEED}\n${whatLedTo(outcome)}`).toStrictEqual([])
  expect(counts.answered).toBeGreaterThan(moments)
  expect(counts.refreshes).toBeGreaterThan(moments)
}

async function expectSchedules(service: RealService, count: number): Promise<void> {
  onTestFinished(() => service.close())
  for (let seed = SEED; seed < SEED + count; seed++) {
    for (const planFor of [randomPlan, randomRekeyPlan, randomMovePlan]) {
      const outcome = await simulate(planFor(seed), {}, service)
      expect(outcome.violations, `${planFor.name}(${seed})\n${whatLedTo(outcome)}`).toStrictEqual([])
    }
  }
}

test('random schedules on git', async () => expectSchedules(await startGitService(), 1))

test('five machines share a session on git for a year', async () => expectYear(await startGitService(), MOMENTS))

for (const program of REDIS_PROGRAMS) {
  test.skipIf(lacks(program))(`random schedules on ${program}`, async () =>
    expectSchedules(await startRedisService(program), 15),
  )
  test.skipIf(lacks(program))(`five machines share a session on ${program} for a year`, async () =>
    expectYear(await startRedisService(program), 6 * MOMENTS),
  )
}
