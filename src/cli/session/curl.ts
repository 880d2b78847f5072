/**
 * Runs curl with headers on its stdin, so that no secret is in a command line.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { withoutOurs } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { CliError } from '../errors.ts'
import type { CliIO } from '../io.ts'

/** Options of curl whose file may be `-` for stdin. */
const READS_FILE = ['-T', '--upload-file', '-K', '--config']

/** @throws {OAuthError} `USAGE` the command cannot read its headers from stdin */
export function checkCurl([program = '', ...words]: readonly string[]): void {
  if (!/(?:^|[/\\])curl(?:\.exe)?$/i.test(program)) {
    throw new CliError('USAGE', `${JSON.stringify(program)} is not supported: only curl can be run after --`, {
      hint: 'omit -- and the command to print the headers for another tool',
    })
  }
  const taken = words.some(
    (word, at) => /@-$/.test(word) || (/^[-.]$/.test(word) && READS_FILE.includes(words[at - 1]!)),
  )
  if (taken) throw new OAuthError('USAGE', 'curl reads the headers from stdin: pass other input in a file')
}

/** @returns its exit code */
export async function runCurl(
  [program, ...words]: readonly string[],
  headers: string,
  { stdout, environment }: CliIO,
): Promise<number> {
  const child = spawn(program!, [...words, '-H', '@-'], {
    stdio: ['pipe', stdout.fd, 'inherit'],
    env: withoutOurs(environment),
  })
  const end = () => child.kill()
  process.once('exit', end) // if only this process got the signal
  child.stdin?.on('error', () => undefined) // its exit code tells the reason
  child.stdin?.end(headers)
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return code ?? 128 + constants.signals[signal!]
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'it is not installed' : String(error)
    throw new OAuthError('USAGE', `${program} could not be started: ${why}`)
  } finally {
    process.off('exit', end)
  }
}
