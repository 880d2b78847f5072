/**
 * The process as the commands see it, so that a test can be one.
 */
import { type Environment, variable } from '../credentials/variables.ts'

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
    // Each is made when it is first asked for, which takes its time.
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

/** How this program is called here, for the commands that hints contain. */
export function programName({ environment }: CliIO): string {
  return environment.npm_command === 'exec' ? 'npx atproto-oauth' : 'atproto-oauth'
}

/** Whether this is a job that nobody watches: then nothing asks. */
export function inCi({ environment }: Pick<CliIO, 'environment'>): boolean {
  const value = variable(environment, 'CI')?.toLowerCase()
  return value !== undefined && value !== 'false' && value !== '0'
}

/** All of stdin as text, as far as `largest` bytes. */
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
