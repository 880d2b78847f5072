/**
 * The sessions of a vault, as a session store. One record per account is the only truth; what a machine keeps is a copy
 * of it, and what it has received and not stored yet.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { Nonces, SessionRecord } from '../../model.ts'
import type { Random, SessionStore, Transaction } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import type { HeldLock } from '../store/lock.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { dataKeyId, openRecord, sessionName, type VaultKeys } from './envelope.ts'
import { unconfirmed } from './make.ts'
import { handedOver, type VaultMemory } from './memory.ts'
import { goneTo, isMovedError } from './moved.ts'
import { type Claim, isLater, rotationOf, type Sealed, seal, unseal, type VaultRecord } from './record.ts'
import { VAULT_TIMES, type VaultClock, type VaultMachine, type VaultTimes } from './times.ts'
import { Again, type Unreadable, VaultTransaction } from './transaction.ts'

export type { VaultClock, VaultMachine }

export interface VaultStoreOptions {
  readonly engine: VaultEngine
  keys(): Promise<VaultKeys>
  /**
   * Checks that the keys are those of the vault as it is now.
   *
   * @param text the vault's own record
   * @param isNeeded this machine has a session that is to be stored again, if the vault was lost
   * @throws {OAuthError} `VAULT_KEY_WRONG`, `VAULT_INVALID`
   */
  confirmKeys?(text: string | undefined, isNeeded: boolean): Promise<void>
  /** Takes over what this machine has seen and received at addresses where the vault was before. */
  inherit?(): Promise<void>
  /** Keys from before the user's key was replaced. Only what this machine remembers is opened with them. */
  formerKeys?(): Promise<readonly VaultKeys[]>
  readonly memory: VaultMemory
  readonly clock: VaultClock
  readonly machine: VaultMachine
  readonly holdSignals: SignalHold
  readonly times?: Partial<VaultTimes>
  readonly nonces?: Pick<SessionStore, 'readNonces' | 'writeNonces'>
  /** Ends tokens at the server that nobody will use. Best effort. */
  endTokens(record: SessionRecord): Promise<void>
  /** Called when another machine has claimed the session. What it returns is called when the wait is over. */
  readonly onWait?: ((label: string) => () => void) | undefined
  readonly warn?: (message: string) => void
}

/** Milliseconds: an access token that lasts this long needs no look at the vault. */
const STILL_GOOD = 15_000
/** Who may have refreshed a session that this machine has restored. */
const SOMEBODY = { holder: '', label: 'another machine' }
/** A transaction is run again when another machine came first. */
const ATTEMPTS_MOST = 50
const RETRY_LONGEST = 5_000

export class VaultStore implements SessionStore {
  readonly times: VaultTimes
  readonly #options: VaultStoreOptions & Random
  /** When this process first saw a claim. */
  readonly #watched = new Map<string, number>()
  /** See `handedOver`, when this process first looked. */
  #handedOver: Promise<string> | undefined
  /** Records of the last reading that are damaged, and why. */
  #unreadable: ReadonlyMap<string, Unreadable> = new Map()

  constructor(options: VaultStoreOptions & Random) {
    this.#options = options
    this.times = { ...VAULT_TIMES, ...options.times }
  }

  get engine(): VaultEngine {
    return this.#options.engine
  }

  get memory(): VaultMemory {
    return this.#options.memory
  }

  get clock(): VaultClock {
    return this.#options.clock
  }

  /**
   * Milliseconds since now, by the clock that went furthest: one stands still while the machine sleeps, one can be set,
   * and one can be coarse. A clock that was set back tells nothing, so that counts as for ever.
   */
  stopwatch(): () => number {
    const { clock } = this
    const [wall, monotonic, uptime] = [clock.now(), clock.monotonic(), clock.uptime()]
    return () => {
      const passed = clock.now() - wall
      if (passed < 0) return Number.POSITIVE_INFINITY
      return Math.max(passed, clock.monotonic() - monotonic, clock.uptime() - uptime)
    }
  }

  get machine(): VaultMachine {
    return this.#options.machine
  }

  get endTokens(): VaultStoreOptions['endTokens'] {
    return this.#options.endTokens
  }

  warn(message: string): void {
    this.#options.warn?.(message)
  }

  keys(): Promise<VaultKeys> {
    return this.#options.keys()
  }

  renewsEarlier(): number {
    return this.times.early
  }

