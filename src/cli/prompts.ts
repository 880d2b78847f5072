/**
 * The prompts of `complete`: the callback URL, and where the credentials should go. They are written to stderr, and only
 * at a terminal.
 */

import { inCi } from './ci.ts'
import { CliError } from './errors.ts'
import { type CliIO, readStdin } from './io.ts'
import { type Asked, readPaste } from './login/paste.ts'

const PASTE_LARGEST = 64 * 1024

/** @param check what is wrong with a paste, to ask again */
export async function askForPaste(argument: string | undefined, io: CliIO, check: Asked['check']): Promise<string> {
  const { stdin } = io
  if (stdin.isTTY && argument === undefined && !inCi(io)) {
    return readPaste(io, {
      prompt: () => 'Callback URL: ',
      check,
      interrupted: 'interrupted before a callback URL was pasted; the login is still open',
    })
  }
  const bytes = stdin.isTTY && argument === undefined ? new Uint8Array() : await readStdin(io, PASTE_LARGEST)
  if (bytes === undefined)
    throw new CliError('CALLBACK_UNREADABLE', 'stdin is too long for a callback URL', {
      hint: 'atproto-oauth complete',
    })
  const text = Buffer.from(bytes).toString('utf8')
  if (text.trim() !== '') return text
  throw new CliError('USAGE', 'missing argument callback-url, and stdin is empty', {
    hint: 'run `atproto-oauth complete` at a terminal, or pass the callback URL in single quotes',
    session: 'none',
  })
}

/** Whether to ask where the credentials should go: not without a terminal, and not if stdout is redirected. */
export function canAskWhere(io: CliIO): boolean {
  return io.stdin.isTTY === true && io.stdout.isTTY === true && !inCi(io)
}

/**
 * @param vault the address of the vault that commands use, if there is one
 * @returns a save target, or `undefined` to print the credentials
 */
export async function promptDestination(
  vault: string | undefined,
  { stdin, stderr }: CliIO,
): Promise<string | undefined> {
  const { input, select } = await import('@inquirer/prompts')
  const streams = { input: stdin, output: stderr }
  const where = await select(
    {
      message: 'Where should the credentials go?',
      choices: [
        ...(vault === undefined ? [] : ([{ value: 'vault', name: 'Save in the vault', description: vault }] as const)),
        { value: 'print', name: 'Print to this terminal', description: 'To copy them, for example into a CI secret' },
        { value: 'file', name: 'Write to a file', description: 'A dotenv file that only you can read' },
        {
          value: 'gh',
          name: 'GitHub Actions secrets',
          description: 'Requires the GitHub CLI (gh), signed in',
        },
        { value: 'store', name: 'Save on this machine', description: 'In the per-user store, where `call` finds them' },
      ],
    },
    streams,
  )
  if (where === 'print') return undefined
  if (where === 'store' || where === 'vault') return where
  if (where === 'file') return `file:${await input({ message: 'File:', default: 'session.env' }, streams)}`
  const repository = await input({ message: 'OWNER/REPO (leave empty for the repository of this folder):' }, streams)
  return `gh:${repository.trim()}`
}
