/**
 * `login`: `init` and `complete` in one, on a machine with a browser. A loopback listener receives the callback; the
 * callback URL can be pasted as well.
 */
import { Command } from 'commander'
import type { OAuthError } from '../../errors.ts'
import type { Initiated } from '../../login/init.ts'
import type { PendingAuthorization } from '../../model.ts'
import { type Listener, listen } from '../../node/loopback-server.ts'
import { inCi } from '../ci.ts'
import type { Context } from '../context.ts'
import { checkSaveFolders } from '../credentials/deliver.ts'
import { credentialPrinter, formatOption } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CliIO, programName } from '../io.ts'
import { SETTINGS } from '../options.ts'
import { initCommandLine, shellQuote } from '../shell.ts'
import { type CompleteOptions, checkPaste, finishLogin } from './complete.ts'
import { announceEarlier, replaceOption } from './earlier.ts'
import { openBrowser, summary } from './init.ts'
import { addRequestedOptions, loginRequest, type RequestedOptions, TASKS, typedFlags } from './options.ts'
import { readPaste } from './paste.ts'
import { warnOfRequest } from './scope-notes.ts'
import { startLogin } from './start.ts'

interface LoginOptions extends CompleteOptions, RequestedOptions {
  readonly open?: boolean
}

export function loginCommand(runner: Runner): Command {
  return addRequestedOptions(new Command('login').argument('<handle|did|url>', 'Account or server to sign in to'))
    .addOption(formatOption('Print the credentials in this format (default without --save: dotenv)'))
    .option('--no-open', 'Do not open a browser')
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .addOption(replaceOption())
    .addHelpText('after', TASKS + EXAMPLES)
    .action(runner.action(runLogin, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth login alice.bsky.social --save store
  (umask 077; atproto-oauth login alice.bsky.social > session.env)
`

async function runLogin(identifier: string, options: LoginOptions, context: Context): Promise<void> {
  const { io } = context
  const request = loginRequest(options, context)
  if (options.format) credentialPrinter(options.format, context) // fails before the login if the format cannot be used
  await checkSaveFolders(context)
  const listener = await listenerFor(request)
  const over = new AbortController()
  try {
    if (!listener && !canPaste(io)) {
      throw new CliError(
        'USAGE',
        'the callback cannot reach this machine, and there is no terminal to paste the callback URL into',
        {
          hint: `atproto-oauth init ${shellQuote(identifier)}`,
          session: 'none',
        },
      )
    }
    const again = listener && request.clientId === undefined ? { redirectUri: listener.redirectUri } : {}
    const started = await startLogin(
      identifier,
      { ...request, ...again },
      { command: 'login', flags: typedFlags(options) },
      context,
    )
    // Listens before the URL is printed.
    const heard = listener ? [listener.wait(started.pending.state)] : []
    await show(started, options, listener, context)
    await finishLogin(() => waitForCallback(started.pending, heard, over, context), options, context)
  } finally {
    over.abort()
    await listener?.close()
  }
}

/** A listener for the loopback client, or for a hosted client that declares a loopback port. */
async function listenerFor({ clientId, redirectUri }: ReturnType<typeof loginRequest>): Promise<Listener | undefined> {
  if (clientId === undefined && redirectUri === undefined) return listen()
  const url = redirectUri !== undefined && URL.canParse(redirectUri) ? new URL(redirectUri) : undefined
  if (url?.protocol !== 'http:' || url.hostname !== '127.0.0.1' || url.port === '') return undefined
  return listen({ port: Number(url.port), path: url.pathname }).catch((error: NodeJS.ErrnoException) => {
    throw new CliError('USAGE', `cannot listen on ${url.host}: ${error.code}`, {
      hint: 'stop the program that uses this port, or choose another --redirect-uri',
    })
  })
}

function canPaste(io: CliIO): boolean {
  return io.stdin.isTTY === true && !inCi(io)
}

async function show(
  started: Initiated,
  options: LoginOptions,
  listener: Listener | undefined,
  context: Context,
): Promise<void> {
  const { io, output } = context
  const { authorizationUrl } = started
  output.note(summary(started, io))
  const advice = 'press Ctrl-C and run the same command with --replace'
  await announceEarlier(started.pending, { replace: options.replace, advice }, context)
  warnOfRequest(started, context)
  const hindrance = options.open === false ? '--no-open' : noBrowserBecause(io)
  output.note(
    hindrance === undefined
      ? 'Opening your browser at:\n'
      : `Open this URL in a browser (not opened automatically: ${hindrance}):\n`,
  )
  output.noteUrl(authorizationUrl)
  output.note(
    [
      '',
      ...(listener ? ['Waiting for the sign-in. This command continues when the browser returns.'] : []),
      ...(canPaste(io) ? ['If the browser is on another machine, paste the callback URL here.'] : []),
    ].join('\n'),
  )
  if (hindrance === undefined) await openBrowser(authorizationUrl, context)
}

/** Why no browser is opened. */
function noBrowserBecause({ environment, platform }: CliIO): string | undefined {
  if (environment.BROWSER) return undefined
  if (environment.SSH_CONNECTION || environment.SSH_TTY) return 'SSH session'
  const isLinux = platform === 'linux'
  const isWsl = environment.WSL_DISTRO_NAME !== undefined
  if (isLinux && !isWsl && !environment.DISPLAY && !environment.WAYLAND_DISPLAY) return 'no display'
  return undefined
}

/**
 * The callback URL from the browser or from a paste, whichever comes first, until the request expires.
 *
 * @throws {OAuthError} `AUTHORIZATION_EXPIRED`, `INTERRUPTED`; the login can still be completed by `complete`
 */
function waitForCallback(
  pending: PendingAuthorization,
  heard: readonly Promise<string>[],
  over: AbortController,
  context: Context,
): Promise<string> {
  const { io, runtime } = context
  const expired = new Promise<never>((_, refuse) => {
    const timer = setTimeout(() => refuse(expiry(pending, io)), pending.requestExpiresAt - runtime.now())
    over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
  return Promise.race([expired, ...heard, ...(canPaste(io) ? [pasted(pending, over.signal, context)] : [])]).finally(
    () => over.abort(),
  )
}

/** A prompt that shows the remaining time. */
function pasted({ requestExpiresAt }: PendingAuthorization, signal: AbortSignal, context: Context): Promise<string> {
  const prompt = () => {
    const seconds = Math.max(0, Math.round((requestExpiresAt - context.runtime.now()) / 1000))
    return `Callback URL (${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} left): `
  }
  const interrupted = 'interrupted while waiting for the browser'
  return readPaste(context.io, { prompt, check: checkPaste(context), interrupted, signal, every: 1000 })
}

function expiry(pending: PendingAuthorization, io: CliIO): OAuthError {
  const minutes = Math.round((pending.requestExpiresAt - pending.createdAt) / 60_000)
  return new CliError(
    'AUTHORIZATION_EXPIRED',
    `timed out after ${minutes} minutes waiting for the sign-in; if the browser still reaches the callback URL, paste it into \`${programName(io)} complete\``,
    { hint: initCommandLine(pending).replace(' init ', ' login ') },
  )
}
