/** A terminal and a clock for the progress line, both without real time. */
import { Writable } from 'node:stream'
import type { Ticks } from '../../src/cli/progress.ts'

/** What a terminal shows of a text with carriage returns and erasures to the end of the line. */
export function screenOf(text: string): string[] {
  return text.split('\n').map((line) => {
    let cells: string[] = []
    let column = 0
    for (const [part] of line.matchAll(/\u001b\[K|./gsu)) {
      if (part === '\r') column = 0
      else if (part === '\u001b[K') cells = cells.slice(0, column)
      else {
        cells[column] = part
        column += 1
      }
    }
    return cells.join('')
  })
}

export function fakeStream(properties: { isTTY?: boolean; columns?: number; fd?: number } = {}) {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk
      done()
    },
  })
  return { stream: Object.assign(stream, properties), text: () => text, screen: () => screenOf(text) }
}

export function fakeTicks(): Ticks & { pass(milliseconds: number): void; readonly timers: number } {
  let now = 0
  const timers = new Set<{ next: number; readonly period: number; readonly work: () => void }>()
  return {
    now: () => now,
    every(period, work) {
      const timer = { next: now + period, period, work }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    pass(milliseconds) {
      const end = now + milliseconds
      for (; now < end; now += 1) {
        for (const timer of timers) {
          if (timer.next > now) continue
          timer.next += timer.period
          timer.work()
        }
      }
    },
    get timers() {
      return timers.size
    },
  }
}
