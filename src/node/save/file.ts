/**
 * `file:PATH`: the variables in a dotenv file, replaced as a whole or not at all, with a lock beside it: two stores may
 * have it as their target.
 */
import { hash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { editDotenv, parseDotenv } from '../../credentials/dotenv.ts'
import { ROTATION } from '../../credentials/variables.ts'
import type { Entries } from '../../credentials/write.ts'
import { isOAuthError } from '../../errors.ts'
import type { SaveTarget } from '../../ports.ts'
import { assertFolderOf } from '../given-file.ts'
import { isCode, readPrivate, refuseMountPoint, sweepBeside, writePrivate } from '../store/files.ts'
import { withLock } from '../store/lock.ts'
import { unavailable } from '../store/obstacles.ts'
import { cannotSave } from './failure.ts'

const PRIVATE = 0o600
/** Characters; a longer name is replaced by its hash, because a file name has at most 255 bytes. */
const NAME_LONGEST = 48

export function fileTarget(name: string, path: string): SaveTarget {
  return {
    name,
    durable: true,
    async lock(work) {
      let isHeld = false
      try {
        await assertFolderOf(path) // the lock would create it
        await refuseMountPoint(path)
        return await withLock(lockOf(path), async (held) => {
          isHeld = true
          await sweepBeside(path) // of killed processes: nobody else may write the file now
          return work(held)
        })
      } catch (error) {
        if (isHeld || !isOAuthError(error, 'STORE_UNAVAILABLE')) throw error
        throw error.with({ message: `cannot save to ${name}: ${error.message}` })
      }
    },
    async read() {
      const text = await readPrivate(path)
      return text === undefined ? undefined : parseDotenv(text)
    },
    async save(entries) {
      try {
        await assertFolderOf(path)
        const text = (await readPrivate(path)) ?? ''
        await writePrivate(path, editDotenv(text, withCount(text, entries)), await modeFor(path))
      } catch (error) {
        throw cannotSave(name, error)
      }
    },
  }
}

/** Beside the file, hidden. */
function lockOf(path: string): string {
  const name = basename(path)
  const short = name.length > NAME_LONGEST ? hash('sha256', name, 'hex').slice(0, 32) : name
  return join(dirname(path), `.${short}.lock`)
}

/** The count of another token would order these credentials wrongly. */
function withCount(text: string, entries: Entries): Entries {
  const isCounted = entries.some(([name]) => name === ROTATION)
  return isCounted || parseDotenv(text)[ROTATION] === undefined ? entries : [...entries, [ROTATION, '']]
}

/** The mode of the existing file, or a private mode if other users could read it. */
async function modeFor(path: string): Promise<number> {
  try {
    const mode = (await lstat(path)).mode & 0o777
    return mode & 0o007 ? PRIVATE : mode
  } catch (error) {
    if (isCode(error, 'ENOENT')) return PRIVATE
    throw unavailable(error, 'read', path)
  }
}
