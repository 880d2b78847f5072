/**
 * How this process gets the key of an encrypted store.
 */
import type { Keychain } from '../keychain/keychain.ts'
import type { KeychainSettings } from '../keychain/program.ts'
import { storeCipher } from './cipher.ts'
import type { EncryptionSetting } from './encryption.ts'

export interface UnlockSettings {
  readonly environment: NodeJS.ProcessEnv
  /** Whether somebody may be there to unlock the keychain. */
  isInteractive(): boolean
  /** Reads or asks for the passphrase; `undefined` if there is none. */
  passphrase(): Promise<string | undefined>
  /** How the user wants the store to be encrypted. */
  setting(): EncryptionSetting | undefined
}

/** Asks for nothing yet. */
export function prepareUnlock(home: string, { environment, isInteractive, passphrase, setting }: UnlockSettings): void {
  const keychain = () => openKeychain({ environment, isInteractive: isInteractive() })
  storeCipher(home, { passphrase, keychain, setting })
}

/** Of the system; loaded for a store that needs it. */
export async function openKeychain(settings: KeychainSettings): Promise<Keychain> {
  const { systemKeychain } = await import('../keychain/system.ts')
  return systemKeychain(settings)
}
