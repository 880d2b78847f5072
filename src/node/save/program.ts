/**
 * `exec:COMMAND` and `gh:`: programs that read the credentials as dotenv on stdin. And what runs any program.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as pause } from 'node:timers/promises'
import { withoutOurs } from '../../credentials/variables.ts'
import { dotenvLines } from '../../credentials/write.ts'
import type { SaveTarget } from '../../ports.ts'
import { isCode } from '../store/files.ts'
import { cannotSave } from './failure.ts'
import { shownOutput } from './redact.ts'

/** In milliseconds. The session is locked meanwhile. */
export interface ProgramLimits {
  /** For the whole run. */
  readonly timeout: number
  /** To end after SIGTERM, and again to disappear after SIGKILL. */
  readonly grace: number
}

export const PROGRAM_LIMITS: ProgramLimits = { timeout: 30_000, grace: 3_000 }
/** Milliseconds; a process that the program left behind may hold its streams open for ever. */
const DRAIN = 200
/** Milliseconds to end after SIGTERM, if this process ends as well. */
const LAST_GRACE = 200
/** Milliseconds that one save by a program takes at most. */
export const PROGRAM_LONGEST = PROGRAM_LIMITS.timeout + 2 * PROGRAM_LIMITS.grace + DRAIN

/** Characters of a program's output: how many are kept while it runs, and how many are shown. */
const OUTPUT_KEPT = 64 * 1024
const OUTPUT_SHOWN = 4 * 1024

export interface ProgramSettings {
  readonly environment: NodeJS.ProcessEnv
  /**
   * Gets what a failed program printed, safe to show. Without it, programs print to stderr themselves; what they print to
   * stdout goes there too, safe to show, when they have ended.
   */
  readonly onOutput?: ((text: string) => void) | undefined
  readonly limits?: ProgramLimits
}

export interface Program {
  readonly command: string
  readonly arguments: readonly string[]
  readonly shell: boolean
}

interface Run {
  readonly environment: NodeJS.ProcessEnv
  readonly limits?: ProgramLimits | undefined
  /** Written to its stdin, which is empty otherwise. */
  readonly input?: string
  /** Gets what it prints to stderr, which is ours otherwise. */
  readonly onText?: ((text: string) => void) | undefined
  /** Gets its stdout. An error that it throws ends the program. */
  readonly onData: (bytes: Buffer) => void
  /** It ends when this process does. Otherwise it is waited for, whatever signal arrives. */
  readonly endsWithUs?: boolean
}

/** By /bin/sh, on Windows by cmd.exe. */
export function programTarget(name: string, command: string, settings: ProgramSettings): SaveTarget {
  return target(name, { command, arguments: [], shell: true }, settings)
}

/** Runs the GitHub CLI, which encrypts the secret; it needs a token that may write secrets. */
export function githubTarget(
  name: string,
  { repository, environment }: { readonly repository: string | undefined; readonly environment: string | undefined },
  settings: ProgramSettings,
): SaveTarget {
  const flags = [...(repository ? ['--repo', repository] : []), ...(environment ? ['--env', environment] : [])]
  const program = { command: 'gh', arguments: ['secret', 'set', '--env-file', '-', ...flags], shell: false }
  return target(name, program, settings)
}

function target(name: string, program: Program, settings: ProgramSettings): SaveTarget {
  return {
    name,
    durable: true,
    async save(entries) {
      const { environment, limits, onOutput } = settings
      let printed = ''
      const keep = (text: string) => {
        printed = (printed + text).slice(-OUTPUT_KEPT)
      }
      const show = (print: (text: string) => void) => {
        const shown = shownOutput(printed, entries, OUTPUT_SHOWN)
        if (shown !== '') print(shown)
      }
      const decoder = new StringDecoder()
      // `cat` and `tee` print what they are given, and a log must not have it.
      const onData = (bytes: Buffer) => keep(decoder.write(bytes))
      const input = dotenvLines(entries)
      try {
        await run(program, { environment: withoutOurs(environment), limits, input, onData, onText: onOutput && keep })
      } catch (error) {
        show(onOutput ?? toStderr)
        throw cannotSave(name, isCode(error, 'ENOENT') ? new Error(`command not found: ${program.command}`) : error)
      }
      if (onOutput === undefined) show(toStderr)
    },
  }
}

function toStderr(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** @throws {Error} it failed, and why, without anything that it printed */
export async function run(
  program: Program,
  { environment, limits = PROGRAM_LIMITS, input, onText, onData, endsWithUs = false }: Run,
): Promise<void> {
  const { command, shell } = program
  const child = spawn(command, [...program.arguments], {
    shell,
    env: environment,
    // Its stdout is not ours, which carries data.
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', onText ? 'pipe' : 2],
    // In a group of its own: a signal to ours would reach it in the middle of the save that we wait for.
    detached: process.platform !== 'win32',
    windowsHide: true,
  })
  let fail: (error: unknown) => void
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)
  if (onText) child.stderr?.setEncoding('utf8').on('data', onText)
  child.stdout?.on('data', (bytes: Buffer) => {
    try {
      onData(bytes)
    } catch (error) {
      fail(error)
    }
  })
  child.stdin?.on('error', () => undefined) // a program that ends without reading reports that by its exit code
  child.stdin?.end(input)
  const closed = once(child, 'close')
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>
  closed.catch(() => undefined)
  const endNow = () => {
    if (!signalGroup(child, 'SIGTERM') || process.platform === 'win32') return
    // The process ends, and nothing can be awaited.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_GRACE)
    signalGroup(child, 'SIGKILL')
  }
  if (endsWithUs) process.once('exit', endNow)
  try {
    const outcome = await within(limits.timeout, Promise.race([ended, failed])).catch(async (error: unknown) => {
      await endGroup(child, ended, limits.grace)
      throw error
    })
    if (outcome === undefined) await endGroup(child, ended, limits.grace)
    await within(DRAIN, closed)
    if (outcome === undefined) throw new Error(`timed out after ${limits.timeout / 1000} seconds`)
    const [code, signal] = outcome
    if (code !== 0) throw new Error(signal ? `killed by ${signal}` : `exit code ${code}`)
  } finally {
    process.off('exit', endNow)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
    child.unref() // what cannot be killed, as on a hung network share, does not keep us
  }
}

/** SIGTERM, then SIGKILL, to the program and all that it started. */
export async function endGroup(child: ChildProcess, ended: Promise<unknown>, grace: number): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  if (process.platform === 'win32') {
    spawn('taskkill', ['/pid', String(pid), '/t', '/f'], { stdio: 'ignore', windowsHide: true })
      .on('error', () => child.kill())
      .unref()
    await within(grace, ended)
    return
  }
  const deadline = performance.now() + grace
  signalGroup(child, 'SIGTERM')
  await within(grace, ended)
  // What the program started may outlive it, and gets the rest of the time.
  if (signalGroup(child, 0)) await pause(Math.max(0, deadline - performance.now()))
  if (signalGroup(child, 'SIGKILL')) await within(grace, ended)
}

/** @returns whether any of the program and what it started was left */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  try {
    return pid !== undefined && process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    return false
  }
}

/** The result of `work`, or `undefined` if it is not there in time. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  const late = pause(milliseconds, undefined, { signal: over.signal }).catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}
