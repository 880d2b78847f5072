/**
 * Scope strings: validates requested scopes and compares them with granted ones. permission.ts parses single tokens.
 *
 * @see https://atproto.com/specs/permission
 */
import { OAuthError } from '../../errors.ts'
import type { Did, PendingAuthorization } from '../../model.ts'
import {
  isAtprotoToken,
  isCovered,
  isInSets,
  isOfSet,
  isStatic,
  normalToken,
  ofAccount,
  type Permission,
  parsePermission,
  splitValues,
} from './permission.ts'

const TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/
export const DEFAULT_SCOPE = 'atproto'

/**
 * The scope to request. `atproto` is added at the front if it is missing, because nothing is granted without it.
 *
 * @throws {OAuthError} `SCOPE_INVALID`
 */
export function parseScope(text: string): string {
  const tokens = text.split(' ')
  const fault = faultOf(text, tokens)
  if (fault === undefined) {
    return [...new Set(tokens.includes('atproto') ? tokens : ['atproto', ...tokens])].join(' ')
  }
  const [message, permission] = fault
  const meant = meantScope(text)
  throw new OAuthError('SCOPE_INVALID', message, {
    facts:
      meant !== undefined ? { scope: meant } : permission ? { reason: 'permission-malformed', permission } : undefined,
  })
}

/** What is wrong with a scope, and the permission that is wrong if it is one. */
function faultOf(text: string, tokens: readonly string[]): [message: string, permission?: string] | undefined {
  const shown = JSON.stringify(text)
  if (tokens.includes('')) return [`the scope ${shown} must be permissions separated by single spaces`]
  const odd = tokens.find((token) => !TOKEN.test(token))
  if (odd !== undefined) return [`${JSON.stringify(odd)} is not valid in a scope`]
  if (text.includes(',')) return [`the scope ${shown} has a comma: separate permissions by spaces`]
  const joined = tokens.find((token) => partsOf(token).length > 1)
  if (joined !== undefined) return [`${JSON.stringify(joined)} is several permissions: separate them by spaces`]
  if (tokens.includes('openid')) {
    return ['the scope "openid" does not exist in atproto: every session names its account']
  }
  // Servers silently ignore an invalid permission, and it would be missed much later.
  const wrong = tokens.find((token) => isAtprotoToken(token) && !isStatic(token) && !parsePermission(token))
  if (wrong !== undefined) return [`invalid permission ${JSON.stringify(wrong)} in the scope`, wrong]
  const word = tokens.find((token) => /^[\w-]+$/.test(token) && !isAtprotoToken(token))
  return word === undefined ? undefined : [`unknown permission ${JSON.stringify(word)} in the scope`, word]
}

/** The permissions of a scope in which the spaces are encoded, as in a URL or a form. */
function partsOf(token: string): string[] {
  return token.split(
    /(?:\+|%20)(?=(?:atproto$|atproto(?:\+|%20)|(?:transition|repo|rpc|blob|account|identity|include|space)[:?]))/,
  )
}

