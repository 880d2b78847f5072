/**
 * What an `AbortSignal` does within one exchange. Not an `AbortSignal`, which is a part of Node of its own to load: a
 * request that nobody aborts takes less time without.
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

  /** Called when the limit is reached, unless it has been. @returns the listener is not called any more */
  onReached(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
