import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { LOCK_TIMES, type LockHolder, type LockTimes, withLock } from '../../../src/node/store/lock.ts'
import { failure } from '../../support/failure.ts'
import { startNode, tempFolder, until } from '../helpers.ts'

/** Milliseconds: longer than a poll, so that the lock was looked at more than once. */
const SHORT = 200

const HOLD = `
  const { withLock } = await import(process.env.SRC + 'node/store/lock.ts')
  await withLock(process.argv[1], async () => {
    console.log('held by ' + process.pid)
    await new Promise((resolve) => setTimeout(resolve, 600_000))
  })`

const COUNT = `
  import { readFile, writeFile } from 'node:fs/promises'
  import { setTimeout as delay } from 'node:timers/promises'
  const { withLock } = await import(process.env.SRC + 'node/store/lock.ts')
  const [folder, counter] = process.argv.slice(1)
  for (let round = 0; round < 5; round += 1) {
    await withLock(folder, async () => {
      const count = Number(await readFile(counter, 'utf8'))
      await delay(3)
      await writeFile(counter, String(count + 1))
    })
  }`

async function numbers(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).sort()
}

/** What the holder's file says. */
async function recorded(folder: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(folder, (await numbers(folder)).at(-1)!), 'utf8'))
}

/** A lock as a holder that is not this process left it. */
async function leave(holder: unknown, madeAt = new Date()): Promise<string> {
  const folder = join(await tempFolder(), 'lock')
  await mkdir(folder)
  await writeFile(join(folder, '1'), typeof holder === 'string' ? holder : JSON.stringify(holder))
  await utimes(join(folder, '1'), madeAt, madeAt)
  return folder
}

/** A holder whose heartbeat stands still for `stale` is taken for dead, and a blank file for as long as `blank`. */
const QUICK = { timeout: SHORT, stale: 2 * SHORT, blank: SHORT / 2, heartbeat: SHORT / 8, poll: 8 }
const PATIENT = { ...QUICK, stale: 3_600_000, blank: 3_600_000 }

const acquired = (folder: string, times: Partial<LockTimes> = QUICK) =>
  withLock(folder, async () => 'acquired', { times })

/** How this process records itself. */
async function me(): Promise<Record<string, unknown>> {
  const folder = join(await tempFolder(), 'lock')
  return withLock(folder, () => recorded(folder))
}

describe('11.5 mutual exclusion', () => {
  test('six processes count to thirty with reads and writes apart', async () => {
    const home = await tempFolder()
    const counter = join(home, 'counter')
    await writeFile(counter, '0')
    const ends = await Promise.all(
      Array.from({ length: 6 }, () => startNode(COUNT, [join(home, 'lock'), counter]).ended),
    )
    expect(ends.map(({ code, stderr }) => ({ code, stderr }))).toStrictEqual(Array(6).fill({ code: 0, stderr: '' }))
    expect(await readFile(counter, 'utf8')).toBe('30')
  })

  test('within one process too', async () => {
    const folder = join(await tempFolder(), 'lock')
    let inside = 0
    const seen = await Promise.all(
      Array.from({ length: 5 }, () =>
        withLock(folder, async () => {
          inside += 1
          await new Promise(setImmediate)
          const together = inside
          inside -= 1
          return together
        }),
      ),
    )
    expect(seen).toStrictEqual([1, 1, 1, 1, 1])
  })

  test('a hundred at once in one process: each gets it, in the order of their calls, and only one waits for files', async () => {
    const folder = join(await tempFolder(), 'lock')
    const order: number[] = []
    const looks: number[] = []
    const take = (index: number) =>
      withLock(folder, async () => {
        order.push(index)
        looks.push((await readdir(folder)).filter((name) => name.startsWith('.')).length)
      })
    await Promise.all(Array.from({ length: 100 }, (_, index) => take(index)))
    expect(order).toStrictEqual([...order.keys()])
    expect(order).toHaveLength(100)
    expect(Math.max(...looks)).toBe(0)
  })

  test('held for too long in this process: whoever is behind is told, and the next gets it', async () => {
    const folder = join(await tempFolder(), 'lock')
    let end = () => {}
    const holder = withLock(folder, () => new Promise<void>((resolve) => (end = resolve)), { times: PATIENT })
    const waiting = [failure(acquired(folder, PATIENT)), failure(acquired(folder, PATIENT))]
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'SESSION_BUSY', facts: { reason: 'lock-held', folder } })
      expect(error.message).toContain(`process ${process.pid} on ${hostname()}`)
    }
    const next = acquired(folder)
    end()
    await holder
    expect(await next).toBe('acquired')
  })

  test('another folder is another lock', async () => {
    const home = await tempFolder()
    expect(await withLock(join(home, 'a'), () => acquired(join(home, 'b')))).toBe('acquired')
  })
})

