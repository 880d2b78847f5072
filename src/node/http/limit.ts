/**
 * Takes the place of an `AbortSignal` within one exchange, because Node takes time to load its `AbortSignal`.
 */
export class Limit {
  #listeners = new Set<() => void>()
  #reason: unknown
  #isReached = false

  /** What is thrown. */
  get reason(): unknown {
    return this.#reason
  }

  get isReached(): boolean {
    return this.#isReached
  }

  /** Only the first reason counts. */
  reach(reason: unknown): void {
    if (this.#isReached) return
    this.#isReached = true
    this.#reason = reason
    const listeners = this.#listeners
    this.#listeners = new Set()
    for (const listener of listeners) listener()
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
}
