/**
 * Writes a response, unchanged, to stdout or a file, or turns it into an error.
 */

import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { OAuthError } from '../../errors.ts'
import { undecodedEncodings } from '../../node/http/exchange.ts'
import { isCode, reasonOf } from '../../node/store/files.ts'
import type { HttpResponse } from '../../ports.ts'
import { mediaType, parseJsonObject } from '../../protocol/http/response.ts'
import { readXrpcError } from '../../protocol/xrpc/error.ts'
import type { XrpcRequest } from '../../protocol/xrpc/request.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { shellQuote } from '../shell.ts'
import { measuredDownload } from './transfer.ts'

/** Bytes; a smaller response is printed only once it is complete. */
const HELD_BACK = 16 * 1024 * 1024

export interface ResponseOptions {
  readonly include?: boolean
  readonly output?: string
  readonly pretty?: boolean
}

export function addResponseOptions(command: Command): Command {
  return command
    .option('-i, --include', 'Print the response status and headers too, also for errors')
    .option('-o, --output <file>', 'Write the response to a file once it is complete; - for stdout')
    .option('--pretty', 'Indent JSON')
}

/** @throws {OAuthError} for every status other than 2xx */
export async function printResponse(
  response: HttpResponse,
  request: XrpcRequest,
  session: Session,
  options: ResponseOptions,
  sink: Sink | undefined,
  context: Context,
): Promise<void> {
  if (!response.ok) throw await asError(response, request, session, options, context)
  const first = options.include ? Buffer.from(head(response)) : undefined
  const { io, output } = context
  const encodings = undecodedEncodings(response)
  if (encodings.length > 0) {
    output.warn(`the response is encoded as ${encodings.join(', ')}, which was not requested: it was not decoded`)
  }
  if (sink) {
    const download = output.progress.isShown ? measuredDownload(response) : undefined
    await output.progress.during(download?.text, async () => {
      for await (const part of parts(download?.content ?? response, first, options)) await sink.write(part)
      await sink.commit()
    })
    return
  }
  if (io.stdout.isTTY && options.output === undefined && isBinary(response)) {
    await response.body?.cancel()
    throw new CliError(
      'USAGE',
      `the response is ${mediaType(response.headers) || 'binary'}, which is not shown at a terminal`,
      {
        hint: 'write it to a file, as in: -o response.bin; to print it anyway, add -o -',
      },
    )
  }
  await printHeldBack(parts(response, first, options), output.data)
  // The body often ends without a line feed, so the shell prompt would be on its last line.
  if (io.stdout.isTTY && !options.pretty) output.note('')
}

async function asError(
  response: HttpResponse,
  request: XrpcRequest,
  session: Session,
  { include = false }: ResponseOptions,
  { io, output, runtime }: Context,
): Promise<OAuthError> {
  const { error, body, bytes } = await readXrpcError(request, response, session.record(), runtime.now())
  if (include) await output.data(Buffer.concat([Buffer.from(head(response)), bytes ?? new Uint8Array()]))
  else output.serverBody(body)
  if (include && io.stdout.isTTY) output.note('')
  return error
}

async function* parts(
  response: HttpResponse,
  first: Uint8Array | undefined,
  { pretty }: ResponseOptions,
): AsyncGenerator<Uint8Array> {
  if (first) yield first
  if (!pretty || isBinary(response)) {
    for await (const chunk of response.body ?? []) yield chunk
    return
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body ?? []) chunks.push(chunk)
  const text = new TextDecoder().decode(Buffer.concat(chunks))
  const document = parseJsonObject(text)
  yield Buffer.from(document ? `${JSON.stringify(document, null, 2)}\n` : text)
}

/** Holds back up to `HELD_BACK` bytes, so that a failed response leaves stdout empty. */
async function printHeldBack(
  chunks: AsyncIterable<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const held: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    length += chunk.length
    held.push(chunk)
    if (length > HELD_BACK) for (const part of held.splice(0)) await write(part)
  }
  for (const part of held) await write(part)
}

/** The output file of `-o`. */
export interface Sink {
  write(bytes: Uint8Array | string): Promise<void>
  /** Replaces the file with what was written. */
  commit(): Promise<void>
  /** Leaves the file as it was. */
  discard(): Promise<void>
}

/**
 * Opened before anything is sent. The file is replaced only once the response is complete.
 *
 * @throws {OAuthError} `USAGE`
 */
export async function openSink({ output: path }: ResponseOptions): Promise<Sink | undefined> {
  if (path === undefined || path === '-') return undefined
  if (path === '') throw new OAuthError('USAGE', '-o needs a file name')
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isDirectory()) throw unwritable(path, 'is a directory')
  // A device or a named pipe is written to directly, not replaced.
  const isPlain = stats === undefined || stats.isFile()
  const target = stats && isPlain ? await realpath(path) : path
  const beside = isPlain ? join(dirname(target), `.${randomUUID()}.part`) : path
  // With the permissions of the existing file.
  const file = await open(beside, isPlain ? 'wx' : 'w', stats?.mode).catch((error) => {
    throw unwritable(path, reasonOf(error), isCode(error, 'ENOENT'))
  })
  const discard = async () => {
    await file.close().catch(() => undefined)
    if (isPlain) await rm(beside, { force: true }).catch(() => undefined)
  }
  const orFail = async (work: () => Promise<void>) =>
    work().catch((error) => {
      if (isCode(error, 'EPIPE')) throw error // the reader of a named pipe has had enough, as in `… | head`
      throw new OAuthError('OUTPUT_FAILED', `cannot write ${path}: ${reasonOf(error)}`)
    })
  return {
    discard,
    write: (bytes) => orFail(() => file.writeFile(bytes)),
    commit: () =>
      orFail(async () => {
        if (isPlain) await file.sync()
        await file.close()
        if (isPlain) await rename(beside, target)
      }),
  }
}

function unwritable(path: string, why: string, isFolderMissing = false): OAuthError {
  return new CliError('USAGE', `cannot write ${path}: ${why}`, {
    hint: isFolderMissing ? `mkdir -p ${shellQuote(dirname(path))}` : 'name a file in a writable directory',
  })
}

function isBinary({ headers }: HttpResponse): boolean {
  const type = mediaType(headers)
  return type !== '' && !/^text\/|[/+](?:json|jsonl|xml)$/.test(type)
}

function head(response: HttpResponse): string {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${response.status} ${response.statusText}\r\n${headers.join('')}\r\n`
}
