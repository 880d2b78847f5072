/** Stores that are encrypted in each way, without a keychain of the system and without the cost of scrypt. */
import { OAuthError } from '../../src/errors.ts'
import type { Keychain } from '../../src/node/keychain/keychain.ts'
import { changeStoreEncryption } from '../../src/node/store/change-encryption.ts'
import { forgetKeys, storeCipher } from '../../src/node/store/cipher.ts'
import type { StoreEncryption, Unlock } from '../../src/node/store/encryption.ts'

export const PASSPHRASE = 'correct horse battery staple'
export const CHEAP = { N: 2, r: 1, p: 1 }

export interface MemoryKeychain extends Keychain {
  readonly entries: Map<string, Uint8Array>
  isLocked: boolean
}

export function memoryKeychain(): MemoryKeychain {
  const entries = new Map<string, Uint8Array>()
  const assertOpen = () => {
    if (keychain.isLocked) throw new OAuthError('STORE_LOCKED', 'locked', { facts: { reason: 'keychain-locked' } })
  }
  const keychain: MemoryKeychain = {
    kind: 'secret-service',
    entries,
    isLocked: false,
    async store(id, _, secret) {
      assertOpen()
      entries.set(id, secret)
      return undefined
    },
    async read(id) {
      assertOpen()
      const secret = entries.get(id)
      if (secret) return secret
      throw new OAuthError('STORE_LOCKED', 'none', { facts: { reason: 'keychain-entry-missing' } })
    },
    isThere: async () => true,
    async remove(id) {
      assertOpen()
      entries.delete(id)
    },
  }
  return keychain
}

/** What a process has that opens the store for the first time. */
export function asNewProcess(home: string, unlock: Unlock): void {
  forgetKeys(home)
  storeCipher(home, unlock)
}

/** Encrypts a store. @returns what unlocks it */
export async function encryptStore(home: string, mode: StoreEncryption): Promise<Required<Omit<Unlock, 'setting'>>> {
  const keychain = memoryKeychain()
  const unlock = { passphrase: async () => PASSPHRASE, keychain: async () => keychain }
  asNewProcess(home, unlock)
  await changeStoreEncryption(home, mode, { keychain, passphrase: PASSPHRASE, cost: CHEAP, elsewhere: [] })
  asNewProcess(home, unlock)
  return unlock
}
