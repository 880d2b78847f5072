/**
 * Logins in progress: pending authorizations by state, each in its own file, or one in a state file.
 */
import { createHash } from 'node:crypto'
import { rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OAuthError } from '../../errors.ts'
import type { PendingRecord, SpentAuthorization } from '../../model.ts'
import type { PendingStore } from '../../ports.ts'
import { assertFolderOf } from '../given-file.ts'
import { persist } from './file-errors.ts'
import {
  besideOf,
  isBeside,
  isCode,
  isTemporary,
  listFolder,
  ReservedFile,
  readPrivate,
  removeFile,
  reserve,
  serialize,
  sweepFolder,
  unavailable,
} from './files.ts'
import { parsePending, storedLogin } from './records.ts'

/** Milliseconds; the record of a login is useless after that. */
const PENDING_KEPT = 7 * 24 * 3600 * 1000

/** `<home>/pending/<hash of state>.json`: the state comes from a browser and must not be used as a file name. */
export function createPendingStore(home: string): PendingStore {
  const folder = join(home, 'pending')
  const pathOf = (state: string) => join(folder, `${createHash('sha256').update(state).digest('hex')}.json`)
  // Credentials that were received and not delivered are nowhere else.
  const isOver = async (name: string) => {
    if (!/^[0-9a-f]{64}\.json$/.test(name)) return isTemporary(name)
    const text = await readPrivate(join(folder, name)).catch(() => undefined)
    return text !== undefined && !text.includes('"received"')
  }
  /** Claimed files, with disk space for the `put` that follows. */
  const claimed = new Map<string, ReservedFile>()
  return {
    async prepare() {
      await using _ = await reserve(join(folder, 'login.json'))
    },
    async put(record) {
      await sweepFolder(folder, PENDING_KEPT, isOver)
      const path = pathOf(record.state)
      const file = claimed.get(path) ?? new ReservedFile(path)
      claimed.delete(path)
      await file.write(serialize(storedLogin(record)))
    },
    async get(state) {
      const record = await readLogin(pathOf(state))
      return record && sameState(record, state)
    },
    async list() {
      const names = (await listFolder(folder)).filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
      // A damaged record is reported when its own login is completed.
      const records = await Promise.all(names.map((name) => readLogin(join(folder, name)).catch(() => undefined)))
      return records.filter((record) => record !== undefined)
    },
    async claim(record) {
      const file = new ReservedFile(pathOf(record.state))
      const isClaimed = await claimLogin(file, record)
      if (isClaimed) claimed.set(file.path, file)
      return isClaimed
    },
  }
}

/** A single login in one file, which can be copied to another machine. */
export function createStateFileStore(path: string): PendingStore {
  const file = new ReservedFile(path)
  const prepare = async () => {
    await assertFolderOf(path)
    const text = await readPrivate(path)
    if (text) checkOurs(text, path) // an empty file (mktemp) is overwritten
  }
  const read = async () => {
    const record = await readLogin(path)
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
    claim: (record) => claimLogin(file, record),
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

async function readLogin(path: string): Promise<PendingRecord | undefined> {
  const text = await readPrivate(path)
  if (text !== undefined) return parsePending(text, path)
  // The claiming process may have been killed before it wrote its record, so it is unknown whether the code was sent.
  const name = (await listFolder(dirname(path))).find((each) => isBeside(each, path, `\\${CLAIMED}`))
  const claimed = name && join(dirname(path), name)
  const was = claimed && (await readPrivate(claimed))
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
async function claimLogin(file: ReservedFile, record: SpentAuthorization): Promise<boolean> {
  const later = await reserve(file.path)
  let isGranted = false
  try {
    isGranted = await claimFile(file.path, record)
  } finally {
    if (isGranted) file.hold(later)
    else await later[Symbol.asyncDispose]()
  }
  return isGranted
}

/** Only one process can rename a file away; for the others it is not found. */
async function claimFile(path: string, record: SpentAuthorization): Promise<boolean> {
  await using room = await reserve(path) // before the record is renamed
  try {
    const claimed = besideOf(path, CLAIMED)
    await persist(() => rename(path, claimed))
    // Another process may have claimed it first and written its own record.
    const was = parsePending((await readPrivate(claimed)) ?? '', path)
    const isGranted = was.status === 'pending'
    await room.fill(serialize(storedLogin(isGranted ? record : was)))
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
