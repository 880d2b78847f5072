/**
 * Runs the user's git, with their set-up of the network and their credentials, and with nothing else of theirs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Environment, withoutOurs } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { endGroup, within } from '../save/program.ts'
import { isCode } from '../store/files.ts'

/** In milliseconds: for what goes over the network, for what does not, and to end after SIGTERM. */
export const GIT_TIMES = { network: 30_000, local: 15_000, grace: 1_000 } as const
/** Milliseconds; what git left running, as the shared connection of ssh, keeps its stderr open. */
const DRAIN = 200
/** Bytes. */
const OUTPUT_LONGEST = 4 * 1024 * 1024
const ERRORS_LONGEST = 64 * 1024

/**
 * How the user reaches servers, where git is installed, and which configuration is theirs. Everything else that git
 * reads from the environment may redirect it to another repository, and print requests with their credentials.
 */
const KEPT =
  /^GIT_(?:SSL_\w+|SSH|SSH_COMMAND|SSH_VARIANT|PROXY_\w+|ASKPASS|EXEC_PATH|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+))$/

/** Settings of the user that would change what is sent or stored, or run something of theirs. */
const SETTINGS = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.logAllRefUpdates', 'false'],
  ['commit.gpgSign', 'false'],
  ['push.gpgSign', 'false'],
  ['push.followTags', 'false'],
  ['push.recurseSubmodules', 'no'],
  ['push.negotiate', 'false'],
  ['push.pushOption', ''],
  ['fetch.recurseSubmodules', 'false'],
  ['fetch.prune', 'false'],
  ['fetch.pruneTags', 'false'],
  ['fetch.writeCommitGraph', 'false'],
  ['fetch.unpackLimit', '10000'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['transfer.fsckObjects', 'true'],
  ['protocol.version', '2'],
  ['protocol.ext.allow', 'never'],
  // A token is for the host in the address only, and the address is what the vault is recognized by.
  ['http.followRedirects', 'false'],
  ['pack.threads', '1'],
  ['color.ui', 'false'],
] as const

export interface GitResult {
  /** `undefined` if it was killed. */
  readonly code: number | undefined
  readonly timedOut: boolean
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Buffer
  readonly timeout?: number
}

export interface Git {
  /** As in `2.39.5`. */
  readonly version: string
  readonly environment: NodeJS.ProcessEnv
  run(folder: string | undefined, args: readonly string[], options?: RunOptions): Promise<GitResult>
  /** For a dialogue over stdin and stdout; the caller ends it. */
  start(folder: string, args: readonly string[]): ChildProcess
}

/** A header for one URL, instead of all others that git would send to it. */
export interface GitHeader {
  readonly url: string
  readonly header: string
}

/** The environment without what would redirect git, and with a fixed author, language and date. */
function gitEnvironment(environment: Environment): NodeJS.ProcessEnv {
  const clean = Object.entries(withoutOurs(environment)).filter(([name]) => !/^GIT_/i.test(name) || KEPT.test(name))
  const { SSH_ASKPASS: _, ...rest } = Object.fromEntries(clean)
  return {
    ...rest,
    LC_ALL: 'C',
    LANGUAGE: '',
    GIT_TERMINAL_PROMPT: '0',
    GCM_INTERACTIVE: 'never',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_AUTHOR_NAME: 'atproto-oauth',
    GIT_AUTHOR_EMAIL: 'atproto-oauth@localhost',
    GIT_AUTHOR_DATE: '946684800 +0000',
    GIT_COMMITTER_NAME: 'atproto-oauth',
    GIT_COMMITTER_EMAIL: 'atproto-oauth@localhost',
    GIT_COMMITTER_DATE: '946684800 +0000',
  }
}

/**
 * Finds git, and prepares its environment.
 *
 * @throws {OAuthError} `VAULT_INVALID` with `git-missing` or `git-outdated`
 */
export async function findGit(
  environment: Environment,
  { headers, ssh }: { headers?: readonly GitHeader[] | undefined; ssh?: boolean } = {},
): Promise<Git> {
  const env = gitEnvironment(environment)
  const run: Git['run'] = (folder, args, options) => runGit(env, folder, args, options)
  const version = parseVersion((await run(undefined, ['--version'])).stdout.toString())
  if (!isRecent(version, 2, 20)) {
    throw new OAuthError('VAULT_INVALID', `git ${version} is too old`, { facts: { reason: 'git-outdated' } })
  }
  if (headers) addSettings(env, headers.flatMap(headerSettings), isRecent(version, 2, 31))
  if (ssh) await makeSshSilent(env, run)
  return { version, environment: env, run, start: (folder, args) => startGit(env, folder, args) }
}

