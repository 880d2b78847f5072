/**
 * `run`: a program that knows only app passwords, signed in to a front that passes its requests on with the session.
 */
import { Command, Option } from 'commander'
import { TEXT_FORMATS } from '../../credentials/write.ts'
import type { OAuthError } from '../../errors.ts'
import { createFront, type Refusal } from '../../front/front.ts'
import { type Permit, parsePermit } from '../../front/permit.ts'
import type { FrontServer } from '../../node/front-server.ts'
import { readXrpcError } from '../../protocol/xrpc/error.ts'
import { explainAccountState } from '../../session/account-state.ts'
import type { Session } from '../../session/session.ts'
import { sanitize } from '../../text.ts'
import { type Context, commandToPaste } from '../context.ts'
import { entryPrinter, type Format } from '../credentials/print.ts'
import { CliError, hintOf } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { collect, type SavingOptions, SETTINGS } from '../options.ts'
import { sessionFor } from '../session/select.ts'
import { shellQuote } from '../shell.ts'
import { type Ended, endByInterrupt, exitCodeOf, runChild, takeProgramSignals, untilEnded } from './child.ts'
import { frontVariables, programEnvironment } from './environment.ts'
import { listenLocally, parsePort } from './listen.ts'
import { findProgram, PROGRAMS } from './programs.ts'
import { checkArguments, type FrontAccess, fillIn, parseVariable } from './templates.ts'

interface RunOptions extends SavingOptions {
  readonly listen?: string
  readonly env?: readonly string[]
  readonly as?: string
  readonly allow?: readonly string[]
  readonly readOnly?: boolean
  readonly format?: Exclude<Format, 'bundle'>
  readonly account?: string
}

/** A read that every session is allowed. */
const CHECKED = 'com.atproto.server.getSession'
/** 80 bits, in the form of app passwords, which some programs check. */
const PASSWORD_BYTES = 10
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

export function runCommand(runner: Runner): Command {
  const formats = [...TEXT_FORMATS.filter((format) => format !== 'bundle'), 'github']
  const env = new Option(
    '--env <name=value>',
    'Set a variable of the program, with the placeholders below (repeatable)',
  )
  const allow = new Option('--allow <nsid>', 'Pass on only this method, such as com.atproto.repo.* (repeatable)')
  return new Command('run')
    .usage('[options] [--] [command...]')
    .argument('[command...]', 'Program and its arguments; without it, the front runs until Ctrl-C')
    .addOption(env.argParser(collect))
    .option('--as <program>', `Set the variables of a known program: ${PROGRAMS.map(({ name }) => name).join(', ')}`)
    .addOption(allow.argParser(collect))
    .option('--read-only', 'Pass on only requests that change nothing')
    .option('--listen <port>', 'Port on 127.0.0.1 (default: a free port)')
    .addOption(new Option('--format <format>', 'Without a program: output format (default: export)').choices(formats))
    .addOption(SETTINGS.account.option())
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .passThroughOptions()
    .addHelpText('after', NOTES)
    .action(runner.action(runInFront))
}

const NOTES = `
The program signs in to a server on 127.0.0.1, the front. The front sends its requests to the PDS with this session,
whose tokens and keys the program does not get. Options after the name of the program are its own.

Placeholders, in --env and in the arguments of the program:
  {url}       origin of the front, such as http://127.0.0.1:41234
  {host}      the same without http://
  {handle}    handle of the account
  {did}       DID of the account
  {password}  password for this run; not in arguments, which other users can see
A misspelt one, such as {URL}, is an error. Other braces stay as they are. Write {{did}} for the text {did}.

Each program also gets these as variables, without {host}:
  ATPROTO_OAUTH_RUN_URL, ATPROTO_OAUTH_RUN_HANDLE, ATPROTO_OAUTH_RUN_DID,
  ATPROTO_OAUTH_RUN_PASSWORD

The exit code is that of the program, or 128 and the number of the signal that ended it. It is 125 for an error
before the program starts, 126 if the program cannot be started, and 127 if it is not found.

Examples:
  atproto-oauth run --as goat -- goat account login
  atproto-oauth run --env BSKY_HOST={url} --env BSKY_PASSWORD={password} -- node bot.js
  atproto-oauth run --allow 'com.atproto.repo.*' -- ./backup.sh {did}
  atproto-oauth run --read-only -- python3 report.py
  atproto-oauth run    # prints the variables, for a program in another terminal
`

