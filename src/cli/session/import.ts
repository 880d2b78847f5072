/**
 * `import`: moves a session here from another program.
 */
import { readFile, stat } from 'node:fs/promises'
import { Command } from 'commander'
import { nodeSessionClientId } from '../../credentials/node-session.ts'
import { OAuthError } from '../../errors.ts'
import { holdSignals } from '../../node/signals.ts'
import { reasonOf } from '../../node/store/files.ts'
import { importSession } from '../../session/import.ts'
import type { Context } from '../context.ts'
import { chooseDestination, type DestinationOptions } from '../credentials/deliver.ts'
import { credentialPrinter, formatOption } from '../credentials/print.ts'
import { CliError, unreadableFileHint } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CliIO, currentFolder, readStdin } from '../io.ts'
import { SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { besideVault } from './select.ts'

interface ImportOptions extends DestinationOptions {
  readonly clientId?: string
}

/** Bytes; a session has a few thousand. */
const LARGEST = 256 * 1024

export function importCommand(runner: Runner): Command {
  return new Command('import')
    .argument('[file]', 'Session as JSON, from the session store of the other program (default: stdin)')
    .addOption(SETTINGS.clientId.option({ takes: 'id', about: 'Exact client_id of the other program' }))
    .addOption(formatOption('Print the credentials in this format (default without --save: dotenv)'))
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runImport))
}

const NOTES = `
A refresh token works only once, so the session is moved: delete it in the other program and stop using it there.
Import sends no token. It checks that the parts of the session match, as far as possible offline.

Example:
  atproto-oauth import session.json --client-id https://app.example.com/client.json --save store
`

async function runImport(file: string | undefined, options: ImportOptions, given: Context): Promise<void> {
  const { io } = given
  if (options.format) credentialPrinter(options.format, given) // fails first if the format cannot be used
  const clientId = SETTINGS.clientId.read(options, io.environment)
  const value = parse(await read(file, io))
  if (clientId === undefined) {
    const named = nodeSessionClientId(value)
    throw new CliError('USAGE', '--client-id is missing: a stored session does not contain it', {
      hint: named
        ? `if the other program uses this client_id, add --client-id ${shellQuote(named)}`
        : 'pass the exact client_id of the other program with --client-id',
    })
  }
  const { context, deliver, summary } = await chooseDestination(options, given)
  const { output, runtime } = context
  await holdSignals(async () => {
    // A session that was exported from the per-user store is taken back there.
    const ports = runtime.saving.inVault ? runtime : besideVault(runtime)
    const credentials = await importSession(value, { clientId }, ports)
    output.sessionInvolved()
    await deliver({ credentials, handle: undefined })
    output.note(summary('imported the session of', { credentials, handle: undefined }))
    output.warn('delete this session in the other program: if both refresh it, the second refresh ends it for both')
  })
}

async function read(file: string | undefined, io: CliIO): Promise<string> {
  const refuse = (why: string, hint?: string): never => {
    throw new CliError('USAGE', `cannot read ${file}: ${why}`, { hint })
  }
  const fail = (error: unknown) => refuse(reasonOf(error), unreadableFileHint(file!, error, currentFolder()))
  const isFile = file !== undefined && file !== '-'
  if (isFile && (await stat(file).catch(fail)).size > LARGEST) refuse('file too large for a session')
  if (isFile) return readFile(file, 'utf8').catch(fail)
  const bytes = io.stdin.isTTY && file === undefined ? new Uint8Array() : await readStdin(io, LARGEST)
  if (bytes === undefined) throw new OAuthError('USAGE', 'stdin is too large for a session')
  const text = Buffer.from(bytes).toString('utf8')
  if (text.trim() !== '') return text
  throw new CliError('USAGE', 'no session was given: the file argument is missing, and stdin is empty', {
    hint: 'pass the file, as in: atproto-oauth import session.json --client-id https://app.example.com/client.json',
  })
}

/** Without the parser's message, which could quote a secret. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''))
  } catch {
    throw new CliError('CREDENTIALS_INVALID', 'the session is not valid JSON', {
      hint: 'pass the stored session of the account from the other program, unchanged',
    })
  }
}
