/**
 * `complete`: takes the callback URL, prints the credentials.
 *
 * @module
 */
import { Command } from 'commander'
import { complete } from '../complete.ts'
import { AuthError } from '../errors.ts'
import { initCommand } from '../hints.ts'
import type { Completed } from '../model.ts'
import { normalizeTarget, STORE } from '../node/save/targets.ts'
import { createSignalHold } from '../node/signals.ts'
import { printable } from '../printable.ts'
import { saveSession } from '../save.ts'
import { askForPaste, askWhere, canAskWhere } from './ask.ts'
import { type Host, programName } from './host.ts'
import type { Runner } from './run.ts'
import { credentialPrinter, type Format, formatOption } from './secrets.ts'
import { addCommonOptions, addSaveOption, type Context, type SavingOptions } from './settings.ts'

/** Characters; a permission can name many methods, and a person is to see all of them. */
const SCOPE_LONGEST = 4000

export interface CompleteOptions extends SavingOptions {
  readonly format?: Format
}

export function completeCommand(run: Runner): Command {
  const command = new Command('complete')
    .argument('[callback-url]', 'the address on which the browser ended; - for stdin; asked for at a terminal')
    .addOption(formatOption('print the credentials (without --save the default: dotenv)'))
    .option('--state-file <path>', 'the file that `init --state-file` made')
    .addHelpText('after', EXAMPLES)
  addSaveOption(command)
  return addCommonOptions(command).action((paste: string | undefined, options: CompleteOptions) =>
    run(options, (context) => runComplete(paste, options, context), 'login'),
  )
}

const EXAMPLES = `
Examples:
  atproto-oauth complete                                  asks for the URL
  atproto-oauth complete 'http://127.0.0.1/callback?…'    in quotes: a shell cuts it at &
  (umask 077; atproto-oauth complete > session.env)       a file of your own, for: set -a; . ./session.env
`

function runComplete(argument: string | undefined, options: CompleteOptions, context: Context): Promise<void> {
  const fromArgument = argument !== undefined && argument !== '-'
  return finishLogin(async () => (fromArgument ? argument : askForPaste(argument, context.host)), options, context)
}

/** From a callback URL, wherever it comes from, to credentials that are where they are wanted. */
export async function finishLogin(
  callback: () => Promise<string>,
  options: CompleteOptions,
  given: Context,
): Promise<void> {
  const { host, output } = given
  // Whatever can be known to go wrong with the output is found out before the code is spent.
  const early = options.format && credentialPrinter(options.format, given)
  const paste = await callback()
  const context = await withAnswer(options, given)
  const { world } = context
  const { inStore, targets } = world.saving
  const saves = inStore || targets.length > 0
  const format = options.format ?? (saves ? undefined : output.json ? 'json' : 'dotenv')
  const print = early ?? (format && credentialPrinter(format, context))

  await createSignalHold()(async () => {
    const deliver = async (completed: Completed) => {
      const { credentials, handle } = completed
      if (saves) await saveSession(credentials, handle, world)
      if (print) await print(credentials).catch((error: unknown) => rescue(completed, error, context))
    }
    const completed = await complete(paste, { ...world, deliver })
    const places = [...(inStore ? ['the per-user store'] : []), ...targets.map(({ name }) => name)]
    output.note(`\n${summary(completed, format, places, host)}`)
    const { missingScopes, unaskedScopes } = completed
    if (missingScopes.length > 0) {
      output.warn(`asked for and not granted: ${missingScopes.join(' ')}`)
      output.note(`To have it as well, sign in again and leave it ticked:\n  ${again(completed, host)}`)
    }
    if (unaskedScopes.length > 0) output.warn(`granted without having been asked for: ${unaskedScopes.join(' ')}`)
  })
}

/** If nothing says where the credentials shall go, a person at a terminal is asked, while the code is still good. */
async function withAnswer(options: CompleteOptions, context: Context): Promise<Context> {
  const { host, output, world } = context
  const { saving } = world
  const isSaid = options.format !== undefined || saving.inStore || saving.targets.length > 0
  if (isSaid || output.json || !canAskWhere(host)) return context
  const answer = await askWhere(host)
  if (answer === undefined) return context
  const name = normalizeTarget(answer)
  const chosen = name === STORE ? { inStore: true } : { targets: [saving.open(name)] }
  return { ...context, world: { ...world, saving: { ...saving, ...chosen } } }
}

function again({ credentials, handle, requestedScope }: Completed, host: Host): string {
  const { did, clientId } = credentials
  return initCommand({ handle, did, clientId, scope: requestedScope }).replace(/^atproto-oauth/, programName(host))
}

/** The code is spent and the session is there: what cannot be printed must not be lost. */
async function rescue({ credentials, handle }: Completed, cause: unknown, { world }: Context): Promise<never> {
  const { did } = await saveSession(credentials, handle, { ...world, saving: { ...world.saving, inStore: true } })
  const why = cause instanceof Error ? cause.message : String(cause)
  throw new AuthError(
    'SAVE_FAILED',
    `the credentials could not be printed (${why}); they are kept in the per-user store`,
    { cause, session: 'alive', hint: `atproto-oauth call com.atproto.server.getSession --account ${did}` },
  )
}

function summary(
  { credentials, handle, grantedScope }: Completed,
  format: Format | undefined,
  places: readonly string[],
  host: Host,
): string {
  const sourced = format === 'dotenv' || format === 'export'
  const next =
    places.includes('the per-user store') || format === undefined
      ? 'Next:'
      : sourced
        ? 'With these in the environment (saved to session.env: set -a; . ./session.env; set +a):'
        : 'With these in the environment:'
  return [
    `signed in as ${handle ?? credentials.did}${handle ? ` (${credentials.did})` : ''}`,
    `scope: ${printable(grantedScope, SCOPE_LONGEST)}`,
    ...(places.length > 0 ? [`saved to ${places.join(' and ')}`] : []),
    ...(credentials.refreshToken === undefined
      ? ['the server gave no refresh token: this session ends with its first access token']
      : format === undefined
        ? []
        : ['Keep them secret, and in one place only: the refresh token in them works once.']),
    '',
    next,
    `  ${programName(host)} call com.atproto.server.getSession`,
  ].join('\n')
}
