/**
 * `content-encoding: deflate`, which is zlib data (RFC 9110 §8.4.1.2). Some servers omit the zlib header.
 */
import { Duplex } from 'node:stream'
import { createInflate, createInflateRaw, type Inflate, type InflateRaw, type ZlibOptions } from 'node:zlib'

/** Decodes both; which it is shows in the first byte, so the decoder is made when that arrives. */
export class AnyInflate extends Duplex {
  readonly #options: ZlibOptions
  #decoder: Inflate | InflateRaw | undefined

  constructor(options: ZlibOptions) {
    super()
    this.#options = options
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#decoder ??= this.#start((chunk[0]! & 0x0f) === 8) // the compression method of zlib (RFC 1950 §2.2)
    this.#decoder.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#decoder ??= this.#start(true)
    this.#decoder.end(done)
  }

  override _read(): void {
    this.#decoder?.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#decoder?.destroy()
    done(error)
  }

  #start(hasHeader: boolean): Inflate | InflateRaw {
    const decoder = hasHeader ? createInflate(this.#options) : createInflateRaw(this.#options)
    decoder.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) decoder.pause()
    })
    decoder.once('end', () => this.push(null))
    decoder.on('error', (error) => this.destroy(error))
    return decoder
  }
}
