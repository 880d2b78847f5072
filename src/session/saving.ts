/**
 * Rotated credentials on their way to the places where they are wanted. The store has them first; what
 * could not be delivered is recorded there, and delivered before anything else the next time.
 *
 * @module
 */

import { readCredentials } from '../credentials/read.ts'
import { savedEntries } from '../credentials/write.ts'
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Did, SessionRecord } from '../model.ts'
import type { SaveTarget, Saving, Settings } from '../ports.ts'
import { newerOf, toCredentials, toSessionRecord } from './token-family.ts'

interface Ports {
  readonly saving: Saving
  readonly settings: Settings
}

/** All targets of this run, and those that an earlier run could not deliver to. */
export function targetsFor(record: SessionRecord, { targets, open }: Saving): SaveTarget[] {
  const names = new Set(targets.map(({ name }) => name))
  const earlier = (record.undelivered ?? []).filter((name) => !names.has(name))
  return [...targets, ...earlier.map(open)]
}

/**
 * What a readable target has of this session may be newer than what the environment has: a shell that was
 * started before the last rotation still has the one before.
 *
 * @throws {OAuthError} `SAVE_FAILED` a target has another session, which would be overwritten
 */
export async function newestOfTargets(record: SessionRecord, { saving, settings }: Ports): Promise<SessionRecord> {
  let current = record
  for (const target of saving.targets) {
    const variables = await target.read?.()
    const there = variables && readQuietly(variables, settings.dev)
    if (there?.refreshToken === undefined) continue
    const other = await toSessionRecord(there).catch(() => undefined)
    if (!other) continue
    if (other.thumbprint !== record.thumbprint) throw holdsAnother(target, other)
    current = await newerOf(other, current)
  }
  return current
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
  return new OAuthError('SAVE_FAILED', `${target.name} holds another session, of ${did}; nothing was sent`, {
    hint: 'name another place to save to, or move that one away',
  })
}

/** A file that is only about to become a target may hold anything. */
function readQuietly(variables: Readonly<Record<string, string>>, dev: boolean) {
  try {
    return readCredentials(variables, dev)
  } catch (error) {
    if (isOAuthError(error)) return undefined
    throw error
  }
}

/**
 * Tries every target with the credentials that are good now, by writing them.
 *
 * @throws {OAuthError} `SAVE_FAILED`; nothing was sent
 */
export async function tryTargets(record: SessionRecord, targets: readonly SaveTarget[]): Promise<void> {
  for (const target of targets) {
    await save(record, target).catch((error: unknown) => {
      throw new OAuthError('SAVE_FAILED', `${said(error)}; nothing was sent, and the credentials are as they were`, {
        cause: error,
        hint: 'correct the save target, then run the same command again',
      })
    })
  }
}

/**
 * Delivers to each target, whatever became of the others.
 *
 * @returns those that failed, by name, each with its sentence
 */
export async function deliver(record: SessionRecord, targets: readonly SaveTarget[]): Promise<Map<string, string>> {
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
