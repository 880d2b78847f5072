/**
 * `accounts list`: the sessions at hand, as a table.
 */
import { Command, Option } from 'commander'
import { VAULT, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import { accountsOf } from '../../session/choice.ts'
import { nextDeadline, statusOf, timeOf } from '../../session/status.ts'
import { relativeTime, sanitize, toSafeJson } from '../../text.ts'
import { type Context, commandToPaste } from '../context.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { type AtHand, handleText, sessionsAtHand } from './at-hand.ts'

interface ListOptions extends CommonOptions {
  readonly offline?: boolean
  readonly names?: boolean
}

export function accountsListCommand(runner: Runner): Command {
  return new Command('list')
    .description('List the sessions of the environment, the per-user store and the vault (default)')
    .option('--offline', 'Show the stored handles instead of resolving them')
    .addOption(new Option('--names').hideHelp().conflicts('offline'))
    .addHelpText('after', NOTES)
    .action(runner.action(runList, 'login'))
}

const NOTES = `
The session that commands use without --account has an asterisk. Handles are resolved, for at most 5 seconds. A
handle that could not be resolved is the last known one, marked "(stored)". No server is asked whether a session is
still alive.

At a terminal, as many columns are shown as fit. Otherwise each session is one line of tab-separated fields: asterisk,
handle, name, DID, scope, where it is kept, last refresh, end, PDS, client. With --json, the sessions are a JSON array.

Examples:
  atproto-oauth accounts
  atproto-oauth accounts --json | jq -r '.[] | select(.state == "alive") | .did'
`

async function runList({ offline, names }: ListOptions, context: Context): Promise<void> {
  const { io, output, runtime } = context
  if (names) return printNames(context)
  const sessions = await sessionsAtHand(context, { offline })
  if (output.json) return output.data(`${toSafeJson(sessions.map((each) => toJson(each, runtime.now())))}\n`)
  if (sessions.length === 0) {
    output.note(
      `There is no session. Sign in with:\n  ${commandToPaste('atproto-oauth init alice.bsky.social', context)}`,
    )
    return
  }
  const rows = sessions.map((each) => rowOf(each, runtime.now()))
  await output.data(io.stdout.isTTY ? table(rows, io.stdout.columns || USUAL_COLUMNS) : rows.map(line).join(''))
  if (!offline && sessions.some(({ record, isCurrent }) => !isCurrent && record.handle !== undefined)) {
    output.note('Handles marked (stored) could not be resolved: they are the last known ones.')
  }
}

/** For shell completion: sends nothing, and lists of a vault what this machine has last seen there. */
async function printNames({ io, output, runtime }: Context): Promise<void> {
  const { sessions, local = sessions, vault } = runtime.stores
  const isVaultOnly = variable(io.environment, VAULT) !== undefined
  const listed = await Promise.all(
    [vault?.remembered?.(), isVaultOnly ? undefined : local.list()].map(async (list) => {
      try {
        return (await list) ?? []
      } catch (error) {
        if (isOAuthError(error)) return []
        throw error
      }
    }),
  )
  const records = listed.flat()
  const words = accountsOf(records.filter(({ ended }) => !ended)).flatMap(({ did, handle, names }) => [
    handle ?? did,
    ...names,
  ])
  await output.data(words.map((word) => `${sanitize(word)}\n`).join(''))
}

function toJson({ record, isCurrent, isDefault, kept, place }: AtHand, now: number): object {
  const status = statusOf(record, now)
  const iso = (time: number | undefined) => (time === undefined ? undefined : new Date(time).toISOString())
  return {
    default: isDefault,
    handle: status.handle,
    handleIsCurrent: isCurrent,
    name: status.name,
    did: status.did,
    pds: status.pds,
    issuer: status.issuer,
    clientId: status.clientId,
    scope: status.scope,
    state: status.state,
    kept,
    place,
    tokenElsewhere: status.tokenElsewhere,
    thumbprint: status.thumbprint,
    createdAt: iso(status.createdAt),
    refreshedAt: iso(status.rotatedAt),
    absoluteDeadline: iso(status.absoluteDeadline),
    idleDeadline: iso(status.idleDeadline),
  }
}

/** In the order in which they are shown. */
const COLUMNS = ['', 'ACCOUNT', 'NAME', 'DID', 'SCOPE', 'KEPT IN', 'REFRESHED', 'ENDS', 'PDS', 'CLIENT'] as const
/** What does not fit is omitted, the last of these first. The account is always shown. */
const IMPORTANT = ['', 'ACCOUNT', 'ENDS', 'NAME', 'SCOPE', 'KEPT IN', 'REFRESHED', 'DID', 'PDS', 'CLIENT'] as const
type Row = Readonly<Record<(typeof COLUMNS)[number], string>>

/** Of a terminal that does not know its size. */
const USUAL_COLUMNS = 80
/** Columns of a table: a scope gets what the others leave, and is cut. */
const SCOPE_FEWEST = 14
const GAP = '  '

function rowOf(each: AtHand, now: number): Row {
  const { record, isDefault, kept } = each
  const time = timeOf(record, now)
  const status = statusOf(record, now)
  const deadline = nextDeadline(status)
  const { ended } = status
  const isAway = ended?.handedOver !== undefined || ended?.movedTo !== undefined
  const ends = {
    alive: deadline === undefined ? '' : relativeTime(deadline, time),
    ambiguous: 'unknown',
    ended: ended?.movedTo !== undefined ? 'moved' : isAway ? 'exported' : 'ended',
  }[status.state]
  const row: Row = {
    '': isDefault ? '*' : '',
    ACCOUNT: handleText(each) ?? '',
    NAME: record.name ?? '',
    DID: record.did,
    SCOPE: record.scope,
    'KEPT IN': status.tokenElsewhere ? 'save target' : kept,
    REFRESHED: status.rotatedAt === undefined ? '' : relativeTime(status.rotatedAt, time),
    ENDS: ends,
    PDS: record.pds,
    CLIENT: record.clientId ?? '',
  }
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, sanitize(value, 4000)])) as Row
}

