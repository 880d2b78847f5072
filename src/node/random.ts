/**
 * Random bytes, drawn from OpenSSL in blocks: each draw takes as long as a few hundred bytes do.
 */
import { randomFillSync } from 'node:crypto'

/** Bytes. */
const BLOCK = 512

let block: Uint8Array = new Uint8Array()
let used = 0

/** Cryptographically strong; each byte is given once. */
export function randomBytes(length: number): Uint8Array {
  if (length > BLOCK / 4) return randomFillSync(new Uint8Array(length))
  if (used + length > block.length) {
    block = randomFillSync(new Uint8Array(BLOCK))
    used = 0
  }
  const bytes = block.slice(used, used + length)
  block.fill(0, used, used + length) // whoever reads the memory later learns no earlier key
  used += length
  return bytes
}
