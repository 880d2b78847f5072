/**
 * One lock across processes and machines, with nothing to configure.
 *
 * A lock is a folder of numbered files. Who makes the next number holds the lock, and may do so only when the highest
 * one was released or its holder has died. Numbers are never reused: a stale look at the folder ends in EEXIST, or in a
 * number that is not the highest.
 *
 * On the machine of the holder, and until it is restarted, its death is seen. From anywhere else it is concluded from a
 * heartbeat that does not change for some minutes, measured by whoever waits. A holder that was suspended for so long
 * finds out before it sends anything: see `HeldLock.confirm`.
 */
import { randomUUID } from 'node:crypto'
import { appendFile, link, open, readFile, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OAuthError } from '../../errors.ts'
import { isInUse, persist } from './file-errors.ts'
import {
  createPrivate,
  isCode,
  LEFTOVERS_KEPT,
  listFolder,
  makePrivateFolder,
  removeFile,
  sweepFolder,
} from './files.ts'
import { type Fate, fateOf, type Holder, live, parseHolder, thisHolder } from './lock-holder.ts'
import { standInLine, type Turn } from './lock-line.ts'
import { unavailable } from './obstacles.ts'

/** All in milliseconds. */
export const LOCK_TIMES = {
  /** How long to wait for a holder that is alive. A refresh takes at most about 50 seconds: five requests of ten. */
  timeout: 180_000,
  /** A holder on another machine, or from before a restart, has died if its heartbeat has not changed for this long. */
  stale: 300_000,
  heartbeat: 10_000,
  /** A confirmation that took longer than this is not relied on: the process may have been suspended meanwhile. */
  oldestConfirmation: 30_000,
  /** A file without content is one whose holder is about to write it, or was cut short. */
  blank: 5_000,
  poll: 40,
} as const

export type LockTimes = { readonly [Name in keyof typeof LOCK_TIMES]: number }

/** The process that others wait for. */
export interface LockHolder {
  readonly pid: number
  readonly host: string
}

export interface LockOptions {
  readonly times?: Partial<LockTimes>
  /** Called once if another process holds the lock for more than a moment. What it returns is called when the wait is over. */
  readonly onWait?: ((holder: LockHolder) => () => void) | undefined
}

export interface HeldLock {
  /**
   * Shows that this process is alive and still holds the lock. Call it immediately before what must not happen twice.
   *
   * @throws {OAuthError} `SESSION_BUSY` another process has taken over
   */
  confirm(): Promise<void>
}

/** Milliseconds until `onWait` is called. */
const NOTICEABLE = 1_000
const CONFIRMATIONS = 3
/** JSON like the rest, but no holder. */
const RELEASED = '"released"'
/** File systems without hard links: FAT, SMB, FUSE; Android forbids them. */
const NO_LINKS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']
const RELEASE_ATTEMPTS = 5

interface Blocker {
  readonly holder: Holder | undefined
  readonly fate: Exclude<Fate, 'dead'>
}

/**
 * Runs `work` while no other process does so for the same folder.
 *
 * @throws {OAuthError} `SESSION_BUSY` the holder is alive and was not done in time, `STORE_UNAVAILABLE`
 */
export async function withLock<T>(
  folder: string,
  work: (held: HeldLock) => Promise<T>,
  { times: given = {}, onWait }: LockOptions = {},
): Promise<T> {
  const times = { ...LOCK_TIMES, ...given }
  const turn = await standInLine(folder, times.timeout)
  if (turn === undefined) throw busy(folder, { pid: process.pid, host: hostname() })
  try {
    return await hold(folder, work, { times, onWait, turn })
  } finally {
    turn.end()
  }
}

interface HoldOptions extends Pick<LockOptions, 'onWait'> {
  readonly times: LockTimes
  readonly turn: Turn
}

async function hold<T>(folder: string, work: (held: HeldLock) => Promise<T>, options: HoldOptions): Promise<T> {
  const { times, turn } = options
  const id = randomUUID()
  live.add(id)
  let number: number
  try {
    number = await acquire(folder, id, options)
  } catch (error) {
    live.delete(id)
    throw error
  }
  turn.begin()
  const beat = () => showAlive(fileOf(folder, number))
  const heart = setInterval(() => void beat().catch(() => undefined), times.heartbeat)
  heart.unref()
  try {
    return await work({ confirm: () => confirm({ folder, number, id, beat }, times) })
  } finally {
    clearInterval(heart)
    live.delete(id)
    await release(fileOf(folder, number), id)
  }
}

async function acquire(folder: string, id: string, { times, turn, onWait }: HoldOptions): Promise<number> {
  await makePrivateFolder(folder)
  await sweepFolder(folder, LEFTOVERS_KEPT, (name) => name.startsWith('.'))
  const me = await thisHolder(id)
  const own = join(folder, `.${id}`)
  const text = `${JSON.stringify(me)}\n`
  const watch = new Watch(times, turn.waited)
  let endWait: (() => void) | undefined
  try {
    await createPrivate(own, text)
    for (;;) {
      const highest = Math.max(0, ...(await numbers(folder)))
      const blocker = highest === 0 ? undefined : await blockerOf(folder, highest, me)
      watch.look(blocker && (await stampOf(folder, highest)))
      const isFree = blocker === undefined || watch.hasEnded(blocker.fate)
      if (isFree && (await claim(folder, { own, text }, highest + 1))) return highest + 1
      if (blocker && watch.isLate(blocker.fate)) throw busy(folder, blocker.holder)
      if (blocker?.holder && watch.waited > NOTICEABLE) endWait ??= onWait?.(blocker.holder)
      await delay(times.poll / 2 + Math.random() * times.poll)
    }
  } catch (error) {
    throw unavailable(error, 'lock', folder)
  } finally {
    endWait?.()
    await removeFile(own).catch(() => undefined)
  }
}

