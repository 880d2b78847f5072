/**
 * The interface between the commands and the process, which tests replace.
 */
import type { Environment } from '../credentials/variables.ts'

export interface CliIO {
  readonly arguments: readonly string[]
  readonly environment: Environment
  readonly platform: NodeJS.Platform
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream & { readonly fd: number }
  readonly stderr: NodeJS.WriteStream
}

export function processIO(): CliIO {
  const { argv, env, platform } = process
  return {
    arguments: argv.slice(2),
    environment: env,
    platform,
    // Created on first use, because that takes time.
    get stdin() {
      return process.stdin
    },
    get stdout() {
      return process.stdout
    },
    get stderr() {
      return process.stderr
    },
  }
}

/** The command line of this program, for the commands in hints. */
export function programName({ environment }: CliIO): string {
  return environment.npm_command === 'exec' ? 'npx atproto-oauth' : 'atproto-oauth'
}

/** The current directory, or a word for one that was removed since. */
export function currentFolder(): string {
  try {
    return process.cwd()
  } catch {
    return 'the current directory, which no longer exists'
  }
}

/** The whole of stdin as text, up to `largest` bytes. */
export async function readStdin(io: CliIO, largest: number): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of io.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array)
    length += bytes.length
    if (length > largest) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}
