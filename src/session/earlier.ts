/**
 * Earlier sessions of an account. A login does not end them, and may overwrite the only copy of their tokens.
 */
import { isOAuthError, requestedScope } from '../errors.ts'
import type { Credentials, Did, SessionRecord } from '../model.ts'
import { missingScopes, scopeTokens } from '../protocol/scope/scope.ts'
import type { RefreshPorts } from './ports.ts'
import { readQuietly } from './saving.ts'
import { statusOf } from './status.ts'
import { endedIfRevoked, newerOf, toSessionRecord } from './token-family.ts'

export interface EarlierSession {
  /** Its newest copy. Secret. */
  readonly record: SessionRecord
  readonly isStored: boolean
  /** Its credentials were given. */
  readonly isGiven: boolean
  /** The names of the save targets that hold it. */
  readonly targets: readonly string[]
}

export interface EarlierOptions {
  /** Credentials that a command without a login would use. */
  readonly given?: Credentials | undefined
  /** The thumbprint of the new session. */
  readonly except?: string | undefined
}

/** The sessions of an account in the store, in readable save targets and as given, except those known to have ended. */
export async function findEarlier(
  did: Did,
  { given, except }: EarlierOptions,
  ports: RefreshPorts,
): Promise<EarlierSession[]> {
  const { stores, saving, settings } = ports
  const found = new Map<string, EarlierSession>()
  const add = async (copy: SessionRecord, place: Partial<EarlierSession>) => {
    const { thumbprint } = copy
    if (copy.did !== did || thumbprint === except) return
    const known = found.get(thumbprint) ?? { record: copy, isStored: false, isGiven: false, targets: [] }
    const record = await newerOf(copy, known.record).catch(() => known.record)
    found.set(thumbprint, { ...known, ...place, record })
  }
  const addCredentials = async (credentials: Credentials | undefined, place: Partial<EarlierSession>) => {
    // A lease does not contain the session.
    if (credentials?.clientId === undefined) return
    const copy = await orNothing(toSessionRecord(credentials))
    if (copy) await add(copy, place)
  }
  for (const record of (await orNothing((stores.local ?? stores.sessions).list())) ?? [])
    await add(record, { isStored: true })
  await addCredentials(given, { isGiven: true })
  for (const target of saving.targets) {
    const variables = await orNothing(Promise.resolve(target.read?.()))
    const there = variables && readQuietly(variables, settings.dev)
    const thumbprint = there && (await orNothing(toSessionRecord(there)))?.thumbprint
    const targets = (thumbprint && found.get(thumbprint)?.targets) || []
    await addCredentials(there, { targets: [...targets, target.name] })
  }
  const alive: EarlierSession[] = []
  for (const session of found.values()) {
    const { record, isStored } = session
    const revoked = isStored ? undefined : (await (stores.local ?? stores.sessions).revoked?.(record.thumbprint))?.[0]
    if (statusOf(endedIfRevoked(record, revoked), ports.now()).state !== 'ended') alive.push(session)
  }
  return alive
}

/**
 * What an earlier session allows that a new one with `scope` does not, compared by meaning.
 *
 * @returns `undefined` if the scope of the earlier session is not known
 */
export function broaderScopes(earlier: SessionRecord, scope: string): string[] | undefined {
  const allowed = earlier.scope || requestedScope(earlier)
  if (!allowed) return undefined
  const now = scopeTokens(scope)
  // What a permission set contains is not known here.
  const sets = scopeTokens(allowed).filter((token) => token.startsWith('include:') && !now.includes(token))
  return [...missingScopes(allowed, scope), ...sets]
}

/** What cannot be read is not found: it must not stop a login. */
async function orNothing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isOAuthError(error)) return undefined
    throw error
  }
}
