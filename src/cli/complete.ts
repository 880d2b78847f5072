/**
 * `complete`: takes the callback URL, prints the credentials.
 *
 * @module
 */
import { fstatSync } from 'node:fs'
import { Command, Option } from 'commander'
import { type Completed, complete } from '../complete.ts'
import { credentialEntries, formatCredentials, TEXT_FORMATS, type TextFormat } from '../credentials/write.ts'
import { AuthError } from '../errors.ts'
import { recordOf } from '../lineage.ts'
import { githubTargets, writeGithub } from '../node/github.ts'
import { createSignalHold } from '../node/signals.ts'
import { type Host, inCi, programName, readStdin } from './host.ts'
import type { Runner } from './run.ts'
import { addCommonOptions, type CommonOptions, type Context } from './settings.ts'

const PASTE_LARGEST = 64 * 1024

interface CompleteOptions extends CommonOptions {
  readonly format?: TextFormat | 'github'
}

export function completeCommand(run: Runner): Command {
  const command = new Command('complete')
    .description('finish a login: take the callback URL, print the credentials')
    .argument('[callback-url]', 'the address on which the browser ended; - for stdin; asked for at a terminal')
    .addOption(
      new Option('--format <format>', 'how to print the credentials (default: dotenv)').choices([
        ...TEXT_FORMATS,
        'github',
      ]),
    )
    .option('--state-file <path>', 'the file that `init --state-file` made')
    .addHelpText('after', EXAMPLES)
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

async function runComplete(argument: string | undefined, options: CompleteOptions, context: Context): Promise<void> {
  const { host, output, world } = context
  const format = options.format ?? (options.json ? 'json' : 'dotenv')
  // Whatever can be known to go wrong with the output is found out before the code is spent.
  const github = format === 'github' ? githubTargets(host.environment) : undefined
  const paste = argument === undefined || argument === '-' ? await askForPaste(argument, host) : argument

  await createSignalHold()(async () => {
    const completed = await complete(paste, world)
    try {
      if (github) {
        const { credentials } = completed
        await writeGithub(credentialEntries(credentials), [credentials.dpopPrivateJwk.d], github, output.data)
      } else await output.data(formatCredentials(completed.credentials, format as TextFormat))
    } catch (error) {
      await rescue(completed, error, context)
    }
    warnIfReadable(context)
    output.note(`\n${summary(completed, format, host)}`)
    if (completed.missingScopes.length > 0) output.warn(`not granted: ${completed.missingScopes.join(' ')}`)
  })
}

async function askForPaste(argument: string | undefined, host: Host): Promise<string> {
  const { stdin, stderr } = host
  if (stdin.isTTY && argument === undefined && !inCi(host)) {
    const { input } = await import('@inquirer/prompts')
    return input({ message: 'Callback URL:' }, { input: stdin, output: stderr })
  }
  const bytes = stdin.isTTY && argument === undefined ? new Uint8Array() : await readStdin(host, PASTE_LARGEST)
  if (bytes === undefined) throw new AuthError('CALLBACK_UNREADABLE', 'stdin is far too long for a callback URL')
  const text = Buffer.from(bytes).toString('utf8')
  if (text.trim() !== '') return text
  throw new AuthError('USAGE', 'the argument callback-url is missing, and stdin is empty', {
    hint: "atproto-oauth complete '<callback-url>'",
    session: 'none',
  })
}

/** The code is spent and the session is there: what cannot be printed must not be lost. */
async function rescue(completed: Completed, cause: unknown, { world }: Context): Promise<never> {
  const record = await recordOf(completed.credentials)
  await world.stores.sessions.update(record.thumbprint, (_, commit) => commit({ ...record, handle: completed.handle }))
  const why = cause instanceof Error ? cause.message : String(cause)
  throw new AuthError(
    'SAVE_FAILED',
    `the credentials could not be printed (${why}); they are kept in the per-user store`,
    {
      cause,
      session: 'alive',
      hint: `atproto-oauth call com.atproto.server.getSession --account ${record.did}`,
    },
  )
}

/** A shell's `>` makes files that everybody on the machine may read. */
function warnIfReadable({ host, output }: Context): void {
  if (process.platform === 'win32') return
  const stats = fstatSync(host.stdout.fd)
  if (!stats.isFile() || (stats.mode & 0o077) === 0) return
  output.warn('the file with the credentials can be read by other users of this machine: chmod 600 it')
}

function summary({ credentials, handle, grantedScope }: Completed, format: string, host: Host): string {
  const next =
    format === 'dotenv' || format === 'export'
      ? `With these in the environment (saved to session.env: set -a; . ./session.env; set +a):`
      : 'With these in the environment:'
  return [
    `signed in as ${handle ?? credentials.did}${handle ? ` (${credentials.did})` : ''}`,
    `scope: ${grantedScope}`,
    ...(credentials.refreshToken === undefined
      ? ['the server gave no refresh token: this session ends with its first access token']
      : ['Keep them secret, and in one place only: the refresh token in them works once.']),
    '',
    next,
    `  ${programName(host)} call com.atproto.server.getSession`,
  ].join('\n')
}
