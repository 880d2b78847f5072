/**
 * One lock across processes, with nothing to configure: held as long as its process
 * lives, however slow that is, and free as soon as the process is gone.
 *
 * A lock is a folder of numbered files. Who makes the next number holds the lock, and
 * only may when the highest one was released or its holder has died. Numbers are never
 * reused: a stale look at the folder ends in EEXIST, or in a number that is not the highest.
 */
import { randomUUID } from 'node:crypto'
import { link, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OAuthError } from '../../errors.ts'
import { isInUse, persist } from './file-errors.ts'
import { isCode, LEFTOVERS_KEPT, listFolder, makePrivateFolder, removeFile, sweepFolder, unavailable } from './files.ts'

/** Milliseconds. A refresh takes at most about 50 seconds: five requests of ten. */
const LOCK_TIMEOUT = 180_000
const POLL = 40
/** Milliseconds. Where it cannot be seen whether the holder lives, one this old is taken for gone. */
const ABANDONED = 3600 * 1000

interface Holder {
  readonly pid: number
  readonly host: string
  /** The PID namespace: two containers may have one host name, one folder, and a pid each that is the same number. */
  readonly space: string
  /** When the process started, as far as the system tells: a pid may be given out again. */
  readonly started: string
}

/** Whether the holder is seen to live, or only not seen to be gone. */
interface Blocker extends Holder {
  readonly seen: boolean
}

/**
 * Runs `work` while no other process does so for the same folder.
 *
 * @param timeout milliseconds to wait for it
 * @throws {OAuthError} `SESSION_BUSY` after that, `STORE_UNAVAILABLE`
 */
export async function withLock<T>(folder: string, work: () => Promise<T>, timeout: number = LOCK_TIMEOUT): Promise<T> {
  const number = await acquire(folder, timeout)
  try {
    return await work()
  } finally {
    // An empty file is a released lock; if even that fails, the end of this process releases it.
    await persist(() => writeFile(fileOf(folder, number), '')).catch(() => undefined)
  }
}

async function acquire(folder: string, timeout: number): Promise<number> {
  await makePrivateFolder(folder)
  await sweepFolder(folder, LEFTOVERS_KEPT, (name) => name.startsWith('.'))
  const me: Holder = {
    pid: process.pid,
    host: hostname(),
    space: await pidNamespace(),
    started: (await startOf(process.pid)) ?? '',
  }
  const own = join(folder, `.${randomUUID()}`)
  try {
    await writeFile(own, JSON.stringify(me), { flag: 'wx', mode: 0o600 })
    const deadline = performance.now() + timeout
    for (;;) {
      const highest = Math.max(0, ...(await numbers(folder)))
      const blocker = highest === 0 ? undefined : await blockerOf(folder, highest, me)
      const late = performance.now() > deadline
      const free = blocker === undefined || (late && !blocker.seen && (await isAbandoned(folder, highest)))
      if (free && (await claim(folder, own, highest + 1))) return highest + 1
      if (late) throw busy(folder, blocker)
      await delay(POLL / 2 + Math.random() * POLL)
    }
  } catch (error) {
    throw unavailable(error, 'lock', folder)
  } finally {
    await removeFile(own).catch(() => undefined)
  }
}

async function claim(folder: string, own: string, number: number): Promise<boolean> {
  const path = fileOf(folder, number)
  try {
    await persist(() => link(own, path)) // with its content, and not if it exists
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
  const all = await numbers(folder)
  if (Math.max(...all) !== number) {
    await removeFile(path)
    return false
  }
  // The last but one stays: who was about to make that number, from an old look, meets it.
  const old = all.filter((other) => other < number - 1)
  // One that stays is cleared away by the next who holds the lock.
  await Promise.all(old.map((other) => rm(fileOf(folder, other), { force: true }).catch(() => undefined)))
  return true
}

/** The holder of the lock with this number; `undefined` if it is free. */
async function blockerOf(folder: string, number: number, me: Holder): Promise<Blocker | undefined> {
  let text: string
  try {
    text = await readFile(fileOf(folder, number), 'utf8')
  } catch (error) {
    // Somebody was faster and cleared it away; the next look sees a higher number.
    if (isCode(error, 'ENOENT') || isInUse(error)) return { pid: 0, host: '', space: '', started: '', seen: true }
    throw error
  }
  const recorded = parseHolder(text)
  if (recorded === undefined) return undefined
  if (recorded.host !== me.host || recorded.space !== me.space) return { ...recorded, seen: false } // its pid is not visible here
  const started = await startOf(recorded.pid)
  if (started === undefined) return undefined
  if (started === '' || recorded.started === '') return { ...recorded, seen: false }
  return started === recorded.started ? { ...recorded, seen: true } : undefined
}

/** `undefined` if the lock was released, or cut by a crash of the whole system: it was made with its content. */
function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, space, started } = JSON.parse(text) as Partial<Holder>
    return Number.isSafeInteger(pid)
      ? { pid: pid!, host: String(host), space: String(space), started: String(started) }
      : undefined
  } catch {
    return undefined
  }
}

async function isAbandoned(folder: string, number: number): Promise<boolean> {
  const stats = await stat(fileOf(folder, number)).catch(() => undefined)
  // One from the future was made before the clock was set back.
  return stats !== undefined && Math.abs(Date.now() - stats.mtimeMs) > ABANDONED
}

/** When a process started; empty if the system does not say, `undefined` if there is no such process (any more). */
async function startOf(pid: number): Promise<string | undefined> {
  // Fields 3 and 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets.
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined // ended, but its parent never asked
  return isRunning(pid) ? (fields[19] ?? '') : undefined
}

async function pidNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => '')
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

async function numbers(folder: string): Promise<number[]> {
  return (await listFolder(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

function fileOf(folder: string, number: number): string {
  return join(folder, String(number))
}

function busy(folder: string, blocker: Holder | undefined): OAuthError {
  const who = blocker?.pid ? `process ${blocker.pid} on ${blocker.host}` : 'another process'
  return new OAuthError('SESSION_BUSY', `timed out waiting for ${who}, which is refreshing this session`, {
    facts: { reason: 'lock-held', folder },
  })
}
