/**
 * Moves a vault to another address, of the same engine or another one. Its keys and the names of its records stay.
 *
 * Two places with a session would lose it. So the old one is closed before the new one is opened:
 *
 * 1. The new place gets a `vault` record that is not open yet.
 * 2. The `vault` record of the old place says where everything goes. No command begins anything there from now on.
 * 3. Each record is copied as soon as no machine is changing it, and what is left of it says where it went.
 * 4. The new place is opened.
 * 5. The old place says that everything has arrived.
 * 6. What a process that was killed has put there meanwhile, without having learned of the move, is moved too.
 *
 * Every step is one change of one record, and any machine can be killed after each of them: whoever begins again finds
 * what is done, and so does a second machine that moves the vault at the same time.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { Timer } from '../../ports.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { openRecord, sealRecord, unwrapAnyKeys, userKeyId, type VaultKeys, wrapKeys, wrapsOf } from './envelope.ts'
import { vaultNotFound } from './keyring.ts'
import { createConfirmation, replaceVaultRecord } from './make.ts'
import { assertHere, goneTo, isMovedError, leftRecord } from './moved.ts'
import { type Claim, unseal, type VaultRecord } from './record.ts'
import { keysShared, rekeyBegun, rekeyUnfinished } from './rekey.ts'
import type { VaultStore } from './store.ts'

export interface MoveOptions {
  /** Address of the new place, in a spelling to connect with. */
  readonly to: string
  /** Whether another spelling means this address. */
  isTo(address: string): Promise<boolean>
  /** Address of the old place, in a spelling to connect with. */
  readonly from: string
  readonly userKey: Uint8Array
}

export interface Moved {
  /** An earlier run has finished it. */
  readonly isRepeated: boolean
  /** How many records were copied by this run. */
  readonly records: number
  /** Names of records that could not be read, and stay where they are. */
  readonly unreadable: readonly string[]
  /** The new place has been left for this one since: what was copied late is to be moved from there. */
  readonly onward?: string
}

/** Both places during one run. */
interface Places {
  readonly store: VaultStore
  readonly source: VaultEngine
  readonly target: VaultEngine
  readonly keys: VaultKeys
  /** Those of the new place, if it is open. */
  readonly openKeys: VaultKeys | undefined
  readonly to: string
  readonly isMade: ReturnType<typeof createConfirmation>
}

/**
 * Run it again if it fails, and after it was killed.
 *
 * @param store of the old place, opened to move it
 * @throws {OAuthError} `VAULT_INVALID` the target is not empty; the vault is moving elsewhere; its key is being replaced;
 *   `VAULT_KEY_WRONG`; as `VaultEngine.swap`
 */
