/**
 * Revokes a session at the server, then removes it here.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7009.html RFC 7009}
 */
import { loginFacts, OAuthError } from '../errors.ts'
import type { AuthorizationServer, SessionRecord } from '../model.ts'
import type { Refreshed } from '../ports.ts'
import { withServerClocks } from '../protocol/http/server-clock.ts'
import { fetchAuthorizationServer } from '../protocol/oauth/discovery.ts'
import { assertSigns, importDpopKey } from '../protocol/oauth/dpop.ts'
import { OAuthServerAgent } from '../protocol/oauth/server-agent.ts'
import { clientOf } from './client.ts'
import { verifyIssuer } from './issuer.ts'
import type { RefreshPorts } from './ports.ts'
import { savedElsewhere } from './saving.ts'
import { afterOtherStores } from './share-refresh.ts'
import { endedError, isElsewhere, newestKnown, revokedFrom, successorOf, tokenElsewhere } from './token-family.ts'

export interface Revoked {
  /** `unsupported`: the server has no revocation endpoint; `unconfirmed`: it did not confirm the revocation. */
  readonly outcome: 'revoked' | 'unsupported' | 'unconfirmed'
  /** The session before its removal. Secret. */
  readonly record: SessionRecord
}

/**
 * @throws {OAuthError} those of settings, network, identity and metadata, with nothing sent and nothing deleted
 *   (`ISSUER_MISMATCH`: the issuer was never recorded, and the account has moved); `SESSION_MISSING`;
 *   `SESSION_DEAD` if it was revoked from here before; `CREDENTIALS_INCOMPLETE` for a lease, or if only save targets
 *   that cannot be read have the refresh token
 */
export function revoke(given: SessionRecord, ports: RefreshPorts): Promise<Revoked> {
  const { sessions } = ports.stores
  const revokeNow = (here?: Refreshed) =>
    sessions.update(given.thumbprint, async ({ stored, forget, confirm }) => {
      const own = await savedElsewhere(await newestKnown(given, stored, sessions), ports)
      const record = (await successorOf(own, here?.newest)) ?? own
      // The server need not end a session by its access token, and would not say so.
      if (isElsewhere(record)) throw tokenElsewhere(record)
      if (record.ended?.revoked) throw endedError(record, ports.now(), !given.ended)
      const { clientId, refreshToken, accessToken } = record
      const token = refreshToken ?? accessToken
      if (!record.ended && token !== undefined && clientId === undefined) throw onlyLeased(record)
      if (record.ended || token === undefined || clientId === undefined) {
        const isHandedOver = record.ended?.handedOver !== undefined
        await forget(record.ended !== undefined && !isHandedOver)
        if (isHandedOver) throw foreign(record)
        const isKept = sessions.isSharedSession?.(record.thumbprint) === true
        const message = `the session of ${record.did} had already ended${isKept ? '' : '; it was removed here'}`
        throw new OAuthError('SESSION_MISSING', message, { facts: loginFacts(record) })
      }
      await confirm()
      const outcome = await endAtServer(record, { clientId, token }, ports)
      if (outcome === 'revoked') await sessions.noteRevoked?.(revokedFrom(record, ports.now()))
      await forget(outcome === 'revoked')
      delete here?.newest
      return { outcome, record }
    })
  return afterOtherStores(ports, given.thumbprint, revokeNow)
}

/**
 * Ends a session at the server whatever is stored here: nobody has a use for its tokens.
 *
 * @returns whether the server confirmed it; a failure of any kind is `false`
 */
export async function endSession(record: SessionRecord, ports: RefreshPorts): Promise<boolean> {
  const { clientId, refreshToken, accessToken } = record
  const token = refreshToken ?? accessToken
  if (clientId === undefined || token === undefined) return false
  return endAtServer(record, { clientId, token }, ports).then(
    (outcome) => outcome === 'revoked',
    () => false,
  )
}

function foreign({ did }: SessionRecord): OAuthError {
  const message = `the session of ${did} was handed over to another program, which must end it; it was removed here`
  return new OAuthError('SESSION_MISSING', message, { session: 'alive', facts: { reason: 'handed-over' } })
}

function onlyLeased({ did }: SessionRecord): OAuthError {
  const message = `a leased access token cannot revoke the session of ${did}; nothing was sent`
  return new OAuthError('CREDENTIALS_INCOMPLETE', message, { facts: { reason: 'leased', operation: 'revoke' } })
}

async function endAtServer(
  record: SessionRecord,
  { clientId, token }: { readonly clientId: string; readonly token: string },
  given: RefreshPorts,
): Promise<Revoked['outcome']> {
  const ports = withServerClocks(given)
  const { dpopPrivateJwk, thumbprint } = record
  const client = await clientOf(clientId, record, ports)
  const server = await issuingServer(record, ports)
  if (server.revocation_endpoint === undefined) return 'unsupported'
  const nonces = await ports.stores.sessions.readNonces(thumbprint)
  const key = await importDpopKey(dpopPrivateJwk, ports)
  await assertSigns(key, ports)
  const agent = OAuthServerAgent.withKey({ server, client, key, nonces }, ports)
  // Without a nonce, the first request may get a 200 and have no effect; the second one has the nonce.
  await agent.revoke(token)
  return (await agent.revoke(token)) ? 'revoked' : 'unconfirmed'
}

/** A session can be revoked at its own issuer even if the account has moved since. */
async function issuingServer(record: SessionRecord, ports: RefreshPorts): Promise<AuthorizationServer> {
  if (record.issuer === undefined) return (await verifyIssuer(record, ports)).server
  return fetchAuthorizationServer(record.issuer, undefined, ports)
}

/**
 * The error for sessions that were removed here, and that the server may not have ended.
 *
 * @param outcomes none of them `revoked`
 * @param rest what else is to be done, as the end of the sentence
 */
export function revocationUnconfirmed(outcomes: readonly Revoked['outcome'][], rest = ''): OAuthError {
  const isUnsupported = outcomes.every((outcome) => outcome === 'unsupported')
  const why = isUnsupported
    ? 'the server does not support revocation: the session expires there at most 14 days after its last refresh'
    : 'the server did not confirm the revocation'
  return new OAuthError('REVOCATION_UNCONFIRMED', `${why}; it was removed from this machine${rest}`, {
    session: isUnsupported ? 'alive' : undefined,
  })
}
