/** A program that prints credentials: what it gets, and how it can fail. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { ProgramLimits } from '../../../src/node/save/program.ts'
import { readSource, sourceCommand } from '../../../src/node/save/source.ts'
import { failure } from '../../support/failure.ts'
import { HANG_MS } from '../../support/machine.ts'
import { startNode, tempFolder, until } from '../helpers.ts'

const TOKEN = 'ref-canary-0123456789abcdefghijklmnopqrstuvwxyz'
/** A zombie that nobody collects keeps its group alive: what is ended here is not waited for. */
const NEVER: ProgramLimits = { timeout: HANG_MS, grace: 200 }
const LINE = `ATPROTO_OAUTH_REFRESH_TOKEN=${TOKEN}`

/** A zombie that nobody has collected yet is dead too. */
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) Z /.test(status)
}

function read(command: string, { env = {}, limits = NEVER }: { env?: object; limits?: ProgramLimits } = {}) {
  const shown: string[] = []
  const onOutput = (text: string) => void shown.push(text)
  const reading = readSource(command, { environment: { ...process.env, ...env }, onOutput, limits })
  return { shown, result: reading.then(({ variables }) => variables) }
}

describe('the setting', () => {
  test('is exec: and a command', () => {
    expect(sourceCommand('exec:pass show a')).toBe('pass show a')
  })

  test.each(['pass show a', 'exec:', 'exec: ', 'file:a.env', ''])('%j is refused, and not repeated', (spec) => {
    expect(() => sourceCommand(spec)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: 'ATPROTO_OAUTH_SOURCE has to be exec: and a command',
        facts: { reason: 'source-malformed' },
      }),
    )
  })
})

describe('the program', () => {
  test('has the environment of the user, except for the variable that started it', async () => {
    const env = { ATPROTO_OAUTH_SOURCE: 'exec:itself', ATPROTO_OAUTH_HOME: '/of/the/user', NAME: 'x' }
    const command = `echo "${LINE}"; echo "A=$ATPROTO_OAUTH_HOME$NAME-$ATPROTO_OAUTH_SOURCE"`
    expect(await read(command, { env }).result).toStrictEqual({
      ATPROTO_OAUTH_REFRESH_TOKEN: TOKEN,
      A: '/of/the/userx-',
    })
  })

  test('has an empty stdin', async () => {
    expect(await read(`cat; echo "${LINE}"`).result).toStrictEqual({ ATPROTO_OAUTH_REFRESH_TOKEN: TOKEN })
  })

  test.each([
    ['exit code 3', `echo "${LINE}"; exit 3`],
    ['exit code 127', 'no-such-program-anywhere 2> /dev/null'],
    ['killed by SIGKILL', `echo "${LINE}"; kill -9 $$`],
    ['it printed nothing', 'echo'],
    ['it printed no credentials in a known format', `echo "token: ${TOKEN}"`],
    ['printed more than 256 kB', `yes '${LINE}'`],
  ])('%s', async (why, command) => {
    const error = await failure(read(command).result)
    expect(error).toMatchObject({
      code: 'SOURCE_FAILED',
      session: 'none',
      message: `cannot read credentials from the command in ATPROTO_OAUTH_SOURCE: ${why}`,
    })
    expect(JSON.stringify(error)).not.toContain('canary')
  })

  test.runIf(process.platform === 'linux')('that hangs is ended with all that it started', async () => {
    const folder = await tempFolder()
    const command = `cd '${folder}'; sleep 1000 & echo $! > pid; wait`
    const error = await failure(read(command, { limits: { timeout: 1_500, grace: 200 } }).result)
    expect(error).toMatchObject({ message: expect.stringMatching(/: timed out after 1.5 seconds$/) })
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
    await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false))
  })

  test.runIf(process.platform === 'linux')('that ignores SIGTERM does not outlive this process', async () => {
    const folder = await tempFolder()
    const command = `cd '${folder}'; trap '' TERM; sleep 1000 & echo $! > made; mv made pid; wait`
    const child = startNode(
      `const { readSource } = await import(process.env.SRC + 'node/save/source.ts')
       process.on('SIGTERM', () => process.exit(143))
       await readSource(process.argv[1], { environment: process.env })`,
      [command],
    )
    await until(() => existsSync(join(folder, 'pid')))
    child.kill('SIGTERM')
    expect(await child.ended).toMatchObject({ code: 143 })
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
    await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false))
  })
})

test('what a failed program printed to stderr is shown without what it printed to stdout', async () => {
  const { shown, result } = read(`echo "${LINE}"; echo "locked: ${TOKEN}" >&2; exit 1`)
  await failure(result)
  expect(shown).toStrictEqual(['locked: [redacted]'])
  const quiet = read(`echo "${LINE}"; echo locked >&2`)
  await quiet.result
  expect(quiet.shown).toStrictEqual([])
})