export async function moveVault(
  store: VaultStore,
  target: VaultEngine,
  { to, isTo, from, userKey }: MoveOptions,
  ports: Timer,
): Promise<Moved> {
  const { engine: source } = store
  const unclear = `it is not known whether the vault at ${from} has moved`
  const replace = (engine: VaultEngine, before: string | undefined, keys: VaultKeys) =>
    wrapKeys(keys, userKey)
      .then((after) => replaceVaultRecord(engine, { before, after, unclear }, ports))
      .catch((error: unknown) => {
        // No token was sent, and whatever has arrived, the next run goes on from there.
        throw error instanceof OAuthError ? error.with({ session: 'alive' }) : error
      })
  /** The new place may have been restored from a backup that was made during the move. */
  const reopen = async (arriving: VaultKeys) => {
    const there = await targetState(target, arriving, userKey).catch((error: unknown) => {
      if (isOAuthError(error, 'VAULT_INVALID')) return undefined
      throw error
    })
    const isClosed = there !== undefined && !there.isOutdated && there.openKeys === undefined
    return !isClosed || replace(target, there.text, { ...arriving, move: undefined })
  }
  /** Another machine was faster, and moves it elsewhere: nothing will arrive at this place. */
  const clear = async (arriving: VaultKeys) => {
    const there = await targetState(target, arriving, userKey)
    if (there?.isEmpty && there.openKeys === undefined) await target.swap(VAULT_RECORD, there.text, undefined)
  }
  const moved = new Set<string>()
  const isMade = createConfirmation(ports)
  const moveLate = async (keys: VaultKeys, arriving: VaultKeys) => {
    const keysThere = async () => (await targetState(target, arriving, userKey).catch(() => undefined))?.openKeys
    const openKeys = await keysThere()
    if (openKeys === undefined) return { unreadable: [] }
    const before = moved.size
    const unreadable = await moveRecords({ store, source, target, keys, openKeys, to, isMade }, moved)
    // It may have moved on, also in the meantime: what comes to a place that was left is moved like any late record.
    const onward = moved.size > before ? (await keysThere())?.move?.address : undefined
    return { unreadable, ...(onward !== undefined && { onward }) }
  }
  for (let isBegun = false; ; isBegun = true) {
    const text = await source.read(VAULT_RECORD)
    if (text === undefined) throw vaultNotFound(from)
    const keys = await unwrapAnyKeys(text, userKey, source.address).catch(async (error: unknown) => {
      // This machine may know that the key was replaced.
      await store.refreshKeys()
      throw error
    })
    const { move, ...rest } = keys
    const arriving: VaultKeys = {
      ...rest,
      address: target.address,
      movedFrom: [...(keys.movedFrom ?? []), source.address],
      move: { direction: 'from', address: from, isFinished: false },
    }
    if (move !== undefined && (move.direction !== 'to' || !(await isTo(move.address)))) {
      if (move.direction === 'to') await clear(arriving).catch(() => undefined)
      assertHere(keys)
    }
    if (move?.isFinished) {
      if (!(await reopen(arriving))) continue
      const late = await moveLate(keys, arriving)
      return { isRepeated: !isBegun, records: moved.size, ...late }
    }
    if (keys.earlier !== undefined) throw rekeyUnfinished()
    const wraps = wrapsOf(text)
    if (wraps.length > 1) throw wraps.at(-1)?.kid === userKeyId(userKey) ? keysShared() : rekeyBegun(source.address)
    if (move === undefined && !isBegun) {
      // What this machine owes to it, or knows that it has lost.
      await store.readAll()
    }

    const there = await targetState(target, arriving, userKey)
    if (there === undefined || there.isOutdated) {
      if (there && move !== undefined) throw notEmpty(target)
      await replace(target, there?.text, arriving)
      continue
    }
    if (move === undefined) {
      await replace(source, text, { ...rest, move: { direction: 'to', address: to, isFinished: false } })
      continue
    }
    const places = { store, source, target, keys, openKeys: there.openKeys, to, isMade }
    const unreadable = await moveRecords(places, moved)
    if (there.openKeys === undefined && !(await replace(target, there.text, { ...arriving, move: undefined }))) continue
    if (await replace(source, text, { ...rest, move: { ...move, isFinished: true } })) {
      const { onward } = await moveLate(keys, arriving)
      return { isRepeated: false, records: moved.size, unreadable, ...(onward !== undefined && { onward }) }
    }
  }
}

interface Arrived {
  /** The `vault` record at the new place. */
  readonly text: string
  /** Another key opens it. */
  readonly isOutdated: boolean
  /** No record was moved there. */
  readonly isEmpty: boolean
  /** If it was opened. */
  readonly openKeys: VaultKeys | undefined
}

function isOf(id: string, text: string): boolean {
  try {
    return wrapsOf(text).every(({ vault }) => vault === id)
  } catch {
    return false
  }
}

/** This vault at the new place, with its keys if it was opened; `undefined`: nothing is there. */
async function targetState(
  target: VaultEngine,
  { id, movedFrom }: VaultKeys,
  userKey: Uint8Array,
): Promise<Arrived | undefined> {
  const records = await target.list()
  const text = records.get(VAULT_RECORD)
  if (text === undefined && records.size === 0) return undefined
  const keys =
    text === undefined ? undefined : await unwrapAnyKeys(text, userKey, target.address).catch(() => undefined)
  const isThisMove = keys?.id === id && JSON.stringify(keys.movedFrom) === JSON.stringify(movedFrom)
  if (text === undefined) throw notEmpty(target)
  // An earlier run began before the key was replaced, and put nothing else there.
  const isEmpty = records.size === 1
  const isOutdated = keys === undefined && isEmpty && isOf(id, text)
  if (!isThisMove && !isOutdated) throw notEmpty(target)
  return { text, isOutdated, isEmpty, openKeys: keys?.move?.direction === 'from' ? undefined : keys }
}

/**
 * What is still at a place that the vault has left.
 *
 * @throws {OAuthError} as `VaultEngine.list`; `VAULT_KEY_WRONG`
 */
export async function readLeftBehind(source: VaultEngine, userKey: Uint8Array): Promise<LeftBehind> {
  const records = await source.list()
  const text = records.get(VAULT_RECORD)
  if (text === undefined) return { pending: [], unreadable: [] }
  return leftBehind(records, await unwrapAnyKeys(text, userKey, source.address))
}

interface LeftBehind {
  /** Records that were not moved. */
  readonly pending: readonly (readonly [name: string, text: string])[]
  /** Names of those that cannot be read. */
  readonly unreadable: readonly string[]
}

