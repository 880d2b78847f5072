/**
 * How many requests of a front are at the PDS at once: a program may send hundreds at the same time, and each would open a
 * connection.
 */
import type { Timer } from '../ports.ts'

/** As many as a batch may send at once. */
const PLACES = 32
/** Milliseconds after which a long request, such as a large download, leaves its place to one that waits. */
const SHORT = 1000
/** Together with the places, the most connections to the PDS. */
const LONG_MOST = 224

export interface PlaceLimits {
  readonly places?: number
  readonly longMost?: number
}

export interface Places {
  /**
   * Waits for a place, in the order of the calls.
   *
   * @returns ends the request, which may be called again
   * @throws the `reason` of the signal
   */
  take(signal: AbortSignal): Promise<() => void>
}

export function createPlaces({ sleep }: Timer, { places = PLACES, longMost = LONG_MOST }: PlaceLimits = {}): Places {
  const short = new Set<() => void>()
  const long = new Set<() => void>()
  const waiting = new Set<() => void>()
  let watch: AbortController | undefined

  const begin = () => {
    const end = () => {
      if (short.delete(end) || long.delete(end)) fill()
    }
    short.add(end)
    return end
  }

  const fill = () => {
    for (const start of waiting) {
      if (short.size >= places) break
      waiting.delete(start)
      start()
    }
    if (waiting.size === 0) watch?.abort()
    else if (watch === undefined && long.size < longMost) void makeRoom()
  }

  /** While others wait, those that had a place all the time give it up. Nothing is timed while nobody waits. */
  async function makeRoom(): Promise<void> {
    watch = new AbortController()
    const { signal } = watch
    const before = [...short]
    await sleep(SHORT, signal).catch(() => undefined)
    watch = undefined
    let wanted = Math.min(waiting.size, longMost - long.size)
    for (const end of signal.aborted ? [] : before) {
      if (wanted === 0) break
      if (!short.delete(end)) continue
      long.add(end)
      wanted -= 1
    }
    fill()
  }

  return {
    async take(signal) {
      signal.throwIfAborted()
      if (short.size < places) return begin()
      return new Promise((resolve, reject) => {
        const leave = () => {
          waiting.delete(start)
          reject(signal.reason)
          fill()
        }
        const start = () => {
          signal.removeEventListener('abort', leave)
          resolve(begin())
        }
        signal.addEventListener('abort', leave, { once: true })
        waiting.add(start)
        fill()
      })
    },
  }
}
