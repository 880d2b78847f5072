/**
 * A new session on its way to the save targets, by way of the store, so that nothing can lose it in between.
 *
 * @module
 */
import { AuthError, isAuthError } from './errors.ts'
import { initCommand } from './hints.ts'
import { recordOf } from './lineage.ts'
import type { Credentials, Handle, SessionRecord } from './model.ts'
import { deliverRotated, type RefreshPorts } from './refresh.ts'
import { endAtServer } from './revoke.ts'

/**
 * Puts a session into the per-user store and delivers it to the save targets. It stays in the store only if that
 * was named as a target, or if a delivery failed.
 *
 * @throws {AuthError} `SAVE_FAILED`: it is in the store, and the next run that finds it there delivers it; or the
 *   store cannot be written, and the session, of which nobody would know, was ended again
 */
export async function saveSession(
  credentials: Credentials,
  handle: Handle | undefined,
  ports: RefreshPorts,
): Promise<SessionRecord> {
  const record = { ...(await recordOf(credentials)), handle }
  const { targets, inStore } = ports.saving
  let isStored = false
  const save = ports.stores.sessions.update(record.thumbprint, async (_, commit, forget) => {
    const undelivered = targets.length > 0 ? targets.map(({ name }) => name) : undefined
    await commit({ ...record, undelivered })
    isStored = true
    const saved = await deliverRotated(record, targets, commit).catch((error: unknown) => {
      throw withRefresh(error, record)
    })
    if (!inStore && targets.length > 0) await forget()
    return saved
  })
  return save.catch(async (error: unknown) => {
    throw isStored ? error : await endUnsaved(record, error, ports)
  })
}

async function endUnsaved(record: SessionRecord, cause: unknown, ports: RefreshPorts): Promise<AuthError> {
  const { clientId, refreshToken, accessToken } = record
  const token = refreshToken ?? accessToken
  const grant = token !== undefined && clientId !== undefined ? { clientId, token } : undefined
  const outcome = grant && (await endAtServer(record, grant, {}, ports).catch(() => undefined))
  const end = outcome === 'revoked' ? 'and was ended again' : 'and will end by itself'
  const why = cause instanceof Error ? cause.message : String(cause)
  return new AuthError('SAVE_FAILED', `the new session could not be stored (${why}), ${end}`, {
    cause,
    session: 'dead',
    hint: `make room or correct the permissions, then: ${initCommand(record)}`,
  })
}

/** A login cannot be completed again: what delivers is any other run that finds the session in the store. */
function withRefresh(error: unknown, { did }: SessionRecord): unknown {
  if (!isAuthError(error, 'SAVE_FAILED')) return error
  return new AuthError('SAVE_FAILED', `${error.message}; the next run that uses them delivers them first`, {
    cause: error,
    session: error.session,
    hint: `atproto-oauth refresh --account ${did} --if-older-than 1h`,
  })
}
