/**
 * A new session on its way to the save targets, by way of the store, so that nothing can lose it in between.
 *
 * @module
 */
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Credentials, Handle, SessionRecord } from '../model.ts'
import { deliverRotated, type RefreshPorts } from './refresh.ts'
import { newerOf, toSessionRecord } from './token-family.ts'

/**
 * Puts a session into the per-user store and delivers it to the save targets. It stays in the store only if that
 * was named as a target, or if a delivery failed.
 *
 * @throws {OAuthError} `SAVE_FAILED`: it is in the store, and the next run that finds it there delivers it;
 *   `STORE_UNAVAILABLE`: it is nowhere yet
 */
export async function saveSession(
  credentials: Credentials,
  handle: Handle | undefined,
  ports: Pick<RefreshPorts, 'stores' | 'saving'>,
): Promise<SessionRecord> {
  const record = { ...(await toSessionRecord(credentials)), handle }
  const { targets, inStore } = ports.saving
  return ports.stores.sessions.update(record.thumbprint, async (stored, commit, forget) => {
    const undelivered = targets.length > 0 ? targets.map(({ name }) => name) : undefined
    // Only a run after one that was killed finds it there already, and maybe renewed since.
    const current = { ...(await newerOf(record, stored)), handle }
    await commit({ ...current, undelivered })
    const saved = await deliverRotated(current, targets, commit).catch((error: unknown) => {
      throw withRefresh(error, record)
    })
    if (!inStore && targets.length > 0) await forget()
    return saved
  })
}

/** A login cannot be completed again: what delivers is any other run that finds the session in the store. */
function withRefresh(error: unknown, { did }: SessionRecord): unknown {
  if (!isOAuthError(error, 'SAVE_FAILED')) return error
  return new OAuthError('SAVE_FAILED', `${error.message}; the next run that uses them delivers them first`, {
    cause: error,
    session: error.session,
    hint: `atproto-oauth refresh --account ${did} --if-older-than 1h`,
  })
}
