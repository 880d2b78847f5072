/**
 * From the words of a command line to one XRPC request: fields, bodies, files, headers.
 */
import { openAsBlob } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { Readable } from 'node:stream'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { OAuthError } from '../../errors.ts'
import type { Did } from '../../model.ts'
import { reasonOf } from '../../node/store/files.ts'
import type { Body } from '../../ports.ts'
import { resolveDid } from '../../protocol/identity/did.ts'
import { asHandle, asNsid, isDid } from '../../protocol/identity/syntax.ts'
import { assembleRequest, checkMethod, type GivenField, type GivenRequest } from '../../protocol/xrpc/fields.ts'
import { findMethod, listMethods, needsOf } from '../../protocol/xrpc/lexicons.ts'
import { buildXrpcRequest, type XrpcRequest } from '../../protocol/xrpc/request.ts'
import { defaultService, SERVICE_NAMES, serviceOf } from '../../protocol/xrpc/services.ts'
import type { Session } from '../../session/session.ts'
import { decodeUtf8 } from '../../text.ts'
import type { Context } from '../context.ts'
import { CliError, unreadableFileHint } from '../errors.ts'
import { type CliIO, currentFolder, readStdin } from '../io.ts'
import { collect } from '../options.ts'
import { durationOf } from '../session/duration.ts'
import { callCommandLine, shellQuote } from '../shell.ts'
import { MEDIA_TYPES } from './media-types.ts'

const BODY_LARGEST = 128 * 1024 * 1024
const WORD = /^([^=:]+)(:?)=(@?)([\s\S]*)$/

export interface RequestOptions {
  readonly data?: string
  readonly method?: 'GET' | 'POST'
  readonly header?: string[]
  readonly upload?: string
  readonly proxy?: string
  readonly acceptLabelers?: string
  readonly timeout?: number
}

export function addRequestOptions(command: Command): Command {
  return command
    .option('-d, --data <json>', 'JSON body, merged with the fields; @FILE or @- to read it from a file or stdin')
    .addOption(
      new Option('-X, --method <method>', 'Set the HTTP method and skip validation against the lexicon').choices([
        'GET',
        'POST',
      ]),
    )
    .option('-H, --header <name: value>', 'Add an HTTP header (repeatable)', collect)
    .option('--upload <file>', 'Upload a file, or - for stdin, with its media type')
    .option(
      '--proxy <service>',
      `Send the request through the PDS to a service: did#service, ${SERVICE_NAMES.slice(0, -1).join(', ')} or ${SERVICE_NAMES.at(-1)}`,
    )
    .option('--accept-labelers <dids>', 'Labelers to apply, comma-separated, each as did[;redact]')
    .option('--timeout <seconds>', 'Timeout in seconds, for the response and for each pause in its body', seconds)
}

/** A valid request before the session is known. */
export interface ReadRequest {
  /** With the placeholders as they were written. */
  readonly unfilled: XrpcRequest
  for(session: Session, context: Context): Promise<XrpcRequest>
}

type Account = GivenRequest['account']

/** Stands for the account where there is none: each placeholder for itself. */
export const UNFILLED = { did: '{did}' as Did, handle: '{handle}', pds: '{pds}' }

/**
 * Reports everything that is wrong with the command line, before a session is looked for. What does not depend on a
 * file or on stdin is checked first, because stdin may be a terminal.
 *
 * @throws {OAuthError} `USAGE`, `NSID_INVALID`
 */
