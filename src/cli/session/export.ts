/**
 * `export`: moves a session to another program.
 */
import { Command } from 'commander'
import type { NodeSession } from '../../credentials/node-session.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { holdSignals } from '../../node/signals.ts'
import { exportSession } from '../../session/export.ts'
import type { Context } from '../context.ts'
import { warnIfReadable } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import { leftIn, sessionFor } from './select.ts'

interface ExportOptions extends CommonOptions {
  readonly account?: string
  readonly keep?: boolean
}

export function exportCommand(runner: Runner): Command {
  return new Command('export')
    .option('--keep', 'Keep a copy here (if both programs refresh it, the second refresh ends the session)')
    .addOption(SETTINGS.account.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runExport))
}

const NOTES = `
Prints the session as JSON, in the format of the library's session store, where the key is the account's DID. A
refresh token works only once, so the session is moved: it is deleted here after printing. To move it back, use
\`import\`.

Example:
  (umask 077; atproto-oauth export --account alice.bsky.social > session.json)
`

async function runExport({ account, keep }: ExportOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const session = await sessionFor(account, context)
  const hand = async (value: NodeSession) => {
    await output
      .data(`${JSON.stringify(value)}\n`)
      .then(output.durable)
      .catch(stillHere)
    warnIfReadable(context)
  }
  await holdSignals(async () => {
    const record = await exportSession(session, hand, { keep }, runtime).catch(withPlace)
    output.note(needs(record))
    if (keep) {
      output.warn('the session was kept here too: if both programs refresh it, the second refresh ends it for both')
      return
    }
    const elsewhere = leftIn(account, record, context)
    if (elsewhere.length === 0) return
    output.warn(`delete the session from ${elsewhere.join(' and ')}: using it there ends it for both`)
  })
}

/** What the other program needs besides the session. */
function needs({ did, clientId, clientKey }: SessionRecord): string {
  const isLoopback = clientId?.startsWith('http:')
  return [
    `exported the session of ${did}. Store it under that DID. The first refresh fails and ends it unless the program`,
    `uses exactly this client_id${isLoopback ? ' (clientMetadata: atprotoLoopbackClientMetadata(client_id))' : ''}:`,
    `  ${clientId}`,
    ...(clientKey ? [`and has the client key ${clientKey.kid} in its keyset`] : []),
  ].join('\n')
}

/** A CI job must save refreshed credentials, and an export has no save target. */
function withPlace(error: unknown): never {
  if (!isOAuthError(error, 'SAVE_TARGET_MISSING')) throw error
  throw new CliError(error.code, error.message, {
    hint: 'export the session from a machine that keeps its files',
  })
}

/** Even if the reader closed the pipe: the session was not exported. */
function stillHere(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error)
  throw new OAuthError('OUTPUT_FAILED', `the session could not be exported (${why}), and is still stored here`, {
    cause: error,
    session: 'alive',
  })
}
