/**
 * Notices a store that was restored from a backup, or copied from another machine: its refresh tokens may be spent.
 *
 * Outside the store, this machine keeps the highest number of refreshes that it has seen of each session. In the store
 * stands which machine uses it. What is missing proves nothing: a new container may have an old volume.
 */
import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import * as v from '@badrap/valita'
import { isOAuthError, loginFacts, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { Adoption } from '../../ports.ts'
import { makePrivateFolder, readPrivate, removeFile, serialize } from './files.ts'
import { type LockOptions, withLock } from './lock.ts'
import { unavailable } from './obstacles.ts'
import { isOpenTo, shareOwner } from './owners.ts'

/** Windows has neither of the last two. */
const { O_WRONLY, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

const witnessSchema = v.object({ rotation: v.number() })
const ownerSchema = v.object({ machine: v.string(), shared: v.boolean().optional() })

export interface Witness {
  /**
   * Before a refresh token is sent.
   *
   * @throws {OAuthError} `SESSION_OUTDATED`, `STORE_COPIED`; nothing was sent
   */
  check(record: SessionRecord): Promise<void>
  /**
   * After a record was stored. Best effort.
   *
   * @param isRefresh it has the tokens of a refresh that `check` has allowed. Another record may be an old copy itself,
   *   and does not lower the number
   */
  note(record: SessionRecord, { isRefresh }: { readonly isRefresh: boolean }): Promise<void>
  /** Once a session was ended at the server. Best effort. */
  forget(thumbprint: string): Promise<void>
  /**
   * Runs `work` while no other store of this user changes the same session: of two copies that refresh at once, the
   * second must see what the first has noted. Where the cache cannot be written, nothing is waited for.
   *
   * @throws {OAuthError} `SESSION_BUSY`
   */
  alone<T>(thumbprint: string, work: () => Promise<T>, onWait?: LockOptions['onWait']): Promise<T>
  /**
   * Makes this machine the owner of the store, or any machine. Without a lasting name, it leaves the store to the next one.
   *
   * @throws {OAuthError} `STORE_UNAVAILABLE`
   */
  adopt(adoption: Adoption): Promise<void>
}

export interface WitnessOptions {
  /** A folder for what may be thrown away, outside the store; without one there is nothing to compare with. */
  readonly cache: string | undefined
  readonly machine?: () => Promise<string | undefined>
}

export function createWitness(home: string, { cache, machine = machineId }: WitnessOptions): Witness {
  const pathOf = (thumbprint: string) => cache && join(cache, 'refreshes', `${thumbprint}.json`)
  const ownerPath = join(home, 'machine.json')
  const highest = async (record: SessionRecord) => {
    const path = pathOf(record.thumbprint)
    return path === undefined ? 0 : ((await readJson(path, witnessSchema))?.rotation ?? 0)
  }
  return {
    async check(record) {
      const seen = await highest(record)
      const { rotation } = record
      if (rotation !== undefined && rotation < seen) throw outdated(record, rotation, seen)
      const owner = await readJson(ownerPath, ownerSchema)
      if (!owner || owner.shared) return
      const me = await machine()
      if (me !== undefined && owner.machine !== me) throw copied(home, record)
    },
    async note(record, { isRefresh }) {
      try {
        const path = pathOf(record.thumbprint)
        const { rotation } = record
        const isDue = rotation !== undefined && (isRefresh || rotation > (await highest(record)))
        if (path !== undefined && isDue) await write(path, { rotation }, home)
        if (await readJson(ownerPath, ownerSchema)) return
        const me = await machine()
        if (me !== undefined) await write(ownerPath, { machine: me }, home)
      } catch {
        // The session is saved, which is what matters.
      }
    },
    async forget(thumbprint) {
      const path = pathOf(thumbprint)
      if (path !== undefined) await removeFile(path).catch(() => undefined)
    },
    async alone(thumbprint, work, onWait) {
      if (cache === undefined || !(await isUsable(cache, home))) return work()
      let isBegun = false
      const begin = () => {
        isBegun = true
        return work()
      }
      try {
        return await withLock(join(cache, 'locks', thumbprint), begin, { onWait })
      } catch (error) {
        if (isBegun || isOAuthError(error, 'SESSION_BUSY')) throw error
        return work()
      }
    },
    async adopt(adoption) {
      const me = await machine()
      const shared = adoption === 'shared'
      // Where there is nothing to compare with later, the next machine that has a name is the owner.
      const isNobodys = me === undefined && !shared
      const done = isNobodys ? removeFile(ownerPath) : write(ownerPath, { machine: me ?? 'unknown', shared }, home)
      await done.catch((error: unknown) => {
        throw unavailable(error, 'write', ownerPath)
      })
    },
  }
}

async function isUsable(cache: string, home: string): Promise<boolean> {
  try {
    await makePrivateFolder(cache)
    return await isOpenTo(cache, home)
  } catch {
    return false
  }
}

/**
 * In place: a file that was cut short says as little as a missing one, and nothing is left of a killed process. Through
 * no link; as root, for the owner of `model`.
 */
async function write(path: string, value: object, model: string): Promise<void> {
  await makePrivateFolder(dirname(path))
  if (!(await isOpenTo(dirname(path), model))) return
  const file = await open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  try {
    await shareOwner(file, path)
    await file.truncate()
    await file.writeFile(serialize(value))
  } finally {
    await file.close()
  }
}

async function readJson<T>(path: string, schema: v.Type<T>): Promise<T | undefined> {
  try {
    const found = schema.try(JSON.parse((await readPrivate(path)) ?? ''), { mode: 'strip' })
    return found.ok ? found.value : undefined
  } catch {
    return undefined
  }
}

function outdated(record: SessionRecord, rotation: number, seen: number): OAuthError {
  const message = `these tokens of ${record.did} are from before refresh ${rotation + 1}, and this machine has already seen refresh ${seen}: they are an old copy; nothing was sent`
  return new OAuthError('SESSION_OUTDATED', message, { facts: { reason: 'copy-outdated', ...loginFacts(record) } })
}

function copied(home: string, { did }: SessionRecord): OAuthError {
  const message = `the store ${home} was last used on another machine, and two copies of the session of ${did} would end it; nothing was sent`
  return new OAuthError('STORE_COPIED', message, { facts: { reason: 'store-copied' } })
}

/** Containers have the identity of their image, or none. */
const CONTAINER_FILES = ['/.dockerenv', '/run/.containerenv']

/** Whether this machine is the same one tomorrow. Containers, and the machines of CI jobs, come and go. */
export function isLasting(environment: NodeJS.ProcessEnv, exists: (path: string) => boolean = existsSync): boolean {
  const { CI, KUBERNETES_SERVICE_HOST, container } = environment
  const isCi = CI !== undefined && !['', '0', 'false'].includes(CI.toLowerCase())
  return !isCi && KUBERNETES_SERVICE_HOST === undefined && container === undefined && !CONTAINER_FILES.some(exists)
}

/** A hash of what the system calls itself; `undefined` where it has no lasting name. */
export async function machineId(
  platform: NodeJS.Platform = process.platform,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  if (!isLasting(environment)) return undefined
  const id = await systemId(platform).catch(() => undefined)
  return id ? hash('sha256', `atproto-oauth ${id}`, 'base64url').slice(0, 22) : undefined
}

async function systemId(platform: NodeJS.Platform): Promise<string | undefined> {
  const run = promisify(execFile)
  const options = { timeout: 5_000, windowsHide: true }
  if (platform === 'darwin') {
    const { stdout } = await run('/usr/sbin/ioreg', ['-rd1', '-c', 'IOPlatformExpertDevice'], options)
    return /"IOPlatformUUID" = "([^"]+)"/.exec(stdout)?.[1]
  }
  if (platform === 'win32') {
    const key = 'HKLM\\SOFTWARE\\Microsoft\\Cryptography'
    const { stdout } = await run('reg', ['query', key, '/v', 'MachineGuid'], options)
    return /MachineGuid\s+REG_SZ\s+(\S+)/.exec(stdout)?.[1]
  }
  const id = await readFile('/etc/machine-id', 'utf8').catch(() => readFile('/var/lib/dbus/machine-id', 'utf8'))
  return /^[0-9a-f]{32}$/.exec(id.trim())?.[0]
}
