/** Reads bodies up to a limit, which counts bytes after decompression: a small gzip body can expand to gigabytes. */
import { OAuthError } from '../../errors.ts'
import { decodeUtf8 } from '../../text.ts'

/**
 * The whole body as bytes, or `undefined` as soon as it is larger than `largest`.
 *
 * @throws {OAuthError} `NETWORK_LOST` the body was cut off
 */
export async function readBounded(response: Response, largest: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = response.body?.getReader()
  while (reader) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new OAuthError('NETWORK_LOST', 'the response was cut off', { cause: error })
    })
    if (done) break
    length += value.length
    if (length > largest) {
      await reader.cancel()
      return undefined
    }
    chunks.push(value)
  }
  const whole = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    whole.set(chunk, offset)
    offset += chunk.length
  }
  return whole
}

/** The body as text, or `undefined` if it is too large or not UTF-8. */
export async function readText(response: Response, largest: number): Promise<string | undefined> {
  const bytes = await readBounded(response, largest)
  return bytes && decodeUtf8(bytes)
}
