/**
 * The names of the user's settings, and what was meant by a name that is none.
 */
import type { OAuthError } from '../../errors.ts'
import { CONFIG_KEYS, type ConfigKey } from '../../node/config/read.ts'
import { CliError } from '../errors.ts'
import { SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'

/** The vault is kept with its key, in a file of its own. */
export type SettingKey = ConfigKey | 'vault'

/** In the order in which they are listed. */
export const SETTING_KEYS: readonly SettingKey[] = CONFIG_KEYS.flatMap((key) =>
  key === 'save' ? ([key, 'vault'] as const) : [key],
)

/** How shells complete the value of a setting: see src/cli/completion/outline.ts. */
export const STORE_ENCRYPTIONS = ['off', 'keychain', 'passphrase'] as const

/** The option and the variable of a setting, where it has them. */
export function settingOf(key: ConfigKey): Declared | undefined {
  return Object.values<Declared>(SETTINGS).find(({ configKey }) => configKey === key)
}

type Declared = (typeof SETTINGS)[keyof typeof SETTINGS]

export function isSettingKey(text: string): text is SettingKey {
  return (SETTING_KEYS as readonly string[]).includes(text)
}

/**
 * @param rest the arguments after the name, for the hint
 * @throws {OAuthError} `USAGE` there is no such setting
 */
export function parseKey(text: string, command: 'get' | 'set' | 'unset', rest: readonly string[] = []): SettingKey {
  if (isSettingKey(text)) return text
  throw unknownKey(text, command, rest)
}

function unknownKey(text: string, command: string, rest: readonly string[]): OAuthError {
  const line = (...words: readonly string[]) => `atproto-oauth config ${command} ${words.map(shellQuote).join(' ')}`
  const [name = '', ...after] = text.split('=')
  const meant = meantBy(name)
  if (after.length > 0 && meant !== undefined) {
    const value = after.join('=')
    const hint = command === 'set' && value !== '' ? line(meant, value, ...rest) : line(meant)
    return new CliError('USAGE', `${JSON.stringify(text)} is not the name of a setting: write the value after it`, {
      hint,
    })
  }
  const elsewhere = ELSEWHERE[normalized(text)]
  if (elsewhere !== undefined) {
    return new CliError('USAGE', `${JSON.stringify(text)} cannot be kept in the settings`, { hint: elsewhere })
  }
  if (meant === undefined) {
    const hint = `use one of ${SETTING_KEYS.join(', ')}`
    return new CliError('USAGE', `unknown setting ${JSON.stringify(text)}`, { hint })
  }
  const what = /^ATPROTO_OAUTH_/i.test(text) ? `${text} is a variable; the setting is ${meant}` : undefined
  const message = what ?? `unknown setting ${JSON.stringify(text)}: did you mean ${meant}?`
  return new CliError('USAGE', message, { hint: line(meant, ...rest) })
}

/** Variables that the file has no place for. Secrets are none of its values. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  home: 'set ATPROTO_OAUTH_HOME: the settings are in that directory',
  dev: 'set ATPROTO_OAUTH_DEV=1 where you need it',
  scope: 'set ATPROTO_OAUTH_SCOPE, or add --scope to the login',
  source: 'set ATPROTO_OAUTH_SOURCE',
  'no-store': 'set ATPROTO_OAUTH_NO_STORE=1, or add --no-store',
  session: 'set ATPROTO_OAUTH_SESSION, or keep the session with --save store',
  did: 'choose the account: atproto-oauth config set account alice.bsky.social',
  'refresh-token': 'set ATPROTO_OAUTH_REFRESH_TOKEN, or keep the session with --save store',
  'dpop-private-jwk': 'set ATPROTO_OAUTH_DPOP_PRIVATE_JWK, or keep the session with --save store',
  'client-jwk': 'set ATPROTO_OAUTH_CLIENT_JWK',
  'vault-key': 'keep it with its vault, as in: atproto-oauth vault use git:https://github.com/OWNER/REPO',
  'vault-token': 'set ATPROTO_OAUTH_VAULT_TOKEN',
}

function normalized(text: string): string {
  return text
    .replace(/^ATPROTO_OAUTH_/i, '')
    .replace(/^-+/, '')
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[_. ]/g, '-')
}

function meantBy(text: string): SettingKey | undefined {
  const name = normalized(text)
  if (isSettingKey(name)) return name
  if (Object.hasOwn(OTHER_NAMES, name)) return OTHER_NAMES[name]
  const near = SETTING_KEYS.map((key) => ({ key, distance: distance(name, key) }))
  near.sort((one, other) => one.distance - other.distance)
  const [nearest] = near
  return nearest !== undefined && nearest.distance <= Math.min(2, name.length / 3) ? nearest.key : undefined
}

const OTHER_NAMES: Readonly<Record<string, SettingKey>> = {
  client: 'client-id',
  encryption: 'encrypt-store',
  handle: 'account',
  plc: 'plc-url',
  'plc-directory': 'plc-url',
  redirect: 'redirect-uri',
  'redirect-url': 'redirect-uri',
  resolver: 'handle-resolver',
  target: 'save',
  user: 'account',
}

/** Of Levenshtein. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1]
    for (const [place, against] of [...other].entries()) {
      next.push(Math.min(row[place + 1]! + 1, next[place]! + 1, row[place]! + (letter === against ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1)!
}
