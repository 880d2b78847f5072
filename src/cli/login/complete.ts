/**
 * `complete`: takes the callback URL, prints the credentials.
 */
import { Command } from 'commander'
import { complete } from '../../login/complete.ts'
import type { Completed } from '../../model.ts'
import { createSignalHold } from '../../node/signals.ts'
import type { Context } from '../context.ts'
import { chooseDestination, type DestinationOptions } from '../credentials/deliver.ts'
import { credentialPrinter, formatOption } from '../credentials/print.ts'
import { type CliIO, programName } from '../io.ts'
import { SETTINGS } from '../options.ts'
import { askForPaste } from '../prompts.ts'
import type { Runner } from '../run.ts'
import { initCommandLine } from '../shell.ts'

export type CompleteOptions = DestinationOptions

export function completeCommand(runner: Runner): Command {
  return new Command('complete')
    .argument('[callback-url]', 'the address on which the browser ended; - for stdin; asked for at a terminal')
    .addOption(formatOption('print the credentials (without --save the default: dotenv)'))
    .addOption(SETTINGS.stateFile.option({ about: 'the file that `init --state-file` made' }))
    .addOption(SETTINGS.save.option())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runComplete, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth complete                                  asks for the URL
  atproto-oauth complete 'http://127.0.0.1/callback?…'    in quotes: a shell cuts it at &
  (umask 077; atproto-oauth complete > session.env)       a file of your own, for: set -a; . ./session.env
`

function runComplete(argument: string | undefined, options: CompleteOptions, context: Context): Promise<void> {
  const fromArgument = argument !== undefined && argument !== '-'
  return finishLogin(async () => (fromArgument ? argument : askForPaste(argument, context.io)), options, context)
}

/** From a callback URL, wherever it comes from, to credentials that are where they are wanted. */
export async function finishLogin(
  callback: () => Promise<string>,
  options: CompleteOptions,
  given: Context,
): Promise<void> {
  // Whatever can be known to go wrong with the output is found out before the code is spent.
  if (options.format) credentialPrinter(options.format, given)
  const paste = await callback()
  // A person is asked while the code is still good.
  const { context, deliver, summary } = await chooseDestination(options, given)
  const { io, output, runtime } = context

  await createSignalHold()(async () => {
    output.sessionInvolved()
    const completed = await complete(paste, { ...runtime, deliver })
    output.note(`\n${summary('signed in as', completed)}`)
    const { missingScopes, unaskedScopes } = completed
    if (missingScopes.length > 0) {
      output.warn(`asked for and not granted: ${missingScopes.join(' ')}`)
      output.note(`To have it as well, sign in again and leave it ticked:\n  ${again(completed, io)}`)
    }
    if (unaskedScopes.length > 0) output.warn(`granted without having been asked for: ${unaskedScopes.join(' ')}`)
  })
}

function again({ credentials, handle, requestedScope }: Completed, io: CliIO): string {
  const { did, clientId } = credentials
  return initCommandLine({ handle, did, clientId, scope: requestedScope }).replace(/^atproto-oauth/, programName(io))
}
