/** A login that a server prevents: which next step is named. */
import { expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld, json } from '../../support/fake-atproto.ts'
import { html } from '../../support/fake-bodies.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const RESOURCE = '/.well-known/oauth-protected-resource'

test.each([
  ['no metadata', RESOURCE, () => json(404, {}), 'OAUTH_UNSUPPORTED', 'find the cause with: '],
  ['a web page', RESOURCE, () => html(), 'METADATA_INVALID', 'find the cause with: '],
  ['a bad gateway', RESOURCE, () => html(502), 'SERVER_UNAVAILABLE', 'run the same command again in a few minutes; '],
])('%s: doctor, for the same account', async (_, path, response, code, before) => {
  const world = createFakeWorld()
  world.faults.httpFault = ({ url }) => (url.endsWith(path) ? response() : undefined)
  for (const command of ['init', 'login']) {
    const { stderr } = await run(world, [command, 'alice.fake.dev'])
    expect(stderr).toContain(`[${code}]`)
    expect(stderr).toContain(`hint: ${before}`)
    expect(stderr).toMatch(/atproto-oauth doctor alice\.fake\.dev\n$/)
  }
})

test('a handle that does not exist has the hint of its own', async () => {
  const { stderr } = await run(createFakeWorld(), ['init', 'nobody.fake.dev'])
  expect(stderr).not.toContain('doctor')
})
