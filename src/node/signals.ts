/**
 * Delays signals while a token is sent and its successor is not saved yet.
 */
import { setImmediate } from 'node:timers/promises'

/** SIGBREAK is of Windows alone: nowhere else does it come. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] as const

/** Runs `work` without interruption; a signal that came meanwhile takes effect afterwards. */
export type SignalHold = <T>(work: () => Promise<T>) => Promise<T>

export function createSignalHold(platform: NodeJS.Platform = process.platform): SignalHold {
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
    // Other listeners may end the process: they are called afterwards.
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
    if (received !== undefined) raise(received, platform)
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

/** On Windows `kill` ends a process before it can listen, and knows neither SIGHUP nor SIGBREAK. */
function raise(signal: NodeJS.Signals, platform: NodeJS.Platform): void {
  if (platform !== 'win32') process.kill(process.pid, signal)
  else if (!process.emit(signal, signal)) process.kill(process.pid, 'SIGTERM')
}

/** One whole turn of the event loop: a signal that has reached the process reaches its listener in that. */
async function turns(): Promise<void> {
  await setImmediate()
  await setImmediate()
}
