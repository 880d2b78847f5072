/**
 * What is in the way of a file of the store, and how it can be repaired. Another store is never the repair: a session
 * has a token that only its own store knows to be spent.
 */
import { accessSync, constants, lstatSync, readdirSync, type Stats, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { OAuthError, type ReasonFacts } from '../../errors.ts'
import { isCode, reasonOf } from './file-errors.ts'
import { ownerName, ownUid } from './owners.ts'

const { R_OK, W_OK, X_OK } = constants
/** The files and directories of a store, and nothing else: its directory may be proposed to be given to the user. */
const PARTS =
  /^(.+)[/\\](?:(?:sessions|nonces)(?:[/\\][\w-]{43}\.json)?|(?:pending|client-keys)(?:[/\\][\da-f]{64}\.json)?|locks(?:[/\\](?:[\w-]{43}|vault|logins|client-keys|encryption|config))?|(?:vault|machine|config|store-encryption)\.json)$/

/** The error of a failed operation on a file, with its cause and repair. */
export function unavailable(error: unknown, verb: string, path: string): OAuthError {
  if (error instanceof OAuthError) return error
  const { words, facts } = obstacleOf(error, path)
  const why = [reasonOf(error), ...(words === undefined ? [] : [`(${words})`])].join(' ')
  return new OAuthError('STORE_UNAVAILABLE', `cannot ${verb} ${path}: ${why}`, { cause: error, facts })
}

interface Obstacle {
  /** What the reason of the system does not say. */
  readonly words?: string | undefined
  readonly facts?: ReasonFacts | undefined
}

function obstacleOf(error: unknown, given: string): Obstacle {
  const path = resolve(given)
  const home = homeOf(path)
  const isEmpty = home !== undefined && !mayHoldSessions(home)
  if (isCode(error, 'ENOSPC', 'EDQUOT')) return { facts: { reason: 'disk-full', path, isEmpty } }
  if (isCode(error, 'EROFS') && statOf(join(dirname(path), '..data'))) {
    return { words: 'part of a Kubernetes volume', facts: { reason: 'kubernetes-volume', path } }
  }
  if (isCode(error, 'EROFS')) return { facts: { reason: 'file-system-read-only', path: home ?? path, isEmpty } }
  if (isCode(error, 'EBUSY') && statOf(path)?.isFile()) {
    return { words: 'it is a mount point of its own', facts: { reason: 'file-mounted', path, isEmpty } }
  }
  if (isCode(error, 'EFBIG')) return { facts: { reason: 'file-size-limited', path, isEmpty } }
  if (isCode(error, 'ENOTDIR', 'EEXIST')) {
    const file = foldersOf(path).find((each) => statOf(each)?.isDirectory() === false)
    if (file === undefined) return {}
    return { words: file === path ? undefined : file, facts: { reason: 'directory-expected', path: file, isEmpty } }
  }
  if (isCode(error, 'EISDIR', 'ERR_FS_EISDIR')) return { facts: { reason: 'file-expected', path, isEmpty } }
  const uid = ownUid()
  if (uid === undefined || !isCode(error, 'EACCES', 'EPERM')) return {}
  // Root is kept out with EPERM by an attribute of the file, whoever owns it.
  if (isCode(error, 'EPERM') && uid === 0) {
    const locked = [path, dirname(path)].find((each) => statOf(each) && !isAllowed(each, W_OK))
    if (locked === undefined) return {}
    return { words: `${locked} is immutable`, facts: { reason: 'file-immutable', path: locked, isEmpty } }
  }
  // The system names the very file, such as one of a lock's directory.
  const named = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : path
  const closed = closedIn(resolve(named))
  const stats = closed === undefined ? undefined : statOf(closed)
  if (closed === undefined || !stats) return {}
  if (stats.uid === uid) {
    return isOpenToOwner(stats) ? {} : { facts: { reason: 'access-missing', path: closed, isEmpty } }
  }
  const owner = ownerName(stats.uid)
  const words = closed === path ? `belongs to ${owner}` : `${closed} belongs to ${owner}`
  if (home !== undefined && isMissingIn(closed, home)) {
    return { words, facts: { reason: 'directory-missing', path: home, isEmpty } }
  }
  const taken = home !== undefined && isWithin(home, closed) ? home : closed
  const isStore = taken !== closed || (taken === home && mayBeGiven(home))
  const isOurs = isStore || closed === path || isWithin(userHome(), closed)
  return { words, facts: { reason: isOurs ? 'owner-foreign' : 'directory-foreign', path: taken, owner, isEmpty } }
}

/** A store that could be made in a directory of another user, if that user made it. */
function isMissingIn(folder: string, home: string): boolean {
  return (
    isWithin(folder, home) && isAllowed(folder, X_OK) && statOf(home) === undefined && !isWithin(userHome(), folder)
  )
}

/** The store that a file is part of. */
function homeOf(path: string): string | undefined {
  return PARTS.exec(path)?.[1]
}

/** Directories of the system at the root. */
const SYSTEM = new Set(
  'bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin snap srv sys tmp usr var'.split(' '),
)

/** Whether nothing else would change its owner with the store: a directory of the system is not given to a user. */
function mayBeGiven(home: string): boolean {
  if (dirname(home) === home || (dirname(dirname(home)) === dirname(home) && SYSTEM.has(basename(home)))) return false
  try {
    return readdirSync(home).every((name) => PARTS.test(join(home, name)))
  } catch {
    return isWithin(userHome(), home)
  }
}

/** Also where that cannot be seen. */
function mayHoldSessions(home: string): boolean {
  try {
    return readdirSync(join(home, 'sessions')).some((name) => name.endsWith('.json'))
  } catch (error) {
    return !isCode(error, 'ENOENT', 'ENOTDIR')
  }
}

/** The first on the way to a file that this process has no access to. */
function closedIn(path: string): string | undefined {
  const folders = foldersOf(dirname(path)).filter(statOf)
  const barrier = folders.find((each) => !isAllowed(each, X_OK))
  if (barrier !== undefined) return barrier
  const last = folders.at(-1)!
  if (last === dirname(path) && statOf(path) && !isAllowed(path, R_OK | W_OK)) return path
  return isAllowed(last, W_OK) ? undefined : last
}

/** A path and all that it lies in, from the root. */
function foldersOf(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [...foldersOf(above), path]
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

function isOpenToOwner(stats: Stats): boolean {
  const needed = stats.isDirectory() ? 0o700 : 0o600
  return (stats.mode & needed) === needed
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    try {
      return lstatSync(path)
    } catch {
      return undefined
    }
  }
}

function isWithin(folder: string | undefined, path: string): boolean {
  if (folder === undefined) return false
  const below = relative(folder, path)
  return !below.startsWith('..') && !isAbsolute(below)
}

/** `undefined` for a user who has none. */
function userHome(): string | undefined {
  try {
    const home = homedir()
    return isAbsolute(home) && home !== '/' ? home : undefined
  } catch {
    return undefined
  }
}
