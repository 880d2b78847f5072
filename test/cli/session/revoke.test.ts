import { expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

test('revoke says where something is left of the session, and only if there is', async () => {
  const world = createFakeWorld()
  const env = await signIn(world)
  const named = await run(world, ['revoke'], { env })
  expect(named).toMatchObject({ code: 0, stdout: '' })
  expect(named.stderr).toContain('; delete it from the environment and the secret store behind it too')

  await run(world, ['complete', '--save', 'store'], { stdin: await callbackFor(world) })
  const stored = await run(world, ['revoke'])
  expect(stored).toMatchObject({ code: 0, stdout: '' })
  expect(stored.stderr).toMatch(/revoked the session of did:plc:\w+ and deleted it here\n/)
})
