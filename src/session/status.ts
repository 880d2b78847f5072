/**
 * The status of a session, from its record alone: account, save targets, deadlines. Sends nothing.
 */
import type { ClientKeyName, Did, Ended, Handle, Origin, SessionRecord } from '../model.ts'

const DAY = 24 * 3600 * 1000
/** The limits of the reference server: since the login, and since the last refresh. */
const PUBLIC = { absolute: 14 * DAY, idle: 14 * DAY }
const CONFIDENTIAL = { absolute: 2 * 365.25 * DAY, idle: (365.25 / 4) * DAY }

export interface SessionStatus {
  /** `ambiguous`: a refresh was sent, but no response was stored. */
  readonly state: 'alive' | 'ended' | 'ambiguous'
  readonly did: Did
  readonly handle: Handle | undefined
  readonly pds: Origin
  readonly issuer: Origin | undefined
  readonly clientId: string | undefined
  /** For a confidential client. */
  readonly clientKey: ClientKeyName | undefined
  readonly scope: string | undefined
  /** RFC 7638, of the session's DPoP key. */
  readonly thumbprint: string
  /** Milliseconds since the epoch, like all times here. */
  readonly createdAt: number | undefined
  readonly rotatedAt: number | undefined
  readonly accessTokenExpiresAt: number | undefined
  /** The session ends then, even if it is used; unknown if the login time is. */
  readonly absoluteDeadline: number | undefined
  /** The session ends then, unless it is refreshed. */
  readonly idleDeadline: number | undefined
  readonly savedTo: readonly string[]
  readonly undelivered: readonly string[]
  readonly ended: Ended | undefined
}

export function statusOf(record: SessionRecord): SessionStatus {
  const { createdAt, rotatedAt, intent, ended, clientKey } = record
  const lifetime = clientKey ? CONFIDENTIAL : PUBLIC
  return {
    state: ended ? 'ended' : intent ? 'ambiguous' : 'alive',
    did: record.did,
    handle: record.handle,
    pds: record.pds,
    issuer: record.issuer,
    clientId: record.clientId,
    clientKey,
    scope: record.scope === '' ? undefined : record.scope,
    thumbprint: record.thumbprint,
    createdAt,
    rotatedAt,
    accessTokenExpiresAt: record.accessToken === undefined ? undefined : record.accessTokenExpiresAt,
    absoluteDeadline: createdAt === undefined ? undefined : createdAt + lifetime.absolute,
    idleDeadline: rotatedAt === undefined ? undefined : rotatedAt + lifetime.idle,
    savedTo: record.savedTo ?? [],
    undelivered: record.undelivered ?? [],
    ended,
  }
}

/** The earlier deadline, as far as they are known. */
export function nextDeadline({ absoluteDeadline, idleDeadline }: SessionStatus): number | undefined {
  const known = [absoluteDeadline, idleDeadline].filter((deadline) => deadline !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
