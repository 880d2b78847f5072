/**
 * Scope strings: which may be asked for, and what was granted of it. What one
 * token means is in permission.ts.
 *
 * @see https://atproto.com/specs/permission
 */
import { OAuthError } from '../../errors.ts'
import { isAtprotoToken, isCovered, isStatic, normalToken, parsePermission } from './permission.ts'

const TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/
export const DEFAULT_SCOPE = 'atproto'

/**
 * The scope to ask for; `atproto`, without which nothing is granted, is put in front if it was left out.
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
  // A server drops what it cannot read without a word, and the permission would be missed much later.
  const wrong = tokens.find((token) => isAtprotoToken(token) && !isStatic(token) && !parsePermission(token))
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
 * What was asked for and not granted, compared by meaning. An `include:` is granted under the
 * names of what it contains, which only the server knows: it can not be missed by its own.
 */
export function missingScopes(requested: string, granted: string): string[] {
  const have = scopeTokens(granted)
  return scopeTokens(requested).filter((token) => !isInclude(token) && !isAmong(token, have))
}

/** What was granted and not asked for; next to an `include:` any `repo:` and `rpc:` may be from there. */
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

/** What a person should know of a scope before asking for it. */
export function scopeAdvice(scope: string): string | undefined {
  const tokens = scopeTokens(scope)
  if (!tokens.includes('transition:chat.bsky') || tokens.includes('transition:generic')) return undefined
  return 'transition:chat.bsky is specified only in combination with transition:generic; some servers accept it alone'
}

/**
 * What to ask for, to have what a server said is missing. Servers of before name a service by its bare
 * DID, with which no permission can be written.
 *
 * @returns `undefined` if nothing is known that would give it
 */
export function requestable(token: string): string | undefined {
  if (!isAtprotoToken(token) || isStatic(token) || parsePermission(token)) return token
  const ofAnyService = token.replace(/([?&]aud=)did:[^#&]*$/, '$1*')
  if (parsePermission(ofAnyService)) return ofAnyService
  return ofAnyService === token ? undefined : 'transition:generic'
}
