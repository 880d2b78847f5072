import { expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const FULL = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })

test.each([
  ['dotenv', 'set -a; . ./session.env; set +a'],
  ['bundle', 'export ATPROTO_OAUTH_SESSION="$(cat session.txt)"'],
  ['fish', 'source session.fish'],
  ['powershell', '. ./session.ps1'],
])('--format %s: the next command loads it, and has the flags of this run', async (format, load) => {
  const world = createFakeWorld()
  const args = ['complete', await callbackFor(world), '--format', format, '--home', '/a b', '--dev']
  const { code, stderr } = await run(world, args)
  expect(code).toBe(0)
  expect(stderr).toContain(`\n  ${load}\n  atproto-oauth call com.atproto.server.getSession --home '/a b' --dev\n`)
})

test.each(['json', 'raw'])('--format %s, which no shell loads: an instruction', async (format) => {
  const world = createFakeWorld()
  const { stderr } = await run(world, ['complete', await callbackFor(world), '--format', format])
  expect(stderr).toContain('\nWith these as variables, run:\n  atproto-oauth call com.atproto.server.getSession\n')
})

test('the command that asks for the missing permissions again has the flags of this run', async () => {
  const world = createFakeWorld()
  const { stdout } = await run(world, ['init', 'alice.fake.dev', '--scope', 'atproto transition:generic'])
  const callback = world.authorize(stdout.trim(), { scope: 'atproto' })
  const args = ['complete', callback, '--state-file', 'login.json', '--home', '/a']
  const { stderr } = await run(world, args)
  expect(stderr).toContain(
    "\n  atproto-oauth init alice.fake.dev --scope 'atproto transition:generic' --state-file login.json --home /a\n",
  )
})

test.each([
  ['a format that cannot hold the token', 'dotenv', undefined, 'cannot be quoted for every dotenv parser'],
  ['a full disk', 'json', FULL, 'no space left on device'],
] as const)('credentials that cannot be printed are kept in the store: %s', async (_, format, stdoutError, why) => {
  const world = createFakeWorld()
  const callback = await callbackFor(world)
  world.faults.mutateToken = (token) => ({ ...token, refresh_token: `it's "$HOME"` })
  const options = stdoutError ? { stdoutError } : {}
  const { code, stdout, stderr } = await run(world, ['complete', callback, '--format', format], options)
  expect({ code, stdout }).toStrictEqual({ code: 10, stdout: '' })
  expect(stderr).toContain(why)
  expect(stderr).toContain('they are kept in the per-user store [SAVE_FAILED]')
  expect(stderr).toContain(`--account ${world.alice.handle}`)
  expect((await run(world, ['status', '--account', world.alice.did])).code).toBe(0)
})
