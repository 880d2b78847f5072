/**
 * `doctor`: looks at all that a login and a session stand on, and says what to do about each fault.
 */
import { Command } from 'commander'
import { readCredentials } from '../credentials/read.ts'
import { diagnose, type DoctorOptions as Examination } from '../doctor/doctor.ts'
import { isOAuthError } from '../errors.ts'
import { inspectMachine } from '../node/doctor.ts'
import { defaultHome } from '../node/folders.ts'
import type { Finding } from '../ports.ts'
import { sanitize, toSafeJson } from '../text.ts'
import type { Context } from './context.ts'
import { CliError, type Worded, worded } from './errors.ts'
import { type CommonOptions, SETTINGS } from './options.ts'
import type { Runner } from './run.ts'

interface DoctorOptions extends CommonOptions {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly scope?: string
}

export function doctorCommand(runner: Runner): Command {
  return new Command('doctor')
    .argument('[handle|did|url]', 'the account or server to look at, else the accounts of the sessions that are here')
    .addOption(SETTINGS.clientId.option({ about: 'judge this client document too' }))
    .addOption(SETTINGS.redirectUri.option({ about: 'with it, try that client' }))
    .addOption(SETTINGS.scope.option({ about: 'what to try to ask for', otherwise: 'atproto' }))
    .addHelpText('after', NOTES)
    .action(runner.action(runDoctor, 'login'))
}

const NOTES = `
Needs no login, changes nothing, keeps nothing and uses no token. One authorization request is pushed to the server,
which forgets it in minutes. Each finding is a line on stdout (with --json one JSON object a line):
ok, !! for a warning, xx for what is broken. Exits with 0 if nothing is broken, else with 4.

Examples:
  atproto-oauth doctor                         this machine, and the sessions that are here
  atproto-oauth doctor alice.bsky.social
  atproto-oauth doctor https://pds.example.com
  atproto-oauth doctor alice.bsky.social --client-id https://you.dev/oauth-client-metadata.json
`

async function runDoctor(identifier: string | undefined, options: DoctorOptions, context: Context): Promise<void> {
  const { output } = context
  const seen: Worded<Finding>[] = []
  for await (const found of findings(identifier, options, context)) {
    const finding = worded(found)
    seen.push(finding)
    await output.data(output.json ? `${toSafeJson(finding)}\n` : lines(finding))
  }
  const broken = seen.filter(({ verdict }) => verdict === 'broken')
  const warnings = seen.filter(({ verdict }) => verdict === 'warning').length
  if (broken.length === 0) {
    if (identifier === undefined && !seen.some(({ topic }) => topic === 'PDS')) {
      output.note('No account was looked at: name one, as in `doctor alice.example.com`.')
    }
    output.note(`Nothing is broken.${warnings > 0 ? ` Warnings: ${warnings}.` : ''}`)
    return
  }
  const fix = broken.find((finding) => finding.fix !== undefined)?.fix?.split('\n')[0]
  throw new CliError('DOCTOR_FOUND', `broken: ${[...new Set(broken.map(({ topic }) => topic))].join(', ')}`, {
    hint: fix,
  })
}

async function* findings(identifier: string | undefined, options: DoctorOptions, context: Context) {
  const { common, io, runtime, dev } = context
  const { environment, platform } = io
  const examination: Examination = {
    clientId: SETTINGS.clientId.read(options, environment),
    redirectUri: SETTINGS.redirectUri.read(options, environment),
    scope: SETTINGS.scope.read(options, environment),
  }
  const home = SETTINGS.home.read(common, environment) ?? defaultHome()
  let credentials: Examination['credentials']
  let unreadable: Finding | undefined
  try {
    credentials = readCredentials(environment, dev)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    unreadable = { topic: 'environment', verdict: 'broken', detail: error.message, fix: error, milliseconds: 0 }
  }
  // Made first: it refuses what was typed, before anything is said.
  const account = diagnose(identifier, { ...examination, credentials }, runtime)
  yield* inspectMachine({ home, environment, platform })
  if (unreadable) yield unreadable
  yield* account
}

const SYMBOLS = { ok: 'ok', warning: '!!', broken: 'xx' } as const
const TOPIC_WIDTH = 17

function lines({ topic, verdict, detail, fix, milliseconds }: Worded<Finding>): string {
  const time = milliseconds > 0 ? ` (${Math.round(milliseconds)} ms)` : ''
  const [first, ...more] = fix?.split('\n') ?? []
  return [
    `${SYMBOLS[verdict]}  ${topic.padEnd(TOPIC_WIDTH)}${sanitize(detail, 2000)}${time}`,
    ...(first === undefined ? [] : [`${' '.repeat(TOPIC_WIDTH + 4)}fix: ${sanitize(first, 2000)}`]),
    ...more.map((line) => `${' '.repeat(TOPIC_WIDTH + 6)}${indented(line)}`),
    '',
  ].join('\n')
}

/** `sanitize` takes the indent away, which the lines to be copied need. */
function indented(line: string): string {
  return (/^ */.exec(line)?.[0] ?? '') + sanitize(line, 2000)
}