function parseVersion(text: string): string {
  return /(\d+\.\d+(?:\.\d+)*)/.exec(text)?.[1] ?? '0'
}

function isRecent(version: string, major: number, minor: number): boolean {
  const [one = 0, two = 0] = version.split('.').map(Number)
  return one > major || (one === major && two >= minor)
}

/** An empty value first: it removes headers that others set, for two of them are rejected. */
function headerSettings({ url, header }: GitHeader): [key: string, value: string][] {
  return [
    [`http.${url}.extraHeader`, ''],
    [`http.${url}.extraHeader`, header],
    // Credentials of git itself would be sent, and asked for, after these were rejected.
    ['credential.helper', ''],
    ['core.askPass', ''],
  ]
}

/** In the environment, which other users of the machine cannot see, as opposed to arguments. */
function addSettings(
  env: NodeJS.ProcessEnv,
  settings: readonly (readonly [string, string])[],
  hasCount: boolean,
): void {
  delete env['GIT_ASKPASS']
  if (!hasCount) {
    // What git itself passes on for its option -c.
    env['GIT_CONFIG_PARAMETERS'] = settings
      .map(([key, value]) => `'${`${key}=${value}`.replaceAll("'", `'\\''`)}'`)
      .join(' ')
    return
  }
  const given = Number(env['GIT_CONFIG_COUNT'] ?? 0)
  const first = Number.isSafeInteger(given) && given > 0 ? given : 0
  settings.forEach(([key, value], index) => {
    env[`GIT_CONFIG_KEY_${first + index}`] = key
    env[`GIT_CONFIG_VALUE_${first + index}`] = value
  })
  env['GIT_CONFIG_COUNT'] = String(first + settings.length)
}

/** A program of the user that is not ssh itself may not know its options. */
async function makeSshSilent(env: NodeJS.ProcessEnv, run: Git['run']): Promise<void> {
  if (env['GIT_SSH']) return
  const configured =
    env['GIT_SSH_COMMAND'] ?? (await run(undefined, ['config', '--get', 'core.sshCommand'])).stdout.toString().trim()
  const command = configured === '' ? 'ssh' : configured
  if (/^(?:\S*\/)?ssh(?:\s|$)/.test(command)) env['GIT_SSH_COMMAND'] = `${command} -oBatchMode=yes -oConnectTimeout=15`
}

function commandLine(folder: string | undefined, args: readonly string[]): string[] {
  const settings = SETTINGS.flatMap(([key, value]) => ['-c', `${key}=${value}`])
  return [...settings, ...(folder === undefined ? [] : [`--git-dir=${folder}`]), ...args]
}

function startGit(env: NodeJS.ProcessEnv, folder: string | undefined, args: readonly string[]): ChildProcess {
  return spawn('git', commandLine(folder, args), {
    env,
    // Not that of the user: git would look for a repository there, and keep the folder busy on Windows.
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
    // In a group of its own: to be killed with all that it started, and not by a signal that is for us.
    detached: process.platform !== 'win32',
    windowsHide: true,
  })
}

async function runGit(
  env: NodeJS.ProcessEnv,
  folder: string | undefined,
  args: readonly string[],
  { input = '', timeout = GIT_TIMES.local }: RunOptions = {},
): Promise<GitResult> {
  const child = startGit(env, folder, args)
  const ended = once(child, 'exit') as Promise<[code: number | null]>
  const output = collect(child.stdout!, OUTPUT_LONGEST)
  const errors = collect(child.stderr!, ERRORS_LONGEST)
  child.stdin!.on('error', () => undefined) // git that ends without reading reports that by its exit code
  child.stdin!.end(input)
  try {
    const exit = await within(timeout, ended)
    if (exit === undefined) await endGroup(child, ended, GIT_TIMES.grace)
    if (exit !== undefined) await within(timeout, output.ended)
    await within(DRAIN, errors.ended)
    return {
      code: exit?.[0] ?? undefined,
      timedOut: exit === undefined,
      stdout: output.bytes(),
      stderr: errors.bytes().toString(),
    }
  } catch (error) {
    throw notStarted(error)
  } finally {
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
    child.unref()
  }
}

function collect(stream: NodeJS.ReadableStream, longest: number) {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    if (size < longest) chunks.push(chunk)
    size += chunk.length
  })
  const ended = once(stream, 'close').catch(() => undefined)
  return { ended, bytes: () => Buffer.concat(chunks) }
}

/** @returns the error of a program that could not be started, in our words */
export function notStarted(error: unknown): unknown {
  if (!isCode(error, 'ENOENT', 'EACCES')) return error
  return new OAuthError('VAULT_INVALID', 'git is not installed, or not in PATH', {
    cause: error,
    facts: { reason: 'git-missing' },
  })
}
