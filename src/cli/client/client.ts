/**
 * `client`: creates and checks client metadata documents.
 */
import { Command } from 'commander'
import type { Runner } from '../invocation.ts'
import { clientCheckCommand } from './check.ts'
import { clientNewCommand } from './new.ts'

export function clientCommand(runner: Runner): Command {
  return new Command('client')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .addCommand(clientNewCommand(runner))
    .addCommand(clientCheckCommand(runner))
}
