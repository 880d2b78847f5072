/**
 * The stores in memory: what another process could read after a power cut, and no more.
 */
import type { Nonces, PendingRecord, RevokedSession, SessionRecord } from '../model.ts'
import type { Stores, Transaction } from '../ports.ts'

export interface FakeStores extends Stores {
  /** What is stored, by state; a test may edit it. */
  readonly pendingRecords: Map<string, PendingRecord>
  /** What is stored, by thumbprint; a test may edit it. */
  readonly sessionRecords: Map<string, SessionRecord>
  readonly nonces: Map<string, Nonces>
  /** By thumbprint. */
  readonly revocations: Map<string, RevokedSession>
  /** The records that were made durable, oldest first; of many the last. */
  readonly history: (PendingRecord | SessionRecord)[]
  /** Gives the error a `put` of this record fails with; nothing is stored then. */
  failPut: (record: PendingRecord) => unknown
  /** Gives the error a `commit` of this record fails with; nothing is stored then. */
  failCommit: (record: SessionRecord) => unknown
  /** Gives the error with which another process is found to have taken over. */
  failConfirm: () => unknown
}

/** @param remembered the most records that `history` has */
export function createFakeStores(remembered = 1000): FakeStores {
  const pendingRecords = new Map<string, PendingRecord>()
  const sessionRecords = new Map<string, SessionRecord>()
  const nonces = new Map<string, Nonces>()
  const revocations = new Map<string, RevokedSession>()
  const history: FakeStores['history'] = []
  /** By thumbprint, resolved when the last transaction in line has ended. */
  const queues = new Map<string, Promise<void>>()

  function note(record: PendingRecord | SessionRecord): void {
    history.push(copy(record))
    if (history.length > remembered) history.shift()
  }

  async function update<T>(thumbprint: string, transaction: Transaction<T>): Promise<T> {
    const before = queues.get(thumbprint) ?? Promise.resolve()
    let leave = () => {}
    queues.set(thumbprint, new Promise<void>((resolve) => (leave = resolve)))
    await before
    let open = true
    try {
      return await transaction({
        stored: copy(sessionRecords.get(thumbprint)),
        commit: async (next) => {
          if (!open) throw new Error('commit after the transaction ended: another process may hold the lock')
          if (next.thumbprint !== thumbprint) throw new Error('commit of a record of another thumbprint')
          await tick()
          raise(stores.failCommit(next))
          sessionRecords.set(thumbprint, copy(next))
          note(next)
        },
        forget: async () => {
          await tick()
          sessionRecords.delete(thumbprint)
          nonces.delete(thumbprint)
        },
        confirm: async () => raise(stores.failConfirm()),
      })
    } finally {
      open = false
      leave()
    }
  }

  const stores: FakeStores = {
    pendingRecords,
    sessionRecords,
    nonces,
    revocations,
    history,
    failPut: () => undefined,
    failCommit: () => undefined,
    failConfirm: () => undefined,
    pending: {
      prepare: async () => undefined,
      async claim(record) {
        raise(stores.failPut(record))
        if (pendingRecords.get(record.state)?.status !== 'pending') return false
        pendingRecords.set(record.state, copy(record))
        note(record)
        return true
      },
      async put(record) {
        await tick()
        raise(stores.failPut(record))
        pendingRecords.set(record.state, copy(record))
        note(record)
      },
      get: async (state) => copy(pendingRecords.get(state)),
      list: async () => [...pendingRecords.values()].map((record) => copy(record)!),
    },
    sessions: {
      read: async (thumbprint) => copy(sessionRecords.get(thumbprint)),
      list: async () => [...sessionRecords.values()].map(copy),
      update,
      assertNewest: async () => undefined,
      adopt: async () => undefined,
      noteRevoked: async (session) => void revocations.set(session.thumbprint, copy(session)),
      revoked: async (only) =>
        [...revocations.values()]
          .filter(({ thumbprint }) => only === undefined || thumbprint === only)
          .sort((one, other) => other.at - one.at),
      readNonces: async (thumbprint) => ({ ...nonces.get(thumbprint) }),
      writeNonces: async (thumbprint, next) => void nonces.set(thumbprint, { ...next }),
    },
  }
  return stores
}

/** What is on a disk does not change when the caller changes its object. */
function copy<T>(value: T): T {
  return structuredClone(value)
}

/** Writing takes a moment, so that a forgotten `await` shows. */
function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function raise(error: unknown): void {
  if (error !== undefined) throw error
}
