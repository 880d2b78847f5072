/**
 * The encryption of the store, which is a setting that also changes what is stored.
 */
import { isOAuthError } from '../../errors.ts'
import { readConfig } from '../../node/config/read.ts'
import { type ConfigPlace, changeConfig } from '../../node/config/write.ts'
import type { StoreEncryption } from '../../node/store/encryption.ts'
import { CliError } from '../errors.ts'
import type { SettingsContext } from '../invocation.ts'
import { keychainOf, newPassphrase } from '../store-key.ts'

export type { StoreEncryption } from '../../node/store/encryption.ts'

/**
 * Encrypts or decrypts what is stored, and writes the setting.
 *
 * @param mode `undefined` decrypts it, and removes the setting
 * @returns the settings that were in the file before
 * @throws {OAuthError} `USAGE` a passphrase is missing or too short, and those of the change itself
 */
export async function encryptStore(
  place: ConfigPlace,
  set: StoreEncryption | undefined,
  { io, output }: Pick<SettingsContext, 'io' | 'output'>,
): Promise<ReadonlyMap<string, unknown>> {
  const { home } = place
  const mode = set ?? 'off'
  // Not after everything was encrypted, if the file is damaged.
  let entries: ReadonlyMap<string, unknown> = readConfig(place.path)?.entries ?? new Map()
  let isBegun = false
  const { changeStoreEncryption, storeEncryption } = await import('../../node/store/change-encryption.ts')
  const before = await storeEncryption(home)
  const passphrase = mode === 'passphrase' ? await newPassphrase(before === mode, { io, output }) : undefined
  const keychain = await keychainOf(io)
  const change = () =>
    changeStoreEncryption(home, mode, {
      keychain,
      passphrase,
      onBegin: () => {
        isBegun = true
      },
      async saveSetting() {
        entries = await changeConfig(place, { 'encrypt-store': set })
      },
    })
  const text = () => (mode === 'off' ? 'decrypting the store' : 'encrypting the store')
  const { files } = await output.progress.during(text, change).catch((error: unknown) => {
    if (!isOAuthError(error) || error.code === 'USAGE' || error instanceof CliError) throw error
    const outcome = isBegun ? 'stored sessions can still be read; the same command continues' : 'nothing was changed'
    throw error.with({ message: `${error.message.replace(/; nothing was sent$/, '')}; ${outcome}` })
  })
  if (files > 0)
    output.note(`${files} ${files === 1 ? 'file is' : 'files are'} ${mode === 'off' ? 'decrypted' : 'encrypted'} now`)
  return entries
}
