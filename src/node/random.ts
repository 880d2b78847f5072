/**
 * Random bytes. A few at a time come from a block, because OpenSSL takes about as long for one byte as for a whole block.
 */
import { randomFillSync } from 'node:crypto'

/** Bytes. What is not used yet stays in memory, so it serves for what is used up soon, such as a `jti`, and not for keys. */
const BLOCK = 512
const FROM_BLOCK = 16

let block = new Uint8Array()
let used = 0

/**
 * Cryptographically strong; each byte is given once.
 *
 * @throws {RangeError} the length is not a whole number of bytes
 */
export function randomBytes(length: number): Uint8Array {
  if (!(Number.isSafeInteger(length) && length >= 0)) throw new RangeError(`${length} is not a number of bytes`)
  if (length > FROM_BLOCK) return randomFillSync(new Uint8Array(length))
  if (used + length > block.length) {
    block = randomFillSync(new Uint8Array(BLOCK))
    used = 0
  }
  const bytes = block.slice(used, used + length)
  block.fill(0, used, used + length) // whoever reads the memory later learns none of them
  used += length
  return bytes
}
