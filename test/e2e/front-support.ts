/** What tests of `run` have in common: a program that tells what it was given, and stays until it is ended. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, onTestFinished } from 'vitest'
import { type CliOptions, type CliProcess, spawnCli } from '../world/cli.ts'
import type { World } from '../world/world.ts'
import { type LoggedIn, logIn } from './support.ts'

/** Prints what it has, in one line, and waits. */
const TELLING = `process.stdout.write(JSON.stringify({ pid: process.pid, env: process.env }) + '\\n'); setInterval(() => {}, 1e6)`

export interface Running extends LoggedIn {
  /** `run` itself. */
  readonly cli: CliProcess
  /** The process that it started. */
  readonly child: { readonly pid: number; readonly env: Readonly<Record<string, string>> }
  readonly url: string
  readonly password: string
  /** @returns how `run` ended */
  ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

interface RunOptions extends Partial<CliOptions> {
  readonly args?: readonly string[]
  readonly scope?: string
  /** By default somebody who signs in for this. */
  readonly loggedIn?: LoggedIn
}

/** `run` with a program that waits; both end with the test. */
export async function startRun(
  world: World,
  { args = [], scope, loggedIn: given, ...options }: RunOptions = {},
): Promise<Running> {
  const loggedIn = given ?? (await logIn(world, scope))
  const { home, env } = loggedIn
  const command = ['run', ...args, '--', process.execPath, '-e', TELLING]
  const cli = spawnCli(command, { home, ...options, env: { ...env, ...options.env } })
  const closed = once(cli, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  let stderr = ''
  cli.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [line] = await Promise.race([once(createInterface(cli.stdout), 'line') as Promise<[string]>, closed])
  expect(line, stderr).toMatch(/^\{/)
  const child = JSON.parse(line as string) as Running['child']
  onTestFinished(() => {
    for (const pid of [child.pid, cli.pid!]) kill(pid)
  })
  const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_PASSWORD: password } = child.env
  const ended = async () => {
    const [code, signal] = await closed
    return { code, signal }
  }
  return { ...loggedIn, cli, child, url: url!, password: password!, ended }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Signs in at a front, as a program does. */
export async function signInAt(url: string, identifier: string, password: string): Promise<Response> {
  return fetch(`${url}/xrpc/com.atproto.server.createSession`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ identifier, password }),
  })
}

export async function tokensAt(
  url: string,
  identifier: string,
  password: string,
): Promise<{ accessJwt: string; refreshJwt: string }> {
  const response = await signInAt(url, identifier, password)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as { accessJwt: string; refreshJwt: string }
}

export const tokenAt = async (url: string, identifier: string, password: string) =>
  (await tokensAt(url, identifier, password)).accessJwt
