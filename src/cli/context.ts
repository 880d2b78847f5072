/**
 * The world that a command works in, made from its options and the environment. All of the protocol hangs on it,
 * so it is loaded when a command runs, and not for `--help`.
 *
 * @module
 */
import { readClientJwk } from '../credentials/read.ts'
import { type Environment, variable } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import { defaultHome } from '../node/folders.ts'
import { nodeRuntime } from '../node/runtime.ts'
import type { Runtime } from '../ports.ts'
import { asUrl, isSecure } from '../protocol/identity/syntax.ts'
import { type CliIO, inCi } from './io.ts'
import { type CommonOptions, flagOf, fromEnvironment, type SavingOptions, setting } from './options.ts'
import type { Output } from './output.ts'

export interface Context {
  /** Whatever stood before the command and after it. */
  readonly common: CommonOptions
  readonly host: CliIO
  readonly output: Output
  readonly world: Runtime
  readonly dev: boolean
}

/** @throws {OAuthError} `USAGE` */
export function createContext(host: CliIO, output: Output, options: SavingOptions & { account?: string }): Context {
  const { environment } = host
  const dev = options.dev ?? isOn(environment, 'ATPROTO_OAUTH_DEV')
  const origin = (flag: string | undefined, name: string) => {
    const text = setting(flag, environment, name)
    return text === undefined ? undefined : asServer(text, dev, name)
  }
  if (dev) output.warn('development mode: http: and private addresses are allowed')
  const world = nodeRuntime({
    home: setting(options.home, environment, 'ATPROTO_OAUTH_HOME') ?? defaultHome(),
    stateFile: setting(options.stateFile, {}, 'ATPROTO_OAUTH_STATE_FILE'),
    plcUrl: origin(options.plcUrl, 'ATPROTO_OAUTH_PLC_URL'),
    handleResolver: origin(options.handleResolver, 'ATPROTO_OAUTH_HANDLE_RESOLVER'),
    clientJwk: readClientJwk(environment),
    dev,
    save:
      options.save ??
      variable(environment, 'ATPROTO_OAUTH_SAVE')
        ?.split(/[\r\n]+/)
        .map((line) => line.trim()),
    requireDurable: inCi(host) && fromEnvironment(options.account, environment),
    onWarning: output.warn,
    onRequest: output.debug,
  })
  return { common: options, host, output, world, dev }
}

function isOn(environment: Environment, name: string): boolean {
  const value = variable(environment, name)?.toLowerCase()
  if (value === undefined || value === '0' || value === 'false') return false
  if (value === '1' || value === 'true') return true
  throw new OAuthError('USAGE', `${name} must be 1 or nothing`)
}

function asServer(text: string, dev: boolean, name: string): string {
  const url = asUrl(text)
  if (url && isSecure(url, dev) && url.pathname === '/' && !/[?#@]/.test(text)) return url.origin
  const hint =
    url?.protocol === 'http:'
      ? 'for http: set ATPROTO_OAUTH_DEV=1 or add --dev'
      : `${flagOf(name)} https://host.example.com`
  throw new OAuthError('USAGE', `${flagOf(name)} (${name}) must be an https origin: https:// and a host`, { hint })
}
