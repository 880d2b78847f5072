/**
 * Makes a vault where there is none, or in place of one whose key is lost.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { Random, Timer } from '../../ports.ts'
import { type SwapOutcome, VAULT_RECORD, type VaultEngine } from './engine.ts'
import { createVault, openRecord, unwrapAnyKeys, type VaultKeys } from './envelope.ts'

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
  const unclear = `it is not known whether the vault at ${engine.address} was made`
  return (await replaceVaultRecord(engine, { before, after: text, unclear }, ports)) ? keys : undefined
}

interface Replacement {
  readonly before: string | undefined
  readonly after: string
  /** The message if it is not known whether it was made. */
  readonly unclear: string
}

/**
 * Replaces the `vault` record, and finds out whether that succeeded.
 *
 * @returns whether it was replaced; otherwise somebody else was faster, and nothing was changed
 * @throws {OAuthError} as `VaultEngine.swap`; with `session: 'unknown'` it may have been replaced
 */
export async function replaceVaultRecord(
  engine: VaultEngine,
  { before, after, unclear }: Replacement,
  { sleep }: Timer,
): Promise<boolean> {
  let isMaybeMade = false
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = await engine.swap(VAULT_RECORD, before, after)
      if (outcome === 'won') return true
      if (outcome === 'unknown') isMaybeMade = true
      const current = await engine.read(VAULT_RECORD)
      if (current === after) return true
      if (outcome === 'lost' || current !== before) return false
    } catch (error) {
      if (!isMaybeMade || !isOAuthError(error, 'VAULT_UNREACHABLE') || attempt >= ATTEMPTS) {
        throw isMaybeMade && error instanceof OAuthError ? error.with({ session: 'unknown' }) : error
      }
    }
    if (attempt >= ATTEMPTS) throw new OAuthError('VAULT_UNREACHABLE', unclear, { session: 'unknown' })
    await sleep(PAUSE)
  }
}

/**
 * For changes that are repeated until they are made.
 *
 * @returns whether one was made
 * @throws {OAuthError} `VAULT_UNREACHABLE` none is confirmed, time after time
 */
export function createConfirmation({ sleep }: Timer): (outcome: SwapOutcome) => Promise<boolean> {
  let unknown = 0
  return async (outcome) => {
    if (outcome !== 'unknown') unknown = 0
    else if (++unknown >= ATTEMPTS) throw unconfirmed().with({ session: 'alive' })
    else await sleep(PAUSE)
    return outcome === 'won'
  }
}

export function unconfirmed(): OAuthError {
  return new OAuthError('VAULT_UNREACHABLE', 'the vault does not confirm a change')
}

/** The keys of a vault if this is its key, also where it is not used. */
export async function opens(text: string, userKey: Uint8Array, address: string): Promise<VaultKeys | undefined> {
  return unwrapAnyKeys(text, userKey, address).catch(() => undefined)
}

/**
 * Removes what an earlier vault has left: nobody can read it any more.
 *
 * @throws {OAuthError} as `VaultEngine.swap`
 */
export async function removeForeignRecords(engine: VaultEngine, keys: VaultKeys): Promise<void> {
  // A process that had begun before may change one of them once more.
  for (let attempt = 1, isDone = false; !isDone && attempt <= ATTEMPTS; attempt++) {
    isDone = true
    for (const [name, text] of await engine.list()) {
      if (name === VAULT_RECORD) continue
      const isOurs = await openRecord(text, name, keys).then(
        () => true,
        () => false,
      )
      // What cannot be removed is no session of this vault either way.
      if (!isOurs && (await engine.swap(name, text, undefined)) !== 'won') isDone = false
    }
  }
}
