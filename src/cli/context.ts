/**
 * Creates the runtime of a command from its options and the environment. It imports the whole protocol, so it is loaded
 * only when a command runs, not for `--help`.
 */
import { hostname } from 'node:os'
import { readClientJwk } from '../credentials/read.ts'
import type { Origin } from '../model.ts'
import { nodeRuntime } from '../node/runtime.ts'
import type { LockHolder } from '../node/store/lock.ts'
import type { Runtime } from '../ports.ts'
import { asServer, asUrl } from '../protocol/identity/syntax.ts'
import { CliError } from './errors.ts'
import { type CliIO, inCi, programName } from './io.ts'
import { type CommonOptions, flagsFor, fromEnvironment, type SavingOptions, SETTINGS, type Setting } from './options.ts'
import type { Output } from './output.ts'

export interface Context {
  /** Global options, before or after the command. */
  readonly common: CommonOptions
  readonly io: CliIO
  readonly output: Output
  readonly runtime: Runtime
  readonly dev: boolean
}

/** @throws {OAuthError} `USAGE` */
export function createContext(io: CliIO, output: Output, options: SavingOptions & { account?: string }): Context {
  const { environment } = io
  const dev = SETTINGS.dev.read(options, environment) ?? false
  const server = (setting: typeof SETTINGS.plcUrl | typeof SETTINGS.handleResolver) => {
    const text = setting.read(options, environment)
    return text === undefined ? undefined : parseServer(text, setting, dev)
  }
  if (dev) output.warn('development mode: http: and private addresses are allowed')
  const runtime = nodeRuntime({
    home: SETTINGS.home.read(options, environment),
    stateFile: SETTINGS.stateFile.read(options, environment),
    plcUrl: server(SETTINGS.plcUrl),
    handleResolver: server(SETTINGS.handleResolver),
    clientJwk: readClientJwk(environment),
    dev,
    save: SETTINGS.save.read(options, environment),
    requireDurable: inCi(io) && fromEnvironment(options.account, environment),
    onWarning: output.warn,
    onRequest: output.debug,
    onWait: (holder) => showWait(holder, output),
    onProgramOutput: output.json ? output.programOutput : undefined,
  })
  return { common: options, io, output, runtime, dev }
}

/** A command to paste, with the flags of this run that it needs. */
export function commandToPaste(command: string, { common, io }: Pick<Context, 'common' | 'io'>): string {
  return (command + flagsFor(command, common)).replace(/^atproto-oauth/, programName(io))
}

/** @returns ends it */
function showWait({ pid, host }: LockHolder, { debug, progress }: Output): () => void {
  const where = host === hostname() ? `process ${pid}` : `process ${pid} on ${host}`
  const text = `waiting for ${where}, which is refreshing this session`
  debug(text)
  const { promise, end } = until()
  void progress.during(
    () => text,
    () => promise,
  )
  return end
}

function until(): { promise: Promise<void>; end: () => void } {
  let end = () => {}
  const promise = new Promise<void>((resolve) => {
    end = resolve
  })
  return { promise, end }
}

function parseServer(
  text: string,
  { flag, name }: Pick<Setting<string, string>, 'flag' | 'name'>,
  dev: boolean,
): Origin {
  const server = asServer(text, dev)
  if (server !== undefined) return server
  const isHttp = asUrl(text)?.protocol === 'http:'
  const hint = isHttp
    ? 'for a server with http:, add --dev or set ATPROTO_OAUTH_DEV=1'
    : `write it as ${flag} https://host.example.com`
  throw new CliError('USAGE', `${name} must be an https origin: https:// and a host`, { hint })
}
