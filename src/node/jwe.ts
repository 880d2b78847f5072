/**
 * The one form of encryption of what is stored: JWE compact, `dir` with `A256GCM` and nothing else (RFC 7516 §3.1,
 * RFC 7518 §5.3). The header is authenticated with the content.
 */
import { CompactEncrypt, compactDecrypt } from 'jose'

export const JWE_ALG = 'dir'
export const JWE_ENC = 'A256GCM'
/** Lengths of plaintexts tell nothing but how often this fits in. */
const PADDING = 4096
const SPACE = 0x20

/** @param text padded with spaces, which JSON ignores at its end */
export function encryptText(
  text: string,
  header: Readonly<Record<string, string | number>>,
  key: Uint8Array,
): Promise<string> {
  const bytes = Buffer.from(text)
  const padded = Buffer.alloc(Math.ceil(bytes.length / PADDING) * PADDING, ' ')
  bytes.copy(padded)
  return new CompactEncrypt(padded).setProtectedHeader({ alg: JWE_ALG, enc: JWE_ENC, ...header }).encrypt(key)
}

/**
 * @returns the text without the padding
 * @throws it is damaged, or encrypted with another key
 */
export async function decryptText(jwe: string, key: Uint8Array): Promise<string> {
  const options = { keyManagementAlgorithms: [JWE_ALG], contentEncryptionAlgorithms: [JWE_ENC] }
  const { plaintext } = await compactDecrypt(jwe, key, options)
  let length = plaintext.length
  while (length > 0 && plaintext[length - 1] === SPACE) length -= 1
  return Buffer.from(plaintext.subarray(0, length)).toString('utf8')
}
