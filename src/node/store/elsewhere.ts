/**
 * The folders outside a store in which something of it is kept.
 */
import { tmpdir } from 'node:os'
import { userFolders } from '../folders.ts'
import { homeOfOwner, isForUser } from './owners.ts'

/** What is kept outside a store must be found by its owner as well: with `sudo`, that is another user. */
export function cacheFor(home: string): string | undefined {
  try {
    if (!isForUser(home)) return userFolders()?.cache
    const homedir = homeOfOwner(home)
    const { platform } = process
    return homedir && userFolders({ platform, environment: {}, homedir: () => homedir })?.cache
  } catch {
    return undefined // the home cannot be looked at, and the first use of the store says why
  }
}

/** For a session that cannot be written to the store, in the order in which they are tried. */
export function elsewhereFor(home: string): readonly string[] {
  const cache = cacheFor(home)
  return [...(cache === undefined ? [] : [cache]), tmpdir()]
}
