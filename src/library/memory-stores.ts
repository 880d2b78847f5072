/**
 * Stores in memory: for tests, and for programs that save elsewhere.
 */
import type { Nonces, PendingRecord, RevokedSession, SessionRecord } from '../model.ts'
import type { Stores, Transaction } from '../ports.ts'

/**
 * Stores that live as long as the program. Two clients that are given the same ones share their sessions; with stores of
 * their own, and the same credentials, each still gets the tokens that the other has refreshed. Another process cannot see
 * a refresh here: one process uses a session at a time.
 */
export function memoryStores(): Stores {
  const pending = new Map<string, PendingRecord>()
  const sessions = new Map<string, SessionRecord>()
  const nonces = new Map<string, Nonces>()
  const revocations = new Map<string, RevokedSession>()
  /** By thumbprint; resolved when the last transaction in line has ended. */
  const lines = new Map<string, Promise<void>>()

  async function update<T>(thumbprint: string, transaction: Transaction<T>): Promise<T> {
    const before = lines.get(thumbprint)
    let leave = () => {}
    const place = new Promise<void>((resolve) => {
      leave = resolve
    })
    lines.set(thumbprint, place)
    await before
    try {
      return await transaction({
        stored: sessions.get(thumbprint),
        commit: async (next) => void sessions.set(thumbprint, structuredClone(next)),
        forget: async () => {
          sessions.delete(thumbprint)
          nonces.delete(thumbprint)
        },
        confirm: async () => undefined,
      })
    } finally {
      leave()
      if (lines.get(thumbprint) === place) lines.delete(thumbprint)
    }
  }

  return {
    pending: {
      prepare: async () => undefined,
      put: async (record) => void pending.set(record.state, structuredClone(record)),
      get: async (state) => pending.get(state),
      list: async () => [...pending.values()],
      claim: async (record) => {
        if (pending.get(record.state)?.status !== 'pending') return false
        pending.set(record.state, structuredClone(record))
        return true
      },
    },
    sessions: {
      read: async (thumbprint) => sessions.get(thumbprint),
      list: async () => [...sessions.values()],
      update,
      assertNewest: async () => undefined,
      adopt: async () => undefined,
      noteRevoked: async (session) => void revocations.set(session.thumbprint, session),
      revoked: async (only) =>
        [...revocations.values()]
          .filter(({ thumbprint }) => only === undefined || thumbprint === only)
          .sort((one, other) => other.at - one.at),
      readNonces: async (thumbprint) => nonces.get(thumbprint) ?? {},
      writeNonces: async (thumbprint, next) => void nonces.set(thumbprint, next),
    },
  }
}
