/**
 * The system's folders for this user's files, and where the store is among them.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { OAuthError } from '../errors.ts'

/** A machine and its user, as far as folders hang on them. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Throws if the system knows none. */
  homedir(): string
}

export interface Folders {
  /** Where the store is, unless `home` says otherwise. */
  readonly data: string
  /** For what may be thrown away. */
  readonly cache: string
}

const THIS_MACHINE: Machine = { platform: process.platform, environment: process.env, homedir }

/**
 * `undefined` for a user who has no home.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/latest/ by which a path that is not absolute counts for none
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
 * Where the store is.
 *
 * @throws {OAuthError} `USAGE` the user has no home
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

/** With the folder above it, and no more; not `recursive`, which below /proc never returns. */
function make(folder: string): void {
  if (existsSync(folder)) return
  const above = path.dirname(folder)
  if (!existsSync(above)) mkdirSync(above, { mode: 0o700 })
  mkdirSync(folder, { mode: 0o700 })
}
