/** Runs the built CLI as a user would: a process of its own, in an environment where only what the test says is set. */
import { type ChildProcessByStdio, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { codeFolder, packageFolder } from '../package/packed.ts'
import { HANG_MS } from '../support/machine.ts'
import type { WorldAddresses } from './main.ts'
import { ownWorld } from './own.ts'

export const LAUNCHER = join(packageFolder(), 'bin', 'atproto-oauth.cjs')
/** For stdin that a test writes to while the program runs. */
export const TYPED = '\0typed'
/** Milliseconds for one dialogue at a terminal: the whole of it takes a second or two. */
const DIALOGUE_MS = 120_000

/** A home directory nobody else has, and where the CLI runs. */
export interface Home {
  readonly path: string
  /** Where the CLI is told to keep its state (`ATPROTO_OAUTH_HOME`). */
  readonly state: string
  remove(): Promise<void>
}

export interface CliOptions {
  readonly home: Home
  /** Over the clean environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Without it stdin is empty, and not a terminal. */
  readonly stdin?: string | undefined
  /** The Node to run it on, instead of `ATPROTO_OAUTH_TEST_NODE`, or this one. */
  readonly node?: string | undefined
  /** Milliseconds after which it is killed, where many share the processors. */
  readonly limit?: number | undefined
  /** In a session of its own, where it has no terminal, whoever runs the tests. */
  readonly detached?: boolean | undefined
  /** Outside vitest, where no world is provided. */
  readonly world?: WorldAddresses | undefined
}

export interface CliResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** stdout byte for byte. */
  readonly stdoutBytes: Buffer
}

export type CliProcess = ChildProcessByStdio<Writable | null, Readable, Readable>

export async function createHome(): Promise<Home> {
  const path = await mkdtemp(join(tmpdir(), 'atproto-oauth-home-'))
  await shareCode(path)
  return { path, state: join(path, 'state'), remove: () => rm(path, { recursive: true, force: true }) }
}

/** The first command in each home would compile the program again, which takes a fifth of its time. */
async function shareCode(home: string): Promise<void> {
  const code = codeFolder()
  if (code === undefined || process.platform !== 'linux') return
  const cache = join(home, '.cache', 'atproto-oauth')
  await mkdir(cache, { recursive: true, mode: 0o700 })
  await symlink(code, join(cache, 'code'))
}

export function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return finished(spawnCli(args, options))
}

/** A script of a shell user's, in which `atproto-oauth` is the built CLI. */
export function runShell(script: string, options: CliOptions): Promise<CliResult> {
  const command = [nodeFor(options), LAUNCHER].map((word) => `'${word}'`).join(' ')
  return finished(spawnIn(['bash', '-c', `atproto-oauth() { ${command} "$@"; }\n${script}`], options))
}

type Dialogue = readonly (readonly [question: string, answer: string | ((screen: string) => Promise<string>)])[]

/** At a terminal, which `script` provides: each answer is typed when its question is on the screen. */
export function runAtTerminal(
  args: string,
  questions: Dialogue,
  options: CliOptions,
): Promise<{ code: number | null; screen: string }> {
  return talk(`'${nodeFor(options)}' '${LAUNCHER}' ${args}`, questions, options)
}

/** The same with an interactive bash, which has jobs. The alias `atproto-oauth` is the built CLI. */
export async function talkToShell(
  questions: Dialogue,
  options: CliOptions,
): Promise<{ code: number | null; screen: string }> {
  const setup = join(options.home.path, 'setup.bash')
  await writeFile(setup, `PS1='READY> '; alias atproto-oauth="'${nodeFor(options)}' '${LAUNCHER}'"\n`)
  return talk(`bash --noprofile --rcfile '${setup}' -i`, questions, options)
}

async function talk(command: string, questions: Dialogue, options: CliOptions) {
  const child = spawnIn(['script', '-qec', command, '/dev/null'], { limit: DIALOGUE_MS, ...options, stdin: TYPED })
  const closed = once(child, 'close') as Promise<[number | null]>
  const waiting = [...questions]
  let screen = ''
  let seen = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
    const [next] = waiting
    const at = next ? screen.indexOf(next[0], seen) : -1
    if (!next || at < 0) return
    seen = at + next[0].length
    waiting.shift()
    const [, answer] = next
    if (typeof answer === 'string') child.stdin?.write(answer)
    else void answer(screen).then((typed) => child.stdin?.write(typed))
  })
  child.stderr.resume()
  const [code] = await closed
  if (child.signalCode === 'SIGKILL')
    throw new Error(`a terminal waited for ${waiting[0]?.[0] ?? 'its end'}: ${screen}`)
  return { code, screen }
}

/** For tests that send signals or watch the output grow; stdout and stderr are pipes that somebody must read. */
export function spawnCli(args: readonly string[], options: CliOptions): CliProcess {
  return spawnNode([LAUNCHER, ...args], options)
}

/** Another script, in the same environment. */
export function spawnNode(args: readonly string[], options: CliOptions): CliProcess {
  return spawnIn([nodeFor(options), ...args], options)
}

function nodeFor({ node }: CliOptions): string {
  return node ?? process.env['ATPROTO_OAUTH_TEST_NODE'] ?? process.execPath
}

function spawnIn(
  [program, ...args]: readonly string[],
  { home, env = {}, stdin, world, detached = false, limit = HANG_MS }: CliOptions,
): CliProcess {
  const stdio: StdioOptions = [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
  const child = spawn(program!, args, {
    cwd: home.path,
    env: defined({ ...cleanEnvironment(home, world ?? ownWorld()), ...env }),
    stdio,
    detached,
    timeout: limit,
    killSignal: 'SIGKILL',
  }) as CliProcess
  child.stdin?.on('error', () => {}) // a CLI that ends without reading is no fault of the test
  if (stdin !== TYPED) child.stdin?.end(stdin)
  return child
}

async function finished(child: CliProcess): Promise<CliResult> {
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const [stdout, stderr, [code, signal]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), closed])
  return { code, signal, stdout: stdout.toString(), stderr: stderr.toString(), stdoutBytes: stdout }
}

function cleanEnvironment(home: Home, world: WorldAddresses): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    HOME: home.path,
    NO_COLOR: '1',
    ATPROTO_OAUTH_HOME: home.state,
    ATPROTO_OAUTH_DEV: '1',
    ATPROTO_OAUTH_PLC_URL: world.plcUrl,
    ATPROTO_OAUTH_HANDLE_RESOLVER: world.handleResolverUrl,
  }
}

function defined(env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
