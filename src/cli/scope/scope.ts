/**
 * `scope`: what permissions allow, before they are requested and after they were granted.
 */
import { Command } from 'commander'
import type { Runner } from '../invocation.ts'
import { explainCommand } from './explain.ts'
import { resolveCommand } from './resolve.ts'

export function scopeCommand(runner: Runner): Command {
  return new Command('scope')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .addCommand(explainCommand(runner))
    .addCommand(resolveCommand(runner))
}
