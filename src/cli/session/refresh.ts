/**
 * `refresh`: refreshes the tokens now and saves them.
 */
import { Command, Option } from 'commander'
import { type Environment, SOURCE } from '../../credentials/variables.ts'
import type { SessionRecord } from '../../model.ts'
import { moveToVault, requireVault } from '../../session/move.ts'
import type { Session } from '../../session/session.ts'
import { isElsewhere, tokenElsewhere } from '../../session/token-family.ts'
import type { Context } from '../context.ts'
import { noCopy } from '../credentials/deliver.ts'
import { credentialPrinter, type Format, formatOption } from '../credentials/print.ts'
import type { Runner } from '../invocation.ts'
import { givenIn, holdsSession, type SavingOptions, SETTINGS } from '../options.ts'
import { parseSeconds } from './duration.ts'
import { localSessionFor, sessionFor, sessionInVault } from './select.ts'

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
    .addOption(SETTINGS.noStore.option())
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
  const { inVault } = context.runtime.saving
  if (inVault && options.format) throw noCopy()
  const local = inVault ? await localSessionFor(options.account, context) : undefined
  const session = local ? await moved(local, options.account, context) : await sessionFor(options.account, context)
  const isShared = local !== undefined || sessions.isSharedSession?.(session.record().thumbprint) === true
  if (isShared && options.format) throw noCopy()
  const before = session.record().accessToken
  const credentials = await session.refresh(olderThan)
  const { savedTo, did, accessToken, tokenElsewhere: isOnlySaved } = session.record()
  if (print) {
    // It was refreshed by another run, and what is here would be an incomplete session.
    if (isElsewhere(session.record())) throw tokenElsewhere(session.record())
    await sessions.assertNewest(session.record()) // without a refresh they may be an old copy
    await print(credentials)
  }
  const place = isShared ? 'the vault' : 'the per-user store'
  const places = [...(isOnlySaved === undefined ? [place] : []), ...(savedTo ?? [])].join(' and ')
  if (accessToken === before) output.note(`${did}: refreshed recently, nothing sent`)
  else output.note(`${did}: refreshed, saved to ${places}`)
}

/** From the environment or the per-user store. It is refreshed in the vault: no older copy can be used any more. */
async function moved(found: Session, account: string | undefined, { output, runtime, io }: Context): Promise<Session> {
  const record = found.record()
  const elsewhere = await moveToVault(record, runtime)
  const address = await requireVault(runtime).place!()
  output.note(`moved the session of ${record.did} into the vault at ${address}`)
  const isGiven = account === undefined && holdsSession(io.environment)
  const copies = [...(isGiven ? [copiesIn(io.environment, record)] : []), ...elsewhere]
  if (copies.length > 0) output.warn(`delete the session from ${copies.join(' and ')}: using it there ends it for all`)
  return sessionInVault(record, runtime)
}

function copiesIn(environment: Environment, { bundled }: SessionRecord): string {
  const { variables, origin } = givenIn(environment, bundled)
  return variables === SOURCE ? origin : `the variables ${variables} and the secret store behind them`
}
