/**
 * `lease`: an access token for other processes, without the refresh token.
 */
import { Command } from 'commander'
import type { Context } from '../context.ts'
import { credentialPrinter, type Format, formatOption } from '../credentials/print.ts'
import { type SavingOptions, SETTINGS } from '../options.ts'
import type { Runner } from '../run.ts'
import { parseSeconds } from './duration.ts'
import { sessionFor } from './select.ts'

interface LeaseOptions extends SavingOptions {
  readonly format?: Format
  readonly atLeast: string
  readonly account?: string
}

export function leaseCommand(runner: Runner): Command {
  return new Command('lease')
    .option('--at-least <duration>', 'renew first, if it would not last that long', '10m')
    .addOption(formatOption('how to print them (default: dotenv)'))
    .addOption(SETTINGS.account.option())
    .addOption(SETTINGS.save.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runLease))
}

const NOTES = `
A lease works for \`call\` and \`proof\` until it is over, 60 minutes at most. On a self-hosted PDS a later
renewal of the session ends it at once: lease once, before the jobs that use it.
`

async function runLease(options: LeaseOptions, context: Context): Promise<void> {
  const { output } = context
  const print = credentialPrinter(options.format ?? (output.json ? 'json' : 'dotenv'), context)
  const atLeast = parseSeconds('--at-least', options.atLeast)
  const session = await sessionFor(options.account, context)
  const credentials = await session.lease(atLeast)
  await print(credentials)
  const until = credentials.accessTokenExpiresAt
  output.note(
    until === undefined
      ? 'the server did not say how long this lease lasts'
      : `this lease lasts until ${new Date(until).toISOString()}, unless the session is renewed before on a self-hosted PDS`,
  )
}
