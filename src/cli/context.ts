/**
 * Creates the runtime of a command from its options and the environment. It imports the whole protocol, so it is loaded
 * only when a command runs, not for `--help`.
 */
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { readClientJwk } from '../credentials/read.ts'
import { VAULT, VAULT_KEY, variable } from '../credentials/variables.ts'
import type { Credentials } from '../model.ts'
import { encryptionSetting } from '../node/config/encryption.ts'
import { type Config, configPath, readConfig } from '../node/config/read.ts'
import { userFolders } from '../node/folders.ts'
import { expandTilde } from '../node/home.ts'
import { nodeRuntime } from '../node/runtime.ts'
import type { LockHolder } from '../node/store/lock.ts'
import type { KnownVault } from '../node/vault/known.ts'
import type { Runtime } from '../ports.ts'
import { endSession } from '../session/revoke.ts'
import { sanitize } from '../text.ts'
import { inCi } from './ci.ts'
import { checkNoStore, checkSetting, checkTargets, parseServer } from './config/check.ts'
import { givenCredentials } from './credentials/given.ts'
import { CliError } from './errors.ts'
import { type CliIO, programName } from './io.ts'
import { type CommonOptions, flagsFor, fromEnvironment, type SavingOptions, SETTINGS } from './options.ts'
import type { Output } from './output.ts'
import { storePassphrase, unlockStore } from './store-key.ts'

export interface Context {
  /** Global options, before or after the command. */
  readonly common: CommonOptions
  readonly io: CliIO
  readonly output: Output
  readonly runtime: Runtime
  readonly dev: boolean
  /** The user's settings, if there are any; for `doctor` those that can be used. */
  readonly config: Config | undefined
  /** The credentials in the environment, or of the program that it names. Runs the program when it is first called. */
  readonly given: () => Promise<Credentials | undefined>
}

/** How a command reads the user's settings. */
export type ConfigReader = typeof configOf

/** @throws {OAuthError} `USAGE` */
export function createContext(
  io: CliIO,
  output: Output,
  options: SavingOptions & { account?: string },
  readSettings: ConfigReader = configOf,
): Context {
  const { environment } = io
  const dev = SETTINGS.dev.read(options, environment) ?? false
  const config = readSettings(options, io, output)
  const server = (setting: typeof SETTINGS.plcUrl | typeof SETTINGS.handleResolver) => {
    const found = setting.find(options, environment, config)
    return found && parseServer(found, setting, dev)
  }
  const stateFile = SETTINGS.stateFile.read(options, environment)
  if (stateFile === '-') {
    throw new CliError('USAGE', '--state-file is a file, which cannot be stdin or stdout', {
      hint: 'name the file, as in: --state-file login.json',
    })
  }
  const saving = SETTINGS.save.find(options, environment, config)
  if (saving?.source === 'config') checkSetting('save', saving, dev)
  else checkTargets(saving)
  const save = saving?.value
  const noStore = SETTINGS.noStore.find(options, environment)
  const given = givenCredentials(io, dev, output)
  if (dev) output.warn('development mode: http: and private addresses are allowed')
  const home = homeOf(options, io)
  if (noStore?.value) checkNoStore(noStore, saving, mayHaveVault(environment, home))
  const runtime = nodeRuntime({
    home: SETTINGS.home.read(options, environment),
    stateFile,
    plcUrl: server(SETTINGS.plcUrl),
    handleResolver: server(SETTINGS.handleResolver),
    clientJwk: readClientJwk(environment),
    dev,
    save,
    noStore: noStore?.value,
    requireDurable: inCi(io) && fromEnvironment(options.account, environment),
    storeKey: () => storePassphrase({ io, output }),
    vault: {
      find: () => findVault(environment, home),
      only: variable(environment, VAULT) !== undefined,
      endSession: (record, runtime) => endSession(record, runtime),
      onClaim: (label) => showClaim(label, output),
    },
    onWarning: output.warn,
    onRequest: options.verbose ? output.debug : undefined,
    onWait: (holder) => showWait(holder, output),
    onProgramOutput: output.json ? output.programOutput : undefined,
  })
  return { common: options, io, output, runtime, dev, config, given }
}

/** The user's settings, of which most users have none. */
export function configOf(
  options: CommonOptions,
  { environment }: Pick<CliIO, 'environment'>,
  { warn }: Pick<Output, 'warn'>,
): Config | undefined {
  const path = configPath(SETTINGS.home.read(options, environment))
  return path === undefined ? undefined : readConfig(path, warn)
}

/** A command to paste, with the flags of this run that it needs. */
export function commandToPaste(command: string, { common, io }: Pick<Context, 'common' | 'io'>): string {
  return (command + flagsFor(command, common)).replace(/^atproto-oauth/, programName(io))
}

/** The folder of the per-user store; `undefined` for a user without a home. */
export function homeOf(options: CommonOptions, { environment }: Pick<CliIO, 'environment'>): string | undefined {
  const home = SETTINGS.home.read(options, environment)
  return home === undefined ? userFolders()?.data : resolve(expandTilde(home))
}

/** For a command without a runtime. */
export function unlockStoreOf(options: CommonOptions, io: CliIO, output: Output): void {
  const home = homeOf(options, io)
  const chosen = SETTINGS.home.read(options, io.environment)
  if (home !== undefined) unlockStore(home, () => encryptionSetting(chosen), { io, output })
}

function mayHaveVault(environment: CliIO['environment'], home: string | undefined): boolean {
  const isNamed = [VAULT, VAULT_KEY].some((name) => variable(environment, name) !== undefined)
  return isNamed || (home !== undefined && existsSync(join(home, 'vault.json')))
}

/** Most users have none, and load nothing of it. */
async function findVault(environment: CliIO['environment'], home: string | undefined): Promise<KnownVault | undefined> {
  if (!mayHaveVault(environment, home)) return undefined
  const { vaultSetting } = await import('../node/vault/connect.ts')
  return vaultSetting(environment, home)
}

/** @returns ends it */
function showClaim(label: string, output: Output): () => void {
  const text = `waiting for ${sanitize(label)}, which is refreshing this session`
  // It may take minutes, which a job's log would not explain otherwise.
  if (!output.progress.isShown) output.note(text)
  return showWaiting(text, output)
}

/** @returns ends it */
function showWait({ pid, host }: LockHolder, output: Output): () => void {
  const where = host === hostname() ? `process ${pid}` : `process ${pid} on ${host}`
  return showWaiting(`waiting for ${where}, which is refreshing this session`, output)
}

function showWaiting(text: string, { debug, progress }: Output): () => void {
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