export async function readRequest(
  nsid: string,
  words: readonly string[],
  options: RequestOptions,
  context: Context,
): Promise<ReadRequest> {
  const { io } = context
  if (asNsid(nsid) === undefined) {
    const hint = methodHint(nsid, words[0])
    throw new CliError('NSID_INVALID', `invalid method name ${JSON.stringify(nsid)}`, { hint })
  }
  const headers = headersOf(nsid, options)
  const hasBody = options.data !== undefined || options.upload !== undefined
  buildXrpcRequest({ nsid, headers, ...(hasBody && { method: 'POST', body: '' }) }, UNFILLED.did)
  checkMethod(nsid, options.method)
  if (options.data !== undefined && options.upload !== undefined) throw usage('--data cannot be used with --upload')
  const stdins = [options.data === '@-', options.upload === '-', ...words.map((word) => /:?=@-$/.test(word))]
  if (stdins.filter(Boolean).length > 1) throw usage('stdin can be read only once')
  const cut = words.find((word) => /^[^=:]+:?=[[{]$/.test(word))
  if (cut !== undefined && words.length > 1) {
    const name = cut.replace(/:?=.$/, '')
    throw usage(`the JSON of ${JSON.stringify(name)} is not quoted: the shell splits it into several words`, {
      hint: `put it in single quotes after :=, as in: ${shellQuote(name)}:='{"text":"hello"}'`,
    })
  }
  const fields: GivenField[] = []
  for (const word of words) fields.push(await readField(word, nsid, io))
  const type = headers['content-type']
  const isJson = type === undefined || /^application\/(?:[\w.-]+\+)?json\b/i.test(type)
  const bytes = options.data === undefined ? undefined : await readBody(options.data, io)
  const upload =
    options.upload === undefined ? (isJson ? undefined : bytes) : await openUpload(options.upload, type, io)
  const data = bytes === undefined || !isJson ? undefined : typeof bytes === 'string' ? bytes : decode(bytes)
  const requestOf = (account: Account): XrpcRequest => {
    const hasUpload = upload !== undefined
    const request = assembleRequest({ nsid, fields, data, hasUpload, method: options.method, account })
    return {
      ...request,
      ...(upload !== undefined && { body: upload }),
      headers: { ...request.headers, ...(upload instanceof Blob && { 'content-type': upload.type }), ...headers },
      timeoutSeconds: options.timeout,
    }
  }
  const unfilled = requestOf(UNFILLED)
  buildXrpcRequest(unfilled, UNFILLED.did)
  return {
    unfilled,
    async for(session, { runtime }) {
      return requestOf(await accountOf(session, [...fields.map(({ value }) => value), data ?? ''], runtime))
    },
  }
}

/** The method that was meant by a URL, an HTTP method before it, or its last name alone. */
function methodHint(typed: string, next = ''): string {
  const word = /^(?:get|post)$/i.test(typed) ? next : typed
  const name = word.replace(/[?#].*/, '').replace(/.*\//, '')
  const ending = `.${name.toLowerCase()}`
  const meant = asNsid(name) ? [] : listMethods().filter(({ nsid }) => nsid.toLowerCase().endsWith(ending))
  const known = meant.length === 1 ? meant[0] : findMethod(name)
  const parameters = new URLSearchParams(/\?([^#]*)/.exec(word)?.[1])
  if (known && parameters.size === 0) return callCommandLine(needsOf(known))
  const method = known?.nsid ?? asNsid(name)
  const fields = [...parameters].map(([key, value]) => shellQuote(`${key}=${value}`))
  return method ? ['atproto-oauth call', method, ...fields].join(' ') : 'atproto-oauth call --list'
}

/** Parses `key=value`, `key:=json`, `key=@file` and `key:=@file`. */
async function readField(word: string, nsid: string, io: CliIO): Promise<GivenField> {
  const [, name, colon, at, rest] = WORD.exec(word) ?? []
  if (name === undefined || rest === undefined) {
    const method = findMethod(nsid)
    throw usage(`${JSON.stringify(word)} is not a field: write it as key=value`, {
      hint: method ? callCommandLine(needsOf(method)) : 'write each field as key=value, as in: repo={did}',
    })
  }
  if (at === '') return { name, value: rest, isJson: colon !== '' }
  const hint = mentionHint(name, rest, colon !== '')
  const bytes = await readBody(`@${rest}`, io, hint)
  return { name, value: typeof bytes === 'string' ? bytes : decode(bytes), isJson: colon !== '' }
}

/** Where `@` may have been meant as the sign before a handle or a name, and not before a file. */
function mentionHint(name: string, rest: string, isJson: boolean): string | undefined {
  if (isJson) return undefined
  if (/^(?:actors?|author|handle|repo)$/.test(name)) return `write the handle without @: ${name}=${shellQuote(rest)}`
  const isPath = /[/\\]|\.\w+$/.test(rest)
  return isPath ? undefined : `for a text that starts with @: ${name}:='"@${rest.replaceAll(/["']/g, '')}"'`
}

function headersOf(nsid: string, { header, proxy, acceptLabelers }: RequestOptions): Record<string, string> {
  const given = Object.fromEntries((header ?? []).map(parseHeader))
  const service = proxy === undefined ? defaultService(nsid) : proxyOf(proxy)
  return {
    ...(service !== undefined && { 'atproto-proxy': service }),
    ...(acceptLabelers !== undefined && { 'atproto-accept-labelers': labelersOf(acceptLabelers) }),
    ...given,
  }
}

function parseHeader(header: string): [string, string] {
  const at = header.indexOf(':')
  if (at > 0) return [header.slice(0, at).trim().toLowerCase(), header.slice(at + 1).trim()]
  throw usage(`${JSON.stringify(header)} is not a header: write it as "name: value"`, {
    hint: "put a colon after the name, as in: -H 'accept-language: de'",
  })
}

/** The value of `--proxy` as a header. */
function proxyOf(given: string): string {
  const service = serviceOf(given)
  if (/^(?:https?|socks\w*):/i.test(given)) {
    throw usage('--proxy is a service that the PDS forwards to, not an HTTP proxy', {
      hint: 'for an HTTP proxy, set HTTPS_PROXY to its URL, such as http://127.0.0.1:3128',
    })
  }
  if (/^did:[^#]+#\S+$/.test(service)) return service
  throw usage(`invalid atproto-proxy ${JSON.stringify(given)}: it must be did#service`, {
    hint: `use --proxy ${SERVICE_NAMES.join(', --proxy ')} or, for another service, --proxy 'did:web:api.example.com#service'`,
  })
}

/** Servers ignore entries that are no DIDs. */
function labelersOf(given: string): string {
  const wrong = given
    .split(',')
    .map((entry) => entry.trim().replace(/\s*;.*$/, ''))
    .find((entry) => entry !== '' && !isDid(entry))
  if (wrong === undefined) return given
  throw usage(`${JSON.stringify(wrong)} is not the DID of a labeler`, {
    hint: asHandle(wrong)
      ? `find it with: atproto-oauth call com.atproto.identity.resolveHandle handle=${wrong}`
      : 'write the DIDs comma-separated, as in: --accept-labelers did:plc:ar7c4by46qjdydhdevvrndac',
  })
}

async function readBody(data: string, io: CliIO, hint?: string): Promise<string | Uint8Array> {
  if (!data.startsWith('@')) return literal(data)
  const path = data.slice(1)
  if (path === '-') {
    const bytes = await readStdin(io, BODY_LARGEST)
    if (bytes?.length === 0) throw usage('stdin is empty', { hint: 'pipe a file into the command, as in: < body.json' })
    if (bytes) return bytes
    throw usage('stdin is larger than 128 MiB')
  }
  return readFile(path).catch((error) => unreadable(path, error, hint))
}

/** A body in the command line. */
function literal(data: string): string {
  if (data === '') throw usage('the body is empty: was its variable not set?')
  if (/^[^\s{["=&]+\.\w+$/.test(data)) {
    throw usage(`the body is not JSON: ${JSON.stringify(data)} is the name of a file`, {
      hint: `to read the file: -d ${shellQuote(`@${data}`)}`,
    })
  }
  if (/^\w+=/.test(data)) {
    throw usage('the body is not JSON, but a form', { hint: 'omit -d, and write each field as key=value' })
  }
  return data
}

function unreadable(path: string, error: NodeJS.ErrnoException, hint?: string): never {
  const isMissing = error.code === 'ENOENT' && hint !== undefined
  throw usage(`cannot read ${JSON.stringify(path)}: ${reasonOf(error)}`, {
    hint: isMissing ? hint : unreadableFileHint(path, error, currentFolder()),
  })
}

function decode(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes)
  if (text !== undefined) return text
  throw usage('a body or a field is not UTF-8', {
    hint: 'save the text as UTF-8; for a binary file, use --upload, as in: --upload picture.png',
  })
}

/** A file is read while it is sent, and again for a retry; stdin can be read only once. */
async function openUpload(path: string, type: string | undefined, io: CliIO): Promise<Body> {
  const isStdin = path === '-'
  const stats = isStdin ? undefined : await stat(path).catch((error) => unreadable(path, error))
  if (stats && !stats.isFile()) {
    throw usage(`${JSON.stringify(path)} is not a file`, {
      hint: 'name a regular file, or pipe its content: --upload -',
    })
  }
  const known = type ?? MEDIA_TYPES[extname(path).slice(1).toLowerCase()]
  if (known === undefined) {
    const what = isStdin ? 'stdin' : path
    throw usage(`unknown media type of ${what}`, { hint: "add it, as in: -H 'content-type: image/png'" })
  }
  return isStdin ? (Readable.toWeb(io.stdin) as ReadableStream<Uint8Array>) : openAsBlob(path, { type: known })
}

/** The values of `{did}`, `{handle}` and `{pds}`, resolved only if used. */
async function accountOf(session: Session, texts: readonly string[], runtime: Context['runtime']): Promise<Account> {
  const uses = (name: string) => texts.some((text) => text.includes(`{${name}}`))
  const { did } = session
  return {
    did,
    handle: uses('handle') ? await session.currentHandle() : undefined,
    pds: uses('pds') ? (await resolveDid(did, runtime)).pds : undefined,
  }
}

function usage(message: string, options: { hint?: string | undefined } = {}): OAuthError {
  return new CliError('USAGE', message, options)
}

function seconds(text: string): number {
  const given = /^\d{1,6}$/.test(text) ? Number(text) : durationOf(text)
  if (given !== undefined && given > 0) return given
  throw new InvalidArgumentError('It must be a number of seconds, such as 90, or a duration, such as 5m.')
}
