/**
 * `complete`: finishes a login with the callback URL.
 */
import { Command } from 'commander'
import { parseCallback } from '../../login/callback.ts'
import { complete } from '../../login/complete.ts'
import type { Completed } from '../../model.ts'
import { holdSignals } from '../../node/signals.ts'
import type { Context } from '../context.ts'
import { checkSaveFolders, chooseDestination, type DestinationOptions } from '../credentials/deliver.ts'
import { credentialPrinter, formatOption } from '../credentials/print.ts'
import { programName } from '../io.ts'
import { flagsFor, SETTINGS } from '../options.ts'
import { askForPaste } from '../prompts.ts'
import type { Runner } from '../run.ts'
import { initCommandLine } from '../shell.ts'

export type CompleteOptions = DestinationOptions

export function completeCommand(runner: Runner): Command {
  return new Command('complete')
    .argument('[callback-url]', 'Callback URL, or - for stdin (default: ask at a terminal)')
    .addOption(formatOption('Print the credentials in this format (default without --save: dotenv)'))
    .addOption(SETTINGS.stateFile.option({ about: 'File written by `init --state-file`' }))
    .addOption(SETTINGS.save.option())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runComplete, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth complete                                  # asks for the callback URL
  atproto-oauth complete --save store
  atproto-oauth complete 'http://127.0.0.1/callback?…'    # quoted, because a shell splits it at &
  (umask 077; atproto-oauth complete > session.env)       # load it with: set -a; . ./session.env; set +a
`

async function runComplete(argument: string | undefined, options: CompleteOptions, context: Context): Promise<void> {
  await checkSaveFolders(context)
  const fromArgument = argument !== undefined && argument !== '-'
  return finishLogin(async () => (fromArgument ? argument : askForPaste(argument, context.io)), options, context)
}

/** Exchanges the callback URL for credentials, then prints or saves them. */
export async function finishLogin(
  callback: () => Promise<string>,
  options: CompleteOptions,
  given: Context,
): Promise<void> {
  // Output errors that can be detected are reported before the code is used, which works once.
  if (options.format) credentialPrinter(options.format, given)
  const paste = await callback()
  parseCallback(paste)
  // Asked before the code is used.
  const { context, deliver, summary } = await chooseDestination(options, given)
  const { output, runtime } = context

  await holdSignals(async () => {
    output.sessionInvolved()
    const completed = await complete(paste, { ...runtime, deliver })
    output.note(`\n${summary('signed in as', completed)}`)
    const { missingScopes, unaskedScopes } = completed
    if (missingScopes.length > 0) {
      output.warn(`not granted: ${missingScopes.join(' ')}`)
      output.note(
        `To request it again, sign in again and allow it on the consent screen:\n  ${again(completed, context)}`,
      )
    }
    if (unaskedScopes.length > 0) output.warn(`granted but not requested: ${unaskedScopes.join(' ')}`)
  })
}

function again({ credentials, handle, requestedScope }: Completed, { io, common }: Context): string {
  const { did, clientId, redirectUri } = credentials
  const command = initCommandLine({ handle, did, clientId, redirectUri, scope: requestedScope })
  return (command + flagsFor(command, common)).replace(/^atproto-oauth/, programName(io))
}
