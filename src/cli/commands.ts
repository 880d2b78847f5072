/**
 * The commands, as `--help` lists them. Each is loaded only when it is named: a start is most of
 * what a short command takes.
 */
import { Command } from 'commander'
import { addCommonOptions } from './options.ts'
import type { Runner } from './run.ts'

interface Entry {
  readonly name: string
  /** What stands behind the name in the usage line. */
  readonly takes: string
  readonly summary: string
  load(): Promise<(runner: Runner) => Command>
}

/** It is about all of the others. */
const COMPLETION = 'completion'

export const COMMANDS: readonly Entry[] = [
  {
    name: 'init',
    takes: '[options] <handle|did|url>',
    summary: 'start a login: print the URL to sign in at',
    load: async () => (await import('./login/init.ts')).initCommand,
  },
  {
    name: 'complete',
    takes: '[options] [callback-url]',
    summary: 'finish a login: take the callback URL, print the credentials',
    load: async () => (await import('./login/complete.ts')).completeCommand,
  },
  {
    name: 'login',
    takes: '[options] <handle|did|url>',
    summary: 'sign in with the browser of this machine, print the credentials',
    load: async () => (await import('./login/login.ts')).loginCommand,
  },
  {
    name: 'call',
    takes: '[options] [nsid] [field...]',
    summary: 'make one XRPC request as the account',
    load: async () => (await import('./call/call.ts')).callCommand,
  },
  {
    name: 'status',
    takes: '[options]',
    summary: 'show whose session it is, where it is kept, and how long it can last',
    load: async () => (await import('./session/status.ts')).statusCommand,
  },
  {
    name: 'refresh',
    takes: '[options]',
    summary: 'renew the tokens of the session now, and save them',
    load: async () => (await import('./session/refresh.ts')).refreshCommand,
  },
  {
    name: 'lease',
    takes: '[options]',
    summary: 'print an access token and its key, without the refresh token, for parallel jobs',
    load: async () => (await import('./session/lease.ts')).leaseCommand,
  },
  {
    name: 'revoke',
    takes: '[options]',
    summary: 'end the session on the server, and forget it here',
    load: async () => (await import('./session/revoke.ts')).revokeCommand,
  },
  {
    name: 'proof',
    takes: '[options] <method> <url> [command...]',
    summary: 'print the Authorization and DPoP headers of one request, for another tool to send',
    load: async () => (await import('./session/proof.ts')).proofCommand,
  },
  {
    name: 'import',
    takes: '[options] [file]',
    summary: 'take over a session that a program with @atproto/oauth-client-node has stored',
    load: async () => (await import('./session/import.ts')).importCommand,
  },
  {
    name: 'export',
    takes: '[options]',
    summary: 'hand the session over to a program with @atproto/oauth-client-node',
    load: async () => (await import('./session/export.ts')).exportCommand,
  },
  {
    name: 'client',
    takes: '[options] [command]',
    summary: 'make a client document of your own, or judge a hosted one',
    load: async () => (await import('./client/client.ts')).clientCommand,
  },
  {
    name: 'doctor',
    takes: '[options] [handle|did|url]',
    summary: 'look at identity, servers, client, clock, proxy and sessions, and say how to repair them',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: COMPLETION,
    takes: '[options] <shell>',
    summary: 'print the script with which a shell completes these commands',
    load: async () => (await import('./completion/completion.ts')).completionCommand,
  },
]

/**
 * All commands, and of those that occur among the arguments their options and work as well: which of them is meant
 * only the parser can tell.
 */
export function loadCommands(args: readonly string[], runner: Runner): Promise<Command[]> {
  const all = args.includes(COMPLETION)
  return Promise.all(
    COMMANDS.map(async ({ name, takes, summary, load }) => {
      const isMeant = all || args.includes(name)
      const command = isMeant ? withCommonOptions((await load())(runner)) : new Command(name).usage(takes)
      return command.description(summary)
    }),
  )
}

/** For those that run: a command with others below it only holds them. */
function withCommonOptions(command: Command): Command {
  for (const leaf of command.commands.length > 0 ? command.commands : [command]) addCommonOptions(leaf)
  return command
}
