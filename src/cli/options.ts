/**
 * The options that every command has, and the environment variables behind them. A
 * flag beats its variable.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { type Environment, REFRESH_TOKEN, SESSION, variable } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import { shellQuote } from '../hints.ts'
import { PLC_DIRECTORY } from '../ports.ts'
import type { CliIO } from './io.ts'
import { createOutput, type Output } from './output.ts'

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

export function addCommonOptions(command: Command): Command {
  const group = 'Everywhere:'
  const options = [
    new Option('--home <folder>', 'where logins and sessions are kept [ATPROTO_OAUTH_HOME]'),
    new Option('--plc-url <origin>', `the PLC directory [ATPROTO_OAUTH_PLC_URL], else ${PLC_DIRECTORY}`),
    new Option('--handle-resolver <origin>', 'ask this service for handles, not DNS [ATPROTO_OAUTH_HANDLE_RESOLVER]'),
    new Option('--dev', 'allow http: and private addresses [ATPROTO_OAUTH_DEV=1]'),
    new Option('-q, --quiet', 'only warnings and errors on stderr'),
    new Option('-v, --verbose', 'each request on stderr, without secrets'),
    new Option('--json', 'an error is one JSON object on stderr'),
  ]
  for (const option of options) command.addOption(option.helpGroup(group))
  return command.helpOption('-h, --help', 'show this').helpGroup('Commands:')
}

export interface SavingOptions extends CommonOptions {
  readonly save?: string[]
}

export function addSaveOption(command: Command): Command {
  return command.option(
    '--save <target>',
    'store, file:PATH, gh:[OWNER/REPO][@ENVIRONMENT] or exec:COMMAND; repeatable [ATPROTO_OAUTH_SAVE, one a line]',
    (value: string, before: string[] = []) => [...before, value],
  )
}

/** The value of a setting: the flag's, else the variable's. */
export function setting(flag: string | undefined, environment: Environment, name: string): string | undefined {
  if (flag === '') throw new OAuthError('USAGE', `${flagOf(name)} is empty: was its variable not set?`)
  return flag ?? variable(environment, name)
}

/** Whether a command is about the session in the environment; `--account` means the store, whatever that holds. */
export function fromEnvironment(account: string | undefined, environment: Environment): boolean {
  return account === undefined && [SESSION, REFRESH_TOKEN].some((name) => variable(environment, name) !== undefined)
}

/** The flag of a setting's variable. */
export function flagOf(name: string): string {
  return `--${name.replace('ATPROTO_OAUTH_', '').toLowerCase().replaceAll('_', '-')}`
}

export function outputOf(host: CliIO, options: CommonOptions, command: string): Output {
  const { stateFile, ...everywhere } = options
  return createOutput(host, { ...options, command, flags: carriedFlags(everywhere) })
}

/** The flags of this run that the next command needs too; variables are still set then. */
export function carriedFlags(options: CommonOptions): string {
  const flags = [
    ...(options.stateFile === undefined ? [] : ['--state-file', options.stateFile]),
    ...(options.home === undefined ? [] : ['--home', options.home]),
    ...(options.plcUrl === undefined ? [] : ['--plc-url', options.plcUrl]),
    ...(options.dev ? ['--dev'] : []),
  ]
  return flags.map((flag) => ` ${shellQuote(flag)}`).join('')
}
