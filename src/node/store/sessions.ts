/**
 * The per-user store: pending authorizations by state, sessions by key thumbprint,
 * each a file of its own.
 *
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { rename, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { OAuthError } from '../../errors.ts'
import type { PendingRecord, SpentAuthorization } from '../../model.ts'
import type { PendingStore, SessionStore } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import { persist } from './file-errors.ts'
import {
  besideOf,
  isBeside,
  isCode,
  isTemporary,
  LEFTOVERS_KEPT,
  listFolder,
  RESERVED_BYTES,
  type Reservation,
  readPrivate,
  removeFile,
  reserve,
  sweepFolder,
  unavailable,
  writePrivate,
} from './files.ts'
import { withLock } from './lock.ts'
import { parseNonces, parsePending, parseSession, sealed } from './records.ts'

/** Milliseconds; what is left of a login is of no use after that. */
const PENDING_KEPT = 7 * 24 * 3600 * 1000

/** `<home>/pending/<hash of state>.json`: the state comes back from a browser, and names no file itself. */
export function createPendingStore(home: string): PendingStore {
  const folder = join(home, 'pending')
  const pathOf = (state: string) => join(folder, `${createHash('sha256').update(state).digest('hex')}.json`)
  const reservations: Reservations = new Map()
  return {
    async put(record) {
      await sweepFolder(folder, PENDING_KEPT, (name) => /^[0-9a-f]{64}\.json$/.test(name) || isTemporary(name))
      await putFile(pathOf(record.state), record, reservations)
    },
    async get(state) {
      const record = await readLogin(pathOf(state))
      return record && sameState(record, state)
    },
    claim: (record) => claimFile(pathOf(record.state), record, reservations),
  }
}

/** What a claim reserves for the `put` after it: what comes back for a code must not meet a full disk. */
type Reservations = Map<string, Reservation>
const CLAIMED = '.claimed'

async function putFile(path: string, record: PendingRecord, reservations: Reservations): Promise<void> {
  await using room = reservations.get(path) ?? (await reserve(path))
  reservations.delete(path)
  await room.fill(serialize(record))
}

async function readLogin(path: string): Promise<PendingRecord | undefined> {
  const text = await readPrivate(path)
  if (text !== undefined) return parsePending(text, path)
  // Who claimed it may have been killed before it could note that; then nobody knows how far it got.
  const name = (await listFolder(dirname(path))).find((each) => isBeside(each, path, `\\${CLAIMED}`))
  const claimed = name && join(dirname(path), name)
  const was = claimed && (await readPrivate(claimed))
  if (!was) return undefined
  const record = parsePending(was, claimed)
  if (record.status === 'spent') return record
  const { state, did } = record
  const at = (await stat(claimed)).ctimeMs
  return { version: 1, status: 'spent', state, codeHash: '', outcome: 'sent', at, ...(did && { did }) }
}

/** A file can be renamed away by one process only: the others find it gone. */
async function claimFile(path: string, record: SpentAuthorization, reservations: Reservations): Promise<boolean> {
  await using room = await reserve(path) // before the record is away from its place
  const later = await reserve(path)
  try {
    const claimed = besideOf(path, CLAIMED)
    await persist(() => rename(path, claimed))
    // Somebody may have claimed it before us, and put the note of that in its place.
    const was = parsePending((await readPrivate(claimed)) ?? '', path)
    const granted = was.status === 'pending'
    await room.fill(serialize(granted ? record : was))
    await removeFile(claimed)
    if (granted) reservations.set(path, later)
    return granted
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw unavailable(error, 'write', path)
  } finally {
    if (reservations.get(path) !== later) await later[Symbol.asyncDispose]()
  }
}

/** One login in one file, which may be carried to another machine. */
export function createStateFileStore(path: string): PendingStore {
  const reservations: Reservations = new Map()
  return {
    async put(record) {
      const text = await readPrivate(path)
      if (text) parsePending(text, path) // a file that is not ours is not overwritten; an empty one, as of mktemp, is
      await putFile(path, record, reservations)
    },
    async get(state) {
      const record = await readLogin(path)
      if (!record)
        throw new OAuthError('STORE_UNAVAILABLE', `there is no state file ${path}`, {
          facts: { reason: 'state-file-missing' },
        })
      return sameState(record, state)
    },
    claim: (record) => claimFile(path, record, reservations),
  }
}

