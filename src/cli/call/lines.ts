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

/** @param longest in bytes; longer lines are dropped */
export async function* rawLines(chunks: AsyncIterable<Uint8Array>, longest: number): AsyncGenerator<RawLine> {
  let parts: Uint8Array[] = []
  let length = 0
  const line = (isWhole: boolean): RawLine => {
    const bytes = length - (isWhole ? 1 : 0) > longest ? undefined : Buffer.concat(parts)
    const whole = { bytes, length, isWhole }
    parts = []
    length = 0
    return whole
  }
  const keep = (part: Uint8Array) => {
    length += part.length
    if (length <= longest) parts.push(part)
    else parts = []
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      keep(chunk.subarray(start, end))
      length += 1
      yield line(true)
      start = end + 1
    }
    keep(chunk.subarray(start))
  }
  if (length > 0) yield line(false)
}

/**
 * Each line as text, or an error for an invalid one.
 *
 * @param onLine is told the length in bytes, with the line feed, before the line is given
 */
export async function* textLines(
  chunks: AsyncIterable<Uint8Array>,
  longest: number,
  onLine?: (length: number) => void,
): AsyncGenerator<string | OAuthError> {
  for await (const { bytes, length } of rawLines(chunks, longest)) {
    onLine?.(length)
    yield bytes ? (decodeUtf8(bytes) ?? wrong('not UTF-8')) : wrong(`longer than ${longest / 2 ** 20} MiB`)
  }
}

function wrong(what: string): OAuthError {
  return new OAuthError('USAGE', `the line is ${what}`)
}