async function runInFront(words: readonly string[], options: RunOptions, context: Context): Promise<number> {
  const { io, output } = context
  checkArguments(words)
  const added = (options.env ?? []).map(parseVariable)
  const known = options.as === undefined ? undefined : findProgram(options.as)
  refuseLists(options.allow)
  const permit = parsePermit(options)
  const port = options.listen === undefined ? 0 : parsePort(options.listen)
  const print =
    words.length > 0 ? undefined : entryPrinter(options.format ?? (output.json ? 'json' : 'export'), context)
  if (print === undefined && options.format !== undefined) {
    throw new CliError('USAGE', '--format cannot be used with a program', {
      hint: 'omit it: the program gets the variables in its environment',
    })
  }
  warnOfMisplaced(words, context)
  const server = await listenLocally(port)
  try {
    const isHeld = print === undefined && io.stderr.isTTY === true
    const opened = await open(server, permit, { account: options.account, isHeld }, context)
    const variables = frontVariables(opened.access, known, added)
    if (print === undefined) {
      const command = words.map((word) => fillIn(word, opened.access))
      return await runProgram(
        command,
        programEnvironment(io.environment, variables, io.platform),
        server,
        opened,
        context,
      )
    }
    const ended = untilEnded(io.platform)
    const { password } = opened.access
    const secret = new Set(variables.filter(([, value]) => value.includes(password)).map(([name]) => name))
    // In a log, a masked URL or handle would hide what the program says of them.
    await print(variables, [password], (name) => secret.has(name))
    output.note(`signed in as ${opened.access.handle}; the front runs until Ctrl-C`)
    const exit = exitCodeOf(await ended)
    await server.close()
    return conclude(exit, opened)
  } finally {
    await server.close()
  }
}

/** Patterns joined by commas. */
function refuseLists(allow: readonly string[] = []): void {
  const list = allow.find((pattern) => pattern.includes(','))
  if (list === undefined) return
  const parts = list.split(/[\s,]+/).filter((part) => part !== '')
  throw new CliError('USAGE', `invalid method pattern ${JSON.stringify(list)}: a pattern is one method or prefix`, {
    hint: `repeat the option: ${parts.map((part) => `--allow ${shellQuote(part)}`).join(' ')}`,
  })
}

interface OpenOptions {
  readonly account: string | undefined
  /** The program has the terminal: what is lasting is said once it has ended, and then with its hint. */
  readonly isHeld: boolean
}

interface Opened {
  readonly access: FrontAccess
  /** What has gone wrong with the session since, if it still matters and was not said with its hint. */
  failure(): OAuthError | undefined
}

/** Checks the session, and serves the front with it. */
async function open(
  server: FrontServer,
  permit: Permit,
  { account, isHeld }: OpenOptions,
  context: Context,
): Promise<Opened> {
  const { output, runtime } = context
  const session = await sessionFor(account, context)
  // Otherwise it would be found out at the first refresh, in the middle of the program.
  if (session.record().refreshToken !== undefined) runtime.saving.checkDurable()
  const [handle] = await Promise.all([session.currentHandle(), checkSession(session, context)])
  const { host } = new URL(server.origin)
  const access: FrontAccess = {
    url: server.origin,
    host,
    handle: handle ?? session.did, // a front accepts both
    did: session.did,
    password: createPassword(runtime.randomBytes(PASSWORD_BYTES)),
  }
  const failures: Failure[] = []
  const front = createFront(
    session,
    {
      origin: server.origin,
      handle,
      password: access.password,
      permit,
      onRefused: (refusal) => output.warn(wordRefusal(refusal, context)),
      explain: (refusal) => wordRefusal(refusal, context),
      onFailure(error) {
        const failure = { error, accessToken: session.record().accessToken }
        const isEnd = error.session === 'dead'
        // A program may go on for days after its session has ended.
        if (isEnd && !isHeld && !output.json) return output.failure(error)
        failures.push(failure)
        const isSaidLater = isLasting(failure, session) && (isHeld || isEnd)
        if (!isSaidLater) output.warn(`${error.message} [${error.code}]`)
      },
    },
    runtime,
  )
  server.serve(front)
  return { access, failure: () => failures.findLast((failure) => isLasting(failure, session))?.error }
}

