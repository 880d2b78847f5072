/**
 * The parser of the command line: the commands with their options, help and usage errors.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { packageVersion } from '../node/version.ts'
import { loadCommands, otherCommands } from './commands.ts'
import { HELP_LAYOUT, helpColumns, reflow } from './help.ts'
import { type Invocation, withSubcommands } from './invocation.ts'
import type { CliIO } from './io.ts'
import { addCommonOptions, GLOBAL_OPTIONS, SETTINGS } from './options.ts'
import { failedOutput } from './output.ts'

/** @throws {OAuthError} `USAGE` if the arguments are not those of a command; what the command throws */
export async function parseAndRun(io: CliIO, invocation: Invocation): Promise<void> {
  let unwritten: Error | undefined
  io.stdout.on('error', (error) => {
    unwritten ??= error
  })
  const program = createProgram(io, await loadCommands(io.arguments, invocation))
  invocation.follow(program)
  try {
    await program.parseAsync(askedOf(program, withSessionKeys(io.arguments)), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) {
      const { usageError } = await import('./usage.ts')
      for (const command of otherCommands(program)) program.addCommand(command)
      throw usageError(error, program, io.arguments)
    }
    await turn() // --help, --version: a failed write is known only now
    if (unwritten) throw failedOutput(unwritten)
  }
}

export function createProgram(io: CliIO, commands: readonly Command[]): Command {
  const program = new Command('atproto-oauth')
    .description('AT Protocol (Bluesky) OAuth for shells, CI jobs and small scripts.')
    .version(packageVersion(), '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Show help for the program or a command')
    .addHelpText('after', GUIDE)
    // After a command, `-vq` may be the value of one of its options.
    .enablePositionalOptions()
  program.addOption(SETTINGS.account.option().helpGroup(GLOBAL_OPTIONS))
  addCommonOptions(program).helpCommand('help [command]', 'Show help for a command')
  for (const command of commands) program.addCommand(command)
  for (const command of withSubcommands(program)) {
    command
      .configureHelp(HELP_LAYOUT)
      .showSuggestionAfterError()
      .configureOutput({
        writeOut: (text) => io.stdout.write(reflow(text, helpColumns(io.stdout))),
        writeErr: () => undefined, // `usageError` reports it in our format
        getOutHelpWidth: () => helpColumns(io.stdout),
      })
  }
  return program
}

/** One in 64 keys of sessions begins with a hyphen, and would be taken for an option. With an `@` it is an account. */
function withSessionKeys(words: readonly string[]): readonly string[] {
  const at = words.indexOf('accounts')
  return at < 0 ? words : words.map((word, index) => (index > at && SESSION_KEY.test(word) ? `@${word}` : word))
}

const SESSION_KEY = /^-[\w-]{42}$/

/** Without `help` if what follows is no command: commander would show the general help, and rejects the command itself. */
function askedOf(program: Command, words: readonly string[]): readonly string[] {
  const at = words.indexOf('help')
  const name = words[at + 1]
  const group =
    at === 0 ? program : at === 1 ? program.commands.find((command) => command.name() === words[0]) : undefined
  const [, , below] = words
  if (at === 0 && below !== undefined && group?.commands.some((command) => hasCommand(command, name, below))) {
    return [name!, below, '--help'] // commander would show the help of the group
  }
  if (!group?.commands.length || name === undefined || name.startsWith('-') || name === 'help') return words
  return group.commands.some((command) => command.name() === name) ? words : words.filter((_, index) => index !== at)
}

function hasCommand(group: Command, name: string | undefined, below: string): boolean {
  return group.name() === name && group.commands.some((command) => command.name() === below)
}

const GUIDE = `
Quick start:
  atproto-oauth init alice.bsky.social --for post    # prints a URL: open it and sign in
  atproto-oauth complete --save store                # paste the callback URL when asked
  atproto-oauth call com.atproto.repo.createRecord repo={did} collection=app.bsky.feed.post \\
    record='{ "text": "hello from a shell", "createdAt": "'$(date -u +%FT%TZ)'" }'

Environment variables for credentials:
  ATPROTO_OAUTH_SESSION        the whole session, as printed by \`complete --format bundle\`
  or separately, as printed by \`complete\`:
  ATPROTO_OAUTH_REFRESH_TOKEN, ATPROTO_OAUTH_DPOP_PRIVATE_JWK, ATPROTO_OAUTH_PDS_ISSUER,
  ATPROTO_OAUTH_DID, ATPROTO_OAUTH_CLIENT_ID
  or printed by a program:
  ATPROTO_OAUTH_SOURCE         exec: and the command, as in: exec:pass show atproto/alice

Exit codes:
  0 success            4 rejected by the server    8 XRPC error
  1 unexpected error   5 no session: sign in       9 rate limited
  2 usage error        6 sent, no response        10 saving failed
  3 network error      7 permission missing       11 deadline near
  129, 130, 143 interrupted by a signal; 125, 126, 127: see \`run --help\`
`
