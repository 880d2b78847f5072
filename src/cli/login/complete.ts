/**
 * `complete`: finishes a login with the callback URL.
 */
import { Command } from 'commander'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { assertLoginOpen, checkCallback, complete } from '../../login/complete.ts'
import type { Completed } from '../../model.ts'
import { holdSignals } from '../../node/signals.ts'
import type { EarlierSession } from '../../session/earlier.ts'
import { inCi } from '../ci.ts'
import { type Context, commandToPaste } from '../context.ts'
import { checkSaveFolders, chooseDestination, type DestinationOptions } from '../credentials/deliver.ts'
import { credentialPrinter, formatOption } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { SETTINGS } from '../options.ts'
import { askForPaste } from '../prompts.ts'
import { initCommandLine } from '../shell.ts'
import { earlierOf, replaceOption, settleEarlier } from './earlier.ts'
import { discardingInput } from './paste.ts'
import { warnOfGrant } from './scope-notes.ts'

export interface CompleteOptions extends DestinationOptions {
  readonly replace?: boolean
}

export function completeCommand(runner: Runner): Command {
  return new Command('complete')
    .argument('[callback-url]', 'Callback URL, or - for stdin (default: ask at a terminal)')
    .addOption(formatOption('Print the credentials in this format (default without --save: dotenv)'))
    .addOption(SETTINGS.stateFile.option({ about: 'File written by `init --state-file`' }))
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .addOption(replaceOption())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runComplete, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth complete                                  # asks for the callback URL
  atproto-oauth complete --save store
  atproto-oauth complete --save store --replace           # and revoke the session of the last sign-in
  atproto-oauth complete 'http://127.0.0.1/callback?…'    # quoted, because a shell splits it at &
  (umask 077; atproto-oauth complete > session.env)       # load it with: set -a; . ./session.env; set +a
`

async function runComplete(argument: string | undefined, options: CompleteOptions, context: Context): Promise<void> {
  await checkSaveFolders(context)
  const { io, runtime } = context
  if (argument === undefined && io.stdin.isTTY && !inCi(io)) await assertLoginOpen(runtime)
  const fromArgument = argument !== undefined && argument !== '-'
  const callback = async () => (fromArgument ? argument : askForPaste(argument, io, checkPaste(context)))
  return finishLogin(callback, options, context)
}

/** Errors of a paste after which the right one can follow. */
const PASTED_WRONG = [
  'CALLBACK_UNREADABLE',
  'CALLBACK_INCOMPLETE',
  'CALLBACK_REFUSED',
  'CALLBACK_STATE_UNKNOWN',
  'CODE_USED',
  'AUTHORIZATION_EXPIRED',
] as const

export function checkPaste({ runtime }: Context): (text: string) => Promise<OAuthError | undefined> {
  return async (text) => {
    try {
      await checkCallback(text, runtime)
      return undefined
    } catch (error) {
      if (isOAuthError(error, ...PASTED_WRONG)) return error
      throw error
    }
  }
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
  // Checked before anything is asked, and asked before the code is used.
  const { isDenied } = await checkCallback(paste, given.runtime)
  if (isDenied) await complete(paste, given.runtime)
  const { context, deliver, summary } = await chooseDestination(options, given).catch(stillOpen)
  const { output, runtime } = context

  let earlier: readonly EarlierSession[] = []
  const lookAndDeliver = async (completed: Completed) => {
    earlier = await earlierOf(completed, context)
    await deliver(completed)
  }
  const exchange = () =>
    holdSignals(async () => {
      output.sessionInvolved()
      const completed = await untilKnown(complete(paste, { ...runtime, deliver: lookAndDeliver }), context)
      output.note(`\n${summary('signed in as', completed)}`)
      warnOfGrant(completed, (scope) => again({ ...completed, requestedScope: scope }, context), output)
      return completed
    })
  const finish = async () => {
    const completed = await exchange().catch((error: unknown) => {
      if (earlier.length > 0 && options.replace) output.warn('the earlier session was not revoked')
      throw error
    })
    await settleEarlier(earlier, completed, { replace: options.replace, context })
  }
  await (inCi(context.io) ? finish() : discardingInput(context.io, finish))
  if (context.runtime.saving.inStore) await (await import('../config/offer.ts')).offerEncryption(context)
}

/** Ctrl-C at a question, when the code was not sent. */
function stillOpen(error: unknown): never {
  if (!(error instanceof Error) || error.name !== 'ExitPromptError') throw error
  throw new CliError(
    'INTERRUPTED',
    'interrupted before the code was sent; there is no session, and the login is open',
    {
      hint: 'to finish it, paste the callback URL into: atproto-oauth complete',
      session: 'none',
    },
  )
}

/** A signal takes effect after the response; the process then ends without another word, so it is said here. */
async function untilKnown<T>(work: Promise<T>, { output }: Context): Promise<T> {
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
    output.note('Interrupted after the code was sent: waiting for the response, so that the session is not lost.')
  }
  process.once('SIGINT', interrupt)
  try {
    return await work
  } catch (error) {
    if (isInterrupted && error instanceof OAuthError) output.warn(`${error.message} (${SESSIONS[error.session]})`)
    throw error
  } finally {
    process.off('SIGINT', interrupt)
  }
}

const SESSIONS: Readonly<Record<OAuthError['session'], string>> = {
  alive: 'the new session is valid',
  dead: 'the session has ended',
  none: 'there is no session',
  unknown: 'a session may exist on the server',
}

function again({ credentials, handle, requestedScope }: Completed, context: Context): string {
  const { did, clientId, redirectUri } = credentials
  return commandToPaste(initCommandLine({ handle, did, clientId, redirectUri, scope: requestedScope }), context)
}
