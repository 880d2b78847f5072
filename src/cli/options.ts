/**
 * Options with an environment variable, each declared once, and the global options.
 */
import { type Command, Option } from 'commander'
import {
  CLIENT_ID,
  type Environment,
  REFRESH_TOKEN,
  SESSION,
  SOURCE,
  secretVariables,
  VAULT,
  variable,
} from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import type { Config, ConfigKey } from '../node/config/read.ts'
import { configValue } from '../node/config/read.ts'
import { PLC_DIRECTORY } from '../ports.ts'
import type { CliIO } from './io.ts'
import { createOutput, type Output } from './output.ts'
import { shellQuote } from './shell.ts'

/** The help text of a setting; a command may have its own. */
export interface Meaning {
  /** The flag's argument, without its brackets; absent for a switch. */
  readonly takes?: string | undefined
  readonly about: string
  /** The value if neither the flag nor the variable is set. */
  readonly defaultValue?: string
  /** For a command that does not read the variable. */
  readonly isFlagOnly?: boolean
}

interface Declaration<Key extends string, Value> extends Meaning {
  /** The flag in camel case: the name under which commander keeps what was typed. */
  readonly key: Key
  /** For a switch whose name begins with `no`. */
  readonly isNegative?: boolean
  /** Absent if the setting has no environment variable. */
  readonly variable?: `ATPROTO_OAUTH_${string}`
  /** Its name in the user's settings; absent if it cannot be set there. */
  readonly configKey?: ConfigKey
  /** Follows the variable's name in help, if its value is written differently from the flag's argument. */
  readonly written?: string
  /** Reads the variable's text, which was cleaned and is not empty. */
  parse(text: string, variable: string): Value
  /** For a flag that may be repeated: adds an argument to those before it. */
  collect?(argument: string, before: Value | undefined): Value
}

/** A value with where it comes from. */
export interface Found<Value> {
  readonly value: Value
  readonly source: 'flag' | 'variable' | 'config'
  /** For messages: `--plc-url (ATPROTO_OAUTH_PLC_URL)`, `plc-url in /home/alice/.config/atproto-oauth/config.json`. */
  readonly name: string
}

/**
 * A flag, the environment variable behind it, and the user's settings behind both: the flag wins.
 *
 * Commander's own `Option.env()` does not serve: it reads `process.env`, does not clean values as {@link variable}
 * does, turns a switch on by `0`, and mixes what was typed with what was set, which commands have to tell apart.
 */
export class Setting<Key extends string, Value extends boolean | string | readonly string[]> {
  readonly #declared: Declaration<Key, Value>
  readonly variable: string | undefined
  readonly configKey: ConfigKey | undefined
  readonly defaultValue: string | undefined

  constructor(declared: Declaration<Key, Value>) {
    this.#declared = declared
    this.variable = declared.variable
    this.configKey = declared.configKey
    this.defaultValue = declared.defaultValue
  }

