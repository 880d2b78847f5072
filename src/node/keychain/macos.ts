/**
 * The keychain of macOS, by `security`. Not run on a real system by our tests.
 */
import { decodeSecret, encodeSecret, type Keychain } from './keychain.ts'
import { entryMissing, type KeychainSettings, keychainMissing, lockedKeychain, runProgram } from './program.ts'

/** The low byte of an `OSStatus`, which is the exit code. */
const NOT_FOUND = 44 // errSecItemNotFound
const LOCKED: ReadonlySet<number | null> = new Set([
  36, // errSecInteractionNotAllowed
  51, // errSecAuthFailed
  128, // userCanceledErr
])

export function macosKeychain(settings: KeychainSettings): Keychain {
  const run = (args: readonly string[], input = '') =>
    runProgram(settings.program ?? '/usr/bin/security', args, input, settings)
  const attributes = (id: string) => ['-s', 'atproto-oauth', '-a', id]
  return {
    kind: 'macos',
    async store(id, _, secret) {
      // `-i` reads commands from stdin, so that the secret is in no argument of a process.
      const words = ['add-generic-password', '-U', ...attributes(id), '-w', encodeSecret(secret)]
      const { stderr } = await run(['-i'], `${words.join(' ')}\n`)
      // Its exit code is that of the interpreter; whether it was stored shows when it is read.
      if (/interaction is not allowed|user name or passphrase|cancell?ed/i.test(stderr)) throw lockedKeychain('')
      return undefined
    },
    async read(id) {
      const { code, stdout, stderr } = await run(['find-generic-password', ...attributes(id), '-w'])
      if (code === 0) return decodeSecret(stdout)
      if (code === NOT_FOUND) throw entryMissing()
      if (LOCKED.has(code)) throw lockedKeychain(stderr)
      throw keychainMissing(stderr)
    },
    async remove(id) {
      const { code, stderr } = await run(['delete-generic-password', ...attributes(id)])
      if (code !== 0 && code !== NOT_FOUND) throw lockedKeychain(stderr)
    },
    isThere: () =>
      run(['default-keychain']).then(
        ({ code }) => code === 0,
        () => false,
      ),
  }
}
