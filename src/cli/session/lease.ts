/**
 * `lease`: an access token for other processes, without the refresh token.
 */
import { Command } from 'commander'
import type { Context } from '../context.ts'
import { credentialPrinter, type Format, formatOption } from '../credentials/print.ts'
import type { Runner } from '../invocation.ts'
import { type SavingOptions, SETTINGS } from '../options.ts'
import { parseSeconds } from './duration.ts'
import { sessionFor } from './select.ts'

interface LeaseOptions extends SavingOptions {
  readonly format?: Format
  readonly atLeast: string
  readonly account?: string
}

export function leaseCommand(runner: Runner): Command {
  return new Command('lease')
    .option('--at-least <duration>', 'Refresh first if the access token expires sooner, such as 90s, 30m or 1h', '10m')
    .addOption(formatOption('Output format (default: dotenv)'))
    .addOption(SETTINGS.account.option())
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runLease))
}

const NOTES = `
A lease works with \`call\` and \`proof\` until it expires, after at most 60 minutes. On a self-hosted PDS, the
next refresh of the session ends it immediately: create one lease before starting the jobs.
`

async function runLease(options: LeaseOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const print = credentialPrinter(options.format ?? (output.json ? 'json' : 'dotenv'), context)
  const atLeast = parseSeconds('--at-least', options.atLeast)
  const session = await sessionFor(options.account, context)
  const credentials = await session.lease(atLeast)
  await print(credentials)
  const until = credentials.accessTokenExpiresAt
  if (until === undefined) {
    output.warn(`the server does not say how long the lease is valid: it may be less than ${options.atLeast}`)
    return
  }
  const left = until - runtime.now()
  const minutes = Math.floor(left / 60_000)
  output.note(`lease valid for ${minutes} min; on a self-hosted PDS, the next refresh ends it`)
  if (left < atLeast * 1000) {
    output.warn(`the lease is valid for less than ${options.atLeast}: access tokens of this server expire sooner`)
  }
}