/** `<home>/sessions/<thumbprint>.json`, with `nonces/` and `locks/` beside. */
export function createSessionStore(home: string, holdSignals: SignalHold): SessionStore {
  const folder = join(home, 'sessions')
  const pathOf = (thumbprint: string) => join(folder, `${checked(thumbprint)}.json`)
  const noncesOf = (thumbprint: string) => join(home, 'nonces', `${checked(thumbprint)}.json`)
  const read = async (thumbprint: string) => {
    const path = pathOf(thumbprint)
    const text = await readPrivate(path)
    return text === undefined ? undefined : parseSession(text, path, thumbprint)
  }
  return {
    read,
    async list() {
      const names = (await listFolder(folder)).filter((name) => /^[A-Za-z0-9_-]{43}\.json$/.test(name))
      const results = await Promise.allSettled(names.map((name) => read(name.slice(0, -'.json'.length))))
      const records = results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []))
      // A damaged file is no reason to keep from the others; without others it is the answer.
      const failed = results.find((result) => result.status === 'rejected')
      if (records.length === 0 && failed) throw failed.reason
      return records
    },
    update(thumbprint, transaction) {
      const path = pathOf(thumbprint)
      return withLock(join(home, 'locks', thumbprint), () =>
        holdSignals(async () => {
          await sweepFolder(folder, LEFTOVERS_KEPT, isTemporary)
          // Room for the next record is taken before each step, so that a full disk is noticed before a token is spent.
          const stored = await readPrivate(path)
          const roomAfter = (text = '') => reserve(path, RESERVED_BYTES + Buffer.byteLength(text))
          let room: Reservation | undefined = await roomAfter(stored)
          let spending = false
          try {
            return await transaction(
              stored === undefined ? undefined : parseSession(stored, path, thumbprint),
              async (next) => {
                const text = serialize(sealed(next))
                try {
                  await using current = room ?? (await roomAfter(text))
                  room = undefined
                  await current.fill(text)
                } catch (error) {
                  if (!spending) throw error
                  await saveElsewhere(text, path, error)
                }
                spending = next.intent !== undefined
                if (spending) room = await roomAfter(text)
              },
              async () => {
                await removeFile(path)
                await removeFile(noncesOf(thumbprint))
              },
            )
          } finally {
            await room?.[Symbol.asyncDispose]()
          }
        }),
      )
    },
    async readNonces(thumbprint) {
      return parseNonces(await readPrivate(noncesOf(thumbprint)).catch(() => undefined))
    },
    async writeNonces(thumbprint, nonces) {
      await writePrivate(noncesOf(thumbprint), JSON.stringify(nonces))
    },
  }
}

/** A token was sent, and what came back is in this process only: any place is better than none. */
async function saveElsewhere(text: string, path: string, cause: unknown): Promise<void> {
  const elsewhere = join(tmpdir(), `atproto-oauth-${randomUUID()}.json`)
  const why = cause instanceof Error ? cause.message : 'unknown reason'
  try {
    await writePrivate(path, text) // the folder may have been removed, a room be gone with it
  } catch {
    await writePrivate(elsewhere, text).catch(() => {
      throw new OAuthError('SAVE_FAILED', `a token was sent, and what came back is lost: ${why}`, {
        cause,
        session: 'unknown',
        facts: { reason: 'tokens-lost' },
      })
    })
    throw new OAuthError('SAVE_FAILED', `${why}; the session as it is now is in ${elsewhere}`, {
      cause,
      facts: { reason: 'session-elsewhere', from: elsewhere, to: path },
    })
  }
}

function serialize(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

function sameState(record: PendingRecord, state: string): PendingRecord | undefined {
  return record.state === state ? record : undefined
}

function checked(thumbprint: string): string {
  if (/^[A-Za-z0-9_-]{43}$/.test(thumbprint)) return thumbprint
  throw new TypeError('a thumbprint is base64url of 32 bytes')
}
