/**
 * `client`: what is about a client of one's own.
 *
 * @module
 */
import { Command } from 'commander'
import { clientCheckCommand } from './client-check.ts'
import { clientNewCommand } from './client-new.ts'
import type { Runner } from './run.ts'

export function clientCommand(run: Runner): Command {
  return new Command('client')
    .helpOption('-h, --help', 'show this')
    .addCommand(clientNewCommand(run))
    .addCommand(clientCheckCommand(run))
}
