/** A year of a vault that five machines share, in simulated time; test/thorough/vault-year.test.ts has the real engines. */
import { writeFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { type Outcome, simulate } from '../../support/vault-model.ts'
import { addUp, whatLedTo, yearPlan } from '../../support/vault-year.ts'

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

const THOROUGH = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] !== undefined
/** More find more: `ATPROTO_OAUTH_TEST_VAULT_YEARS=1000 ATPROTO_OAUTH_TEST_VAULT_SEED=7 npx vitest run … year.test.ts`. */
const YEARS = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_YEARS'] ?? (THOROUGH ? 3 : 1))
/** Where the sums are written. */
const FOLDER = process.env['ATPROTO_OAUTH_TEST_VAULT_REPORT']
const FIRST = Number(process.env['ATPROTO_OAUTH_TEST_VAULT_SEED'] ?? 1)

test('five machines share a session for a year, and none is lost that could be kept', async () => {
  const outcomes: Outcome[] = []
  for (let seed = FIRST; seed < FIRST + YEARS; seed++) {
    const outcome = await simulate(yearPlan(seed))
    expect(outcome.violations, `seed ${seed}\n${whatLedTo(outcome)}`).toStrictEqual([])
    outcomes.push(outcome)
  }
  const total = addUp(outcomes)
  if (FOLDER) writeFileSync(`${FOLDER}/years.json`, JSON.stringify(total))
  const { requests, answered, refreshes, ended } = total
  // The reasons for the others are in the plan: outages, and sessions that have reached their age.
  expect(answered / requests).toBeGreaterThan(0.7)
  expect(refreshes).toBeGreaterThan(100 * YEARS)
  expect(ended['expired'] ?? 0).toBeLessThan(30 * YEARS)
})
