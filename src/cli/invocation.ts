/**
 * One run of the program: creates the context of the command, reports its error, and determines the exit code.
 */
import type { Command } from 'commander'
import { OAuthError, withoutSession } from '../errors.ts'
import type { ConfigReader, Context } from './context.ts'
import { CliError } from './errors.ts'
import type { CliIO } from './io.ts'
import { outputOf, type SavingOptions, SETTINGS } from './options.ts'
import { createOutput, type Output } from './output.ts'

/** The action of a command, with its arguments, options and context. It may return the exit code of another program. */
type Work<Words extends unknown[]> = (...words: [...Words, Context]) => Promise<void> | Promise<number | undefined>

/** The context of a command that has to work while the settings do not. */
export type SettingsContext = Pick<Context, 'common' | 'io' | 'output' | 'dev'>

/** The action of such a command. */
type SettingsWork<Words extends unknown[]> = (...words: [...Words, SettingsContext]) => Promise<void>

/** Creates the action handlers for commander. */
export interface Runner {
  /**
   * @param before `login` for a command that runs before there is a session
   * @param readSettings for a command that goes on where the user's settings cannot be used
   */
  action<Words extends unknown[]>(
    work: Work<Words>,
    before?: 'login',
    readSettings?: ConfigReader,
  ): (...words: [...Words, Command]) => Promise<void>
  /** For a command that changes or shows the user's settings, and does not use them. No session is involved. */
  settings<Words extends unknown[]>(work: SettingsWork<Words>): (...words: [...Words, Command]) => Promise<void>
  /** For a command that does not depend on settings. */
  print<Words extends unknown[]>(text: (...words: Words) => string): (...words: Words) => Promise<void>
}

export class Invocation implements Runner {
  readonly #io: CliIO
  #options: SavingOptions & { readonly account?: string } = {}
  #output: Output
  #exitCode = 0

  constructor(io: CliIO) {
    this.#io = io
    this.#output = this.#unparsed()
  }

  /** Call before parsing: messages then refer to the command that runs or rejects its arguments. */
  follow(program: Command): void {
    program.hook('preAction', (_, command) => {
      passAccount(program, command)
      // Options before and after the command.
      this.#options = { ...program.opts(), ...command.opts() }
      this.#output = outputOf(this.#io, this.#options, pathOf(command))
      refuseSeparators(command)
    })
    for (const command of withSubcommands(program)) {
      command.exitOverride((error) => {
        this.#output = this.#unparsed(command)
        throw error
      })
    }
  }

  /** For a command whose arguments need no parser. */
  async run<Words extends unknown[]>(command: string, work: Work<Words>, ...words: Words): Promise<void> {
    this.#output = outputOf(this.#io, this.#options, command)
    this.#exitCode = (await work(...words, await this.#context(undefined))) ?? 0
  }

  action<Words extends unknown[]>(work: Work<Words>, before?: 'login', readSettings?: ConfigReader) {
    return async (...words: [...Words, Command]) => {
      // The last argument is the command, which the context replaces.
      const given = words.slice(0, -1) as Words
      const worked = async () => work(...given, await this.#context(readSettings))
      this.#exitCode = (await (before === 'login' ? withoutSession(worked()) : worked())) ?? 0
    }
  }

  settings<Words extends unknown[]>(work: SettingsWork<Words>) {
    return async (...words: [...Words, Command]) => {
      const given = words.slice(0, -1) as Words
      const [common, io, output] = [this.#options, this.#io, this.#output]
      const run = async () => {
        const dev = SETTINGS.dev.read(common, io.environment) ?? false
        const { unlockStoreOf } = await import('./context.ts')
        unlockStoreOf(common, io, output)
        await work(...given, { common, io, output, dev })
      }
      await withoutSession(run())
    }
  }

  print<Words extends unknown[]>(text: (...words: Words) => string) {
    return async (...words: Words) => withoutSession(this.#output.data(text(...words)))
  }

  /**
   * Reports the error, if any.
   *
   * @returns the exit code
   */
  finish(error?: unknown): number {
    return this.#output.finish(error) || this.#exitCode
  }

  /** Loaded only when a command runs, not for `--help`, because it imports the whole protocol. */
  async #context(readSettings: ConfigReader | undefined): Promise<Context> {
    const { createContext } = await import('./context.ts')
    return createContext(this.#io, this.#output, this.#options, readSettings)
  }

  /** For errors before the options are known. */
  #unparsed(command?: Command): Output {
    const { arguments: words } = this.#io
    const end = words.indexOf('--') // what follows it may be for another program
    return createOutput(this.#io, {
      json: words.slice(0, end < 0 ? undefined : end).includes('--json'),
      command: command && pathOf(command),
    })
  }
}

/** `--account` may come before the command's name as well, if the command has it. */
function passAccount(program: Command, command: Command): void {
  const { account } = program.opts<{ account?: string }>()
  if (account === undefined) return
  if (!command.options.some(({ long }) => long === '--account')) {
    throw new CliError('USAGE', `--account cannot be used with ${pathOf(command)}`, { hint: 'omit --account' })
  }
  if (command.opts().account === undefined) command.setOptionValue('account', account)
}

/**
 * In `--listen -- node`, the parser takes the separator as the value.
 *
 * @throws {OAuthError} `USAGE`
 */
function refuseSeparators(command: Command): void {
  const given = command.opts<Record<string, unknown>>()
  const option = command.options.find((each) => [given[each.attributeName()]].flat().includes('--'))
  if (option !== undefined) throw new OAuthError('USAGE', `${option.long} needs a value`)
}

/** Without the name of the program: `client new`. */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}`.trimStart() : ''
}

/** The command and all its subcommands. */
export function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}
