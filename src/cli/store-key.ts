/**
 * The passphrase of an encrypted store: from the environment, or asked for at a terminal.
 */
import { cleaned, STORE_KEY, variable } from '../credentials/variables.ts'
import { openKeychain, prepareUnlock, type UnlockSettings } from '../node/store/unlock.ts'
import { inCi } from './ci.ts'
import { CliError } from './errors.ts'
import { type CliIO, readStdin } from './io.ts'
import type { Output } from './output.ts'

const LARGEST = 4 * 1024
/** Milliseconds. */
const PROBE = 2_000

interface Asking {
  readonly io: CliIO
  readonly output: Pick<Output, 'progress'>
}

/** At a terminal it is asked for. */
export async function storePassphrase(asking: Asking): Promise<string | undefined> {
  const { io } = asking
  const set = variable(io.environment, STORE_KEY)
  return set === undefined && canAsk(io) ? ask('Passphrase of the store:', asking) : set
}

/** For a command that uses no session: the store can be opened from now on. Nothing is asked before it is needed. */
export function unlockStore(home: string, setting: UnlockSettings['setting'], asking: Asking): void {
  const { io } = asking
  const passphrase = () => storePassphrase(asking)
  prepareUnlock(home, { environment: io.environment, isInteractive: () => canAsk(io), passphrase, setting })
}

export function keychainOf(io: CliIO) {
  return openKeychain({ environment: io.environment, isInteractive: canAsk(io) })
}

/** Without waiting for one that does not respond. */
export async function isKeychainThere({ environment }: CliIO): Promise<boolean> {
  const timeouts = { attended: PROBE, unattended: PROBE }
  return (await openKeychain({ environment, isInteractive: false, timeouts })).isThere()
}

/**
 * @param isReplaced the store has a passphrase already, which the variable has
 * @throws {OAuthError} `USAGE` there is none
 */
export async function newPassphrase(isReplaced: boolean, asking: Asking): Promise<string> {
  const { io } = asking
  const set = variable(io.environment, STORE_KEY)
  if (set !== undefined && !isReplaced) return set
  if (canAsk(io)) {
    const first = await ask('New passphrase of the store:', asking)
    if (first === (await ask('Again:', asking))) return first
    throw new CliError('USAGE', 'the passphrases differ', { session: 'none', hint: 'run the same command again' })
  }
  const bytes = io.stdin.isTTY ? new Uint8Array() : await readStdin(io, LARGEST)
  const given = cleaned(Buffer.from(bytes ?? '').toString('utf8')) || set
  if (given) return given
  throw new CliError('USAGE', 'the new passphrase is missing: stdin is empty', {
    session: 'none',
    hint: isReplaced
      ? `pass the new passphrase on stdin, and set ${STORE_KEY} to the current one`
      : `set ${STORE_KEY} to the new passphrase, or run the command at a terminal`,
  })
}

function canAsk(io: CliIO): boolean {
  return io.stdin.isTTY === true && !inCi(io)
}

async function ask(message: string, { io, output }: Asking): Promise<string> {
  const resume = output.progress.pause()
  try {
    const { password } = await import('@inquirer/prompts')
    return cleaned(await password({ message }, { input: io.stdin, output: io.stderr }))
  } finally {
    resume()
  }
}
