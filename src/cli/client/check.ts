/**
 * `client check`: fetches a client metadata document as a server would and validates it.
 */
import { Command } from 'commander'
import { brokenClient, type ClientFinding, type ClientVerdict, checkClient } from '../../client/check.ts'
import { sanitize, toSafeJson } from '../../text.ts'
import type { Paint } from '../colour.ts'
import type { Context } from '../context.ts'
import { type Worded, worded } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'

interface CheckOptions extends CommonOptions {
  readonly scope?: string
  readonly redirectUri?: string
}

export function clientCheckCommand(runner: Runner): Command {
  return new Command('check')
    .description('Fetch a client metadata document as a server would and validate it')
    .argument('<client-id>', 'HTTPS URL of the document, or a loopback client_id')
    .addOption(SETTINGS.scope.option({ about: 'Check that the document declares this scope' }))
    .addOption(SETTINGS.redirectUri.option({ about: 'Check that the document declares this redirect URI' }))
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runCheck, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth client check https://alice.github.io/bot/oauth-client-metadata.json
  atproto-oauth client check https://alice.github.io/bot/oauth-client-metadata.json --scope "atproto repo:app.bsky.feed.post"

Findings are written to stdout, each an error or a warning with a fix; with --json as one object.
With ATPROTO_OAUTH_CLIENT_JWK set, that private key is compared with the published ones. Exits with 4 if there is an error.
`

async function runCheck(clientId: string, options: CheckOptions, { io, output, runtime }: Context): Promise<void> {
  const judged = await checkClient(
    {
      clientId,
      scope: SETTINGS.scope.read(options, io.environment),
      redirectUri: SETTINGS.redirectUri.read(options, io.environment),
    },
    runtime,
  )
  const verdict = { ...judged, findings: judged.findings.map(worded) }
  await output.data(output.json ? `${toSafeJson(verdict)}\n` : report(verdict, output.paint))
  const error = brokenClient(judged)
  if (error) throw error
}

type WordedVerdict = Omit<ClientVerdict, 'findings'> & { readonly findings: readonly Worded<ClientFinding>[] }

const WIDTH = 11
const COLOURS = { error: 'red', warning: 'yellow' } as const

function report(verdict: WordedVerdict, paint: Paint): string {
  const { clientId, kind, redirectUris, scope, shownAs, kids, keyMatches, bytes, findings } = verdict
  const matched =
    keyMatches === undefined
      ? ''
      : keyMatches
        ? '; includes the configured key'
        : '; does not include the configured key'
  const facts: [name: string, value: string | undefined][] = [
    ['client', clientId],
    ['kind', kind],
    ['redirects', redirectUris.join(' ') || undefined],
    ['scope', scope],
    ['shown as', shownAs === undefined ? undefined : `${shownAs} (on the reference PDS, unless it trusts the client)`],
    ['keys', kids.length > 0 ? kids.join(' ') + matched : undefined],
    ['size', bytes === undefined ? undefined : `${bytes} bytes`],
  ]
  const known = facts.filter(([, value]) => value !== undefined).map(([name, value]) => row(name, value!))
  const isBroken = findings.some(({ level }) => level === 'error')
  const good = isBroken ? [] : ['', row('result', '') + paint('green', 'no problems found')]
  return [...known, ...good, ...findings.flatMap((finding) => ['', ...described(finding, paint)]), ''].join('\n')
}

function described({ level, message, consequence, fix = '' }: Worded<ClientFinding>, paint: Paint): string[] {
  return [
    row(level, message).replace(level, (word) => paint(COLOURS[level], word)),
    row('', consequence),
    row('', `fix: ${fix}`).replace('fix:', (word) => paint('cyan', word)),
  ]
}

function row(name: string, value: string): string {
  return `${name.padEnd(WIDTH)}${sanitize(value, 2000)}`
}
