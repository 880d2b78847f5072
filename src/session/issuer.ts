/**
 * Checks that an account still uses the server that issued its session: a refresh token is sent to no other server.
 *
 * @see https://atproto.com/specs/oauth#identity-authentication
 */
import { loginFacts, OAuthError } from '../errors.ts'
import type { AuthorizationServer, Origin, SessionRecord } from '../model.ts'
import type { Clock, IdentityPorts } from '../ports.ts'
import { type AccountLocation, discoverFromAccount, fetchIssuer } from '../protocol/oauth/discovery.ts'

type IssuerPorts = IdentityPorts & Clock

/**
 * The authorization server that issued the session, if the DID still leads there.
 *
 * @throws {OAuthError} `ISSUER_MISMATCH`, and those of identity and metadata
 */
export function verifyIssuer(
  session: SessionRecord,
  ports: IssuerPorts,
): Promise<Pick<AccountLocation, 'claimedHandle' | 'pds'> & { readonly server: AuthorizationServer }> {
  const verify = async ({ pds, issuer }: AccountLocation) => {
    if (await isSameIssuer(session, pds, issuer, ports)) return
    throw new OAuthError(
      'ISSUER_MISMATCH',
      `${session.did} is now on ${pds}, which uses ${issuer}, but the session is from ${session.issuer ?? session.pds}; nothing was sent`,
      { facts: loginFacts(session) },
    )
  }
  return discoverFromAccount(session.did, { verify }, ports)
}

/** Credentials may contain the PDS, its issuer, or an earlier PDS with the same issuer. */
async function isSameIssuer(session: SessionRecord, pds: Origin, issuer: Origin, ports: IssuerPorts): Promise<boolean> {
  if (session.issuer !== undefined) return session.issuer === issuer
  if (session.pds === pds || session.pds === issuer) return true
  return (await fetchIssuer(session.pds, ports).catch(() => undefined)) === issuer
}
