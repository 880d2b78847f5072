/**
 * What a login asks for: the options of `init` and `login`.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Environment } from '../../credentials/variables.ts'
import type { InitOptions as LoginRequest } from '../../login/init.ts'
import { PROMPTS, type Prompt } from '../../protocol/oauth/authorization-request.ts'
import { isPreset, PRESET_NAMES, PRESETS, type Preset, presetScope } from '../../protocol/scope/presets.ts'
import { SETTINGS } from '../options.ts'

export interface RequestedOptions {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly for?: Preset[]
  readonly scope?: string
  readonly prompt?: Prompt
}

export function addRequestedOptions(command: Command): Command {
  return command
    .addOption(new Option('--for <task>', 'ask for what it takes; repeatable, see below').argParser(collectPreset))
    .addOption(SETTINGS.scope.option())
    .addOption(SETTINGS.clientId.option())
    .addOption(SETTINGS.redirectUri.option())
    .addOption(new Option('--prompt <what>', 'ask the server to show this page').choices(PROMPTS))
}

function collectPreset(value: string, before: Preset[] = []): Preset[] {
  if (isPreset(value)) return [...before, value]
  throw new InvalidArgumentError(`Allowed choices are ${PRESET_NAMES.join(', ')}.`)
}

/** For the help of the commands that have these options. */
export const TASKS = `
Tasks, each with no more than it takes; --scope adds to them:
${PRESET_NAMES.map((name) => `  ${name.padEnd(12)}${PRESETS[name].about}`).join('\n')}
`

export function loginRequest(options: RequestedOptions, environment: Environment): LoginRequest {
  return {
    clientId: chosenClient(options, environment),
    redirectUri: SETTINGS.redirectUri.read(options, environment),
    scope: chosenScope(options, environment),
    prompt: options.prompt,
  }
}

/** A task says what is wanted in this run: the variable is for runs that say nothing. */
function chosenScope(options: RequestedOptions, environment: Environment): string | undefined {
  const scope = SETTINGS.scope.read(options, options.for ? {} : environment)
  return options.for ? presetScope(options.for, scope) : scope
}

/**
 * A session's variables hold its client_id too. If that is a loopback one, which is made for one scope and
 * redirect, flags that ask for others mean a new one.
 */
function chosenClient(options: RequestedOptions, environment: Environment): string | undefined {
  const clientId = SETTINGS.clientId.read(options, environment)
  const leftOver = options.clientId === undefined && clientId?.startsWith('http://localhost')
  const another = options.for !== undefined || options.scope !== undefined || options.redirectUri !== undefined
  return leftOver && another ? undefined : clientId
}
