/**
 * Prints credentials in a format.
 */
import { fstatSync } from 'node:fs'
import { Option } from 'commander'
import {
  credentialEntries,
  type Entries,
  formatCredentials,
  formatEntries,
  TEXT_FORMATS,
  type TextFormat,
} from '../../credentials/write.ts'
import type { Credentials } from '../../model.ts'
import { githubTargets, writeGithub } from '../../node/github-actions.ts'
import type { Context } from '../context.ts'
import type { CliIO } from '../io.ts'

export type Format = TextFormat | 'github'

export function formatOption(what: string): Option {
  return new Option('--format <format>', what).choices([...TEXT_FORMATS, 'github'])
}

/**
 * A printer for credentials. Created before a code or token is used, so that a format that cannot be used fails first.
 *
 * @throws {OAuthError} `USAGE`
 */
export function credentialPrinter(format: Format, context: Context): (credentials: Credentials) => Promise<void> {
  if (format !== 'github') return async (credentials) => printText(formatCredentials(credentials, format), context)
  const print = githubPrinter(context)
  return (credentials) => print(credentialEntries(credentials), [credentials.dpopPrivateJwk.d])
}

/**
 * A printer for other secrets.
 *
 * @returns prints the entries; `parts` are values in them that logs must mask too, and only those with `isSecret` are masked
 */
export function entryPrinter(
  format: Exclude<Format, 'bundle'>,
  context: Context,
): (entries: Entries, parts: readonly string[], isSecret?: (name: string) => boolean) => Promise<void> {
  return format === 'github'
    ? githubPrinter(context)
    : async (entries) => printText(formatEntries(entries, format), context)
}

function githubPrinter({ io, output }: Context) {
  const files = githubTargets(io.environment)
  return (entries: Entries, parts: readonly string[], isSecret?: (name: string) => boolean) =>
    writeGithub(entries, parts, files, output.data, isSecret)
}

async function printText(text: string, context: Context): Promise<void> {
  await context.output.data(text)
  await context.output.durable()
  warnIfReadable(context)
}

/** Called once secrets are on stdout. */
export function warnIfReadable({ io, output }: Context): void {
  if (!isReadableByOthers(io)) return
  output.warn('other users of this machine can read the credentials file: run chmod 600 on it')
}

/** A file created by a shell's `>` is usually readable by everybody. Windows has no such modes. */
function isReadableByOthers({ platform, stdout }: CliIO): boolean {
  if (platform === 'win32') return false
  const stats = fstatSync(stdout.fd)
  return stats.isFile() && (stats.mode & 0o077) !== 0
}
