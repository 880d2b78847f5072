/**
 * `accounts`: the sessions at hand, which one is used, and what they are called.
 */
import { Command } from 'commander'
import type { Runner } from '../invocation.ts'
import { accountsListCommand } from './accounts-list.ts'
import { accountsNameCommand } from './accounts-name.ts'
import { accountsUseCommand } from './accounts-use.ts'

export function accountsCommand(runner: Runner): Command {
  return new Command('accounts')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .addCommand(accountsListCommand(runner), { isDefault: true })
    .addCommand(accountsUseCommand(runner))
    .addCommand(accountsNameCommand(runner))
}
