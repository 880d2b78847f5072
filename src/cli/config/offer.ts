/**
 * The offer to encrypt the store, made once: to somebody at a terminal whose first session is stored there, where the
 * system has a keychain.
 */
import { isOAuthError } from '../../errors.ts'
import { inCi } from '../ci.ts'
import type { Context } from '../context.ts'
import { isKeychainThere } from '../store-key.ts'
import { encryptStore } from './encryption.ts'
import { placeOf } from './values.ts'

/** After a login, which has succeeded whatever becomes of this. */
export async function offerEncryption(context: Context): Promise<void> {
  const { io, output, runtime, common, config } = context
  const isWatched = io.stdin.isTTY === true && io.stderr.isTTY === true && !inCi(io)
  if (!isWatched || !runtime.saving.inStore || output.json || common.quiet) return
  if (config?.entries.has('encrypt-store')) return
  try {
    const place = placeOf(context)
    const { storeEncryption } = await import('../../node/store/change-encryption.ts')
    if ((await storeEncryption(place.home)) !== 'off' || !(await isKeychainThere(io))) return
    const { confirm } = await import('@inquirer/prompts')
    const message = 'Encrypt what is stored on this machine, with a key in the keychain of the system?'
    const isWanted = await confirm({ message, default: true }, { input: io.stdin, output: io.stderr })
    await encryptStore(place, isWanted ? 'keychain' : 'off', context)
    if (!isWanted) output.note('To encrypt it later: atproto-oauth config set encrypt-store keychain')
  } catch (error) {
    const isClosed = error instanceof Error && error.name === 'ExitPromptError'
    if (!isClosed && !isOAuthError(error)) throw error
    if (isOAuthError(error)) output.warn(`the store is not encrypted: ${error.message}`)
  }
}
