/**
 * Moves a session into the vault, so that no second working copy of it is left here.
 */
import { OAuthError } from '../errors.ts'
import type { SessionRecord } from '../model.ts'
import type { SessionStore } from '../ports.ts'
import { keepClientKey } from './client.ts'
import type { RefreshPorts } from './ports.ts'
import { endedError, isElsewhere, movedToVault, newerOf, tokenElsewhere } from './token-family.ts'

/**
 * The copy here is marked before the vault has the session, and loses its tokens afterwards. A run that was killed in
 * between is finished by the next one.
 *
 * @returns the save targets that still have a copy
 * @throws {OAuthError} those of the vault: the session is as it was, or marked; `SESSION_OUTDATED`, `STORE_COPIED`,
 *   `SESSION_DEAD`; `CREDENTIALS_MISMATCH`: the vault has another session of the account
 */
export async function moveToVault(given: SessionRecord, ports: RefreshPorts): Promise<readonly string[]> {
  const { sessions, local = sessions } = ports.stores
  const vault = requireVault(ports)
  const address = await vault.place!()
  await vault.prepare?.()
  await assertReplacesNone(given, vault)
  return local.update(given.thumbprint, async ({ stored, commit }) => {
    const known = await newerOf(given, stored)
    if (isElsewhere(known)) throw tokenElsewhere(known)
    const record = { ...known, tokenElsewhere: undefined }
    const { savedTo = [], undelivered, movingTo, ...session } = record
    if (record.ended?.movedTo === address) return []
    if (record.ended) throw endedError(record, ports.now())
    if (record.clientId === undefined || record.refreshToken === undefined) throw onlyLeased(record)
    await local.assertNewest(record)
    await keepClientKey(record, ports, vault)
    await commit({ ...record, movingTo: address })
    await vault.update(record.thumbprint, async (transaction) =>
      transaction.commit(await newerOf(session, transaction.stored)),
    )
    await commit(await movedToVault(record, address, ports.now()))
    return [...new Set([...savedTo, ...(undelivered ?? [])])]
  })
}

/**
 * A vault has one session for each account: one whose tokens were not used here must not replace one that works.
 *
 * @throws {OAuthError} `CREDENTIALS_MISMATCH`, and those of the vault
 */
export async function assertReplacesNone(given: SessionRecord, vault: SessionStore): Promise<void> {
  const sessions = await vault.list(true)
  const other = sessions.find(
    ({ did, thumbprint, ended }) => did === given.did && thumbprint !== given.thumbprint && !ended,
  )
  if (other === undefined) return
  const { did, handle } = other
  const message = `the vault already has another session of ${handle ?? did}, and can keep only one`
  throw new OAuthError('CREDENTIALS_MISMATCH', message, { facts: { reason: 'account-in-vault', did, handle } })
}

/** @throws {OAuthError} `VAULT_INVALID` this runtime has none */
export function requireVault({ stores }: Pick<RefreshPorts, 'stores'>): SessionStore {
  if (stores.vault?.place) return stores.vault
  throw new OAuthError('VAULT_INVALID', 'no vault is set', { facts: { reason: 'vault-unset' } })
}

function onlyLeased({ did }: SessionRecord): OAuthError {
  const message = `a leased access token of ${did} cannot be moved into the vault`
  return new OAuthError('CREDENTIALS_INCOMPLETE', message, { facts: { reason: 'leased', operation: 'lease' } })
}
