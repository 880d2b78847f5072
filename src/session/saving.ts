/**
 * New and rotated credentials on their way to the save targets. The store has them first, so that nothing can lose
 * them in between; what could not be delivered is recorded there, and delivered before anything else the next time.
 */

import { readCredentials } from '../credentials/read.ts'
import { savedEntries } from '../credentials/write.ts'
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Credentials, Did, Handle, SessionRecord } from '../model.ts'
import type { SaveTarget, Saving, Transaction } from '../ports.ts'
import { keepClientKey } from './client.ts'
import { isForTargetsOnly } from './freshness.ts'
import type { Commit, RefreshPorts } from './ports.ts'
import {
  isElsewhere,
  newerOf,
  newestHash,
  toCredentials,
  tokenHash,
  toSessionRecord,
  withoutToken,
} from './token-family.ts'

type Ports = Pick<RefreshPorts, 'saving' | 'settings'>

/** All targets of this run, and those that an earlier run could not deliver to. */
export function targetsFor(record: SessionRecord, { targets, open }: Saving): SaveTarget[] {
  const names = new Set(targets.map(({ name }) => name))
  const earlier = (record.undelivered ?? []).filter((name) => !names.has(name))
  return [...targets, ...earlier.map(open)]
}

/**
 * Delivers a session that needs no refresh, if the store has a refresh token that it is not to keep.
 *
 * @throws {OAuthError} `SAVE_FAILED`: the store still has it
 */
export async function removeFromStore(
  current: SessionRecord,
  { stored, commit }: { readonly stored: SessionRecord | undefined; readonly commit: Commit },
  ports: RefreshPorts,
): Promise<SessionRecord> {
  const { saving, stores } = ports
  const isKept = stored?.refreshToken !== undefined && current.tokenElsewhere === undefined
  if (!isKept || !isForTargetsOnly(saving.targets, ports)) return current
  if (stores.sessions.isSharedSession?.(current.thumbprint)) return current
  await stores.sessions.assertNewest(current)
  return deliverRotated({ ...current, tokenElsewhere: await newestHash(current) }, saving.targets, commit)
}

/**
 * Runs `work` while no other process has one of these targets. The order is the same for everybody, so that two
 * processes do not wait for each other.
 *
 * @param work is given a function that confirms all of them
 * @throws {OAuthError} `SESSION_BUSY`, `STORE_UNAVAILABLE`
 */
