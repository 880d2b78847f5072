/**
 * Changes the file of the user's settings. The library that writes it is loaded here alone, because that takes longer
 * than most commands.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isOAuthError } from '../../errors.ts'
import { LEFTOVERS_KEPT, removeFile, reserve, serialize, sweepFolder } from '../store/files.ts'
import { withLock } from '../store/lock.ts'
import { unavailable } from '../store/obstacles.ts'
import { inheritOwner } from '../store/owners.ts'
import { type ConfigValue, readConfig } from './read.ts'

const { O_RDONLY, O_NOFOLLOW = 0 } = constants

export interface ConfigPlace {
  readonly path: string
  /** The folder of the store, where locks are. */
  readonly home: string
}

/**
 * Changes settings while no other process does. Members that this version does not know are kept.
 *
 * @param changes `undefined` removes a setting
 * @returns the values that were in the file before
 * @throws {OAuthError} `STORE_INVALID` the file is damaged, and is not changed; `STORE_UNAVAILABLE`
 */
export function changeConfig(
  { path, home }: ConfigPlace,
  changes: Readonly<Record<string, ConfigValue | undefined>>,
): Promise<ReadonlyMap<string, unknown>> {
  const change = async () => {
    const before = readConfig(path)?.entries ?? new Map<string, unknown>()
    const after = new Map(before)
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) after.delete(key)
      else after.set(key, value)
    }
    if (after.size > 0) await write(path, Object.fromEntries(after))
    else if (before.size > 0) await removeFile(path)
    return before
  }
  return withLock(join(home, 'locks', 'config'), change).catch((error: unknown) => {
    if (!isOAuthError(error, 'SESSION_BUSY')) throw error
    throw error.with({ message: 'timed out waiting for another process, which is changing the settings' })
  })
}

async function write(path: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
  // Makes a private folder, and refuses what conf would write through: links, and a disk that has no room.
  await (await reserve(path, Buffer.byteLength(serialize(settings))))[Symbol.asyncDispose]()
  await sweepFolder(dirname(path), LEFTOVERS_KEPT, (name) => name.startsWith(`${basename(path)}.tmp-`)) // of conf
  const { default: Conf } = await import('conf')
  try {
    const conf = new Conf<Record<string, unknown>>({
      cwd: dirname(path),
      configName: basename(path, '.json'),
      configFileMode: 0o600,
      accessPropertiesByDotNotation: false,
      serialize,
      deserialize: (content) => JSON.parse(content.replace(/^\ufeff/, '')),
    })
    conf.store = settings
  } catch (error) {
    throw unavailable(error, 'write', path)
  }
  const file = await open(path, O_RDONLY | O_NOFOLLOW)
  await inheritOwner(file, dirname(path)).finally(() => file.close())
}
