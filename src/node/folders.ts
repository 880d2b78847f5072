/**
 * The per-user folders of the system, and the folder of the store in them.
 */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { dirname, isAbsolute, type PlatformPath, posix, win32 } from 'node:path'

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
  /** For the user's settings. */
  readonly config: string | undefined
}

export const THIS_MACHINE: Machine = {
  platform: process.platform,
  environment: process.env,
  homedir() {
    const named = homedir()
    // A variable that is empty or relative counts as unset: secrets must not land in the current folder.
    return isAbsolute(named) ? named : userInfo().homedir
  },
}

/**
 * `undefined` if the user has no home directory with an absolute path. Relative paths in XDG variables are ignored.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function userFolders(machine: Machine = THIS_MACHINE): Folders | undefined {
  const { platform, environment } = machine
  const { join, isAbsolute } = pathsOf(machine)
  const homedir = () => absoluteHome(machine)
  const place = (variable: string, ...belowHome: string[]) => {
    const named = environment[variable]
    return named && isAbsolute(named) ? named : join(homedir(), ...belowHome)
  }
  try {
    if (platform === 'win32') {
      const local = place('LOCALAPPDATA', 'AppData', 'Local')
      const own = (base: string, name: string) => join(base, 'atproto-oauth', name)
      const config = attempt(() => own(place('APPDATA', 'AppData', 'Roaming'), 'Config'))
      return { data: own(local, 'Data'), cache: own(local, 'Cache'), config }
    }
    const [data, cache] =
      platform === 'darwin'
        ? [join(homedir(), 'Library', 'Application Support'), join(homedir(), 'Library', 'Caches')]
        : [place('XDG_DATA_HOME', '.local', 'share'), place('XDG_CACHE_HOME', '.cache')]
    const settings = attempt(() =>
      platform === 'darwin' ? join(homedir(), 'Library', 'Preferences') : place('XDG_CONFIG_HOME', '.config'),
    )
    const config = settings && join(settings, 'atproto-oauth')
    return { data: join(data, 'atproto-oauth'), cache: join(cache, 'atproto-oauth'), config }
  } catch {
    return undefined
  }
}

/** Without a home, the other folders may be known from their variables. */
function attempt(place: () => string): string | undefined {
  try {
    return place()
  } catch {
    return undefined
  }
}

export function pathsOf({ platform }: Machine): PlatformPath {
  return platform === 'win32' ? win32 : posix
}

/** Throws if the system knows none. */
export function absoluteHome(machine: Machine): string {
  const home = machine.homedir()
  if (pathsOf(machine).isAbsolute(home)) return home
  throw new Error('the home directory is not an absolute path')
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

/**
 * Also creates the parent folder, but does not use `recursive`, which never returns below /proc. Root creates none in a
 * user's home: the user could not use it, nor the parent folder, which all programs share.
 */
function make(folder: string): void {
  if (existsSync(folder)) return
  const above = dirname(folder)
  const base = existsSync(above) ? above : dirname(above)
  if (process.getuid?.() === 0 && statSync(base).uid !== 0) throw new Error(`${base} is not root's`)
  if (!existsSync(above)) mkdirSync(above, { mode: 0o700 })
  mkdirSync(folder, { mode: 0o700 })
}
