/**
 * Makes a vault where there is none, or in place of one whose key is lost.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { Random, Timer } from '../../ports.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { createVault, openRecord, unwrapKeys, type VaultKeys } from './envelope.ts'

/** Attempts after a change that may have arrived. */
const ATTEMPTS = 5
const PAUSE = 500

/**
 * @param before the `vault` record that is replaced; `undefined`: there is none
 * @returns the keys of the new vault; `undefined` if somebody else was faster, and nothing was changed
 * @throws {OAuthError} as `VaultEngine.swap`; with `session: 'unknown'` it may have been made
 */
export async function makeVault(
  engine: VaultEngine,
  userKey: Uint8Array,
  before: string | undefined,
  ports: Random & Timer,
): Promise<VaultKeys | undefined> {
  const { keys, text } = await createVault(engine.address, userKey, ports)
  let isMaybeMade = false
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = await engine.swap(VAULT_RECORD, before, text)
      if (outcome === 'won') return keys
      if (outcome === 'unknown') isMaybeMade = true
      const current = await engine.read(VAULT_RECORD)
      if (current === text) return keys
      if (outcome === 'lost' || current !== before) return undefined
    } catch (error) {
      if (!isMaybeMade || !isOAuthError(error, 'VAULT_UNREACHABLE') || attempt >= ATTEMPTS) {
        throw isMaybeMade && error instanceof OAuthError ? error.with({ session: 'unknown' }) : error
      }
    }
    if (attempt >= ATTEMPTS) {
      const message = `it is not known whether the vault at ${engine.address} was made`
      throw new OAuthError('VAULT_UNREACHABLE', message, { session: 'unknown' })
    }
    await ports.sleep(PAUSE)
  }
}

/** The keys of a vault if this is its key, also where it is a copy. */
export async function opens(text: string, userKey: Uint8Array, address: string): Promise<VaultKeys | undefined> {
  return unwrapKeys(text, userKey, address).catch(() => undefined)
}

/**
 * Removes what an earlier vault has left: nobody can read it any more.
 *
 * @throws {OAuthError} as `VaultEngine.swap`
 */
export async function removeForeignRecords(engine: VaultEngine, keys: VaultKeys): Promise<void> {
  for (const [name, text] of await engine.list()) {
    if (name === VAULT_RECORD) continue
    const isOurs = await openRecord(text, name, keys).then(
      () => true,
      () => false,
    )
    // What is changed or cannot be removed now is no session of this vault either way.
    if (!isOurs) await engine.swap(name, text, undefined)
  }
}
