/**
 * What the vault keeps of one account, in plain text.
 */
import { hash } from 'node:crypto'
import * as v from '@badrap/valita'
import { OAuthError } from '../../errors.ts'
import { rotationSchema, type SessionRecord, sessionRecordSchema } from '../../model.ts'
import { openRecord, sealRecord, sessionName, type VaultKeys } from './envelope.ts'
import { goneTo, vaultMoved } from './moved.ts'

/** Of an account with ever more refreshes; `rotation` orders its copies. */
const SPENT_KEPT = 8

const claimSchema = v.object({
  /** Random, and new for each transaction. */
  id: v.string(),
  rotation: rotationSchema,
  purpose: v.string(),
  /** Which store of which machine, since its last start. Two claims of one holder are told apart by its local lock. */
  holder: v.string(),
  /** The machine keeps what it receives, and will store it. */
  durable: v.boolean(),
  /** For people. */
  label: v.string(),
})
/** Who changes a session now: the token of this rotation may have been sent. */
export type Claim = Readonly<v.Infer<typeof claimSchema>>

const recordSchema = v.object({
  version: v.literal(1),
  kind: v.literal('session'),
  /** With an `intent`, its token may have been sent. */
  session: sessionRecordSchema,
  claim: claimSchema.optional(),
  /** Who may have sent the newest token there is, and may have stored no response, where the claim is gone. */
  sentBy: v.object({ holder: v.string(), label: v.string() }).optional(),
  /** What a login has replaced, until it is known to be ended at the server. */
  replaced: sessionRecordSchema.optional(),
  /** How many logins this account had in the vault. */
  logins: rotationSchema.optional(),
  /** A session that a person ended stays ended. One that the server ended may have been, in truth, refreshed. */
  endedBy: v.union(v.literal('person'), v.literal('server')).optional(),
})

export interface VaultRecord {
  readonly version: 1
  readonly kind: 'session'
  readonly session: SessionRecord
  readonly claim?: Claim | undefined
  readonly sentBy?: { readonly holder: string; readonly label: string } | undefined
  readonly replaced?: SessionRecord | undefined
  readonly logins?: number | undefined
  readonly endedBy?: 'person' | 'server' | undefined
}

/** A record with its ciphertext, which is what is compared. */
export interface Sealed {
  readonly name: string
  readonly text: string
  readonly record: VaultRecord
}

export async function seal(record: VaultRecord, keys: VaultKeys): Promise<Sealed> {
  const { session } = record
  const kept = { ...record, session: { ...session, spentTokens: session.spentTokens.slice(-SPENT_KEPT) } }
  const name = sessionName(session.did, keys)
  return { name, text: await sealRecord(kept, name, keys), record: kept }
}

/**
 * @returns `undefined` for a record of another kind
 * @throws {OAuthError} `VAULT_INVALID`; also if the vault has moved
 */
export async function unseal(name: string, text: string, keys: VaultKeys): Promise<Sealed | undefined> {
  const content = await openRecord(text, name, keys)
  const address = goneTo(content)
  if (address !== undefined) throw vaultMoved(keys.address, { address, isFinished: true })
  if (typeof content === 'object' && content !== null && 'kind' in content && content.kind !== 'session') {
    return undefined
  }
  const found = recordSchema.try(content, { mode: 'passthrough' })
  if (!found.ok || sessionName(found.value.session.did, keys) !== name) {
    throw new OAuthError('VAULT_INVALID', 'a record of the vault is damaged, or from a newer version', {
      facts: { reason: 'vault-damaged' },
    })
  }
  return { name, text, record: found.value as VaultRecord }
}

export function rotationOf({ rotation = 0 }: SessionRecord): number {
  return rotation
}

/** A person ended it for good: nothing brings it back. An exported session can be imported again. */
export function isRevoked({ endedBy, session }: VaultRecord): boolean {
  return endedBy === 'person' && session.ended?.handedOver === undefined
}

/** What a revoked session leaves: without tokens, and with what tells that a copy of them elsewhere is of no use. */
export function tombstone(session: SessionRecord, now: number): SessionRecord {
  const { accessToken, accessTokenExpiresAt, refreshToken, intent, ...rest } = session
  const { at, reason } = session.ended ?? { at: now, reason: 'it was revoked' }
  const spentTokens = refreshToken === undefined ? rest.spentTokens : [...rest.spentTokens, tokenHash(refreshToken)]
  return { ...rest, ended: { at, reason }, spentTokens }
}

/** As in session/token-family.ts. */
function tokenHash(token: string): string {
  return hash('sha256', token, 'base64url').slice(0, 16)
}

/** Whether what this machine has seen is later than what the engine has: the engine has lost a change. */
export function isLater(seen: VaultRecord, current: VaultRecord | undefined): boolean {
  if (current === undefined) return seen.session.ended === undefined
  if (seen.session.thumbprint !== current.session.thumbprint) return isLaterLogin(seen, current)
  // Whatever the other machines have seen or received, a session that a person has ended stays so.
  if (isRevoked(current)) return false
  if (isRevoked(seen)) return true
  const difference = rotationOf(seen.session) - rotationOf(current.session)
  return difference > 0
}

/** Both signs: the count starts again where a record was deleted, and an imported session may be an old one. */
function isLaterLogin(seen: VaultRecord, current: VaultRecord): boolean {
  const { createdAt } = seen.session
  const isCounted = (seen.logins ?? 0) > (current.logins ?? 0)
  return isCounted && createdAt !== undefined && createdAt > (current.session.createdAt ?? Number.POSITIVE_INFINITY)
}
