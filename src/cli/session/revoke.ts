/**
 * `revoke`: revokes the session on the server and deletes it from the store.
 */
import { Command } from 'commander'
import type { SessionRecord } from '../../model.ts'
import { findEarlier } from '../../session/earlier.ts'
import { type Revoked, revocationUnconfirmed, revoke } from '../../session/revoke.ts'
import { isElsewhere } from '../../session/token-family.ts'
import type { Context } from '../context.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import { besideVault, leftIn, sessionFor, storedSessionFor } from './select.ts'

interface RevokeOptions extends CommonOptions {
  readonly account?: string
  readonly others?: boolean
}

export function revokeCommand(runner: Runner): Command {
  return new Command('revoke')
    .addOption(SETTINGS.account.option())
    .option('--others', 'Keep the session that commands use, and revoke others of its account in the per-user store')
    .action(runner.action(runRevoke))
}

async function runRevoke(options: RevokeOptions, context: Context): Promise<void> {
  if (options.others) return revokeOthers(options.account, context)
  const { output, runtime } = context
  const session = await sessionFor(options.account, context, false)
  const { outcome, record } = await revoke(session.record(), runtime)
  const elsewhere = leftIn(options.account, record, context)
  const rest = elsewhere.length > 0 ? `; delete it from ${elsewhere.join(' and ')} too` : ''
  if (outcome !== 'revoked') throw revocationUnconfirmed([outcome], rest)
  const { sessions, vault } = runtime.stores
  const isShared = sessions.isSharedSession?.(record.thumbprint) === true
  const done = isShared
    ? ` in the vault at ${await vault?.place?.()}: it has ended on every machine`
    : ' and deleted it here'
  output.note(`revoked the session of ${record.did}${done}${rest}`)
  output.note(LEASES)
  const others = await othersOf(record, context)
  if (others.length > 0)
    output.note(`${counted(others)} of this account ${others.length === 1 ? 'is' : 'are'} still stored here.`)
}

const LEASES = 'Leases stop working immediately on a self-hosted PDS, and within 60 minutes elsewhere.'

async function revokeOthers(account: string | undefined, context: Context): Promise<void> {
  const { output, runtime } = context
  const kept = (await storedSessionFor(account, context)).record()
  // Last those whose refresh token may not be found.
  const others = (await othersOf(kept, context)).sort(
    (one, other) => Number(isElsewhere(one)) - Number(isElsewhere(other)),
  )
  const outcomes: Revoked['outcome'][] = []
  for (const other of others) outcomes.push((await revoke(other, besideVault(runtime))).outcome)
  const failed = outcomes.filter((outcome) => outcome !== 'revoked')
  if (failed.length > 0) throw revocationUnconfirmed(failed, '')
  if (others.length === 0) output.note(`no other session of ${kept.did} is stored here`)
  else output.note(`revoked ${counted(others)} of ${kept.did}, and kept the newest`)
}

function counted(sessions: readonly unknown[]): string {
  return sessions.length === 1 ? '1 other session' : `${sessions.length} other sessions`
}

/** Other sessions of the account in the store that are not known to have ended. */
async function othersOf({ did, thumbprint }: SessionRecord, { runtime }: Context): Promise<SessionRecord[]> {
  const found = await findEarlier(did, { except: thumbprint }, runtime)
  return found.filter(({ isStored }) => isStored).map(({ record }) => record)
}
