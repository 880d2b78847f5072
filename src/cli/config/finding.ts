/**
 * What `doctor` says of the user's settings, and which of them it uses.
 */
import { isOAuthError, type OAuthError } from '../../errors.ts'
import { CONFIG_KEYS, type Config, type ConfigKey, configValue } from '../../node/config/read.ts'
import type { Finding } from '../../ports.ts'
import { type ConfigReader, type Context, configOf } from '../context.ts'
import { hintOf } from '../errors.ts'
import { SETTINGS } from '../options.ts'
import { checkSetting } from './check.ts'

const TOPIC = 'settings'

/** Without those that {@link settingsFindings} finds broken. */
export const usableSettings: ConfigReader = (options, io, output) => {
  const dev = SETTINGS.dev.read(options, io.environment) ?? false
  const config = attempt(() => configOf(options, io, output))
  if (config === undefined || isOAuthError(config)) return undefined
  const usable = [...config.entries].filter(([key]) => faultOf(key, config, dev) === undefined)
  return { ...config, entries: new Map(usable) }
}

/** Nothing for a user without a file. */
export function* settingsFindings({ common, io, dev }: Pick<Context, 'common' | 'io' | 'dev'>): Generator<Finding> {
  // Its owner and mode were warned of when it was first read.
  const config = attempt(() => configOf(common, io, { warn: () => undefined }))
  if (config === undefined) return
  if (isOAuthError(config)) {
    yield broken(config)
    return
  }
  const keys = [...config.entries.keys()]
  const known = keys.filter(isOfFile)
  const faults = known.map((key) => faultOf(key, config, dev)).filter((fault) => fault !== undefined)
  yield* faults.map(broken)
  const foreign = keys.filter((key) => !isOfFile(key))
  if (foreign.length > 0) {
    const detail = `${config.path} has settings that this version does not know: ${foreign.join(', ')}`
    yield {
      topic: TOPIC,
      verdict: 'warning',
      detail,
      fix: 'remove them with `config unset`, or update',
      milliseconds: 0,
    }
  }
  if (faults.length > 0) return
  yield { topic: TOPIC, verdict: 'ok', detail: `${config.path}: ${known.join(', ') || 'none'}`, milliseconds: 0 }
}

function broken(fault: OAuthError): Finding {
  return { topic: TOPIC, verdict: 'broken', detail: fault.message, fix: hintOf(fault), milliseconds: 0 }
}

function isOfFile(key: string): key is ConfigKey {
  return (CONFIG_KEYS as readonly string[]).includes(key)
}

function faultOf(key: string, config: Config, dev: boolean): OAuthError | undefined {
  if (!isOfFile(key)) return undefined
  return attempt(() => {
    const value = configValue(config, key)
    if (value !== undefined) checkSetting(key, { value, source: 'config', name: `${key} in ${config.path}` }, dev)
    return undefined
  })
}

/** @returns what is wrong, if anything is */
function attempt<T>(work: () => T): T | OAuthError {
  try {
    return work()
  } catch (error) {
    if (!isOAuthError(error)) throw error
    return error
  }
}
