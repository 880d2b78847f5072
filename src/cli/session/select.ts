/**
 * Selects the session for a command: from the environment or from the per-user store.
 */
import { readCredentials } from '../../credentials/read.ts'
import { isOAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { openSession, openStoredSession } from '../../session/open.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { CliError, hintOf } from '../errors.ts'
import { fromEnvironment } from '../options.ts'

/** `--account` means the store, whatever the environment holds. */
export async function sessionFor(account: string | undefined, context: Context): Promise<Session> {
  const { io, output, runtime, dev } = context
  const credentials = account === undefined ? readCredentials(io.environment, dev) : undefined
  output.sessionInvolved()
  return credentials ? openSession(credentials, runtime) : openStoredSession(account, runtime).catch(misnamed)
}

/** Places that still contain the tokens of a session deleted here. */
export function leftIn(account: string | undefined, { savedTo = [] }: SessionRecord, { io }: Context): string[] {
  const environment = 'the environment and the source of its variables'
  return [...(fromEnvironment(account, io.environment) ? [environment] : []), ...savedTo]
}

/** These commands have no account argument, so the usual hint would not work. */
function misnamed(error: unknown): never {
  if (!isOAuthError(error, 'IDENTIFIER_INVALID') || error.facts.reason !== undefined) throw error
  const hint = hintOf({ code: 'ACCOUNT_UNCLEAR', facts: {} })
  throw new CliError(error.code, error.message, { cause: error, hint })
}