function line(row: Row): string {
  return `${COLUMNS.map((name) => row[name]).join('\t')}\n`
}

function table(rows: readonly Row[], columns: number): string {
  const shown = rows.map((row) => ({ ...row, ACCOUNT: row.ACCOUNT || row.DID }))
  const used = COLUMNS.filter((name) => shown.some((row) => row[name] !== ''))
  const longest = (name: (typeof COLUMNS)[number]) => Math.max(name.length, ...shown.map((row) => row[name].length))
  const widths = new Map(used.map((name) => [name, longest(name)]))
  const scope = widths.get('SCOPE')
  if (scope !== undefined) widths.set('SCOPE', Math.min(scope, SCOPE_FEWEST))
  const fitting = new Set<string>()
  let width = 0
  for (const name of IMPORTANT.filter((each) => widths.has(each))) {
    const wider = width + widths.get(name)! + (fitting.size > 0 ? GAP.length : 0)
    if (wider > columns && name !== 'ACCOUNT') break
    width = wider
    fitting.add(name)
  }
  if (scope !== undefined) widths.set('SCOPE', Math.min(scope, SCOPE_FEWEST + Math.max(0, columns - width)))
  const names = used.filter((name) => fitting.has(name))
  const header = Object.fromEntries(COLUMNS.map((name) => [name, name])) as Row
  const cell = (row: Row, name: (typeof COLUMNS)[number]) => cut(row[name], widths.get(name)!).padEnd(widths.get(name)!)
  return [header, ...shown]
    .map(
      (row) =>
        `${cut(
          names
            .map((name) => cell(row, name))
            .join(GAP)
            .trimEnd(),
          columns,
        )}\n`,
    )
    .join('')
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}