  /** `--plc-url` */
  get flag(): string {
    return flagOf(this.#declared.key)
  }

  /** For messages: `--plc-url (ATPROTO_OAUTH_PLC_URL)`. */
  get name(): string {
    return this.variable === undefined ? this.flag : `${this.flag} (${this.variable})`
  }

  /**
   * The flag as an option of a command.
   *
   * @param meaning the help text, if this command needs a different one
   */
  option(meaning: Meaning = this.#declared): Option {
    const { takes = this.#declared.takes, about, defaultValue, isFlagOnly } = meaning
    const { variable: name, written = '', collect } = this.#declared
    const option = new Option(
      takes === undefined ? this.flag : `${this.flag} <${takes}>`,
      about +
        (defaultValue === undefined ? '' : ` (default: ${defaultValue})`) +
        (name === undefined || isFlagOnly ? '' : ` [${name}${written}]`),
    )
    // To commander, `--no-store` would be the opposite of `--store`.
    if (this.#declared.isNegative) option.negate = false
    return collect ? option.argParser(collect) : option
  }

  /**
   * The flag's value, or else the variable's, or else that of the user's settings.
   *
   * @param config absent for a command that settings do not apply to
   * @throws {OAuthError} `USAGE` an empty flag; a variable or setting that is not valid
   */
  read(options: Typed<Key, Value>, environment: Environment, config?: Config): Value | undefined {
    return this.find(options, environment, config)?.value
  }

  /** The same, with where it comes from. */
  find(options: Typed<Key, Value>, environment: Environment, config?: Config): Found<Value> | undefined {
    const typed = options[this.#declared.key]
    if (typed === '') throw new OAuthError('USAGE', `${this.flag} is empty: was its variable not set?`)
    const { variable: name } = this.#declared
    if (typed !== undefined) return { value: typed, source: 'flag', name: this.name }
    const text = name === undefined ? undefined : variable(environment, name)
    if (text !== undefined && name !== undefined) {
      return { value: this.#declared.parse(text, name), source: 'variable', name: this.name }
    }
    const { configKey } = this
    const set = config && configKey && configValue(config, configKey)
    if (config === undefined || set === undefined) return undefined
    // A list for a setting that may be repeated, else a text.
    return { value: set as Value, source: 'config', name: `${configKey} in ${config.path}` }
  }

  /** The arguments that pass the same flag to another command; empty if the flag was not given. */
  words(options: Typed<Key, Value>): string[] {
    const typed: boolean | string | readonly string[] | undefined = options[this.#declared.key]
    if (typed === undefined || typed === false) return []
    if (typed === true) return [this.flag]
    return (typeof typed === 'string' ? [typed] : typed).flatMap((argument) => [this.flag, argument])
  }
}

/** The options as commander parsed them. */
type Typed<Key extends string, Value> = { readonly [K in Key]?: Value | undefined }

function text<Key extends string>(declared: Omit<Declaration<Key, string>, 'parse'>): Setting<Key, string> {
  return new Setting({ ...declared, parse: (value) => value })
}

/** Variables without a flag are in src/credentials/variables.ts: secrets must not be in command lines. */
export const SETTINGS = {
  home: text({
    key: 'home',
    variable: 'ATPROTO_OAUTH_HOME',
    takes: 'folder',
    about: 'Folder for logins and sessions',
  }),
  stateFile: text({
    key: 'stateFile',
    takes: 'path',
    about: 'Write the pending login to this file, to complete it on another machine',
  }),
  plcUrl: text({
    key: 'plcUrl',
    configKey: 'plc-url',
    variable: 'ATPROTO_OAUTH_PLC_URL',
    takes: 'origin',
    about: 'PLC directory',
    defaultValue: PLC_DIRECTORY,
  }),
  handleResolver: text({
    key: 'handleResolver',
    configKey: 'handle-resolver',
    variable: 'ATPROTO_OAUTH_HANDLE_RESOLVER',
    takes: 'origin',
    about: 'Resolve handles with this service instead of DNS',
  }),
  dev: new Setting({
    key: 'dev',
    variable: 'ATPROTO_OAUTH_DEV',
    written: '=1',
    about: 'Allow http: URLs and private addresses',
    parse: parseSwitch,
  }),
  account: text({
    key: 'account',
    configKey: 'account',
    variable: 'ATPROTO_OAUTH_ACCOUNT',
    takes: 'did|handle',
    about: 'Use the stored session of this account, or the one with this name',
  }),
  save: new Setting({
    key: 'save',
    configKey: 'save',
    variable: 'ATPROTO_OAUTH_SAVE',
    written: ', one per line',
    takes: 'target',
    about: 'Save to store, vault, file:PATH, gh:[OWNER/REPO][@ENVIRONMENT] or exec:COMMAND (repeatable)',
    parse: (lines) => lines.split(/[\r\n]+/).map((line) => line.trim()),
    collect,
  }),
  noStore: new Setting({
    key: 'noStore',
    isNegative: true,
    variable: 'ATPROTO_OAUTH_NO_STORE',
    written: '=1',
    about: 'Keep no refresh token in the per-user store once the save targets have it',
    parse: parseSwitch,
  }),
  scope: text({
    key: 'scope',
    variable: 'ATPROTO_OAUTH_SCOPE',
    takes: 'scope',
    about: 'OAuth scope to request',
    defaultValue: 'atproto',
  }),
  clientId: text({
    key: 'clientId',
    configKey: 'client-id',
    variable: CLIENT_ID,
    takes: 'url',
    about: 'URL of a hosted client metadata document',
    defaultValue: 'the loopback client',
  }),
  redirectUri: text({
    key: 'redirectUri',
    configKey: 'redirect-uri',
    variable: 'ATPROTO_OAUTH_REDIRECT_URI',
    takes: 'uri',
    about: 'Redirect URI that the client declares',
  }),
} as const

function parseSwitch(text: string, variable: string): boolean {
  const value = text.toLowerCase()
  if (value === '0' || value === 'false') return false
  if (value === '1' || value === 'true') return true
  throw new OAuthError('USAGE', `${variable} must be 1 or unset`)
}

/** The argument parser of an option that may be repeated. */
export function collect(argument: string, before: readonly string[] = []): string[] {
  return [...before, argument]
}

/** The flag behind a property of a command's options: `dryRun` is `--dry-run`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export interface CommonOptions {
  readonly home?: string
  readonly stateFile?: string
  readonly plcUrl?: string
  readonly handleResolver?: string
  readonly dev?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly json?: boolean
}

/** The heading of these options in help. */
export const GLOBAL_OPTIONS = 'Global options:'

export function addCommonOptions(command: Command): Command {
  const { home, plcUrl, handleResolver, dev } = SETTINGS
  const options = [
    ...[home, plcUrl, handleResolver, dev].map((setting) => setting.option()),
    new Option('-q, --quiet', 'Print only warnings and errors on stderr'),
    new Option('-v, --verbose', 'Log each request on stderr, without secrets'),
    new Option('--json', 'Print errors as JSON on stderr, and results as JSON where supported'),
  ]
  for (const option of options) command.addOption(option.helpGroup(GLOBAL_OPTIONS))
  return command.helpOption('-h, --help', 'Show help').helpGroup('Commands:')
}

export interface SavingOptions extends CommonOptions {
  readonly save?: string[]
  readonly noStore?: boolean
}

/**
 * Whether the session comes from the environment: a vault that is set comes first.
 *
 * @param account that of the flag, which means a stored session; the variable and the user's settings do not
 */
export function fromEnvironment(account: string | undefined, environment: Environment): boolean {
  return account === undefined && variable(environment, VAULT) === undefined && holdsSession(environment)
}

/** Whether the environment holds or names a session, used or not. */
export function holdsSession(environment: Environment): boolean {
  return [SESSION, REFRESH_TOKEN, SOURCE].some((name) => variable(environment, name) !== undefined)
}

/** Where the session of the environment is, in words: the variables to unset, and what they were set from. */
export function givenIn(
  environment: Environment,
  isBundled: boolean | undefined,
): { variables: string; origin: string } {
  const isProgram = ![SESSION, REFRESH_TOKEN].some((name) => variable(environment, name) !== undefined)
  return isProgram && variable(environment, SOURCE) !== undefined
    ? { variables: SOURCE, origin: `the secret store that the command of ${SOURCE} reads` }
    : { variables: secretVariables(isBundled), origin: 'the environment and the secret store behind it' }
}

export function outputOf(io: CliIO, options: CommonOptions & AccountOption, command: string): Output {
  return createOutput(io, { ...options, command, flags: (next) => flagsFor(next, options) })
}

interface AccountOption {
  readonly account?: string
}

/** The flags that the next command needs too; environment variables are still set for it. */
export function carriedFlags(options: CommonOptions): string {
  const { stateFile, home, plcUrl, handleResolver, dev } = SETTINGS
  return toFlags([stateFile, home, plcUrl, handleResolver, dev].flatMap((setting) => setting.words(options)))
}

/** The flags of this run that `next`, another command of this program, needs and supports. */
export function flagsFor(next: string, options: CommonOptions & AccountOption): string {
  const { stateFile, ...everywhere } = options
  const isLogin = /^atproto-oauth (?:init|complete)\b/.test(next)
  const needsAccount =
    /^atproto-oauth (?:call|export|lease|proof|refresh|revoke|run|status|whoami)\b/.test(next) &&
    !/ --(?:account|all|list)\b/.test(next)
  const account = needsAccount ? toFlags(SETTINGS.account.words(options)) : ''
  return account + carriedFlags(isLogin ? options : everywhere)
}

function toFlags(words: readonly string[]): string {
  return words.map((word) => ` ${shellQuote(word)}`).join('')
}
