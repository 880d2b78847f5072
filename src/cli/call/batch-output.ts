/**
 * Writes the results of a batch to stdout, or to a file that a later run can resume from.
 */
import { existsSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { BatchResult } from '../../call/batch.ts'
import { OAuthError } from '../../errors.ts'
import { isCode, reasonOf } from '../../node/store/files.ts'
import { decodeUtf8, isObject } from '../../text.ts'
import { CliError } from '../errors.ts'
import type { Output } from '../output.ts'
import { shellQuote } from '../shell.ts'
import { rawLines } from './lines.ts'

export interface Results extends AsyncDisposable {
  /** Results of earlier runs. */
  readonly known: FinishedLines
  write(result: BatchResult): Promise<void>
  /** Nothing will be written: removes the file if it is new. */
  abandon(): Promise<void>
}

/** The lines that have a result; takes 20 MiB for a million of them. */
export class FinishedLines {
  /** The highest line number. */
  highest = 0
  count = 0
  failed = 0
  readonly #lines = new Set<number>()

  add({ line, error }: BatchResult): void {
    this.#lines.add(line)
    this.count += 1
    if (error !== undefined) this.failed += 1
    this.highest = Math.max(this.highest, line)
  }

  has(line: number): boolean {
    return this.#lines.has(line)
  }
}

/** Writes results until that fails, and records which are lost from then on. */
export class ResultWriter {
  /** The lines that were sent, without a result in the output. */
  readonly lost: number[] = []
  /** Why one could not be written. */
  failure: { readonly error: unknown } | undefined
  readonly #results: Pick<Results, 'write'>

  constructor(results: Pick<Results, 'write'>) {
    this.#results = results
  }

  /** @returns whether it was written */
  async write(result: BatchResult): Promise<boolean> {
    if (!this.failure) {
      try {
        await this.#results.write(result)
        return true
      } catch (error) {
        this.failure = { error }
      }
    }
    if (wasSent(result)) this.lost.push(result.line)
    return false
  }
}

/** Whether a request was sent, and may have had an effect. */
function wasSent({ status, error }: BatchResult): boolean {
  return status !== undefined || error === 'NETWORK_LOST'
}

export function openResults(path: string | undefined, resume: boolean, output: Output): Promise<Results> {
  if (path !== undefined && path !== '-') return openFile(path, resume)
  return Promise.resolve({
    known: new FinishedLines(),
    write: (result) => output.data(lineOf(result)),
    abandon: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  })
}

/** Bytes; results are shorter. */
const LONGEST = 32 * 1024 * 1024

async function openFile(path: string, resume: boolean): Promise<Results> {
  const isNew = !existsSync(path)
  const file = await open(path, resume ? 'a+' : 'a').catch((error) => {
    throw new CliError('USAGE', `cannot write ${path}: ${reasonOf(error)}`, {
      hint: isCode(error, 'ENOENT') ? `mkdir -p ${shellQuote(dirname(path))}` : 'name a file in a writable directory',
    })
  })
  let hasFailed = false
  const failed = (error: unknown) => {
    hasFailed = true
    if (isCode(error, 'EPIPE')) throw error // the reader of a named pipe has had enough, as in `… | head`
    throw new OAuthError('OUTPUT_FAILED', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  }
  try {
    const stats = await file.stat()
    if (resume && !stats.isFile()) refuse(`cannot resume from ${path}: not a regular file`)
    if (!resume && stats.isFile() && stats.size > 0) {
      throw new CliError('USAGE', `${path} is not empty`, {
        hint: 'add --resume to continue an earlier run of the same batch, or name another file',
      })
    }
    return {
      known: resume ? await readResults(file, path) : new FinishedLines(),
      write: (result) => file.appendFile(lineOf(result)).catch(failed),
      abandon: async () => {
        if (isNew) await rm(path, { force: true }).catch(() => undefined)
      },
      // A network share may report a full disk only now.
      [Symbol.asyncDispose]: () => file.close().catch((error) => (hasFailed ? undefined : failed(error))),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Reads the results in the file, and removes a last line that a crash cut off. */
async function readResults(file: FileHandle, path: string): Promise<FinishedLines> {
  const finished = new FinishedLines()
  const stream = file.createReadStream({ start: 0, autoClose: false })
  let end = 0
  let number = 0
  for await (const { bytes, length, isWhole } of rawLines(stream, LONGEST)) {
    number += 1
    const result = bytes && parseResult(bytes)
    if (result) finished.add(result)
    else if (isWhole) refuse(`line ${number} of ${path} is not a result of --batch; the file was not changed`)
    else {
      await file.truncate(end)
      break
    }
    end += length
    if (!isWhole) await file.appendFile('\n') // only the line feed was missing
  }
  return finished
}

function parseResult(bytes: Uint8Array): BatchResult | undefined {
  try {
    // Not `parseJson`: a result adds one level around the deepest response that it allows.
    const value: unknown = JSON.parse(decodeUtf8(bytes) ?? '')
    const { line, error } = isObject(value) ? value : {}
    if (typeof line !== 'number' || !Number.isSafeInteger(line) || line < 1) return undefined
    return { line, ...(typeof error === 'string' && { error }) }
  } catch {
    return undefined
  }
}

function lineOf(result: BatchResult): string {
  return `${JSON.stringify(result)}\n`
}

function refuse(message: string): never {
  throw new OAuthError('USAGE', message)
}
