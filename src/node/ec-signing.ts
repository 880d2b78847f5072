/**
 * Signs and hashes with OpenSSL: ES256K, which WebCrypto lacks, and ES256, because WebCrypto takes twice the processor
 * time and is a part of Node of its own to load.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8812.html#section-3 RFC 8812 §3}
 */
import { createECDH, createPrivateKey, hash, sign } from 'node:crypto'
import type { PrivateJwk } from '../model.ts'

const CURVES: Readonly<Record<PrivateJwk['crv'], string>> = { 'P-256': 'prime256v1', secp256k1: 'secp256k1' }

/** @throws {Error} the private key does not belong to the public key */
export function signEs256k(jwk: PrivateJwk, data: Uint8Array): Uint8Array {
  return openEs256(jwk)(data)
}

/**
 * A function that signs with the key, in 64 bytes.
 *
 * @throws {Error} the private key does not belong to the public key
 */
export function openEs256({ kty, crv, x, y, d }: PrivateJwk): (data: Uint8Array) => Uint8Array {
  // `createPrivateKey` accepts halves of two keys.
  const pair = createECDH(CURVES[crv])
  pair.setPrivateKey(d, 'base64url')
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  if (!pair.getPublicKey().equals(point)) throw new Error('the private key does not belong to the public key')
  const key = createPrivateKey({ key: { kty, crv, x, y, d }, format: 'jwk' })
  const options = { key, dsaEncoding: 'ieee-p1363' } as const
  return (data) => sign('sha256', data, options)
}

export function sha256(data: Uint8Array): Uint8Array {
  return hash('sha256', data, 'buffer')
}

export function base64url({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64url')
}
