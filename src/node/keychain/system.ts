/**
 * The keychain of the system that this runs on.
 */
import { OAuthError } from '../../errors.ts'
import type { Keychain } from './keychain.ts'
import { type KeychainSettings, keychainMissing } from './program.ts'

/** Whether there is one is found out when it is used. */
export async function systemKeychain(
  settings: KeychainSettings,
  platform: NodeJS.Platform = process.platform,
): Promise<Keychain> {
  const keychain = await keychainOf(settings, platform)
  return {
    ...keychain,
    // A program may report success without it.
    async store(id, label, secret) {
      const kept = await keychain.store(id, label, secret)
      const stored = await keychain.read(id, kept).catch((error: unknown) => {
        if (error instanceof OAuthError && error.facts.reason === 'keychain-entry-missing') return undefined
        throw error
      })
      if (stored === undefined || !Buffer.from(secret).equals(stored)) {
        throw keychainMissing('it did not keep what was stored in it')
      }
      return kept
    },
  }
}

async function keychainOf(settings: KeychainSettings, platform: NodeJS.Platform): Promise<Keychain> {
  if (platform === 'darwin') return (await import('./macos.ts')).macosKeychain(settings)
  if (platform === 'win32') return (await import('./dpapi.ts')).dpapiKeychain(settings)
  return (await import('./secret-service.ts')).secretServiceKeychain(settings)
}
