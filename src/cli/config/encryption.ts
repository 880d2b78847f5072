/**
 * The encryption of the store, which is a setting that also changes what is stored.
 */
import { CliError } from '../errors.ts'
import type { SettingsContext } from '../invocation.ts'

export type StoreEncryption = 'off' | 'keychain' | 'passphrase'

/**
 * Brings the store into this form. Called before the setting is written.
 *
 * @throws {OAuthError} `USAGE`
 */
export async function changeStoreEncryption(mode: StoreEncryption, _: SettingsContext): Promise<void> {
  if (mode === 'off') return
  throw new CliError('USAGE', `the store cannot be encrypted with ${JSON.stringify(mode)}: this version supports off`, {
    hint: 'atproto-oauth config set encrypt-store off',
  })
}
