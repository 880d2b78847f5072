/**
 * Where a vault has gone. The place that it has left says so in its `vault` record and under the name of each record, so
 * that no machine uses a copy that was left there.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'

/** What the `vault` record says of a move. */
export interface VaultMove {
  /** `to`: everything is, or will be, at `address`. `from`: not everything has arrived from there. */
  readonly direction: 'to' | 'from'
  /** In a spelling to connect with. */
  readonly address: string
  /** With `to`: everything has arrived there. */
  readonly isFinished: boolean
}

/** What the keys of a vault say of where it is. */
export interface Located {
  /** Where the vault was made, or moved to: anywhere else it is a copy. */
  readonly address: string
  /** Where it was before, the latest place last. */
  readonly movedFrom?: readonly string[] | undefined
  /** It is not used here: it has moved away, or has not arrived. */
  readonly move?: VaultMove | undefined
}

/** What is left under the name of a record. */
interface LeftRecord {
  readonly version: 1
  readonly kind: 'moved'
  readonly to: string
}

export function leftRecord(to: string): LeftRecord {
  return { version: 1, kind: 'moved', to }
}

/** Where a record has gone; `undefined` if it has not. */
export function goneTo(content: unknown): string | undefined {
  if (typeof content !== 'object' || content === null) return undefined
  const { kind, to } = content as Partial<LeftRecord>
  return kind === 'moved' && typeof to === 'string' ? to : undefined
}

/**
 * The same keys, of a vault that is used where it was found.
 *
 * @throws {OAuthError} `VAULT_INVALID` it has moved, or is being moved
 */
export function assertHere<T extends Located>(keys: T): T {
  const { address, move } = keys
  if (move === undefined) return keys
  if (move.direction === 'to') throw vaultMoved(address, move)
  throw new OAuthError('VAULT_INVALID', `the vault has not completely moved from ${move.address} to ${address}`, {
    facts: { reason: 'vault-move-unfinished', from: move.address, address },
  })
}

export function vaultMoved(
  from: string,
  { address, isFinished }: Pick<VaultMove, 'address' | 'isFinished'>,
): OAuthError {
  if (!isFinished) {
    return new OAuthError('VAULT_INVALID', `the vault at ${from} is being moved to ${address}`, {
      facts: { reason: 'vault-move-unfinished', from, address },
    })
  }
  return new OAuthError('VAULT_INVALID', `the vault at ${from} has moved to ${address}`, {
    facts: { reason: 'vault-moved', address },
  })
}

export function isMovedError(error: unknown): error is OAuthError {
  if (!isOAuthError(error, 'VAULT_INVALID')) return false
  const { reason } = error.facts
  return reason === 'vault-moved' || reason === 'vault-move-unfinished'
}

/** How often a vault had moved when it was at this place: what is there is older than what has moved more often. */
export function movesOf({ movedFrom = [] }: Located): number {
  return movedFrom.length
}
