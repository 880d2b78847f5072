/**
 * `call --batch`: reads one request per line and writes one result per line.
 */
import { fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { batch } from '../../call/batch.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { reasonOf } from '../../node/store/files.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { CliError, hintOf, unreadableFileHint } from '../errors.ts'
import { type CliIO, currentFolder } from '../io.ts'
import { sessionFor } from '../session/select.ts'
import { endedEarly, isFile, reached, withSignals } from './batch-ending.ts'
import { openResults, ResultWriter } from './batch-output.ts'
import { textLines } from './lines.ts'
import { BatchTally, counted, RateLimitWait } from './progress-text.ts'

export interface BatchFlags {
  readonly concurrency?: string
  readonly resume?: boolean
  readonly output?: string
  readonly timeout?: number
  readonly account?: string
}

const CONCURRENCY = 4
const CONCURRENCY_LARGEST = 32
/** Bytes; servers accept less JSON per request. */
const LINE_LONGEST = 4 * 1024 * 1024

export function addBatchOptions(command: Command): Command {
  const group = 'Batch options:'
  const options = [
    new Option(
      '--batch <file>',
      'Send the requests in a file, or - for stdin, one JSON object per line: {"nsid", "params", "input", "id"}',
    ),
    new Option(
      '--concurrency <n>',
      `Maximum concurrent requests, up to ${CONCURRENCY_LARGEST} (default: ${CONCURRENCY})`,
    ),
    new Option('--resume', 'Skip requests already answered in the output file'),
  ]
  for (const option of options) command.addOption(option.helpGroup(group))
  return command
}

/**
 * @param file `-` is stdin
 * @throws {OAuthError} `XRPC_ERROR` some failed; what ended the batch
 */
export async function runBatch(file: string, options: BatchFlags, context: Context): Promise<void> {
  const { io, output, runtime } = context
  const { resume = false, output: path } = options
  const concurrency = parseConcurrency(options.concurrency)
  if (resume && !isFile(path)) {
    throw new CliError('USAGE', '--resume needs the output file of the earlier run', {
      hint: 'name it with -o, as in: -o results.jsonl',
    })
  }
  await using input = await openInput(file, io)
  await using results = await openResults(path, resume, output)
  const session = await sessionFor(options.account, context).catch(async (error) => {
    await results.abandon()
    throw error
  })
  const { known } = results
  if (known.count > 0) {
    output.note(`skipping ${counted(known.count, 'request')} already answered in ${path}`)
  }
  const wait = new RateLimitWait(runtime)
  const { isShown } = output.progress
  const tally = new BatchTally(isShown ? input.size : undefined, wait)
  const isTyped = file === '-' && io.stdin.isTTY // the line would mix with what is typed
  const describe = isTyped ? undefined : (elapsed: number) => tally.text(elapsed)
  const count = () => known.count + tally.succeeded + tally.failed

  let accountState: OAuthError | undefined
  await withSignals(session, output, async ({ signal, stop, isInterrupted }) => {
    let read = 0
    const isFinished = (line: number) => known.has(line)
    const onLine = (length: number) => {
      read += 1
      tally.read(read, length, isFinished(read))
    }
    const lines = textLines(input.chunks, LINE_LONGEST, onLine)
    const onAccountState = (error: OAuthError) => {
      accountState = error
    }
    const limits = { concurrency, isFinished, signal, onRateLimit: wait.onRateLimit, onAccountState }
    const writer = new ResultWriter(results)
    const early = (error: OAuthError, isWaiting = false) =>
      endedEarly(error, { count: count(), lost: writer.lost, isWaiting }, path, options.account !== undefined)
    const finishWithoutOutput = ({ error }: { readonly error: unknown }) => {
      output.note('no more results can be written: waiting for the requests that were sent')
      stop(() => (isOAuthError(error) ? early(error, true) : error))
    }
    try {
      await output.progress.during(describe, async () => {
        for await (const result of batch(lines, withTimeout(session, options.timeout), limits, runtime)) {
          const { failure } = writer
          if (await writer.write(result)) tally.add(result)
          else if (!failure) finishWithoutOutput(writer.failure!)
        }
      })
      if (isInterrupted()) throw new OAuthError('INTERRUPTED', 'interrupted')
      if (writer.failure) throw writer.failure.error
    } catch (thrown) {
      const { failure, lost } = writer
      // Whatever else has happened since: that is what ended the batch. A signal also ends the reader of a pipe.
      const isCause = failure && (isOAuthError(failure.error) || !isInterrupted())
      const error = isCause ? failure.error : thrown
      if (isOAuthError(error)) throw early(error)
      if (lost.length > 0) output.warn(reached(count(), lost))
      throw error
    }
    if (known.highest > read) {
      throw new CliError('USAGE', `${path} has a response to line ${known.highest}, but ${file} ends at line ${read}`, {
        hint: 'resume a batch with the same input file',
      })
    }
  })
  output.note(tally.summary(known))
  const failed = known.failed + tally.failed
  if (failed === 0) return
  const message = `${failed.toLocaleString('en')} of ${counted(count(), 'request')} failed`
  if (accountState) throw withAccountState(message, accountState)
  throw new CliError('XRPC_ERROR', message, {
    hint: `see the lines with "error" in ${isFile(path) ? path : 'the output'}; the session is not the cause`,
  })
}

function withAccountState(message: string, state: OAuthError): OAuthError {
  return new CliError('XRPC_ERROR', `${message}; ${state.message}`, {
    cause: state,
    facts: state.facts,
    hint: hintOf(state, 'call'),
    session: state.session,
  })
}

function withTimeout(session: Session, timeoutSeconds: number | undefined): Parameters<typeof batch>[1] {
  return {
    did: session.did,
    currentHandle: () => session.currentHandle(),
    record: () => session.record(),
    call: (request) => session.send(timeoutSeconds === undefined ? request : { ...request, timeoutSeconds }),
  }
}

function parseConcurrency(text = String(CONCURRENCY)): number {
  const number = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= CONCURRENCY_LARGEST) return number
  throw new OAuthError('USAGE', `--concurrency must be a whole number from 1 to ${CONCURRENCY_LARGEST}`)
}

interface Input extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Bytes; only a regular file has a size that is known in advance. */
  readonly size?: number | undefined
}

async function openInput(file: string, { stdin }: CliIO): Promise<Input> {
  const refuse = (error: unknown): never => {
    const hint = unreadableFileHint(file, error, currentFolder())
    const what = file === '-' ? 'stdin' : JSON.stringify(file)
    throw new CliError('USAGE', `cannot read ${what}: ${reasonOf(error)}`, { hint })
  }
  async function* chunksOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* stream
    } catch (error) {
      refuse(error)
    }
  }
  // For a directory, Node has an empty stdin.
  const fd = file === '-' && 'fd' in stdin ? stdin.fd : undefined
  if (typeof fd === 'number' && fstatSync(fd).isDirectory()) refuse(isDirectory())
  // Destroyed even if unread input remains: it would keep the process alive.
  if (file === '-') return { chunks: chunksOf(stdin), [Symbol.asyncDispose]: async () => void stdin.destroy() }
  const handle = await open(file).catch(refuse)
  const stream = handle.createReadStream()
  const stats = await handle.stat()
  if (stats.isDirectory()) refuse(isDirectory())
  return {
    chunks: chunksOf(stream),
    size: stats.isFile() ? stats.size : undefined,
    [Symbol.asyncDispose]: async () => void stream.destroy(),
  }
}

function isDirectory(): Error {
  return Object.assign(new Error('is a directory'), { code: 'EISDIR' })
}
