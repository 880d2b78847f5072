import { expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

test('the folder of the store is named, if the session is in it', async () => {
  const world = createFakeWorld()
  await run(world, ['complete', await callbackFor(world), '--save', 'store'])
  expect((await run(world, ['status'])).stdout).toMatch(/^stored in {5}\/nowhere$/m)
  expect((await run(world, ['status', '--home', '/some/where'])).stdout).toMatch(/^stored in {5}\/some\/where$/m)
})

test('credentials that were never used here are in the environment only', async () => {
  const env = await signIn(createFakeWorld())
  const { code, stdout } = await run(createFakeWorld(), ['status'], { env })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^stored in {5}environment variables only$/m)
})
