/**
 * What is the same for every command: its context, its last word, its exit code.
 *
 * @module
 */
import { withoutSession } from '../errors.ts'
import type { Context } from './context.ts'
import type { CliIO } from './io.ts'
import { type CommonOptions, outputOf } from './options.ts'
import type { Output } from './output.ts'

export interface Runner {
  (
    options: CommonOptions,
    /** What it gives, if it is a number, is the exit code of another program. */
    command: (context: Context) => Promise<unknown>,
    /** Before a login there is no session that an error could leave alone. */
    before?: 'login',
  ): Promise<void>
  /** For a command that prints the same whatever the settings are. */
  print(options: CommonOptions, text: () => string): Promise<void>
}

/**
 * @param general the options that stood before the command
 * @param running the command's name, with those of the commands above it
 */
export function createRunner(
  host: CliIO,
  general: () => CommonOptions,
  setExit: (code: number) => void,
  running: () => string,
): Runner {
  async function finished(own: CommonOptions, work: (output: Output, options: CommonOptions) => Promise<unknown>) {
    const options = { ...general(), ...own }
    const output = outputOf(host, options, running())
    try {
      const theirs = await work(output, options)
      setExit(output.finish() || (typeof theirs === 'number' ? theirs : 0))
    } catch (error) {
      setExit(output.finish(error))
    }
  }
  return Object.assign(
    (...[own, command, before]: Parameters<Runner>) =>
      finished(own, (output, options) => {
        const work = async () => {
          const { createContext } = await import('./context.ts')
          return command(createContext(host, output, options))
        }
        return before === 'login' ? withoutSession(work()) : work()
      }),
    {
      print: (own: CommonOptions, text: () => string) => finished(own, (output) => withoutSession(output.data(text()))),
    },
  )
}
