/**
 * Who holds a lock, and whether that process is seen to live.
 */
import { readFile, readlink } from 'node:fs/promises'
import { hostname, uptime } from 'node:os'
import { threadId } from 'node:worker_threads'
import { isCode } from './files.ts'

export interface Holder {
  /** Of this acquisition. */
  readonly id: string
  readonly pid: number
  /** Threads have one pid and do not see each other's locks. */
  readonly thread: number
  /** For messages only: two machines may have one name. */
  readonly host: string
  /** Identifies the machine since it was started; pids mean something only within that. */
  readonly boot: string
  /** The PID namespace: two containers may have one folder and a pid each that is the same number. */
  readonly space: string
  /** When the process started, as far as the system tells: a pid may be given out again. */
  readonly started: string
}

/** `alive` and `dead` were seen; for `unseen` only the heartbeat tells. */
export type Fate = 'alive' | 'dead' | 'unseen' | 'blank'

/** The ids of this thread's locks that are not released. Shared by all copies of this module in it. */
const LIVE = Symbol.for('atproto-oauth.locks.1')
const shared = globalThis as { [LIVE]?: Set<string> }
shared[LIVE] ??= new Set()
export const live: Set<string> = shared[LIVE]

/** @param id of the acquisition */
export async function thisHolder(id: string): Promise<Holder> {
  return {
    id,
    thread: threadId,
    pid: process.pid,
    host: hostname(),
    boot: await bootId(),
    space: await readlink('/proc/self/ns/pid').catch(() => ''),
    started: (await startOf(process.pid)) ?? '',
  }
}

/** Milliseconds by which a time of boot that is computed may differ. */
const BOOT_TIME_SLACK = 5_000

/** Linux has a random id for each boot; elsewhere the time of the boot has to do. */
export async function bootId(): Promise<string> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return id.trim() || `${hostname()} ${Math.round(Date.now() - uptime() * 1000)}`
}

function isSameBoot(one: string, other: string): boolean {
  if (one === other) return true
  const [oneTime, otherTime] = [one, other].map((boot) => Number(/ (\d+)$/.exec(boot)?.[1] ?? Number.NaN))
  const isSameHost = one.replace(/\d+$/, '') === other.replace(/\d+$/, '')
  return isSameHost && Math.abs(oneTime! - otherTime!) < BOOT_TIME_SLACK
}

/** When a process started; empty if the system does not say, `undefined` if there is no such process (any more). */
async function startOf(pid: number): Promise<string | undefined> {
  // Fields 3 and 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets.
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined // ended, but its parent never asked
  return isRunning(pid) ? (fields[19] ?? '') : undefined
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

export async function fateOf(holder: Holder, me: Holder): Promise<Fate> {
  if (!isSameBoot(holder.boot, me.boot) || holder.space !== me.space) return 'unseen' // its pid means nothing here
  const isOurPid = holder.pid === me.pid
  // Not in the list: its release has failed, or an earlier process had this pid.
  if (isOurPid && holder.thread === me.thread) return live.has(holder.id) ? 'alive' : 'dead'
  const started = await startOf(holder.pid)
  if (started === undefined) return 'dead'
  if (started === '' || holder.started === '') return 'unseen'
  if (started !== holder.started) return 'dead'
  return isOurPid ? 'unseen' : 'alive'
}

/** `undefined` for what was cut short, or is not written yet. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const { id, pid, thread, host, boot, space, started } = JSON.parse(text.split('\n')[0]!) as Partial<Holder>
    if (!Number.isSafeInteger(pid)) return undefined
    return {
      id: String(id),
      pid: pid!,
      thread: Number(thread),
      host: String(host),
      boot: String(boot),
      space: String(space),
      started: String(started),
    }
  } catch {
    return undefined
  }
}
