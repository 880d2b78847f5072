/** What the end-to-end tests have in common: a home, an account, and a login made with the built CLI. */
import { parse } from 'dotenv'
import { afterEach, expect } from 'vitest'
import { type CliOptions, type CliResult, createHome, type Home, runCli } from '../world/cli.ts'
import { type Decision, signIn } from '../world/person.ts'
import type { Account, World } from '../world/world.ts'

const homes: Home[] = []
afterEach(async () => {
  await Promise.all(homes.splice(0).map((home) => home.remove()))
})

export async function newHome(): Promise<Home> {
  const home = await createHome()
  homes.push(home)
  return home
}

export const CONSENT: Decision = { consent: true }
/** What people need who write posts. */
export const GENERIC = 'atproto transition:generic'

/** `init`, and the person at the browser. @returns the callback URL */
export async function callbackFor(
  account: Account,
  home: Home,
  { scope = GENERIC, decision = CONSENT, env }: { scope?: string; decision?: Decision; env?: CliOptions['env'] } = {},
): Promise<string> {
  const started = await runCli(['init', account.handle, '--scope', scope], { home, env })
  expect(started).toMatchObject({ code: 0 })
  return signIn(started.stdout.trim(), account, decision)
}

export interface LoggedIn {
  readonly account: Account
  readonly home: Home
  /** The credentials, as variables. */
  readonly env: Record<string, string>
  readonly printed: CliResult
}

/** The whole login; the credentials come from what `complete` printed. */
export async function logIn(world: World, scope = GENERIC): Promise<LoggedIn> {
  const account = await world.createAccount()
  const home = await newHome()
  const printed = await runCli(['complete'], { home, stdin: await callbackFor(account, home, { scope }) })
  expect(printed).toMatchObject({ code: 0 })
  return { account, home, env: parse(printed.stdoutBytes), printed }
}

/** A failed command: its exit code, an empty stdout, and the three lines of its error. */
export function expectFailure(result: CliResult, exit: number, code: string): void {
  expect(result.stdout).toBe('')
  expect(result.stderr).toContain(`[${code}]`)
  expect(result.stderr).toMatch(/^atproto-oauth: error: .+$/m)
  expect(result.stderr).toMatch(/^atproto-oauth: session: .+$/m)
  expect(result.stderr).toMatch(/^atproto-oauth: hint: .+$/m)
  expect(result.code).toBe(exit)
}

/** What our tool sent, as `METHOD server path`; the servers talk with each other too. */
export async function sentByUs(world: World): Promise<string[]> {
  const ours = await world.requests(({ userAgent }) => userAgent?.startsWith('atproto-oauth/') === true)
  return ours.map(({ method, server, path }) => `${method} ${server} ${path.replace(/\?.*/, '')}`)
}
