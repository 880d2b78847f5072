/**
 * Ctrl-C and a job's end wait while a token is between two places.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs `work` without interruption; a signal that came meanwhile takes effect afterwards. */
export type SignalHold = <T>(work: () => Promise<T>) => Promise<T>

export function createSignalHold(): SignalHold {
  let depth = 0
  let received: NodeJS.Signals | undefined
  let others: (readonly [NodeJS.Signals, ReturnType<typeof process.rawListeners>])[] = []
  const remember = (signal: NodeJS.Signals) => {
    received ??= signal
  }
  const begin = () => {
    depth += 1
    if (depth > 1) return
    received = undefined
    // Whoever else listens may end the process: they are asked later.
    others = SIGNALS.map((signal) => [signal, process.rawListeners(signal)] as const)
    for (const signal of SIGNALS) process.removeAllListeners(signal).on(signal, remember)
  }
  const end = () => {
    depth -= 1
    if (depth > 0) return
    for (const [signal, listeners] of others) {
      process.off(signal, remember)
      for (const listener of listeners) process.on(signal, listener as NodeJS.SignalsListener)
    }
    if (received !== undefined) process.kill(process.pid, received)
  }
  return async (work) => {
    begin()
    try {
      return await work()
    } finally {
      await turns()
      end()
    }
  }
}

/** One whole turn of the event loop: a signal that has reached the process reaches its listener in that. */
async function turns(): Promise<void> {
  await setImmediate()
  await setImmediate()
}
