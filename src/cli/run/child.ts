/**
 * Runs a program in place of this process, as `env` does: its streams, signals and exit code are those of the program.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Environment } from '../../credentials/variables.ts'
import { takeSignals } from '../../node/signals.ts'
import { isCode, reasonOf } from '../../node/store/file-errors.ts'
import { CliError } from '../errors.ts'
import type { CliIO } from '../io.ts'
import { shellQuote } from '../shell.ts'

/** By `env`: found, but cannot be started; not found. */
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127

/** What the keys of a terminal, its size and its end send to the whole foreground group, so to the program too. */
const BY_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGHUP']
/** What only a process sends. */
const BY_PROCESS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGUSR1', 'SIGUSR2']

export interface Signals {
  /** From now on, the program gets the signals that were sent to this process alone. */
  forwardTo(child: ChildProcess): void
  release(): void
}

/**
 * Until they are released, signals do not end this process. SIGTSTP (Ctrl-Z) is not among them: it stops this process
 * together with the program, so that the shell prompts again.
 */
export function takeProgramSignals(platform: NodeJS.Platform): Signals {
  const hadTerminal = hasTerminal()
  let target: ChildProcess | undefined
  const hasProgram = (signal: NodeJS.Signals) => {
    // All processes of a Windows console get what is typed there.
    if (platform === 'win32') return true
    if (!BY_TERMINAL.includes(signal) || isElsewhere(target?.pid)) return false
    // A terminal that is gone has sent it; while it is there, somebody else has.
    if (signal === 'SIGHUP') return hadTerminal && !hasTerminal()
    return isInForeground()
  }
  const signals = platform === 'win32' ? (['SIGINT', 'SIGBREAK', 'SIGHUP'] as const) : [...BY_TERMINAL, ...BY_PROCESS]
  const release = takeSignals(signals, (signal) => void (hasProgram(signal) || target?.kill(signal)), platform)
  return {
    forwardTo(child) {
      target = child
    },
    release,
  }
}

/** Resolves with the first signal that ends a program which waits for nothing else. */
export async function untilEnded(platform: NodeJS.Platform): Promise<NodeJS.Signals> {
  let release = () => {}
  try {
    return await new Promise((resolve) => {
      const ending = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGBREAK'] as const
      release = takeSignals(ending, resolve, platform)
    })
  } finally {
    release()
  }
}

/** How a program ended. */
export interface Ended {
  /** Its exit code, or 128 and the number of the signal. */
  readonly exit: number
  readonly signal: NodeJS.Signals | undefined
}

/**
 * Resolves when the program has ended.
 *
 * @throws {CliError} it could not be started
 */
export async function runChild(
  words: readonly string[],
  environment: Environment,
  { stdout, platform }: CliIO,
  signals: Signals,
): Promise<Ended> {
  const [program = '', ...args] = words
  let child: ChildProcess
  try {
    child = spawn(program, args, { stdio: ['inherit', stdout.fd, 'inherit'], env: environment })
    await once(child, 'spawn')
  } catch (error) {
    throw startError(error, words, environment, platform)
  }
  signals.forwardTo(child)
  const end = () => child.kill() // it cannot do its work without us
  process.once('exit', end)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { exit: code ?? exitCodeOf(signal!), signal: signal ?? undefined }
  } finally {
    process.off('exit', end)
  }
}

/**
 * At a terminal, this process ends by SIGINT as its program did, once all else is done. A shell stops a loop or a script at
 * Ctrl-C only if the command that it waits for has ended by the signal; the exit code that it shows is 130 either way.
 * The program may have ended before this process has seen the signal, so that tells nothing.
 */
export function endByInterrupt(platform: NodeJS.Platform): void {
  if (platform === 'win32' || !isInForeground()) return
  process.once('exit', () => {
    process.removeAllListeners('SIGINT')
    process.kill(process.pid, 'SIGINT')
  })
}

export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** Whether this process is in the group to which its terminal sends signals. */
function isInForeground(): boolean {
  try {
    const { group, foreground } = groupOf('self')
    return group === foreground
  } catch {
    return hasTerminal() // not Linux: a background job that gets SIGINT does not pass it on
  }
}

/** Whether the program has gone into a group of its own, as with `setsid`. What a terminal sends to ours does not reach it. */
function isElsewhere(pid: number | undefined): boolean {
  try {
    return pid !== undefined && groupOf(pid).group !== groupOf('self').group
  } catch {
    return false // it has ended, or this is not Linux
  }
}

