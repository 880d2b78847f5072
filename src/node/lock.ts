/**
 * One lock across processes, with nothing to configure: held as long as its process
 * lives, however slow that is, and free as soon as the process is gone.
 *
 * A lock is a folder of numbered files. Who makes the next number holds the lock, and
 * only may when the highest one was released or its holder has died. Numbers are never
 * reused: a stale look at the folder ends in EEXIST, or in a number that is not the highest.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AuthError } from '../errors.ts'
import { isCode, listFolder, makePrivateFolder, unavailable } from './files.ts'

/** Milliseconds. A refresh takes at most about 50 seconds: five requests of ten. */
const PATIENCE = 90_000
const POLL = 40

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process started, as far as the system tells: a pid may be given out again. */
  readonly started: string
}

/**
 * Runs `work` while no other process does so for the same folder.
 *
 * @throws {AuthError} `SESSION_BUSY` after a minute and a half of waiting, `STORE_UNAVAILABLE`
 */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const number = await acquire(folder)
  try {
    return await work()
  } finally {
    // An empty file is a released lock; if even that fails, the end of this process releases it.
    await writeFile(fileOf(folder, number), '').catch(() => undefined)
  }
}

async function acquire(folder: string): Promise<number> {
  await makePrivateFolder(folder)
  const me = await holder(process.pid)
  const own = join(folder, `.${randomUUID()}`)
  try {
    await writeFile(own, JSON.stringify(me), { flag: 'wx', mode: 0o600 })
    const deadline = performance.now() + PATIENCE
    for (;;) {
      const highest = Math.max(0, ...(await numbers(folder)))
      const blocker = highest === 0 ? undefined : await holderOf(folder, highest)
      if (blocker === undefined && (await claim(folder, own, highest + 1))) return highest + 1
      if (performance.now() > deadline) throw busy(folder, blocker)
      await delay(POLL / 2 + Math.random() * POLL)
    }
  } catch (error) {
    throw unavailable(error, 'lock', folder)
  } finally {
    await rm(own, { force: true }).catch(() => undefined)
  }
}

async function claim(folder: string, own: string, number: number): Promise<boolean> {
  const path = fileOf(folder, number)
  try {
    await link(own, path) // with its content, and not if it exists
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
  const all = await numbers(folder)
  if (Math.max(...all) !== number) {
    await rm(path, { force: true })
    return false
  }
  await Promise.all(all.filter((other) => other < number).map((other) => rm(fileOf(folder, other), { force: true })))
  return true
}

/** Who holds the lock of this number, or `undefined` if nobody (any more) does. */
async function holderOf(folder: string, number: number): Promise<Holder | undefined> {
  let text: string
  try {
    text = await readFile(fileOf(folder, number), 'utf8')
  } catch (error) {
    // Somebody was faster and cleared it away; the next look sees a higher number.
    if (isCode(error, 'ENOENT')) return { pid: 0, host: '', started: '' }
    throw error
  }
  if (text === '') return undefined
  const recorded = JSON.parse(text) as Holder
  if (recorded.host !== hostname()) return recorded // a shared home: nobody here can tell
  if (!isRunning(recorded.pid)) return undefined
  const { started } = await holder(recorded.pid)
  return started === recorded.started ? recorded : undefined
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

async function holder(pid: number): Promise<Holder> {
  // Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  return { pid, host: hostname(), started }
}

async function numbers(folder: string): Promise<number[]> {
  return (await listFolder(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

function fileOf(folder: string, number: number): string {
  return join(folder, String(number))
}

function busy(folder: string, blocker: Holder | undefined): AuthError {
  const who = blocker?.pid ? `process ${blocker.pid} on ${blocker.host}` : 'another process'
  return new AuthError('SESSION_BUSY', `${who} has been refreshing this session for a minute and a half`, {
    hint: `wait for it; if no such process exists any more, remove the folder ${folder}`,
  })
}
