/**
 * What a login asks for: the options of `init` and `login`, and the variables behind them.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import type { Environment } from '../credentials/variables.ts'
import type { InitOptions as LoginRequest } from '../init.ts'
import { PROMPTS, type Prompt } from '../protocol/authorize.ts'
import { setting } from './settings.ts'

export interface RequestedOptions {
  readonly clientId?: string
  readonly redirectUri?: string
  readonly scope?: string
  readonly prompt?: Prompt
}

export function addRequestedOptions(command: Command): Command {
  return command
    .option('--scope <scope>', 'what to ask for [ATPROTO_OAUTH_SCOPE], else atproto')
    .option('--client-id <url>', 'a client document of yours [ATPROTO_OAUTH_CLIENT_ID], else the loopback client')
    .option('--redirect-uri <uri>', 'one that the client declares [ATPROTO_OAUTH_REDIRECT_URI]')
    .addOption(new Option('--prompt <what>', 'ask the server to show this page').choices(PROMPTS))
}

export function requested(options: RequestedOptions, environment: Environment): LoginRequest {
  return {
    clientId: chosenClient(options, environment),
    redirectUri: setting(options.redirectUri, environment, 'ATPROTO_OAUTH_REDIRECT_URI'),
    scope: setting(options.scope, environment, 'ATPROTO_OAUTH_SCOPE'),
    prompt: options.prompt,
  }
}

/**
 * A session's variables hold its client_id too. If that is a loopback one, which is made for one scope and
 * redirect, flags that ask for others mean a new one.
 */
function chosenClient(options: RequestedOptions, environment: Environment): string | undefined {
  const clientId = setting(options.clientId, environment, 'ATPROTO_OAUTH_CLIENT_ID')
  const leftOver = options.clientId === undefined && clientId?.startsWith('http://localhost')
  const another = options.scope !== undefined || options.redirectUri !== undefined
  return leftOver && another ? undefined : clientId
}
