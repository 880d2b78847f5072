/**
 * `doctor`: checks what logins and sessions depend on, and prints a fix for each fault.
 */
import { Command } from 'commander'
import { diagnose, type DoctorOptions as Examination } from '../doctor/doctor.ts'
import { isOAuthError } from '../errors.ts'
import { inspectMachine } from '../node/doctor.ts'
import { userFolders } from '../node/folders.ts'
import { expandTilde } from '../node/home.ts'
import type { Finding } from '../ports.ts'
import { settingsFindings, usableSettings } from './config/finding.ts'
import type { Context } from './context.ts'
import { concludeFindings, printFindings } from './findings.ts'
import type { Runner } from './invocation.ts'
import { chosenClient } from './login/options.ts'
import { type CommonOptions, SETTINGS } from './options.ts'

interface DoctorOptions extends CommonOptions {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly scope?: string
}

export function doctorCommand(runner: Runner): Command {
  return new Command('doctor')
    .argument('[handle|did|url]', 'Account or server to check (default: the accounts of the stored sessions)')
    .addOption(SETTINGS.clientId.option({ about: 'Check this client metadata document too' }))
    .addOption(SETTINGS.redirectUri.option({ about: 'Redirect URI to try with --client-id' }))
    .addOption(SETTINGS.scope.option({ about: 'OAuth scope to try', defaultValue: 'atproto' }))
    .addHelpText('after', NOTES)
    .action(runner.action(runDoctor, 'login', usableSettings))
}

const NOTES = `
Requires no login, uses no token and changes no session. It sends one pushed authorization request, which expires
within minutes. Like any command, it finishes a save to a vault that was interrupted. Results are written to stdout,
one per line: ok, !! (warning) or xx (broken). With --json, each line is a JSON object. The exit code is 0 if nothing
is broken, and 4 otherwise.

Examples:
  atproto-oauth doctor                         # this machine and its sessions
  atproto-oauth doctor alice.bsky.social
  atproto-oauth doctor https://pds.example.com
  atproto-oauth doctor alice.bsky.social --client-id https://you.dev/oauth-client-metadata.json
`

async function runDoctor(identifier: string | undefined, options: DoctorOptions, context: Context): Promise<void> {
  const { output } = context
  const seen = await printFindings(findings(identifier, options, context), output)
  const isSound = seen.every(({ verdict }) => verdict !== 'broken')
  if (isSound && identifier === undefined && !seen.some(({ topic }) => topic === 'PDS')) {
    output.note('No account was checked. To check one, add its handle: `doctor alice.example.com`.')
  }
  concludeFindings(seen, output)
}

async function* findings(identifier: string | undefined, options: DoctorOptions, context: Context) {
  const { common, io, runtime } = context
  const { environment, platform } = io
  const examination: Examination = {
    ...chosenClient(options, context),
    scope: SETTINGS.scope.read(options, environment),
  }
  const named = SETTINGS.home.read(common, environment)
  const home = named === undefined ? userFolders()?.data : expandTilde(named)
  let credentials: Examination['credentials']
  let unreadable: Finding | undefined
  try {
    credentials = await context.given()
  } catch (error) {
    if (!isOAuthError(error)) throw error
    unreadable = { topic: 'environment', verdict: 'broken', detail: error.message, fix: error, milliseconds: 0 }
  }
  // Created first: it rejects an invalid identifier before anything is printed.
  const account = diagnose(identifier, { ...examination, credentials }, runtime)
  yield* inspectMachine({ home, environment, platform })
  yield* settingsFindings(context)
  if (unreadable) yield unreadable
  yield* account
}
