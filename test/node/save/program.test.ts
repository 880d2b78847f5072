/** Programs of save targets as they should not be: silent, deaf, talkative, missing. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import {
  githubTarget,
  PROGRAM_LIMITS,
  PROGRAM_LONGEST,
  type ProgramLimits,
  programTarget,
} from '../../../src/node/save/program.ts'
import { failure } from '../../support/failure.ts'
import { HANG_MS } from '../../support/machine.ts'
import { tempFolder } from '../helpers.ts'

const TOKEN = 'ref-canary-0123456789abcdefghijklmnopqrstuvwxyz'
const ENTRIES = [['ATPROTO_OAUTH_REFRESH_TOKEN', TOKEN]] as const
/** Long enough for a shell to start. */
const SHORT: ProgramLimits = { timeout: 1_500, grace: 200 }
const NEVER: ProgramLimits = { timeout: HANG_MS, grace: HANG_MS }

/** The command, with what it printed when it failed. */
function command(text: string, limits = NEVER) {
  const printed: string[] = []
  const onOutput = (output: string) => void printed.push(output)
  const target = programTarget(`exec:${text}`, text, { environment: process.env, onOutput, limits })
  return { printed, save: () => target.save(ENTRIES) }
}

/** A zombie that nobody has collected yet is dead too. */
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) Z /.test(status)
}

describe.runIf(process.platform === 'linux')('a program that does not end', () => {
  test.each([
    ['ends by SIGTERM', 'sleep 1000 & echo $$ $! > pids; wait'],
    ['ignores SIGTERM', `trap '' TERM; sleep 1000 & echo $$ $! > pids; wait; sleep 1000`],
    ['ends by SIGTERM, but what it started does not', `(trap '' TERM; exec sleep 1000) & echo $$ $! > pids; wait`],
  ])('%s: killed with all that it started', async (_, script) => {
    const folder = await tempFolder()
    const { save } = command(`cd '${folder}'; cat > /dev/null; ${script}`, SHORT)
    expect(await failure(save())).toMatchObject({
      code: 'SAVE_FAILED',
      message: expect.stringMatching(/: timed out after 1.5 seconds$/),
    })
    const pids = (await readFile(join(folder, 'pids'), 'utf8')).trim().split(' ').map(Number)
    expect(pids).toHaveLength(2)
    for (const pid of pids) await vi.waitFor(async () => expect(await isAlive(pid)).toBe(false))
  })

  test('its successor may stay, if the program itself succeeded', async () => {
    const folder = await tempFolder()
    await command(`cd '${folder}'; sleep 1000 & echo $! > pid`).save()
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'))
    expect(await isAlive(pid)).toBe(true)
    process.kill(pid)
  })
})

test('one save by a program takes less than a minute', () => {
  expect(PROGRAM_LONGEST).toBeGreaterThan(PROGRAM_LIMITS.timeout + 2 * PROGRAM_LIMITS.grace)
  expect(PROGRAM_LONGEST).toBeLessThan(60_000)
})

describe('what a program printed', () => {
  test('both of its streams, if it failed, without the credentials', async () => {
    const { printed, save } = command(`cat; echo 'no such secret' >&2; exit 3`)
    const error = await failure(save())
    expect(error).toMatchObject({ code: 'SAVE_FAILED', message: expect.stringMatching(/: exit code 3$/) })
    expect(printed.join().split('\n').sort()).toStrictEqual([
      "ATPROTO_OAUTH_REFRESH_TOKEN='[redacted]'",
      'no such secret',
    ])
  })

  test('its stdout, without the credentials, on stderr where nobody collects it', async () => {
    const written: string[] = []
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    try {
      for (const text of ['cat; echo saved', 'cat; exit 3']) {
        const target = programTarget('exec:x', text, { environment: process.env, limits: NEVER })
        await target.save(ENTRIES).catch(() => undefined)
      }
    } finally {
      write.mockRestore()
    }
    expect(written).toStrictEqual([
      "ATPROTO_OAUTH_REFRESH_TOKEN='[redacted]'\nsaved\n",
      "ATPROTO_OAUTH_REFRESH_TOKEN='[redacted]'\n",
    ])
  })

  test('nothing, if it succeeded or was silent', async () => {
    const loud = command('echo saved')
    await loud.save()
    const silent = command('exit 1')
    await failure(silent.save())
    expect([loud.printed, silent.printed]).toStrictEqual([[], []])
  })

  test('the end of what never ends', async () => {
    const { printed, save } = command(`yes 'line of a log' | head -n 200000; echo the cause; exit 1`)
    await failure(save())
    expect(printed.join()).toMatch(/line of a log\nthe cause$/)
    expect(printed.join().length).toBeLessThan(5000)
  })
})

test('a signal, and a program that is not there', async () => {
  expect(await failure(command('kill -9 $$').save())).toMatchObject({
    message: expect.stringMatching(/: killed by SIGKILL$/),
  })
  const environment = { PATH: await tempFolder() }
  const gh = githubTarget('gh:', { repository: undefined, environment: undefined }, { environment })
  expect(await failure(gh.save(ENTRIES))).toMatchObject({
    code: 'SAVE_FAILED',
    message: 'cannot save to gh:: command not found: gh',
  })
})
