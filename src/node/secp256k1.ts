/**
 * Signs ES256K with OpenSSL, because WebCrypto has no secp256k1.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8812.html#section-3 RFC 8812 §3}
 */
import { createECDH, createPrivateKey, sign } from 'node:crypto'
import type { PrivateJwk } from '../model.ts'

/** @throws {Error} the private key does not belong to the public key */
export function signEs256k({ kty, crv, x, y, d }: PrivateJwk, data: Uint8Array): Uint8Array {
  // `createPrivateKey` accepts halves of two keys.
  const pair = createECDH('secp256k1')
  pair.setPrivateKey(d, 'base64url')
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  if (!pair.getPublicKey().equals(point)) throw new Error('the private key does not belong to the public key')
  const key = createPrivateKey({ key: { kty, crv, x, y, d }, format: 'jwk' })
  return new Uint8Array(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }))
}
