/**
 * The program: its commands, its help, and how usage errors leave.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { OAuthError } from '../errors.ts'
import { packageVersion } from '../node/version.ts'
import { loadCommands } from './commands.ts'
import { type CliIO, processIO } from './io.ts'
import { addCommonOptions } from './options.ts'
import { failedOutput } from './output.ts'
import { Run, withSubcommands } from './run.ts'

export async function runProcess(io: CliIO = processIO()): Promise<void> {
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
    process.on(signal, () => process.exit(code))
  }
  // Should it end without having come to an end. Not set before: commander takes a code that is set for its own.
  const unfinished = () => {
    process.exitCode ??= 1
  }
  process.once('exit', unfinished)
  process.exitCode = await runProgram(io)
  process.off('exit', unfinished)
}

/** @returns the exit code (docs/commands.md#errors) */
export async function runProgram(io: CliIO): Promise<number> {
  let unwritten: Error | undefined
  io.stdout.on('error', (error) => {
    unwritten ??= error
  })
  const run = new Run(io)
  const program = createProgram(io, await loadCommands(io.arguments, run))
  run.follow(program)
  try {
    await program.parseAsync(askedOf(program, io.arguments), { from: 'user' })
    return run.finish()
  } catch (error) {
    if (!(error instanceof CommanderError)) return run.finish(error)
    if (error.exitCode !== 0) return run.finish(usageError(error))
    await turn() // --help, --version: what became of it is known then
    return run.finish(unwritten && failedOutput(unwritten))
  }
}

export function createProgram(io: CliIO, commands: readonly Command[]): Command {
  const program = new Command('atproto-oauth')
    .description('AT Protocol (Bluesky) OAuth from a shell, a CI job or a small script.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this, or after a command its options')
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .addHelpText('after', GUIDE)
    // Behind a command `-vq` may be the value of an option of its own: a key's name, a path.
    .enablePositionalOptions()
  addCommonOptions(program)
  for (const command of commands) program.addCommand(command)
  for (const command of withSubcommands(program)) {
    command.showSuggestionAfterError().configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: () => undefined, // said by us, in our form
      getOutHelpWidth: () => io.stdout.columns,
    })
  }
  return program
}

/** Without `help` if what follows is no command: commander would show the general help, and rejects the command itself. */
function askedOf(program: Command, words: readonly string[]): readonly string[] {
  const at = words.indexOf('help')
  const name = words[at + 1]
  const group =
    at === 0 ? program : at === 1 ? program.commands.find((command) => command.name() === words[0]) : undefined
  if (!group?.commands.length || name === undefined || name.startsWith('-') || name === 'help') return words
  return group.commands.some((command) => command.name() === name) ? words : words.filter((_, index) => index !== at)
}

function usageError(error: CommanderError): OAuthError {
  const message = error.code === 'commander.help' ? 'a command is missing' : error.message.replace(/^error: /, '')
  return new OAuthError('USAGE', message)
}

const GUIDE = `
Quick start:
  atproto-oauth init alice.bsky.social         open the URL it prints, sign in
  umask 077                                    what follows makes a file of secrets
  atproto-oauth complete > session.env         paste the address on which the browser ended
  set -a; . ./session.env; set +a
  atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post limit=5

Credentials in the environment:
  ATPROTO_OAUTH_REFRESH_TOKEN, ATPROTO_OAUTH_DPOP_PRIVATE_JWK, ATPROTO_OAUTH_PDS_ISSUER, ATPROTO_OAUTH_DID,
  ATPROTO_OAUTH_CLIENT_ID as \`complete\` prints them, or ATPROTO_OAUTH_SESSION alone (\`complete --format bundle\`)

Exit codes:
  0 done   1 unexpected   2 usage   3 network, try again   4 refused   5 no session: run init
  6 sent, no answer   7 permission missing   8 XRPC error   9 rate limited   10 saving failed
  11 deadline near   130, 143 interrupted
`
