/**
 * Checks the sessions of the environment and of the store by their records alone. No token is used.
 */

import type { Fix } from '../errors.ts'
import { isOAuthError, type LoginFacts, loginFacts, type OAuthError, VAULT_ERRORS } from '../errors.ts'
import type { Credentials, Origin, SessionRecord } from '../model.ts'
import type { Clock, Finding, SessionStore, Settings } from '../ports.ts'
import { clientOf } from '../session/client.ts'
import { nextDeadline, statusOf, timeOf } from '../session/status.ts'
import { endedIfRevoked, isElsewhere, newerOf, toSessionRecord } from '../session/token-family.ts'
import { relativeTime } from '../text.ts'
import { attempt, broken, failed, ok, warning } from './check.ts'

type Ports = Clock & {
  readonly settings: Settings
  readonly stores: {
    readonly sessions: Pick<SessionStore, 'list' | 'assertNewest' | 'revoked' | 'clientKey' | 'isSharedSession'>
  }
}

const TOPIC = 'session'
/** Milliseconds; a deadline nearer than this is reported. */
const NEAR = 3 * 24 * 3600 * 1000

/** @returns the sessions; for one in the environment, its newest known copy */
export async function* checkSessions(
  credentials: Credentials | undefined,
  ports: Ports,
): AsyncGenerator<Finding, SessionRecord[]> {
  const { records: stored, fault } = await readStored(ports)
  if (fault !== undefined) yield failed('vault', fault, 0)
  const isLease = credentials && credentials.refreshToken === undefined && credentials.server === undefined
  if (isLease) yield checkLease(credentials, `the session of ${credentials.did} in the environment`, ports)
  const given = credentials && !isLease ? await attempt(() => merged(credentials, stored, ports), ports) : undefined
  if (given?.error) yield failed('environment', given.error, given.milliseconds)
  const record = given?.value
  const records = record
    ? [record, ...stored.filter(({ thumbprint }) => thumbprint !== record.thumbprint)]
    : [...stored]
  for (const each of records)
    yield await checkSession(each, each === record ? 'environment' : undefined, records, ports)
  return records
}

/** Damaged records are omitted: the check of the store's files reports them. */
async function readStored({ stores }: Ports): Promise<{ records: SessionRecord[]; fault?: OAuthError }> {
  try {
    return { records: await stores.sessions.list(true) }
  } catch (error) {
    if (!isOAuthError(error)) throw error
    if (!isOAuthError(error, ...VAULT_ERRORS)) return { records: [] }
    return { records: await stores.sessions.list().catch(() => []), fault: error }
  }
}

async function merged(
  credentials: Credentials,
  stored: readonly SessionRecord[],
  { stores }: Ports,
): Promise<SessionRecord> {
  const record = await toSessionRecord(credentials)
  const { thumbprint } = record
  const known = stored.find((other) => other.thumbprint === thumbprint)
  if (known) return newerOf(record, known)
  return endedIfRevoked(record, (await stores.sessions.revoked?.(thumbprint))?.[0])
}

async function checkSession(
  record: SessionRecord,
  given: 'environment' | undefined,
  all: readonly SessionRecord[],
  ports: Ports,
): Promise<Finding> {
  const { did, handle, clientId, refreshToken } = record
  const now = timeOf(record, ports.now())
  const status = statusOf(record, ports.now())
  const deadline = nextDeadline(status)
  const found = { topic: TOPIC, milliseconds: 0 }
  const place = given ?? (ports.stores.sessions.isSharedSession?.(record.thumbprint) ? 'vault' : 'store')
  const who = `the session of ${handle ?? did} in the ${place}`
  const fix = signInAgain(record)
  if (status.ended) {
    const detail = `${who} has ended: ${status.ended.reason}`
    const isReplaced = all.some((other) => other.did === did && !other.ended)
    if (status.ended.handedOver !== undefined || status.ended.movedTo !== undefined) {
      return ok({ ...found, detail: `${who} is no longer here: ${status.ended.reason}` })
    }
    return isReplaced
      ? ok({ ...found, detail: `${detail}; a newer session exists` })
      : broken({ ...found, detail, fix })
  }
  if (deadline !== undefined && deadline <= now) {
    return broken({ ...found, detail: `${who} ended ${relativeTime(deadline, now)}`, fix })
  }
  if (refreshToken === undefined && !isElsewhere(record)) return checkLease(record, who, ports)
  if (clientId === undefined) {
    const detail = `${who} has no client_id, and a refresh with a wrong one would end it`
    return broken({ ...found, detail, fix: { code: 'CREDENTIALS_INCOMPLETE', facts: { reason: 'client-id-unknown' } } })
  }
  const client = await attempt(() => clientOf(clientId, record, ports), ports)
  if (client.error) return failed(TOPIC, client.error, 0)
  const newest = await attempt(() => ports.stores.sessions.assertNewest(record), ports)
  if (isOAuthError(newest.error, 'SESSION_OUTDATED', 'STORE_COPIED')) return failed(TOPIC, newest.error, 0)
  if (status.state === 'ambiguous') {
    const detail = `a refresh of ${who} was sent, but no response arrived`
    return warning({
      ...found,
      detail,
      fix: { code: 'REFRESH_AMBIGUOUS', facts: { reason: 'refresh-unanswered', did } },
    })
  }
  if (status.undelivered.length > 0) {
    const detail = `the newest tokens of ${who} are not yet in ${status.undelivered.join(', ')}`
    return warning({ ...found, detail, fix: { code: 'SAVE_FAILED', facts: { reason: 'delivery-pending', did } } })
  }
  const apart = isElsewhere(record) ? `; its refresh token is in ${status.savedTo.join(' and ')} only` : ''
  if (deadline === undefined) return ok({ ...found, detail: `${who} has no known deadline${apart}` })
  const detail = `${who} ends ${relativeTime(deadline, now)}${apart}`
  return deadline - now < NEAR ? warning({ ...found, detail, fix }) : ok({ ...found, detail })
}

/** A leased access token works until it expires. */
function checkLease(lease: Pick<Credentials, 'did' | 'accessTokenExpiresAt'>, who: string, { now }: Clock): Finding {
  const until = lease.accessTokenExpiresAt
  const found = {
    topic: TOPIC,
    detail: `${who} is a lease${until === undefined ? '' : `, which ${until > now() ? 'expires' : 'expired'} ${relativeTime(until, now())}`}`,
    milliseconds: 0,
  }
  return until !== undefined && until <= now() ? broken({ ...found, fix: signInAgain(lease) }) : ok(found)
}

/** A session does not move with its account: after a move to another PDS it cannot be used. */
export function checkPlace(record: SessionRecord, pds: Origin, issuer: Origin): Finding | undefined {
  const origin = record.issuer ?? record.pds
  const isSame = record.issuer === undefined ? [pds, issuer].includes(origin) : origin === issuer
  if (isSame) return undefined
  return broken({
    topic: TOPIC,
    detail: `the session of ${record.handle ?? record.did} is from ${origin}, but the account is now at ${issuer}`,
    fix: signInAgain(record),
    milliseconds: 0,
  })
}

function signInAgain(login: LoginFacts): Fix {
  return { code: 'SESSION_DEAD', facts: loginFacts(login) }
}
