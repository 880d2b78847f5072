/**
 * Where the store keeps what.
 */
import { join } from 'node:path'

/** How the files of the store are encrypted, with the encrypted key. */
export function encryptionPath(home: string): string {
  return join(home, 'store-encryption.json')
}

export function sessionsFolder(home: string): string {
  return join(home, 'sessions')
}

export function loginsFolder(home: string): string {
  return join(home, 'pending')
}

export function vaultsPath(home: string): string {
  return join(home, 'vault.json')
}

export function clientKeysFolder(home: string): string {
  return join(home, 'client-keys')
}

/** `vault`, `logins`, `client-keys` or `encryption`, or the thumbprint of a session. */
export function lockFolder(home: string, name: string): string {
  return join(home, 'locks', name)
}
