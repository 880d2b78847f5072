/**
 * Delays signals while a token is sent and its successor is not saved yet.
 */
import { constants } from 'node:os'
import { setImmediate } from 'node:timers/promises'

/**
 * All that end a process and can be caught. Not SIGPIPE and SIGXFSZ, which Node ignores, and not SIGPROF, which its
 * profiler needs.
 */
const ENDING = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGABRT',
  'SIGALRM',
  'SIGTERM',
  'SIGUSR2',
  'SIGXCPU',
  'SIGVTALRM',
  'SIGIO',
  'SIGPWR',
  'SIGSTKFLT',
] as const
/** Elsewhere SIGBREAK does not exist; here the others cannot be caught. */
const ENDING_ON_WINDOWS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] as const

const POSIX = Object.keys(constants.signals) as NodeJS.Signals[]

/** Runs `work` without interruption; a signal that came meanwhile takes effect afterwards. */
export type SignalHold = <T>(work: () => Promise<T>) => Promise<T>

interface Hold {
  depth: number
  readonly received: Set<NodeJS.Signals>
  readonly remember: (signal: NodeJS.Signals) => void
  /** Signals that end nothing at present, and are not delayed: {@link takeSignals}. */
  readonly taken: Set<NodeJS.Signals>
  others: (readonly [NodeJS.Signals, ReturnType<typeof process.rawListeners>])[]
  readonly waiting: (() => void)[]
}

/** The listeners of a process are shared by all copies of this module in it, so their hold must be as well. */
const HOLD = Symbol.for('atproto-oauth.signal-hold.2')
const shared = globalThis as { [HOLD]?: Hold }
shared[HOLD] ??= createHold()
const hold: Hold = shared[HOLD]

function createHold(): Hold {
  const received = new Set<NodeJS.Signals>()
  return {
    depth: 0,
    received,
    remember: (signal) => void received.add(signal),
    taken: new Set(),
    others: [],
    waiting: [],
  }
}

/** One hold for the process: overlapping calls end together, and the last one restores the listeners. */
export async function holdSignals<T>(work: () => Promise<T>, platform: NodeJS.Platform = process.platform): Promise<T> {
  begin(platform)
  try {
    return await work()
  } finally {
    await turns()
    // With nothing else to do, a process would end before its listeners are called.
    if (end(platform)) await turns()
  }
}

/** Runs `work` now, or when nothing is held any more: for what ends the process without a signal. */
export function afterHold(work: () => void): void {
  if (hold.depth === 0) work()
  else hold.waiting.push(work)
}

function begin(platform: NodeJS.Platform): void {
  hold.depth += 1
  if (hold.depth > 1) return
  hold.received.clear()
  // Other listeners may end the process: they are called afterwards. At no time is there no listener at all.
  const held = heldSignals(platform).filter((signal) => !hold.taken.has(signal))
  hold.others = held.map((signal) => {
    const listeners = process.rawListeners(signal)
    process.on(signal, hold.remember)
    for (const listener of listeners) process.off(signal, listener as NodeJS.SignalsListener)
    return [signal, listeners] as const
  })
}

/** @returns whether a signal was raised again */
function end(platform: NodeJS.Platform): boolean {
  hold.depth -= 1
  if (hold.depth > 0) return false
  for (const [signal, listeners] of hold.others) {
    for (const listener of listeners) process.on(signal, listener as NodeJS.SignalsListener)
    process.off(signal, hold.remember)
  }
  for (const work of hold.waiting.splice(0)) work()
  for (const signal of hold.received) raise(signal, platform)
  return hold.received.size > 0
}

function heldSignals(platform: NodeJS.Platform): NodeJS.Signals[] {
  if (platform === 'win32') return [...ENDING_ON_WINDOWS]
  const held: NodeJS.Signals[] = ENDING.filter((signal) => signal in constants.signals)
  return isDebuggerSignal() ? held : [...held, 'SIGUSR1']
}

/**
 * Until it is released, `listener` alone decides what these signals do: it runs at once, also while a token is sent.
 * Call it outside of {@link holdSignals}. A signal that the platform does not have is skipped.
 *
 * @returns releases them
 */
export function takeSignals(
  signals: readonly NodeJS.Signals[],
  listener: (signal: NodeJS.Signals) => void,
  platform: NodeJS.Platform = process.platform,
): () => void {
  const known: readonly NodeJS.Signals[] = platform === 'win32' ? ENDING_ON_WINDOWS : POSIX
  const taken = signals.filter((signal) => known.includes(signal))
  const others = taken.map((signal) => {
    const listeners = process.rawListeners(signal)
    hold.taken.add(signal)
    process.on(signal, listener)
    for (const other of listeners) process.off(signal, other as NodeJS.SignalsListener)
    return [signal, listeners] as const
  })
  return () => {
    for (const [signal, listeners] of others) {
      hold.taken.delete(signal)
      if (hold.depth > 0) holdBack(signal, listeners)
      else for (const other of listeners) process.on(signal, other as NodeJS.SignalsListener)
      process.off(signal, listener)
    }
  }
}

/** A signal that was taken when the work began, and is not any more. */
function holdBack(signal: NodeJS.Signals, listeners: ReturnType<typeof process.rawListeners>): void {
  process.on(signal, hold.remember)
  hold.others.push([signal, listeners])
}

/**
 * SIGUSR1 starts Node's debugger and ends nothing. After a listener of ours it would end the process, because Node
 * does not put its own handler back.
 */
function isDebuggerSignal(): boolean {
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  return !options.includes('disable-sigusr1') && process.listenerCount('SIGUSR1') === 0
}

/** On Windows `kill` ends a process before it can listen, and supports neither SIGHUP nor SIGBREAK. */
function raise(signal: NodeJS.Signals, platform: NodeJS.Platform): void {
  if (platform !== 'win32') process.kill(process.pid, signal)
  else if (!process.emit(signal, signal)) process.kill(process.pid, 'SIGTERM')
}

/** One whole turn of the event loop: a signal that has reached the process reaches its listener in that. */
async function turns(): Promise<void> {
  await setImmediate()
  await setImmediate()
}
