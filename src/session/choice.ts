/**
 * Which of the stored sessions is used.
 */
import { OAuthError } from '../errors.ts'
import type { Did, SessionRecord } from '../model.ts'

/** How many accounts a message lists. */
const LISTED = 10
/** No name is a handle or a DID, which have dots or colons, or a thumbprint, which is longer. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/

export function isSessionName(text: string): boolean {
  return NAME.test(text)
}

/** The session with this name or key. */
export function namedSession(text: string, records: readonly SessionRecord[]): SessionRecord | undefined {
  return records.find(({ name, thumbprint }) => name === text || thumbprint === text)
}

/** @returns whether none of the account's sessions can be used, as far as they are listed */
export function allEnded(did: Did | undefined, records: readonly SessionRecord[]): boolean {
  return records.every((record) => record.ended || (did !== undefined && record.did !== did))
}

/**
 * The session of an account, or the only one: the newest login that has not ended, else the last that has.
 *
 * @throws {OAuthError} `ACCOUNT_UNCLEAR` there are sessions of several accounts
 */
export function chooseSession(did: Did | undefined, records: readonly SessionRecord[]): SessionRecord | undefined {
  const ours = did === undefined ? records : records.filter((record) => record.did === did)
  const alive = ours.filter((record) => !record.ended)
  const candidates = alive.length > 0 ? alive : ours.slice(-1)
  if (new Set(candidates.map((record) => record.did)).size > 1) throw unclear(candidates)
  return candidates.toSorted(byLogin)[0]
}

function unclear(candidates: readonly SessionRecord[]): OAuthError {
  const all = accountsOf(candidates)
  const rest = all.length > LISTED ? ` and ${all.length - LISTED} more` : ''
  const list = all.slice(0, LISTED).map(describeAccount).join(', ')
  const { did, handle } = all.find((account) => account.handle !== undefined) ?? all[0]!
  return new OAuthError('ACCOUNT_UNCLEAR', `sessions of ${all.length} accounts are stored here: ${list}${rest}`, {
    facts: { did, handle },
    session: 'none',
  })
}

interface Account {
  readonly did: Did
  readonly handle: string | undefined
  readonly names: readonly string[]
}

/** The accounts of sessions, each once. */
export function accountsOf(records: readonly SessionRecord[]): Account[] {
  const accounts = new Map<Did, Account>()
  for (const { did, handle, name } of records) {
    const known = accounts.get(did)
    const names = [...(known?.names ?? []), ...(name === undefined ? [] : [name])]
    accounts.set(did, { did, handle: known?.handle ?? handle, names })
  }
  return [...accounts.values()]
}

export function describeAccount({ did, handle, names }: Account): string {
  const rest = [...(handle === undefined ? [] : [did]), ...names.map((name) => `named ${name}`)]
  return `${handle ?? did}${rest.length > 0 ? ` (${rest.join(', ')})` : ''}`
}

/** Newest login first. Sorting by refresh time would prefer an older login that is still in use elsewhere. */
export function byLogin(one: SessionRecord, other: SessionRecord): number {
  return (other.createdAt ?? 0) - (one.createdAt ?? 0) || (other.rotatedAt ?? 0) - (one.rotatedAt ?? 0)
}
