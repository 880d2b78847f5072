/**
 * A file that the user names, for a login or for credentials. Its directory is not created: with a misspelt path or a
 * file system that is not mounted, the credentials would be written where nobody looks for them.
 */
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { OAuthError } from '../errors.ts'
import { isCode } from './store/file-errors.ts'

/** @throws {OAuthError} `STORE_UNAVAILABLE` the directory of the file does not exist */
export async function assertFolderOf(path: string): Promise<void> {
  const folder = dirname(resolve(path))
  try {
    await stat(folder)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) return // the file itself is opened next, which reports the cause
    throw new OAuthError('STORE_UNAVAILABLE', `cannot write ${path}: no such file or directory`, {
      cause: error,
      facts: { reason: 'folder-missing', path: dirname(path) },
    })
  }
}
