/**
 * What holds where nobody says otherwise; cheap to load, because `--help` says it.
 *
 * @module
 */
import envPaths from 'env-paths'

export const PLC_DIRECTORY = 'https://plc.directory'

/** The system's folder for this user's data, where the store is unless `home` says otherwise. */
export function defaultHome(): string {
  return envPaths('atproto-oauth', { suffix: '' }).data
}

/** The system's folder for what may be thrown away. */
export function cacheFolder(): string {
  return envPaths('atproto-oauth', { suffix: '' }).cache
}
