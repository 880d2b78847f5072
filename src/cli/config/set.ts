/**
 * `config set` and `config unset`: change the file of the user's settings.
 */
import { Argument, Command } from 'commander'
import { cleaned, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import { type ConfigKey, readConfig } from '../../node/config/read.ts'
import { changeConfig } from '../../node/config/write.ts'
import { normalizeTarget, VAULT } from '../../node/save/targets.ts'
import { CliError } from '../errors.ts'
import type { Runner, SettingsContext } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { checkPair, checkSetting } from './check.ts'
import { encryptStore, type StoreEncryption } from './encryption.ts'
import { isSettingKey, parseKey, SETTING_KEYS, type SettingKey, settingOf } from './keys.ts'
import { effectiveValue, placeOf } from './values.ts'
import { chooseVault, leaveVault } from './vault.ts'

export function configSetCommand(runner: Runner): Command {
  return new Command('set')
    .description('Set a default for all commands')
    .addArgument(new Argument('<key>', `Setting: ${SETTING_KEYS.join(', ')}`))
    .addArgument(new Argument('[value...]', 'Value; for save, one or several targets'))
    .addHelpText('after', NOTES)
    .action(runner.settings(runSet))
}

const NOTES = `
The value is checked. A variable overrides it, and an option overrides both. Settings never replace the
credentials of a session: client-id is used for new logins only.

Examples:
  atproto-oauth config set client-id https://alice.github.io/bot/oauth-client-metadata.json
  atproto-oauth config set account alice.bsky.social
  atproto-oauth config set save store gh:alice/bot
  atproto-oauth config set encrypt-store keychain

encrypt-store encrypts sessions, logins and the keys of vaults on this machine, with a key in the keychain of the
system, or with a passphrase: ATPROTO_OAUTH_STORE_KEY, or asked for at a terminal. To replace the passphrase, set it
again; without a terminal the new one is read from stdin.
`

export function configUnsetCommand(runner: Runner): Command {
  return new Command('unset')
    .description('Remove a setting')
    .addArgument(new Argument('<key>', `Setting: ${SETTING_KEYS.join(', ')}`))
    .addHelpText('after', UNSET_NOTES)
    .action(runner.settings(runUnset))
}

const UNSET_NOTES = `
\`config unset vault\` keeps the key of the vault on this machine: \`vault use\` or \`config set vault\` uses it again.

Example:
  atproto-oauth config unset account
`

async function runSet(
  name: string,
  words: readonly string[],
  _: CommonOptions,
  context: SettingsContext,
): Promise<void> {
  const { output, dev } = context
  const key = parseKey(name, 'set', words)
  const values = words.map(cleaned)
  const [value = ''] = values
  if (values.includes('') || value === '') {
    throw new CliError(
      'USAGE',
      words.length === 0 ? `the value of ${key} is missing` : `the value of ${key} is empty: was its variable not set?`,
      {
        hint: `to remove the setting: atproto-oauth config unset ${key}`,
      },
    )
  }
  if (key !== 'save' && values.length > 1) {
    throw new CliError('USAGE', `${key} has one value, not ${values.length}`, {
      hint: `atproto-oauth config set ${key} ${shellQuote(value)}`,
    })
  }
  if (key === 'vault') return chooseVault(value, context)
  const place = placeOf(context)
  const given = key === 'save' ? values.map(savedAs) : value
  checkSetting(key, { value: given, source: 'flag', name: key }, dev)
  if (key === 'save' && given.includes(VAULT)) await requireVaultHere(context)
  const change = () =>
    key === 'encrypt-store'
      ? encryptStore(place, value as StoreEncryption, context)
      : changeConfig(place, { [key]: given })
  const before = await change()
  output.note(`${key} is set in ${place.path}`)
  warnOfVariable(key, context)
  warnOfPair(new Map([...before, [key, given]]), output)
}

/**
 * Without a vault, a login with this setting could not be saved.
 *
 * @throws {OAuthError} `USAGE`
 */
async function requireVaultHere(context: SettingsContext): Promise<void> {
  const { value, problem } = await effectiveValue('vault', undefined, context)
  if (value !== undefined || problem !== undefined) return
  throw new CliError('USAGE', 'save cannot be vault: no vault is set', {
    hint: 'create one, as in: atproto-oauth vault new git:https://github.com/OWNER/REPO; or use one: atproto-oauth vault use --help',
  })
}

/** Not relative to the folder of one day. */
function savedAs(target: string): string {
  try {
    return normalizeTarget(target)
  } catch (error) {
    if (!isOAuthError(error) || error.facts.reason !== 'target-malformed') throw error
    const { targets, file } = error.facts
    const meant = targets ?? (file === undefined ? undefined : [`file:${file}`])
    const hint = meant
      ? `atproto-oauth config set save ${meant.map(shellQuote).join(' ')}`
      : 'use store, vault, file:PATH, gh:OWNER/REPO or exec:COMMAND'
    throw new CliError(error.code, error.message, { cause: error, hint })
  }
}

function warnOfVariable(key: ConfigKey, { io, output }: SettingsContext): void {
  const name = settingOf(key)?.variable
  if (name === undefined || variable(io.environment, name) === undefined) return
  output.warn(`${name} is set, and overrides this setting`)
}

function warnOfPair(entries: ReadonlyMap<string, unknown>, { warn }: SettingsContext['output']): void {
  const [clientId, redirectUri] = [entries.get('client-id'), entries.get('redirect-uri')]
  if (typeof clientId !== 'string' || typeof redirectUri !== 'string') return
  const problem = checkPair(clientId, redirectUri)
  if (problem !== undefined) warn(`client-id and redirect-uri do not belong together: ${problem}`)
}

async function runUnset(name: string, _: CommonOptions, context: SettingsContext): Promise<void> {
  const { output } = context
  const place = placeOf(context)
  // A name of a newer version, or a misspelt one, is in the file, and can be removed from it.
  const isForeign = !isSettingKey(name) && readConfig(place.path, output.warn)?.entries.has(name) === true
  const key = isForeign ? name : parseKey(name, 'unset')
  if (key === 'vault' && (await leaveVault(context))) {
    const save = readConfig(place.path, output.warn)?.entries.get('save')
    if ([save].flat().includes(VAULT)) {
      output.warn(`save in ${place.path} is vault: logins fail as long as no vault is set`)
    }
    return
  }
  const change = () =>
    key === 'encrypt-store' ? encryptStore(place, undefined, context) : changeConfig(place, { [key]: undefined })
  const before = await change()
  if (!before.has(key)) output.note(`${key} was not set`)
  else output.note(`${key} is removed from ${place.path}`)
  if (isConfigKey(key)) warnOfVariable(key, context)
}

function isConfigKey(key: string): key is ConfigKey {
  return isSettingKey(key) && (key satisfies SettingKey) !== 'vault'
}
