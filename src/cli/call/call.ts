/**
 * `call`: one signed XRPC request to the account's PDS.
 */

import { Command } from 'commander'
import { assertQuery } from '../../call/paginate.ts'
import { callWithRetry } from '../../call/retry.ts'
import { isOAuthError } from '../../errors.ts'
import { isStream } from '../../ports.ts'
import { findMethod } from '../../protocol/xrpc/lexicons.ts'
import { buildXrpcRequest, type XrpcRequest } from '../../protocol/xrpc/request.ts'
import { explainAccountState } from '../../session/account-state.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { flagOf, type SavingOptions, SETTINGS } from '../options.ts'
import { sessionFor } from '../session/select.ts'
import { shellQuote } from '../shell.ts'
import { addBatchOptions, type BatchFlags, runBatch } from './batch.ts'
import { explainRequest } from './explain.ts'
import { methodDescription, methodList } from './list.ts'
import { addPaginateOptions, isPaginated, type PaginateOptions, runPaginated } from './paginate.ts'
import { RateLimitWait, size } from './progress-text.ts'
import { addRequestOptions, type ReadRequest, type RequestOptions, readRequest, UNFILLED } from './request.ts'
import { addResponseOptions, openSink, printResponse, type ResponseOptions, type Sink } from './response.ts'
import { measuredUpload } from './transfer.ts'

type Many = BatchFlags & PaginateOptions

interface CallOptions extends SavingOptions, RequestOptions, ResponseOptions, Many {
  readonly batch?: string
  readonly explain?: boolean
  readonly dryRun?: boolean
  readonly list?: boolean
  readonly describe?: boolean
}

export function callCommand(runner: Runner): Command {
  const command = new Command('call')
    .argument('[nsid]', 'XRPC method, such as com.atproto.repo.listRecords')
    .argument(
      '[field...]',
      'Parameter or body field: key=value, key:=json or key=@file. {did}, {handle} and {pds} stand for the account',
    )
  addRequestOptions(command)
  addResponseOptions(command)
    .option('--wait', 'Wait and retry when rate limited')
    .option('--dry-run', 'Print the request without sending it')
    .option('--explain', 'Print the required permissions and whether they are granted, without sending')
    .option('--list', 'List the published methods, optionally those with this text in their name')
    .option('--describe', 'Print the parameters and response of the method')
    .addOption(SETTINGS.account.option())
    .addHelpText('after', EXAMPLES)
  addPaginateOptions(command)
  addBatchOptions(command)
  command.addOption(SETTINGS.save.option())
  command.addOption(SETTINGS.noStore.option())
  return command.action(runner.action(runCall))
}

const EXAMPLES = `
Examples:
  atproto-oauth call com.atproto.server.getSession
  atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post limit=5
  atproto-oauth call com.atproto.repo.createRecord repo={did} collection=app.bsky.feed.post record=@post.json
  atproto-oauth call com.atproto.repo.uploadBlob --upload cat.png
  atproto-oauth call com.atproto.sync.getRepo did={did} -o repo.car
  atproto-oauth call app.bsky.feed.getAuthorFeed actor={did} --paginate --items | jq -r .post.uri
  atproto-oauth call --batch requests.jsonl -o results.jsonl --concurrency 8
  atproto-oauth call --list createRecord
`

export async function runCall(
  nsid: string | undefined,
  words: string[],
  options: CallOptions,
  context: Context,
): Promise<void> {
  const { output, runtime } = context
  if (options.batch !== undefined) return runBatch(batchFile(nsid, options.batch, options), options, context)
  if (options.list) return output.data(methodList(nsid))
  if (nsid === undefined) {
    throw new CliError('USAGE', 'the method is missing', { hint: 'atproto-oauth call --list' })
  }
  if (options.describe) return output.data(methodDescription(nsid))
  const isMany = isPaginated(options)
  const read = await readRequest(nsid, words, options, context)
  if (isMany) assertQuery(read.unfilled)
  if (options.dryRun || options.explain) return preview(read, options, context)

  const sink = await openSink(options)
  try {
    const session = await sessionFor(options.account, context)
    const request = await read.for(session, context)
    const sent = isMany
      ? runPaginated(request, session, options, context, sink?.write).then(() => sink?.commit())
      : runOnce(request, session, options, sink, context)
    await sent.catch(async (error: unknown) => {
      const explained = await explainAccountState(
        await withCurrentHandle(error, session),
        request,
        session.record(),
        runtime,
      )
      throw request.method === 'GET' ? forcedMethod(explained, nsid, options) : maybeDone(explained)
    })
  } finally {
    await sink?.discard()
  }
}

/** What `--dry-run` and `--explain` print. Without a session, placeholders stay as they are. */
async function preview(read: ReadRequest, options: CallOptions, context: Context): Promise<void> {
  const session = await sessionFor(options.account, context).catch((error) => {
    if (options.account === undefined && isOAuthError(error, 'SESSION_MISSING')) return undefined
    throw error
  })
  const request = session ? await read.for(session, context) : read.unfilled
  if (options.explain) return explainRequest(request, session, context)
  if (!session) {
    const others = placeholdersIn(request)
    context.output.note(`no session: the PDS${others} ${others === '' ? 'is' : 'are'} not filled in`)
  }
  return context.output.data(shown(request, session))
}

