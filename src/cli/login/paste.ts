/**
 * Reads a long paste from a terminal. Without line editing by the terminal, which drops what follows 4,096 characters,
 * or by a library, which draws the whole line again for each part of it. Line breaks inside a paste end nothing.
 */
import { StringDecoder } from 'node:string_decoder'
import { setImmediate } from 'node:timers/promises'
import { OAuthError } from '../../errors.ts'
import type { CliIO } from '../io.ts'

/** Milliseconds without input after Enter: the rest of a paste that a terminal sends line by line. */
const SETTLED = 150
const LONGEST = 64 * 1024
const BRACKETED = { on: '\u001b[?2004h', off: '\u001b[?2004l' }
/** The marks of a bracketed paste, other keys that send a sequence, single control characters, and text. */
const TOKENS = /\u001b\[20[01]~|\u001b\[[0-9;?]*[@-~]|\u001bO.|[\u0000-\u001f\u007f]|[^\u0000-\u001f\u007f]+/g
const UNFINISHED = /\u001b(?:\[[0-9;?]*|O)?$/

export interface Asked {
  prompt(): string
  /** @returns what is wrong with it, if it can be pasted again */
  check(text: string): Promise<OAuthError | undefined>
  /** What Ctrl-C interrupts. */
  readonly interrupted: string
  readonly signal?: AbortSignal
  /** Milliseconds after which the prompt is shown again, while nothing is typed. */
  readonly every?: number
}

export function readPaste({ stdin, stderr }: CliIO, asked: Asked): Promise<string> {
  const { prompt, check, interrupted, signal, every } = asked
  const decoder = new StringDecoder('utf8')
  /** What was typed since the last paste that was wrong, and the part of it that was checked. */
  let typed = ''
  let checked = 0
  let isPasting = false
  let unfinished = ''
  let isChecking = false
  /** More was entered during a check. */
  let isLate = false
  let settling: NodeJS.Timeout | undefined
  let ticking: NodeJS.Timeout | undefined

  return new Promise<string>((accept, refuse) => {
    const show = () => stderr.write(`\r\u001b[K${prompt()}`)
    const interrupt = () => end(() => refuse(new OAuthError('INTERRUPTED', interrupted, { session: 'none' })))
    const abort = () => end(() => undefined)

    function end(then: () => void): void {
      isLate = false
      clearTimeout(settling)
      clearInterval(ticking)
      stdin.off('data', read).off('end', interrupt)
      signal?.removeEventListener('abort', abort)
      stdin.setRawMode?.(false)
      stdin.pause()
      stderr.write(`${BRACKETED.off}\n`)
      then()
    }

    function read(chunk: Buffer | string): void {
      let text = unfinished + (typeof chunk === 'string' ? chunk : decoder.write(chunk))
      unfinished = UNFINISHED.exec(text)?.[0] ?? ''
      text = text.slice(0, text.length - unfinished.length)
      let isEntered = false
      for (const [token] of text.matchAll(TOKENS)) {
        if (token === '\u001b[200~') isPasting = true
        else if (token === '\u001b[201~') isPasting = false
        else if (token === '\u0003' || (token === '\u0004' && typed.trim() === '')) {
          interrupt()
          return
        } else if (token === '\r' || token === '\n' || token === '\u0004') {
          typed += '\n'
          isEntered ||= !isPasting
          stderr.write('\r\n')
        } else if (token === '\u007f' || token === '\b') erase()
        else if (token === '\u0015') {
          typed = typed.slice(0, checked)
          show()
        } else if (token >= ' ' && typed.length <= LONGEST) {
          typed += token
          stderr.write(token)
        }
      }
      if (isEntered || settling !== undefined) {
        clearTimeout(settling)
        settling = setTimeout(() => void judge(), SETTLED)
      }
    }

    function erase(): void {
      if (typed.length <= checked || typed.endsWith('\n')) return
      typed = [...typed].slice(0, -1).join('')
      stderr.write('\b \b')
    }

    async function judge(): Promise<void> {
      settling = undefined
      if (isChecking) {
        isLate = true
        return
      }
      isChecking = true
      isLate = false
      try {
        const all = typed
        const latest = all.slice(checked)
        if (latest.trim() === '') {
          show()
          return
        }
        // The rest of an incomplete paste, or all of it once more.
        const wrong = await check(all)
        if (!wrong) return end(() => accept(all))
        const alone = checked === 0 ? wrong : await check(latest)
        if (!alone) return end(() => accept(latest))
        const isPart = wrong.code === 'CALLBACK_INCOMPLETE'
        if (!isPart) typed = typed.slice(all.length)
        checked = isPart ? all.length : 0
        stderr.write(`${(isPart ? wrong : alone).message}; paste the whole callback URL, or press Ctrl-C\n`)
        show()
      } catch (error) {
        end(() => refuse(error))
      } finally {
        isChecking = false
        if (isLate) void judge()
      }
    }

    stdin.setRawMode?.(true)
    stdin.on('data', read).once('end', interrupt)
    stdin.resume()
    signal?.addEventListener('abort', abort, { once: true })
    if (every !== undefined) ticking = setInterval(() => typed === '' && show(), every)
    stderr.write(BRACKETED.on)
    show()
  })
}

/**
 * Discards what is typed during `work`: the end of a paste must not become a command of the shell. Ctrl-C still works.
 */
export async function discardingInput<T>({ stdin }: CliIO, work: () => Promise<T>): Promise<T> {
  if (!stdin.isTTY) return work()
  const read = (chunk: Buffer | string) => {
    if (chunk.includes('\u0003')) process.kill(process.pid, 'SIGINT')
  }
  stdin.setRawMode?.(true)
  stdin.on('data', read).resume()
  try {
    return await work()
  } finally {
    stdin.off('data', read).pause()
    stdin.setRawMode?.(false)
    // A signal that was held until now is delivered in a turn of the event loop, which a process without work has not.
    await setImmediate()
    await setImmediate()
  }
}
