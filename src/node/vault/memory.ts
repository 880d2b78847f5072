/**
 * What one machine remembers of a vault. Everything is ciphertext under the keys of the vault, or no secret.
 */
import type { HeldLock } from '../store/lock.ts'

/**
 * `seen`: the latest record of an account that was read or stored. `ahead`: new tokens on their way into the vault, by
 * thumbprint. `watch`: since when a claim has been seen, by record. `keys`: the record that the user's key opens. `locks`: of `lock`.
 */
export type MemoryKind = 'seen' | 'ahead' | 'watch' | 'keys' | 'locks'

export interface VaultMemory {
  read(kind: MemoryKind, name: string): Promise<string | undefined>
  /** Durable when it resolves. */
  write(kind: MemoryKind, name: string, text: string): Promise<void>
  remove(kind: MemoryKind, name: string): Promise<void>
  names(kind: MemoryKind): Promise<string[]>
  /**
   * Reserves room for one `write`, which then cannot fail because the disk is full.
   *
   * @throws {OAuthError} `STORE_UNAVAILABLE`, `STORE_INVALID`
   */
  reserve(kind: MemoryKind, name: string): Promise<AsyncDisposable>
  /**
   * Runs `work` while no other process of this machine does so for the same session.
   *
   * @throws {OAuthError} `SESSION_BUSY`
   */
  lock<T>(thumbprint: string, work: (held: HeldLock) => Promise<T>): Promise<T>
}

/** Among the `keys`: how often all this was handed over to another key or address. */
export const HANDED_OVER = 'handed-over'

/** Among the `keys`: the `vault` record that the user's key did not open any more. */
export const REPLACED = 'replaced'

export async function handedOver(memory: VaultMemory): Promise<string> {
  return (await memory.read('keys', HANDED_OVER)) ?? '0'
}