async function leftBehind(records: ReadonlyMap<string, string>, keys: VaultKeys): Promise<LeftBehind> {
  const pending: [name: string, text: string][] = []
  const unreadable: string[] = []
  for (const [name, text] of records) {
    if (name === VAULT_RECORD) continue
    const content = await openRecord(text, name, keys).catch(() => undefined)
    if (content === undefined) unreadable.push(name)
    else if (goneTo(content) === undefined) pending.push([name, text])
  }
  return { pending, unreadable }
}

/** @returns names of records that cannot be read */
async function moveRecords(places: Places, moved: Set<string>): Promise<string[]> {
  const { source, keys } = places
  for (;;) {
    const { pending, unreadable } = await leftBehind(await source.list(), keys)
    if (pending.length === 0) return [...unreadable]
    for (const [name, text] of pending) if (await moveRecord(name, text, places)) moved.add(name)
  }
}

/** @returns whether this run has moved it */
async function moveRecord(name: string, text: string, places: Places): Promise<boolean> {
  const { store, keys } = places
  const session = (await unseal(name, text, keys).catch(() => undefined))?.record.session
  if (session === undefined) return (await copyRecord(name, places)) === 'moved'
  for (;;) {
    const outcome = await store.memory.lock(session.thumbprint, async () => {
      // Of a process of this machine that was killed.
      await unlessMoved(store.finishAhead(session.thumbprint))
      return copyRecord(name, places, session.thumbprint)
    })
    if (typeof outcome === 'string') return outcome === 'moved'
    // Its machine stores the response here.
    await unlessMoved(store.awaitClaim(name, outcome.claim))
  }
}

/** Another machine may have moved the record meanwhile. */
async function unlessMoved(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isMovedError(error)) throw error
  })
}

/**
 * @param locked the session of which this process has the local lock
 * @returns `claim`: another machine is changing the record; `gone`: another one has moved or removed it, or has damaged it
 */
async function copyRecord(
  name: string,
  { store, source, target, keys, openKeys, to, isMade }: Places,
  locked?: string,
): Promise<'moved' | 'gone' | { readonly claim: Claim }> {
  for (;;) {
    // In this order: if another machine moves it too, what it has put there since is newer than what is read now.
    const there = await target.read(name)
    const text = await source.read(name)
    const content = text === undefined ? undefined : await openRecord(text, name, keys).catch(() => undefined)
    if (text === undefined || typeof content !== 'object' || content === null) return 'gone'
    if (goneTo(content) !== undefined) return 'gone'
    const { record } = (await unseal(name, text, keys).catch(() => undefined)) ?? {}
    // Nobody is in a hurry: after this time, no machine still tries to store a response here.
    const claim = record?.claim && { ...record.claim, durable: true }
    const isLocked = record?.session.thumbprint === locked
    if (claim !== undefined && !(await store.mayTakeOver(name, claim, isLocked))) return { claim }
    const next = record?.claim === undefined ? content : released(record)
    // What comes after it was opened was put here by a process that had not learned of the move.
    const copy = openKeys === undefined && next === content ? text : await sealRecord(next, name, openKeys ?? keys)
    const isNewer = openKeys !== undefined && there !== undefined && !(await isLeft(there, name, openKeys))
    // Neither place knows the session of a login then, once this one is gone.
    const unused = isNewer && record ? await unusedSession(record, name, there, openKeys) : undefined
    if (!isNewer && there !== copy && !(await isMade(await target.swap(name, there, copy)))) continue
    const left = await sealRecord(leftRecord(to), name, keys)
    if (!(await isMade(await source.swap(name, text, left)))) continue
    if (unused !== undefined) await store.endTokens(unused)
    return 'moved'
  }
}

/** Whether it only says where a record has gone. */
async function isLeft(text: string, name: string, keys: VaultKeys): Promise<boolean> {
  return goneTo(await openRecord(text, name, keys).catch(() => undefined)) !== undefined
}

/** The session of a record that is not copied, if the new place has another one of the account. */
async function unusedSession(
  { session }: VaultRecord,
  name: string,
  there: string,
  keys: VaultKeys,
): Promise<SessionRecord | undefined> {
  const other = (await unseal(name, there, keys).catch(() => undefined))?.record.session
  const isOther = other !== undefined && other.thumbprint !== session.thumbprint
  return isOther && session.ended === undefined ? session : undefined
}

/** Without its claim, which is taken over. Whoever had it may have sent the token. */
function released({ claim, ...record }: VaultRecord): VaultRecord {
  const { holder, label } = (record.session.intent && claim) ?? record.sentBy ?? {}
  return holder === undefined || label === undefined ? record : { ...record, sentBy: { holder, label } }
}

function notEmpty({ address }: VaultEngine): OAuthError {
  const message = `there is something else at ${address}; nothing was moved there`
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-target-taken', address } })
}
