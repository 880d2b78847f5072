/**
 * The user's settings: one JSON file, which every command reads by itself. Only commands that change it load a library.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { OAuthError } from '../../errors.ts'
import { userFolders } from '../folders.ts'
import { expandTilde } from '../home.ts'
import { isCode } from '../store/files.ts'
import { unavailable } from '../store/obstacles.ts'
import { ownerName, ownUid } from '../store/owners.ts'

/** In the order in which they are listed. */
export const CONFIG_KEYS = [
  'client-id',
  'redirect-uri',
  'account',
  'save',
  'plc-url',
  'handle-resolver',
  'encrypt-store',
] as const
export type ConfigKey = (typeof CONFIG_KEYS)[number]
export type ConfigValue = string | readonly string[]

export interface Config {
  readonly path: string
  /** As in the file, with members that this version does not know. Their values are checked when they are used. */
  readonly entries: ReadonlyMap<string, unknown>
}

/** Do not follow links, and do not block on a named pipe. Windows has neither flag. */
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
/** Bytes; a file with all settings is shorter than one kB. */
const LARGEST = 64 * 1024
/** Characters of one value. */
const LONGEST = 4096

/**
 * @param home the folder of the store, if the user chose one: everything is in there then
 * @returns `undefined` for a user without a home
 */
export function configPath(home: string | undefined): string | undefined {
  const folder = home === undefined ? userFolders()?.config : resolve(expandTilde(home))
  return folder === undefined ? undefined : join(folder, 'config.json')
}

/**
 * @param warn called with what is wrong with the owner or the mode of the file
 * @returns `undefined` if there is no file
 * @throws {OAuthError} `STORE_INVALID` it is damaged or a link; `STORE_UNAVAILABLE`
 */
export function readConfig(path: string, warn: (message: string) => void = () => undefined): Config | undefined {
  const text = read(path, warn)
  return text === undefined ? undefined : { path, entries: entriesOf(text, path) }
}

function read(path: string, warn: (message: string) => void): string | undefined {
  let file: number
  try {
    if (O_NOFOLLOW === 0 && lstatSync(path).isSymbolicLink()) throw linked(path)
    file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    // A container may run with the home of another user: nobody has put settings there for this one.
    if (isCode(error, 'EACCES') && isOutOfReach(path)) return undefined
    if (isCode(error, 'ELOOP')) throw linked(path)
    if (isCode(error, 'ENXIO')) throw irregular(path)
    throw unavailable(error, 'read', path)
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) throw irregular(path)
    if (stats.size > LARGEST) throw damaged(path, 'is larger than 64 KiB')
    warnOfOthers(path, stats, warn)
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unavailable(error, 'read', path)
  } finally {
    closeSync(file)
  }
}

/** Not the file is closed to this user, but a directory above it. */
function isOutOfReach(path: string): boolean {
  try {
    lstatSync(path)
    return false
  } catch (error) {
    return isCode(error, 'EACCES')
  }
}

/** Who can write the file can make this user run a command, with a save target. */
function warnOfOthers(path: string, { uid, mode }: Stats, warn: (message: string) => void): void {
  const own = ownUid()
  if (own === undefined) return
  if (uid !== own && uid !== 0 && own !== 0) warn(`${path} belongs to ${ownerName(uid)}, who can change your settings`)
  else if ((mode & 0o022) !== 0) warn(`other users can change ${path}: run chmod 600 on it`)
  const folder = dirname(path)
  // With the sticky bit, others cannot replace the file. The group may be this user's alone.
  if ((statSync(folder).mode & 0o1002) === 0o0002) warn(`other users can replace ${path}: run chmod o-w ${folder}`)
}

function entriesOf(text: string, path: string): ReadonlyMap<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''))
  } catch (error) {
    throw damaged(path, `is not valid JSON${lineOf(error, text)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw damaged(path, 'is not a JSON object')
  }
  return new Map(Object.entries(value))
}

/** Newer versions of Node say where it is, older ones only for long texts. */
function lineOf(error: unknown, text: string): string {
  const [, position] = /at position (\d+)/.exec(String(error)) ?? []
  const end = position !== undefined ? Number(position) : /end of JSON/.test(String(error)) ? text.length : undefined
  return end === undefined ? '' : `: line ${text.slice(0, end).split('\n').length}`
}

/**
 * The value of a setting in the file.
 *
 * @throws {OAuthError} `USAGE` it is not a text, or for `save` a list of texts
 */
export function configValue(config: Config, key: ConfigKey): ConfigValue | undefined {
  const value = config.entries.get(key)
  if (value === undefined) return undefined
  if (key === 'save') {
    const list: unknown[] = Array.isArray(value) ? value : [value]
    if (list.length > 0 && list.every(isText)) return list
    throw malformed(config, key, 'must be a list of strings')
  }
  if (isText(value)) return value
  throw malformed(config, key, 'must be a string')
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= LONGEST && !/\p{Cc}/u.test(value)
}

function malformed({ path }: Config, key: ConfigKey, rule: string): OAuthError {
  return new OAuthError('USAGE', `${key} in ${path} ${rule}`, { facts: { reason: 'setting-invalid', key } })
}

function damaged(path: string, what: string): OAuthError {
  return new OAuthError('STORE_INVALID', `${path} ${what}`, { facts: { reason: 'settings-damaged', path } })
}

function linked(path: string): OAuthError {
  return new OAuthError('STORE_INVALID', `${path} is a symbolic link; settings are not read through links`, {
    facts: { reason: 'link-unsupported', path },
  })
}

function irregular(path: string): OAuthError {
  return new OAuthError('STORE_INVALID', `${path} is not a regular file`, { facts: { reason: 'file-irregular', path } })
}
