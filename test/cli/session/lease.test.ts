import { expect, test, vi } from 'vitest'
import { durationOf } from '../../../src/cli/session/duration.ts'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

test('a lease that is shorter than --at-least is printed with a warning', async () => {
  const world = createFakeWorld()
  const env = await signIn(world)
  const { code, stdout, stderr } = await run(world, ['lease', '--at-least', '2h'], { env })
  expect(code).toBe(0)
  expect(stdout).toContain('ATPROTO_OAUTH_ACCESS_TOKEN=')
  expect(stderr).toContain('warning: the lease is valid for less than 2h: access tokens of this server expire sooner\n')
})

test('one that is long enough has no warning', async () => {
  const world = createFakeWorld()
  const { stderr } = await run(world, ['lease', '--at-least', '30m'], { env: await signIn(world) })
  expect(stderr).not.toContain('warning')
})

test.each([
  ['lease', '--at-least'],
  ['refresh', '--if-older-than'],
])('%s %s: a number without a unit is rejected before the session is looked for', async (command, flag) => {
  const { code, stdout, stderr } = await run(createFakeWorld(), [command, flag, '30'])
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(`${flag} 30 has no unit [USAGE]\n`)
  expect(stderr).toContain(`as in: ${flag} 30m\n`)
  const other = await run(createFakeWorld(), [command, flag, 'soon'])
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('not "soon"') })
})

test.each([
  ['0s', 0],
  ['90s', 90],
  ['30m', 1800],
  ['12h', 43_200],
  ['3d', 259_200],
  ['30', undefined],
  ['', undefined],
  ['m', undefined],
  ['1.5h', undefined],
  ['-1h', undefined],
  ['1h30m', undefined],
])('%j is %j seconds', (text, seconds) => expect(durationOf(text)).toBe(seconds))
