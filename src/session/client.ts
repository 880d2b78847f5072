/**
 * The client of a session, with its key.
 */
import { isOAuthError } from '../errors.ts'
import type { SessionRecord } from '../model.ts'
import type { SessionStore } from '../ports.ts'
import { type ClientIdentity, sameClient } from '../protocol/oauth/client-auth.ts'
import type { RefreshPorts } from './ports.ts'

/**
 * The client key that is set, or the one that is kept with the session.
 *
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_MISMATCH`; nothing was sent
 */
export async function clientOf(
  clientId: string,
  { clientKey }: Pick<SessionRecord, 'clientKey'>,
  {
    settings,
    stores,
  }: Pick<RefreshPorts, 'settings'> & { readonly stores: { readonly sessions: Pick<SessionStore, 'clientKey'> } },
): Promise<ClientIdentity> {
  try {
    return await sameClient(clientId, clientKey, settings.clientJwk)
  } catch (error) {
    const isKept = clientKey && isOAuthError(error, 'CREDENTIALS_INCOMPLETE', 'CREDENTIALS_MISMATCH')
    const kept = isKept ? await stores.sessions.clientKey?.(clientId, clientKey) : undefined
    if (kept === undefined) throw error
    return sameClient(clientId, clientKey, kept)
  }
}

/** Keeps the client key that is set with the sessions that are bound to it, in the vault or in an encrypted store. */
export async function keepClientKey(
  { clientId, clientKey }: Pick<SessionRecord, 'clientId' | 'clientKey'>,
  { settings }: Pick<RefreshPorts, 'settings'>,
  place: Pick<SessionStore, 'keepClientKey'> | undefined,
): Promise<void> {
  const { clientJwk } = settings
  if (clientId === undefined || clientKey === undefined || clientJwk?.kid !== clientKey.kid) return
  await sameClient(clientId, clientKey, clientJwk)
  await place?.keepClientKey?.(clientId, clientJwk)
}
