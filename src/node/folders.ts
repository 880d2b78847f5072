/**
 * The per-user folders of the system, and the folder of the store in them.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { OAuthError } from '../errors.ts'

/** The parts of the environment that determine the folders. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Throws if the user has no home directory. */
  homedir(): string
}

export interface Folders {
  /** The parent folder of the store, unless `home` is set. */
  readonly data: string
  /** For files that may be deleted. */
  readonly cache: string
}

const THIS_MACHINE: Machine = { platform: process.platform, environment: process.env, homedir }

/**
 * `undefined` if the user has no home directory. Relative paths in XDG variables are ignored.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function userFolders({ platform, environment, homedir }: Machine = THIS_MACHINE): Folders | undefined {
  const { join, isAbsolute } = platform === 'win32' ? path.win32 : path.posix
  const place = (variable: string, ...belowHome: string[]) => {
    const named = environment[variable]
    return named && isAbsolute(named) ? named : join(homedir(), ...belowHome)
  }
  try {
    if (platform === 'win32') {
      const local = place('LOCALAPPDATA', 'AppData', 'Local')
      return { data: join(local, 'atproto-oauth', 'Data'), cache: join(local, 'atproto-oauth', 'Cache') }
    }
    const [data, cache] =
      platform === 'darwin'
        ? [join(homedir(), 'Library', 'Application Support'), join(homedir(), 'Library', 'Caches')]
        : [place('XDG_DATA_HOME', '.local', 'share'), place('XDG_CACHE_HOME', '.cache')]
    return { data: join(data, 'atproto-oauth'), cache: join(cache, 'atproto-oauth') }
  } catch {
    return undefined
  }
}

/**
 * The default folder of the store.
 *
 * @throws {OAuthError} `USAGE` the user has no home directory
 */
export function defaultHome(machine?: Machine): string {
  const folders = userFolders(machine)
  if (folders) return folders.data
  throw new OAuthError('USAGE', 'this user has no home directory to store sessions in', {
    session: 'none',
    facts: { reason: 'home-needed' },
  })
}

/** Whether only this user can access the folder, which is created if missing. On Windows its location decides that. */
export function isPrivate(folder: string, platform: NodeJS.Platform = process.platform): boolean {
  try {
    make(folder)
    const stats = lstatSync(folder)
    if (!stats.isDirectory()) return false
    return platform === 'win32' || (stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0)
  } catch {
    return false
  }
}

/** Also creates the parent folder, but does not use `recursive`, which never returns below /proc. */
function make(folder: string): void {
  if (existsSync(folder)) return
  const above = path.dirname(folder)
  if (!existsSync(above)) mkdirSync(above, { mode: 0o700 })
  mkdirSync(folder, { mode: 0o700 })
}