function groupOf(pid: number | 'self') {
  // `pid (name) state ppid pgrp session tty_nr tpgid`: the name may contain anything.
  const [, , group, , , foreground] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return { group, foreground }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

function startError(
  error: unknown,
  words: readonly string[],
  environment: Environment,
  platform: NodeJS.Platform,
): CliError {
  const [program = ''] = words
  const shown = JSON.stringify(program)
  const batch = platform === 'win32' ? batchFile(program, environment) : undefined
  if (batch !== undefined) {
    return new CliError('USAGE', `${shown} is a batch file, which cannot be started directly: ${batch}`, {
      hint: `start it with cmd: cmd /c ${words.map(shellQuote).join(' ')}`,
      exit: NOT_EXECUTABLE,
    })
  }
  if (program !== '' && !isCode(error, 'ENOENT')) {
    return new CliError('USAGE', `cannot start ${shown}: ${reasonOf(error)}`, {
      hint: startHint(error, words),
      exit: NOT_EXECUTABLE,
    })
  }
  const file = fileOf(program, environment)
  if (file === undefined) {
    return new CliError('USAGE', `command not found: ${shown}`, { hint: commandHint(words), exit: NOT_FOUND })
  }
  const isScript = firstBytes(file) === '#!'
  return isScript
    ? new CliError('USAGE', `cannot start ${shown}: the interpreter in its first line was not found`, {
        hint: interpreterHint(file, words) ?? `correct the first line of ${shellQuote(file)}`,
        exit: NOT_FOUND,
      })
    : new CliError('USAGE', `cannot start ${shown}: its program loader was not found`, {
        hint: 'install a build of it for this system',
        exit: NOT_FOUND,
      })
}

/** Interpreters by the ending of a script. */
const INTERPRETERS: Readonly<Record<string, string>> = { js: 'node', mjs: 'node', cjs: 'node', py: 'python3', sh: 'sh' }

function startHint(error: unknown, words: readonly string[]): string {
  const [program = ''] = words
  if (isCode(error, 'E2BIG')) return 'shorten the arguments and the values of --env'
  if (isDirectory(program)) return 'name a program in this directory'
  if (!isCode(error, 'EACCES', 'EPERM', 'ENOEXEC')) return 'check the path of the program, and the limits of this shell'
  return interpreterHint(program, words) ?? `make it executable: chmod +x ${shellQuote(program)}`
}

function interpreterHint(file: string, [, ...args]: readonly string[]): string | undefined {
  const interpreter = INTERPRETERS[/\.([a-z]+)$/.exec(file)?.[1] ?? '']
  return interpreter && `write its interpreter before it: ${[interpreter, file, ...args].map(shellQuote).join(' ')}`
}

function commandHint([program = '', ...args]: readonly string[]): string {
  if (program.trim() === '') return 'write the command after --; was its variable not set?'
  if (/^[-\u2010-\u2015\u2212]+$/.test(program)) return 'write two hyphens before the command: --'
  if (program.startsWith('-')) return 'write the options before -- and the command after it'
  if (/^\w+=/.test(program)) return `set variables with --env, before the command: --env ${shellQuote(program)}`
  if (args.length === 0 && /\s/.test(program)) {
    return /[|&;<>$`"'()]/.test(program)
      ? `run a line of shell with: sh -c ${shellQuote(program)}`
      : `omit the quotes around the command: ${program}`
  }
  if (!/[\\/]/.test(program) && existsSync(program) && !isDirectory(program)) {
    return `for a file in this directory, write ${shellQuote(`./${program}`)}`
  }
  if (/[\\/]/.test(program)) return 'check the path: it is relative to this directory, unless it begins with /'
  return 'check the spelling, and that the program is installed and in PATH'
}

/** Windows starts batch files with cmd.exe, whose rules of quoting would make arguments into commands. */
function batchFile(program: string, environment: Environment): string | undefined {
  const names = /\.(?:cmd|bat)$/i.test(program) ? [program] : [`${program}.cmd`, `${program}.bat`]
  const folders = /[\\/]/.test(program) ? [''] : ['', ...pathOf(environment)]
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file))
}

/** The file that is started, also if its interpreter does not exist. */
function fileOf(program: string, environment: Environment): string | undefined {
  if (program === '') return undefined
  if (/[\\/]/.test(program)) return existsSync(program) ? program : undefined
  const files = pathOf(environment).map((folder) => join(folder, program))
  return files.find((file) => existsSync(file) && !isDirectory(file))
}

function pathOf(environment: Environment): string[] {
  const path = Object.entries(environment).find(([name]) => name.toUpperCase() === 'PATH')?.[1] ?? ''
  return path.split(delimiter)
}

function firstBytes(file: string): string {
  const bytes = Buffer.alloc(2)
  try {
    const descriptor = openSync(file, 'r')
    readSync(descriptor, bytes)
    closeSync(descriptor)
  } catch {
    // It cannot be read, but perhaps be started.
  }
  return bytes.toString('latin1')
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
