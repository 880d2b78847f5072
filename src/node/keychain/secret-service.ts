/**
 * The Secret Service of a Linux desktop, such as GNOME Keyring or KWallet, by `secret-tool` of libsecret.
 *
 * @see https://specifications.freedesktop.org/secret-service/latest/
 */
import { decodeSecret, encodeSecret, type Keychain } from './keychain.ts'
import { entryMissing, type KeychainSettings, keychainMissing, lockedKeychain, runProgram } from './program.ts'

export function secretServiceKeychain(settings: KeychainSettings): Keychain {
  const run = (args: readonly string[], input = '') =>
    // Messages are told apart by their text.
    runProgram(settings.program ?? 'secret-tool', args, input, {
      ...settings,
      environment: { ...settings.environment, LC_ALL: 'C.UTF-8', LANGUAGE: '' },
    })
  const attributes = (id: string) => ['service', 'atproto-oauth', 'store', id]
  /** It lists entries without unlocking anything. */
  const isListed = async (id: string) => {
    const { stdout, stderr } = await run(['search', ...attributes(id)])
    if (/^\[/m.test(stdout)) return true
    if (stderr !== '') throw keychainMissing(stderr)
    return false
  }
  return {
    kind: 'secret-service',
    async store(id, label, secret) {
      const { code, stderr } = await run(['store', `--label=${label}`, ...attributes(id)], encodeSecret(secret))
      if (code === 0) return undefined
      // Somebody closed the prompt, or there is no default collection and nobody to choose a password for it.
      if (stderr === '' || /locked|dismissed|cancell?ed|Object does not exist/i.test(stderr))
        throw lockedKeychain(stderr)
      throw keychainMissing(stderr)
    },
    async read(id) {
      const { code, stdout, stderr } = await run(['lookup', ...attributes(id)])
      if (code === 0 && stdout !== '') return decodeSecret(stdout)
      if (await isListed(id)) throw lockedKeychain(stderr)
      throw entryMissing()
    },
    async remove(id) {
      await run(['clear', ...attributes(id)])
      if (await isListed(id)) throw lockedKeychain('')
    },
    isThere: () =>
      isListed('none').then(
        () => true,
        () => false,
      ),
  }
}