  randomId(): string {
    return Buffer.from(this.#options.randomBytes(16)).toString('base64url')
  }

  /** Asks the engine, unless an access token that this machine has seen is still good. */
  async list(isAsked = false): Promise<SessionRecord[]> {
    await this.#assertCurrent()
    if (isAsked) return this.#readable(() => false)
    const seen = await this.#seen()
    const now = this.clock.now()
    const isGood = seen.some(({ record: { session } }) => {
      return session.accessToken !== undefined && (session.accessTokenExpiresAt ?? 0) > now + STILL_GOOD
    })
    const isClean = (await this.memory.names('ahead')).length === 0
    return isGood && isClean ? seen.map(({ record }) => record.session) : this.#readable((found) => found > 0)
  }

  /**
   * A damaged record must not hide the other sessions.
   *
   * @param isEnough whether so many sessions make up for a damaged record
   */
  async #readable(isEnough: (found: number) => boolean): Promise<SessionRecord[]> {
    const all = await this.readAll()
    const [damaged] = this.#unreadable.values()
    if (damaged !== undefined && !isEnough(all.size)) throw damaged.error
    return [...all.values()].map(({ record }) => record.session)
  }

  /** The sessions as this machine has seen them last, without a look at the vault. */
  async remembered(): Promise<SessionRecord[]> {
    return (await this.#seen()).map(({ record }) => record.session)
  }

  async read(thumbprint: string): Promise<SessionRecord | undefined> {
    return (await this.#readable((found) => found > 0)).find((session) => session.thumbprint === thumbprint)
  }

  /** All records as the engine has them now, after what this machine owes to it was stored. */
  async readAll(): Promise<Map<string, Sealed>> {
    await this.#options.inherit?.()
    for (const thumbprint of await this.memory.names('ahead')) {
      await this.memory.lock(thumbprint, () => this.finishAhead(thumbprint))
    }
    return this.#current()
  }

  /** Waits for other machines without the local lock: another process of this one may need no refresh. */
  async update<T>(thumbprint: string, transaction: Transaction<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.memory.lock(thumbprint, (lock) => this.#attempt(thumbprint, lock, transaction))
      } catch (error) {
        if (!(error instanceof Again)) throw error
        if (attempt >= ATTEMPTS_MOST) throw busy()
        await error.wait()
      }
    }
  }

  #attempt<T>(thumbprint: string, lock: HeldLock, transaction: Transaction<T>): Promise<T> {
    return this.#options.holdSignals(async () => {
      await this.#assertCurrent()
      await this.#options.inherit?.()
      await this.finishAhead(thumbprint)
      const all = await this.#current()
      const run = new VaultTransaction({ store: this, lock, thumbprint, all, unreadable: this.#unreadable })
      try {
        return await transaction(run)
      } finally {
        await run.close()
      }
    })
  }