export function lockTargets<T>(
  targets: readonly SaveTarget[],
  work: (confirm: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const byName = new Map(targets.map((target) => [target.name, target]))
  const sorted = [...byName.keys()].sort().map((name) => byName.get(name)!)
  const enter = (index: number, confirms: readonly (() => Promise<void>)[]): Promise<T> => {
    const target = sorted[index]
    if (target === undefined) {
      return work(async () => {
        for (const confirm of confirms) await confirm()
      })
    }
    if (!target.lock) return enter(index + 1, confirms)
    return target.lock(({ confirm }) => enter(index + 1, [...confirms, confirm]))
  }
  return enter(0, [])
}

/**
 * A readable target may have a newer copy of this session than the environment: a shell that was started before
 * the last rotation still has the previous token.
 *
 * @throws {OAuthError} `SAVE_FAILED` a target has another session, which would be overwritten
 */
export async function newestOfTargets(record: SessionRecord, ports: Ports): Promise<SessionRecord> {
  let current = record
  for (const target of ports.saving.targets) {
    const other = await copyIn(target, ports)
    if (!other) continue
    if (other.thumbprint !== record.thumbprint) throw holdsAnother(target, other)
    current = await newerOf(other, current, { given: target.name, known: 'the session in use' })
  }
  return current
}

/** The session that a readable target has, if it can be refreshed. */
async function copyIn(target: SaveTarget, { settings }: Pick<Ports, 'settings'>): Promise<SessionRecord | undefined> {
  const variables = await target.read?.()
  const there = variables && readQuietly(variables, settings.dev)
  return there?.refreshToken === undefined ? undefined : toSessionRecord(there).catch(() => undefined)
}

/**
 * A new session, or what became of it since: a login or an import that is run again, from a store that does not know
 * that, must not replace a newer copy in a target. One that cannot be read cannot be written either, which is reported then.
 */
async function newestSaved(record: SessionRecord, ports: Ports): Promise<SessionRecord> {
  let current = record
  for (const target of ports.saving.targets) {
    const other = await copyIn(target, ports).catch(() => undefined)
    if (other?.thumbprint !== record.thumbprint) continue
    current = await newerOf(other, current, { given: target.name, known: 'the session to be saved' })
  }
  return current
}

/**
 * The session with its refresh token, if that is in a readable one of the targets that it was saved to. To end it is
 * right then; to refresh it would leave an old token there.
 */
export async function savedElsewhere(
  record: SessionRecord,
  { saving, settings }: Pick<RefreshPorts, 'saving' | 'settings'>,
): Promise<SessionRecord> {
  if (!isElsewhere(record)) return record
  for (const name of record.savedTo ?? []) {
    const variables = await saving
      .open(name)
      .read?.()
      .catch(() => undefined)
    const there = variables && readQuietly(variables, settings.dev)
    const { refreshToken } = there ?? {}
    if (refreshToken !== undefined && (await tokenHash(refreshToken)) === record.tokenElsewhere) {
      return { ...record, refreshToken }
    }
  }
  return record
}

/**
 * Before a login: its credentials may replace those of an earlier login of the same account, and no others.
 *
 * @throws {OAuthError} `SAVE_FAILED`
 */
export async function checkTargets(did: Did | undefined, { saving, settings }: Ports): Promise<void> {
  for (const target of saving.targets) {
    const variables = await target.read?.()
    const there = variables && readQuietly(variables, settings.dev)
    if (there && there.did !== did) throw holdsAnother(target, there)
  }
}

function holdsAnother(target: SaveTarget, { did }: { readonly did: Did }): OAuthError {
  return new OAuthError('SAVE_FAILED', `${target.name} already holds another session, of ${did}; nothing was sent`, {
    facts: { reason: 'target-taken' },
  })
}

/** A file that is only about to become a target may hold anything. */
export function readQuietly(variables: Readonly<Record<string, string>>, dev: boolean) {
  try {
    return readCredentials(variables, dev)
  } catch (error) {
    if (isOAuthError(error)) return undefined
    throw error
  }
}

/**
 * Tries every target with the credentials that are good now, by writing them. A program that fails or is killed may
 * have emptied the only place with the refresh token, so the store has it meanwhile, and keeps it if one fails.
 *
 * @throws {OAuthError} `SAVE_FAILED`; nothing was sent
 */
export async function tryTargets(
  record: SessionRecord,
  targets: readonly SaveTarget[],
  commit: Commit,
  ports: Pick<RefreshPorts, 'saving'>,
): Promise<void> {
  // Files are replaced as a whole.
  const mayBeEmptied = isForTargetsOnly(targets, ports) && targets.some(({ read }) => read === undefined)
  const kept = { ...record, tokenElsewhere: undefined }
  if (mayBeEmptied) await commit({ ...kept, undelivered: targets.map(({ name }) => name) })
  for (const target of targets) {
    await save(record, target).catch(async (error: unknown) => {
      if (mayBeEmptied) await commit(kept)
      throw unusable(error)
    })
  }
}

/** A target that failed before a token was sent. */
function unusable(cause: unknown): OAuthError {
  return new OAuthError('SAVE_FAILED', `${said(cause)}; nothing was sent, and the credentials are unchanged`, {
    cause,
    facts: { reason: 'target-failed' },
  })
}

/**
 * As {@link lockTargets}, for a refresh: nothing is lost yet if a target cannot be locked.
 *
 * @throws {OAuthError} `SESSION_BUSY`, `SAVE_FAILED`
 */
export function lockForRefresh<T>(
  targets: readonly SaveTarget[],
  work: (confirm: () => Promise<void>) => Promise<T>,
): Promise<T> {
  let isLocked = false
  const locked = lockTargets(targets, (confirm) => {
    isLocked = true
    return work(confirm)
  })
  return locked.catch((error: unknown) => {
    throw isLocked || !isOAuthError(error, 'STORE_UNAVAILABLE') ? error : unusable(error)
  })
}

/**
 * Puts a session into the per-user store and delivers it to the save targets. It stays in the store only if that
 * was named as a target, or if a delivery failed.
 *
 * @throws {OAuthError} `SAVE_FAILED`: it is in the store, and the next run that finds it there delivers it;
 *   `STORE_UNAVAILABLE`: it is nowhere yet
 */
export async function saveSession(
  credentials: Credentials,
  handle: Handle | undefined,
  ports: Pick<RefreshPorts, 'settings' | 'stores' | 'saving'>,
): Promise<SessionRecord> {
  const record = { ...(await toSessionRecord(credentials)), handle }
  const { targets, inStore, inVault } = ports.saving
  const isForTargets = isForTargetsOnly(targets, ports)
  const { sessions, local = sessions, vault = sessions } = ports.stores
  if (inVault) {
    await keepClientKey(record, ports, vault)
    return vault.update(record.thumbprint, async ({ stored, commit }) => {
      const current = { ...(await newerOf(record, stored)), handle }
      await commit(current)
      return current
    })
  }
  const save: Transaction<SessionRecord> = async ({ stored, commit, forget }) => {
    const undelivered = targets.length > 0 ? targets.map(({ name }) => name) : undefined
    // Found only after a killed run; it may have been refreshed since.
    const newest = { ...(await newestSaved(await newerOf(record, stored), ports)), handle }
    const current = isForTargets ? { ...newest, tokenElsewhere: await newestHash(newest) } : newest
    await commit({ ...current, undelivered })
    const saved = await deliverRotated(current, targets, commit).catch((error: unknown) => {
      throw withRefresh(error, record)
    })
    if (!inStore && targets.length > 0) await forget()
    return saved
  }
  const saved = await lockTargets(targets, () => local.update(record.thumbprint, save))
  // Without it, a refresh says that the key has to be set.
  if (inStore) await keepClientKey(record, ports, local).catch(() => undefined)
  return saved
}

/** A login cannot be completed again: any other run that finds the session in the store delivers it. */
function withRefresh(error: unknown, { did }: SessionRecord): unknown {
  if (!isOAuthError(error, 'SAVE_FAILED')) return error
  return error.with({
    message: `${error.message}; the next run that uses them saves them first`,
    facts: { reason: 'undelivered-login', did },
  })
}

/**
 * The first thing a run does: what an earlier one could not deliver is still the newest there is. A target that still
 * fails is given up if this run names other places.
 */
export async function deliverLeftOver(
  record: SessionRecord,
  commit: Commit,
  { saving, warn }: RefreshPorts,
): Promise<SessionRecord> {
  if (!record.undelivered?.length) return record
  warn(`the newest credentials were not saved to ${record.undelivered.join(' and ')}: saving them now`)
  const { inStore, targets, open } = saving
  const named = new Set(targets.map(({ name }) => name))
  const left = record.undelivered.map(open)
  try {
    const isForTargets = isForTargetsOnly(left, { saving })
    const told = isForTargets ? { ...record, tokenElsewhere: await newestHash(record) } : record
    return await deliverRotated(told, left, commit)
  } catch (error) {
    const isReplaced = (inStore || named.size > 0) && !record.undelivered.some((name) => named.has(name))
    if (!isReplaced || !isOAuthError(error, 'SAVE_FAILED')) throw error
    warn(
      `${record.undelivered.join(' and ')} keeps older credentials, because other save targets were given: ${error.message}`,
    )
    const given = { ...record, undelivered: undefined, tokenElsewhere: undefined }
    await commit(given)
    return given
  }
}

/**
 * A refresh token that is only for the targets leaves the store once all of them have it, and stays in what is returned.
 *
 * @throws {OAuthError} `SAVE_FAILED`: what could not be delivered is recorded in the store
 */
export async function deliverRotated(
  record: SessionRecord,
  targets: readonly SaveTarget[],
  commit: Commit,
): Promise<SessionRecord> {
  if (targets.length === 0) return record
  const failed = await deliver(record, targets)
  const names = targets.map(({ name }) => name)
  const done: SessionRecord = {
    ...record,
    savedTo: names.filter((name) => !failed.has(name)),
    undelivered: failed.size > 0 ? [...failed.keys()] : undefined,
  }
  await commit(failed.size === 0 ? withoutToken(done) : done)
  if (failed.size === 0) return done
  throw new OAuthError(
    'SAVE_FAILED',
    `${[...failed.values()].join('; ')}; the session is valid, and the new credentials are in the store`,
    { facts: { reason: 'undelivered' }, session: 'alive' },
  )
}

/**
 * Delivers to each target, whatever became of the others.
 *
 * @returns those that failed, by name, each with its sentence
 */
async function deliver(record: SessionRecord, targets: readonly SaveTarget[]): Promise<Map<string, string>> {
  const failed = new Map<string, string>()
  for (const target of targets) {
    await save(record, target).catch((error: unknown) => failed.set(target.name, said(error)))
  }
  return failed
}

function save(record: SessionRecord, target: SaveTarget): Promise<void> {
  return target.save(savedEntries(toCredentials(record), record.bundled === true))
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
