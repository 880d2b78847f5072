/**
 * `revoke`: ends the session on the server, and forgets it here.
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
  const rest = elsewhere.length > 0 ? `; what is left of it is in ${elsewhere.join(' and ')}: delete it there` : ''
  if (outcome === 'revoked') {
    output.note(`the session of ${record.did} is ended, and forgotten here${rest}`)
    output.note('an access token that is still out works no more on a self-hosted PDS, elsewhere for up to 60 minutes')
    return
  }
  const why =
    outcome === 'unsupported'
      ? 'the server offers no revocation: the session ends there by itself, 14 days after the last renewal at most'
      : 'the server did not confirm that it has ended the session'
  throw new OAuthError('REVOCATION_UNCONFIRMED', `${why}; it is forgotten here${rest}`)
}
