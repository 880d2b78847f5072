/**
 * The status of a session, from its record alone: account, save targets, deadlines. Sends nothing.
 */
import type { ClientKeyName, Did, Ended, Handle, Origin, SessionRecord } from '../model.ts'
import { serverTime } from './server-time.ts'
import { isElsewhere } from './token-family.ts'

const DAY = 24 * 3600 * 1000
/** The limits of the reference server: since the login, and since the last refresh. */
const PUBLIC = { absolute: 14 * DAY, idle: 14 * DAY }
/** A `Date` reaches no further. */
const TIME_LARGEST = 8.64e15
const CONFIDENTIAL = { absolute: 2 * 365.25 * DAY, idle: (365.25 / 4) * DAY }

export interface SessionStatus {
  /** `ended`: also if a deadline has passed. `ambiguous`: a refresh was sent, but no response was stored. */
  readonly state: 'alive' | 'ended' | 'ambiguous'
  readonly did: Did
  /** The last known one. */
  readonly handle: Handle | undefined
  /** What the user calls the session. */
  readonly name: string | undefined
  readonly pds: Origin
  readonly issuer: Origin | undefined
  readonly clientId: string | undefined
  /** For a confidential client. */
  readonly clientKey: ClientKeyName | undefined
  readonly scope: string | undefined
  /** RFC 7638, of the session's DPoP key. */
  readonly thumbprint: string
  /** Milliseconds since the epoch, and by the server's clock, like all times here. */
  readonly createdAt: number | undefined
  readonly rotatedAt: number | undefined
  readonly accessTokenExpiresAt: number | undefined
  /** The session ends then, even if it is used; unknown if the login time is. */
  readonly absoluteDeadline: number | undefined
  /** The session ends then, unless it is refreshed. */
  readonly idleDeadline: number | undefined
  readonly savedTo: readonly string[]
  readonly undelivered: readonly string[]
  /** Only save targets have the refresh token: until the access token expires the session can be used without it. */
  readonly tokenElsewhere: boolean
  readonly ended: Ended | undefined
}

/**
 * @param now by the clock of this machine
 */
export function statusOf(record: SessionRecord, now: number): SessionStatus {
  const { createdAt, rotatedAt, clockOffset = 0, intent, ended, clientKey } = record
  const lifetime = clientKey ? CONFIDENTIAL : PUBLIC
  const absoluteDeadline = after(createdAt, lifetime.absolute)
  const idleDeadline = after(rotatedAt, lifetime.idle)
  const deadline = nextDeadline({ absoluteDeadline, idleDeadline })
  const isOver = ended !== undefined || (deadline !== undefined && deadline <= timeOf(record, now))
  return {
    state: isOver ? 'ended' : intent ? 'ambiguous' : 'alive',
    did: record.did,
    handle: record.handle,
    name: record.name,
    pds: record.pds,
    issuer: record.issuer,
    clientId: record.clientId,
    clientKey,
    scope: record.scope === '' ? undefined : record.scope,
    thumbprint: record.thumbprint,
    createdAt,
    rotatedAt,
    accessTokenExpiresAt:
      record.accessToken === undefined ? undefined : after(record.accessTokenExpiresAt, clockOffset),
    absoluteDeadline,
    idleDeadline,
    savedTo: record.savedTo ?? [],
    undelivered: record.undelivered ?? [],
    tokenElsewhere: isElsewhere(record),
    ended,
  }
}

/** A time that no date can name is unknown. */
function after(time: number | undefined, duration: number): number | undefined {
  return time === undefined || Math.abs(time + duration) > TIME_LARGEST ? undefined : time + duration
}

/** The time at the session's server, with which its dates and deadlines are compared. */
export function timeOf(record: SessionRecord, now: number): number {
  return serverTime(record, now) ?? record.rotatedAt ?? now
}

/** The earlier deadline, as far as they are known. */
export function nextDeadline({
  absoluteDeadline,
  idleDeadline,
}: Pick<SessionStatus, 'absoluteDeadline' | 'idleDeadline'>): number | undefined {
  const known = [absoluteDeadline, idleDeadline].filter((deadline) => deadline !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
