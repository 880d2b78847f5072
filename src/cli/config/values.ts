/**
 * The value of each setting that holds now, and where it comes from.
 */
import { join } from 'node:path'
import { VAULT, variable } from '../../credentials/variables.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { type Config, configPath, configValue } from '../../node/config/read.ts'
import type { ConfigPlace } from '../../node/config/write.ts'
import { homeOf } from '../context.ts'
import { hintOf } from '../errors.ts'
import type { SettingsContext } from '../invocation.ts'
import { type Found, SETTINGS } from '../options.ts'
import { checkSetting } from './check.ts'
import { type SettingKey, settingOf } from './keys.ts'

export interface Effective {
  readonly key: SettingKey
  /** `undefined` if it is not set, or cannot be used. */
  readonly value: string | readonly string[] | undefined
  readonly source: 'variable' | 'config' | 'vault' | 'default'
  /** The name of the variable, or the path of the file. */
  readonly origin: string | undefined
  readonly problem?: {
    readonly message: string
    readonly hint: string
    /** The value is not wrong: it cannot be read now. */
    readonly isLocked?: boolean
  }
}

/** @throws {OAuthError} `USAGE` the user has no home */
export function placeOf({ common, io }: Pick<SettingsContext, 'common' | 'io'>): ConfigPlace {
  const home = homeOf(common, io)
  const path = configPath(SETTINGS.home.read(common, io.environment))
  if (home !== undefined && path !== undefined) return { home, path }
  throw new OAuthError('USAGE', 'this user has no home directory to keep settings in', {
    facts: { reason: 'home-needed' },
  })
}

export async function effectiveValue(
  key: SettingKey,
  config: Config | undefined,
  context: SettingsContext,
): Promise<Effective> {
  if (key === 'vault') return vaultInUse(context)
  const { io, dev } = context
  const setting = settingOf(key)
  const inFile = { key, value: undefined, source: 'config', origin: config?.path } as const
  let found: Found<unknown> | undefined
  try {
    if (setting === undefined) return await encryption(config, context)
    found = setting.find({}, io.environment, config)
  } catch (error) {
    return { ...inFile, problem: problemOf(error) }
  }
  if (found === undefined) return unset(key)
  const value = found.value as string | readonly string[]
  const place = found.source === 'variable' ? { source: found.source, origin: setting?.variable } : inFile
  try {
    checkSetting(key, { ...found, value }, dev)
    return { ...place, key, value }
  } catch (error) {
    return { ...place, key, value: undefined, problem: problemOf(error) }
  }
}

function unset(key: SettingKey): Effective {
  return { key, value: undefined, source: 'default', origin: undefined }
}

function problemOf(error: unknown): NonNullable<Effective['problem']> {
  if (!isOAuthError(error)) throw error
  return { message: error.message, hint: hintOf(error), isLocked: isOAuthError(error, 'STORE_LOCKED') }
}

/** As the store itself says. */
async function encryption(config: Config | undefined, { common, io }: SettingsContext): Promise<Effective> {
  const key = 'encrypt-store'
  const set = config && configValue(config, key)
  const value = set === undefined ? undefined : String(set)
  if (value !== undefined) checkSetting(key, { value, source: 'config', name: `${key} in ${config?.path}` }, false)
  const home = homeOf(common, io)
  const { storeEncryption } = await import('../../node/store/change-encryption.ts')
  const { encryptionPath } = await import('../../node/store/parts.ts')
  const now = home === undefined ? 'off' : await storeEncryption(home)
  if (home !== undefined && now !== 'off' && (value === undefined || value === 'off' || value === now)) {
    return { key, value: now, source: 'config', origin: encryptionPath(home) }
  }
  if (value === undefined) return unset(key)
  if (value === 'off') return { key, value, source: 'config', origin: config?.path }
  const problem = {
    message: `${key} in ${config?.path} is ${value}, and the store is ${now === 'off' ? 'not encrypted' : `encrypted with a ${now}`}`,
    hint: `atproto-oauth config set ${key} ${value}`,
  }
  return { key, value: undefined, source: 'config', origin: config?.path, problem }
}

async function vaultInUse({ common, io }: SettingsContext): Promise<Effective> {
  const key = 'vault'
  const named = variable(io.environment, VAULT)
  const home = homeOf(common, io)
  const place =
    named === undefined
      ? { source: 'vault' as const, origin: home === undefined ? undefined : join(home, 'vault.json') }
      : { source: 'variable' as const, origin: VAULT }
  try {
    const value = named === undefined ? await currentVault(home) : await addressOf(named, io)
    return value === undefined ? unset(key) : { ...place, key, value }
  } catch (error) {
    return { ...place, key, value: undefined, problem: problemOf(error) }
  }
}

async function currentVault(home: string | undefined): Promise<string | undefined> {
  if (home === undefined) return undefined
  const { readKnownVaults } = await import('../../node/vault/known.ts')
  return (await readKnownVaults(home)).current
}

/** Without the password that it may contain. */
async function addressOf(named: string, { environment }: SettingsContext['io']): Promise<string> {
  const { normalizeAddress, withoutLogin } = await import('../../node/vault/connect.ts')
  return normalizeAddress((await withoutLogin(named)).address, environment)
}
