/** Reads bodies up to a limit, which counts bytes after decompression: a small gzip body can expand to gigabytes. */
import { OAuthError } from '../../errors.ts'
import type { HttpBody, HttpResponse } from '../../ports.ts'
import { decodeUtf8 } from '../../text.ts'
import { joined } from './http-response.ts'

/**
 * The whole body as bytes, or `undefined` as soon as it is larger than `largest`.
 *
 * @throws {OAuthError} `NETWORK_LOST` the body was cut off
 */
export async function readBounded({ body }: HttpResponse, largest: number): Promise<Uint8Array | undefined> {
  try {
    return await (body?.read ? body.read(largest) : collect(body, largest))
  } catch (error) {
    throw new OAuthError('NETWORK_LOST', 'the response was cut off', { cause: error })
  }
}

async function collect(body: HttpBody | null, largest: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    if (length > largest) return undefined
    chunks.push(chunk)
  }
  return joined(chunks, length)
}

/** The body as text, or `undefined` if it is too large or not UTF-8. */
export async function readText(response: HttpResponse, largest: number): Promise<string | undefined> {
  const bytes = await readBounded(response, largest)
  return bytes && decodeUtf8(bytes)
}
