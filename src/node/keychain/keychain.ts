/**
 * The system's keychain: one secret for each store, which is open while its user is signed in.
 */
import { entryMissing } from './program.ts'

export type KeychainKind = 'macos' | 'secret-service' | 'dpapi'

export interface Keychain {
  readonly kind: KeychainKind
  /**
   * Stores a secret.
   *
   * @param id of the entry
   * @param label what people see in the keychain, where it shows one
   * @returns what has to be kept to read it again, if the system keeps none itself. Not secret
   * @throws {OAuthError} `STORE_LOCKED`
   */
  store(id: string, label: string, secret: Uint8Array): Promise<string | undefined>
  /** @throws {OAuthError} `STORE_LOCKED`; with the reason `keychain-entry-missing`, there is no such entry */
  read(id: string, kept: string | undefined): Promise<Uint8Array>
  /** Removes an entry, if it exists. @throws {OAuthError} `STORE_LOCKED` */
  remove(id: string): Promise<void>
  /** Whether it can be used, locked or not. */
  isThere(): Promise<boolean>
}

/** Hexadecimal, which no shell, quoting or line ending can change. */
export function encodeSecret(secret: Uint8Array): string {
  return Buffer.from(secret).toString('hex')
}

/** @throws {OAuthError} `STORE_LOCKED` it was not written by this tool */
export function decodeSecret(text: string): Uint8Array {
  const hex = text.trim()
  if (/^(?:[0-9a-f]{2}){16,64}$/.test(hex)) return new Uint8Array(Buffer.from(hex, 'hex'))
  throw entryMissing()
}
