/**
 * How a batch ends before its last line: by a signal, by output that cannot be written, by an error.
 */
import { isOAuthError, type OAuthError } from '../../errors.ts'
import type { Session } from '../../session/session.ts'
import { CliError, hintOf } from '../errors.ts'
import type { Output } from '../output.ts'
import { counted } from './progress-text.ts'

/** How far it got, for a person. */
export function reached(count: number, lost: readonly number[]): string {
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
export function endedEarly(
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

export function isFile(path: string | undefined): path is string {
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
export async function withSignals(
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
