/**
 * What `doctor` says of the user's settings.
 */
import { isOAuthError } from '../../errors.ts'
import { type Config, configValue } from '../../node/config/read.ts'
import type { Finding } from '../../ports.ts'
import { hintOf } from '../errors.ts'
import { checkSetting } from './check.ts'
import { isSettingKey } from './keys.ts'

/** Nothing for a user without a file. */
export function* settingsFindings(config: Config | undefined, dev: boolean): Generator<Finding> {
  if (config === undefined) return
  const topic = 'settings'
  const keys = [...config.entries.keys()]
  const known = keys.filter(isSettingKey).filter((key) => key !== 'vault')
  const faults: Finding[] = []
  for (const key of known) {
    try {
      const value = configValue(config, key)
      if (value !== undefined) checkSetting(key, { value, source: 'config', name: `${key} in ${config.path}` }, dev)
    } catch (error) {
      if (!isOAuthError(error)) throw error
      faults.push({ topic, verdict: 'broken', detail: error.message, fix: hintOf(error), milliseconds: 0 })
    }
  }
  yield* faults
  const foreign = keys.filter((key) => !(known as string[]).includes(key))
  if (foreign.length > 0) {
    const detail = `${config.path} has settings that this version does not know: ${foreign.join(', ')}`
    yield { topic, verdict: 'warning', detail, fix: 'remove them with `config unset`, or update', milliseconds: 0 }
  }
  if (faults.length > 0) return
  yield { topic, verdict: 'ok', detail: `${config.path}: ${known.join(', ') || 'none'}`, milliseconds: 0 }
}
