/**
 * A second place for a session that could not be written to the store after its token was sent. The next run that opens
 * the session finds it there.
 */
import { hash } from 'node:crypto'
import { lstatSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isOAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { type StoreCipher, sessionName, storeCipher } from './cipher.ts'
import { listFolder, makePrivateFolder, readPrivate, removeFile, writePrivate } from './files.ts'
import { isOpenTo, isTrusted } from './owners.ts'
import { parseSession } from './records.ts'

export interface Rescue {
  /**
   * @param text as it is written to the store
   * @returns the path, or `undefined` if it could not be written anywhere
   */
  write(thumbprint: string, text: string): Promise<string | undefined>
  read(thumbprint: string): Promise<SessionRecord | undefined>
  remove(thumbprint: string): Promise<void>
  /** The thumbprints of all sessions that were rescued. */
  list(): Promise<string[]>
  /** The files of a session, of those that nobody else can have written. */
  files(thumbprint: string): Promise<string[]>
}

/** @param folders in the order in which they are tried; other stores may use them too */
export function createRescue(
  home: string,
  folders: readonly string[],
  cipher: Pick<StoreCipher, 'open'> = storeCipher(home),
): Rescue {
  let real: string | undefined
  /** The home under its one name, also when it is away: this process had it before it sent a token. */
  const places = () => {
    real ??= realPathOf(home)
    return [...new Set([real ?? resolve(home), resolve(home)])].map(prefixOf)
  }
  const pathsOf = (thumbprint: string) =>
    places().flatMap((prefix) => folders.map((folder) => join(folder, `${prefix}${thumbprint}.json`)))
  return {
    async files(thumbprint) {
      const paths = pathsOf(thumbprint)
      const areOurs = await Promise.all(paths.map((path) => isOwn(path, home).catch(() => false)))
      return paths.filter((_, index) => areOurs[index])
    },
    async write(thumbprint, text) {
      for (const path of pathsOf(thumbprint)) {
        if (await put(path, text, home).catch(() => false)) return path
      }
      return undefined
    },
    async read(thumbprint) {
      const paths = pathsOf(thumbprint)
      const records = await Promise.all(paths.map((path) => readOwn(path, { thumbprint, home, cipher })))
      return records.filter((record) => record !== undefined).reduce(newer, undefined)
    },
    async remove(thumbprint) {
      for (const path of pathsOf(thumbprint)) await removeFile(path).catch(() => undefined)
    },
    async list() {
      const names = (await Promise.all(folders.map((folder) => listFolder(folder).catch(() => [])))).flat()
      const prefixes = places()
      return names.flatMap((name) => {
        const prefix = prefixes.find((start) => name.startsWith(start))
        return prefix === undefined ? [] : [name.slice(prefix.length, -'.json'.length)]
      })
    },
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync.native(path)
  } catch {
    return undefined
  }
}

function prefixOf(home: string): string {
  return `atproto-oauth-${hash('sha256', home, 'hex').slice(0, 16)}-`
}

async function put(path: string, text: string, home: string): Promise<boolean> {
  await makePrivateFolder(dirname(path))
  if (!(await isOpenTo(dirname(path), home))) return false
  await writePrivate(path, text, undefined, home)
  return true
}

/** The one after more refreshes. */
export function newer(one: SessionRecord | undefined, other: SessionRecord | undefined): SessionRecord | undefined {
  if (!one || !other) return one ?? other
  return (other.rotation ?? 0) > (one.rotation ?? 0) ? other : one
}

/** Others may write to a folder for temporary files: only a file that is ours, and private, is read. */
async function isOwn(path: string, home: string): Promise<boolean> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return false
  return process.platform === 'win32' || ((stats.mode & 0o077) === 0 && (await isTrusted(stats, home)))
}

async function readOwn(
  path: string,
  { thumbprint, home, cipher }: { thumbprint: string; home: string; cipher: Pick<StoreCipher, 'open'> },
): Promise<SessionRecord | undefined> {
  try {
    const content = (await isOwn(path, home)) ? await readPrivate(path) : undefined
    if (content === undefined) return undefined
    return parseSession(await cipher.open(content, sessionName(thumbprint), path), path, thumbprint)
  } catch (error) {
    // It may have the only tokens that are still good.
    if (isOAuthError(error, 'STORE_LOCKED')) throw error
    return undefined
  }
}