  async #assertCurrent(): Promise<void> {
    this.#handedOver ??= handedOver(this.memory)
    if ((await this.#handedOver) === (await handedOver(this.memory))) return
    throw new OAuthError(
      'SESSION_BUSY',
      'the key or address of the vault was changed on this machine; nothing was sent',
    )
  }

  /**
   * Checks, before a session is begun, that it can be stored: the vault is there, the key opens it, and it can be changed.
   *
   * @throws {OAuthError} those of the engine
   */
  async prepare(): Promise<void> {
    await this.readAll()
    const broken = (await this.engine.describe()).find(({ verdict }) => verdict === 'broken')
    if (broken?.fix instanceof OAuthError) throw broken.fix
    if (broken) throw new OAuthError('VAULT_REFUSED', `the vault cannot be used: ${broken.detail}`)
  }

  isSharedSession(): boolean {
    return true
  }

  async assertNewest(): Promise<void> {
    // What was read from the vault is the newest there is.
  }

  async adopt(): Promise<void> {
    throw new OAuthError('USAGE', 'the session is in a vault, which several machines can share')
  }

  async readNonces(thumbprint: string): Promise<Nonces> {
    return (await this.#options.nonces?.readNonces(thumbprint)) ?? {}
  }

  async writeNonces(thumbprint: string, nonces: Nonces): Promise<void> {
    await this.#options.nonces?.writeNonces(thumbprint, nonces)
  }

  /** One record as the engine has it now. */
  async readRecord(name: string): Promise<Sealed | undefined> {
    const text = await this.engine.read(name)
    if (text === undefined) return undefined
    if (!canOpen(text, await this.keys())) await this.refreshKeys()
    return unseal(name, text, await this.keys())
  }

  /** Learns whether the keys of the vault were replaced. */
  async refreshKeys(): Promise<void> {
    await this.#confirmKeys(await this.engine.read(VAULT_RECORD))
  }

  async nameOf({ did }: Pick<SessionRecord, 'did'>): Promise<string> {
    return sessionName(did, await this.keys())
  }

  async seal(record: VaultRecord): Promise<Sealed> {
    return seal(record, await this.keys())
  }

  /** The same, encrypted anew if the data key was replaced since: others could not read it. */
  async resealed(sealed: Sealed): Promise<Sealed> {
    return (await this.#isCurrent(sealed)) ? sealed : this.seal(sealed.record)
  }

  async #isCurrent({ text }: Pick<Sealed, 'text'>): Promise<boolean> {
    return dataKeyId(text) === (await this.keys()).kid
  }

  /**
   * Replaces a record and finds out whether that succeeded: a change that may have arrived is repeated, byte for byte.
   *
   * @throws {OAuthError} as `VaultEngine.swap`; it may have arrived if `limit` milliseconds have passed
   */
  async swap(before: Pick<Sealed, 'text'> | undefined, after: Sealed, limit: number): Promise<boolean> {
    // It was encrypted before this process learned of a new data key. A record with the old one may follow its like.
    if (!(await this.#isCurrent(after)) && (before === undefined || (await this.#isCurrent(before)))) return false
    const isMade = await this.#swap(before, after, limit)
    if (isMade && before === undefined) await this.#assertReadable(after)
    return isMade
  }

  /** Nothing was compared that would have told that the data key was replaced at this moment. */
  async #assertReadable(created: Sealed): Promise<void> {
    if (this.#options.confirmKeys === undefined) return
    try {
      await this.refreshKeys()
    } catch (error) {
      const isMoved = isMovedError(error)
      if (!isMoved && !isOAuthError(error, 'VAULT_KEY_WRONG')) throw error
      // Whoever moves or replaces the vault may have looked here before.
      const outcome = await this.engine.swap(created.name, created.text, undefined)
      if (outcome === 'won' || !isMoved || !(await this.#hasMoved(created.name))) throw error
      // A second copy would end the session.
      this.warn(`${error.message}: the session is stored there`)
      return
    }
    const next = await this.resealed(created)
    if (next !== created) await this.#swap(created, next, 0)
  }

  async #hasMoved(name: string): Promise<boolean> {
    const text = await this.engine.read(name)
    const content = text === undefined ? undefined : await openRecord(text, name, await this.keys())
    return goneTo(content) !== undefined
  }

  async #swap(before: Pick<Sealed, 'text'> | undefined, after: Sealed, limit: number): Promise<boolean> {
    const { clock, engine } = this
    const since = clock.monotonic()
    let isMaybeThere = false
    for (let pause = 100; ; pause = Math.min(pause * 2, RETRY_LONGEST)) {
      try {
        const outcome = await engine.swap(after.name, before?.text, after.text)
        if (outcome === 'won') return true
        if (outcome === 'lost') {
          if (!isMaybeThere) return false
          return (await engine.read(after.name)) === after.text
        }
        isMaybeThere = true
        const current = await engine.read(after.name)
        if (current === after.text) return true
        if (current !== before?.text) return false
        if (clock.monotonic() - since > limit) throw unconfirmed()
      } catch (error) {
        if (!isMaybeThere || !isOAuthError(error, 'VAULT_UNREACHABLE')) throw error
        if (clock.monotonic() - since > limit) throw error
      }
      await clock.sleep(pause)
    }
  }

  /**
   * Stores tokens that were received, by their rotation: over any claim, and over an end that only the server has
   * declared. What is newer there stays. Repeated for `limit` milliseconds while the vault does not respond.
   *
   * @param expected what probably is there, which saves a look
   * @returns whether these or newer tokens of the same session are there; otherwise a person has ended or replaced it
   * @throws {OAuthError} as `VaultEngine.swap`: they may not be there
   */
  async publish(tokens: Sealed, expected: Sealed | undefined, limit: number): Promise<boolean> {
    const { clock } = this
    let next = tokens
    const since = clock.monotonic()
    let current = expected
    let isKnown = expected !== undefined
    for (let pause = 200; ; pause = Math.min(pause * 2, RETRY_LONGEST)) {
      try {
        if (!isKnown) current = await this.readRecord(next.name)
        if (current?.text === next.text) return true
        if (current !== undefined && !isPublishable(next.record, current.record)) {
          const { session } = current.record
          const isNewer = session.thumbprint === next.record.session.thumbprint && current.record.endedBy !== 'person'
          return isNewer
        }
        isKnown = false
        next = await this.resealed(next)
        if (await this.swap(current, next, limit)) return true
      } catch (error) {
        isKnown = false
        if (!isOAuthError(error, 'VAULT_UNREACHABLE') || clock.monotonic() - since > limit) throw error
        await clock.sleep(pause)
      }
    }
  }

  /** What an earlier run received and could not store. */
  async finishAhead(thumbprint: string): Promise<void> {
    const text = await this.memory.read('ahead', thumbprint)
    if (text === undefined) return
    await this.#confirmKeys(await this.engine.read(VAULT_RECORD))
    const [name = '', sealed = ''] = text.split('\n')
    const foreign = await this.#ofReplacedVault(name, sealed)
    const next = foreign === undefined ? await this.#unsealKept(name, sealed) : undefined
    // Nobody can use it: the vault was replaced because its key was lost.
    if (foreign !== undefined) await this.endTokens(foreign.record.session)
    if (next !== undefined) {
      if (await this.publish(next, undefined, 0)) await this.remember(next)
      else await this.endTokens(next.record.session)
    }
    // If that fails, the next run finds these or newer ones in the vault.
    await this.memory.remove('ahead', thumbprint).catch(() => undefined)
  }

  /** Keeps the latest record of each account, as the vault has it. Best effort. */
  async remember(sealed: Sealed): Promise<void> {
    try {
      const { name, text, record } = sealed
      const before = await this.#seenRecord(name)
      const isKnown =
        before !== undefined &&
        dataKeyId(before.text) === dataKeyId(text) &&
        before.record.session.thumbprint === record.session.thumbprint &&
        rotationOf(before.record.session) === rotationOf(record.session) &&
        before.record.endedBy === record.endedBy
      // What another process of this machine has stored since this one read is later.
      const isOutdated = before !== undefined && isLater(before.record, record)
      if (!isKnown && !isOutdated) await this.memory.write('seen', name, text)
    } catch {
      // It saves a look at the vault, and notices a loss there.
    }
  }

  /**
   * Whether a claim of another process may be taken over: its process has died, or has had all the time it needs.
   *
   * @param isLocked this process has the local lock of the session: the one of this machine that had it before has died
   */
  async mayTakeOver(name: string, claim: Claim, isLocked: boolean): Promise<boolean> {
    if (isLocked && claim.holder === this.machine.holder) return true
    const stood = await this.#stood(name, claim)
    return stood >= (claim.durable ? this.times.takeoverDurable : this.times.takeover)
  }

  /** Waits until a claim is gone or may be taken over. */
  async awaitClaim(name: string, claim: Claim): Promise<void> {
    const { clock, times } = this
    const endWait = this.#options.onWait?.(claim.label)
    try {
      while (!(await this.mayTakeOver(name, claim, false))) {
        const [random = 0] = this.#options.randomBytes(1)
        const longest = Math.min(times.pollMost, Math.max(times.pollLeast, await this.#stood(name, claim)))
        await clock.sleep(times.pollLeast + (random / 255) * (longest - times.pollLeast))
        const current = await this.readRecord(name).catch((error: unknown) => {
          if (isOAuthError(error, 'VAULT_UNREACHABLE')) return 'unreachable' as const
          throw error
        })
        if (current !== 'unreachable' && current?.record.claim?.id !== claim.id) return
      }
    } finally {
      endWait?.()
    }
  }

  /** Milliseconds for which this machine has seen the claim. */
  async #stood(name: string, { id }: Claim): Promise<number> {
    const { clock, memory } = this
    const uptime = clock.uptime()
    const inProcess = this.#watched.get(id)
    if (inProcess !== undefined) return uptime - inProcess
    const [seen, boot, since] = (await memory.read('watch', name).catch(() => undefined))?.split(' ') ?? []
    const isSame = seen === id && boot === clock.boot && Number(since) <= uptime
    const from = isSame ? Number(since) : uptime
    this.#watched.set(id, from)
    if (!isSame) await memory.write('watch', name, `${id} ${clock.boot} ${uptime}`).catch(() => undefined)
    return uptime - from
  }

  async #current(): Promise<Map<string, Sealed>> {
    const records = await this.engine.list()
    await this.#confirmKeys(records.get(VAULT_RECORD))
    const keys = await this.keys()
    const all = new Map<string, Sealed>()
    const unreadable = new Map<string, Unreadable>()
    for (const [name, text] of records) {
      if (name === VAULT_RECORD) continue
      try {
        const sealed = await unseal(name, text, keys)
        if (sealed !== undefined) all.set(name, sealed)
      } catch (error) {
        unreadable.set(name, { text, error })
      }
    }
    this.#unreadable = unreadable
    for (const seen of await this.#seen()) if (!unreadable.has(seen.name)) await this.#restore(seen, all)
    for (const sealed of all.values()) await this.remember(sealed)
    return all
  }

  /** Nothing must be stored with the keys of a vault that another one has replaced. */
  async #confirmKeys(text: string | undefined): Promise<void> {
    const { confirmKeys } = this.#options
    if (confirmKeys === undefined) return
    const seen = text === undefined ? await this.#seen() : []
    const isAhead = text === undefined && (await this.memory.names('ahead')).length > 0
    await confirmKeys(text, isAhead || seen.some(({ record }) => record.session.ended === undefined))
  }

  /** The service has lost a change that it had confirmed, or was restored from a backup. */
  async #restore(seen: Sealed, all: Map<string, Sealed>): Promise<void> {
    const current = all.get(seen.name)
    if (!isLater(seen.record, current?.record)) return
    const { claim, ...record } = seen.record
    // The tokens that this machine has seen need not be the newest: the server is asked before they are used.
    const { holder, label } = (record.session.intent && claim) ?? record.sentBy ?? SOMEBODY
    const next = await this.seal({ ...record, sentBy: { holder, label } })
    if (await this.swap(current, next, 0)) {
      all.set(next.name, next)
      this.warn(`the vault had an older copy of the session of ${record.session.did}: stored the newer one again`)
      return
    }
    const other = await this.readRecord(seen.name)
    if (other === undefined) all.delete(seen.name)
    else all.set(seen.name, other)
  }

  async #seen(): Promise<Sealed[]> {
    const found: Sealed[] = []
    for (const name of await this.memory.names('seen')) {
      const sealed = await this.#seenRecord(name)
      if (sealed !== undefined) found.push(sealed)
    }
    return found
  }

  async #seenRecord(name: string): Promise<Sealed | undefined> {
    const text = await this.memory.read('seen', name).catch(() => undefined)
    if (text === undefined) return undefined
    return this.#unsealKept(name, text).catch(() => undefined)
  }

  /** What this machine has kept of a vault that was at this address before. */
  async #ofReplacedVault(name: string, text: string): Promise<Sealed | undefined> {
    const keys = await this.keys()
    if (canOpen(text, keys)) return undefined
    const former = (await this.#options.formerKeys?.()) ?? []
    const own = former.find((one) => one.id !== keys.id && canOpen(text, one))
    return own && unseal(name, text, own).catch(() => undefined)
  }

  /** What this machine has kept, perhaps since before the keys were replaced. */
  async #unsealKept(name: string, text: string): Promise<Sealed | undefined> {
    const keys = await this.keys()
    if (canOpen(text, keys)) return unseal(name, text, keys)
    const former = (await this.#options.formerKeys?.()) ?? []
    return unseal(name, text, former.find((one) => one.id === keys.id && canOpen(text, one)) ?? keys)
  }
}

export function canOpen(text: string, { kid, earlier }: VaultKeys): boolean {
  const id = dataKeyId(text)
  return id === kid || (id !== undefined && id === earlier?.kid)
}

function isPublishable(next: VaultRecord, current: VaultRecord): boolean {
  if (current.session.thumbprint !== next.session.thumbprint || current.endedBy === 'person') return false
  return rotationOf(current.session) < rotationOf(next.session)
}

function busy(): OAuthError {
  const message = 'other machines keep changing this session in the vault; nothing was sent'
  return new OAuthError('SESSION_BUSY', message)
}
