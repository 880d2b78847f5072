/**
 * A model of a session in a vault: several machines run the real transactions over a simulated engine and a simulated
 * authorization server, in virtual time. Everything that takes time is an event; between two events the code runs until
 * it waits for the next one. So each run is repeated exactly by its seed.
 *
 * A crashed process never continues: what it waits for never comes. What it has sent arrives nevertheless.
 *
 * The vault stands on a map, or on a real engine, which takes no simulated time: each request to it is one event. What
 * it replies is compared with the map.
 *
 * A test that uses it replaces cryptography and discovery by those of vault-model-mocks.ts.
 */
import { isDeepStrictEqual } from 'node:util'
import { OAuthError } from '../../src/errors.ts'
import type { Credentials, Did, SessionRecord } from '../../src/model.ts'
import { type SwapOutcome, VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import { dataKeyId, unwrapKeys, type VaultKeys, wrapKeys, wrapsOf } from '../../src/node/vault/envelope.ts'
import { copyMemory, createKeyring, handOverMemory } from '../../src/node/vault/keyring.ts'
import { makeVault, removeForeignRecords } from '../../src/node/vault/make.ts'
import type { MemoryKind, VaultMemory } from '../../src/node/vault/memory.ts'
import { moveVault } from '../../src/node/vault/move.ts'
import { goneTo } from '../../src/node/vault/moved.ts'
import { addKey, finishRekey } from '../../src/node/vault/rekey.ts'
import { VaultStore, type VaultStoreOptions } from '../../src/node/vault/store.ts'
import { VAULT_TIMES, type VaultTimes } from '../../src/node/vault/times.ts'
import type { HttpInit, Random, Runtime } from '../../src/ports.ts'
import { openStoredSession } from '../../src/session/open.ts'
import { endSession, revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { OTHER_RECORD, PDS, RECORD } from './vault-model-mocks.ts'

const EPOCH = Date.UTC(2026, 0, 2)
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DID = 'did:plc:alice234567alice234567ab' as Did
const CLIENT_ID = 'http://localhost?scope=atproto'
const NOTHING: ReadonlyMap<string, string> = new Map()
/** As node/store/lock.ts. */
const LOCK_TIMEOUT = 180 * SECOND
const ENGINE_TIMEOUT = 20 * SECOND
/** No operation may take longer after the last fault: the longest takeover, and the time of what follows. */
const ANSWER_LONGEST = VAULT_TIMES.takeoverDurable + 10 * MINUTE
/** A claim that is confirmed is at most so old when the token is sent. */
const SEND_LATEST = VAULT_TIMES.claimSwap + VAULT_TIMES.lastSend
/** Between the last look at the vault and the moment a token is sent. */
const BLINK = VAULT_TIMES.firstSend + SECOND
/** A response is on the disk by then. */
const WRITE_LONGEST = 100
const EVENTS_MOST = 30_000
/** Where the vault was made, and where it moves to. */
const ADDRESSES = ['model:', 'model:new'] as const
export type Place = 0 | 1
const EVENTS_PER_OPERATION = 2_000

export type EngineFault =
  | 'unreachable'
  | 'lost-before'
  | 'lost-after'
  | 'late'
  | 'slow'
  /** The service forgets this change after it was acknowledged. */
  | 'lose-write'
export type ServerFault = 'lost-before' | 'lost-after' | 'slow' | 'unreachable' | 'refused'

/** A real engine for the vault of a simulation. */
export interface ModelService {
  /** An engine for one process. @param memory names what is left of earlier processes */
  connect(memory: string, place: Place): Promise<VaultEngine>
  /** The next change is lost on its way, or its reply is; until `calm`. */
  readonly loseRequest: () => void
  readonly loseReply: () => void
  readonly calm: () => void
  /** Called when the vault has these records, at both places. */
  readonly remember: (records: ReadonlyMap<string, string>) => void
  /** Begins with nothing, for another simulation. */
  reset(): Promise<void>
  /** Puts back records that one of its places had, or none. */
  restore(records: ReadonlyMap<string, string>, place: Place): Promise<void>
  /** Something happens to it that is not about the vault. */
  disturb(): Promise<void>
}

export interface MachinePlan {
  /** Its memory outlives a process. */
  readonly durable: boolean
  /** Nothing can be stored there. */
  readonly full?: boolean
  /** Milliseconds between its wall clock and the time. */
  readonly wall?: number
}

/**
 * `take-key`: the machine gets the newest key of the vault that somebody has. `take-address`: the same for the address that
 * the vault moves to. `replace`: the key is lost, and another vault is made in its place.
 */
export type OperationKind =
  | 'call'
  | 'refresh'
  | 'revoke'
  | 'login'
  | 'import'
  | 'rekey'
  | 'finish'
  | 'take-key'
  | 'move'
  | 'take-address'
  | 'replace'

export interface Operation {
  readonly at: number
  readonly machine: number
  readonly kind: OperationKind
}

/** Something that befalls a process or a machine when a process would make its `step`th step, counted from 1. */
export interface Mishap {
  readonly step: number
  /** `nap`: suspended, and its wall clock is set back by as much. */
  readonly kind: 'crash' | 'reboot' | 'suspend' | 'nap' | 'set-clock'
  readonly milliseconds?: number
}

/** Something that befalls the engine at a time. */
export interface Loss {
  readonly at: number
  readonly kind: 'lose-last' | 'restore' | 'delete' | 'copy-memory' | 'disturb' | 'restore-old-place'
  /** `restore`: how many changes are lost; `copy-memory`: from machine 0 to this one. */
  readonly count?: number
}

export interface Plan {
  readonly seed: number
  readonly machines: readonly MachinePlan[]
  readonly operations: readonly Operation[]
  /** The server is the PDS, and ends an access token at the next refresh. */
  readonly together?: boolean
  readonly nonces?: boolean
  /** Only the newest tokens revoke a session. */
  readonly revokesByNewest?: boolean
  readonly mishaps?: readonly Mishap[]
  /** Share of the steps at which something befalls the machine. */
  readonly mishapRate?: number
  /** Milliseconds for which the server accepts a session, and a refresh token. */
  readonly sessionLifetime?: number
  readonly refreshLifetime?: number
  /** When the server is down. */
  readonly serverOutages?: readonly { readonly from: number; readonly until: number }[]
  /**
   * A person on this machine looks after the others: signs in again where a session has ended, and hands out a new key.
   * Each request without an answer must have a reason then.
   */
  readonly person?: number
  readonly losses?: readonly Loss[]
  /** From and until, for each machine that it concerns. */
  readonly partitions?: readonly { readonly from: number; readonly until: number; readonly machine: number }[]
  /** By the number of the request to the engine, from 1. */
  readonly engineFaults?: ReadonlyMap<number, EngineFault>
  /** By the number of the request with a refresh token, from 1. */
  readonly serverFaults?: ReadonlyMap<number, ServerFault>
  /** Share of the requests that fail at random. */
  readonly engineFaultRate?: number
  readonly serverFaultRate?: number
  /** No faults from then on. */
  readonly quietAt?: number
  readonly slowEngine?: boolean
  /** Milliseconds that a response with tokens takes. */
  readonly responseAfter?: number
  /** When the last change arrives that the first machine could not make. */
  readonly storesAt?: number
}

/** One rule of the vault that is switched off. */
export interface Mutation {
  readonly store?: typeof VaultStore
  readonly times?: Partial<VaultTimes>
  readonly memory?: (memory: VaultMemory) => VaultMemory
  /** Of what moves the vault. */
  readonly moveStore?: typeof VaultStore
  /** What moves the vault works on instead. */
  readonly move?: (source: VaultEngine, target: VaultEngine) => readonly [VaultEngine, VaultEngine]
}

export interface Outcome {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  /** How many steps processes made, and how many requests there were, while there were faults. */
  readonly steps: number
  readonly engineRequests: number
  readonly tokenRequests: number
  /** Sessions that ended because a token was sent twice, where that could not be avoided. */
  readonly losses: number
  readonly resends: number
  readonly answers: readonly string[]
  /** While there were faults. */
  readonly counts: Counts
}

export interface Counts {
  /** Calls and refreshes. */
  requests: number
  answered: number
  /** Processes that died before they had an answer. */
  died: number
  refreshes: number
  resends: number
  signIns: number
  /** Sessions that reached their age, and those that ended because a token was sent twice, by its cause. */
  readonly ended: Record<string, number>
  /** Requests without an answer, by the code of the error. */
  readonly failed: Record<string, number>
}

/** mulberry32 */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Content {
  readonly session: SessionRecord
  readonly claim?: { readonly id: string; readonly label: string }
  readonly endedBy?: string
}

function contentOf(text: string | undefined): Content | undefined {
  return text === undefined || isLeft(text) ? undefined : JSON.parse(text.slice(text.indexOf('\t') + 1))
}

/** Says where the record has gone. */
function isLeft(text: string | undefined): boolean {
  // Nearly no record is one of these, and to parse them all takes a tenth of the model's time.
  return text?.includes('"moved"') === true && goneTo(JSON.parse(text.slice(text.indexOf('\t') + 1))) !== undefined
}

interface Event {
  at: number
  readonly order: number
  readonly owner: Process | undefined
  readonly isTimer: boolean
  /** Of the owner's machine when it was planned, for timers. */
  suspended: number
  readonly run: () => void
}

/** A session at the server. */
interface ServerSession {
  readonly id: number
  readonly jkt: string
  /** Of the newest tokens. */
  rotation: number
  refreshToken: string
  access: { readonly token: string; readonly expiresAt: number }[]
  ended: 'revoked' | 'replayed' | 'expired' | undefined
  readonly openedAt: number
  rotatedAt: number
  /** When a person revoked it. */
  revokedAt: number | undefined
  /** The login that began it has not stored it. */
  isUnsaved: boolean
}

/** A refresh token on its way. */
interface Sent {
  readonly token: string
  readonly rotation: number
  readonly session: ServerSession
  readonly process: Process
  readonly at: number
  isRefused: boolean
  isCommitted: boolean
  /** Its sender knows that it does not know what became of it. */
  isUnclear: boolean
  /** When the new tokens arrived. */
  answeredAt: number | undefined
}

interface Lock {
  holder: Process | undefined
  readonly queue: { readonly process: Process; readonly enter: () => void }[]
}

interface Memory {
  /** Of all keys and places. */
  readonly files: ReadonlyMap<string, Map<string, string>>
  filesOf(userKey: number, place: Place): Map<string, string>
  readonly locks: Map<string, Lock>
  readonly holder: string
  readonly isDurable: boolean
}

interface Machine {
  readonly index: number
  readonly plan: MachinePlan
  memory: Memory
  wall: number
  /** Milliseconds, in all. */
  suspended: number
  resumesAt: number | undefined
  bootedAt: number
  boots: number
  /** Its number among the user's keys, from 1. */
  userKey: number
  /** Which address it has. */
  place: Place
}

class Process {
  readonly id: number
  readonly machine: Machine
  readonly memory: Memory
  readonly kind: OperationKind
  readonly startedAt: number
  isDead = false
  isOver = false
  diedAt: number | undefined
  /** It was suspended, or could not reach the engine. */
  isDisturbed = false
  /** The same, or the server had a fault. */
  hadTrouble = false
  /** For how long its machine had slept when it began. */
  readonly slept: number
  readonly engines: Partial<Record<Place, Promise<VaultEngine>>> = {}
  /** It began after all faults. */
  isFinal = false
  /** Of the session that it works with. */
  thumbprint: string | undefined
  readonly warnings: string[] = []
  readonly place: Place
  constructor(id: number, machine: Machine, kind: OperationKind, startedAt: number) {
    this.id = id
    this.machine = machine
    this.memory = machine.memory
    this.kind = kind
    this.startedAt = startedAt
    this.place = machine.place
    this.slept = machine.suspended
  }
  toString(): string {
    return `m${this.machine.index}/p${this.id} ${this.kind}`
  }
}

export async function simulate(plan: Plan, mutation: Mutation = {}, service?: ModelService): Promise<Outcome> {
  return new Simulation(plan, mutation, service).run()
}

class Simulation {
  readonly #plan: Plan
  readonly #mutation: Mutation
  readonly #service: ModelService | undefined
  /** What a real engine has not replied yet. */
  readonly #pending = new Set<Promise<unknown>>()
  readonly #random: () => number
  /** The last one first. */
  readonly #events: Event[] = []
  readonly #machines: Machine[]
  readonly #processes: Process[] = []
  readonly #trace: string[] = []
  readonly #violations: string[] = []
  readonly #answers: string[] = []
  readonly #mishaps: Map<number, Mishap>
  readonly #sessions: ServerSession[] = []
  readonly #sent: Sent[] = []
  readonly #quietAt: number
  /** What the engine has had, the newest last. */
  readonly #states: ReadonlyMap<string, string>[] = [NOTHING]
  /** When it lost something that it had acknowledged. */
  readonly #lostAt: number[] = []
  /** When a rotation of a session was first there. */
  readonly #storedAt = new Map<string, number>()
  /** Sessions that a person has ended in the vault. */
  readonly #tombstones = new Set<string>()
  #time = 0
  #order = 0
  #steps = 0
  #engineRequests = 0
  #tokenRequests = 0
  #resends = 0
  #losses = 0
  #memories = 0
  #userKeys = 1
  #isFinal = false
  /** What a person is about to do, and where. */
  readonly #planned = new Set<string>()
  /** The vault was in use at the second place. */
  #hasArrived = false
  /** When the vault got another session. */
  #replacedAt = Number.NEGATIVE_INFINITY
  /** The same, where it had none. */
  #createdAt = Number.NEGATIVE_INFINITY
  #hasSetClock = false
  readonly #counts: Counts = {
    requests: 0,
    answered: 0,
    died: 0,
    refreshes: 0,
    resends: 0,
    signIns: 0,
    ended: {},
    failed: {},
  }
  /** The last change that the first machine could not make. */
  #unmade: { readonly before: string | undefined; readonly after: string | undefined } | undefined

  constructor(plan: Plan, mutation: Mutation, service: ModelService | undefined) {
    this.#plan = plan
    this.#service = service
    this.#mutation = mutation
    this.#random = createRandom(plan.seed)
    this.#quietAt = plan.quietAt ?? Number.POSITIVE_INFINITY
    this.#mishaps = new Map(plan.mishaps?.map((mishap) => [mishap.step, mishap]))
    this.#machines = plan.machines.map((machine, index) => ({
      index,
      plan: machine,
      memory: this.#newMemory(machine.durable),
      wall: machine.wall ?? 0,
      suspended: 0,
      resumesAt: undefined,
      bootedAt: -HOUR,
      boots: 1,
      userKey: 1,
      place: 0,
    }))
  }

  async run(): Promise<Outcome> {
    await this.#service?.reset()
    await this.#firstLogin()
    const { operations, losses = [] } = this.#plan
    for (const { at, machine, kind } of operations) this.#at(at, () => this.#start(machine, kind))
    const { storesAt } = this.#plan
    if (storesAt !== undefined) this.#at(storesAt, () => this.#makeUnmade())
    for (const loss of losses) this.#at(loss.at, () => this.#lose(loss))
    await this.#drain()
    const counts = {
      steps: this.#steps,
      engineRequests: this.#engineRequests,
      tokenRequests: this.#tokenRequests,
    }
    // All faults are over: whoever comes now must get an answer, and the session must still be good if it ever was.
    this.#time = Math.max(this.#time, Number.isFinite(this.#quietAt) ? this.#quietAt : 0)
    this.#isFinal = true
    // Whoever was given the new address too early has the old one again.
    if (!this.#hasArrived) for (const machine of this.#machines) machine.place = 0
    if (this.#hasRekey && !this.#hasArrived) await this.#everywhere('take-key', HOUR)
    if (this.#hasRekey && this.#isAt(0)) await this.#finishRekey()
    // Every machine finishes the move, and gets the address.
    if (this.#hasMove && !this.#isAt(1)) await this.#everywhere('move', HOUR)
    if (this.#hasMove) await this.#everywhere('take-address', HOUR)
    if (this.#hasRekey && this.#hasMove) await this.#finishRekey()
    if (this.#hasReplacement) {
      await this.#everywhere('take-key', HOUR)
      if (this.#record() === undefined) await this.#everywhere('login', HOUR)
    }
    for (const kind of ['call', 'refresh'] as const) await this.#everywhere(kind, 2 * HOUR)
    this.#checkEnd()
    if (this.#hasRekey) await this.#checkKeys()
    if (this.#hasMove && this.#lostAt.length === 0) this.#checkMoved()
    if (this.#hasReplacement) this.#checkReplacement()
    return {
      violations: this.#violations,
      trace: this.#trace,
      ...counts,
      losses: this.#losses,
      resends: this.#resends,
      answers: this.#answers,
      counts: this.#counts,
    }
  }

  /** On one machine after another. */
  async #everywhere(kind: OperationKind, after: number): Promise<void> {
    this.#time += after
    for (const { index } of this.#machines) {
      this.#at(this.#time + index * 20 * MINUTE, () => this.#start(index, kind))
    }
    await this.#drain()
  }

  /** The key is handed out, and whoever has begun to replace it finishes that. */
  async #finishRekey(): Promise<void> {
    for (const kind of ['take-key', 'finish', 'take-key'] as const) await this.#everywhere(kind, HOUR)
  }

  // --- time

  #at(at: number, run: () => void, owner?: Process, isTimer = false): void {
    this.#insert({ at, order: this.#order++, owner, isTimer, suspended: owner?.machine.suspended ?? 0, run })
  }

  #requeue(event: Event, at: number): void {
    event.at = at
    this.#insert(event)
  }

  #insert(event: Event): void {
    let [least, most] = [0, this.#events.length]
    while (least < most) {
      const middle = (least + most) >> 1
      if (isAfter(this.#events[middle]!, event)) least = middle + 1
      else most = middle
    }
    this.#events.splice(least, 0, event)
  }

  async #drain(): Promise<void> {
    let count = 0
    const most = EVENTS_MOST + EVENTS_PER_OPERATION * this.#plan.operations.length
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      const { owner } = event
      if (owner?.isDead || owner?.isOver) continue
      if (owner && this.#isDelayed(event, owner)) continue
      if (++count > most) {
        this.#violate('it never ends')
        this.#events.length = 0
        return
      }
      this.#time = Math.max(this.#time, event.at)
      if (owner) {
        const mishap = this.#mishaps.get(++this.#steps) ?? this.#randomMishap(owner)
        if (mishap && this.#suffer(mishap, owner)) {
          this.#requeue(event, this.#time)
          continue
        }
      }
      event.run()
      await new Promise((resolve) => setImmediate(resolve))
      while (this.#pending.size > 0) {
        await Promise.allSettled(this.#pending)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    for (const process of this.#processes) {
      if (!process.isDead && !process.isOver) this.#violate(`${process} never got an answer`)
      process.isDead = true
    }
  }

  /** Simulated time stands still until it is done. */
  #real<T>(work: Promise<T>): Promise<T> {
    const pending: Promise<void> = work.then(
      () => void this.#pending.delete(pending),
      () => void this.#pending.delete(pending),
    )
    this.#pending.add(pending)
    return work
  }

  /** A machine that is suspended does nothing, and its timers stand still. */
  #isDelayed(event: Event, { machine }: Process): boolean {
    if (machine.resumesAt !== undefined && event.at < machine.resumesAt) {
      this.#requeue(event, machine.resumesAt)
      return true
    }
    if (!event.isTimer || machine.suspended === event.suspended) return false
    const at = event.at + machine.suspended - event.suspended
    event.suspended = machine.suspended
    this.#requeue(event, Math.max(at, this.#time))
    return true
  }

  /** @returns whether the process, if it still lives, makes its step later */
  #suffer({ kind, milliseconds = 0 }: Mishap, process: Process): boolean {
    if (this.#time >= this.#quietAt) return false
    const { machine } = process
    process.hadTrouble = true
    this.#log(process, () => `${kind} ${milliseconds ? `${milliseconds / SECOND} s` : ''}`)
    if (kind === 'crash') this.#kill(process)
    if (kind === 'reboot') {
      for (const other of this.#processes) if (other.machine === machine) this.#kill(other)
      machine.bootedAt = this.#time
      machine.boots++
    }
    if (kind === 'set-clock') machine.wall += milliseconds
    if (kind === 'set-clock' || kind === 'nap') this.#hasSetClock = true
    if (kind === 'nap') machine.wall -= milliseconds
    if (kind !== 'suspend' && kind !== 'nap') return true
    machine.resumesAt = this.#time + milliseconds
    machine.suspended += milliseconds
    for (const other of this.#processes) {
      if (other.machine === machine) other.isDisturbed = other.hadTrouble = true
    }
    return true
  }

  #randomMishap({ machine }: Process): Mishap | undefined {
    const { mishapRate = 0 } = this.#plan
    if (mishapRate === 0 || this.#isQuiet || this.#random() >= mishapRate) return undefined
    const kinds = ['crash', 'crash', 'reboot', 'suspend', 'suspend', 'suspend', 'nap', 'set-clock'] as const
    const kind = kinds[Math.floor(this.#random() * kinds.length)]!
    // A clock that was wrong is set right.
    if (kind === 'set-clock' && machine.wall !== 0) return { step: 0, kind, milliseconds: -machine.wall }
    const longest = [MINUTE, 20 * MINUTE, HOUR][Math.floor(this.#random() * 3)]!
    const milliseconds = kind === 'set-clock' ? this.#between(-HOUR, HOUR) : this.#between(SECOND, longest)
    return { step: 0, kind, milliseconds }
  }

  #kill(process: Process): void {
    if (process.isOver || process.isDead) return
    process.isDead = true
    process.diedAt = this.#time
    if (!process.isFinal && isRequest(process)) this.#counts.died++
    for (const lock of process.memory.locks.values()) if (lock.holder === process) this.#leave(lock)
  }

  /** Resolves later, unless the process has died by then. */
  #wait(process: Process, milliseconds: number, isTimer = false): Promise<void> {
    return new Promise((resolve) => this.#at(this.#time + milliseconds, resolve, process, isTimer))
  }

  #between(least: number, most: number): number {
    return least + this.#random() * (most - least)
  }

  #log(who: Process | string, what: string | (() => string)): void {
    const text = typeof what === 'string' ? what : what()
    this.#trace.push(`${(this.#time / SECOND).toFixed(1).padStart(9)} ${who}: ${text}`)
  }

  #violate(what: string): void {
    this.#log('VIOLATION', what)
    this.#violations.push(what)
  }

  get #isQuiet(): boolean {
    return this.#time >= this.#quietAt
  }

  // --- machines

  #newMemory(isDurable: boolean, copied: Memory['files'] = new Map()): Memory {
    this.#memories++
    const files = new Map([...copied].map(([key, of]) => [key, new Map(of)]))
    const filesOf = (userKey: number, place: Place) => {
      const key = `${place} ${userKey}`
      const found = files.get(key) ?? new Map<string, string>()
      files.set(key, found)
      return found
    }
    return { files, filesOf, locks: new Map(), holder: `memory ${this.#memories}`, isDurable }
  }

  #start(index: number, kind: OperationKind): void {
    const machine = this.#machines[index]!
    // A job begins on a machine that has seen nothing.
    if (!machine.plan.durable) machine.memory = this.#newMemory(false)
    const process = new Process(this.#processes.length + 1, machine, kind, this.#time)
    process.isFinal = this.#isFinal
    this.#processes.push(process)
    if (!process.isFinal && isRequest(process)) this.#counts.requests++
    if (kind === 'login' && !process.isFinal) this.#counts.signIns++
    this.#log(process, 'starts')
    void this.#wait(process, 1)
      .then(() => this.#operate(process, kind))
      .then(
        (answer) => this.#answered(process, answer),
        (error: unknown) => this.#failed(process, error),
      )
  }

  async #operate(process: Process, kind: OperationKind): Promise<string> {
    if (kind === 'take-key') return this.#takeKey(process)
    if (kind === 'rekey') return this.#rekey(process)
    if (kind === 'move') return this.#move(process)
    if (kind === 'replace') return this.#replace(process)
    if (kind === 'take-address') {
      process.machine.place = 1
      return 'has the new address'
    }
    const { runtime, store } = this.#runtime(process)
    if (kind === 'finish') {
      const { userKey } = process.machine
      const done = await finishRekey(store, userKeyOf(userKey), runtime)
      return done === undefined ? 'nothing to finish' : 'finished'
    }
    if (kind === 'login' || kind === 'import') {
      const newest = this.#sessions.at(-1)!
      const credentials = kind === 'login' ? this.#login() : this.#credentialsOf(newest)
      const own = this.#sessionOf(credentials.thumbprint!)!
      if (kind === 'login') own.isUnsaved = true
      await saveSession(credentials, undefined, { ...runtime, saving: { ...runtime.saving, inStore: true } })
      own.isUnsaved = false
      if (kind === 'login') this.#checkReplaced(process, credentials.thumbprint!)
      return 'saved'
    }
    const session = await openStoredSession(undefined, runtime)
    process.thumbprint = session.record().thumbprint
    if (kind === 'revoke') return (await revoke(session.record(), runtime)).outcome
    if (kind === 'refresh') {
      await session.refresh()
      const { thumbprint, refreshToken } = session.record()
      if ((this.#sessionOf(thumbprint)?.revokedAt ?? this.#time) < process.startedAt)
        this.#violate(`${process} refreshed a revoked session`)
      return `refreshed ${refreshToken}`
    }
    const response = await session.fetchHandler('/xrpc/com.atproto.server.getSession')
    await response.body?.cancel()
    return String(response.status)
  }

  /** As the command does, which needs the old address for it. */
  async #move(process: Process): Promise<string> {
    const { machine } = process
    const { store, runtime } = this.#runtime(process, true)
    const given = [store.engine, this.#engineFor(process, 1)] as const
    const [source, target] = this.#mutation.move?.(...given) ?? given
    const [from, to] = ADDRESSES
    const moving = source === store.engine ? store : this.#runtime(process, true, source).store
    const userKey = userKeyOf(machine.userKey)
    const { isRepeated } = await moveVault(
      moving,
      target,
      { from, to, isTo: async (it) => it === to, userKey },
      runtime,
    )
    machine.place = 1
    return isRepeated ? 'moved before' : 'moved'
  }

  async #replace(process: Process): Promise<string> {
    const { machine } = process
    const { runtime } = this.#runtime(process)
    const engine = this.#engineFor(process, process.place)
    const before = (await engine.list()).get(VAULT_RECORD)
    const next = this.#userKeys + 1
    this.#userKeys = next
    const keys = await makeVault(engine, userKeyOf(next), before, runtime)
    if (keys === undefined) return 'another machine was faster'
    machine.userKey = next
    await removeForeignRecords(engine, keys)
    return 'made another vault'
  }

  get #hasReplacement(): boolean {
    return this.#plan.operations.some(({ kind }) => kind === 'replace')
  }

  /** The name of the record of the account, in the vault that is there now. */
  get #name(): string {
    const { id = 'id' } = keysIn(this.#records.get(VAULT_RECORD)) ?? {}
    return id === 'id' ? RECORD : OTHER_RECORD
  }

  get #hasMove(): boolean {
    return this.#plan.operations.some(({ kind }) => kind === 'move')
  }

  /** Whether the vault is in use there. */
  #isAt(place: Place): boolean {
    const keys = keysIn(this.#records.get(nameAt(place, VAULT_RECORD)))
    return keys !== undefined && keys.move === undefined
  }

  /** It was begun and not finished. */
  get #isMoving(): boolean {
    return !this.#isAt(1) && keysIn(this.#records.get(VAULT_RECORD))?.move !== undefined
  }

  get #hasRekey(): boolean {
    return this.#plan.operations.some(({ kind }) => kind === 'rekey')
  }

  /** As the command does: the new key is on the disk before it is in the vault. */
  async #rekey(process: Process): Promise<string> {
    const { machine } = process
    const engine = this.#engineFor(process, process.place)
    const text = (await engine.read(VAULT_RECORD)) ?? ''
    const next = this.#userKeys + 1
    this.#userKeys = next
    const sleep = (milliseconds: number) => this.#wait(process, milliseconds, true)
    const keys = { userKey: userKeyOf(machine.userKey), newKey: userKeyOf(next) }
    const isAdded = await addKey(engine, text, keys, { sleep })
    if (!isAdded) return 'another machine was faster'
    await this.#takeKey(process)
    return 'added a key'
  }

  #newestKeyAt(place: Place): number | undefined {
    const last = this.#records.get(nameAt(place, VAULT_RECORD))?.split('\n').at(-1)
    return last === undefined ? undefined : Number.parseInt(last.split(' ')[1]!.slice(0, 2), 16)
  }

  /** The newest key that the vault has. */
  async #takeKey(process: Process): Promise<string> {
    const { machine } = process
    const { userKey } = machine
    const newest = this.#newestKeyAt(process.place)
    if (newest === undefined) return 'there is no vault'
    if (newest === userKey) return `has key ${newest}`
    for (const place of [0, 1] as const) {
      await handOverMemory(this.#folder(process, userKey, place), this.#folder(process, newest, place))
    }
    machine.userKey = newest
    return `has key ${newest} now`
  }

  #folder(process: Process, key: number, place: Place) {
    return { address: ADDRESSES[place], memory: this.#memoryFor(process, key, place), userKey: userKeyOf(key) }
  }

  #answered(process: Process, answer: string): void {
    this.#log(process, `answers ${answer}`)
    this.#finish(process)
    this.#answers.push(`${process.kind} ${answer}`)
    if (!process.isFinal && isRequest(process)) this.#counts.answered++
    if (answer === 'revoked') {
      const all = this.#sessions.filter(({ revokedAt }) => revokedAt !== undefined)
      if (all.some(({ ended }) => ended === undefined)) this.#violate(`${process} says revoked, and it is not`)
    }
  }

  #failed(process: Process, error: unknown): void {
    const isOurs = error instanceof OAuthError
    this.#log(process, `fails ${isOurs ? `${error.code} (${error.session}) ${error.message}` : error}`)
    this.#finish(process)
    if (!isOurs) {
      this.#violate(`${process} throws ${error instanceof Error ? error.stack : error}`)
      return
    }
    this.#answers.push(`${process.kind} ${error.code}`)
    this.#checkFinal(process, error.code)
    const session = process.thumbprint === undefined ? undefined : this.#sessionOf(process.thumbprint)
    if (!process.isFinal && isRequest(process)) {
      add(this.#counts.failed, error.code)
      if (this.#plan.person !== undefined && !this.#isExplained(process, error.code)) {
        this.#violate(`${process} fails for no reason with ${error.code}`)
      }
    }
    if (error.session === 'dead' || error.code === 'SESSION_MISSING') {
      if (this.#isSessionOver) this.#later(this.#plan.person, 'login')
    }
    if (error.code === 'VAULT_KEY_WRONG') this.#later(process.machine.index, 'take-key')
    if (error.code === 'VAULT_INVALID' && process.place === 0 && this.#hasArrived) {
      this.#later(process.machine.index, 'take-address')
    }
    if (error.code === 'VAULT_INVALID' && this.#isMoving) this.#later(0, 'move')
    if (session === undefined) return
    // A person ended it in the vault, even where the server did not confirm that.
    if (error.session === 'dead' && session.ended === undefined && !this.#tombstones.has(session.jkt)) {
      this.#violate(`${process} says dead, and the session is alive`)
    }
    if (error.session === 'alive' && error.code === 'REFRESH_AMBIGUOUS' && session.ended !== undefined) {
      this.#violate(`${process} says alive, and the session has ended`)
    }
  }

  /** That of the vault, or there is none. */
  get #isSessionOver(): boolean {
    const { session, endedBy } = this.#record() ?? {}
    if (session === undefined || endedBy !== undefined) return true
    return this.#sessionOf(session.thumbprint)?.ended !== undefined
  }

  /** A person does it within an hour, and once. */
  #later(index: number | undefined, kind: OperationKind): void {
    const what = `${kind} ${index}`
    if (index === undefined || this.#plan.person === undefined || this.#isQuiet || this.#planned.has(what)) return
    this.#planned.add(what)
    this.#at(this.#time + this.#between(MINUTE, HOUR), () => {
      this.#planned.delete(what)
      this.#start(index, kind)
    })
  }

  /** Whether something that befell a process, another one, or the vault is the reason for an error. */
  #isExplained({ hadTrouble, machine, place, thumbprint }: Process, code: string): boolean {
    if (hadTrouble) return true
    const session = thumbprint === undefined ? undefined : this.#sessionOf(thumbprint)
    const isRecent = (at: number) => this.#time - at < HOUR
    const isRolledBack = this.#lostAt.some(isRecent)
    switch (code) {
      case 'SESSION_DEAD':
        if (session === undefined) return this.#isSessionOver
        return session.ended !== undefined || this.#tombstones.has(session.jkt)
      case 'SESSION_MISSING':
      case 'VAULT_INVALID':
        // The address of the other place is handed out, and the vault may be on its way.
        if (place !== (this.#hasArrived ? 1 : 0) || this.#isMoving) return true
        // Until a machine that has seen it stores it again.
        return isRolledBack || this.#record() === undefined || isRecent(this.#createdAt)
      case 'VAULT_KEY_WRONG':
        return this.#newestKeyAt(place) !== machine.userKey
      case 'SESSION_BUSY':
        return (
          isRecent(this.#replacedAt) ||
          this.#processes.some(
            (other) => (other.kind === 'take-key' || other.kind === 'rekey') && isRecent(other.startedAt),
          )
        )
      case 'REFRESH_AMBIGUOUS':
        return isRolledBack || this.#processes.some((other) => other.hadTrouble && isRecent(other.startedAt))
      case 'SAVE_FAILED':
        return isRolledBack
      default:
        return false
    }
  }

  /** After all faults, a session that is alive has to work, from everywhere. */
  #checkFinal(process: Process, code: string): void {
    const { session, endedBy } = this.#record() ?? {}
    if (!process.isFinal || session === undefined || endedBy !== undefined || process.machine.plan.full) return
    const isAlive = this.#sessionOf(session.thumbprint)?.ended === undefined
    // Nobody has stored the response; or the machine has just learned of another login.
    const isExplained = code === 'REFRESH_AMBIGUOUS' || (code === 'SESSION_BUSY' && process.kind === 'call')
    if (isAlive && !isExplained) this.#violate(`${process} fails at the end with ${code}`)
  }

  #finish(process: Process): void {
    process.isOver = true
    const slept = process.machine.suspended - process.slept
    const since = Math.max(process.startedAt, Number.isFinite(this.#quietAt) ? Math.min(this.#quietAt, this.#time) : 0)
    if (
      slept === 0 &&
      this.#time - since > ANSWER_LONGEST &&
      !(this.#time < this.#quietAt && this.#quietAt < Number.POSITIVE_INFINITY)
    ) {
      this.#violate(`${process} waited for ${Math.round((this.#time - since) / SECOND)} s`)
    }
  }

  /** @param isMoving the store of the old place, to move it */
  #runtime(
    process: Process,
    isMoving = false,
    given?: VaultEngine,
  ): { readonly runtime: Runtime; readonly store: VaultStore } {
    const place = isMoving ? 0 : process.place
    const { machine } = process
    const randomBytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(this.#random() * 256))
    const now = () => EPOCH + this.#time + machine.wall
    const warn = (message: string) => {
      process.warnings.push(message)
      this.#log(process, `warns: ${message}`)
    }
    const own = this.#memoryFor(process, machine.userKey, place)
    const memory = this.#mutation.memory?.(own) ?? own
    const engine = given ?? this.#engineFor(process, place)
    const userKey = userKeyOf(machine.userKey)
    const keyring = createKeyring({ engine, userKey, memory, isMoving, warn })
    let isInherited = place === 0
    const inherit = async () => {
      const { memory: earlier, ...from } = this.#folder(process, machine.userKey, 0)
      if (isInherited || process.memory.filesOf(machine.userKey, 0).size === 0) return
      isInherited = true
      if ((await keyring.keys()).movedFrom === undefined) return
      const source = this.#mutation.memory?.(earlier) ?? earlier
      await copyMemory({ ...from, memory: source }, { address: engine.address, userKey, memory })
    }
    const options: VaultStoreOptions & Random = {
      engine,
      ...keyring,
      inherit,
      memory,
      clock: {
        now,
        monotonic: () => this.#time - machine.suspended,
        uptime: () => this.#time - machine.bootedAt,
        boot: `boot ${machine.index}.${machine.boots}`,
        sleep: (milliseconds) => this.#wait(process, milliseconds, true),
      },
      machine: {
        holder: `${process.memory.holder} place ${place} boot ${machine.boots}`,
        label: `m${machine.index}`,
        durable: machine.plan.durable,
      },
      holdSignals: (work) => work(),
      endTokens: async (record) => void (await endSession(record, runtime)),
      warn,
      randomBytes,
      ...(this.#mutation.times && { times: this.#mutation.times }),
    }
    const Store = (isMoving ? this.#mutation.moveStore : undefined) ?? this.#mutation.store ?? VaultStore
    const store = new Store(options)
    const runtime = {
      now,
      randomBytes,
      sleep: (milliseconds: number) => this.#wait(process, milliseconds, true),
      fetch: (url: URL, init?: HttpInit) => this.#fetch(process, url, init),
      resolveTxt: async () => [],
      settings: { plcUrl: 'https://plc.directory', dev: false },
      stores: { sessions: store },
      saving: {
        inStore: false,
        targets: [],
        open: () => {
          throw new Error('no target')
        },
        checkDurable: () => undefined,
      },
      warn,
    } as unknown as Runtime
    return { runtime, store }
  }

  /** @param userKey what was seen with one key is apart from what was seen with another */
  #memoryFor(process: Process, userKey: number, place: Place): VaultMemory {
    const { memory, machine } = process
    const files = memory.filesOf(userKey, place)
    const take = () => this.#wait(process, 1)
    return {
      read: async (kind, name) => {
        await take()
        return files.get(`${kind}/${name}`)
      },
      write: async (kind, name, text) => {
        await take()
        if (machine.plan.full) throw new OAuthError('STORE_UNAVAILABLE', 'no space left')
        files.set(`${kind}/${name}`, text)
      },
      remove: async (kind, name) => {
        await take()
        if (machine.plan.full) throw new OAuthError('STORE_UNAVAILABLE', 'no space left')
        files.delete(`${kind}/${name}`)
      },
      names: async (kind: MemoryKind) => {
        await take()
        return [...files.keys()].filter((path) => path.startsWith(`${kind}/`)).map((path) => path.split('/')[1]!)
      },
      reserve: async () => {
        if (machine.plan.full) throw new OAuthError('STORE_UNAVAILABLE', 'no space left')
        return { [Symbol.asyncDispose]: async () => {} }
      },
      lock: async (thumbprint, work) => {
        const lock = await this.#enter(process, thumbprint)
        try {
          return await work({
            confirm: async () => {
              await take()
              if (lock.holder !== process) throw new Error('the model has given a lock to two processes')
            },
          })
        } finally {
          this.#leave(lock)
        }
      },
    }
  }

  async #enter(process: Process, thumbprint: string): Promise<Lock> {
    const { locks } = process.memory
    const lock: Lock = locks.get(thumbprint) ?? { holder: undefined, queue: [] }
    locks.set(thumbprint, lock)
    await this.#wait(process, 1)
    if (lock.holder === undefined) {
      lock.holder = process
      return lock
    }
    return new Promise((resolve, reject) => {
      const entry = { process, enter: () => this.#at(this.#time, () => resolve(lock), process) }
      lock.queue.push(entry)
      const giveUp = () => {
        const index = lock.queue.indexOf(entry)
        if (index < 0) return
        lock.queue.splice(index, 1)
        reject(new OAuthError('SESSION_BUSY', 'another process of this machine has the lock'))
      }
      this.#at(this.#time + LOCK_TIMEOUT, giveUp, process, true)
    })
  }

  #leave(lock: Lock): void {
    const next = lock.queue.shift()
    lock.holder = undefined
    if (next === undefined) return
    if (next.process.isDead) {
      this.#leave(lock)
      return
    }
    lock.holder = next.process
    next.enter()
  }

  // --- the engine

  get #records(): ReadonlyMap<string, string> {
    return this.#states.at(-1)!
  }

  /** The one that counts: what is copied is there from the moment at which the old one says where it went. */
  #record(): Content | undefined {
    const place = isLeft(this.#records.get(RECORD)) || this.#isAt(1) ? 1 : 0
    return contentOf(this.#records.get(nameAt(place, this.#name)))
  }

  #set(text: string | undefined, name: string = RECORD): void {
    const before = this.#record()
    const wasOpen = this.#isAt(1)
    const wasReplaced = this.#name !== RECORD
    const next = new Map(this.#records)
    if (text === undefined) next.delete(name)
    else next.set(name, text)
    this.#states.push(next)
    this.#service?.remember(next)
    if (this.#isAt(1)) this.#hasArrived = true
    if (this.#isAt(1) && this.#isAt(0) && this.#lostAt.length === 0) this.#violate('the vault is open at two places')
    if (wasReplaced && this.#name === RECORD) this.#violate('a vault that was replaced is back')
    if (name !== this.#name && !(wasOpen && name === nameAt(1, RECORD))) return
    const content = contentOf(text)
    if (content === undefined) return
    const { session, endedBy } = content
    // A person may replace a session by any other.
    if (before?.session.thumbprint !== session.thumbprint) {
      this.#replacedAt = this.#time
      if (before === undefined) this.#createdAt = this.#time
      this.#tombstones.delete(session.thumbprint)
    }
    const key = `${session.thumbprint} ${session.rotation}`
    if (session.refreshToken !== undefined && !this.#storedAt.has(key)) this.#storedAt.set(key, this.#time)
    if (endedBy === 'person') this.#tombstones.add(session.thumbprint)
    else if (this.#tombstones.has(session.thumbprint)) this.#violate('a session that a person had ended is back')
  }

  #makeUnmade(): void {
    const { before, after } = this.#unmade ?? {}
    if (after === undefined || this.#records.get(RECORD) !== before) return
    this.#set(after)
    this.#log('engine', `has ${describe(after)} at last`)
  }

  /** The engine of a process; nothing is asked of it without an event. */
  #engineOf({ engines, memory }: Process, place: Place, service: ModelService): Promise<VaultEngine> {
    engines[place] ??= service.connect(memory.holder, place)
    return engines[place]
  }

  /** What a real engine has must be what the model expects it to have. */
  async #look<T>(process: Process, place: Place, expected: T, look: (engine: VaultEngine) => Promise<T>): Promise<T> {
    if (this.#service === undefined) return expected
    const found = await this.#real(this.#engineOf(process, place, this.#service).then(look))
    if (!isDeepStrictEqual(found, expected)) this.#violate('the real engine has something else')
    return found
  }

  #lose({ kind, count = 1 }: Loss): void {
    if (this.#isQuiet) return
    if (kind === 'copy-memory') {
      const machine = this.#machines[count]
      if (machine) machine.memory = this.#newMemory(machine.plan.durable, this.#machines[0]!.memory.files)
      this.#log('memory', `of m0 copied to m${count}`)
      return
    }
    if (kind === 'disturb') {
      if (this.#service) void this.#real(this.#service.disturb())
      return
    }
    if (kind === 'restore-old-place') {
      this.#rollBack(this.#states.find((state) => state.has(RECORD))!, kind, 0)
      return
    }
    const back = kind === 'lose-last' ? 1 : count
    const state = kind === 'delete' ? NOTHING : (this.#states.at(-1 - back) ?? this.#states[1]!)
    this.#rollBack(state, kind)
  }

  /** At one place, by default where the vault is; what is elsewhere stays. */
  #rollBack(earlier: ReadonlyMap<string, string>, why: string, place: Place = this.#hasArrived ? 1 : 0): void {
    const state = new Map([...this.#records].filter(([name]) => placeOf(name) !== place))
    for (const [name, text] of earlier) if (placeOf(name) === place) state.set(name, text)
    this.#states.push(state)
    const service = this.#service
    if (service) void this.#real(service.restore(earlier, place).then(() => service.remember(state)))
    this.#lostAt.push(this.#time)
    // What is stored again counts from then.
    this.#storedAt.clear()
    // What a person ended may come back with a lost write, if nobody has seen it.
    const content = this.#record()
    if (content && content.endedBy !== 'person') this.#tombstones.delete(content.session.thumbprint)
    if (content === undefined) this.#tombstones.clear()
    this.#log('engine', `${why}: ${describe(this.#records.get(RECORD))}`)
  }

  #engineFor(process: Process, place: Place): VaultEngine {
    const at = (name: string) => nameAt(place, name)
    return {
      address: ADDRESSES[place],
      read: async (name) =>
        this.#ask(process, `read ${at(name).slice(0, 9)}`, () =>
          this.#look(process, place, this.#records.get(at(name)), (engine) => engine.read(name)),
        ),
      list: async () =>
        this.#ask(process, place === 0 ? 'list' : 'list new', () =>
          this.#look(process, place, recordsAt(place, this.#records), (engine) => engine.list()),
        ),
      swap: (name, before, after) => this.#swap(process, at(name), before, after),
      describe: async () => [],
      destroy: async () => undefined,
    }
  }

  #engineFault(process: Process): EngineFault | undefined {
    this.#engineRequests++
    const planned = this.#plan.engineFaults?.get(this.#engineRequests)
    if (this.#isQuiet) return undefined
    const { partitions = [], engineFaultRate = 0 } = this.#plan
    const isCut = partitions.some(
      ({ from, until, machine }) => machine === process.machine.index && this.#time >= from && this.#time < until,
    )
    if (isCut) return 'unreachable'
    if (planned !== undefined) return planned
    if (this.#random() >= engineFaultRate) return undefined
    const all = ['unreachable', 'lost-before', 'lost-after', 'late', 'slow'] as const
    return all[Math.floor(this.#random() * all.length)]
  }

  #latency(): number {
    return this.#plan.slowEngine ? this.#between(200, 4000) : this.#between(20, 300)
  }

  async #ask<T>(process: Process, what: string, find: () => Promise<T>): Promise<T> {
    const fault = this.#engineFault(process)
    if (fault === 'slow') await this.#wait(process, this.#between(SECOND, ENGINE_TIMEOUT))
    else await this.#wait(process, this.#latency())
    if (fault === undefined || fault === 'slow' || fault === 'lose-write') {
      const found = await find()
      await this.#wait(process, this.#latency())
      this.#log(
        process,
        `${what} ${describeKeys(this.#records.get(VAULT_RECORD))} ${describe(this.#records.get(this.#name))}`,
      )
      return found
    }
    process.isDisturbed = process.hadTrouble = true
    if (fault !== 'unreachable') await this.#wait(process, ENGINE_TIMEOUT, true)
    this.#log(process, `${what} unreachable`)
    throw new OAuthError('VAULT_UNREACHABLE', 'the vault cannot be reached')
  }

  async #swap(
    process: Process,
    name: string,
    before: string | undefined,
    after: string | undefined,
  ): Promise<SwapOutcome> {
    const fault = this.#engineFault(process)
    if (fault !== undefined) process.isDisturbed = process.hadTrouble = true
    if (fault === 'unreachable') {
      if (process.machine.index === 0 && name === RECORD) this.#unmade = { before, after }
      await this.#wait(process, this.#latency())
      this.#log(process, 'swap unreachable')
      throw new OAuthError('VAULT_UNREACHABLE', 'the vault cannot be reached')
    }
    return new Promise((resolve) => {
      const settle = (outcome: SwapOutcome) => {
        const what = name.endsWith(this.#name) ? describe(after) : describeKeys(after)
        this.#log(process, `swap ${name.startsWith(NEW_PLACE) ? 'new ' : ''}${what}: ${outcome}`)
        resolve(outcome)
      }
      const make = (arrives: boolean): Promise<SwapOutcome> =>
        this.#make(process, { name, before, after }, fault, arrives)
      const reply = (outcome: SwapOutcome, delay = this.#latency()) =>
        this.#at(this.#time + delay, () => settle(outcome), process)
      const fail = (error: unknown) => {
        this.#violate(`the real engine: ${error instanceof Error ? error.stack : error}`)
        resolve('unknown')
      }
      if (fault === 'late') {
        this.#at(this.#time + this.#between(ENGINE_TIMEOUT, 6 * MINUTE), () => {
          make(true).then((outcome) => this.#log('engine', `late swap of ${process}: ${outcome}`), fail)
        })
        return reply('unknown', ENGINE_TIMEOUT)
      }
      if (fault === 'lost-before') {
        make(false).then((outcome) => reply(outcome, ENGINE_TIMEOUT), fail)
        return
      }
      const delay = fault === 'slow' ? this.#between(SECOND, ENGINE_TIMEOUT / 2) : this.#latency()
      this.#at(this.#time + delay, () => {
        make(true).then((outcome) => {
          if (fault === 'lost-after') reply(outcome, ENGINE_TIMEOUT)
          else reply(outcome, fault === 'slow' ? this.#between(SECOND, ENGINE_TIMEOUT / 2) : this.#latency())
        }, fail)
      })
    })
  }

  /** What becomes of a change when it is at the engine, or is lost before that. */
  async #make(
    process: Process,
    {
      name,
      before,
      after,
    }: { readonly name: string; readonly before: string | undefined; readonly after: string | undefined },
    fault: EngineFault | undefined,
    arrives: boolean,
  ): Promise<SwapOutcome> {
    const now = this.#records.get(name)
    const isMade = now === after || now === before
    const isLost = fault === 'lost-before' || fault === 'lost-after'
    const expected = isLost ? 'unknown' : isMade ? 'won' : 'lost'
    const outcome = this.#service
      ? await this.#real(this.#makeReally(process, this.#service, name, before, after, fault))
      : expected
    // Where it need not change anything, a real engine may know the outcome without the request that was lost.
    const isKnown = isLost && (now === after || !isMade) && outcome === (isMade ? 'won' : 'lost')
    if (outcome !== expected && !isKnown) this.#violate(`the real engine says ${outcome} instead of ${expected}`)
    if (arrives && isMade && now !== after) {
      this.#set(after, name)
      if (fault === 'lose-write') this.#rollBack(this.#states.at(-2)!, 'loses the last write')
    }
    return outcome
  }

  async #makeReally(
    process: Process,
    service: ModelService,
    name: string,
    before: string | undefined,
    after: string | undefined,
    fault: EngineFault | undefined,
  ): Promise<SwapOutcome> {
    // What arrives late comes from a process that has died by then.
    const place = placeOf(name)
    const engine =
      fault === 'late' ? await service.connect('late', place) : await this.#engineOf(process, place, service)
    if (fault === 'lost-before') service.loseRequest()
    if (fault === 'lost-after') service.loseReply()
    try {
      return await engine.swap(name.replace(NEW_PLACE, ''), before, after)
    } finally {
      service.calm()
    }
  }

  // --- the server

  #open(): ServerSession {
    const id = this.#sessions.length
    const session: ServerSession = {
      id,
      jkt: String(id).padEnd(43, 'k'),
      rotation: -1,
      refreshToken: '',
      access: [],
      openedAt: this.#time,
      rotatedAt: this.#time,
      ended: undefined,
      revokedAt: undefined,
      isUnsaved: false,
    }
    this.#sessions.push(session)
    this.#issue(session)
    return session
  }

  #issue(session: ServerSession): void {
    session.rotation++
    session.rotatedAt = this.#time
    session.refreshToken = `ref-${session.id}-${session.rotation}`
    session.access.push({ token: `acc-${session.id}-${session.rotation}`, expiresAt: this.#time + HOUR })
  }

  #credentialsOf(session: ServerSession): Credentials {
    const key = { kty: 'EC', crv: 'P-256', x: session.jkt, y: 'y'.repeat(43), d: 'd'.repeat(43) } as const
    const { token, expiresAt } = session.access[0]!
    return {
      did: DID,
      clientId: CLIENT_ID,
      dpopPrivateJwk: key,
      server: PDS,
      issuer: PDS,
      scope: 'atproto',
      refreshToken: `ref-${session.id}-0`,
      accessToken: token,
      accessTokenExpiresAt: EPOCH + expiresAt,
      thumbprint: session.jkt,
      createdAt: EPOCH + expiresAt - HOUR,
      rotatedAt: EPOCH + expiresAt - HOUR,
      rotation: 0,
    }
  }

  #login(): Credentials {
    return this.#credentialsOf(this.#open())
  }

  async #firstLogin(): Promise<void> {
    const keys = { id: 'id', address: 'model:', kid: 'd0', nameKey: new Uint8Array(), dataKey: new Uint8Array() }
    await this.#create(VAULT_RECORD, await wrapKeys(keys, userKeyOf(1)))
    const { dpopPrivateJwk, server, ...rest } = this.#login()
    const session = { version: 1, ...rest, dpopPrivateJwk, pds: server!, spentTokens: [] }
    await this.#create(RECORD, `0 d0\t${JSON.stringify({ version: 1, kind: 'session', session, logins: 1 })}`)
  }

  async #create(name: string, text: string): Promise<void> {
    await this.#service?.connect('first', 0).then((engine) => engine.swap(name, undefined, text))
    this.#set(text, name)
  }

  #sessionOf(thumbprint: string): ServerSession | undefined {
    return this.#sessions.find(({ jkt }) => jkt === thumbprint)
  }

  async #fetch(process: Process, url: URL, init: HttpInit = {}): Promise<Response> {
    const form = new URLSearchParams(typeof init.body === 'string' ? init.body : '')
    const isRefresh = form.get('grant_type') === 'refresh_token'
    await this.#wait(process, this.#between(20, 200))
    const fault = this.#serverFault(isRefresh)
    if (fault !== undefined) process.hadTrouble = true
    if (fault === 'unreachable') throw new OAuthError('NETWORK_UNREACHABLE', 'the server cannot be reached')
    await init.beforeSend?.()
    const sent = isRefresh ? this.#depart(process, form.get('refresh_token')!) : undefined
    const timeout = (init.timeoutSeconds ?? 10) * SECOND
    return new Promise((resolve, reject) => {
      let isSettled = false
      const once = (settle: () => void) => () => {
        if (isSettled) return
        isSettled = true
        settle()
      }
      const lose = () => {
        if (isRefresh) this.#log(process, 'no response')
        if (sent) sent.isUnclear = true
        reject(new OAuthError('NETWORK_LOST', 'no response'))
      }
      this.#at(this.#time + timeout, once(lose), process, true)
      if (fault === 'lost-before') return
      const delay = fault === 'slow' ? this.#between(0, timeout * 0.95) : this.#between(20, 300)
      this.#at(this.#time + delay, () => {
        const answer = fault === 'refused' ? { status: 503, body: {} } : this.#serve(process, url, init, form, sent)
        if (fault === 'lost-after') return
        const planned = sent?.isCommitted && !this.#isQuiet ? this.#plan.responseAfter : undefined
        const back = planned ?? (fault === 'slow' ? this.#between(0, timeout * 0.3) : this.#between(20, 300))
        const date = new Date(EPOCH + this.#time).toUTCString()
        const give = () => {
          if (sent && answer.status === 200) sent.answeredAt = this.#time
          else if (sent) sent.isUnclear = true
          const headers = { 'content-type': 'application/json', date, ...answer.headers }
          if (isRefresh) this.#log(process, `response ${answer.status} ${JSON.stringify(answer.body)}`)
          resolve(new Response(JSON.stringify(answer.body), { status: answer.status, headers }))
        }
        this.#at(this.#time + back, once(give), process)
      })
    })
  }

  #serverFault(isRefresh: boolean): ServerFault | undefined {
    if (isRefresh) this.#tokenRequests++
    const planned = isRefresh ? this.#plan.serverFaults?.get(this.#tokenRequests) : undefined
    if (this.#isQuiet) return undefined
    const { serverFaultRate = 0, serverOutages = [] } = this.#plan
    if (planned !== undefined) return planned
    if (serverOutages.some(({ from, until }) => this.#time >= from && this.#time < until)) return 'unreachable'
    if (this.#random() >= serverFaultRate) return undefined
    const all = ['lost-before', 'lost-after', 'slow', 'slow', 'unreachable', 'refused'] as const
    return all[Math.floor(this.#random() * all.length)]
  }

  get #nonce(): string {
    return `nonce-${Math.floor(this.#time / (3 * MINUTE))}`
  }

  #serve(
    process: Process,
    url: URL,
    init: HttpInit,
    form: URLSearchParams,
    sent: Sent | undefined,
  ): { status: number; body: object; headers?: Record<string, string> } {
    const path = url.pathname
    if (path.startsWith('/.well-known')) return { status: 200, body: {} }
    const given = new Headers(init.headers)
    const { jkt, nonce } = JSON.parse(given.get('dpop') ?? '{}')
    const headers: Record<string, string> = this.#plan.nonces ? { 'dpop-nonce': this.#nonce } : {}
    const isChallenged = this.#plan.nonces === true && nonce !== this.#nonce
    if (path.startsWith('/xrpc/')) {
      if (isChallenged) {
        const challenge = 'DPoP error="use_dpop_nonce"'
        return { status: 401, body: {}, headers: { ...headers, 'www-authenticate': challenge } }
      }
      const token = given.get('authorization')?.slice('DPoP '.length)
      if (this.#isAccepted(token)) return { status: 200, body: {}, headers }
      return { status: 401, body: {}, headers: { ...headers, 'www-authenticate': 'DPoP error="invalid_token"' } }
    }
    if (isChallenged) {
      if (sent) sent.isRefused = true
      return { status: 400, body: { error: 'use_dpop_nonce' }, headers }
    }
    if (path === '/oauth/revoke') {
      const token = form.get('token') ?? ''
      const session = this.#byToken(token)
      const isNewest = token === session?.refreshToken || token === session?.access.at(-1)?.token
      if (session && session.jkt === jkt && (isNewest || !this.#plan.revokesByNewest)) {
        const { session: stored, endedBy } = this.#record() ?? {}
        const isWanted = process.kind === 'revoke' || stored?.thumbprint !== session.jkt || endedBy === 'person'
        const isLost = this.#lostAt.some((at) => at > session.openedAt)
        if (!isWanted && !isLost && session.ended === undefined)
          this.#violate(`${process} ends a session that is in use`)
        session.ended ??= 'revoked'
        if (process.kind === 'revoke') session.revokedAt ??= this.#time
        this.#log('server', `${process} revokes session ${session.id}`)
      }
      return { status: 200, body: {}, headers }
    }
    if (sent === undefined) return { status: 400, body: { error: 'invalid_request' }, headers }
    return { ...this.#refresh(sent, jkt), headers }
  }

  #byToken(token: string): ServerSession | undefined {
    const [, id] = token.split('-')
    return this.#sessions[Number(id)]
  }

  #isAccepted(token: string | undefined): boolean {
    const session = this.#byToken(token ?? '')
    if (session === undefined || session.ended !== undefined) return false
    const found = session.access.find((access) => access.token === token)
    if (found === undefined || found.expiresAt <= this.#time) return false
    return !this.#plan.together || found === session.access.at(-1)
  }

  #refresh(sent: Sent, jkt: string): { status: number; body: object } {
    const { session, token, process } = sent
    const invalid = { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid refresh token' } }
    if (session.ended !== undefined || session.jkt !== jkt) return invalid
    const { sessionLifetime = Number.POSITIVE_INFINITY, refreshLifetime = Number.POSITIVE_INFINITY } = this.#plan
    if (this.#time - session.openedAt > sessionLifetime || this.#time - session.rotatedAt > refreshLifetime) {
      session.ended = 'expired'
      add(this.#counts.ended, 'expired')
      this.#log('server', `session ${session.id} has expired`)
      return invalid
    }
    if (token !== session.refreshToken) {
      session.ended = 'replayed'
      this.#losses++
      const cause = this.#causeOf(sent)
      add(this.#counts.ended, cause)
      if (cause === 'avoidable') this.#violate(`${process} has ended a session for no reason`)
      this.#log('server', `${process} sent a spent token (${cause}): session ${session.id} has ended`)
      return invalid
    }
    sent.isCommitted = true
    this.#counts.refreshes++
    this.#issue(session)
    const { refreshToken, access } = session
    return {
      status: 200,
      body: {
        access_token: access.at(-1)!.token,
        refresh_token: refreshToken,
        token_type: 'DPoP',
        scope: 'atproto',
        expires_in: HOUR / SECOND,
        sub: DID,
      },
    }
  }

  // --- what must hold

  /** Why a spent token was sent. */
  #causeOf({ token }: Sent): string {
    const spent = this.#sent.find((one) => one.token === token && one.isCommitted)
    if (spent === undefined) return 'avoidable'
    const { process, answeredAt } = spent
    if (this.#lostAt.some((at) => at > spent.at - SEND_LATEST)) return 'the vault was rolled back'
    if (answeredAt === undefined) return 'no response'
    const { isDurable } = process.memory
    if (process.diedAt === undefined) return process.isDisturbed ? 'cut off with the response' : 'avoidable'
    if (process.diedAt < answeredAt) return 'avoidable'
    if (process.diedAt - answeredAt <= WRITE_LONGEST) return 'died with the response'
    return isDurable ? 'died, and has the response' : 'gone with the response'
  }

  #depart(process: Process, token: string): Sent {
    const session = this.#byToken(token)!
    const rotation = Number(token.split('-')[2])
    const sent: Sent = {
      token,
      rotation,
      session,
      process,
      at: this.#time,
      isRefused: false,
      isCommitted: false,
      isUnclear: false,
      answeredAt: undefined,
    }
    this.#log(process, `sends ${token}`)
    if (process.place === 0 && this.#isAt(1))
      this.#violate(`${process} sends a token from the place that the vault left`)
    for (const earlier of this.#sent) {
      if (earlier.token !== token || earlier.isRefused || earlier.process === process) continue
      const why = this.#unjustified(sent, earlier)
      this.#resends++
      this.#counts.resends++
      if (why !== undefined) this.#violate(`${process} sends ${token} again after ${earlier.process}: ${why}`)
    }
    if (session.revokedAt !== undefined) this.#log(process, 'of a session that was revoked')
    this.#sent.push(sent)
    return sent
  }

  /** Why a token must not be sent a second time; it may if nobody can have its response, or nothing can tell. */
  #unjustified({ process, session, rotation, at }: Sent, earlier: Sent): string | undefined {
    if (session.ended !== undefined) return undefined
    if (this.#seenBy(process.memory, session) > rotation) return 'this machine has newer tokens'
    const storedAt = this.#storedAt.get(`${session.jkt} ${rotation + 1}`)
    const isThere =
      (this.#record()?.session.rotation ?? -1) > rotation && this.#record()?.session.thumbprint === session.jkt
    if (isThere && storedAt !== undefined && at - storedAt > BLINK) return 'the vault has newer tokens'
    // Acknowledged and lost, and this machine had not seen it.
    if (this.#lostAt.some((lost) => lost > earlier.at - SEND_LATEST && lost <= at)) return undefined
    if (!process.warnings.some((warning) => warning.includes('retrying with the same token')))
      return 'without a warning'
    const { together } = this.#plan
    const access = session.access.find((one) => one.token === `acc-${session.id}-${rotation}`)
    const isSameMachine = earlier.process.memory === process.memory
    const isKnowable = together === true && access !== undefined && access.expiresAt - at > 2 * MINUTE
    if (isKnowable && !isSameMachine && earlier.isCommitted && this.#areClocksRight) {
      return 'the access token would have told'
    }
    if (isSameMachine) {
      if (!earlier.process.isDead && !earlier.process.isOver) return 'the other process lives'
      const { answeredAt = at } = earlier
      const isKept = earlier.process.memory.isDurable && (earlier.process.diedAt ?? at) - answeredAt > WRITE_LONGEST
      return isKept ? 'the response had arrived' : undefined
    }
    if (earlier.isUnclear || (earlier.process.isOver && earlier.answeredAt === undefined)) return undefined
    const { durable } = earlier.process.machine.plan
    const least = (durable ? VAULT_TIMES.takeoverDurable : VAULT_TIMES.takeover) - SEND_LATEST
    if (at - earlier.at < least) return `after ${Math.round((at - earlier.at) / SECOND)} s`
    if (!earlier.process.isDead && !earlier.process.isDisturbed) return 'the other process had no trouble'
    return undefined
  }

  get #areClocksRight(): boolean {
    return !(this.#plan.mishapRate && this.#hasSetClock) && this.#plan.machines.every(({ wall }) => !wall)
  }

  /** The newest tokens of a session that are in a memory. */
  #seenBy({ files }: Memory, session: ServerSession): number {
    let newest = -1
    for (const [path, text] of [...files.values()].flatMap((of) => [...of])) {
      if (!path.startsWith('seen/') && !path.startsWith('ahead/')) continue
      const content = contentOf(path.startsWith('ahead/') ? text.slice(text.indexOf('\n') + 1) : text)
      if (content?.session.thumbprint === session.jkt && content.session.refreshToken !== undefined) {
        newest = Math.max(newest, content.session.rotation ?? 0)
      }
    }
    return newest
  }

  #checkReplaced(process: Process, thumbprint: string): void {
    if (this.#record()?.session.thumbprint !== thumbprint) return
    const others = this.#sessions.filter(({ jkt, ended }) => jkt !== thumbprint && ended === undefined)
    for (const { id } of others) this.#log(process, `session ${id} still lives after it was replaced`)
  }

  /** After a change of the key that was finished, the old keys open nothing. */
  async #checkKeys(): Promise<void> {
    const place = this.#hasArrived ? 1 : 0
    const text = this.#records.get(nameAt(place, VAULT_RECORD))
    // Deleted, and no machine had seen a session there.
    if (text === undefined && this.#lostAt.length > 0) return
    if (text === undefined) return this.#violate('there is no vault')
    const newest = Math.max(...this.#machines.map(({ userKey }) => userKey))
    const keys = await unwrapKeys(text, userKeyOf(newest), ADDRESSES[place]).catch(() => undefined)
    if (keys === undefined || wrapsOf(text).length > 1) this.#violate('the vault is open for an old key')
    else if (keys.earlier !== undefined) this.#violate('the change of the key was not finished')
    const record = this.#records.get(nameAt(place, RECORD))
    if (record !== undefined && dataKeyId(record) !== keys?.kid) this.#violate('a record has another data key')
  }

  /** Where nothing went wrong, nothing of the earlier vault is left. */
  #checkReplacement(): void {
    const { mishaps = [], engineFaults, engineFaultRate = 0, partitions = [] } = this.#plan
    const isClean = mishaps.length === 0 && !engineFaults?.size && engineFaultRate === 0 && partitions.length === 0
    if (isClean && this.#name !== RECORD && this.#records.has(RECORD))
      this.#violate('a record of the lost vault is left')
  }

  /** The old place has nothing but the new address. */
  #checkMoved(): void {
    if (this.#lostAt.length > 0 && !this.#records.has(nameAt(1, VAULT_RECORD))) return
    if (!this.#isAt(1)) this.#violate('the vault has not arrived')
    const { move } = keysIn(this.#records.get(VAULT_RECORD)) ?? {}
    if (move?.direction !== 'to') this.#violate('the old place does not say where the vault is')
    const record = this.#records.get(RECORD)
    if (record !== undefined && !isLeft(record)) this.#violate('the old place has a session')
  }

  #checkEnd(): void {
    const content = this.#record()
    const current = content && this.#sessionOf(content.session.thumbprint)
    if (content === undefined || current === undefined) return
    const { session, endedBy } = content
    if (current.ended === undefined && endedBy === 'server') this.#violate('called dead, and it is alive')
    if (current.ended === undefined && endedBy === undefined && session.refreshToken !== current.refreshToken) {
      this.#violate('the newest tokens are nowhere')
    }
    if (current.revokedAt !== undefined && endedBy === undefined && !session.ended)
      this.#violate('revoked, and it is back')
    for (const { id, ended, jkt, isUnsaved } of this.#sessions) {
      if (isUnsaved) continue
      const isClean = (this.#plan.serverFaultRate ?? 0) === 0 && !this.#plan.serverFaults?.size
      const hasCrashed = (this.#plan.mishaps?.length ?? 0) > 0
      if (this.#hasReplacement) continue
      if (ended === undefined && jkt !== session.thumbprint && isClean && !hasCrashed && this.#lostAt.length === 0) {
        this.#violate(`session ${id} was replaced, and its tokens still work`)
      }
    }
  }
}

const NEW_PLACE = 'new '

function placeOf(name: string): Place {
  return name.startsWith(NEW_PLACE) ? 1 : 0
}

export function recordsAt(place: Place, records: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const there = [...records].filter(([name]) => placeOf(name) === place)
  return new Map(there.map(([name, text]) => [name.replace(NEW_PLACE, ''), text]))
}

function nameAt(place: Place, name: string): string {
  return place === 0 ? name : `${NEW_PLACE}${name}`
}

/** Of the `vault` record, without a key. */
function keysIn(text: string | undefined): VaultKeys | undefined {
  const line = text?.split('\n')[0]
  return line === undefined ? undefined : JSON.parse(line.slice(line.indexOf('\t') + 1))
}

function isRequest({ kind }: Process): boolean {
  return kind === 'call' || kind === 'refresh'
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function userKeyOf(number: number): Uint8Array {
  return new Uint8Array([number])
}

/** The user's keys, and the data keys. */
function describeKeys(text: string | undefined): string {
  const lines = text?.split('\n') ?? []
  return `{${lines.map((line) => line.replace(/^\d+ (\S+)\t.*"kid":"(\w+)".*$/, '$1 $2')).join(', ')}}`
}

function isAfter(one: Event, other: Event): boolean {
  return one.at > other.at || (one.at === other.at && one.order > other.order)
}

function describe(text: string | undefined): string {
  if (isLeft(text)) return '[moved]'
  const content = contentOf(text)
  if (content === undefined) return 'nothing'
  const { session, claim, endedBy } = content
  const parts = [
    session.thumbprint.replaceAll('k', ''),
    `n${session.rotation}`,
    claim && `claim ${claim.id.slice(0, 4)} of ${claim.label}`,
    session.intent && 'sent',
    endedBy && `ended by ${endedBy}`,
  ]
  return `[${parts.filter(Boolean).join(', ')}]`
}
