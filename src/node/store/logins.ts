/**
 * Logins in progress: pending authorizations by state, each in its own file, or one in a state file.
 */
import { rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { PendingRecord, SpentAuthorization } from '../../model.ts'
import type { PendingStore } from '../../ports.ts'
import { assertFolderOf } from '../given-file.ts'
import { type FileSealer, isSealed, loginId, loginName, PLAIN, type StoreCipher, storeCipher } from './cipher.ts'
import { persist } from './file-errors.ts'
import {
  besideOf,
  isBeside,
  isCode,
  isTemporary,
  LEFTOVERS_KEPT,
  listFolder,
  ReservedFile,
  readPrivate,
  removeFile,
  reserve,
  serialize,
  sweepFolder,
} from './files.ts'
import { withLock } from './lock.ts'
import { unavailable } from './obstacles.ts'
import { lockFolder, loginsFolder } from './parts.ts'
import { parsePending, storedLogin } from './records.ts'

/** Milliseconds; the record of a login is useless after that. */
const PENDING_KEPT = 7 * 24 * 3600 * 1000

/** `<home>/pending/<hash of state>.json` */
export function createPendingStore(home: string, cipher: StoreCipher = storeCipher(home)): PendingStore {
  const folder = loginsFolder(home)
  const fileOf = (state: string): LoginFile => ({
    path: join(folder, `${loginId(state)}.json`),
    name: loginName(loginId(state)),
    cipher,
  })
  // A change of the encryption must see every file, and must not bring back what was in one before.
  const alone = <T>(work: () => Promise<T>) => withLock(lockFolder(home, 'logins'), work)
  // Credentials that were received and not delivered are nowhere else.
  const isOver = async (name: string) => {
    if (!LOGIN_NAME.test(name)) return isTemporary(name)
    const text = await cipher.read(join(folder, name), nameOf(name)).catch(() => undefined)
    return text !== undefined && !text.includes('"received"')
  }
  /** Claimed files, with disk space for the `put` that follows. */
  const claimed = new Map<string, ReservedFile>()
  return {
    async prepare() {
      await cipher.sealer()
      await using _ = await reserve(join(folder, 'login.json'))
    },
    async put(record) {
      const login = fileOf(record.state)
      const file = claimed.get(login.path) ?? new ReservedFile(login.path)
      claimed.delete(login.path)
      const work = () => writeLogin(file, record, login)
      // The tokens of a login are nowhere else yet, so they do not wait for the lock. They replace what `claim` has left,
      // which is plain text that a change does not touch. A change that begins after this write finds them.
      if (record.status === 'received') return work()
      let isBegun = false
      const begin = () => {
        isBegun = true
        return work()
      }
      // On a full disk there is no lock, but there is room for the record.
      await alone(begin).catch((error: unknown) => {
        if (isBegun) throw error
        return work()
      })
      // Afterwards: it may have been the tokens of a login, which nothing else has.
      await sweepFolder(folder, PENDING_KEPT, isOver)
      // Of a killed process; it may have the tokens of a login, which are in its record too or were never used.
      await sweepFolder(folder, LEFTOVERS_KEPT, (name) => isTemporary(name) && !name.endsWith(`${CLAIMED}.tmp`))
    },
    async get(state) {
      const record = await readLogin(fileOf(state))
      return record && sameState(record, state)
    },
    async list() {
      const names = (await listFolder(folder)).filter((name) => LOGIN_NAME.test(name))
      const files = names.map((name): LoginFile => ({ path: join(folder, name), name: nameOf(name), cipher }))
      // A damaged record is reported when its own login is completed.
      const records = await Promise.all(files.map((file) => readLogin(file).catch(ignoreDamaged)))
      return records.filter((record) => record !== undefined)
    },
    async claim(record) {
      const login = fileOf(record.state)
      const file = new ReservedFile(login.path)
      const isClaimed = await alone(() => claimLogin(file, record, login))
      if (isClaimed) claimed.set(file.path, file)
      return isClaimed
    },
  }
}

const LOGIN_NAME = /^[0-9a-f]{64}\.json$/

function nameOf(fileName: string): string {
  return loginName(fileName.slice(0, -'.json'.length))
}

function ignoreDamaged(error: unknown): undefined {
  if (isOAuthError(error, 'STORE_LOCKED')) throw error
}

interface LoginFile {
  readonly path: string
  /** As which it is encrypted. */
  readonly name: string
  readonly cipher: Pick<StoreCipher, 'sealer' | 'open' | 'read'>
}

async function writeLogin(file: ReservedFile, record: PendingRecord, { name, cipher }: LoginFile): Promise<void> {
  for (;;) {
    const sealer = await cipher.sealer({ isBegun: true })
    await file.write(await contentOf(record, name, sealer))
    // Without the lock, a change of the encryption may not have seen this file.
    if (await sealer.isCurrent()) return
  }
}

/** What remains of a login after its code was sent is no secret, and can be read without a key. */
async function contentOf(record: PendingRecord, name: string, { seal }: Pick<FileSealer, 'seal'>): Promise<string> {
  const text = serialize(storedLogin(record))
  return record.status === 'spent' ? text : seal(text, name)
}

/** Whether a file is encrypted, or should be in a store that is. */
export function isSecretLogin(content: string): boolean {
  return isSealed(content) || !/^\s*\{[^{]*"status": "spent"/.test(content)
}

/** A single login in one file, which can be copied to another machine. */
export function createStateFileStore(path: string): PendingStore {
  const file = new ReservedFile(path)
  const login: LoginFile = { path, name: '', cipher: PLAIN }
  const prepare = async () => {
    await assertFolderOf(path)
    const text = await readPrivate(path)
    if (text) checkOurs(text, path) // an empty file (mktemp) is overwritten
  }
  const read = async () => {
    const record = await readLogin(login)
    if (record) return record
    throw new OAuthError('STORE_UNAVAILABLE', `cannot read the state file ${path}: no such file or directory`, {
      facts: { reason: 'state-file-missing' },
    })
  }
  return {
    async prepare() {
      await prepare()
      await using _ = await reserve(path)
    },
    async put(record) {
      await prepare()
      await file.write(serialize(storedLogin(record)))
    },
    get: async (state) => sameState(await read(), state),
    list: async () => [await read()],
    claim: (record) => claimLogin(file, record, login),
  }
}

function checkOurs(text: string, path: string): void {
  try {
    parsePending(text, path)
  } catch {
    throw new OAuthError('STORE_INVALID', `${path} is not the state file of a login, and is not overwritten`, {
      facts: { reason: 'state-file-foreign' },
    })
  }
}

const CLAIMED = '.claimed'

async function readLogin({ path, name, cipher }: LoginFile): Promise<PendingRecord | undefined> {
  const text = await cipher.read(path, name)
  if (text !== undefined) return parsePending(text, path)
  // The claiming process may have been killed before it wrote its record, so it is unknown whether the code was sent.
  const claim = (await listFolder(dirname(path))).find((each) => isBeside(each, path, `\\${CLAIMED}`))
  const claimed = claim && join(dirname(path), claim)
  const was = claimed && (await cipher.read(claimed, name))
  if (!was) return undefined
  const record = parsePending(was, claimed)
  if (record.status === 'spent') return record
  const { state, did, handle } = record
  const at = (await stat(claimed)).ctimeMs
  return {
    version: 1,
    status: 'spent',
    state,
    codeHash: '',
    outcome: 'sent',
    at,
    ...(did && { did }),
    ...(handle && { handle }),
  }
}

/** Also reserves disk space for the following `put`, so that the credentials can be stored even if the disk is full. */
async function claimLogin(file: ReservedFile, record: SpentAuthorization, login: LoginFile): Promise<boolean> {
  const later = await reserve(file.path)
  let isGranted = false
  try {
    isGranted = await claimFile(record, login)
  } finally {
    if (isGranted) file.hold(later)
    else await later[Symbol.asyncDispose]()
  }
  return isGranted
}

/**
 * The key of the store is needed now, for what is written after the code was sent.
 *
 * Only one process can rename a file away; for the others it is not found.
 */
async function claimFile(record: SpentAuthorization, { path, name, cipher }: LoginFile): Promise<boolean> {
  const sealer = await cipher.sealer()
  await using room = await reserve(path) // before the record is renamed
  try {
    const claimed = besideOf(path, CLAIMED)
    await persist(() => rename(path, claimed))
    // Another process may have claimed it first and written its own record.
    const was = parsePending((await cipher.read(claimed, name)) ?? '', path)
    const isGranted = was.status === 'pending'
    await room.fill(await contentOf(isGranted ? record : was, name, sealer))
    await removeFile(claimed)
    return isGranted
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw unavailable(error, 'write', path)
  }
}

function sameState(record: PendingRecord, state: string): PendingRecord | undefined {
  return record.state === state ? record : undefined
}
