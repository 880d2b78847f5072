/**
 * A timeout and the caller's signal as one, for one exchange. In place of an `AbortSignal`, because Node takes time to load
 * its own; and not with `AbortSignal.any`, because a signal that is used for many requests would keep something of each of
 * them, on some versions of Node for good.
 */
export class Limit {
  #listeners = new Set<() => void>()
  #reason: unknown
  #isReached = false
  readonly #timer: NodeJS.Timeout
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.#reach(this.#signal?.reason)

  /** @param late creates the reason if the time is over first */
  constructor(milliseconds: number, late: () => Error, signal: AbortSignal | undefined) {
    this.#timer = setTimeout(() => this.#reach(late()), milliseconds)
    this.#timer.unref() // only the socket keeps the process running
    this.#signal = signal
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** What is thrown. */
  get reason(): unknown {
    return this.#reason
  }

  get isReached(): boolean {
    return this.#isReached
  }

  throwIfReached(): void {
    if (this.#isReached) throw this.#reason
  }

  /**
   * Adds a listener, which is not called if the limit was reached before.
   *
   * @returns removes the listener
   */
  onReached(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** From now on, only the signal limits it. */
  lift(): void {
    clearTimeout(this.#timer)
  }

  /** Leaves nothing on the signal. */
  end(): void {
    this.lift()
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  /** Only the first reason counts. */
  #reach(reason: unknown): void {
    if (this.#isReached) return
    this.#isReached = true
    this.#reason = reason
    const listeners = this.#listeners
    this.#listeners = new Set()
    for (const listener of listeners) listener()
  }
}
