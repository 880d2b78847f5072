/**
 * An answer that is an error, read.
 *
 * @module
 */
import type { OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { readBounded, withoutSecrets } from '../http/response.ts'
import { type XrpcRequest, xrpcError } from './request.ts'

/** Bytes. */
const LARGEST = 1024 * 1024

/** The error to throw, and what the server said, without the secrets of the session that asked. */
export async function readXrpcError(
  request: XrpcRequest,
  response: Response,
  record: SessionRecord,
  now: number,
): Promise<{ readonly error: OAuthError; readonly body: string; readonly bytes: Uint8Array | undefined }> {
  const { refreshToken, accessToken, dpopPrivateJwk } = record
  const bytes = await readBounded(response, LARGEST)
  const body = withoutSecrets(new TextDecoder().decode(bytes), [refreshToken, accessToken, dpopPrivateJwk.d])
  return { error: xrpcError(request.nsid, response, body, now, record, request), body, bytes }
}
