/**
 * Why a PDS rejects a session because of its account: the account has moved, or is deactivated, taken down or missing.
 *
 * @see https://atproto.com/specs/account#hosting-status
 */
import { isOAuthError, loginFacts, type OAuthError } from '../errors.ts'
import type { Identity, SessionRecord } from '../model.ts'
import type { Clock, IdentityPorts } from '../ports.ts'
import { parseJsonObject } from '../protocol/http/response.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { verifyIssuer } from './issuer.ts'

const STATES: ReadonlyMap<string | undefined, 'deactivated' | 'taken down' | 'suspended' | 'not found'> = new Map([
  ['AccountDeactivated', 'deactivated'],
  ['RepoDeactivated', 'deactivated'],
  ['AccountTakedown', 'taken down'],
  ['RepoTakendown', 'taken down'],
  ['AccountSuspended', 'suspended'],
  ['RepoSuspended', 'suspended'],
  ['AccountNotFound', 'not found'],
  ['RepoNotFound', 'not found'],
])

/**
 * The error to throw instead of `error`. A PDS says the same of an account that has moved as of one that is
 * deactivated, so the DID is resolved first. An error about anything else is returned unchanged.
 */
export async function explainAccountState<Given>(
  error: Given,
  request: XrpcRequest,
  record: SessionRecord,
  ports: IdentityPorts & Clock,
): Promise<Given | OAuthError> {
  if (!isAboutAccount(error, request, record)) return error
  const state = STATES.get(error.facts.serverError)!
  const { did, pds } = record
  const { status, serverError } = error.facts
  const changed = (message: string, facts: OAuthError['facts']) =>
    error.with({
      message: `${error.message}: ${message}`,
      session: 'unknown',
      facts: { status, serverError, ...facts },
    })

  let identity: Identity
  try {
    identity = await resolveDid(did, ports)
  } catch (failure) {
    if (!isOAuthError(failure)) throw failure
    const why = failure.code === 'DID_NOT_FOUND' ? '' : 'whether the account has moved is not known: '
    return changed(`${why}${failure.message}`, { reason: 'account-unclear', did })
  }
  if (identity.pds !== pds) {
    // Servers of one provider may share an issuer, whose sessions stay valid.
    const isSameIssuer = await verifyIssuer(record, ports).then(
      () => true,
      () => false,
    )
    return changed(`${did} has moved from ${pds} to ${identity.pds}`, {
      // By its DID: the handle may have changed as well.
      ...{ ...loginFacts(record), handle: undefined },
      reason: isSameIssuer ? 'account-moved-within-issuer' : 'account-moved',
      did,
    })
  }
  if (state === 'not found') {
    const message = `${did} has no account at ${pds}, although its DID document names that PDS`
    return changed(message, { reason: 'account-unclear', did })
  }
  const reason = state === 'deactivated' ? 'account-deactivated' : 'account-taken-down'
  return changed(`${did} is ${state} at ${pds}, and has not moved`, { reason, pds })
}

/** Whether a PDS rejected a request because of the session's account, which is in another state or elsewhere. */
export function isAboutAccount(error: unknown, request: XrpcRequest, record: SessionRecord): error is OAuthError {
  return (
    isOAuthError(error, 'XRPC_ERROR') &&
    STATES.has(error.facts.serverError) &&
    concernsOwnAccount(error, request, record)
  )
}

/** Servers use the same names for the account that a request asks about. */
function concernsOwnAccount({ facts }: OAuthError, request: XrpcRequest, { did, handle }: SessionRecord): boolean {
  if (facts.status === 401 || facts.status === 403) return true
  const { parameters = [], body } = request
  const named = parameters.filter(([name]) => ['did', 'repo', 'actor'].includes(name)).map(([, value]) => value)
  const repo = typeof body === 'string' ? parseJsonObject(body)?.repo : undefined
  return [...named, ...(repo === undefined ? [] : [repo])].every(
    (account) => account === did || account === '{did}' || account === handle,
  )
}
