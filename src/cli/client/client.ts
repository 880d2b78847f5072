/**
 * `client`: what is about a client of one's own.
 */
import { Command } from 'commander'
import type { Runner } from '../run.ts'
import { clientCheckCommand } from './check.ts'
import { clientNewCommand } from './new.ts'

export function clientCommand(runner: Runner): Command {
  return new Command('client')
    .helpOption('-h, --help', 'show this')
    .addCommand(clientNewCommand(runner))
    .addCommand(clientCheckCommand(runner))
}
