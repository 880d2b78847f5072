/**
 * The two streams. stdout carries what was asked for and nothing else; all that is for
 * a person goes to stderr. With `--json` stderr is empty or one JSON object.
 */
import { type ErrorCode, OAuthError, type SessionState } from '../errors.ts'
import { reasonOf } from '../node/store/file-errors.ts'
import { packageVersion } from '../node/version.ts'
import { parseJson, sanitize, sanitizeLines, toSafeJson } from '../text.ts'
import { type Colour, hasColours, type Paint, painter } from './colour.ts'
import { exitOf, hintOf } from './errors.ts'
import { flush, isRegularFile, writeWhole } from './file-output.ts'
import { type CliIO, programName } from './io.ts'
import { createProgress, type Progress } from './progress.ts'
import { toWindowsQuoting } from './shell.ts'

export interface OutputOptions {
  readonly quiet?: boolean | undefined
  readonly verbose?: boolean | undefined
  readonly json?: boolean | undefined
  /** The one that is running, such as `client new`: hints may be about it. */
  readonly command?: string | undefined
  /** That of `--account`. */
  readonly account?: string | undefined
  /** Returns the flags of this run that a command in a hint needs too. */
  readonly flags?: ((command: string) => string) | undefined
}

export interface Output {
  readonly json: boolean
  /** Colours text for stdout, if stdout has colours; never with `--json`. */
  readonly paint: Paint
  readonly progress: Progress
  /** For a person at work: progress, what to do next. */
  note(text: string): void
  /** A URL to open, in a line of its own among the notes. */
  noteUrl(url: URL): void
  /** For a person even if `--quiet`. */
  warn(text: string): void
  /** With `--verbose`; the text must be free of secrets. */
  debug(text: string): void
  /** To stdout; rejects if it could not be written. */
  data(content: string | Uint8Array): Promise<void>
  /** Flushes stdout if it is a file. Call before the only other copy of what was printed is removed. */
  durable(): Promise<void>
  /** Call before the session is opened, or an authorization code is sent: from then on errors say what became of the session. */
  sessionInvolved(): void
  /** What the server said, shown with the error that is about to be thrown. */
  serverBody(text: string): void
  /** What a failed program printed: with `--json` it goes into the object, because stderr holds nothing else. */
  programOutput(text: string): void
  /** An error that does not end the command, in the form of one that does; not with `--json`. */
  failure(error: OAuthError): void
  /**
   * Another program has the terminal from now on: what is said in the middle of its screen waits for its end. Without a
   * terminal, lines stay among those of the program, as in a log. What `--verbose` logs never waits.
   *
   * @returns ends it
   */
  handOver(): () => void
  /** The last word. @returns the exit code */
  finish(error?: unknown): number
}

