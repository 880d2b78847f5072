/**
 * `ATPROTO_OAUTH_SOURCE=exec:COMMAND`: a program that prints the credentials.
 */
import { isBundleAlone, parseVariables } from '../../credentials/parse.ts'
import { type Environment, SOURCE } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { isCode } from '../store/files.ts'
import { type ProgramSettings, run } from './program.ts'
import { shownOutput } from './redact.ts'

/** Bytes; a session has a few thousand. */
const LARGEST = 256 * 1024
/** Characters of what the program printed to stderr: how many are kept, and how many are shown. */
const ERRORS_KEPT = 64 * 1024
const ERRORS_SHOWN = 4 * 1024

export interface SourceOutput {
  readonly variables: Environment
  /** The program printed the value of a bundle, and no name. */
  readonly isBare: boolean
}

/**
 * The command of a source.
 *
 * @throws {OAuthError} `USAGE`
 */
export function sourceCommand(spec: string): string {
  const [, command = ''] = /^exec:([\s\S]*)$/.exec(spec) ?? []
  if (command.trim() !== '') return command
  throw new OAuthError('USAGE', `${SOURCE} has to be exec: and a command`, {
    facts: { reason: 'source-malformed' },
  })
}

/**
 * Runs the command, by /bin/sh or cmd.exe, and reads what it prints.
 *
 * @throws {OAuthError} `SOURCE_FAILED`; what the program printed is never in the message
 */
export async function readSource(command: string, settings: ProgramSettings): Promise<SourceOutput> {
  const { environment, limits, onOutput } = settings
  const chunks: Buffer[] = []
  let size = 0
  let errors = ''
  const onData = (bytes: Buffer) => {
    size += bytes.length
    if (size > LARGEST) throw new Error(`printed more than ${LARGEST / 1024} kB`)
    chunks.push(bytes)
  }
  const onText = (text: string) => {
    errors = (errors + text).slice(-ERRORS_KEPT)
  }
  const printed = () => Buffer.concat(chunks).toString('utf8')
  try {
    await run(
      { command, arguments: [], shell: true },
      { environment: withoutSource(environment), limits, onData, onText: onOutput && onText, endsWithUs: true },
    )
  } catch (error) {
    const shown = shownOutput(errors, [['stdout', printed()]], ERRORS_SHOWN)
    if (shown !== '') onOutput?.(shown)
    throw failed(isCode(error, 'ENOENT') ? 'no shell was found' : error instanceof Error ? error.message : `${error}`)
  }
  const text = printed()
  if (text.trim() === '') throw failed('it printed nothing')
  const variables = parseVariables(text)
  if (variables === undefined) throw failed('it printed no credentials in a known format')
  return { variables, isBare: isBundleAlone(text) }
}

function failed(why: string): OAuthError {
  return new OAuthError('SOURCE_FAILED', `cannot read credentials from the command in ${SOURCE}: ${why}`)
}

/** A program that runs this one again would run itself. On Windows the name may be in any case. */
function withoutSource(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => name.toUpperCase() !== SOURCE))
}
