/**
 * An answer that is an error, read.
 *
 * @module
 */
import type { AuthError } from './errors.ts'
import type { SessionRecord } from './model.ts'
import { readBounded, withoutSecrets } from './protocol/response.ts'
import { xrpcError } from './protocol/xrpc.ts'

/** Bytes. */
const LARGEST = 1024 * 1024

/** The error to throw, and what the server said, without the secrets of the session that asked. */
export async function readRefused(
  nsid: string,
  response: Response,
  record: SessionRecord,
  now: number,
): Promise<{ readonly error: AuthError; readonly body: string }> {
  const { refreshToken, accessToken, dpopPrivateJwk } = record
  const text = new TextDecoder().decode(await readBounded(response, LARGEST))
  const body = withoutSecrets(text, [refreshToken, accessToken, dpopPrivateJwk.d])
  return { error: xrpcError(nsid, response, body, now, record), body }
}
