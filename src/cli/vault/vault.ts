/**
 * `vault`: makes, checks and empties a vault, which keeps sessions for many machines.
 */
import { Command } from 'commander'
import type { Runner } from '../invocation.ts'
import { vaultCheckCommand } from './check.ts'
import { vaultDestroyCommand } from './destroy.ts'
import { vaultKeyCommand } from './key.ts'
import { vaultListCommand } from './list.ts'
import { vaultMoveCommand } from './move.ts'
import { vaultNewCommand } from './new.ts'
import { vaultRekeyCommand } from './rekey.ts'
import { vaultRemoveCommand } from './remove.ts'
import { vaultUseCommand } from './use.ts'

export function vaultCommand(runner: Runner): Command {
  return new Command('vault')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .addCommand(vaultNewCommand(runner))
    .addCommand(vaultUseCommand(runner))
    .addCommand(vaultKeyCommand(runner))
    .addCommand(vaultCheckCommand(runner))
    .addCommand(vaultListCommand(runner))
    .addCommand(vaultRekeyCommand(runner))
    .addCommand(vaultMoveCommand(runner))
    .addCommand(vaultRemoveCommand(runner))
    .addCommand(vaultDestroyCommand(runner))
}
