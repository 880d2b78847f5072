/**
 * The headers and the body of a response, without those of Node's `fetch`, which take longer to load than a request takes.
 */
import type { Readable } from 'node:stream'
import type { HttpBody, HttpHeaders } from '../../ports.ts'

/** Bytes. A response that is not read has to be drained to its end, or its connection keeps the process running. */
const READ_AHEAD = 64 * 1024

/** All headers, including repeated ones. */
export class ResponseHeaders implements HttpHeaders {
  readonly #values = new Map<string, string[]>()

  /** @param raw names and values in turns */
  constructor(raw: readonly string[]) {
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!.toLowerCase()
      const values = this.#values.get(name)
      if (values) values.push(raw[at + 1]!)
      else this.#values.set(name, [raw[at + 1]!])
    }
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase())?.join(', ') ?? null
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase())
  }

  /** In the order of `Headers`: by name, and each cookie for itself. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (const name of [...this.#values.keys()].sort()) {
      if (name !== 'set-cookie') yield [name, this.get(name)!]
      else for (const value of this.#values.get(name)!) yield [name, value]
    }
  }
}

/** Reads ahead a little, and pauses the connection while nobody reads. */
export class ResponseBody implements HttpBody {
  readonly #content: Readable
  readonly #explain: (error: unknown) => unknown
  readonly #chunks: Uint8Array[] = []
  #length = 0
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  /** @param explain turns an interruption into the error to throw */
  constructor(content: Readable, explain: (error: unknown) => unknown) {
    this.#content = content
    this.#explain = explain
    content.on('data', (chunk: Uint8Array) => {
      this.#chunks.push(chunk)
      this.#length += chunk.length
      if (this.#length >= READ_AHEAD) content.pause()
      this.#wake?.()
    })
    content.on('end', () => this.#end())
    content.on('error', (error) => this.#fail(error))
    content.on('close', () => {
      if (!this.#isEnded) this.#fail(Object.assign(new Error('cut off'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }))
    })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift()
        if (chunk) {
          this.#length -= chunk.length
          if (this.#length < READ_AHEAD && !this.#isEnded) this.#content.resume()
          yield chunk
        } else if (this.#failure) throw this.#failure.error
        else if (this.#isEnded) return
        else await this.#change()
      }
    } finally {
      await this.cancel()
    }
  }

  async read(largest: number): Promise<Uint8Array | undefined> {
    while (!this.#isEnded && this.#length <= largest) {
      if (this.#content.isPaused()) this.#content.resume()
      await this.#change()
    }
    if (this.#failure) throw this.#failure.error
    if (this.#length > largest) {
      await this.cancel()
      return undefined
    }
    // In memory of its own: chunks are parts of larger buffers.
    const whole = new Uint8Array(this.#length)
    let at = 0
    for (const chunk of this.#chunks.splice(0)) {
      whole.set(chunk, at)
      at += chunk.length
    }
    return whole
  }

  async cancel(): Promise<void> {
    if (this.#isEnded) return
    this.#end()
    this.#content.destroy()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #end(): void {
    this.#isEnded = true
    this.#wake?.()
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return
    this.#failure = { error: this.#explain(error) }
    this.#chunks.length = 0
    this.#end()
  }
}
