/**
 * `vault list`: the sessions in the vault.
 */
import { Command } from 'commander'
import { readContents } from '../../node/vault/inspect.ts'
import type { Claim, Sealed } from '../../node/vault/record.ts'
import { type SessionStatus, statusOf, timeOf } from '../../session/status.ts'
import { relativeTime, sanitize, toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { usedVault } from './setting.ts'
import { claimText, counted } from './words.ts'

export function vaultListCommand(runner: Runner): Command {
  return new Command('list')
    .description('List the sessions in the vault')
    .addHelpText('after', NOTES)
    .action(runner.action(runList, 'login'))
}

const NOTES = `
Only the server of the vault is asked: each handle is the one at the login, and a session that its own server has
ended is still shown as alive. With --json, the sessions are a JSON array, without tokens and keys.
`

interface Listed {
  readonly status: SessionStatus
  /** By the clock of the session's server. */
  readonly now: number
  readonly claim: Pick<Claim, 'purpose' | 'label' | 'rotation'> | undefined
}

async function runList(_: CommonOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const { address, engine, key, memory } = await usedVault(context)
  const { sessions, unreadable } = await readContents(engine, key, memory)
  const listed = sessions.map((sealed) => describe(sealed, runtime.now()))
  listed.sort((one, other) => (one.status.did < other.status.did ? -1 : 1))
  if (output.json) {
    await output.data(`${toSafeJson(listed.map(({ status, claim }) => ({ ...status, claim })))}\n`)
  } else if (listed.length > 0) await output.data(listed.map(block).join('\n'))
  if (listed.length === 0) output.note(`There are no sessions in the vault at ${address}.`)
  if (unreadable.length > 0) {
    output.warn(`${counted(unreadable.length, 'record')} cannot be read: find the cause with \`vault check\``)
  }
}

function describe({ record: { session, claim } }: Sealed, now: number): Listed {
  return {
    status: statusOf(session, now),
    now: timeOf(session, now),
    claim: claim && { purpose: claim.purpose, label: claim.label, rotation: claim.rotation },
  }
}

const STATES = {
  alive: 'alive, as far as known without asking the server',
  ended: 'ended',
  ambiguous: 'unknown: a refresh was sent and no response arrived',
} as const

function block({ status, now, claim }: Listed): string {
  const { did, handle, state, ended, scope, createdAt, rotatedAt, absoluteDeadline, idleDeadline } = status
  const isOver = state === 'ended'
  const time = (at: number | undefined) => (at === undefined ? undefined : relativeTime(at, now))
  const rows: [name: string, value: string | undefined][] = [
    ['account', handle ? `${handle} (${did})` : did],
    ['session', isOver ? `ended (${ended?.reason ?? 'its deadline has passed'})` : claim ? IN_USE : STATES[state]],
    ['scope', scope],
    ['login', time(createdAt)],
    ['refreshed', time(rotatedAt)],
    ['ends', isOver ? undefined : time(absoluteDeadline)],
    ['ends unused', isOver ? undefined : time(idleDeadline)],
    ['claim', claim && claimText(claim)],
  ]
  const known = rows.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]))
  return known.map(({ name, value }) => `${name.padEnd(14)}${sanitize(value, 4000)}\n`).join('')
}

/** Its intent is that of the claim, and no sign of a lost response. */
const IN_USE = 'alive, and being changed by another machine (see claim)'
