/**
 * `config`: the user's defaults, in one file.
 */
import { Command } from 'commander'
import type { Runner } from '../invocation.ts'
import { configGetCommand } from './get.ts'
import { configListCommand } from './list.ts'
import { configSetCommand, configUnsetCommand } from './set.ts'

export function configCommand(runner: Runner): Command {
  return new Command('config')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .addCommand(configListCommand(runner))
    .addCommand(configGetCommand(runner))
    .addCommand(configSetCommand(runner))
    .addCommand(configUnsetCommand(runner))
}
