/**
 * `proof`: prints the headers that authorize one request of another tool.
 */
import { Command } from 'commander'
import { OAuthError } from '../../errors.ts'
import { asNsid } from '../../protocol/identity/syntax.ts'
import { proofTarget, type RequestToSign } from '../../session/proof.ts'
import type { Session } from '../../session/session.ts'
import { sanitize, singleQuote } from '../../text.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { programName } from '../io.ts'
import { carriedFlags, type SavingOptions, SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { checkCurl, runCurl } from './curl.ts'
import { sessionFor } from './select.ts'

interface ProofOptions extends SavingOptions {
  readonly curl?: boolean
  readonly account?: string
}

export function proofCommand(runner: Runner): Command {
  return new Command('proof')
    .argument('<method>', 'HTTP method that the tool will send, such as GET')
    .argument('<url>', "Request URL, on the account's PDS below /xrpc/")
    .argument('[command...]', 'After --, a curl command to run with these headers')
    .option('--curl', 'Print a curl command line instead')
    .addOption(SETTINGS.account.option())
    .addOption(SETTINGS.save.option())
    .addOption(SETTINGS.noStore.option())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runProof))
}

const EXAMPLES = `
The headers are valid for one request and about one minute. They are secret: pass them on stdin.

Examples:
  url=https://pds.example.com/xrpc/com.atproto.server.getSession
  atproto-oauth proof GET "$url" | curl -H @- "$url"
  atproto-oauth proof GET "$url" -- curl -s "$url"
  upload=https://pds.example.com/xrpc/com.atproto.repo.uploadBlob
  atproto-oauth proof POST "$upload" -- curl -H 'content-type: image/png' --data-binary @cat.png "$upload"
`

async function runProof(
  method: string,
  url: string,
  curl: readonly string[],
  options: ProofOptions,
  context: Context,
): Promise<number | undefined> {
  const { io, output } = context
  checkOrder(method, url)
  proofTarget(method, url, undefined)
  if (curl.length > 0) checkCurl(curl)
  if (options.curl && curl.length > 0) throw new OAuthError('USAGE', '--curl cannot be used with a command after --')
  const session = await sessionFor(options.account, context)
  if (options.curl) {
    await output.data(`${curlCommand(signable(method, url, session), url, options, context)}\n`)
    return undefined
  }
  const { authorization, dpop } = await session.proof(method, url)
  const headers = `Authorization: ${authorization}\nDPoP: ${dpop}\n`
  if (curl.length > 0) return runCurl(curl, headers, io)
  await output.data(headers)
  return undefined
}

function checkOrder(method: string, url: string): void {
  if (/^https?:[^@]*$/i.test(method)) {
    throw new CliError('USAGE', 'the URL is before the HTTP method', {
      hint: `atproto-oauth proof ${shellQuote(url.toUpperCase())} ${shellQuote(method)}`,
    })
  }
  if (asNsid(url)) {
    throw new CliError('USAGE', `${url} is a method, not a URL`, {
      hint: `write the URL of the method at the PDS of the account, as in: https://pds.example.com/xrpc/${url}`,
    })
  }
}

/** Checks what can be checked without a request. */
function signable(method: string, url: string, session: Session): RequestToSign {
  const { issuer, pds } = session.record()
  return proofTarget(method, url, issuer === undefined ? undefined : pds)
}

/** A command line without secrets. */
function curlCommand({ method }: RequestToSign, url: string, options: ProofOptions, { common, io }: Context): string {
  const flags = [
    ...SETTINGS.account.words(options),
    ...SETTINGS.save.words(options),
    ...SETTINGS.noStore.words(options),
  ]
  const carried = flags.map((flag) => ` ${shellQuote(flag)}`).join('') + carriedFlags(common)
  const verb = { GET: '', HEAD: ' --head' }[method] ?? ` -X ${method}`
  const quoted = singleQuote(sanitize(url, 4000))
  return `${programName(io)} proof ${method} ${quoted}${carried} | curl${verb} -H @- ${quoted}`
}