/** The permissions of a scope, however they are separated, and what is wrong with that. */
export function splitScope(text: string): { readonly tokens: string[]; readonly faults: string[] } {
  const bare = text.replace(/^\s*(?:--)?scopes?\s*[=:]\s*/i, '')
  const pieces = bare
    .split(/[\s\u200b"'\u201c\u201d\u2018\u2019[\]]+|;|,(?=$|[\s"]|[a-z]+[:?]|atproto\b)/i)
    .filter(Boolean)
  const tokens = pieces.flatMap(partsOf).filter(Boolean)
  const has = (pattern: RegExp) => pattern.test(bare)
  const faults = [
    ...(bare === text ? [] : ['"scope=" is not a part of the scope']),
    ...(has(/["'\u201c\u201d\u2018\u2019[\]]/) ? ['quotes and brackets are not a part of the scope'] : []),
    ...(has(/[,;]\s*(?:$|["']|[a-z]+[:?]|atproto\b)/i)
      ? ['permissions are separated by spaces, not by commas or semicolons']
      : []),
    ...(pieces.some((piece) => partsOf(piece).some((part, _, all) => all.length > 1 && part !== ''))
      ? ['permissions are separated by spaces: + and %20 are spaces only in a URL']
      : []),
    ...(has(/[^\S ]/) ? ['permissions are separated by spaces, not by tabs or line breaks'] : []),
    ...(has(/^ | $| {2}/) ? ['permissions are separated by single spaces'] : []),
    ...(tokens.length === 0 ? ['the scope is empty'] : []),
  ]
  return { tokens, faults }
}

/** The same permissions, separated by spaces alone; `undefined` if they are invalid that way too. */
function meantScope(text: string): string | undefined {
  const tokens = text
    .split(/[\s,;"'\u201c\u201d\u2018\u2019[\]]+/)
    .filter(Boolean)
    .flatMap(partsOf)
  const meant = tokens.join(' ')
  return meant === '' || meant === text || faultOf(meant, tokens) !== undefined ? undefined : meant
}

export function scopeTokens(scope: string): string[] {
  return scope.split(' ').filter(Boolean)
}

/**
 * All differences between a requested and a granted scope; each is described at its function.
 *
 * @param known what the requested permission sets were found to grant before the sign-in, and those that grant nothing
 */
export function compareScopes(
  requested: string,
  granted: string,
  account?: Did,
  known: Pick<PendingAuthorization, 'emptyIncludes' | 'setPermissions'> = {},
) {
  const missing = missingScopes(requested, granted, account)
  const empty = emptyIncludes(requested, granted, known.emptyIncludes)
  return {
    missingScopes: missing,
    unsupportedScopes: unsupportedScopes(missing, granted),
    emptyIncludes: empty,
    missingFromSets: missingFromSets(known.setPermissions ?? [], granted, empty),
    unaskedScopes: unaskedScopes(requested, granted, account),
  }
}

/**
 * Requested scopes that were not granted, compared by meaning. An `include:` is never missing: the server grants the
 * permissions that it contains under their own names.
 *
 * @param account what `self` stands for in `space:` permissions
 */
export function missingScopes(requested: string, granted: string, account?: Did): string[] {
  const have = scopeTokens(granted).map((token) => ofAccount(token, account))
  return scopeTokens(requested).filter((token) => !includeOf(token) && !isAmong(ofAccount(token, account), have))
}

/**
 * The missing scopes that the server does not support: atproto does not define them, or only proposes them, and nothing
 * of their kind was granted. Servers drop them before the consent screen, so that nobody can have denied them.
 */
export function unsupportedScopes(missing: readonly string[], granted: string): string[] {
  const kinds = new Set(scopeTokens(granted).map(kindOf))
  const isDefined = (token: string) => isStatic(token) || (parsePermission(token) && kindOf(token) !== 'space')
  return missing.filter((token) => !isDefined(token) && !kinds.has(kindOf(token)))
}

/**
 * Requested `include:` from which nothing was granted, neither its permissions nor itself. What is in its namespace may
 * also come from another set, so those that are known to be empty are among them in any case.
 */
export function emptyIncludes(requested: string, granted: string, knownEmpty: readonly string[] = []): string[] {
  const have = scopeTokens(granted)
  return scopeTokens(requested).filter((token) => {
    const include = includeOf(token)
    if (include === undefined || isAmong(token, have)) return false
    return knownEmpty.includes(token) || !have.some((other) => isFrom(other, include))
  })
}

/**
 * Permissions of sets that were not granted, compared by meaning. Not those of an `include:` from which nothing was granted,
 * and not those of one that the server has not expanded.
 */
function missingFromSets(permissions: readonly string[], granted: string, empty: readonly string[]): string[] {
  const have = scopeTokens(granted)
  const unknown = [...have, ...empty].flatMap((token) => includeOf(token) ?? [])
  return permissions.filter((token) => !isAmong(token, have) && !unknown.some((include) => isFrom(token, include)))
}

/** Granted scopes that were not requested. The permissions that a requested `include:` can contain are requested. */
export function unaskedScopes(requested: string, granted: string, account?: Did): string[] {
  const asked = scopeTokens(requested)
  const includes = asked.flatMap((token) => includeOf(token) ?? [])
  const own = asked.map((token) => ofAccount(token, account))
  return scopeTokens(granted).filter(
    (token) => !includes.some((include) => isFrom(token, include)) && !isAmong(ofAccount(token, account), own),
  )
}

/** Of `tokens` those that a permission set in `granted` may contain, which the server has not expanded. */
export function perhapsInSets(tokens: readonly string[], granted: string): string[] {
  if (!scopeTokens(granted).some(includeOf)) return []
  return tokens.filter((token) => {
    const permission = parsePermission(token)
    return permission !== undefined && isInSets(permission)
  })
}

/**
 * What `granted` allows and `other` does not, one NSID and one action in each token. Not what `other` may allow by a permission set that
 * the server has not expanded.
 */
export function addedScopes(granted: string, other: string, account?: Did): string[] {
  const added = missingScopes(scopeTokens(granted).flatMap(splitValues).join(' '), other, account)
  const perhaps = perhapsInSets(added, other)
  return added.filter((token) => !perhaps.includes(token))
}

function includeOf(token: string): Permission | undefined {
  const permission = parsePermission(token)
  return permission?.resource === 'include' ? permission : undefined
}

function isFrom(token: string, include: Permission): boolean {
  const permission = parsePermission(token)
  return permission !== undefined && isOfSet(permission, include)
}

function kindOf(token: string): string {
  return /^[^:?]*/.exec(token)![0]
}

function isAmong(token: string, tokens: readonly string[]): boolean {
  // Some servers grant transition:email as what it stands for.
  const permission = parsePermission(token === 'transition:email' ? 'account:email' : token)
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