async function checkSession(session: Session, { runtime }: Context): Promise<void> {
  const response = await session.fetchHandler(`/xrpc/${CHECKED}`)
  if (response.ok) return void (await response.body?.cancel())
  const { error } = await readXrpcError({ nsid: CHECKED }, response, session.record(), runtime.now())
  throw await explainAccountState(error, { nsid: CHECKED }, session.record(), runtime)
}

interface Failure {
  readonly error: OAuthError
  /** The access token at that time. */
  readonly accessToken: string | undefined
}

/** Whether a later request of the program has not repaired it. */
function isLasting({ error, accessToken }: Failure, session: Session): boolean {
  const current = session.record()
  // Undelivered credentials are delivered before a newer access token is used.
  if (error.code === 'SAVE_FAILED') return current.accessToken === accessToken || current.undelivered !== undefined
  return error.session === 'dead' || (current.ended !== undefined && error.session === 'unknown')
}

async function runProgram(
  command: readonly string[],
  environment: Record<string, string | undefined>,
  server: FrontServer,
  opened: Opened,
  { io, output }: Context,
): Promise<number> {
  const signals = takeProgramSignals(io.platform)
  const takeBack = output.handOver()
  let ended: Ended
  try {
    ended = await runChild(command, environment, io, signals)
  } finally {
    await server.close() // a refresh in progress is finished and saved first
    takeBack()
    signals.release()
  }
  const { exit, signal } = ended
  if (signal === 'SIGINT') endByInterrupt(io.platform)
  return conclude(exit, opened)
}

/** @throws {CliError} what has gone wrong meanwhile */
function conclude(exit: number, { failure }: Opened): number {
  const error = failure()
  if (error === undefined) return exit
  const { code, message, facts, hasExplicitState, session } = error
  // It is said, but the exit code is that of the program.
  throw new CliError(code, message, {
    cause: error,
    facts,
    session: hasExplicitState ? session : undefined,
    hint: hintOf(error, 'run'),
    exit,
  })
}

/** Four groups of four characters. */
function createPassword(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const characters = bits.replace(/.{5}/g, (five) => BASE32[Number.parseInt(five, 2)]!)
  return characters.match(/.{4}/g)!.join('-')
}

function wordRefusal({ nsid, reason, scope, error }: Refusal, context: Context): string {
  switch (reason) {
    case 'not-allowed':
      return `${nsid} was refused: to pass it on, add --allow ${nsid}`
    case 'token-not-allowed':
      return `${nsid} was refused: to pass it on, add --allow for the method that its token authorizes (lxm)`
    case 'read-only':
      return `${nsid} was refused, because of --read-only`
    case 'credentials':
      return `${nsid} was refused: a front passes on nothing that makes or changes credentials of the account`
    case 'scope': {
      const needs = scope === undefined ? '' : `, which needs the permission ${scope}`
      const hint = error === undefined ? '' : hintOf(error, 'run')
      const next = hint.startsWith('atproto-oauth ') ? `sign in again with ${commandToPaste(hint, context)}` : hint
      return `the PDS refused ${nsid}${needs}${next === '' ? '' : `: ${next}`}`
    }
  }
}

/** Options of `run` that narrow what a program may do, or choose the account. */
const OURS: readonly string[] = ['--account', '--allow', '--as', '--listen', '--no-store', '--read-only', '--save']

/** A program that ignores it would run with more than was meant. */
function warnOfMisplaced(words: readonly string[], { io, output }: Context): void {
  const isSeparated = io.arguments.at(-words.length - 1) === '--'
  if (words.length === 0 || isSeparated) return
  const flag = words.map((word) => word.replace(/=.*/s, '')).find((word) => OURS.includes(word))
  if (flag === undefined) return
  const program = sanitize(words[0]!)
  output.warn(
    `${flag} is passed to ${program}: to use it here, write it before ${program}; otherwise write -- before ${program}`,
  )
}
