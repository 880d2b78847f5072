/**
 * The options of `init` and `login`.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { InitOptions as LoginRequest } from '../../login/init.ts'
import { PROMPTS, type Prompt } from '../../protocol/oauth/authorization-request.ts'
import { isPreset, PRESET_NAMES, PRESETS, type Preset, presetScope } from '../../protocol/scope/presets.ts'
import { checkSetting } from '../config/check.ts'
import type { Context } from '../context.ts'
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

export function collectPreset(value: string, before: Preset[] = []): Preset[] {
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

export function loginRequest(options: RequestedOptions, context: ClientContext): LoginRequest {
  return {
    ...chosenClient(options, context),
    scope: chosenScope(options, context.io.environment),
    prompt: options.prompt,
  }
}

type ClientContext = Pick<Context, 'io' | 'config' | 'dev'>

/** `--for` overrides the variable, which is for runs without `--for` and `--scope`. */
function chosenScope(options: RequestedOptions, environment: Context['io']['environment']): string | undefined {
  const scope = SETTINGS.scope.read(options, options.for ? {} : environment)
  return options.for ? presetScope(options.for, scope) : scope
}

/**
 * A session's variables contain its client_id. A loopback client_id includes its scope and redirect URI, so flags for
 * another scope or redirect URI mean a new client_id.
 *
 * A redirect URI belongs to its client: that of the user's settings does not apply to a client from elsewhere.
 */
export function chosenClient(
  options: Pick<RequestedOptions, 'clientId' | 'redirectUri' | 'for' | 'scope'>,
  { io, config, dev }: ClientContext,
): Pick<LoginRequest, 'clientId' | 'redirectUri'> {
  const { environment } = io
  const another = options.for !== undefined || options.scope !== undefined || options.redirectUri !== undefined
  const isLeftOver = (clientId: string | undefined) =>
    options.clientId === undefined && another && clientId?.startsWith('http://localhost') === true
  const given = SETTINGS.clientId.read(options, environment)
  const hasOwn = given !== undefined && !isLeftOver(given)
  const client = hasOwn ? undefined : SETTINGS.clientId.find({}, {}, config)
  if (client) checkSetting('client-id', client, dev)
  const redirect = SETTINGS.redirectUri.find(options, environment, hasOwn ? undefined : config)
  if (redirect?.source === 'config') checkSetting('redirect-uri', redirect, dev)
  return {
    clientId: hasOwn ? given : isLeftOver(client?.value) ? undefined : client?.value,
    redirectUri: redirect?.value,
  }
}
