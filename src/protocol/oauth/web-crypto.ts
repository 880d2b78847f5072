/**
 * P-256 keys with WebCrypto, where a runtime has nothing faster. Loaded when it is needed.
 */
import { exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'
import type { P256Jwk } from '../../model.ts'

export { SignJWT }

export async function generateP256Jwk(): Promise<P256Jwk> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { x, y, d } = await exportJWK(privateKey)
  return { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d! }
}

/** @throws {Error} the numbers are not a key pair; its message may quote them */
export async function importP256Key({ kty, crv, x, y, d }: Omit<P256Jwk, 'kid'>): Promise<CryptoKey> {
  return (await importJWK({ kty, crv, x, y, d }, 'ES256')) as CryptoKey
}

/** ES256, in 64 bytes. */
export async function signWithP256(key: CryptoKey, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, data))
}
