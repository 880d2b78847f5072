/**
 * `call --explain`: prints the permissions that a request requires and whether the session has them, without sending.
 */
import { loginFacts, OAuthError, requestedScope } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { perhapsInSets, scopeTokens } from '../../protocol/scope/scope.ts'
import { methodWarning } from '../../protocol/xrpc/lexicons.ts'
import type { XrpcRequest } from '../../protocol/xrpc/request.ts'
import { missingScope, requiredScope } from '../../protocol/xrpc/required-scope.ts'
import type { Session } from '../../session/session.ts'
import { sanitize } from '../../text.ts'
import type { Context } from '../context.ts'

/**
 * Prints a line for each permission: `granted`, `missing`, or `unknown` if there is no session, or it is not known what it was
 * granted: the scope is not at hand, or it has a permission set that the server has not expanded.
 *
 * @throws {OAuthError} `PERMISSION_MISSING` if one is missing
 */
export async function explainRequest(
  request: XrpcRequest,
  session: Pick<Session, 'record'> | undefined,
  context: Context,
): Promise<void> {
  const { output } = context
  const { nsid } = request
  const login = session?.record()
  const scope = login?.scope === '' ? undefined : login?.scope
  const needs = requiredScope(request)
  const lacking = scope === undefined ? [] : missingScope(needs, scope)
  const perhaps = perhapsInSets(lacking, scope ?? '')
  const missing = lacking.filter((token) => !perhaps.includes(token))
  const stateOf = (token: string) => {
    if (scope === undefined || perhaps.includes(token)) return 'unknown'
    return missing.includes(token) ? 'missing' : 'granted'
  }
  const scopes = (typeof needs === 'string' ? [] : needs).map((token) => ({ scope: token, state: stateOf(token) }))

  if (output.json) {
    await output.data(`${JSON.stringify({ nsid, needs: typeof needs === 'string' ? needs : 'scopes', scopes })}\n`)
  } else {
    await output.data(scopes.map(({ scope: token, state }) => `${state}  ${sanitize(token, 4000)}\n`).join(''))
  }
  if (needs === 'none') output.note(`${nsid} requires no permission`)
  const warning = methodWarning(nsid)
  if (warning !== undefined) output.warn(`${nsid}: ${warning}`)
  else if (needs === 'unknown') output.note(`${sanitize(nsid)} is not a published method: its permissions are unknown`)
  if (scopes.length > 0 && scope === undefined) {
    output.note(
      session
        ? 'the granted scope is unknown: separate variables do not contain it, ATPROTO_OAUTH_SESSION does'
        : 'no session: which permissions are granted is unknown',
    )
  }
  if (perhaps.length > 0) {
    output.note('the grant has a permission set (include:) that the server did not expand: what it contains is unknown')
  }
  if (!login || missing.length === 0) return
  throw new OAuthError('PERMISSION_MISSING', `this session lacks the permission for ${nsid}: ${missing.join(' ')}`, {
    facts: { ...loginFacts(login), scope: widened(login, missing) },
  })
}

/** What the login requested, and what is missing. */
function widened(login: SessionRecord, missing: readonly string[]): string {
  return [...new Set([...scopeTokens(requestedScope(login) || 'atproto'), ...missing])].join(' ')
}
