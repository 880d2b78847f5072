/**
 * Scope strings: tokens that are well-formed (RFC 6749 §3.3), contain `atproto`,
 * and can be compared. What a token permits is the server's to say.
 *
 * @see https://atproto.com/specs/permission
 * @module
 */
import { AuthError } from '../errors.ts'

const TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/
export const DEFAULT_SCOPE = 'atproto'

/**
 * The scope to ask for; `atproto`, without which nothing is granted, is put in front if it was left out.
 *
 * @throws {AuthError} `SCOPE_INVALID`
 */
export function parseScope(text: string): string {
  const tokens = text.split(' ')
  if (tokens.includes('')) {
    throw new AuthError('SCOPE_INVALID', `the scope ${JSON.stringify(text)} must be words with one space between them`)
  }
  const odd = tokens.find((token) => !TOKEN.test(token))
  if (odd !== undefined) throw new AuthError('SCOPE_INVALID', `${JSON.stringify(odd)} cannot be part of a scope`)
  if (text.includes(',')) {
    throw new AuthError('SCOPE_INVALID', `the scope ${JSON.stringify(text)} has a comma: put spaces between its words`)
  }
  if (tokens.includes('openid')) {
    throw new AuthError('SCOPE_INVALID', 'the scope openid does not exist in atproto: the account is always told')
  }
  return [...new Set(tokens.includes('atproto') ? tokens : ['atproto', ...tokens])].join(' ')
}

export function scopeTokens(scope: string): string[] {
  return scope.split(' ').filter(Boolean)
}

/**
 * What was asked for and not granted. An `include:` is granted under the names of
 * what it contains, so it can not be missed by its own.
 */
export function missingScopes(requested: string, granted: string): string[] {
  const have = new Set(scopeTokens(granted))
  return scopeTokens(requested).filter((token) => !have.has(token) && !/^include[:?]/.test(token))
}
