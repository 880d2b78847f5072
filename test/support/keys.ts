/** Keys that the product never makes, but imports. */
import { generateKeyPairSync } from 'node:crypto'
import { type PrivateJwk, privateJwkSchema } from '../../src/model.ts'

export function generateSecp256k1Jwk(): PrivateJwk {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const { kty, crv, x, y, d } = privateKey.export({ format: 'jwk' })
  return privateJwkSchema.parse({ kty, crv, x, y, d })
}
