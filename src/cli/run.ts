/**
 * What is the same for every command: its context, its last word, its exit code.
 *
 * @module
 */
import type { Host } from './host.ts'
import { type CommonOptions, type Context, createContext, outputOf } from './settings.ts'

export type Runner = (options: CommonOptions, command: (context: Context) => Promise<void>) => Promise<void>

export function createRunner(host: Host, setExit: (code: number) => void): Runner {
  return async (options, command) => {
    const output = outputOf(host, options)
    try {
      await command(createContext(host, output, options))
      setExit(output.finish())
    } catch (error) {
      setExit(output.finish(error))
    }
  }
}
