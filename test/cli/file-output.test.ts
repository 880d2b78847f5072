/** Credentials in a file: all of them, and on the disk before the only other copy is removed. */
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { startNode, tempFolder } from '../node/helpers.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'

const flushed = vi.fn<(descriptor: number) => Promise<void>>()
vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))
vi.mock('../../src/cli/file-output.ts', async (load) => ({
  ...(await load<object>()),
  flush: (descriptor: number) => flushed(descriptor),
}))

beforeEach(() => void flushed.mockReset())

async function newFile() {
  const path = join(await tempFolder(), 'out')
  return { fd: openSync(path, 'w'), text: () => readFileSync(path, 'utf8') }
}

const EIO = Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' })
const statuses = (world: FakeWorld) => [...world.stores.pendingRecords.values()].map(({ status }) => status)
const isKept = (world: FakeWorld) => [...world.stores.sessionRecords.values()].some(({ ended }) => !ended)

describe('complete > file', () => {
  test('the login keeps the credentials until the file is flushed', async () => {
    const world = createFakeWorld()
    const stdin = await callbackFor(world)
    const file = await newFile()
    let then: unknown
    flushed.mockImplementation(async (descriptor) => {
      then = { descriptor, statuses: statuses(world), text: file.text() }
    })
    expect(await run(world, ['complete'], { stdin, stdoutFile: file.fd })).toMatchObject({ code: 0 })
    expect(file.text()).toContain('ATPROTO_OAUTH_REFRESH_TOKEN=')
    expect(then).toStrictEqual({ descriptor: file.fd, statuses: ['received'], text: file.text() })
    expect(statuses(world)).toStrictEqual(['spent'])
  })

  test('a file that cannot be flushed: the session is kept in the store', async () => {
    const world = createFakeWorld()
    const stdin = await callbackFor(world)
    flushed.mockRejectedValue(EIO)
    const { code, stderr } = await run(world, ['complete'], { stdin, stdoutFile: (await newFile()).fd })
    expect(code).toBe(10)
    expect(stderr).toContain('(cannot write the output: input/output error); they are kept in the per-user store')
    expect(isKept(world)).toBe(true)
  })
})

describe('export > file', () => {
  test('the session is here until the file is flushed', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const file = await newFile()
    let then: unknown
    await run(world, ['refresh'], { env })
    flushed.mockImplementation(async () => {
      then = { isKept: isKept(world), text: file.text() }
    })
    expect(await run(world, ['export'], { env, stdoutFile: file.fd })).toMatchObject({ code: 0 })
    expect(then).toStrictEqual({ isKept: true, text: file.text() })
    expect(isKept(world)).toBe(false)
  })

  test('a file that cannot be flushed: the session is still here', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    await run(world, ['refresh'], { env })
    flushed.mockRejectedValue(EIO)
    const { code, stderr } = await run(world, ['export'], { env, stdoutFile: (await newFile()).fd })
    expect(code).toBe(10)
    expect(stderr).toContain('input/output error), and is still stored here [OUTPUT_FAILED]')
    expect(isKept(world)).toBe(true)
  })
})

test.each([['refresh', '--format', 'json'], ['lease']])('%s > file fails if it cannot be flushed', async (...args) => {
  const world = createFakeWorld()
  const env = await signIn(world)
  flushed.mockRejectedValue(EIO)
  const { code, stderr } = await run(world, args, { env, stdoutFile: (await newFile()).fd })
  expect(code).toBe(10)
  expect(stderr).toContain('cannot write the output: input/output error [OUTPUT_FAILED]')
  expect(stderr).toContain('session: still valid')
})

test('what is not a file is not flushed', async () => {
  await signIn(createFakeWorld())
  expect(flushed).not.toHaveBeenCalled()
})

describe('the file', () => {
  test.runIf(process.platform !== 'win32')('that takes a part of the output only: said', async () => {
    const code = `
      const { createOutput } = await import(process.env.SRC + 'cli/output.ts')
      const { processIO } = await import(process.env.SRC + 'cli/io.ts')
      const output = createOutput(processIO(), {})
      process.exitCode = output.finish(await output.data('x'.repeat(3000)).catch((error) => error))`
    const folder = await tempFolder()
    const limited = ['bash', '-c', `ulimit -f 2; exec "$@" > ${folder}/out`, 'bash'] // KiB
    const ended = await startNode(code, [], limited).ended
    expect(ended).toMatchObject({ code: 10, stderr: expect.stringContaining('file too large [OUTPUT_FAILED]') })
  })

  test('of /dev/null is none, and a closed descriptor neither', async () => {
    const { isRegularFile } =
      await vi.importActual<typeof import('../../src/cli/file-output.ts')>('../../src/cli/file-output.ts')
    const file = await newFile()
    expect([file.fd, openSync('/dev/null', 'w'), 9999].map(isRegularFile)).toStrictEqual([true, false, false])
  })
})
