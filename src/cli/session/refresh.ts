/**
 * `refresh`: refreshes the tokens now and saves them.
 */
import { Command, Option } from 'commander'
import type { Context } from '../context.ts'
import { credentialPrinter, type Format, formatOption } from '../credentials/print.ts'
import { type SavingOptions, SETTINGS } from '../options.ts'
import type { Runner } from '../run.ts'
import { parseSeconds } from './duration.ts'
import { sessionFor } from './select.ts'

interface RefreshOptions extends SavingOptions {
  readonly format?: Format
  readonly ifOlderThan?: string
  readonly account?: string
  readonly adopt?: boolean
  readonly shared?: boolean
}

export function refreshCommand(runner: Runner): Command {
  return new Command('refresh')
    .option('--if-older-than <duration>', 'Refresh only if the last refresh is older, such as 12h or 3d')
    .addOption(formatOption('Also print the credentials in this format'))
    .option('--adopt', 'Use a session store that was moved here from another machine')
    .addOption(new Option('--shared', 'Use a session store that several machines share').conflicts('adopt'))
    .addOption(SETTINGS.account.option())
    .addOption(SETTINGS.save.option())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runRefresh))
}

const EXAMPLES = `
Examples:
  atproto-oauth refresh --save file:session.env
  atproto-oauth refresh --if-older-than 3d --save gh:alice/blog
`

async function runRefresh(options: RefreshOptions, context: Context): Promise<void> {
  const { output } = context
  const print = options.format && credentialPrinter(options.format, context)
  const olderThan = options.ifOlderThan === undefined ? 0 : parseSeconds('--if-older-than', options.ifOlderThan)
  const { sessions } = context.runtime.stores
  // Before a session is selected: it holds for all sessions of the store.
  if (options.adopt || options.shared) await sessions.adopt(options.shared ? 'shared' : 'moved')
  const session = await sessionFor(options.account, context)
  const before = session.record().accessToken
  const credentials = await session.refresh(olderThan)
  const { savedTo, did, accessToken } = session.record()
  if (print) {
    await sessions.assertNewest(session.record()) // without a refresh they may be an old copy
    await print(credentials)
  }
  const places = ['the per-user store', ...(savedTo ?? [])].join(' and ')
  if (accessToken === before) output.note(`${did}: refreshed recently, nothing sent`)
  else output.note(`${did}: refreshed, saved to ${places}`)
}
