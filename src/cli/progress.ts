/**
 * Progress at a terminal: one line on stderr, rewritten in place and erased at the end.
 */
import { fstatSync } from 'node:fs'
import { variable } from '../credentials/variables.ts'
import { inCi } from './ci.ts'
import type { CliIO } from './io.ts'

/** The text of the line, asked for several times a second; empty for no line. */
export type Describe = (elapsedMilliseconds: number) => string

export interface Progress {
  /** False where nobody would see the line: then nothing has to be counted. */
  readonly isShown: boolean
  /** Shows the line while `work` runs, if that takes longer than a moment. Without `describe` there is none. */
  during<T>(describe: Describe | undefined, work: () => Promise<T>): Promise<T>
  /** Call before anything else is written to stderr; the line comes back after it. */
  clear(): void
  /** Call before stdout is written: it may end on the same terminal. */
  beforeData(): void
  /** Shows no line until it is resumed. @returns resumes it */
  pause(): () => void
}

/** Milliseconds on any scale, and a timer; injected, so that tests need no time. */
export interface Ticks {
  now(): number
  /** @returns what ends it */
  every(milliseconds: number, work: () => void): () => void
}

/** Milliseconds; what ends sooner shows no line, so that nothing flickers. */
const DELAY = 500
/** Milliseconds between two states of the line, and after a write to stdout. */
const PAUSE = 200
const ERASE = '\r\u001b[K'
/** Where the terminal does not say how wide it is. */
const WIDTH = 80

const SYSTEM: Ticks = {
  now: () => performance.now(),
  every(milliseconds, work) {
    const timer = setInterval(work, milliseconds).unref()
    return () => clearInterval(timer)
  },
}

export interface ProgressOptions {
  readonly quiet?: boolean | undefined
  readonly verbose?: boolean | undefined
  readonly json?: boolean | undefined
}

export function createProgress(io: CliIO, options: ProgressOptions, ticks: Ticks = SYSTEM): Progress {
  const { stderr } = io
  const isShown = isWatched(io, options)
  let shown = ''
  let quietUntil = Number.NEGATIVE_INFINITY
  let isApart: boolean | undefined
  /** The work that shows its line is the one that began last. */
  const running: Describe[] = []
  const clear = () => {
    if (shown !== '') stderr.write(ERASE)
    shown = ''
  }
  const show = (text: string) => {
    // In the last column a terminal may already begin the next line.
    const line = fitted(text, (stderr.columns || WIDTH) - 1)
    if (line === shown) return
    if (line === '') return clear()
    stderr.write(`\r${line}${ERASE.slice(1)}`)
    shown = line
  }
  return {
    isShown,
    async during(describe, work) {
      if (!isShown || !describe) return work()
      const begun = ticks.now()
      running.push(describe)
      const end = ticks.every(PAUSE, () => {
        const now = ticks.now()
        if (running.at(-1) !== describe) return
        if (now - begun >= DELAY && now >= quietUntil) show(describe(now - begun))
      })
      process.once('exit', clear) // by a signal, in the middle
      try {
        return await work()
      } finally {
        process.off('exit', clear)
        end()
        running.splice(running.indexOf(describe), 1)
        clear()
      }
    },
    clear,
    beforeData() {
      if (!isShown) return
      isApart ??= isFile(io)
      if (isApart) return
      clear()
      quietUntil = Math.max(quietUntil, ticks.now() + PAUSE)
    },
    pause() {
      clear()
      quietUntil = Number.POSITIVE_INFINITY
      return () => {
        quietUntil = Number.NEGATIVE_INFINITY
      }
    },
  }
}

/** Without its last parts where they do not fit: half a number would be another number. */
function fitted(text: string, width: number): string {
  if ([...text].length <= width) return text
  const end = text.lastIndexOf(', ')
  return end > 0 ? fitted(text.slice(0, end), width) : [...text].slice(0, width).join('')
}

function isWatched(io: CliIO, { quiet, verbose, json }: ProgressOptions): boolean {
  if (quiet || verbose || json || io.stderr.isTTY !== true) return false
  return !inCi(io) && variable(io.environment, 'TERM') !== 'dumb'
}

/** Whether what stdout gets is not shown anywhere. What reads a pipe may write to this terminal. */
function isFile({ stdout }: CliIO): boolean {
  if (stdout.isTTY) return false
  try {
    const stats = fstatSync(stdout.fd)
    return stats.isFile() || stats.isCharacterDevice() // such as /dev/null
  } catch {
    return false
  }
}
