import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
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
    ['--no-store', ['--no-store']],
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

describe('a program that cannot be started', () => {
  const failing = async (words: string[]) => {
    const { code, stderr } = await run(world, ['run', '--', ...words], { env: { ...env, PATH: folder } })
    return { code, stderr }
  }

  test.each([
    ['below a file', () => [`${folder}/file/program`], 126, 'not a directory', 'check the path of the program'],
    ['a long name', () => [`./${'a'.repeat(300)}`], 126, 'file name too long', 'check the path of the program'],
    ['long arguments', () => ['sh', '{did}'.repeat(20_000)], 126, 'argument list too long', 'shorten the arguments'],
    ['blank', () => [' '], 127, 'command not found: " "', 'write the command after --'],
  ])('%s', async (_, words, exit, message, hint) => {
    await writeFile(join(folder, 'file'), '')
    await symlink('/bin/sh', join(folder, 'sh')).catch(() => {})
    const { code, stderr } = await failing(words())
    expect(code).toBe(exit)
    expect(stderr).toContain(message)
    expect(stderr).toContain(`hint: ${hint}`)
  })

  test.each([
    ['script', '#!/nowhere\n', 'the interpreter in its first line was not found', 'correct the first line of'],
    [
      'script.py',
      '#!/nowhere\n',
      'the interpreter in its first line was not found',
      'write its interpreter before it: python3',
    ],
  ])('%s in PATH, without its interpreter', async (name, code, message, hint) => {
    await writeFile(join(folder, name), code, { mode: 0o755 })
    const { code: exit, stderr } = await failing([name])
    expect(exit).toBe(127)
    expect(stderr).toContain(`cannot start "${name}": ${message}`)
    expect(stderr).toContain(`hint: ${hint} ${folder}/${name}`)
  })
})

test('on Windows, a batch file is named with the way to start it', async () => {
  await writeFile(join(folder, 'npm.cmd'), '')
  const { code, stderr } = await run(world, ['run', `${folder}/npm`, 'start'], { env, platform: 'win32' })
  expect(code).toBe(126)
  expect(stderr).toContain('is a batch file, which cannot be started directly')
  expect(stderr).toContain(`hint: start it with cmd: cmd /c ${folder}/npm start`)
})