async function runOnce(
  request: XrpcRequest,
  session: Session,
  options: CallOptions,
  sink: Sink | undefined,
  context: Context,
): Promise<void> {
  const { io, output, runtime } = context
  if (request.body instanceof Blob) output.note(`sending ${size(request.body.size)} of ${request.body.type}`)
  const wait = options.wait === true
  const limited = new RateLimitWait(runtime)
  const isTyped = isStream(request.body) && io.stdin.isTTY // the line would mix with what is typed
  const upload = output.progress.isShown && !isTyped ? measuredUpload(request.body) : undefined
  const sent = upload ? { ...request, body: upload.content } : request
  const describe = upload || wait ? () => limited.text() ?? upload?.text() ?? '' : undefined
  const response = await output.progress.during(describe, () =>
    callWithRetry(
      { call: (request) => session.send(request) },
      sent,
      { wait, onRateLimit: limited.onRateLimit },
      runtime,
    ),
  )
  await printResponse(response, request, session, options, sink, context)
}

/** Options that cannot be used with --batch. */
const ONE_ONLY = [
  'data',
  'method',
  'header',
  'upload',
  'proxy',
  'acceptLabelers',
  'include',
  'pretty',
  'paginate',
  'items',
  'limitPages',
  'dryRun',
  'explain',
  'list',
  'describe',
] as const

function batchFile(nsid: string | undefined, file: string, options: CallOptions): string {
  if (nsid !== undefined) {
    throw new CliError('USAGE', `--batch reads the methods from ${JSON.stringify(file)}: omit ${nsid}`, {
      hint: batchCommand(file, options),
    })
  }
  const stray = ONE_ONLY.find((name) => options[name] !== undefined)
  if (stray === undefined) return file
  throw new CliError('USAGE', `${flagOf(stray)} cannot be used with --batch`, {
    hint: `omit ${flagOf(stray)}: ${batchCommand(file, options)}`,
  })
}

function batchCommand(file: string, options: CallOptions): string {
  return `atproto-oauth call ${batchWords(file, options).map(shellQuote).join(' ')}`
}

/** The arguments of the batch alone. */
function batchWords(
  file: string,
  { output, concurrency, resume, wait, timeout, save, noStore }: CallOptions,
): string[] {
  return [
    ...['--batch', file],
    ...(output === undefined ? [] : ['-o', output]),
    ...(concurrency === undefined ? [] : ['--concurrency', concurrency]),
    ...(resume ? ['--resume'] : []),
    ...(wait ? ['--wait'] : []),
    ...(timeout === undefined ? [] : ['--timeout', String(timeout)]),
    ...SETTINGS.save.words({ save }),
    ...SETTINGS.noStore.words({ noStore }),
  ]
}

/** The request without its secrets: the token and the proof are added when it is sent. */
function shown(request: XrpcRequest, session: Session | undefined): string {
  const { method, path, headers, body } = buildXrpcRequest(request, session?.did ?? UNFILLED.did)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`)
  const content = typeof body === 'string' ? `\n${body}\n` : body instanceof Blob ? `\n(${size(body.size)})\n` : ''
  const target = session ? session.record().pds + path : path.replace(/%7B(did|handle|pds)%7D/g, '{$1}')
  return `${method} ${target}\n${lines.join('')}${content}`
}

/** The placeholders that a session would fill in, for a sentence. */
function placeholdersIn({ parameters = [], body }: XrpcRequest): string {
  const text = parameters.map(([, value]) => value).join(' ') + (typeof body === 'string' ? body : '')
  const names = Object.values(UNFILLED).filter((name) => text.includes(name))
  return names.length === 0 ? '' : [...names.slice(0, -1).map((name) => `, ${name}`), ` and ${names.at(-1)}`].join('')
}

/** A server has no handler for a procedure that is sent as a query, and says the same of a method that does not exist. */
function forcedMethod(error: unknown, nsid: string, { method }: CallOptions): unknown {
  const isProcedure = method === 'GET' && findMethod(nsid)?.kind === 'procedure'
  if (!isProcedure || !isOAuthError(error, 'XRPC_ERROR') || error.facts.status !== 501) return error
  return new CliError(error.code, error.message, { cause: error, hint: `omit -X: ${nsid} is sent with POST` })
}

/** To sign in again by a stored handle could be to sign in as somebody else. */
async function withCurrentHandle(error: unknown, session: Session): Promise<unknown> {
  if (!isOAuthError(error, 'PERMISSION_MISSING')) return error
  const { facts } = error
  if (facts.reason !== undefined || facts.handle === undefined) return error
  return error.with({ facts: { ...facts, handle: await session.currentHandle() } })
}

/** A write whose response was lost, or could not be written, may have taken effect, so it must not be repeated blindly. */
function maybeDone(error: unknown): unknown {
  if (!isOAuthError(error, 'NETWORK_LOST', 'OUTPUT_FAILED')) return error
  return new CliError(error.code, `${error.message}; the request may have taken effect`, {
    cause: error,
    hint: 'check whether the request took effect before you run it again',
  })
}
