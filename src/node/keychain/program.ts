/**
 * Runs the program of the system that reaches its keychain. Secrets are on its stdin and stdout, never in its arguments.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { withoutOurs } from '../../credentials/variables.ts'
import { OAuthError, type PlainReason } from '../../errors.ts'

export interface KeychainSettings {
  readonly environment: NodeJS.ProcessEnv
  /** Somebody may be there to unlock the keychain. */
  readonly isInteractive: boolean
  /** Instead of the system's own. */
  readonly program?: string | undefined
  /** Milliseconds to unlock the keychain: with somebody there, and without. */
  readonly timeouts?: { readonly attended: number; readonly unattended: number }
}

const TIMEOUTS = { attended: 120_000, unattended: 15_000 }
const OUTPUT_LARGEST = 64 * 1024

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @throws {OAuthError} `STORE_LOCKED` there is no such program, or it was not done in time */
export async function runProgram(
  command: string,
  args: readonly string[],
  input: string,
  { environment, isInteractive, timeouts = TIMEOUTS }: KeychainSettings,
): Promise<Ran> {
  const child = spawn(command, [...args], {
    env: withoutOurs(environment),
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  })
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)]
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(input)
  const over = new AbortController()
  const late = pause(timeouts[isInteractive ? 'attended' : 'unattended'], 'late' as const, { signal: over.signal })
  late.catch(() => undefined)
  try {
    const end = await Promise.race([closed(child), late])
    if (end === 'late') throw lockedKeychain('it was not unlocked in time')
    return { code: end, stdout: stdout(), stderr: stderr().trim() }
  } catch (error) {
    if (error instanceof OAuthError) throw error
    throw keychainError(`cannot run ${command}`, 'keychain-missing', error)
  } finally {
    over.abort()
    child.kill('SIGKILL')
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    child.unref()
  }
}

async function closed(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

function textOf(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    if (text.length < OUTPUT_LARGEST) text += chunk
  })
  return () => text
}

/** @param why what the program printed, which has no secret in it */
export function lockedKeychain(why: string): OAuthError {
  return keychainError(`the keychain is locked${why === '' ? '' : `: ${why}`}`, 'keychain-locked')
}

export function keychainMissing(why: string): OAuthError {
  return keychainError(`there is no keychain that can be used${why === '' ? '' : `: ${why}`}`, 'keychain-missing')
}

export function entryMissing(): OAuthError {
  return keychainError('the keychain has no key for this store', 'keychain-entry-missing')
}

function keychainError(message: string, reason: PlainReason, cause?: unknown): OAuthError {
  return new OAuthError('STORE_LOCKED', `${message}; nothing was sent`, { cause, facts: { reason } })
}
