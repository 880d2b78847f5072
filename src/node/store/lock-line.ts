/**
 * Those in this process that want one lock stand in line, and only the first looks at the files: hundreds that look at once
 * keep each other from the lock for minutes.
 */
import { resolve } from 'node:path'

export interface Turn {
  /** Milliseconds in line. */
  readonly waited: number
  /** The lock is taken: whoever is next waits for its end from now on. */
  begin(): void
  /** The next one's turn. */
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
const lines: Map<string, Line> = shared[LINES]

/**
 * @param folder that of the lock
 * @param timeout milliseconds in which somebody else has to be done with the lock
 * @returns `undefined` if they were not
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
