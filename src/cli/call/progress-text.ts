/**
 * What the progress line of `call` says, and the summary of a batch.
 */
import type { BatchResult } from '../../call/batch.ts'
import type { Clock } from '../../ports.ts'
import { relativeTime } from '../../text.ts'

/** `1,200 requests`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}

/** Says how long a rate limit still lasts. */
export class RateLimitWait {
  readonly #clock: Clock
  #until = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly onRateLimit = (until: number): void => {
    this.#until = until
  }

  /** Absent unless a rate limit is being waited for. */
  text(): string | undefined {
    const now = this.#clock.now()
    return this.#until > now ? `rate limited, continuing ${relativeTime(this.#until, now)}` : undefined
  }
}

/** Milliseconds over which a rate is measured: long enough to be steady, short enough to follow a change. */
const WINDOW = 10_000
/** Milliseconds; from less a rate is a guess. */
const SHORTEST = 1000

/** How many per second, lately; 0 if that is not known yet. */
export class Rate {
  #samples: { readonly at: number; readonly count: number }[] = [{ at: 0, count: 0 }]

  /** @param at milliseconds since the beginning */
  update(at: number, count: number): number {
    this.#samples.push({ at, count })
    while (this.#samples.length > 2 && at - this.#samples[0]!.at > WINDOW) this.#samples.shift()
    const first = this.#samples[0]!
    return at - first.at < SHORTEST ? 0 : ((count - first.count) * 1000) / (at - first.at)
  }

  /** After a pause, which would count as slowness. */
  restart(at: number, count: number): void {
    this.#samples = [{ at, count }]
  }
}

/** Counts the results of one run of a batch, and estimates what remains from the bytes of the input. */
export class BatchTally {
  succeeded = 0
  failed = 0
  /** Bytes of the input; unknown for a stream. */
  readonly #size: number | undefined
  readonly #wait: RateLimitWait
  readonly #rate = new Rate()
  /** Lines read but not finished yet, if the size is known. */
  #open: { readonly line: number; readonly length: number; readonly end: number }[] = []
  #end = 0
  /** Up to the last finished line. */
  #position = 0
  #answeredBytes = 0

  constructor(inputSize: number | undefined, wait: RateLimitWait) {
    this.#size = inputSize
    this.#wait = wait
  }

  /** @param length in bytes, with the line feed */
  read(line: number, length: number, isSkipped: boolean): void {
    if (this.#size === undefined) return
    this.#end += length
    if (!isSkipped) this.#open.push({ line, length, end: this.#end })
  }

  /** In the order of the lines. */
  add({ line, error }: BatchResult): void {
    if (error === undefined) this.succeeded += 1
    else this.failed += 1
    const next = this.#open.findIndex((open) => open.line >= line)
    const answered = this.#open[next]
    if (answered?.line !== line) return
    this.#position = answered.end
    this.#answeredBytes += answered.length
    this.#open.splice(0, next + 1)
  }

  text(elapsed: number): string {
    const done = this.succeeded + this.failed
    const parts = [`${counted(done, 'request')} done`]
    if (this.failed > 0) parts.push(`${this.failed.toLocaleString('en')} failed`)
    const wait = this.#wait.text()
    if (wait !== undefined) {
      this.#rate.restart(elapsed, done)
      return [...parts, wait].join(', ')
    }
    const rate = this.#rate.update(elapsed, done)
    if (rate > 0) parts.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en')} per second`)
    const left = this.#left(done)
    if (left > 0) parts.push(`about ${left.toLocaleString('en')} left${rate > 0 ? duration(left / rate) : ''}`)
    return parts.join(', ')
  }

  /** As many as fit into the rest of the input at the length of those before. */
  #left(done: number): number {
    if (this.#size === undefined || this.#answeredBytes === 0) return 0
    return Math.max(0, Math.round(((this.#size - this.#position) * done) / this.#answeredBytes))
  }

  /** @param known lines with a result of an earlier run */
  summary({ count, failed }: { readonly count: number; readonly failed: number }): string {
    const had = failed === 0 ? '' : ` (${failed.toLocaleString('en')} had failed)`
    const parts = [
      [this.succeeded, 'succeeded'] as const,
      [this.failed, 'failed'] as const,
      [count, `skipped${had}`] as const,
    ].flatMap(([number, what]) => (number > 0 ? [`${number.toLocaleString('en')} ${what}`] : []))
    const all = counted(this.succeeded + this.failed + count, 'request')
    return parts.length === 0 ? all : `${all}: ${parts.join(', ')}`
  }
}

/** ` (2 minutes)` */
function duration(seconds: number): string {
  const text = relativeTime(seconds * 1000, 0)
  return text === 'now' ? '' : ` (${text.replace(/^in /, '')})`
}
