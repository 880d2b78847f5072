/**
 * The value of each setting that holds now, and where it comes from.
 */
import { join } from 'node:path'
import { VAULT, variable } from '../../credentials/variables.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { type Config, type ConfigKey, configPath, configValue } from '../../node/config/read.ts'
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
  readonly problem?: { readonly message: string; readonly hint: string }
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
  try {
    if (key === 'vault') return await vaultInUse(context)
    return key === 'encrypt-store' ? await encryption(config, context) : settingValue(key, config, context)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    const problem = { message: error.message, hint: hintOf(error) }
    return { key, value: undefined, source: 'config', origin: config?.path, problem }
  }
}

/** @throws {OAuthError} `USAGE` it is not valid */
function settingValue(key: ConfigKey, config: Config | undefined, { io, dev }: SettingsContext): Effective {
  const setting = settingOf(key)
  const found: Found<unknown> | undefined = setting?.find({}, io.environment, config)
  if (found === undefined) return { key, value: undefined, source: 'default', origin: undefined }
  const value = found.value as string | readonly string[]
  checkSetting(key, { ...found, value }, dev)
  const isVariable = found.source === 'variable'
  return {
    key,
    value,
    source: isVariable ? 'variable' : 'config',
    origin: isVariable ? setting?.variable : config?.path,
  }
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
  if (home !== undefined && now !== 'off') return { key, value: now, source: 'config', origin: encryptionPath(home) }
  if (value === undefined) return { key, value, source: 'default', origin: undefined }
  if (value === 'off') return { key, value, source: 'config', origin: config?.path }
  const problem = {
    message: `${key} in ${config?.path} is ${value}, and the store is not encrypted`,
    hint: `atproto-oauth config set ${key} ${value}`,
  }
  return { key, value: undefined, source: 'config', origin: config?.path, problem }
}

async function vaultInUse({ common, io }: SettingsContext): Promise<Effective> {
  const key = 'vault'
  const named = variable(io.environment, VAULT)
  if (named !== undefined) {
    const { withoutLogin } = await import('../../node/vault/connect.ts')
    const { address } = await withoutLogin(named)
    return { key, value: address, source: 'variable', origin: VAULT }
  }
  const home = homeOf(common, io)
  const { readKnownVaults } = await import('../../node/vault/known.ts')
  const current = home === undefined ? undefined : (await readKnownVaults(home)).current
  if (home === undefined || current === undefined)
    return { key, value: undefined, source: 'default', origin: undefined }
  return { key, value: current, source: 'vault', origin: join(home, 'vault.json') }
}
