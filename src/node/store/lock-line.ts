/**
 * The callers in this process that wait for the same lock stand in line, and only the first one looks at the files.
 * Hundreds of them looking at once would keep each other from the lock for minutes.
 */
import { resolve } from 'node:path'

export interface Turn {
  /** Milliseconds in line. */
  readonly waited: number
  /** The caller has the lock. The timeout of those behind begins again. */
  begin(): void
  /** Lets the next one look at the files. */
  end(): void
}

interface Line {
  length: number
  last: Promise<void>
  /** When the first has taken the lock. */
  heldSince: number | undefined
}

/** Shared by all copies of this module in this thread. */
const LINES = Symbol.for('atproto-oauth.lock-lines.1')
const shared = globalThis as { [LINES]?: Map<string, Line> }
shared[LINES] ??= new Map()
export const lines: Map<string, Line> = shared[LINES]

/**
 * @param folder that of the lock
 * @param timeout milliseconds for which the caller waits for one holder of the lock
 * @returns `undefined` after the timeout
 */
export async function standInLine(folder: string, timeout: number): Promise<Turn | undefined> {
  const key = resolve(folder)
  const line = lines.get(key) ?? { length: 0, last: Promise.resolve(), heldSince: undefined }
  lines.set(key, line)
  line.length += 1
  const before = line.last
  let release = () => {}
  const own = new Promise<void>((end) => {
    release = end
  })
  line.last = before.then(() => own)
  const leave = () => {
    line.length -= 1
    if (line.length === 0) lines.delete(key)
    release()
  }
  const arrived = performance.now()
  const left = () => Math.max(arrived, line.heldSince ?? performance.now()) + timeout - performance.now()
  while (!(await isOver(before, left()))) {
    if (left() > 0) continue
    leave()
    return undefined
  }
  return {
    waited: performance.now() - arrived,
    begin() {
      line.heldSince = performance.now()
    },
    end() {
      line.heldSince = undefined
      leave()
    },
  }
}

/** Whether `work` is done in time. */
async function isOver(work: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((end) => {
    timer = setTimeout(end, milliseconds, false)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
