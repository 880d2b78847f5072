/**
 * Tells a program that a session has rotated or ended, as its store learns of it.
 */
import type { Did, SessionRecord } from '../model.ts'
import type { SessionStore, SessionTransaction, Stores } from '../ports.ts'
import { overriding } from './abort.ts'

/** What happened to a session of this client, in this process. */
export type SessionChange =
  | {
      readonly kind: 'rotated'
      readonly did: Did
      /** The RFC 7638 thumbprint of the DPoP key, which tells sessions of one account apart. */
      readonly thumbprint: string
      /** Number of refreshes since the login. */
      readonly rotation: number
    }
  | {
      readonly kind: 'ended'
      readonly did: Did
      readonly thumbprint: string
      /** In one sentence, for people. */
      readonly reason: string
    }

interface Observer {
  onChange(change: SessionChange): void
  /** Called with each change of a record, so that its end can be awaited. */
  onUpdate(update: Promise<unknown>): void
}

export function observed(stores: Stores, observer: Observer): Stores {
  const { pending, sessions, local, vault } = stores
  return {
    pending,
    sessions: watch(sessions, observer),
    ...(local && { local: local === sessions ? watch(sessions, observer) : watch(local, observer) }),
    ...(vault && { vault: watch(vault, observer) }),
  }
}

function watch(store: SessionStore, { onChange, onUpdate }: Observer): SessionStore {
  const update: SessionStore['update'] = (thumbprint, transaction) => {
    let changes: SessionChange[] = []
    const done = store
      .update(thumbprint, (given) => {
        changes = [] // it may be run again
        return transaction(noting(given, (change) => void changes.push(change)))
      })
      .finally(() => {
        for (const change of changes) onChange(change)
      })
    onUpdate(done)
    return done
  }
  return overriding(store, { update })
}

function noting(given: SessionTransaction, note: (change: SessionChange) => void): SessionTransaction {
  let current = given.stored
  const { awaitTurn } = given
  return {
    stored: given.stored,
    get isBusy() {
      return given.isBusy === true
    },
    get sentBy() {
      return given.sentBy
    },
    ...(awaitTurn && { awaitTurn: () => awaitTurn.call(given) }),
    confirm: () => given.confirm(),
    async commit(next) {
      await given.commit(next)
      if (current) for (const change of changesOf(current, next)) note(change)
      current = next
    },
    async forget(isEnded) {
      await given.forget(isEnded)
      if (isEnded && current && !current.ended) note(end(current, 'it was revoked here'))
      current = undefined
    },
  }
}

function changesOf(before: SessionRecord, { ended, rotation, ...after }: SessionRecord): SessionChange[] {
  if (ended) return before.ended ? [] : [end(after, ended.reason)]
  if (rotation === undefined || rotation === before.rotation) return []
  return [{ kind: 'rotated', did: after.did, thumbprint: after.thumbprint, rotation }]
}

function end({ did, thumbprint }: Pick<SessionRecord, 'did' | 'thumbprint'>, reason: string): SessionChange {
  return { kind: 'ended', did, thumbprint, reason }
}
