/**
 * `exec:COMMAND` and `gh:`: programs that read the credentials as dotenv on stdin.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { withoutOurs } from '../../credentials/variables.ts'
import { dotenvLines } from '../../credentials/write.ts'
import type { SaveTarget } from '../../ports.ts'
import { isCode } from '../store/files.ts'
import { cannotSave } from './failure.ts'

/** Milliseconds; the session lock is held meanwhile. */
const PROGRAM_TIMEOUT = 60_000

interface Program {
  readonly command: string
  readonly arguments: readonly string[]
  readonly shell: boolean
}

/** Run by /bin/sh, on Windows by cmd.exe. */
export function programTarget(name: string, command: string, environment: NodeJS.ProcessEnv): SaveTarget {
  return target(name, { command, arguments: [], shell: true }, environment)
}

/** Runs the GitHub CLI, which encrypts the secret; it needs a token that may write secrets. */
export function githubTarget(
  name: string,
  { repository, environment }: { readonly repository: string | undefined; readonly environment: string | undefined },
  processEnvironment: NodeJS.ProcessEnv,
): SaveTarget {
  const flags = [...(repository ? ['--repo', repository] : []), ...(environment ? ['--env', environment] : [])]
  const program = { command: 'gh', arguments: ['secret', 'set', '--env-file', '-', ...flags], shell: false }
  return target(name, program, processEnvironment)
}

function target(name: string, program: Program, environment: NodeJS.ProcessEnv): SaveTarget {
  return {
    name,
    durable: true,
    async save(entries) {
      try {
        await run(program, dotenvLines(entries), withoutOurs(environment))
      } catch (error) {
        throw cannotSave(name, isCode(error, 'ENOENT') ? new Error(`command not found: ${program.command}`) : error)
      }
    },
  }
}

async function run(program: Program, input: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const { command, shell } = program
  // Both of its streams go to stderr, because our stdout is for data.
  const child = spawn(command, [...program.arguments], {
    shell,
    env: environment,
    stdio: ['pipe', 2, 2],
    // In its own process group: a signal to ours would interrupt the save.
    detached: process.platform !== 'win32',
  })
  child.stdin?.on('error', () => undefined) // a program that exits without reading reports it by its exit code
  child.stdin?.end(input)
  // Not the `timeout` option of spawn: if the program does not exist, its timer keeps the process running.
  const impatient = setTimeout(() => child.kill(), PROGRAM_TIMEOUT)
  const closed = once(child, 'close').finally(() => clearTimeout(impatient))
  const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null]
  if (code !== 0) throw new Error(signal ? `killed by ${signal}` : `exit code ${code}`)
}
