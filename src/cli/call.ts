/**
 * `call`: one signed XRPC request to the account's PDS.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { AuthError, isAuthError } from '../errors.ts'
import { readBounded, withoutSecrets } from '../protocol/response.ts'
import { type XrpcRequest, xrpcError } from '../protocol/xrpc.ts'
import { type Host, readStdin } from './host.ts'
import type { Runner } from './run.ts'
import { ACCOUNT_OPTION, sessionFor } from './session.ts'
import { addCommonOptions, addSaveOption, type Context, type SavingOptions } from './settings.ts'

/** Bytes; what is smaller is printed only when it is there as a whole. */
const HELD_BACK = 16 * 1024 * 1024
const BODY_LARGEST = 128 * 1024 * 1024
const ERROR_LARGEST = 1024 * 1024

interface CallOptions extends SavingOptions {
  readonly data?: string
  readonly method?: 'GET' | 'POST'
  readonly header?: string[]
  readonly include?: boolean
  readonly account?: string
}

export function callCommand(run: Runner): Command {
  const command = new Command('call')
    .description('make one XRPC request as the account')
    .argument('<nsid>', 'the method, such as com.atproto.repo.listRecords')
    .argument('[key=value...]', 'query parameters; a repeated key is an array, {did} is the account')
    .option('-d, --data <json>', 'a JSON body, which makes it a procedure; @file or @- for its content')
    .addOption(
      new Option('-X, --method <method>', 'GET or POST, where the body does not tell').choices(['GET', 'POST']),
    )
    .option('-H, --header <name: value>', 'a header more, repeatable', collect)
    .option('-i, --include', 'print the status and the headers too, of an error as well')
    .option(...ACCOUNT_OPTION)
    .addHelpText('after', EXAMPLES)
  addSaveOption(command)
  return addCommonOptions(command).action((nsid: string, pairs: string[], options: CallOptions) =>
    run(options, (context) => runCall(nsid, pairs, options, context)),
  )
}

const EXAMPLES = `
Examples:
  atproto-oauth call com.atproto.server.getSession
  atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post limit=5
  atproto-oauth call com.atproto.repo.createRecord -d @record.json
`

async function runCall(nsid: string, pairs: string[], options: CallOptions, context: Context): Promise<void> {
  const { host, output, world } = context
  const request = await readRequest(nsid, pairs, options, host)
  const session = await sessionFor(options.account, context)

  const response = await session.call(request).catch((error: unknown) => {
    throw request.body === undefined && request.method !== 'POST' ? error : maybeDone(error)
  })
  const first = options.include ? Buffer.from(head(response)) : undefined
  if (response.ok) {
    await print(response, first, output.data)
    // The body often ends without a line feed, and the prompt would follow it.
    if (host.stdout.isTTY) output.note('')
    return
  }
  const bytes = await readBounded(response, ERROR_LARGEST)
  if (first) await output.data(Buffer.concat([first, bytes ?? new Uint8Array()]))
  const { refreshToken, accessToken, dpopPrivateJwk } = session.record()
  const body = withoutSecrets(new TextDecoder().decode(bytes), [refreshToken, accessToken, dpopPrivateJwk.d])
  if (!options.include) output.serverBody(body)
  throw xrpcError(nsid, response, body, world.now(), session.record())
}

async function readRequest(nsid: string, pairs: string[], options: CallOptions, host: Host): Promise<XrpcRequest> {
  const headers = Object.fromEntries((options.header ?? []).map(parseHeader))
  const body = options.data === undefined ? undefined : await readBody(options.data, host)
  const isJson = !('content-type' in headers) || headers['content-type']?.startsWith('application/json')
  if (body !== undefined && isJson) checkJson(body)
  return {
    nsid,
    parameters: pairs.map(parsePair),
    method: options.method,
    ...(body !== undefined && { body }),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  }
}

function parsePair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
  throw new AuthError('USAGE', `${JSON.stringify(pair)} is not a parameter: write it as key=value`, {
    hint: 'atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post',
  })
}

function parseHeader(header: string): [string, string] {
  const at = header.indexOf(':')
  if (at > 0) return [header.slice(0, at).trim().toLowerCase(), header.slice(at + 1).trim()]
  throw new AuthError('USAGE', `${JSON.stringify(header)} is not a header: write it as "name: value"`)
}

async function readBody(data: string, host: Host): Promise<string | Uint8Array> {
  if (!data.startsWith('@')) return data
  const path = data.slice(1)
  if (path === '-') {
    const bytes = await readStdin(host, BODY_LARGEST)
    return bytes ?? refuse('stdin is larger than 128 MiB')
  }
  return readFile(path).catch((error) => refuse(`cannot read ${path}: ${error.code ?? error.message}`))
}

function checkJson(body: string | Uint8Array): void {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body)
  try {
    JSON.parse(text)
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : String(error)
    throw new AuthError('USAGE', `the body is not JSON: ${why}`, {
      hint: 'put the JSON in single quotes, or write it to a file and use -d @file',
    })
  }
}

function refuse(message: string): never {
  throw new AuthError('USAGE', message)
}

function head(response: Response): string {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${response.status} ${response.statusText}\r\n${headers.join('')}\r\n`
}

/** The body, byte for byte; what fits is held back until it is complete, so that a failure leaves stdout empty. */
async function print(
  response: Response,
  first: Uint8Array | undefined,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const held: Uint8Array[] = first ? [first] : []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    held.push(chunk)
    if (length > HELD_BACK) for (const part of held.splice(0)) await write(part)
  }
  for (const part of held) await write(part)
}

/** A write whose answer was lost is no failure that can be repeated without a look. */
function maybeDone(error: unknown): unknown {
  if (!isAuthError(error, 'NETWORK_LOST')) return error
  return new AuthError('NETWORK_LOST', `${error.message}; the request may have taken effect`, {
    cause: error,
    hint: 'look whether it took effect before you run it again',
  })
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}
