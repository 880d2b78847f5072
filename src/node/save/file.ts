/**
 * `file:PATH`: the variables in a dotenv file, replaced as a whole or not at all.
 */
import { lstat } from 'node:fs/promises'
import { editDotenv, parseDotenv } from '../../credentials/dotenv.ts'
import type { SaveTarget } from '../../ports.ts'
import { isCode, readPrivate, unavailable, writePrivate } from '../store/files.ts'
import { cannotSave } from './failure.ts'

const PRIVATE = 0o600

export function fileTarget(name: string, path: string): SaveTarget {
  return {
    name,
    durable: true,
    async read() {
      const text = await readPrivate(path)
      return text === undefined ? undefined : parseDotenv(text)
    },
    async save(entries) {
      try {
        const text = (await readPrivate(path)) ?? ''
        await writePrivate(path, editDotenv(text, entries), await modeFor(path))
      } catch (error) {
        throw cannotSave(name, error)
      }
    },
  }
}

/** Its own; but a file of secrets that everybody could read becomes private. */
async function modeFor(path: string): Promise<number> {
  try {
    const mode = (await lstat(path)).mode & 0o777
    return mode & 0o007 ? PRIVATE : mode
  } catch (error) {
    if (isCode(error, 'ENOENT')) return PRIVATE
    throw unavailable(error, 'read', path)
  }
}
