/**
 * Abort signals for operations that send several requests.
 */

import { holdSignals } from '../node/signals.ts'
import type { Runtime } from '../ports.ts'
import { join } from './signals.ts'

/** The same ports, whose requests the signal ends. Not for a session, which outlives the operation. */
export function withSignal(runtime: Runtime, signal: AbortSignal | undefined): Runtime {
  if (signal === undefined) return runtime
  return {
    ...runtime,
    async fetch(url, init) {
      const joined = join(signal, init?.signal)
      try {
        return await runtime.fetch(url, { ...init, ...(joined.signal && { signal: joined.signal }) })
      } finally {
        joined.release()
      }
    },
  }
}

/**
 * Completes a login. The signal ends it as long as its code is not claimed: from then on the code is used up, and the
 * session would be lost. Signals of the system wait from then on, too.
 */
export async function untilCodeIsSent<T>(
  runtime: Runtime,
  signal: AbortSignal | undefined,
  work: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  let isClaimed = false
  let settle = () => {}
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  const abortable = withSignal(runtime, signal)
  const { pending } = runtime.stores
  const claim: typeof pending.claim = async (record) => {
    signal?.throwIfAborted()
    isClaimed = true
    void holdSignals(() => settled)
    return pending.claim(record)
  }
  const guarded: Runtime = {
    ...runtime,
    fetch: (url, init) => (isClaimed ? runtime : abortable).fetch(url, init),
    stores: { ...runtime.stores, pending: overriding(pending, { claim }) },
  }
  const done = work(guarded).finally(settle)
  if (signal === undefined) return done
  return new Promise((resolve, reject) => {
    const abort = () => {
      if (!isClaimed) reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    void done.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** The same object with other methods. It may be of a class with private members, so the others are called on itself. */
export function overriding<T extends object>(given: T, methods: Partial<T>): T {
  return new Proxy(given, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return Reflect.get(methods, name)
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
