import { expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const FULL = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })

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
  expect(stderr).toContain(`--account ${world.alice.did}`)
  expect((await run(world, ['status', '--account', world.alice.did])).code).toBe(0)
})
