/**
 * The ports of the session operations.
 */
import type { SessionRecord } from '../model.ts'
import type { Dns, Network, Notices, RefreshedHere, Saving, Settings, Stores } from '../ports.ts'

export type RefreshPorts = Network &
  Dns &
  Notices &
  RefreshedHere & { readonly settings: Settings; readonly stores: Omit<Stores, 'pending'>; readonly saving: Saving }

/** Stores the record, durably once it resolves; given to a transaction of the session store. */
export type Commit = (next: SessionRecord) => Promise<void>
