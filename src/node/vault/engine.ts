/**
 * What a vault stands on: a service that keeps small texts by name, and changes each of them by compare-and-swap. An
 * engine knows nothing of what the texts mean, and has no key.
 */

import type { Fix } from '../../errors.ts'

/**
 * `lost`: something else stands there, and nothing was changed. `unknown`: the change may have arrived; only a later
 * `read` tells.
 */
export type SwapOutcome = 'won' | 'lost' | 'unknown'

/** One finding about the service, as `vault check` prints it. */
export interface EngineFact {
  /** In one or two words. */
  readonly topic: string
  readonly verdict: 'ok' | 'warning' | 'broken'
  /** May contain text from the service; never a secret. */
  readonly detail: string
  /** What to do about it, if it is not `ok`. */
  readonly fix?: Fix | undefined
}

export interface VaultEngine {
  /** The address of the vault in one spelling, without secrets: it is stored inside the vault and compared. */
  readonly address: string
  /**
   * What stands under a name now, by the service itself.
   *
   * @throws {OAuthError} `VAULT_UNREACHABLE`, `VAULT_REFUSED`, `VAULT_INVALID`
   */
  read(name: string): Promise<string | undefined>
  /**
   * All names with what stands under them now.
   *
   * @throws {OAuthError} as `read`
   */
  list(): Promise<ReadonlyMap<string, string>>
  /**
   * Replaces what stands under a name if it still is `before`, byte for byte. A change under another name is no
   * conflict. It is durable when it is `won`. To repeat it after `unknown` is safe.
   *
   * @param before `undefined`: nothing stands there
   * @param after `undefined`: remove it
   * @throws {OAuthError} as `read`: nothing was changed
   */
  swap(name: string, before: string | undefined, after: string | undefined): Promise<SwapOutcome>
  /** What the service is, and whether it is fit to keep sessions. Changes nothing. */
  describe(): Promise<readonly EngineFact[]>
  /**
   * Removes everything that the vault has put there, and nothing else.
   *
   * @throws {OAuthError} as `read`
   */
  destroy(): Promise<void>
}

/** The record that the user's key opens; it holds the keys of all other records. */
export const VAULT_RECORD = 'vault'
/** Names are those of files as well: short, lower case. */
export const NAME = /^(?:vault|[0-9a-f]{40})$/
/** Characters; nothing that an engine keeps for us is longer. */
export const RECORD_LONGEST = 256 * 1024
