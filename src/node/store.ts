/**
 * The per-user store: pending authorizations by state, sessions by key thumbprint,
 * each a file of its own.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AuthError } from '../errors.ts'
import type { PendingRecord } from '../model.ts'
import type { PendingStore, SessionStore } from '../ports.ts'
import { listFolder, type Reservation, readPrivate, removeFile, reserve, writePrivate } from './files.ts'
import { withLock } from './lock.ts'
import { parseNonces, parsePending, parseSession } from './records.ts'
import type { SignalHold } from './signals.ts'

/** Milliseconds; what is left of a login is of no use after that. */
const PENDING_KEPT = 7 * 24 * 3600 * 1000

/** `<home>/pending/<hash of state>.json`: the state comes back from a browser, and names no file itself. */
export function createPendingStore(home: string): PendingStore {
  const folder = join(home, 'pending')
  const pathOf = (state: string) => join(folder, `${createHash('sha256').update(state).digest('hex')}.json`)
  return {
    async put(record) {
      await sweep(folder)
      await writePrivate(pathOf(record.state), serialize(record))
    },
    async get(state) {
      const path = pathOf(state)
      const text = await readPrivate(path)
      return text === undefined ? undefined : sameState(parsePending(text, path), state)
    },
  }
}

/** `--state-file`: one login in one file, which may be carried to another machine. */
export function createStateFileStore(path: string): PendingStore {
  const read = async () => {
    const text = await readPrivate(path)
    return text === undefined ? undefined : parsePending(text, path)
  }
  return {
    async put(record) {
      await read() // a file that is not ours is not overwritten
      await writePrivate(path, serialize(record))
    },
    async get(state) {
      const record = await read()
      if (!record)
        throw new AuthError('STORE_UNAVAILABLE', `there is no state file ${path}`, {
          hint: 'give --state-file as to `init`',
        })
      return sameState(record, state)
    },
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
      const records = await Promise.all(names.map((name) => read(name.slice(0, -'.json'.length))))
      return records.filter((record) => record !== undefined)
    },
    update(thumbprint, transaction) {
      const path = pathOf(thumbprint)
      return withLock(join(home, 'locks', thumbprint), () =>
        holdSignals(async () => {
          // Room for the next record is taken before each step, so that a full disk is noticed before a token is spent.
          let room: Reservation | undefined = await reserve(path)
          try {
            return await transaction(await read(thumbprint), async (next) => {
              const current = room ?? (await reserve(path))
              room = undefined
              await current.fill(serialize(next))
              if (next.intent) room = await reserve(path)
            })
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

async function sweep(folder: string): Promise<void> {
  for (const name of await listFolder(folder)) {
    const path = join(folder, name)
    const stats = await stat(path).catch(() => undefined)
    if (stats && Date.now() - stats.mtimeMs > PENDING_KEPT) await removeFile(path)
  }
}
