/**
 * `status`: shows the session as it is recorded here. Only the handle is resolved, if one is stored: it may be another
 * account's by now.
 */
import { Command, Option } from 'commander'
import { SOURCE } from '../../credentials/variables.ts'
import { isOAuthError, loginFacts, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { findEarlier } from '../../session/earlier.ts'
import { nextDeadline, type SessionStatus, statusOf, timeOf } from '../../session/status.ts'
import { endedError } from '../../session/token-family.ts'
import { relativeTime, sanitize, toSafeJson } from '../../text.ts'
import type { Colour, Paint } from '../colour.ts'
import { type Context, commandToPaste, homeOf } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, givenIn, SETTINGS } from '../options.ts'
import { initCommandLine } from '../shell.ts'
import { sessionFor } from './select.ts'

const DAY = 24 * 3600 * 1000

interface StatusOptions extends CommonOptions {
  readonly warnDays?: string
  readonly account?: string
  readonly all?: boolean
}

export function statusCommand(runner: Runner): Command {
  return new Command('status')
    .option('--warn-days <days>', 'Exit with 11 if the session ends within this many days, or with 5 if it has ended')
    .addOption(
      new Option('--all', 'Show all sessions: of the environment, the per-user store and the vault').conflicts(
        'account',
      ),
    )
    .addOption(SETTINGS.account.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runStatus))
}

const NOTES = `
Resolves the handle, and asks neither the PDS nor its authorization server: a session that the server has ended in
the meantime is still shown as alive. A session revoked on this machine is shown as ended, even if its variables are
still set. Deadlines are those of the reference server: 14 days for public clients. The login time is known for sessions in the per-user store and in ATPROTO_OAUTH_SESSION, but not for separate variables.

With --all, --warn-days applies to all sessions; an ended session counts only if its account has no other one.
`

export function whoamiCommand(runner: Runner): Command {
  return new Command('whoami')
    .addOption(SETTINGS.account.option())
    .addHelpText('after', WHOAMI_NOTES)
    .action(runner.action(runWhoami))
}

const WHOAMI_NOTES = `
The same as \`status\` in one line: account, state, scope, deadline. With --json, it is the same object.
`

/** One session, as it is shown. */
interface Shown {
  readonly record: SessionRecord
  readonly status: SessionStatus
  /** By the clock of the session's server. */
  readonly time: number
}

function shown(record: SessionRecord, { runtime }: Context): Shown {
  return { record, status: statusOf(record, runtime.now()), time: timeOf(record, runtime.now()) }
}

async function currentOf(account: string | undefined, context: Context): Promise<Shown & { stored: SessionRecord }> {
  const session = await sessionFor(account, context, false)
  const stored = session.record()
  const handle = stored.handle && (await session.currentHandle())
  return { ...shown({ ...stored, handle }, context), stored }
}

async function runStatus(options: StatusOptions, context: Context): Promise<void> {
  const { output } = context
  const warnDays = options.warnDays === undefined ? undefined : parseDays(options.warnDays)
  if (options.all) return runAll(warnDays, context)
  const { record, status, time, stored } = await currentOf(options.account, context)
  if (status.state !== 'ended') await warnOfCopy(stored, context)
  if (warnDays !== undefined && status.state === 'ended') throw endError({ record, status, time })
  await output.data(
    output.json
      ? `${toSafeJson(status)}\n`
      : table(status, { now: time, storedIn: await storedIn(status, context), paint: output.paint }),
  )
  if (status.ended?.revoked) output.note(await afterRevocation(record, context))
  if (warnDays === undefined) return
  if (nextDeadline(status) === undefined) output.warn(NO_DEADLINE)
  else if (isNear({ record, status, time }, warnDays)) throw nearError([{ record, status, time }])
}

const NO_DEADLINE = 'no deadline is known: these credentials do not contain the login time'

