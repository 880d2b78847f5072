/**
 * The user's home directory, where something needs it. Apart from folders.ts, which is loaded before all of the program.
 */
import { OAuthError } from '../errors.ts'
import { absoluteHome, type Machine, pathsOf, THIS_MACHINE } from './folders.ts'

/**
 * A path that begins with `~/`, as a shell expands it. A shell does so only at the beginning of a word: not in
 * `file:~/x` or `--home=~/x`, and not in a variable of a container or a CI job.
 *
 * @throws {OAuthError} `USAGE` the user has no home directory
 */
export function expandTilde(text: string, machine: Machine = THIS_MACHINE): string {
  const isOfHome = machine.platform === 'win32' ? /^~(?:[\\/]|$)/ : /^~(?:\/|$)/
  if (!isOfHome.test(text)) return text
  try {
    return pathsOf(machine).join(absoluteHome(machine), text.slice(1))
  } catch (error) {
    throw new OAuthError('USAGE', `cannot expand ${JSON.stringify(text)}: this user has no home directory`, {
      cause: error,
      session: 'none',
    })
  }
}

/** Nothing was sent, because what comes back could not be stored. */
export function homeNeeded(): OAuthError {
  return new OAuthError('USAGE', 'this user has no home directory to store sessions in; nothing was sent', {
    facts: { reason: 'home-needed' },
  })
}
