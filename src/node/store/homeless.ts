/**
 * The stores of a user without a home directory: nothing is stored there, and nothing can be.
 */
import type { Stores } from '../../ports.ts'
import { homeNeeded } from '../home.ts'

export function createHomelessStores(): Stores {
  const refuse = async () => {
    throw homeNeeded()
  }
  return {
    pending: { prepare: refuse, put: refuse, get: refuse, claim: refuse },
    sessions: {
      // Given credentials can be used until they expire: only looking for others, and a refresh, need a store.
      read: async () => undefined,
      readNonces: async () => ({}),
      writeNonces: async () => undefined,
      list: async () => {
        throw homeNeeded().with({ session: 'none' })
      },
      update: refuse,
      assertNewest: refuse,
      adopt: refuse,
    },
  }
}
