/**
 * What the tests of src/node/ share: folders that go away, records, and other processes.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { hintOf } from '../../src/cli/errors.ts'
import { isOAuthError } from '../../src/errors.ts'
import type { Did, Origin, P256Jwk, PendingAuthorization, PrivateJwk, SessionRecord } from '../../src/model.ts'
import { compiled } from '../support/compiled.ts'

/** The private members of a real key: whatever of them is in a message is a leak. */
export const KEY: P256Jwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'rPQUCtOMZ4GhMTp9oUhcEBUXZGxcmQWcCJPBkkGBbZM',
  y: 'Dcz3KfkL6YIpXnCOmh2LyFDxoyvXcPgwDlF_fBcpFN0',
  d: 'canary-d-'.padEnd(43, '5'),
}
export const THUMBPRINT = thumbprintOf(KEY)

export function thumbprintOf({ crv, x, y }: PrivateJwk): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv, kty: 'EC', x, y }))
    .digest('base64url')
}

export function sessionRecord(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 1,
    thumbprint: THUMBPRINT,
    did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' as Did,
    pds: 'https://pds.example.com' as Origin,
    clientId: 'http://localhost?scope=atproto',
    scope: 'atproto',
    dpopPrivateJwk: KEY,
    accessToken: 'canary-access',
    accessTokenExpiresAt: 1_800_000_000_000,
    refreshToken: 'canary-refresh',
    spentTokens: [],
    ...changes,
  }
}

export function pendingRecord(changes: Partial<PendingAuthorization> = {}): PendingAuthorization {
  return {
    version: 1,
    status: 'pending',
    state: 'canary-state',
    issuer: 'https://as.example.com' as Origin,
    clientId: 'http://localhost?scope=atproto',
    redirectUri: 'http://127.0.0.1/callback',
    scope: 'atproto',
    codeVerifier: 'canary-verifier',
    dpopPrivateJwk: KEY,
    nonces: { 'https://as.example.com': 'n1' },
    createdAt: 1_700_000_000_000,
    requestExpiresAt: 1_700_000_300_000,
    expiresAt: 1_700_003_600_000,
    ...changes,
  }
}

/** A folder of the test's own. */
export async function tempFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'atproto-oauth-test-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  /** Resolves when its stdout has this text; rejects if it ends without. */
  said(text: string): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** To its stdin. */
  write(text: string): void
  readonly ended: Promise<Ended>
}

/**
 * A Node process that runs `code`, an ES module that finds src/ under `SRC`. It gets its end with the test's.
 *
 * @param command what starts it: the program, and before Node's own arguments its own
 */
export function startNode(code: string, args: readonly string[] = [], command: readonly string[] = []): Running {
  const { code: script, source: SRC } = compiled(code)
  const node = [process.execPath, '--input-type=module', '-e', script, '--', ...args]
  const [program, ...rest] = [...command, ...node]
  const child = spawn(program!, rest, { env: { ...process.env, LC_ALL: 'C', SRC } })
  let stdout = ''
  let stderr = ''
  const heard = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
    for (const look of heard) look()
  })
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return {
    pid: child.pid!,
    said: (text) =>
      new Promise((resolve, reject) => {
        const look = () => stdout.includes(text) && resolve()
        heard.add(look)
        look()
        ended.then((end) => reject(new Error(`it ended without saying ${text}: ${end.stdout}${end.stderr}`)), reject)
      }),
    kill: (signal) => child.kill(signal),
    write: (text) => child.stdin.end(text),
    ended,
  }
}

/** What starts a program for which `folder` is a file system of half a megabyte, which can really be full. */
export function onTinyDisk(folder: string): string[] {
  return ['unshare', '-rm', 'bash', '-c', 'mount -t tmpfs -o size=512k none "$0" && exec "$@"', folder]
}

/** Not every system lets its users mount something of their own. */
export function hasTinyDisk(): boolean {
  const [program, ...args] = onTinyDisk(import.meta.dirname)
  return spawnSync(program!, [...args, 'true']).status === 0
}

/** Everything of an error that a person or a log could get to see. */
export function shown(error: Error): string {
  const cause = error.cause instanceof Error ? shown(error.cause) : String(error.cause ?? '')
  return [
    error.message,
    ...(isOAuthError(error) ? [hintOf(error), JSON.stringify(error.facts)] : []),
    error.stack,
    cause,
  ].join('\n')
}

/** Waits for what another process does; a test that waits in vain ends at its time limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}
