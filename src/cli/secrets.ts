/**
 * Printing credentials in a format, and what may go wrong with that.
 *
 * @module
 */
import { fstatSync } from 'node:fs'
import { Option } from 'commander'
import { credentialEntries, formatCredentials, TEXT_FORMATS, type TextFormat } from '../credentials/write.ts'
import type { Credentials } from '../model.ts'
import { githubTargets, writeGithub } from '../node/github.ts'
import type { Context } from './settings.ts'

export type Format = TextFormat | 'github'

export function formatOption(what: string): Option {
  return new Option('--format <format>', what).choices([...TEXT_FORMATS, 'github'])
}

/**
 * What will print credentials; made before anything is spent, so that a format that cannot work here is
 * found out in time.
 *
 * @throws {AuthError} `USAGE`
 */
export function credentialPrinter(
  format: Format,
  { host, output }: Context,
): (credentials: Credentials) => Promise<void> {
  const files = format === 'github' ? githubTargets(host.environment) : undefined
  return async (credentials) => {
    if (files) {
      await writeGithub(credentialEntries(credentials), [credentials.dpopPrivateJwk.d], files, output.data)
      return
    }
    await output.data(formatCredentials(credentials, format as TextFormat))
    if (isReadableByOthers(host.stdout.fd)) {
      output.warn('the file with the credentials can be read by other users of this machine: chmod 600 it')
    }
  }
}

/** A shell's `>` makes files that everybody on the machine may read. */
function isReadableByOthers(fd: number): boolean {
  if (process.platform === 'win32') return false
  const stats = fstatSync(fd)
  return stats.isFile() && (stats.mode & 0o077) !== 0
}