async function runAll(warnDays: number | undefined, context: Context): Promise<void> {
  const { output } = context
  const { sessionsAtHand } = await import('./at-hand.ts')
  const sessions = (await sessionsAtHand(context)).map(({ record, place }) => ({ ...shown(record, context), place }))
  const isAlive = ({ status }: Shown) => status.state !== 'ended'
  const alive = sessions.filter(isAlive)
  for (const { record } of alive) await warnOfCopy(record, context)
  const over = sessions.filter((each) => !isAlive(each) && !alive.some(({ record }) => record.did === each.record.did))
  const [ended] = over.filter(({ status }) => !isElsewhere(status))
  if (warnDays !== undefined && ended) throw endError(ended)
  if (output.json) await output.data(`${toSafeJson(sessions.map(({ status }) => status))}\n`)
  else {
    const tables = sessions.map(({ status, time, place }) =>
      table(status, { now: time, storedIn: place, paint: output.paint }),
    )
    await output.data(tables.join('\n'))
  }
  if (sessions.length === 0) output.note('There is no session.')
  if (warnDays === undefined) return
  if (alive.some(({ status }) => nextDeadline(status) === undefined)) output.warn(NO_DEADLINE)
  const near = alive.filter((each) => isNear(each, warnDays))
  if (near.length > 0) throw nearError(near)
}

async function runWhoami({ account }: StatusOptions, context: Context): Promise<void> {
  const { output } = context
  const { status, time } = await currentOf(account, context)
  const { did, handle, name, scope } = status
  const deadline = nextDeadline(status)
  const parts = [
    (handle ? `${handle} (${did})` : did) + (name === undefined ? '' : `, named ${name}`),
    ...(status.state === 'alive' ? [] : [stateOf(status, time)]),
    `scope ${scope ?? 'unknown'}`,
    ...(status.tokenElsewhere ? [`refresh token only in ${status.savedTo.join(' and ')}`] : []),
    ...(status.state === 'ended' || deadline === undefined ? [] : [`ends ${relativeTime(deadline, time)}`]),
  ]
  await output.data(output.json ? `${toSafeJson(status)}\n` : `${sanitize(parts.join('; '), 4000)}\n`)
}

function endError({ record, status, time }: Shown): OAuthError {
  return isElsewhere(status) || status.ended?.revoked ? endedError(record, time) : overError(status, record, time)
}

function isNear({ status, time }: Shown, days: number): boolean {
  const deadline = nextDeadline(status)
  return deadline !== undefined && deadline - time < days * DAY
}

/** @param near at least one */
function nearError(near: readonly Shown[]): OAuthError {
  const until = ({ status, time }: Shown) => relativeTime(nextDeadline(status)!, time)
  const each = near.map((one) => `the session of ${one.status.handle ?? one.status.did} ends ${until(one)}`)
  return new OAuthError('DEADLINE_NEAR', each.join('; '), { facts: loginFacts(near[0]!.record) })
}

/** Its tokens are nowhere but in the variables. */
async function afterRevocation(record: SessionRecord, context: Context): Promise<string> {
  const { did, thumbprint } = record
  const still = `\nCommands still use the credentials of this session. Unset ${givenIn(context.io.environment, record.bundled).variables}`
  const others = await findEarlier(did, { except: thumbprint }, context.runtime)
  if (others.some(({ isStored }) => isStored)) return `${still} to use the session in the per-user store.`
  const command = commandToPaste(initCommandLine(loginFacts(record)), context)
  return `${still}, then sign in again:\n  ${command}`
}

/** The session may be alive, but these tokens are not known to be. */
async function warnOfCopy(record: SessionRecord, { output, runtime }: Context): Promise<void> {
  await runtime.stores.sessions.assertNewest(record).catch((error: unknown) => {
    if (isOAuthError(error, 'SESSION_OUTDATED', 'STORE_COPIED')) output.warn(error.message)
  })
}

function parseDays(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new CliError('USAGE', `--warn-days must be a number of days, not ${JSON.stringify(text)}`, {
    hint: `write a whole number without a unit, as in: --warn-days ${/^(\d{1,4})d/.exec(text)?.[1] ?? '3'}`,
  })
}

