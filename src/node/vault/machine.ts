/**
 * What the vault must know of the machine, and its memory in a folder.
 */
import { hash, randomBytes } from 'node:crypto'
import { readlink, realpath, stat } from 'node:fs/promises'
import { hostname, uptime } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { listFolder, makePrivateFolder, readPrivate, removeFile, reserve, writePrivate } from '../store/files.ts'
import { type LockOptions, withLock } from '../store/lock.ts'
import { bootId } from '../store/lock-holder.ts'
import { isLasting } from '../store/witness.ts'
import type { MemoryKind, VaultMemory } from './memory.ts'
import type { VaultClock, VaultMachine } from './store.ts'

/** Names of records and thumbprints. */
const FILE_NAME = /^[A-Za-z0-9_-]{1,64}$/
const MINUTE = 60_000

export function createFolderMemory(folder: string, { onWait }: Pick<LockOptions, 'onWait'> = {}): VaultMemory {
  const pathOf = (kind: MemoryKind, name: string) => {
    if (!FILE_NAME.test(name)) throw new TypeError('not the name of a record')
    return join(folder, kind, name)
  }
  return {
    read: (kind, name) => readPrivate(pathOf(kind, name)),
    write: (kind, name, text) => writePrivate(pathOf(kind, name), text),
    remove: (kind, name) => removeFile(pathOf(kind, name)),
    names: async (kind) => (await listFolder(join(folder, kind))).filter((name) => FILE_NAME.test(name)),
    reserve: (kind, name) => reserve(pathOf(kind, name)),
    lock: (thumbprint, work) => withLock(pathOf('locks', thumbprint), work, { onWait }),
  }
}

export async function systemClock(): Promise<VaultClock> {
  const id = await bootId()
  // Where the system has no id for it, the time of the boot in minutes has to do.
  const boot = / \d+$/.test(id) ? `${hostname()} ${Math.round((Date.now() - uptime() * 1000) / MINUTE)}` : id
  return {
    now: Date.now,
    monotonic: () => performance.now(),
    uptime: () => uptime() * 1000,
    boot: hash('sha256', boot, 'base64url').slice(0, 22),
    sleep: (milliseconds) => setTimeout(milliseconds),
  }
}

/**
 * @param folder of the memory. A copy of it is another machine: on one machine as well, or in two containers that were
 *   made of one image
 */
export async function describeMachine(
  folder: string,
  { boot }: Pick<VaultClock, 'boot'>,
  environment: NodeJS.ProcessEnv,
): Promise<VaultMachine> {
  await makePrivateFolder(folder)
  const path = join(folder, 'id')
  const id = (await readPrivate(path)) ?? (await createId(path))
  const { dev, ino, birthtimeMs } = await stat(folder)
  const space = await readlink('/proc/self/ns/mnt').catch(() => '')
  const parts = [boot, space, id, await realpath(folder), dev, ino, birthtimeMs]
  return {
    holder: hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 22),
    label: labelOf(environment),
    durable: isLasting(environment),
  }
}

async function createId(path: string): Promise<string> {
  await writePrivate(path, `${randomBytes(16).toString('base64url')}\n`)
  const id = await readPrivate(path)
  if (id === undefined) throw Object.assign(new Error('the folder was removed'), { code: 'ENOENT' })
  return id
}

/** How a machine is called in messages on the others: a job by its run. */
function labelOf({ GITHUB_REPOSITORY, GITHUB_RUN_ID, CI_JOB_URL, CI }: NodeJS.ProcessEnv): string {
  if (GITHUB_RUN_ID) return `run ${GITHUB_RUN_ID}${GITHUB_REPOSITORY ? ` of ${GITHUB_REPOSITORY}` : ''}`
  if (CI_JOB_URL) return `job ${CI_JOB_URL}`
  return CI ? `a CI job on ${hostname()}` : hostname()
}
