/**
 * `export`: hands a session over to another program.
 */
import { Command } from 'commander'
import type { NodeSession } from '../../credentials/node-session.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { createSignalHold } from '../../node/signals.ts'
import { exportSession } from '../../session/export.ts'
import type { Context } from '../context.ts'
import { warnIfReadable } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import type { Runner } from '../run.ts'
import { leftIn, sessionFor } from './select.ts'

interface ExportOptions extends CommonOptions {
  readonly account?: string
  readonly keep?: boolean
}

export function exportCommand(runner: Runner): Command {
  return new Command('export')
    .option('--keep', 'leave it here too; whichever of the two renews it second ends it for both')
    .addOption(SETTINGS.account.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runExport))
}

const NOTES = `
Prints the session as JSON, as that library's session store keeps it under the account's DID. The session moves: a
refresh token works once. Once it is printed it is gone from here, and not before; \`import\` takes it back.

Example:
  (umask 077; atproto-oauth export --account alice.bsky.social > session.json)
`

async function runExport({ account, keep }: ExportOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const session = await sessionFor(account, context)
  const hand = async (value: NodeSession) => {
    await output.data(`${JSON.stringify(value)}\n`).catch(stillHere)
    warnIfReadable(context)
  }
  await createSignalHold()(async () => {
    const record = await exportSession(session, hand, { keep }, runtime).catch(withPlace)
    output.note(needs(record))
    if (keep) {
      output.warn('the session is still here too: whichever of the two renews it second ends it for both')
      return
    }
    const elsewhere = leftIn(account, record, context)
    if (elsewhere.length === 0) return
    output.warn(`delete what is left of it in ${elsewhere.join(' and ')}: used from there, it ends for both`)
  })
}

/** What the other program has to be told besides. */
function needs({ did, clientId, clientKey }: SessionRecord): string {
  const isLoopback = clientId?.startsWith('http:')
  return [
    `the session of ${did} is handed over. Store it there under that DID. Its first renewal ends it, unless the program has`,
    `this client_id, letter for letter${isLoopback ? ', as by clientMetadata: atprotoLoopbackClientMetadata(client_id)' : ''}:`,
    `  ${clientId}`,
    ...(clientKey ? [`and in its keyset the client key ${clientKey.kid}`] : []),
  ].join('\n')
}

/** A CI job that renews credentials of its environment has to keep what comes back, and here nothing does. */
function withPlace(error: unknown): never {
  if (!isOAuthError(error, 'SAVE_TARGET_MISSING')) throw error
  throw new CliError(error.code, error.message, {
    hint: 'export the session from a machine that keeps its files',
  })
}

/** Even if nobody wanted to read it: what was not taken is not gone. */
function stillHere(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error)
  throw new OAuthError('OUTPUT_FAILED', `the session could not be handed over (${why}), and is still here`, {
    cause: error,
    session: 'alive',
  })
}
