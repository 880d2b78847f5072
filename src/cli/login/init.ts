/**
 * `init`: starts a login and prints the sign-in URL.
 */
import { Command } from 'commander'
import { VAULT, variable } from '../../credentials/variables.ts'
import type { Initiated } from '../../login/init.ts'
import type { Context } from '../context.ts'
import type { Runner } from '../invocation.ts'
import { type CliIO, programName } from '../io.ts'
import { type CommonOptions, carriedFlags, SETTINGS } from '../options.ts'
import { announceEarlier } from './earlier.ts'
import { addRequestedOptions, loginRequest, type RequestedOptions, TASKS, typedFlags } from './options.ts'
import { scopeLines, warnOfRequest } from './scope-notes.ts'
import { startLogin } from './start.ts'

interface InitOptions extends CommonOptions, RequestedOptions {
  readonly open?: boolean
}

export function initCommand(runner: Runner): Command {
  return addRequestedOptions(new Command('init').argument('<handle|did|url>', 'Account or server to sign in to'))
    .addOption(SETTINGS.stateFile.option())
    .option('--open', 'Also open the URL in the browser')
    .addHelpText('after', TASKS + EXAMPLES)
    .action(runner.action(runInit, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth init alice.bsky.social
  atproto-oauth init alice.bsky.social --for post-media --for delete
  atproto-oauth init alice.bsky.social --scope "atproto transition:generic"
  atproto-oauth init https://pds.example.com --state-file login.json
`

async function runInit(identifier: string, options: InitOptions, context: Context): Promise<void> {
  const { io, output } = context
  const typed = { command: 'init', flags: typedFlags(options) } as const
  const result = await startLogin(identifier, loginRequest(options, context), typed, context)
  const { authorizationUrl, pending } = result
  output.note(summary(result, io))
  await announceEarlier(pending, { replace: false, advice: `add --replace to \`complete\`` }, context)
  warnOfRequest(result, context)
  if (output.json) {
    const { did, handle, issuer, scope, clientId, redirectUri, requestExpiresAt, expiresAt } = pending
    const facts = { did, handle, pds: result.pds, issuer, scope, clientId, redirectUri, requestExpiresAt, expiresAt }
    await output.data(`${JSON.stringify({ authorizationUrl: authorizationUrl.href, ...facts })}\n`)
  } else {
    // With FORCE_COLOR, a script would capture the colour with the URL.
    const url = io.stdout.isTTY ? output.paint('cyan', authorizationUrl.href) : authorizationUrl.href
    await output.data(`${url}\n`)
  }
  output.note(nextStep(result, context.common, context))
  if (options.open) await openBrowser(authorizationUrl, context)
}

/** The account, its servers and the requested scope. */
export function summary(started: Initiated, io: CliIO): string {
  const { pending, pds } = started
  const { handle, did, issuer, scope } = pending
  return [
    `account  ${did ? `${handle ?? 'handle not verified'} (${did})` : 'chosen at sign-in'}`,
    ...(pds ? [`PDS      ${pds}`] : []),
    `sign in  ${issuer}`,
    `scope    ${scope}`,
    ...scopeLines(started, io),
    '',
  ].join('\n')
}

function nextStep({ pending }: Initiated, options: CommonOptions, { io, config }: Context): string {
  const { createdAt, requestExpiresAt, redirectUri } = pending
  const until = new Date(requestExpiresAt).toLocaleTimeString('en-GB')
  const minutes = Math.max(1, Math.round((requestExpiresAt - createdAt) / 60_000))
  const unloadable = /^http:\/\/(?:127\.0\.0\.1|\[::1\])/.test(redirectUri)
  // Printed credentials would be a copy, and commands look for sessions in the vault only.
  const isForVault =
    variable(io.environment, VAULT) !== undefined && SETTINGS.save.read({}, io.environment, config) === undefined
  return [
    '',
    `Open this URL before ${until} (within ${minutes} min) and sign in.`,
    ...(unloadable
      ? [
          'The browser then shows a page that cannot load. This is expected.',
          'Copy the whole callback URL from the address bar and run:',
        ]
      : ['Copy the callback URL from the last page and run:']),
    '',
    `  ${programName(io)} complete${isForVault ? ' --save vault' : ''}${carriedFlags(options)}`,
  ].join('\n')
}

export async function openBrowser(url: URL, { output }: Context): Promise<void> {
  const { default: open } = await import('open')
  await open(url.href).catch(() => output.warn('cannot open a browser: open the URL yourself'))
}
