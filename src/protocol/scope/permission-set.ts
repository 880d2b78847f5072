/**
 * Expands permission sets, as servers do for each request: what an `include:` grants, and what it does not. Servers say
 * little about either.
 *
 * @see https://atproto.com/specs/permission#permission-sets
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import { isObject } from '../../text.ts'
import type { JsonObject } from '../http/response.ts'
import { asNsid } from '../identity/syntax.ts'
import { isOfSet, nameParameter, normalToken, type Permission, parametersIn, parsePermission } from './permission.ts'
import { type ResolvePorts, resolveDefinition, unresolved } from './published-set.ts'
import { parseScope, scopeTokens } from './scope.ts'

/** A text and its translations, by language tag. */
export interface LocalizedText {
  readonly text?: string | undefined
  readonly translations: ReadonlyMap<string, string>
}

export interface PermissionSet {
  readonly nsid: string
  /** The token that requests it. */
  readonly include: string
  readonly title: LocalizedText
  readonly detail: LocalizedText
  /** What the server grants from it. */
  readonly granted: readonly string[]
  readonly dropped: readonly DroppedEntry[]
}

/**
 * Why an entry of a set is not granted: sets cannot contain permissions of its `kind`; it has a `field` that its kind does
 * not have, which voids all of it; it has a `wildcard`; it names a `service` of its own; it is `invalid` otherwise; it is
 * outside the `namespace` of the set; it needs the `audience` that the `include:` does not have.
 */
export type DropReason = 'kind' | 'field' | 'wildcard' | 'service' | 'invalid' | 'namespace' | 'audience'

export interface DroppedEntry {
  /** Its position in the set, from 0. */
  readonly index: number
  /** As a permission, as far as it can be written as one. */
  readonly entry: string
  readonly why: DropReason
  /** The name of the field that is not valid, for `field`. */
  readonly field?: string | undefined
}

/** A permission set that cannot be resolved, and the first step that failed. */
export interface UnresolvedSet {
  readonly include: string
  /** `PERMISSION_SET_UNRESOLVED` */
  readonly error: OAuthError
}

/** The permission sets of a scope, and those that cannot be resolved. */
export async function readPermissionSets(
  scope: string,
  ports: ResolvePorts,
): Promise<{ readonly sets: readonly PermissionSet[]; readonly unresolved: readonly UnresolvedSet[] }> {
  const read = scopeTokens(scope)
    .filter(isInclude)
    .map(async (include) => ({
      include,
      found: await orError(resolvePermissionSet(include, ports)),
    }))
  const all = await Promise.all(read)
  return {
    sets: all.flatMap(({ found }) => (isOAuthError(found) ? [] : [found])),
    unresolved: all.flatMap(({ include, found }) => (isCertain(found) ? [{ include, error: found }] : [])),
  }
}

/** The first permission set in a scope that cannot be resolved. */
export async function findBrokenSet(scope: string, ports: ResolvePorts): Promise<OAuthError | undefined> {
  for (const include of scopeTokens(scope).filter(isInclude)) {
    const found = await orError(resolvePermissionSet(include, ports))
    if (isCertain(found)) return found
  }
  return undefined
}

/**
 * The permission set that a server says it cannot resolve, where no fault is found from here: it may have read the set
 * before, or check more of it.
 *
 * @param refusal what the server said
 */
export function findRefusedSet(scope: string, refusal: string): OAuthError | undefined {
  if (!/lexicon|permission.?set/i.test(refusal)) return undefined
  const words = new Set(refusal.split(/[^\w.-]+/).map((word) => word.replace(/\.$/, '')))
  const nsid = scopeTokens(scope)
    .filter(isInclude)
    .map(nsidOf)
    .find((each) => words.has(each))
  return nsid === undefined ? undefined : unresolved(nsid, 'server', 'the server gives no reason')
}

/** Where DNS fails here, the server's may work, and nothing is known about the set. */
function isCertain(found: PermissionSet | OAuthError): found is OAuthError {
  return isOAuthError(found) && !(found.facts.reason === 'permission-set-broken' && found.facts.step === 'dns-failed')
}

/**
 * @param include as from {@link includeToken}
 * @throws {OAuthError} `PERMISSION_SET_UNRESOLVED`
 */
export async function resolvePermissionSet(include: string, ports: ResolvePorts): Promise<PermissionSet> {
  return expandSet(include, await resolveDefinition(nsidOf(include), ports))
}

async function orError<T>(work: Promise<T>): Promise<T | OAuthError> {
  try {
    return await work
  } catch (error) {
    if (isOAuthError(error)) return error
    throw error
  }
}

/**
 * The token that requests a permission set.
 *
 * @param set its NSID, or the token itself
 * @param audience the service for its entries, as `did:web:api.bsky.app#bsky_appview`
 * @throws {OAuthError} `SCOPE_INVALID`
 */
