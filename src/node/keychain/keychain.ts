/**
 * The system's keychain: one secret for each store, which the user's session unlocks.
 */

export type KeychainKind = 'macos' | 'secret-service' | 'dpapi'

export interface Keychain {
  readonly kind: KeychainKind
  /**
   * Stores a secret, and reads it again.
   *
   * @param id of the entry
   * @param label what people see in the keychain
   * @returns what has to be kept to read it again, if the system keeps none itself. Not secret
   * @throws {OAuthError} `STORE_LOCKED`
   */
  store(id: string, label: string, secret: Uint8Array): Promise<string | undefined>
  /** @throws {OAuthError} `STORE_LOCKED`; with the reason `keychain-entry-missing`, it has no such entry */
  read(id: string, kept: string | undefined): Promise<Uint8Array>
  /** Removes an entry, if it exists. @throws {OAuthError} `STORE_LOCKED` */
  remove(id: string): Promise<void>
}
