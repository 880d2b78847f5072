/**
 * The options of `init` and `login`.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Environment } from '../../credentials/variables.ts'
import type { InitOptions as LoginRequest } from '../../login/init.ts'
import { PROMPTS, type Prompt } from '../../protocol/oauth/authorization-request.ts'
import { isPreset, PRESET_NAMES, PRESETS, type Preset, presetScope } from '../../protocol/scope/presets.ts'
import { SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'

export interface RequestedOptions {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly for?: Preset[]
  readonly scope?: string
  readonly prompt?: Prompt
}

export function addRequestedOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--for <task>', 'Request the permissions for a task listed below (repeatable)').argParser(
        collectPreset,
      ),
    )
    .addOption(SETTINGS.scope.option())
    .addOption(SETTINGS.clientId.option())
    .addOption(SETTINGS.redirectUri.option())
    .addOption(new Option('--prompt <what>', 'Page that the server should show').choices(PROMPTS))
}

function collectPreset(value: string, before: Preset[] = []): Preset[] {
  if (isPreset(value)) return [...before, value]
  throw new InvalidArgumentError(`Allowed choices are ${PRESET_NAMES.join(', ')}.`)
}

/** For the help of the commands that have these options. */
export const TASKS = `
Tasks for --for, each with the fewest permissions it needs (--scope adds more):
${PRESET_NAMES.map((name) => `  ${name.padEnd(12)}${PRESETS[name].about}`).join('\n')}
`

/** The options as they were typed, for the same command with another account. */
export function typedFlags(options: RequestedOptions & { readonly save?: string[]; readonly format?: string }): string {
  const { for: tasks = [], prompt, format } = options
  const { scope, clientId, redirectUri, save } = SETTINGS
  return [
    ...tasks.flatMap((task) => ['--for', task]),
    ...[scope, clientId, redirectUri].flatMap((setting) => setting.words(options)),
    ...(prompt === undefined ? [] : ['--prompt', prompt]),
    ...(format === undefined ? [] : ['--format', format]),
    ...save.words(options),
  ]
    .map((word) => ` ${shellQuote(word)}`)
    .join('')
}

export function loginRequest(options: RequestedOptions, environment: Environment): LoginRequest {
  return {
    clientId: chosenClient(options, environment),
    redirectUri: SETTINGS.redirectUri.read(options, environment),
    scope: chosenScope(options, environment),
    prompt: options.prompt,
  }
}

/** `--for` overrides the variable, which is for runs without `--for` and `--scope`. */
function chosenScope(options: RequestedOptions, environment: Environment): string | undefined {
  const scope = SETTINGS.scope.read(options, options.for ? {} : environment)
  return options.for ? presetScope(options.for, scope) : scope
}

/**
 * A session's variables contain its client_id. A loopback client_id includes its scope and redirect URI, so flags for
 * another scope or redirect URI mean a new client_id.
 */
function chosenClient(options: RequestedOptions, environment: Environment): string | undefined {
  const clientId = SETTINGS.clientId.read(options, environment)
  const leftOver = options.clientId === undefined && clientId?.startsWith('http://localhost')
  const another = options.for !== undefined || options.scope !== undefined || options.redirectUri !== undefined
  return leftOver && another ? undefined : clientId
}
