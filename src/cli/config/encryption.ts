/**
 * The encryption of the store, which is a setting that also changes what is stored.
 */
import { isOAuthError } from '../../errors.ts'
import type { StoreEncryption } from '../../node/store/encryption.ts'
import { CliError } from '../errors.ts'
import type { SettingsContext } from '../invocation.ts'
import { keychainOf, newPassphrase } from '../store-key.ts'

export type { StoreEncryption } from '../../node/store/encryption.ts'

/**
 * Encrypts or decrypts what is stored. Called before the setting is written.
 *
 * @throws {OAuthError} `USAGE` a passphrase is missing or too short, and those of the change itself
 */
export async function encryptStore(
  home: string,
  mode: StoreEncryption,
  { io, output }: Pick<SettingsContext, 'io' | 'output'>,
): Promise<void> {
  const { changeStoreEncryption, storeEncryption } = await import('../../node/store/change-encryption.ts')
  const before = await storeEncryption(home)
  const passphrase = mode === 'passphrase' ? await newPassphrase(before === mode, { io, output }) : undefined
  const keychain = await keychainOf(io)
  const change = () => changeStoreEncryption(home, mode, { keychain, passphrase })
  const text = () => (mode === 'off' ? 'decrypting the store' : 'encrypting the store')
  const { files } = await output.progress.during(text, change).catch((error: unknown) => {
    if (!isOAuthError(error, 'SESSION_BUSY', 'STORE_UNAVAILABLE') || error instanceof CliError) throw error
    throw error.with({ message: `${error.message}; what was stored can be read, and the same command goes on` })
  })
  if (files > 0)
    output.note(`${files} ${files === 1 ? 'file is' : 'files are'} ${mode === 'off' ? 'decrypted' : 'encrypted'} now`)
}
