/**
 * Files that hold secrets: readable by their owner only, replaced as a whole or not
 * at all, never through a symbolic link.
 */
import { hash, randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, type Stats } from 'node:fs'
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { OAuthError } from '../../errors.ts'
import { isCode, persist } from './file-errors.ts'
import { unavailable } from './obstacles.ts'
import { inheritOwner, keepOwner, ownUid, shareOwner } from './owners.ts'

export { isCode, reasonOf } from './file-errors.ts'

/** Do not follow links, and do not block on a named pipe. Windows has neither flag. */
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = constants
const READ_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const PUBLIC_FOLDER_MODE = 0o755
/** Bytes: more than a record can grow in one step. */
const RESERVED_BYTES = 64 * 1024
/** Milliseconds: longer than any write takes. A process that was suspended for longer reserves space again. */
export const LEFTOVERS_KEPT = 3600 * 1000
/** Characters, of at most three bytes each. */
const NAME_LONGEST = 48
/** Maximum file size in bytes; a record is a few kB. */
const LARGEST = 4 * 1024 * 1024

/**
 * The text, or `undefined` if there is no such file. Read without promises: these files are small and on this machine, and
 * `node:fs/promises` takes longer to load than they take to read.
 */
export async function readPrivate(path: string): Promise<string | undefined> {
  let file: number
  try {
    // Many of these files are usually missing, and an error takes a hundred times as long to make.
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined
    if (O_NOFOLLOW === 0) await refuseLink(path)
    file = await persist(async () => openSync(path, READ_FLAGS))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    if (isCode(error, 'ELOOP')) throw await linked(path)
    if (isCode(error, 'ENXIO')) throw irregular(path, lstatSync(path))
    throw unavailable(error, 'read', path)
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) throw irregular(path, stats)
    if (stats.size > LARGEST) throw new OAuthError('STORE_INVALID', `${path} is larger than 4 MiB`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unavailable(error, 'read', path)
  } finally {
    closeSync(file)
  }
}

/** Writes a temporary file, flushes it, renames it, and flushes the folder. Durable when it resolves. */
export async function writePrivate(path: string, text: string, mode?: number, model?: string): Promise<void> {
  await using reserved = await reserve(path, Buffer.byteLength(text), mode, model)
  await reserved.fill(text)
}

export interface Reservation extends AsyncDisposable {
  /** Replaces the file with `text`. Call it once. */
  fill(text: string): Promise<void>
}

/**
 * Reserves disk space for a later write, so that a disk that fills up in between cannot prevent it.
 *
 * @param model whose owner a new file gets if root writes it
 * @throws {OAuthError} `STORE_UNAVAILABLE`, `STORE_INVALID`
 */
export async function reserve(
  path: string,
  bytes: number = RESERVED_BYTES,
  mode: number = FILE_MODE,
  model?: string,
): Promise<Reservation> {
  const beside = besideOf(path)
  let file: FileHandle | undefined
  try {
    await makePrivateFolder(dirname(path))
    await refuseLink(path)
    await refuseMountPoint(path)
    await sweepFolder(dirname(path), LEFTOVERS_KEPT, (name) => isBeside(name, path))
    file = await open(beside, 'wx', mode)
    await keepOwner(file, path, model)
    await file.writeFile(Buffer.alloc(bytes, ' '))
    await file.sync()
  } catch (error) {
    await file?.close()
    await removeFile(beside).catch(() => undefined)
    throw unavailable(error, 'write', path)
  }
  const held = file
  let done = false
  return {
    async fill(text) {
      const content = Buffer.from(text)
      try {
        // A nearly full disk accepts only a part of the data, without an error.
        for (let at = 0; at < content.length; )
          at += (await held.write(content, at, content.length - at, at)).bytesWritten
        await held.truncate(content.length)
        await held.sync()
        await held.close()
        const isReplaced = await persist(() => rename(beside, path)).then(
          () => true,
          async (error: unknown) => {
            if (isCode(error, 'ENOENT') && (await isFolder(dirname(path)))) return false
            throw error
          },
        )
        done = true
        // While this process was suspended, another one took the file for a leftover.
        if (isReplaced) await syncFolder(dirname(path))
        else await writePrivate(path, text, mode, model)
      } catch (error) {
        throw unavailable(error, 'write', path)
      }
    },
    async [Symbol.asyncDispose]() {
      if (done) return
      await held.close().catch(() => undefined)
      await removeFile(beside).catch(() => undefined)
    },
  }
}

/** A new file that the owner of its folder can use, also if root makes it. Fails if there is one. */
export async function createPrivate(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await shareOwner(file, path)
    await file.writeFile(text)
  } catch (error) {
    await removeFile(path).catch(() => undefined)
    throw error
  } finally {
    await file.close()
  }
}

/** A file with reserved disk space for its next write. */
export class ReservedFile implements AsyncDisposable {
  readonly path: string
  #room: Reservation | undefined

  constructor(path: string) {
    this.path = path
  }

  /**
   * Reserves disk space for the next write: the current content plus the largest growth of a record.
   *
   * @throws {OAuthError} as `reserve`
   */
  async reserve(content = ''): Promise<void> {
    this.hold(await reserve(this.path, RESERVED_BYTES + Buffer.byteLength(content)))
  }

  /** Keeps a reservation for the next write; it is released if unused. */
  hold(room: Reservation): void {
    this.#room = room
  }

  /** Writes into the reserved space, if there is any. Durable when it resolves. */
  async write(text: string): Promise<void> {
    await using room = this.#room ?? (await reserve(this.path, Buffer.byteLength(text)))
    this.#room = undefined
    await room.fill(text)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#room?.[Symbol.asyncDispose]()
    this.#room = undefined
  }
}

