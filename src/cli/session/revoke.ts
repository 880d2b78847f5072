/**
 * `revoke`: revokes the session on the server and deletes it from the store.
 */
import { Command } from 'commander'
import { OAuthError } from '../../errors.ts'
import { revoke } from '../../session/revoke.ts'
import type { Context } from '../context.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import type { Runner } from '../run.ts'
import { leftIn, sessionFor } from './select.ts'

interface RevokeOptions extends CommonOptions {
  readonly account?: string
}

export function revokeCommand(runner: Runner): Command {
  return new Command('revoke').addOption(SETTINGS.account.option()).action(runner.action(runRevoke))
}

async function runRevoke(options: RevokeOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const session = await sessionFor(options.account, context)
  const { outcome, record } = await revoke(session.record(), runtime)
  const elsewhere = leftIn(options.account, record, context)
  const rest = elsewhere.length > 0 ? `; delete it from ${elsewhere.join(' and ')} too` : ''
  if (outcome === 'revoked') {
    output.note(`revoked the session of ${record.did} and deleted it here${rest}`)
    output.note('Leases stop working immediately on a self-hosted PDS, and within 60 minutes elsewhere.')
    return
  }
  const why =
    outcome === 'unsupported'
      ? 'the server does not support revocation: the session expires there at most 14 days after its last refresh'
      : 'the server did not confirm the revocation'
  throw new OAuthError('REVOCATION_UNCONFIRMED', `${why}; it was removed from this machine${rest}`, {
    session: outcome === 'unsupported' ? 'alive' : undefined,
  })
}