const NAME = 'atproto-oauth'
/** Lines to be pasted. */
const COMMANDS = /^ {2}(?:npx )?atproto-oauth .*$/gm
/** The command that a hint is, or ends with after a colon. */
const COMMAND_AT_END = /(?<=^|: )atproto-oauth [a-z]+\b[^`]*$/
/** Characters; enough for all the permissions that a login asks for. */
const WARNING_LONGEST = 4000
/** Why the state of the session is not known. */
const UNKNOWN_BECAUSE: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNEXPECTED: 'the command stopped at an unexpected error',
  EXCHANGE_AMBIGUOUS: 'the authorization code was sent, and no valid response was received',
  CODE_USED: 'an earlier attempt sent the authorization code, and its outcome is not known',
  REFRESH_AMBIGUOUS: 'the refresh token was sent, and no valid response was received',
  REVOCATION_UNCONFIRMED: 'the server did not confirm the revocation',
  SESSION_OUTDATED: 'this is an old copy of its tokens',
  SESSION_DEAD: 'the given refresh token was rejected, and the stored one was not sent',
  SAVE_FAILED: 'a token was sent, and the response could not be saved',
  XRPC_ERROR: 'the server rejected its access token',
}

/** What became of the session, in words; nothing if there is no session to speak of. */
function describeSession(code: ErrorCode, state: SessionState): string | undefined {
  if (state === 'none') return undefined
  if (state === 'alive') return 'still valid'
  if (state === 'dead') return 'ended'
  const why = UNKNOWN_BECAUSE[code]
  return why === undefined ? 'unknown' : `unknown: ${why}`
}

export function createOutput(io: CliIO, options: OutputOptions, progress = createProgress(io, options)): Output {
  const { environment, stdout, stderr, platform } = io
  const { quiet = false, verbose = false, json = false, flags, command, account } = options
  const warnings: string[] = []
  let serverBody: string | undefined
  const programOutput: string[] = []
  let isSessionInvolved = false
  // Nobody reads stderr any more: not a reason to stop in the middle of a rotation.
  stderr.on('error', () => undefined)
  let broken: Error | undefined
  stdout.on('error', (error) => {
    broken = error
  })
  /** What waits for the end of another program; the same line is said once. */
  let held: Set<string> | undefined
  let stdoutIsFile: boolean | undefined
  const isFile = () => {
    stdoutIsFile ??= isRegularFile(stdout.fd)
    return stdoutIsFile
  }
  const write = (text: string) => {
    progress.clear()
    stderr.write(`${text}\n`)
  }
  const say = (text: string) => {
    if (held) held.add(text)
    else write(text)
  }
  const pasted = (text: string) => (platform === 'win32' ? toWindowsQuoting(text) : text)
  const paint = painter(!json && hasColours(stderr, environment))
  const labelled = (prefix: string, text: string, colour?: Colour) => {
    const label = `${prefix}:`
    return `${NAME}: ${colour === undefined ? label : paint(colour, label)} ${text}`
  }
  const lines = (prefix: string, text: string, colour?: Colour) => say(labelled(prefix, text, colour))
  /** @returns the exit code */
  const fail = (error: unknown): number => {
    const failure = asOAuthError(error)
    const exit = exitOf(failure, command)
    const next = hintOf(failure, command, account !== undefined)
    const start = next.search(COMMAND_AT_END)
    const [advice, given] = start < 0 ? [next, ''] : [next.slice(0, start), next.slice(start)]
    const whole = given === '' || given.includes('--help') ? given : given + (flags?.(given) ?? '')
    const hint = (advice + pasted(whole)).replace(/(?<![\w/-])atproto-oauth (?=\w|--)/g, `${programName(io)} `)
    const { code, message } = failure
    const session = isSessionInvolved ? failure.session : stateWithoutSession(failure)
    if (json) {
      const body = serverBody === undefined ? {} : { body: parsed(serverBody) }
      const also = warnings.length > 0 ? { warnings } : {}
      const printed = programOutput.length > 0 ? { stderr: programOutput.join('\n') } : {}
      say(toSafeJson({ code, message, session, hint, exit, ...body, ...printed, ...also }))
      return exit
    }
    if (serverBody) say(sanitizeLines(serverBody))
    lines('error', `${message} [${code}]`, 'red')
    const fate = describeSession(code, session)
    if (fate !== undefined) lines('session', fate)
    lines('hint', hint, 'cyan')
    if (verbose && code === 'UNEXPECTED') {
      const { version, arch } = process
      say(sanitizeLines(`${NAME} ${packageVersion()}, Node ${version}, ${platform} ${arch}`))
      if (error instanceof Error) say(sanitizeLines(error.stack ?? ''))
    }
    return exit
  }

  return {
    json,
    paint: painter(!json && hasColours(stdout, environment)),
    progress,
    note(text) {
      if (!quiet && !json) say(sanitizeLines(text.replace(COMMANDS, pasted)))
    },
    noteUrl({ href }) {
      if (!quiet && !json) say(`  ${paint('cyan', href)}`)
    },
    warn(text) {
      const line = sanitize(text, WARNING_LONGEST)
      if (json) warnings.push(line)
      else lines('warning', line, 'yellow')
    },
    debug(text) {
      if (verbose && !json) write(labelled('debug', sanitize(text, 2000)))
    },
    async data(content) {
      if (broken) throw failedOutput(broken)
      progress.beforeData()
      if (isFile()) return orFailedOutput(() => writeWhole(stdout.fd, content))
      await new Promise<void>((resolve, reject) => {
        stdout.write(content, (error) => (error ? reject(failedOutput(error)) : resolve()))
      })
    },
    async durable() {
      if (isFile()) await orFailedOutput(() => flush(stdout.fd))
    },
    sessionInvolved() {
      isSessionInvolved = true
    },
    serverBody(text) {
      serverBody = text
    },
    programOutput(text) {
      programOutput.push(text)
    },
    failure(error) {
      fail(error)
    },
    handOver() {
      if (stderr.isTTY !== true) return () => undefined
      const resume = progress.pause()
      held = new Set()
      return () => {
        resume()
        const waiting = held ?? []
        held = undefined
        for (const text of waiting) write(text)
      }
    },
    finish(error) {
      if (error === undefined) {
        if (json && warnings.length > 0) say(toSafeJson({ warnings }))
        return 0
      }
      // Whoever read stdout has had enough, as in `… | head`.
      if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return 0
      return fail(error)
    },
  }
}

/** A reader that has gone away is no failure of ours, and stays what it is. */
export function failedOutput(error: NodeJS.ErrnoException): Error {
  if (error.code === 'EPIPE') return error
  return new OAuthError('OUTPUT_FAILED', `cannot write the output: ${reasonOf(error)}`, { cause: error })
}

async function orFailedOutput(work: () => void | Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw failedOutput(error as NodeJS.ErrnoException)
  }
}

/** What is usual for a code supposes that there is a session; here none was looked for yet. */
function stateWithoutSession({ code, session, hasExplicitState }: OAuthError): SessionState {
  return !hasExplicitState && (session === 'alive' || code === 'UNEXPECTED') ? 'none' : session
}

function asOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  const named = error instanceof Error ? error : new Error(String(error))
  if (named.name === 'ExitPromptError') return new OAuthError('INTERRUPTED', 'interrupted at the prompt')
  return new OAuthError('UNEXPECTED', `unexpected error: ${named.message}`, { cause: error })
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return sanitize(text)
  }
}
