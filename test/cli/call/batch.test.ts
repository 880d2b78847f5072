import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Faults } from '../../../src/testing/faults.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { CALM } from '../../support/login.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const GOOD = '{"nsid":"com.atproto.server.getSession"}'
const BAD = 'no JSON'

/** What a batch of these lines says on stderr; `-o` has the results of an earlier run. */
async function batchOf(
  lines: readonly string[],
  { earlier, flags = [], faults = {} }: { earlier?: string; flags?: string[]; faults?: Partial<Faults> } = {},
) {
  const world = createFakeWorld({ faults: CALM })
  const env = await signIn(world)
  Object.assign(world.faults, faults)
  const folder = await mkdtemp(join(tmpdir(), 'batch-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const output = join(folder, 'results.jsonl')
  if (earlier !== undefined) await writeFile(output, earlier)
  const resume = earlier === undefined ? [] : ['-o', output, '--resume']
  const stdin = lines.map((line) => `${line}\n`).join('')
  return run(world, ['call', '--batch', '-', ...resume, ...flags], { env, stdin })
}

test('26.14 a deactivated account: its state in each line, and where to change it', async () => {
  const { code, stdout, stderr } = await batchOf([GOOD, GOOD], { faults: { rsError: 'deactivated' } })
  expect(code).toBe(8)
  const results = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const said = /^Account is deactivated: did:plc:\S+ is deactivated at https:\/\/pds\.fake\.dev, and has not moved$/
  expect(results).toMatchObject([1, 2].map((line) => ({ line, error: 'AccountDeactivated' })))
  for (const { message } of results) expect(message).toMatch(said)
  expect(stderr).toMatch(/error: 2 of 2 requests failed; did:plc:\S+ is deactivated at /)
  expect(stderr).toContain('session: unknown')
  expect(stderr).toContain('hint: reactivate the account with its password')
})

test.each([
  ['again', []],
  ['without --account', ['--account', 'alice.fake.dev']],
])('a refresh token that only a save target has: the same command %s', async (how, flags) => {
  const world = createFakeWorld({ faults: CALM })
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  const { sessionRecords } = world.stores
  for (const [key, { refreshToken: _, ...record }] of sessionRecords) {
    sessionRecords.set(key, { ...record, tokenElsewhere: 'x', savedTo: ['gh:a/b'], accessTokenExpiresAt: 1 })
  }
  const { code, stderr } = await run(world, ['call', '--batch', '-', ...flags], { stdin: `${GOOD}\n` })
  expect([code, stderr]).toStrictEqual([2, expect.stringContaining('[CREDENTIALS_INCOMPLETE]')])
  expect(stderr).toContain(`credentials in gh:a/b, then run the same command ${how}\n`)
})

describe('the summary', () => {
  test('of a batch that succeeds', async () => {
    expect(await batchOf([GOOD, GOOD])).toMatchObject({ code: 0, stderr: '2 requests: 2 succeeded\n' })
  })

  test('comes before the error', async () => {
    const { code, stderr } = await batchOf([GOOD, BAD, GOOD])
    expect(code).toBe(8)
    expect(stderr.split('\n').slice(0, 2)).toStrictEqual([
      '3 requests: 2 succeeded, 1 failed',
      'atproto-oauth: error: 1 of 3 requests failed [XRPC_ERROR]',
    ])
  })

  test('has the results of an earlier run', async () => {
    const earlier = '{"line":1,"status":200}\n{"line":2,"error":"InvalidRequest"}\n'
    const { stderr } = await batchOf([GOOD, GOOD, GOOD], { earlier })
    expect(stderr).toContain('\n3 requests: 1 succeeded, 2 skipped (1 had failed)\n')
  })

  test.each(['--quiet', '--json'])('is not there with %s', async (flag) => {
    expect(await batchOf([GOOD], { flags: [flag] })).toMatchObject({ code: 0, stderr: '' })
  })
})
