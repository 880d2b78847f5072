/**
 * How the user wants the store to be encrypted.
 */
import type { EncryptionSetting } from '../store/encryption.ts'
import { configPath, configValue, readConfig } from './read.ts'

/**
 * @param home the folder of the store, if the user chose one
 * @returns `undefined` also for a value that is not known: it is reported where settings are
 */
export function encryptionSetting(home: string | undefined): EncryptionSetting | undefined {
  const path = configPath(home)
  const config = path === undefined ? undefined : readConfig(path)
  const mode = config && configValue(config, 'encrypt-store')
  return config && isMode(mode) ? { mode, path: config.path } : undefined
}

function isMode(value: unknown): value is EncryptionSetting['mode'] {
  return value === 'keychain' || value === 'passphrase' || value === 'off'
}