/** Milliseconds. In a longer gap between two looks the waiting process was suspended, and maybe the holder with it. */
const LONGEST_LOOK = 1_000

/** What a waiting process has observed, by its own clock. */
class Watch {
  waited = 0
  #unchanged = 0
  #hasChanged = false
  #stamp: string | undefined
  #last = performance.now()
  readonly #times: LockTimes
  readonly #inLine: number

  /** @param inLine milliseconds waited before */
  constructor(times: LockTimes, inLine: number) {
    this.#times = times
    this.#inLine = inLine
  }

  /** @param stamp changes with each heartbeat and each holder */
  look(stamp: string | undefined): void {
    const now = performance.now()
    const passed = now - this.#last
    this.#last = now
    this.waited += passed
    if (stamp !== undefined && stamp === this.#stamp) this.#unchanged += Math.min(passed, LONGEST_LOOK)
    else {
      this.#hasChanged ||= this.#stamp !== undefined
      this.#unchanged = 0
    }
    this.#stamp = stamp
  }

  hasEnded(fate: Blocker['fate']): boolean {
    if (fate === 'alive') return false
    return this.#unchanged >= this.#times[fate === 'blank' ? 'blank' : 'stale']
  }

  /** Who may turn out to have died is watched for as long as that takes. */
  isLate(fate: Blocker['fate']): boolean {
    return this.#inLine + this.waited > this.#times.timeout && (fate === 'alive' || this.#hasChanged)
  }
}

async function claim(folder: string, file: { own: string; text: string }, number: number): Promise<boolean> {
  const path = fileOf(folder, number)
  try {
    await create(path, file)
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

/** With its content at once; without hard links it is blank for a moment, which others wait out. */
async function create(path: string, { own, text }: { own: string; text: string }): Promise<void> {
  try {
    await persist(() => link(own, path))
  } catch (error) {
    if (!isCode(error, ...NO_LINKS)) throw error
    await persist(() => createPrivate(path, text))
  }
}

/** A heartbeat: the time of the file, or its length where times cannot be set. */
async function showAlive(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) throw error
    return appendFile(path, '.')
  })
}

interface Acquired {
  readonly folder: string
  readonly number: number
  readonly id: string
  beat(): Promise<void>
}

async function confirm({ folder, number, id, beat }: Acquired, times: LockTimes): Promise<void> {
  for (let attempt = 0; attempt < CONFIRMATIONS; attempt += 1) {
    const begun = stopwatch()
    await beat().catch(() => undefined) // whether we still hold it, the next line tells
    if (!(await isOurs(folder, number, id))) break
    if (begun() < times.oldestConfirmation) return
  }
  throw new OAuthError('SESSION_BUSY', 'this process was suspended, and another one has taken over; nothing was sent', {
    facts: { reason: 'lock-lost' },
  })
}

async function isOurs(folder: string, number: number, id: string): Promise<boolean> {
  try {
    if (Math.max(...(await numbers(folder))) !== number) return false
    return parseHolder(await readFile(fileOf(folder, number), 'utf8'))?.id === id
  } catch {
    return false
  }
}

/** Milliseconds since now, by whichever clock went further: one stands still while a machine sleeps, the other can be set. */
function stopwatch(): () => number {
  const [monotonic, wall] = [performance.now(), Date.now()]
  return () => Math.max(performance.now() - monotonic, Date.now() - wall)
}

/**
 * Without cutting the file first: a blank one would be waited for. If it fails, the end of this process releases it. The
 * file may be that of another holder, if the folder was removed meanwhile, and the numbers began again.
 */
async function release(path: string, id: string): Promise<void> {
  for (let attempt = 1; attempt <= RELEASE_ATTEMPTS; attempt += 1) {
    try {
      const file = await persist(() => open(path, 'r+'))
      try {
        const holder = parseHolder(await file.readFile('utf8'))
        if (holder === undefined || holder.id === id) {
          await file.write(RELEASED, 0)
          await file.truncate(RELEASED.length)
        }
      } finally {
        await file.close()
      }
      return
    } catch (error) {
      if (isCode(error, 'ENOENT')) return // another process has taken over and cleared it away
      await delay(attempt * 20)
    }
  }
}

/** What stands in the way of the next number; `undefined` if nothing does. */
async function blockerOf(folder: string, number: number, me: Holder): Promise<Blocker | undefined> {
  let text: string
  try {
    text = await readFile(fileOf(folder, number), 'utf8')
  } catch (error) {
    // Somebody was faster and cleared it away; the next look sees a higher number.
    if (isCode(error, 'ENOENT') || isInUse(error)) return { holder: undefined, fate: 'alive' }
    throw error
  }
  if (text.startsWith(RELEASED)) return undefined
  const holder = parseHolder(text)
  if (holder === undefined) return { holder, fate: 'blank' }
  const fate = await fateOf(holder, me)
  return fate === 'dead' ? undefined : { holder, fate }
}

/** Changes with each heartbeat; `undefined` if the file is not there any more. */
async function stampOf(folder: string, number: number): Promise<string | undefined> {
  const stats = await stat(fileOf(folder, number)).catch(() => undefined)
  return stats && `${number} ${stats.mtimeMs} ${stats.size}`
}

async function numbers(folder: string): Promise<number[]> {
  return (await listFolder(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

function fileOf(folder: string, number: number): string {
  return join(folder, String(number))
}

function busy(folder: string, holder: LockHolder | undefined): OAuthError {
  const who = holder?.pid ? `process ${holder.pid} on ${holder.host}` : 'another process'
  return new OAuthError('SESSION_BUSY', `timed out waiting for ${who}, which is refreshing this session`, {
    facts: { reason: 'lock-held', folder },
  })
}
