/** What `complete` says before and after the code is sent. */
import { afterEach, expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld, json } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))
afterEach(() => vi.restoreAllMocks())

/** Ctrl-C while the code is at the server, which then responds as it would, or with `response`. */
async function interrupted(response?: () => Response) {
  const killed = vi.spyOn(process, 'kill').mockReturnValue(true)
  const world = createFakeWorld()
  const stdin = await callbackFor(world)
  world.faults.httpFault = ({ url, body }) => {
    if (!url.endsWith('/oauth/token') || !String(body).includes('authorization_code')) return undefined
    process.emit('SIGINT', 'SIGINT')
    return response?.()
  }
  const ran = await run(world, ['complete', '--format', 'json'], { stdin })
  expect(killed.mock.calls[0]).toStrictEqual([process.pid, 'SIGINT'])
  expect(ran.stderr).toContain('Interrupted after the code was sent: waiting for the response')
  return { world, ...ran }
}

test('Ctrl-C after the code was sent: the session is received, and said to be', async () => {
  const { stdout, stderr } = await interrupted()
  expect(stderr).toMatch(/signed in as alice\.fake\.dev/)
  expect(JSON.parse(stdout)).toHaveProperty('ATPROTO_OAUTH_REFRESH_TOKEN')
})

test('Ctrl-C after the code was sent, which the server then rejects: there is no session, before the process ends', async () => {
  const { stdout, stderr } = await interrupted(() => json(400, { error: 'invalid_grant' }))
  expect(stdout).toBe('')
  expect(stderr).toMatch(/warning: .*rejected the code.* \(there is no session\)/)
})

test('26.16 a denial is reported before anything is asked', async () => {
  const world = createFakeWorld()
  await callbackFor(world)
  const stdin = `http://127.0.0.1/callback?error=access_denied&iss=${encodeURIComponent(world.as)}`
  const ran = await run(world, ['complete'], { stdin })
  expect(ran).toMatchObject({ code: 4, stdout: '' })
  expect(ran.stderr).toContain('[AUTHORIZATION_DENIED]')
})
