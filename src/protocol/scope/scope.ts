/**
 * Scope strings: validates requested scopes and compares them with granted ones. permission.ts parses single tokens.
 *
 * @see https://atproto.com/specs/permission
 */
import { OAuthError } from '../../errors.ts'
import { isAtprotoToken, isCovered, isStatic, normalToken, parsePermission } from './permission.ts'

const TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/
export const DEFAULT_SCOPE = 'atproto'

/**
 * The scope to request. `atproto` is added at the front if it is missing, because nothing is granted without it.
 *
 * @throws {OAuthError} `SCOPE_INVALID`
 */
export function parseScope(text: string): string {
  const tokens = text.split(' ')
  if (tokens.includes('')) {
    throw new OAuthError(
      'SCOPE_INVALID',
      `the scope ${JSON.stringify(text)} must be permissions separated by single spaces`,
    )
  }
  const odd = tokens.find((token) => !TOKEN.test(token))
  if (odd !== undefined) throw new OAuthError('SCOPE_INVALID', `${JSON.stringify(odd)} is not valid in a scope`)
  if (text.includes(',')) {
    throw new OAuthError(
      'SCOPE_INVALID',
      `the scope ${JSON.stringify(text)} has a comma: separate permissions by spaces`,
    )
  }
  if (tokens.includes('openid')) {
    throw new OAuthError(
      'SCOPE_INVALID',
      'the scope "openid" does not exist in atproto: every session names its account',
    )
  }
  // Servers silently ignore an invalid permission, and it would be missed much later.
  const wrong = tokens.find((token) => isAtprotoToken(token) && !isStatic(token) && !parsePermission(token))
  const word = tokens.find((token) => /^[\w-]+$/.test(token) && !isAtprotoToken(token))
  if (wrong === undefined && word !== undefined) {
    throw new OAuthError('SCOPE_INVALID', `unknown permission ${JSON.stringify(word)} in the scope`, {
      facts: { reason: 'permission-malformed', permission: word },
    })
  }
  if (wrong !== undefined) {
    throw new OAuthError('SCOPE_INVALID', `invalid permission ${JSON.stringify(wrong)} in the scope`, {
      facts: { reason: 'permission-malformed', permission: wrong },
    })
  }
  return [...new Set(tokens.includes('atproto') ? tokens : ['atproto', ...tokens])].join(' ')
}

export function scopeTokens(scope: string): string[] {
  return scope.split(' ').filter(Boolean)
}

/**
 * Requested scopes that were not granted, compared by meaning. An `include:` is never missing: the server grants the
 * permissions that it contains under their own names.
 */
export function missingScopes(requested: string, granted: string): string[] {
  const have = scopeTokens(granted)
  return scopeTokens(requested).filter((token) => !isInclude(token) && !isAmong(token, have))
}

/** Granted scopes that were not requested. If an `include:` was requested, any `repo:` and `rpc:` may come from it. */
export function unaskedScopes(requested: string, granted: string): string[] {
  const asked = scopeTokens(requested)
  const mayBeExpanded = (token: string) => asked.some(isInclude) && /^(?:repo|rpc)[:?]/.test(token)
  return scopeTokens(granted).filter((token) => !mayBeExpanded(token) && !isAmong(token, asked))
}

function isInclude(token: string): boolean {
  return parsePermission(token)?.resource === 'include'
}

function isAmong(token: string, tokens: readonly string[]): boolean {
  const permission = parsePermission(token)
  const normal = normalToken(token)
  if (tokens.some((other) => normalToken(other) === normal)) return true
  return permission !== undefined && permission.resource !== 'include' && isCovered(permission, tokens)
}

/** Advice about a scope, before it is requested. */
export function scopeAdvice(scope: string): string | undefined {
  const tokens = scopeTokens(scope)
  if (!tokens.includes('transition:chat.bsky') || tokens.includes('transition:generic')) return undefined
  return 'transition:chat.bsky is specified only in combination with transition:generic; some servers accept it alone'
}

/**
 * The permission to request for one that a server reports as missing. Older servers name a service by its bare DID,
 * which a permission cannot contain.
 *
 * @returns `undefined` if no permission is known to grant it
 */
export function requestable(token: string): string | undefined {
  if (!isAtprotoToken(token) || isStatic(token) || parsePermission(token)) return token
  const ofAnyService = token.replace(/([?&]aud=)did:[^#&]*$/, '$1*')
  if (parsePermission(ofAnyService)) return ofAnyService
  return ofAnyService === token ? undefined : 'transition:generic'
}
