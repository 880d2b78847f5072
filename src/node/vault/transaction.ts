/**
 * One change of a session in the vault. Before a token is sent, a claim is stored in the record: no other machine sends
 * the same token while it stands.
 */
import { OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { SessionTransaction } from '../../ports.ts'
import type { HeldLock } from '../store/lock.ts'
import type { VaultMemory } from './memory.ts'
import { type Claim, isRevoked, rotationOf, type Sealed, tombstone, type VaultRecord } from './record.ts'
import type { VaultClock, VaultMachine, VaultTimes } from './times.ts'

/** Thrown when another machine came first: nothing was sent, and the transaction is run again with what is there then. */
export class Again {
  readonly wait: () => Promise<void>

  constructor(wait: () => Promise<void> = async () => {}) {
    this.wait = wait
  }
}

/** What a transaction needs of its store, which explains it. */
interface VaultAccess {
  readonly times: VaultTimes
  readonly clock: VaultClock
  readonly machine: VaultMachine
  readonly memory: VaultMemory
  randomId(): string
  stopwatch(): () => number
  nameOf(session: Pick<SessionRecord, 'did'>): Promise<string>
  seal(record: VaultRecord): Promise<Sealed>
  resealed(sealed: Sealed): Promise<Sealed>
  readRecord(name: string): Promise<Sealed | undefined>
  swap(before: Pick<Sealed, 'text'> | undefined, after: Sealed, limit: number): Promise<boolean>
  publish(next: Sealed, expected: Sealed | undefined, limit: number): Promise<boolean>
  remember(sealed: Sealed): Promise<void>
  mayTakeOver(name: string, claim: Claim, isLocked: boolean): Promise<boolean>
  awaitClaim(name: string, claim: Claim): Promise<void>
  endTokens(record: SessionRecord): Promise<void>
  warn(message: string): void
}

/** A damaged record. */
export interface Unreadable {
  readonly text: string
  readonly error: unknown
}

interface Run {
  readonly store: VaultAccess
  readonly lock: HeldLock
  readonly thumbprint: string
  /** Every record of the vault, by name. */
  readonly all: ReadonlyMap<string, Sealed>
  readonly unreadable: ReadonlyMap<string, Unreadable>
}

/** A claim of this transaction. */
interface Held {
  readonly sealed: Sealed
  readonly claim: Claim
  /** What stood there before. */
  readonly before: Sealed
  /** Milliseconds since before it was sent to the vault, and since it was confirmed. */
  readonly sinceSent: () => number
  readonly sinceStored: () => number
  /** It repeats what another process may have sent. */
  readonly isResend: boolean
  isConfirmed: boolean
}

export class VaultTransaction implements SessionTransaction {
  readonly stored: SessionRecord | undefined
  /** Another machine is changing the session. */
  readonly isBusy: boolean
  /** How another machine calls itself that may have sent the token, and has stored no response. */
  readonly sentBy: string | undefined
  readonly #run: Run
  /** The record as this transaction knows it. */
  #base: Sealed | undefined
  #held: Held | undefined
  #room: AsyncDisposable | undefined
  #isPublished = false

  constructor(run: Run) {
    this.#run = run
    this.#base = [...run.all.values()].find(({ record }) => record.session.thumbprint === run.thumbprint)
    const { session, claim, sentBy } = this.#base?.record ?? {}
    this.stored = session
    this.isBusy = claim !== undefined
    const by = (session?.intent && claim) ?? sentBy
    this.sentBy = by === undefined || by.holder === run.store.machine.holder ? undefined : by.label
  }

  readonly awaitTurn = async (): Promise<void> => {
    const { store } = this.#run
    const { name, record } = this.#base ?? {}
    const claim = record?.claim
    if (name === undefined || claim === undefined || (await store.mayTakeOver(name, claim, true))) return
    throw new Again(() => store.awaitClaim(name, claim))
  }

  readonly commit = async (next: SessionRecord): Promise<void> => {
    if (this.#held !== undefined) return this.#settle(this.#held, next)
    if (next.intent !== undefined) return this.#claim(next, 'refresh')
    if (this.#base === undefined) return this.#put(next)
    await this.#change(next)
  }

  readonly confirm = async (): Promise<void> => {
    const { store, lock } = this.#run
    const { times } = store
    if (this.#held === undefined) {
      if (this.#base === undefined) return
      await this.#claim(this.#base.record.session, 'change')
    }
    const held = this.#held!
    await lock.confirm()
    const latest = held.isConfirmed ? times.lastSend : times.firstSend
    // Whoever had the claim before may store a response at any moment: it is published over any claim.
    const isThere = !held.isResend || (await store.readRecord(held.sealed.name))?.text === held.sealed.text
    if (!isThere || held.sinceStored() > latest || held.sinceSent() > times.claimSwap + latest) {
      await this.#release(held, held.before.record)
      throw new Again()
    }
    held.isConfirmed = true
  }

  readonly forget = async (): Promise<void> => {
    const { store } = this.#run
    const { clock, times } = store
    const { session } = this.#base?.record ?? {}
    if (session === undefined) return
    const { replaced: earlier } = this.#base?.record ?? {}
    const gone = { ...this.#plain(tombstone(session, clock.now())), replaced: undefined }
    let next = await store.seal({ ...gone, endedBy: 'person' })
    let current: Sealed | undefined = this.#held?.sealed ?? this.#base
    while (current !== undefined && current.record.session.thumbprint === session.thumbprint) {
      if (await store.swap(current, next, times.publish)) {
        await store.remember(next)
        // Refreshed while this machine slept: the server need not know the session by the token that was revoked.
        const { refreshToken } = current.record.session
        if (refreshToken !== undefined && refreshToken !== session.refreshToken) {
          await store.endTokens(current.record.session)
        }
        break
      }
      current = await store.readRecord(next.name)
      next = await store.resealed(next)
    }
    this.#held = undefined
    this.#base = next
    // The login that replaced it may have died before it ended it.
    if (earlier !== undefined) await store.endTokens(earlier)
  }

  /** The transaction is over, however it ended. */
  async close(): Promise<void> {
    const held = this.#held
    if (held !== undefined) {
      const { store } = this.#run
      const { holder, label } = store.machine
      const { claim, ...record } = held.sealed.record
      // What was sent without a response must be known to whoever comes next.
      const after = held.isConfirmed && record.session.intent ? { ...record, sentBy: { holder, label } } : undefined
      await this.#release(held, after ?? held.before.record).catch(() => undefined)
    }
    await this.#room?.[Symbol.asyncDispose]()
    this.#room = undefined
  }

  async #claim(session: SessionRecord, purpose: string): Promise<void> {
    const { store } = this.#run
    const { machine, times } = store
    const before = this.#base
    if (before === undefined || isRevoked(before.record)) {
      const name = await store.nameOf(session)
      const damaged = this.#run.unreadable.get(name)
      throw damaged === undefined ? replaced(session, this.#run.all.get(name)) : damaged.error
    }
    await this.awaitTurn()
    this.#room ??= await store.memory.reserve('ahead', session.thumbprint)
    const claim: Claim = { id: store.randomId(), rotation: rotationOf(session), purpose, ...machine }
    const isResend = before.record.session.intent !== undefined
    const sealed = await store.seal({ ...before.record, session, claim, ...this.#sentBy(before.record) })
    const sinceSent = store.stopwatch()
    if (!(await store.swap(before, sealed, times.claimSwap))) throw new Again()
    this.#held = { sealed, claim, before, sinceSent, sinceStored: store.stopwatch(), isResend, isConfirmed: false }
  }

  /** What came of a claim. */
  async #settle(held: Held, next: SessionRecord): Promise<void> {
    if (next.ended === undefined && rotationOf(next) > held.claim.rotation) return this.#publish(held, next)
    if (next.ended === undefined) {
      await this.#release(held, { ...this.#plain(next), ...this.#sentBy(held.before.record) })
      return
    }
    const endedBy = next.ended.handedOver === undefined ? 'server' : 'person'
    const isDone = await this.#release(held, { ...this.#plain(next), endedBy })
    if (!isDone && endedBy === 'person') throw takenOver()
  }

  async #publish(held: Held, session: SessionRecord): Promise<void> {
    const { store, thumbprint } = this.#run
    const { memory, machine, times } = store
    const { replaced: earlier } = held.before.record
    const next = await store.seal({ ...this.#plain(session), replaced: undefined })
    this.#held = undefined
    await this.#room?.[Symbol.asyncDispose]()
    this.#room = undefined
    const isKept = await memory.write('ahead', thumbprint, `${next.name}\n${next.text}`).then(
      () => true,
      () => false,
    )
    const limit = isKept && machine.durable ? times.publish : times.publishFromHere
    let isThere: boolean
    try {
      isThere = await store.publish(next, held.sealed, limit)
    } catch (error) {
      throw isKept ? keptHere(error, session) : nowhere(error)
    }
    if (isThere) await store.remember(next)
    if (!isThere) await store.endTokens(session)
    if (isKept) await memory.remove('ahead', thumbprint).catch(() => undefined)
    if (!isThere) {
      throw replaced(session, await store.readRecord(next.name).catch(() => undefined))
    }
    this.#base = next
    this.#isPublished = true
    // The login that replaced it may have died before it ended it.
    if (earlier !== undefined) await store.endTokens(earlier)
  }

  /** Who may have sent the token of a record, and may have its response. */
  #sentBy({ session, claim, sentBy }: VaultRecord): Pick<VaultRecord, 'sentBy'> {
    const earlier = (session.intent && claim) ?? sentBy
    return { sentBy: earlier && { holder: earlier.holder, label: earlier.label } }
  }

  /** A record with neither a claim nor anything said about an earlier one. */
  #plain(session: SessionRecord): VaultRecord {
    const { logins, replaced } = this.#base?.record ?? {}
    return { version: 1, kind: 'session', session, logins, replaced }
  }

  /**
   * Removes a claim and leaves `after`, unless somebody has taken it over meanwhile.
   *
   * @returns whether it did
   */
  async #release(held: Held, after: VaultRecord): Promise<boolean> {
    const { store } = this.#run
    this.#held = undefined
    const { claim, ...rest } = after
    const next = await store.seal({ ...rest, ...this.#sentBy(after) })
    if (!(await store.swap(held.sealed, next, store.times.claimSwap))) return false
    this.#base = next
    await store.remember(next)
    return true
  }

  /** A change without a claim: of what is said about the session, not of its tokens. */
  async #change(session: SessionRecord): Promise<void> {
    const { store } = this.#run
    const before = this.#base!
    if (isRevoked(before.record)) throw replaced(session, before)
    if (!this.#isPublished) await this.awaitTurn()
    const { ended, refreshToken } = session
    const endedBy = ended && (ended.handedOver === undefined ? 'server' : 'person')
    const isSame = refreshToken !== undefined && refreshToken === before.record.session.refreshToken
    const sentBy = isSame && this.#sentBy(before.record)
    const next = await store.seal({ ...this.#plain(session), ...(endedBy && { endedBy }), ...sentBy })
    if (await store.swap(before, next, store.times.claimSwap)) {
      this.#base = next
      await store.remember(next)
    } else if (!this.#isPublished) throw new Again()
  }

  /** A session that the vault does not have yet. It replaces that of an earlier login, which is ended. */
  async #put(session: SessionRecord): Promise<void> {
    const { store, all, unreadable } = this.#run
    const name = await store.nameOf(session)
    const before = all.get(name)
    // A copy of what a login has replaced: its tokens are being ended, and the vault knows newer ones.
    if (before?.record.replaced?.thumbprint === session.thumbprint) throw replaced(session, before)
    const logins = (before?.record.logins ?? 0) + 1
    const counted = { ...session, rotation: rotationOf(session) }
    const old = before?.record.session
    const ended = [before?.record.replaced, old?.ended ? undefined : old].filter((one) => one !== undefined)
    const last = ended.at(-1)
    const next = await store.seal({
      version: 1,
      kind: 'session',
      session: counted,
      logins,
      replaced: last && { ...last, spentTokens: [] },
    })
    const claim = before?.record.claim
    if (before && claim && !(await store.mayTakeOver(next.name, claim, false))) {
      throw new Again(() => store.awaitClaim(next.name, claim))
    }
    const damaged = unreadable.get(name)
    const there = damaged ?? before
    if (!(await store.swap(there, next, store.times.claimSwap))) throw new Again()
    this.#base = next
    await store.remember(next)
    if (damaged !== undefined) {
      store.warn('replaced a record of the vault that could not be read; a session in it stays valid until it expires')
    }
    if (old !== undefined && !old.ended)
      store.warn(`the earlier session of ${old.did} in the vault is replaced, and is being revoked`)
    for (const one of ended) await store.endTokens(one)
  }
}

/** @param current what stands there now */
function replaced({ did, handle, scope }: SessionRecord, current: Sealed | undefined): OAuthError {
  if (current !== undefined && current.record.session.ended === undefined) {
    return new OAuthError('SESSION_BUSY', `another login has just replaced this session of ${did} in the vault`)
  }
  if (current === undefined) {
    const message = `the session of ${did} is no longer in the vault; nothing was sent`
    return new OAuthError('SESSION_MISSING', message, { session: 'unknown', facts: { did } })
  }
  const message = `the session of ${did} was ended in the vault by another machine`
  return new OAuthError('SESSION_DEAD', message, { facts: { reason: 'ended-elsewhere', did, handle, scope } })
}

function takenOver(): OAuthError {
  const message = 'this process was suspended, and another machine has taken over the session in the vault'
  return new OAuthError('SESSION_BUSY', message, { facts: { reason: 'lock-lost' } })
}

function keptHere(cause: unknown, { did }: SessionRecord): OAuthError {
  const why = cause instanceof Error ? cause.message : 'unknown reason'
  const message = `the new tokens of ${did} could not be stored in the vault: ${why}; they are kept here, encrypted, and the next command on this machine stores them`
  return new OAuthError('SAVE_FAILED', message, { cause, session: 'alive' })
}

function nowhere(cause: unknown): OAuthError {
  const why = cause instanceof Error ? cause.message : 'unknown reason'
  return new OAuthError('SAVE_FAILED', `a token was sent, and the response could not be saved: ${why}`, {
    cause,
    session: 'unknown',
    facts: { reason: 'tokens-lost' },
  })
}
