/**
 * `config get`: one setting, for scripts.
 */
import { Argument, Command } from 'commander'
import { readConfig } from '../../node/config/read.ts'
import { toSafeJson } from '../../text.ts'
import { CliError } from '../errors.ts'
import type { Runner, SettingsContext } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { parseKey, SETTING_KEYS } from './keys.ts'
import { defaultOf } from './list.ts'
import { effectiveValue, placeOf } from './values.ts'

export function configGetCommand(runner: Runner): Command {
  return new Command('get')
    .description('Print the value of a setting')
    .addArgument(new Argument('<key>', `Setting: ${SETTING_KEYS.join(', ')}`))
    .addHelpText('after', NOTES)
    .action(runner.settings(runGet))
}

const NOTES = `
Prints the value that commands use, which may come from a variable. Save targets are printed one per line. If it is
neither in a variable nor in the file, nothing is printed and the exit code is 2.

Examples:
  atproto-oauth config get account
  atproto-oauth config get save --json
`

async function runGet(name: string, _: CommonOptions, context: SettingsContext): Promise<void> {
  const { output } = context
  const key = parseKey(name, 'get')
  const config = readConfig(placeOf(context).path, output.warn)
  const { value, source, origin, problem } = await effectiveValue(key, config, context)
  if (problem) throw new CliError(problem.isLocked ? 'STORE_LOCKED' : 'USAGE', problem.message, { hint: problem.hint })
  if (value === undefined) {
    const usual = defaultOf(key)
    throw new CliError('SETTING_MISSING', `${key} is not set${usual === undefined ? '' : `; the default is ${usual}`}`)
  }
  await output.data(output.json ? `${toSafeJson({ key, value, source, origin })}\n` : `${[value].flat().join('\n')}\n`)
}
