/**
 * What holds where nobody says otherwise; cheap to load, because `--help` says it.
 *
 * @module
 */
import { OAuthError } from '../errors.ts'
import { type Machine, userFolders } from './folders.ts'

/** The directory of all did:plc. */
export const PLC_DIRECTORY = 'https://plc.directory'

/**
 * Where the store is.
 *
 * @throws {OAuthError} `USAGE` the user has no home
 */
export function defaultHome(machine?: Machine): string {
  const folders = userFolders(machine)
  if (folders) return folders.data
  throw new OAuthError('USAGE', 'this user has no home folder in which a session could be kept', {
    session: 'none',
    hint: 'say where with ATPROTO_OAUTH_HOME (--home)',
  })
}
