/**
 * One run of the program: the context of its command, its last word, its exit code.
 */
import type { Command } from 'commander'
import { withoutSession } from '../errors.ts'
import type { Context } from './context.ts'
import type { CliIO } from './io.ts'
import { outputOf, type SavingOptions } from './options.ts'
import { createOutput, type Output } from './output.ts'

/** What a command does: takes its arguments, its options and the context. A number is the exit code of another program. */
type Work<Words extends unknown[]> = (...words: [...Words, Context]) => Promise<void> | Promise<number | undefined>

/** Makes what commander calls when a command runs. */
export interface Runner {
  /** @param before a login there is no session that an error could leave alone */
  action<Words extends unknown[]>(work: Work<Words>, before?: 'login'): (...words: [...Words, Command]) => Promise<void>
  /** For a command that prints the same whatever the settings are. */
  print<Words extends unknown[]>(text: (...words: Words) => string): (...words: Words) => Promise<void>
}

export class Run implements Runner {
  readonly #io: CliIO
  #options: SavingOptions & { readonly account?: string } = {}
  #output: Output
  #exitCode = 0

  constructor(io: CliIO) {
    this.#io = io
    this.#output = this.#unparsed()
  }

  /** Before the program parses: from then on, what is said is about the command that runs or that rejects its words. */
  follow(program: Command): void {
    program.hook('preAction', (_, command) => {
      // What stood before the command, and after it.
      this.#options = { ...program.opts(), ...command.opts() }
      this.#output = outputOf(this.#io, this.#options, pathOf(command))
    })
    for (const command of withSubcommands(program)) {
      command.exitOverride((error) => {
        this.#output = this.#unparsed(command)
        throw error
      })
    }
  }

  action<Words extends unknown[]>(work: Work<Words>, before?: 'login') {
    return async (...words: [...Words, Command]) => {
      // Behind the options commander gives the command: the context comes in its place.
      const given = words.slice(0, -1) as Words
      const worked = async () => work(...given, await this.#context())
      this.#exitCode = (await (before === 'login' ? withoutSession(worked()) : worked())) ?? 0
    }
  }

  print<Words extends unknown[]>(text: (...words: Words) => string) {
    return async (...words: Words) => withoutSession(this.#output.data(text(...words)))
  }

  /**
   * The last word.
   *
   * @returns the exit code
   */
  finish(error?: unknown): number {
    return this.#output.finish(error) || this.#exitCode
  }

  /** All of the protocol hangs on it: loaded when a command runs, and not for `--help`. */
  async #context(): Promise<Context> {
    const { createContext } = await import('./context.ts')
    return createContext(this.#io, this.#output, this.#options)
  }

  /** For errors before the options are known. */
  #unparsed(command?: Command): Output {
    return createOutput(this.#io, {
      json: this.#io.arguments.includes('--json'),
      command: command && pathOf(command),
    })
  }
}

/** Without the program itself: `client new`. */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}`.trimStart() : ''
}

/** It and all that is below it. */
export function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}
