/**
 * Imports a session of another program, without using its tokens: the refresh token works once.
 */

import { checkClientId } from '../client/client-id.ts'
import { fromNodeSession } from '../credentials/node-session.ts'
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Credentials, SessionRecord } from '../model.ts'
import { assertSigns, importDpopKey } from '../protocol/oauth/dpop.ts'
import { verifyIssuer } from './issuer.ts'
import { assertReplacesNone, requireVault } from './move.ts'
import type { RefreshPorts } from './ports.ts'
import { checkTargets } from './saving.ts'
import {
  assertOwnToken,
  endedError,
  isElsewhere,
  newerOf,
  newestHash,
  takenBack,
  tokenElsewhere,
  toSessionRecord,
} from './token-family.ts'

export interface ImportOptions {
  /** The exact client_id of the other program: a refresh with a different one ends the session. */
  readonly clientId: string
}

/**
 * Reads the value that the session store of `@atproto/oauth-client-node` holds for one account, and checks that the
 * account's server is the issuer. Stores nothing; the session must be deleted in the other program.
 *
 * @param value untrusted
 * @throws {OAuthError} `CLIENT_INVALID`, those of `fromNodeSession`; `ISSUER_MISMATCH`; `CREDENTIALS_MISMATCH`: this
 *   machine has a newer token of the same session, or the vault another session of the account; `SAVE_FAILED`: a save target contains another account. No token was
 *   sent
 */
export async function importSession(
  value: unknown,
  { clientId }: ImportOptions,
  ports: RefreshPorts,
): Promise<Credentials> {
  const { settings, stores } = ports
  const { clientJwk, dev } = settings
  checkClient(clientId)
  const credentials = await fromNodeSession(value, { clientId, clientJwk, dev })
  await assertSigns(await importDpopKey(credentials.dpopPrivateJwk), ports)
  await checkTargets(credentials.did, ports)
  const given = await toSessionRecord(credentials)
  if (ports.saving.inVault) await assertReplacesNone(given, requireVault(ports))
  await assertOwnToken(given, stores.sessions)
  const { pds } = await verifyIssuer(given, ports)
  const here = ports.refreshedHere?.get(given.thumbprint)
  if (here?.newest && (await takenBack(here.newest, credentials.refreshToken!)) !== here.newest) delete here.newest
  return stores.sessions.update(given.thumbprint, async ({ stored, commit }) => {
    if (!stored) return { ...credentials, server: pds }
    const known = await takenBack(stored, credentials.refreshToken!)
    const current = await newerOf(given, known)
    if (current.refreshToken !== credentials.refreshToken) throw spent(current, ports.now())
    if (known !== stored) await commit(known)
    // The imported value has no creation time and no refresh count.
    const isAsItLeft = known !== stored || (await newestHash(current)) === (await newestHash(known))
    const { createdAt } = known
    const { rotation, rotatedAt } = isAsItLeft ? known : { ...current, rotatedAt: undefined }
    return { ...credentials, server: pds, createdAt, rotatedAt, rotation }
  })
}

function checkClient(clientId: string): void {
  try {
    checkClientId(clientId)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    throw error.with({ session: 'alive', facts: { reason: 'foreign-client-id' } })
  }
}

/** The stored token is newer: sending the imported one would end the session. */
function spent(current: SessionRecord, now: number): OAuthError {
  if (current.ended) return endedError(current, now)
  if (isElsewhere(current)) return tokenElsewhere(current)
  const message = `the refresh token has already been used: a newer one of the same session of ${current.did} is stored here`
  return new OAuthError('CREDENTIALS_MISMATCH', message, { facts: { reason: 'newer-token-stored', did: current.did } })
}