describe('a lock ends with its work', () => {
  test('gives the value on', async () => {
    expect(await withLock(await tempFolder(), async () => 7)).toBe(7)
  })

  test('released when the work fails', async () => {
    const folder = await tempFolder()
    const failing = withLock(folder, () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    expect(await acquired(folder)).toBe('acquired')
  })

  test('the folder was removed meanwhile, and its number is that of another holder: theirs stays', async () => {
    const folder = join(await tempFolder(), 'lock')
    await withLock(folder, async () => {
      await rm(folder, { recursive: true })
      await mkdir(folder)
      await writeFile(join(folder, '1'), JSON.stringify({ ...(await me()), id: 'theirs' }))
    })
    expect(await recorded(folder)).toMatchObject({ id: 'theirs' })
  })

  test('numbers only grow, and the last two are kept', async () => {
    const folder = await tempFolder()
    for (let round = 0; round < 12; round += 1) await acquired(folder)
    expect(await numbers(folder)).toStrictEqual(['11', '12'])
  })

  test('nothing but numbers stays behind, and what a killed process left goes after a day', async () => {
    const folder = await tempFolder()
    for (const name of ['.old', '.young', 'foreign']) await writeFile(join(folder, name), '')
    for (const name of ['.old', 'foreign']) await utimes(join(folder, name), new Date(0), new Date(0))
    await acquired(folder)
    expect((await readdir(folder)).sort()).toStrictEqual(['.young', '1', 'foreign'])
  })

  test('the folder is private', async () => {
    const folder = join(await tempFolder(), 'locks', 'one')
    await acquired(folder)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
  })
})

describe('11.6 the holder', () => {
  test('alive: waited for, then named with the way out', async () => {
    const folder = join(await tempFolder(), 'lock')
    const holder = startNode(HOLD, [folder])
    await holder.said('held')
    const error = await failure(acquired(folder))
    expect(error).toMatchObject({ code: 'SESSION_BUSY', session: 'alive' })
    expect(error.message).toContain(`process ${holder.pid} on ${hostname()}`)
    expect(error.facts).toStrictEqual({ reason: 'lock-held', folder })
  })

  test('killed: noticed by whoever waits', async () => {
    const folder = join(await tempFolder(), 'lock')
    const holder = startNode(HOLD, [folder])
    await holder.said('held')
    const waiting = withLock(folder, async () => 'acquired')
    holder.kill('SIGKILL')
    expect(await waiting).toBe('acquired')
    expect(await numbers(folder)).toStrictEqual(['1', '2'])
  })

  test.runIf(process.platform === 'linux')('killed, and its parent never asks: a zombie holds nothing', async () => {
    const folder = join(await tempFolder(), 'lock')
    const parent = startNode(HOLD, [folder], ['bash', '-c', '"$@" & exec sleep 600', 'bash'])
    await parent.said('held')
    const { pid } = await recorded(folder)
    process.kill(Number(pid), 'SIGKILL')
    await until(async () => / Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')))
    expect(await acquired(folder)).toBe('acquired')
  })

  test('stopped for however long, on this machine: not robbed', async () => {
    const folder = join(await tempFolder(), 'lock')
    const holder = startNode(HOLD, [folder])
    await holder.said('held')
    holder.kill('SIGSTOP')
    // Where the system does not tell when a process started, the heartbeat decides.
    const expected = process.platform === 'linux' ? 'SESSION_BUSY' : 'acquired'
    expect(await acquired(folder).catch((error) => error.code)).toBe(expected)
  })

  test.runIf(process.platform === 'linux')('its pid was given to another process: noticed', async () => {
    expect(await acquired(await leave({ ...(await me()), started: '1' }))).toBe('acquired')
  })

  test('its pid is in use, and it is that process: waited for', async () => {
    const folder = join(await tempFolder(), 'lock')
    const holder = startNode(HOLD, [folder])
    await holder.said('held')
    const copy = await leave(await recorded(folder))
    expect(await failure(acquired(copy))).toMatchObject({ code: 'SESSION_BUSY' })
  })

  test('this very process, and no holder in it knows the lock: its release has failed, so it is free', async () => {
    expect(await acquired(await leave(await me()), PATIENT)).toBe('acquired')
    // As on systems that do not say when a process started.
    expect(await acquired(await leave({ ...(await me()), started: '' }), PATIENT)).toBe('acquired')
  })

  test.each([
    ['a machine of the same name, or this one before a restart', { boot: 'another' }],
    ['another container', { space: 'pid:[1]' }],
    ['another thread', { thread: 7 }],
    ['another process, started at an unknown time', { pid: process.ppid, started: '' }],
    ['an earlier version', { boot: undefined, id: undefined }],
  ])('of %s, without a heartbeat: taken over after the waiting process has measured it', async (_, change) => {
    const folder = await leave({ ...(await me()), ...change })
    await expect(acquired(folder, { ...QUICK, stale: 0 })).resolves.toBe('acquired')
    const slow = await leave({ ...(await me()), ...change })
    const before = performance.now()
    expect(await acquired(slow)).toBe('acquired')
    expect(performance.now() - before).toBeGreaterThanOrEqual(QUICK.stale)
  })

  test('on another machine, with a heartbeat: never taken over, however often others wait', async () => {
    const folder = await leave({ ...(await me()), boot: 'another' })
    let beats = 0
    const heart = setInterval(() => {
      beats += 1
      return utimes(join(folder, '1'), beats, beats)
    }, QUICK.heartbeat)
    try {
      for (const _ of [1, 2]) expect(await failure(acquired(folder))).toMatchObject({ code: 'SESSION_BUSY' })
      expect(await numbers(folder)).toStrictEqual(['1'])
    } finally {
      clearInterval(heart)
    }
  })

  test('two live hosts of one name do not take over from each other', async () => {
    const folder = join(await tempFolder(), 'lock')
    await withLock(
      folder,
      async () => {
        // As the other host sees it: a boot that is not its own.
        const mine = await recorded(folder)
        await writeFile(join(folder, '1'), JSON.stringify({ ...mine, boot: 'of the other host' }))
        expect(await failure(acquired(folder))).toMatchObject({ code: 'SESSION_BUSY' })
      },
      { times: QUICK },
    )
  })

  test.each(['', '{"pid":', 'null', '[]', '"x"', '\0\0\0\0'])(
    '%j is about to be written, or was left by a crash: taken over after a moment',
    async (text) => {
      const before = performance.now()
      expect(await acquired(await leave(text), { ...PATIENT, blank: QUICK.blank })).toBe('acquired')
      expect(performance.now() - before).toBeGreaterThanOrEqual(QUICK.blank)
    },
  )

  test('who waits is told once for whom', async () => {
    const folder = join(await tempFolder(), 'lock')
    const holder = startNode(HOLD, [folder])
    await holder.said('held')
    const told: unknown[] = []
    const onWait = (who: LockHolder) => {
      told.push(who)
      return () => void told.push('over')
    }
    const waiting = withLock(folder, async () => 'acquired', { onWait })
    await until(() => told.length > 0)
    holder.kill('SIGKILL')
    expect(await waiting).toBe('acquired')
    expect(told).toMatchObject([{ pid: holder.pid, host: hostname() }, 'over'])
  })
})

describe('confirmation that the lock is still held', () => {
  test('held: nothing happens, as often as it is asked', async () => {
    const folder = join(await tempFolder(), 'lock')
    expect(await withLock(folder, async ({ confirm }) => [await confirm(), await confirm()])).toHaveLength(2)
  })

  test.each([
    ['another process has the next number', (folder: string) => writeFile(join(folder, '2'), 'x')],
    ['the file is gone', (folder: string) => rm(join(folder, '1'))],
    ['the folder is gone', (folder: string) => rm(folder, { recursive: true })],
    ['the file is of another holder', (folder: string) => writeFile(join(folder, '1'), '{"id":"x","pid":1}')],
  ])('%s: refused', async (_, take) => {
    const folder = join(await tempFolder(), 'lock')
    const error = await failure(
      withLock(folder, async ({ confirm }) => {
        await take(folder)
        await confirm()
      }),
    )
    expect(error).toMatchObject({ code: 'SESSION_BUSY', session: 'alive', facts: { reason: 'lock-lost' } })
  })

  test.each([
    ['the monotonic clock', performance, 'now'],
    ['the wall clock, as in a sleep of the machine', Date, 'now'],
  ] as const)('takes too long by %s each time: refused', async (_, clock, name) => {
    const folder = join(await tempFolder(), 'lock')
    let passed = 0
    const now = (clock as { now: () => number })[name].bind(clock)
    const spy = vi.spyOn(clock as { now: () => number }, name).mockImplementation(() => now() + passed)
    try {
      const attempt = withLock(folder, async ({ confirm }) => {
        spy.mockImplementation(() => {
          passed += LOCK_TIMES.oldestConfirmation
          return now() + passed
        })
        await confirm()
      })
      expect(await failure(attempt)).toMatchObject({ code: 'SESSION_BUSY' })
    } finally {
      spy.mockRestore()
    }
  })
})

test('a folder that cannot be made is said to be the cause', async () => {
  const file = join(await tempFolder(), 'file')
  await writeFile(file, '')
  const error = await failure(acquired(join(file, 'lock')))
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(error.message).toContain('not a directory')
})
