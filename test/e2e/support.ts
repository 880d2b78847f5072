/** What the end-to-end tests have in common: a home, an account, and a login. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { parse } from 'dotenv'
import { expect, onTestFinished, vi } from 'vitest'
import { formatCredentials } from '../../src/credentials/write.ts'
import { type ErrorCode, type SessionState, USUAL_STATE } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import type { Runtime } from '../../src/ports.ts'
import { HANG_MS } from '../support/machine.ts'
import { type CliResult, createHome, type Home, runCli } from '../world/cli.ts'
import type { WorldAddresses } from '../world/main.ts'
import { ownWorld } from '../world/own.ts'
import { type Decision, signIn } from '../world/person.ts'
import type { Account, World } from '../world/world.ts'

/** Gone with its test. */
export async function newHome(): Promise<Home> {
  const home = await createHome()
  onTestFinished(() => home.remove())
  return home
}

export const CONSENT: Decision = { consent: true }
/** What people need who write posts. */
export const GENERIC = 'atproto transition:generic'

/** This process as the CLI would be with that home. */
export function library(world: WorldAddresses, home: Home): Runtime {
  const { plcUrl, handleResolverUrl: handleResolver } = world
  return nodeRuntime({ home: home.state, plcUrl, handleResolver, dev: true })
}

/**
 * A login that waits for its callback, for tests of what comes after it: without the cost of a process. How the CLI
 * begins one is proven in main-job.test.ts.
 *
 * @returns the callback URL
 */
export async function callbackFor(
  account: Account,
  home: Home,
  {
    scope = GENERIC,
    decision = CONSENT,
    world = ownWorld(),
  }: { scope?: string; decision?: Decision; world?: WorldAddresses } = {},
): Promise<string> {
  const { authorizationUrl } = await init(account.handle, { scope }, library(world, home))
  return signIn(authorizationUrl.href, account, decision)
}

export interface LoggedIn {
  readonly account: Account
  readonly home: Home
  /** The credentials, as variables. */
  readonly env: Record<string, string>
}

/** The whole login, as the CLI leaves it when it has printed the credentials. */
export async function logIn(world: World, scope = GENERIC): Promise<LoggedIn> {
  const account = await world.createAccount()
  const home = await newHome()
  const { credentials } = await complete(await callbackFor(account, home, { scope }), library(world, home))
  return { account, home, env: parse(formatCredentials(credentials, 'dotenv')) }
}

/** An account whose session is in the store of a home that the caller removes. */
export async function keptInStore(world: World): Promise<Omit<LoggedIn, 'env'>> {
  const account = await world.createAccount()
  const home = await createHome()
  const callback = await callbackFor(account, home)
  expect(await runCli(['complete', '--save', 'store'], { home, stdin: callback })).toMatchObject({ code: 0 })
  return { account, home }
}

const FATES: Readonly<Record<SessionState, RegExp>> = {
  none: /^$/,
  alive: /^(?:still valid)?$/,
  dead: /^ended$/,
  unknown: /^unknown/,
}

/**
 * A failed command: its exit code, an empty stdout, and the lines of its error.
 *
 * @param state what became of the session; by default what is usual for the code, or no session
 */
export function expectFailure(result: CliResult, exit: number, code: string, state?: SessionState): void {
  expect(result.stdout).toBe('')
  expect(result.stderr).toContain(`[${code}]`)
  expect(result.stderr).toMatch(/^atproto-oauth: error: .+$/m)
  expect(result.stderr).toMatch(/^atproto-oauth: hint: .+$/m)
  const fates = [...result.stderr.matchAll(/^atproto-oauth: session: (.+)$/gm)].map(([, fate]) => fate!)
  expect(fates.length).toBeLessThanOrEqual(1)
  expect(fates[0] ?? '', result.stderr).toMatch(FATES[state ?? USUAL_STATE[code as ErrorCode]])
  expect(result.code).toBe(exit)
}

/** What our tool sent, as `METHOD server path`; the servers talk with each other too. */
export async function sentByUs(world: World): Promise<string[]> {
  const ours = await world.requests(({ userAgent }) => userAgent?.startsWith('atproto-oauth/') === true)
  return ours.map(({ method, server, path, grantType }) => {
    const isForNonce = path === '/oauth/token' && grantType === undefined
    return `${method} ${server} ${path.replace(/\?.*/, '')}${isForNonce ? ' for a nonce' : ''}`
  })
}

/** The program with which a Linux desktop opens a URL. */
export interface Opener {
  readonly env: Readonly<Record<string, string>>
  /** Waits for it: how many arguments it got, and the first, a line each. */
  opened(): Promise<string>
}

export async function bringOpener(home: Home): Promise<Opener> {
  const [bin, log] = [join(home.path, 'bin'), join(home.path, 'opened')]
  await mkdir(bin)
  const script = `#!/bin/sh\nprintf '%s\\n' "$#" "$1" > "${log}.new" && mv "${log}.new" "${log}"\n`
  await writeFile(join(bin, 'xdg-open'), script, { mode: 0o755 })
  return {
    env: { PATH: `${bin}${delimiter}${process.env['PATH']}`, DISPLAY: ':0' },
    opened: () => vi.waitFor(() => readFile(log, 'utf8'), { timeout: HANG_MS }),
  }
}
