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
import type { Output } from '../output.ts'
import { sessionFor } from '../session/select.ts'
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

/** How far it got, for a person. */
function reached(count: number, lost: readonly number[]): string {
  const answered = `${count === 0 ? 'no' : count.toLocaleString('en')} ${count === 1 ? 'request was' : 'requests were'} answered`
  if (lost.length === 0) return answered
  const [first, last] = [lost[0]!, lost.at(-1)!]
  const range = `${first.toLocaleString('en')} to ${last.toLocaleString('en')}`
  const isWhole = last - first === lost.length - 1
  const where = lost.length === 1 ? `line ${first.toLocaleString('en')}` : `${isWhole ? '' : 'among '}lines ${range}`
  const more = counted(lost.length, count === 0 ? 'request' : 'more request')
  const [were, their] = lost.length === 1 ? ['was', 'its result was'] : ['were', 'their results were']
  const sent = `${more} ${were} sent, but ${their} not written (${where})`
  return count === 0 ? sent : `${answered}; ${sent}`
}

/**
 * The results so far are kept; the error tells how to resume.
 *
 * @param lost the lines that were sent, and whose results could not be written
 * @param isWaiting there may be more of them, whose responses have not come yet
 */
function endedEarly(
  error: OAuthError,
  { count, lost, isWaiting }: { readonly count: number; readonly lost: readonly number[]; readonly isWaiting: boolean },
  path: string | undefined,
  isAccountGiven: boolean,
): OAuthError {
  const message = `${error.message}; ${reached(count, lost)}${isWaiting ? ', and some had no response yet' : ''}`
  const resume = isFile(path)
    ? '$& with --resume'
    : '$& with -o results.jsonl --resume, after you have written the printed results to that file'
  const next = hintOf(error, 'call', isAccountGiven)
  const resumed = count === 0 ? next : next.replace(/the same command (?:again|without --account)/, resume)
  const again = isFile(path) ? 'you resume, because --resume sends them again' : 'you send them again'
  const hint = lost.length === 0 ? resumed : `${resumed}; find out what those requests did before ${again}`
  return new CliError(error.code, message, { cause: error, hint, session: error.session })
}

function isFile(path: string | undefined): path is string {
  return path !== undefined && path !== '-'
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof SIGNALS

interface Ending {
  /** Aborted by a signal, or by `stop`. */
  readonly signal: AbortSignal
  /** @param reason of what is said if a signal comes while the last requests are awaited */
  readonly stop: (reason: () => unknown) => void
  /** Whether a signal was received. */
  readonly isInterrupted: () => boolean
}

/** The first signal stops the batch, which reports how far it got; the second one ends the process. */
async function withSignals(
  session: Pick<Session, 'settled'>,
  output: Output,
  work: (ending: Ending) => Promise<void>,
): Promise<void> {
  const controller = new AbortController()
  const { signal } = controller
  let received: Signal | undefined
  let reason: (() => unknown) | undefined
  const listener = (name: Signal) => {
    if (received) process.exit(SIGNALS[name])
    received = name
    controller.abort()
    // A refresh is finished first.
    if (reason) void session.settled().finally(() => process.exit(output.finish(reason!()) || SIGNALS[name]))
  }
  const names = Object.keys(SIGNALS) as Signal[]
  // The other listeners would end the process immediately.
  const others = names.map((name) => [name, process.rawListeners(name)] as const)
  for (const name of names) process.removeAllListeners(name).on(name, listener)
  try {
    // A refresh that was given up goes on, and delays signals until it is saved.
    const stop: Ending['stop'] = (why) => {
      reason = why
      controller.abort()
    }
    await work({ signal, stop, isInterrupted: () => received !== undefined }).finally(() => session.settled())
  } catch (error) {
    if (received && isOAuthError(error, 'INTERRUPTED')) {
      output.finish(error)
      process.exit(SIGNALS[received])
    }
    throw error
  } finally {
    for (const [name, listeners] of others) {
      process.off(name, listener)
      for (const other of listeners) process.on(name, other as NodeJS.SignalsListener)
    }
  }
}