export function includeToken(set: string, audience?: string): string {
  const isToken = set.startsWith('include:') || set.startsWith('include?')
  if (!isToken && asNsid(set) === undefined) {
    const message = `${JSON.stringify(set)} is not the NSID of a permission set`
    throw new OAuthError('SCOPE_INVALID', message, { facts: { reason: 'permission-malformed', permission: 'include' } })
  }
  const [, token] = parseScope(`atproto ${isToken ? set : `include:${set}`}`).split(' ')
  const { values } = parsePermission(token!)!
  if (audience === undefined) return token!
  const [nsid] = values.get('nsid')!
  // Also as it is written in a scope, with its # encoded.
  const given = encodeURIComponent(audience.replace(/%23/g, '#'))
  return normalToken(parseScope(`atproto include:${nsid}?aud=${given}`).split(' ')[1]!)
}

export function nsidOf(include: string): string {
  return parsePermission(include)!.values.get('nsid')![0]!
}

export function isInclude(token: string): boolean {
  return parsePermission(token)?.resource === 'include'
}

export function expandSet(token: string, set: JsonObject): PermissionSet {
  const include = parsePermission(token)!
  const granted: string[] = []
  const dropped: DroppedEntry[] = []
  for (const [index, entry] of (Array.isArray(set.permissions) ? set.permissions : []).entries()) {
    const { permission, ...drop } = readEntry(isObject(entry) ? entry : {}, include)
    if (drop.why === undefined) granted.push(permission)
    else dropped.push({ index, entry: permission, ...drop })
  }
  const nsid = nsidOf(token)
  return { nsid, include: token, title: localized(set, 'title'), detail: localized(set, 'detail'), granted, dropped }
}

type Reading = { readonly permission: string } & (
  | { readonly why?: undefined }
  | { readonly why: DropReason; readonly field?: string }
)

/** The permission of an entry, and why it is not granted if it is not. */
function readEntry({ type: _, resource: kind, ...fields }: JsonObject, include: Permission): Reading {
  const resource = textOf(kind)
  const { inheritAud, ...own } = fields
  const isInherited = resource === 'rpc' && inheritAud === true && own.aud === undefined
  const [audience] = include.values.get('aud') ?? []
  const parameters = isInherited && audience !== undefined ? { ...own, aud: audience } : own
  const permission = normalToken(tokenOf(resource, parameters))
  const known = parametersIn(resource)
  const name = nameParameter(resource)
  if (known === undefined || name === undefined) return { permission, why: 'kind' }
  const odd = Object.keys(isInherited ? own : fields).find((field) => !known.has(field))
  if (odd !== undefined) return { permission, why: 'field', field: odd }
  if ([own[name]].flat().includes('*')) return { permission, why: 'wildcard' }
  if (own.aud !== undefined && own.aud !== '*') return { permission, why: 'service' }
  // Any service stands in for the one that is missing, to find what else is wrong.
  const complete = isInherited && audience === undefined ? { ...own, aud: '*' } : parameters
  const parsed = hasLists(complete, known) ? parsePermission(tokenOf(resource, complete)) : undefined
  if (parsed === undefined) return { permission, why: 'invalid' }
  if (!isOfSet(parsed, include)) return { permission, why: 'namespace' }
  return isInherited && audience === undefined ? { permission, why: 'audience' } : { permission }
}

/** Whether all lists are written as such, also those with one value, and nothing else is. */
function hasLists(parameters: JsonObject, known: NonNullable<ReturnType<typeof parametersIn>>): boolean {
  return Object.entries(parameters).every(([name, value]) =>
    known.get(name)?.isList ? Array.isArray(value) && value.length > 0 : !Array.isArray(value),
  )
}

function tokenOf(resource: string, parameters: JsonObject): string {
  const query = Object.entries(parameters).flatMap(([name, value]) =>
    [value].flat().map((one) => `${encodeURIComponent(textOf(name))}=${encodeURIComponent(textOf(one))}`),
  )
  return query.length === 0 ? resource : `${resource}?${query.join('&')}`
}

/** Any value as text that can be encoded. */
function textOf(value: unknown): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).replace(/\p{Cs}/gu, '\ufffd')
}

function localized(set: JsonObject, name: 'title' | 'detail'): LocalizedText {
  const [text, languages] = [set[name], set[`${name}:lang`]]
  const translations = Object.entries(isObject(languages) ? languages : {}).flatMap(([language, translation]) =>
    typeof translation === 'string' ? [[language.toLowerCase(), translation] as const] : [],
  )
  return { ...(typeof text === 'string' && { text }), translations: new Map(translations) }
}

/** The text in a language such as `pt-BR`, else in its base language, else as it is without a language. */
export function inLanguage({ text, translations }: LocalizedText, language = ''): string | undefined {
  const tag = language.toLowerCase()
  return translations.get(tag) ?? translations.get(tag.split('-')[0]!) ?? text
}
