/**
 * Whose files these are. Root, as with sudo, must not take a user's files away by replacing them.
 */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { type FileHandle, lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OAuthError } from '../../errors.ts'
import { isCode } from './file-errors.ts'

/** Whether a file that another program could have written is of this user or, for root, of the owner of `model`. */
export async function isTrusted({ uid }: Pick<Stats, 'uid'>, model: string): Promise<boolean> {
  const own = ownUid()
  if (own === undefined || uid === own) return true
  return own === 0 && (await stat(model)).uid === uid
}

type Owner = Pick<Stats, 'uid' | 'gid'>

/** `undefined` on Windows. */
export function ownUid(): number | undefined {
  return process.getuid?.()
}

/** As the system's own list has it; accounts of a directory service are numbers here. */
export function ownerName(uid: number): string {
  return uid === 0 ? 'root' : entryOf(uid)[0] || `user ${uid}`
}

/** The fields of a user in the system's own list: the first is the name, the sixth the home directory. */
function entryOf(uid: number): string[] {
  let list = ''
  try {
    list = readFileSync('/etc/passwd', 'utf8')
  } catch {
    // Not every system has one.
  }
  const entries = list.split('\n').map((line) => line.split(':'))
  return entries.find((fields) => fields[2] === String(uid)) ?? []
}

/** The home directory of the owner of `path`, if the system's own list has one, and it is theirs. */
export function homeOfOwner(path: string): string | undefined {
  const { uid } = statSync(path)
  const home = entryOf(uid)[5]
  return home && statSync(home, { throwIfNoEntry: false })?.uid === uid ? home : undefined
}

/**
 * Whether a file of the owner of `model` may be put into `folder`: for root, only where that owner could put one. A link
 * of theirs may lead anywhere.
 */
export async function isOpenTo(folder: string, model: string): Promise<boolean> {
  if (ownUid() !== 0) return true
  const owner = await stat(model).catch(() => undefined)
  if (owner === undefined) return true // of nobody any more
  const { uid, mode } = await stat(folder)
  return uid === owner.uid || (mode & 0o1002) === 0o1002
}

/** As root, whether `path` belongs to another user. */
export function isForUser(path: string): boolean {
  if (ownUid() !== 0) return false
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats !== undefined && stats.uid !== 0
}

/**
 * As root, gives the new content of `path` the owner and group that `path` has, or else those of its folder.
 *
 * @param model a file or folder whose owner it gets instead
 * @throws {OAuthError} `STORE_UNAVAILABLE` the file would change its owner, or may have been put there by a stranger
 */
export async function keepOwner(file: FileHandle, path: string, model?: string): Promise<void> {
  if (ownUid() !== 0) return
  const before = model === undefined ? await statOf(path) : undefined
  if (!before) return inheritOwner(file, model ?? dirname(path))
  const folder = await stat(dirname(path))
  if (before.uid !== 0 && before.uid !== folder.uid && folder.mode & 0o002) {
    const why = 'in a directory that everybody can write to'
    throw new OAuthError('STORE_UNAVAILABLE', `cannot write ${path}: it belongs to ${ownerName(before.uid)}, ${why}`)
  }
  await mustGive(file, path, before)
}

async function statOf(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error) => {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  })
}

/**
 * As root, gives a new file the owner and group of its folder.
 *
 * @throws {OAuthError} `STORE_UNAVAILABLE` the system does not allow that
 */
export async function shareOwner(file: FileHandle, path: string): Promise<void> {
  const folder = dirname(path)
  if (ownUid() === 0) await mustGive(file, folder, await stat(folder))
}

/** As root, gives something new the owner and group of `model`, where that exists and the system allows it. */
export async function inheritOwner(file: FileHandle, model: string): Promise<void> {
  if (ownUid() !== 0) return
  await stat(model)
    .then((owner) => give(file, owner))
    .catch(() => undefined)
}

async function mustGive(file: FileHandle, path: string, to: Owner): Promise<void> {
  await give(file, to).catch((cause: unknown) => {
    const owner = ownerName(to.uid)
    const message = `cannot write ${path}: it belongs to ${owner}, and root cannot keep that`
    const facts = { reason: 'owner-foreign', path, owner, isEmpty: false } as const
    throw new OAuthError('STORE_UNAVAILABLE', message, { cause, facts })
  })
}

async function give(file: FileHandle, { uid, gid }: Owner): Promise<void> {
  const own = await file.stat()
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid)
}
