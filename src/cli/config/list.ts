/**
 * `config list`: the settings that hold, and where each comes from.
 */
import { Command } from 'commander'
import { readConfig } from '../../node/config/read.ts'
import { sanitize, toSafeJson } from '../../text.ts'
import type { Runner, SettingsContext } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { isSettingKey, SETTING_KEYS, settingOf } from './keys.ts'
import { type Effective, effectiveValue, placeOf } from './values.ts'

export function configListCommand(runner: Runner): Command {
  return new Command('list')
    .description('List the settings and where each comes from')
    .addHelpText('after', NOTES)
    .action(runner.settings(runList))
}

const NOTES = `
A variable overrides a setting in the file, and an option overrides both. Invalid values are reported on stderr.

Examples:
  atproto-oauth config list
  atproto-oauth config list --json
`

async function runList(_: CommonOptions, context: SettingsContext): Promise<void> {
  const { output } = context
  const { path } = placeOf(context)
  const config = readConfig(path, output.warn)
  const settings: Effective[] = []
  for (const key of SETTING_KEYS) settings.push(await effectiveValue(key, config, context))
  const unknown = [...(config?.entries.keys() ?? [])].filter((key) => !isSettingKey(key) || key === 'vault')
  await output.data(
    output.json ? `${toSafeJson({ path, settings: settings.map(forJson), unknown })}\n` : table(settings),
  )
  for (const { problem } of settings) if (problem) output.warn(`${problem.message}: ${problem.hint}`)
  if (unknown.length > 0) {
    output.warn(`${path} has settings that this version does not know: ${sanitize(unknown.join(', '), 1000)}`)
  }
}

function forJson({ key, value, source, origin, problem }: Effective) {
  return { key, value: value ?? (problem ? null : (defaultOf(key) ?? null)), source, origin, problem: problem?.message }
}

const DEFAULTS: Readonly<Record<string, string>> = { 'encrypt-store': 'off' }

/** What holds without the setting, if that is a value. */
export function defaultOf(key: Effective['key']): string | undefined {
  if (Object.hasOwn(DEFAULTS, key)) return DEFAULTS[key]
  const text = key === 'vault' ? undefined : settingOf(key)?.defaultValue
  return text !== undefined && URL.canParse(text) ? text : undefined
}

function table(settings: readonly Effective[]): string {
  const rows = settings.map(({ key, value, origin, problem }) => {
    const shown = value === undefined ? (defaultOf(key) ?? '-') : [value].flat().join(', ')
    return [key, sanitize(problem ? 'not valid' : shown, 4000), origin ?? 'default'] as const
  })
  const widths = [0, 1].map((at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows
    .map(([key, value, origin]) => `${key.padEnd(widths[0]! + 2)}${value.padEnd(widths[1]! + 2)}${origin}\n`)
    .join('')
}