/** Where the session is stored: in the vault, or in the folder of the per-user store. */
async function storedIn({ thumbprint }: SessionStatus, { common, io, runtime }: Context): Promise<string> {
  const { sessions, vault } = runtime.stores
  if (sessions.isSharedSession?.(thumbprint)) return `the vault at ${await vault?.place?.()}`
  const isStored = (await runtime.stores.sessions.read(thumbprint)) !== undefined
  const folder = homeOf(common, io)
  if (isStored && folder !== undefined) return folder
  return givenIn(io.environment, false).variables === SOURCE
    ? `what ${SOURCE} prints only`
    : 'environment variables only'
}

/** Alive, and not here any more. */
function isElsewhere({ ended }: SessionStatus): boolean {
  return ended?.handedOver !== undefined || ended?.movedTo !== undefined
}

function whyEnded({ ended }: SessionStatus, now: number): string {
  if (ended?.movedTo !== undefined) return `into the vault at ${ended.movedTo}`
  if (ended?.revoked) return `revoked here ${relativeTime(ended.at, now)}`
  return ended ? ended.reason : 'its deadline has passed'
}

function overError(status: SessionStatus, record: SessionRecord, time: number): OAuthError {
  return new OAuthError('SESSION_DEAD', `the session of ${status.did} has ended: ${whyEnded(status, time)}`, {
    facts: loginFacts(record),
  })
}

const STATES = {
  alive: 'alive, as far as known without asking the server',
  ended: 'ended',
  ambiguous: 'unknown: a refresh was sent and no response arrived',
} as const

const COLOURS = { alive: 'green', ended: 'red', ambiguous: 'yellow' } as const satisfies Record<string, Colour>

interface Presentation {
  /** The time at the session's server. */
  readonly now: number
  readonly storedIn: string
  readonly paint: Paint
}

function stateOf(status: SessionStatus, now: number): string {
  const word = status.ended?.movedTo !== undefined ? 'moved' : isElsewhere(status) ? 'exported' : STATES[status.state]
  return word + (status.state === 'ended' ? ` (${whyEnded(status, now)})` : '')
}

function table(status: SessionStatus, { now, storedIn, paint }: Presentation): string {
  const rows: [name: string, value: string | undefined][] = [
    ['session', stateOf(status, now)],
    ['account', status.handle ? `${status.handle} (${status.did})` : status.did],
    ...(status.name === undefined ? [] : [['name', status.name]]),
    ['PDS', status.pds],
    ['issuer', status.issuer],
    ['client', status.clientId && status.clientId + (status.clientKey ? `; client key ${status.clientKey.kid}` : '')],
    ['scope', status.scope],
    ['key', status.thumbprint],
    ['login', status.createdAt && relativeTime(status.createdAt, now)],
    ['refreshed', status.rotatedAt && relativeTime(status.rotatedAt, now)],
    ['access token', status.accessTokenExpiresAt && expires(status.accessTokenExpiresAt, now)],
    ['ends', status.absoluteDeadline && relativeTime(status.absoluteDeadline, now)],
    ['ends unused', status.idleDeadline && relativeTime(status.idleDeadline, now)],
    ['stored in', storedIn],
    ...(status.savedTo.length > 0 ? [['saved to', status.savedTo.join(', ')]] : []),
    ...(status.tokenElsewhere ? [['refresh token', 'only where it was saved to']] : []),
    ...(status.undelivered.length > 0 ? [['not yet in', status.undelivered.join(', ')]] : []),
  ].map(([name, value]) => [String(name), value ? String(value) : undefined])
  const lines = rows.map(([name, value]) => `${name.padEnd(14)}${sanitize(value ?? 'unknown', 1000)}\n`)
  return lines.join('').replace(/(?<=^session +)\S.*/, (state) => paint(COLOURS[status.state], state))
}

function expires(time: number, now: number): string {
  return `${time > now ? 'expires' : 'expired'} ${relativeTime(time, now)}`
}
