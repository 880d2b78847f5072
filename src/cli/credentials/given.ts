/**
 * The credentials that are given to a command: in variables, or printed by the program of `ATPROTO_OAUTH_SOURCE`.
 */
import { readCredentials } from '../../credentials/read.ts'
import { SESSION, SOURCE, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import type { Credentials } from '../../model.ts'
import { readSource, type SourceOutput, sourceCommand } from '../../node/save/source.ts'
import { CliError } from '../errors.ts'
import type { CliIO } from '../io.ts'
import type { Output } from '../output.ts'

/**
 * Reads them when they are first asked for: a program is run at most once.
 *
 * @throws {OAuthError} `USAGE` the program is not named as one
 */
export function givenCredentials(
  { environment }: Pick<CliIO, 'environment'>,
  dev: boolean,
  output: Pick<Output, 'json' | 'programOutput'>,
): () => Promise<Credentials | undefined> {
  const spec = variable(environment, SOURCE)
  const command = spec === undefined ? undefined : sourceCommand(spec)
  const read = async () => {
    const credentials = readCredentials(environment, dev)
    if (credentials !== undefined || command === undefined) return credentials
    const onOutput = output.json ? output.programOutput : undefined
    return fromProgram(await readSource(command, { environment, onOutput }), dev)
  }
  let reading: Promise<Credentials | undefined> | undefined
  return () => {
    reading ??= read()
    return reading
  }
}

function fromProgram({ variables, isBare }: SourceOutput, dev: boolean): Credentials {
  const wrong = (why: string) => {
    // The program named no variable, so neither does the message.
    const said = isBare ? why.replace(` in ${SESSION}`, ' in the bundle').replace(SESSION, 'it') : why
    return `what the command of ${SOURCE} printed cannot be used: ${said}`
  }
  const hint = `make the command of ${SOURCE} print all that \`complete\` printed, unchanged`
  try {
    const credentials = readCredentials(variables, dev)
    if (credentials !== undefined) return credentials
  } catch (error) {
    if (!isOAuthError(error)) throw error
    throw new CliError(error.code, wrong(error.message), { cause: error, hint, session: 'none' })
  }
  throw new CliError('CREDENTIALS_INCOMPLETE', wrong('it contains no token and no key'), { hint, session: 'none' })
}
