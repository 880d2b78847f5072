/**
 * Reads lines from a stream.
 */
import { OAuthError } from '../../errors.ts'
import { decodeUtf8 } from '../../text.ts'

export interface RawLine {
  /** Without the line feed; absent if the line was too long. */
  readonly bytes: Uint8Array | undefined
  /** Length in the file, with the line feed. */
  readonly length: number
  /** False for a last line without a line feed. */
  readonly isWhole: boolean
}

const LINE_FEED = 0x0a

/** Splits a stream into lines. */
class Lines {
  readonly #longest: number
  #parts: Uint8Array[] = []
  #length = 0

  /** @param longest in bytes; longer lines are dropped */
  constructor(longest: number) {
    this.#longest = longest
  }

  /** The lines that end in this chunk. */
  in(chunk: Uint8Array): RawLine[] {
    const lines: RawLine[] = []
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#keep(chunk.subarray(start, end))
      this.#length += 1
      lines.push(this.#take(true))
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
    return lines
  }

  /** The last line, if it has no line feed. */
  rest(): RawLine[] {
    return this.#length > 0 ? [this.#take(false)] : []
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length
    if (this.#length <= this.#longest) this.#parts.push(part)
    else this.#parts = []
  }

  #take(isWhole: boolean): RawLine {
    const [parts, length] = [this.#parts, this.#length]
    this.#parts = []
    this.#length = 0
    const isKept = length - (isWhole ? 1 : 0) <= this.#longest
    const [first, ...others] = parts
    const bytes = first && others.length === 0 ? first : Buffer.concat(parts)
    return { bytes: isKept ? bytes : undefined, length, isWhole }
  }
}

/** @param longest in bytes; longer lines are dropped */
export async function* rawLines(chunks: AsyncIterable<Uint8Array>, longest: number): AsyncGenerator<RawLine> {
  const lines = new Lines(longest)
  for await (const chunk of chunks) yield* lines.in(chunk)
  yield* lines.rest()
}

/**
 * Each line as text, or an error for an invalid one; the lines of each chunk together.
 *
 * @param onLine is told the length in bytes, with the line feed, before the line is given
 */
export async function* textLines(
  chunks: AsyncIterable<Uint8Array>,
  longest: number,
  onLine?: (length: number) => void,
): AsyncGenerator<(string | OAuthError)[]> {
  const lines = new Lines(longest)
  const textOf = ({ bytes, length }: RawLine) => {
    onLine?.(length)
    return bytes ? (decodeUtf8(bytes) ?? wrong('not UTF-8')) : wrong(`longer than ${longest / 2 ** 20} MiB`)
  }
  for await (const chunk of chunks) yield lines.in(chunk).map(textOf)
  yield lines.rest().map(textOf)
}

function wrong(what: string): OAuthError {
  return new OAuthError('USAGE', `the line is ${what}`)
}
