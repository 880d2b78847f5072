/**
 * The commands, in the order of `--help`. Each module is loaded only when its command is named, because loading
 * takes most of the time of a short command.
 */
import { Command } from 'commander'
import type { Runner } from './invocation.ts'
import { addCommonOptions } from './options.ts'

interface Entry {
  readonly name: string
  /** The rest of the usage line, after the name. */
  readonly usage: string
  readonly summary: string
  load(): Promise<(runner: Runner) => Command>
}

/** Needs all other commands loaded. */
const COMPLETION = 'completion'

export const COMMANDS: readonly Entry[] = [
  {
    name: 'init',
    usage: '[options] <handle|did|url>',
    summary: 'Start a login and print the sign-in URL',
    load: async () => (await import('./login/init.ts')).initCommand,
  },
  {
    name: 'complete',
    usage: '[options] [callback-url]',
    summary: 'Finish a login with the callback URL, then print or save the credentials',
    load: async () => (await import('./login/complete.ts')).completeCommand,
  },
  {
    name: 'login',
    usage: '[options] <handle|did|url>',
    summary: 'Sign in with the browser on this machine, then print or save the credentials',
    load: async () => (await import('./login/login.ts')).loginCommand,
  },
  {
    name: 'call',
    usage: '[options] [nsid] [field...]',
    summary: 'Send XRPC requests as the signed-in account',
    load: async () => (await import('./call/call.ts')).callCommand,
  },
  {
    name: 'status',
    usage: '[options]',
    summary: 'Show the account, storage and deadlines of the session',
    load: async () => (await import('./session/status.ts')).statusCommand,
  },
  {
    name: 'whoami',
    usage: '[options]',
    summary: 'Show the session in one line',
    load: async () => (await import('./session/status.ts')).whoamiCommand,
  },
  {
    name: 'accounts',
    usage: '[options] [command]',
    summary: 'List the sessions, choose the default one, and name them',
    load: async () => (await import('./session/accounts.ts')).accountsCommand,
  },
  {
    name: 'refresh',
    usage: '[options]',
    summary: 'Refresh the tokens now and save them',
    load: async () => (await import('./session/refresh.ts')).refreshCommand,
  },
  {
    name: 'lease',
    usage: '[options]',
    summary: 'Print an access token and its DPoP key, without the refresh token, for parallel jobs',
    load: async () => (await import('./session/lease.ts')).leaseCommand,
  },
  {
    name: 'revoke',
    usage: '[options]',
    summary: 'Revoke the session on the server and delete it from the store',
    load: async () => (await import('./session/revoke.ts')).revokeCommand,
  },
  {
    name: 'proof',
    usage: '[options] <method> <url> [command...]',
    summary: 'Print the Authorization and DPoP headers for one request of another tool',
    load: async () => (await import('./session/proof.ts')).proofCommand,
  },
  {
    name: 'run',
    usage: '[options] [--] [command...]',
    summary: 'Run a program that signs in with an app password, over this session',
    load: async () => (await import('./run/run.ts')).runCommand,
  },
  {
    name: 'import',
    usage: '[options] [file]',
    summary: 'Import a session stored by @atproto/oauth-client-node',
    load: async () => (await import('./session/import.ts')).importCommand,
  },
  {
    name: 'export',
    usage: '[options]',
    summary: 'Export the session for @atproto/oauth-client-node',
    load: async () => (await import('./session/export.ts')).exportCommand,
  },
  {
    name: 'scope',
    usage: '[options] [command]',
    summary: 'Explain permissions, and resolve permission sets',
    load: async () => (await import('./scope/scope.ts')).scopeCommand,
  },
  {
    name: 'client',
    usage: '[options] [command]',
    summary: 'Create or check a client metadata document',
    load: async () => (await import('./client/client.ts')).clientCommand,
  },
  {
    name: 'vault',
    usage: '[options] [command]',
    summary: 'Keep sessions in an encrypted vault that many machines share',
    load: async () => (await import('./vault/vault.ts')).vaultCommand,
  },
  {
    name: 'config',
    usage: '[options] [command]',
    summary: 'Set defaults for all commands, and list them',
    load: async () => (await import('./config/config.ts')).configCommand,
  },
  {
    name: 'doctor',
    usage: '[options] [handle|did|url]',
    summary: 'Check identity, servers, client, clock, proxy and sessions, and suggest fixes',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: COMPLETION,
    usage: '[options] <shell>',
    summary: 'Print a shell completion script',
    load: async () => (await import('./completion/completion.ts')).completionCommand,
  },
]

/**
 * The commands. Each one named anywhere in the arguments is loaded in full, because only the parser can tell which
 * argument is the command. Of the others only help and errors say something: where the first argument is a command, they
 * are omitted.
 */
export function loadCommands(args: readonly string[], runner: Runner): Promise<Command[]> {
  const all = args.includes(COMPLETION)
  const isFirst = COMMANDS.some(({ name }) => name === args[0])
  const wanted = isFirst && !all ? COMMANDS.filter(({ name }) => args.includes(name)) : COMMANDS
  return Promise.all(
    wanted.map(async (about) => {
      const isNamed = all || args.includes(about.name)
      return isNamed
        ? withCommonOptions((await about.load())(runner)).description(about.summary)
        : withoutOptions(about)
    }),
  )
}

/** Those that {@link loadCommands} omits. */
export function otherCommands(program: Command): Command[] {
  return COMMANDS.filter(({ name }) => program.commands.every((command) => command.name() !== name)).map(withoutOptions)
}

function withoutOptions({ name, usage, summary }: (typeof COMMANDS)[number]): Command {
  return new Command(name).usage(usage).description(summary)
}

/** Only a command that runs gets options: a command with subcommands does not run itself. */
function withCommonOptions(command: Command): Command {
  for (const leaf of command.commands.length > 0 ? command.commands : [command]) addCommonOptions(leaf)
  return command
}
