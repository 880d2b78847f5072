import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

let world: FakeWorld
let env: Record<string, string>
let folder: string
beforeAll(async () => {
  world = createFakeWorld()
  env = { ...(await signIn(world)), PATH: process.env['PATH']! }
  folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-run-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Writes its words, one per line. */
const words = () => ['sh', '-c', `printf '%s\\n' "$@" > '${folder}/words'`, 'sh']
const seen = async () => (await readFile(join(folder, 'words'), 'utf8')).trimEnd().split('\n')

describe('the words of the program', () => {
  test('are its own, also those that are options here', async () => {
    const { code, stdout, stderr } = await run(world, ['run', ...words(), '--json', '-q', '--', '--help', '{did}'], {
      env,
    })
    expect({ code, stdout, stderr }).toStrictEqual({ code: 0, stdout: '', stderr: '' })
    expect(await seen()).toStrictEqual(['--json', '-q', '--', '--help', world.alice.did])
  })

  test.each([
    ['--read-only', ['--read-only']],
    ['--allow', ['--allow=app.bsky.*']],
  ])('%s among them is noted, because the program may ignore it', async (flag, last) => {
    const { code, stderr } = await run(world, ['run', ...words(), ...last], { env })
    expect(code).toBe(0)
    expect(stderr).toBe(
      `atproto-oauth: warning: ${flag} is passed to sh: to use it here, write it before sh; otherwise write -- before sh\n`,
    )
    expect(await run(world, ['run', '--', ...words(), ...last], { env })).toMatchObject({ code: 0, stderr: '' })
  })
})

test('the exit code of the program is that of the command, and nothing is printed', async () => {
  expect(await run(world, ['run', 'sh', '-c', 'exit 3'], { env })).toStrictEqual({ code: 3, stdout: '', stderr: '' })
  expect(await run(world, ['run', '--json', 'sh', '-c', 'kill -9 $$'], { env })).toMatchObject({
    code: 137,
    stderr: '',
  })
})

test('--json after -- is an option of the program, also for an error before it', async () => {
  const { code, stderr } = await run(world, ['run', '--bad', '--', 'node', '--json'], { env })
  expect(code).toBe(125)
  expect(stderr).toMatch(/^atproto-oauth: error: unknown option "--bad" \[USAGE\]\n/)
})

test('a listener of signals stays only while the program runs', async () => {
  const before = process.listenerCount('SIGTERM')
  await run(world, ['run', 'true'], { env })
  expect(process.listenerCount('SIGTERM')).toBe(before)
})

test('on Windows, a batch file is named with the way to start it', async () => {
  const { writeFile } = await import('node:fs/promises')
  await writeFile(join(folder, 'npm.cmd'), '')
  const { code, stderr } = await run(world, ['run', `${folder}/npm`, 'start'], { env, platform: 'win32' })
  expect(code).toBe(126)
  expect(stderr).toContain('is a batch file, which cannot be started directly')
  expect(stderr).toContain(`hint: start it with cmd: cmd /c ${folder}/npm start`)
})
