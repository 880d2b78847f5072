/**
 * The Data Protection API of Windows, by PowerShell: the system encrypts for its user, and keeps nothing itself. Not run
 * on a real system by our tests.
 */
import { win32 } from 'node:path'
import { decodeSecret, encodeSecret, type Keychain } from './keychain.ts'
import { entryMissing, type KeychainSettings, keychainMissing, runProgram } from './program.ts'

/** Reads base64 from stdin, and prints base64. It has no secret in it. */
function script(call: 'Protect' | 'Unprotect'): string {
  return [
    "$ErrorActionPreference = 'Stop'",
    'Add-Type -AssemblyName System.Security',
    '$data = [Convert]::FromBase64String([Console]::In.ReadToEnd().Trim())',
    `$result = [Security.Cryptography.ProtectedData]::${call}($data, $null, 'CurrentUser')`,
    '[Console]::Out.Write([Convert]::ToBase64String($result))',
  ].join('; ')
}

export function dpapiKeychain(settings: KeychainSettings): Keychain {
  const { SystemRoot: root = 'C:\\Windows' } = settings.environment
  const program = settings.program ?? win32.join(root, 'System32', 'WindowsPowerShell', 'v1.0', 'powershell.exe')
  const run = (call: 'Protect' | 'Unprotect', input: string) =>
    runProgram(program, ['-NoLogo', '-NoProfile', '-NonInteractive', '-Command', script(call)], `${input}\n`, settings)
  return {
    kind: 'dpapi',
    async store(_, __, secret) {
      const { code, stdout } = await run('Protect', Buffer.from(encodeSecret(secret)).toString('base64'))
      // What it prints on stderr is a page of PowerShell.
      if (code !== 0 || stdout === '') throw keychainMissing('PowerShell could not encrypt with DPAPI')
      return stdout.trim()
    },
    async read(_, kept = '') {
      const { code, stdout } = await run('Unprotect', kept)
      // Only the user who encrypted it can decrypt it.
      if (code !== 0) throw entryMissing()
      return decodeSecret(Buffer.from(stdout, 'base64').toString('utf8'))
    },
    remove: async () => undefined,
    isThere: async () => true,
  }
}