/** The text of a record file. */
export function serialize(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

export async function removeFile(path: string): Promise<void> {
  await persist(() => rm(path, { force: true }))
}

export async function listFolder(path: string): Promise<string[]> {
  try {
    return readdirSync(path)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw unavailable(error, 'read', path)
  }
}

/** Removes temporary files of killed processes. Failures are ignored, since nothing depends on it. */
export async function sweepFolder(
  path: string,
  age: number,
  isLeftover: (name: string) => boolean | Promise<boolean>,
): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) {
    const file = join(path, name)
    const stats = await lstat(file).catch(() => undefined)
    if (stats && Date.now() - stats.mtimeMs > age && (await isLeftover(name)))
      await rm(file, { force: true }).catch(() => undefined)
  }
}

/** Removes what killed processes left of files that were to replace `path`: nobody else writes one now. */
export async function sweepBeside(path: string): Promise<void> {
  await sweepFolder(dirname(path), -Infinity, (name) => isBeside(name, path))
}

export function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.tmp')
}

/** A unique temporary name beside `path`, recognizable as a leftover when `path` is next written. */
export function besideOf(path: string, purpose = ''): string {
  return join(dirname(path), `${prefixOf(path)}${randomUUID()}${purpose}.tmp`)
}

export function isBeside(name: string, path: string, purpose = '(?:\\.claimed)?'): boolean {
  const prefix = prefixOf(path)
  return name.startsWith(prefix) && RegExp(`^[0-9a-f-]{36}${purpose}\\.tmp$`).test(name.slice(prefix.length))
}

/** Of a long name the hash, because a file name has at most 255 bytes, and another one may begin in the same way. */
function prefixOf(path: string): string {
  const name = basename(path)
  const isLong = name.length > NAME_LONGEST
  return `.${isLong ? hash('sha256', name, 'hex').slice(0, 32) : name}.`
}

export function makePrivateFolder(path: string): Promise<void> {
  return make(path, FOLDER_MODE)
}

/** Creates a world-readable folder, independent of the umask. */
export function makePublicFolder(path: string): Promise<void> {
  return make(path, PUBLIC_FOLDER_MODE)
}

async function make(path: string, mode: number): Promise<void> {
  try {
    await makeFolder(resolve(path), mode)
  } catch (error) {
    throw unavailable(error, 'create', path)
  }
}

/** Not `recursive`, which never returns if a parent exists but is not writable, as below /proc. */
async function makeFolder(path: string, mode: number): Promise<void> {
  const above = dirname(path)
  const make = async () => {
    await mkdir(path, { mode })
    if (mode === PUBLIC_FOLDER_MODE) await chmod(path, mode)
    if (ownUid() === 0) await giveFolder(path)
  }
  try {
    await make().catch(async (error) => {
      if (!isCode(error, 'ENOENT') || above === path) throw error
      if (!(await isFolder(above))) await makeFolder(above, mode)
      await make() // also after another process has created the parent meanwhile
    })
  } catch (error) {
    // The root of a drive exists, but creating it fails with EPERM on Windows and EISDIR on macOS.
    if (isCode(error, 'EEXIST', 'EPERM', 'EISDIR') && (await isFolder(path))) return
    throw error
  }
  await syncFolder(above) // a new folder is durable once its parent folder is flushed
}

/** Through a descriptor: what stands at the path may have been replaced by the owner of the folder above. */
async function giveFolder(path: string): Promise<void> {
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  await inheritOwner(folder, dirname(path)).finally(() => folder.close())
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
}

async function refuseLink(path: string): Promise<void> {
  const stats = await lstat(path).catch((error) => {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (stats?.isSymbolicLink()) throw await linked(path)
  // A directory is left to the system, which never replaces it by a file.
  if (stats && !stats.isFile() && !stats.isDirectory()) throw irregular(path, stats)
}

/** Found before anything is written: a mount point can be written to, but not replaced. */
export async function refuseMountPoint(path: string): Promise<void> {
  if (await isMountPoint(path)) throw unavailable(Object.assign(new Error(), { code: 'EBUSY' }), 'replace', path)
}

function irregular(path: string, stats: Stats): OAuthError {
  const kind = stats.isFIFO()
    ? 'a named pipe'
    : stats.isSocket()
      ? 'a socket'
      : stats.isDirectory()
        ? 'a directory'
        : 'a device'
  return new OAuthError('STORE_INVALID', `${path} is ${kind}, not a regular file`, {
    facts: { reason: 'file-irregular', path },
  })
}

async function linked(path: string): Promise<OAuthError> {
  // Kubernetes replaces all files of a secret at once through this link.
  if (/^\.\.data\//.test(await readlink(path).catch(() => ''))) {
    const message = `${path} is part of a Kubernetes secret or config map, which is read-only in a container`
    return new OAuthError('STORE_INVALID', message, { facts: { reason: 'kubernetes-volume', path } })
  }
  return new OAuthError('STORE_INVALID', `${path} is a symbolic link; secrets are not stored through links`, {
    facts: { reason: 'link-unsupported', path },
  })
}

/** As the kernel lists them on Linux; elsewhere a file cannot be one. */
async function isMountPoint(path: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  if (table === '') return false
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return false
  // Spaces and backslashes are octal in it.
  const octal = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))
  return table.split('\n').some((line) => line.split(' ')[4]?.replace(/\\(\d{3})/g, octal) === real)
}

/** A rename is durable once its folder is flushed. Systems on which folders cannot be opened do not need this. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  if (!folder) return
  try {
    await folder.sync()
  } catch (error) {
    if (isCode(error, 'EIO', 'ENOSPC', 'EDQUOT')) throw error // the new name may be gone after a power cut
  } finally {
    await folder.close()
  }
}
