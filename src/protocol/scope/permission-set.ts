/**
 * Resolves permission sets, as servers do for each request: what an `include:` grants, and what is wrong with it. Servers say
 * little about either.
 *
 * @see https://atproto.com/specs/permission#permission-sets https://atproto.com/specs/lexicon#lexicon-publication-and-resolution
 */
import { isOAuthError } from '../../errors.ts'
import type { Did } from '../../model.ts'
import type { Clock, IdentityPorts } from '../../ports.ts'
import { isObject } from '../../text.ts'
import { readText } from '../http/bounded-body.ts'
import { type JsonObject, parseJsonObject, serverError } from '../http/response.ts'
import { resolveDid } from '../identity/did.ts'
import { asDid } from '../identity/syntax.ts'
import { isInSets, isOfSet, namespaceOf, normalToken, type Permission, parsePermission } from './permission.ts'
import { scopeTokens } from './scope.ts'

const COLLECTION = 'com.atproto.lexicon.schema'
/** Seconds for the record, its body included. */
const TIMEOUT = 10
/** Bytes. */
const RECORD_LARGEST = 512 * 1024

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
 * Why an entry of a set is not granted: it needs the `aud` that the `include:` does not have; it is outside the namespace of
 * the set; sets cannot contain permissions of its kind; it is invalid.
 */
export type DropReason = 'audience' | 'namespace' | 'kind' | 'invalid'

export interface DroppedEntry {
  /** As a permission, as far as it can be written as one. */
  readonly entry: string
  readonly why: DropReason
}

export interface BrokenSet {
  readonly nsid: string
  /** What is missing, at the first step that fails. */
  readonly why: string
}

type Ports = IdentityPorts & Clock

/** The permission sets of a scope, without those that cannot be read here: the server may be able to. */
export async function readPermissionSets(scope: string, ports: Ports): Promise<PermissionSet[]> {
  const sets = includesIn(scope).map(async ({ token, include, nsid }) => {
    const found = await resolveSet(nsid, ports)
    return typeof found === 'object' ? [expandSet(token, include, found)] : []
  })
  return (await Promise.all(sets)).flat()
}

/** The first permission set in a scope that cannot be resolved. A failed DNS lookup does not count: the server's may work. */
export async function findBrokenSet(scope: string, ports: Ports): Promise<BrokenSet | undefined> {
  for (const { nsid } of includesIn(scope)) {
    const why = await resolveSet(nsid, ports)
    if (typeof why === 'string') return { nsid, why }
  }
  return undefined
}

function includesIn(scope: string) {
  return scopeTokens(scope).flatMap((token) => {
    const include = parsePermission(token)
    return include?.resource === 'include' ? [{ token, include, nsid: include.values.get('nsid')![0]! }] : []
  })
}

/** @returns the definition, what is missing, or `undefined` if DNS fails here */
async function resolveSet(nsid: string, ports: Ports): Promise<JsonObject | string | undefined> {
  const name = `_lexicon.${namespaceOf(nsid).split('.').reverse().join('.')}`
  let records: string[][]
  try {
    records = await ports.resolveTxt(name)
  } catch {
    return undefined
  }
  const dids = records.map((chunks) => chunks.join('')).filter((text) => text.startsWith('did='))
  const did = dids.length === 1 ? asDid(dids[0]!.slice('did='.length), ports.settings.dev) : undefined
  if (dids.length === 0) return `no TXT record with did= at ${name}`
  if (did === undefined) return `the TXT record at ${name} does not name one DID`
  try {
    return await fetchSet(did, nsid, ports)
  } catch (error) {
    if (isOAuthError(error)) return error.message
    throw error
  }
}

async function fetchSet(did: Did, nsid: string, ports: Ports): Promise<JsonObject | string> {
  const { pds } = await resolveDid(did, ports)
  const url = new URL('/xrpc/com.atproto.repo.getRecord', pds)
  url.search = new URLSearchParams({ repo: did, collection: COLLECTION, rkey: nsid }).toString()
  const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
  const body = parseJsonObject(await readText(response, RECORD_LARGEST))
  if (!response.ok) {
    const { error } = serverError(response.status, body)
    return `no record ${COLLECTION}/${nsid} of ${did}: ${url.host} returned ${[response.status, error].filter(Boolean).join(' ')}`
  }
  const defs = isObject(body?.value) ? body.value.defs : undefined
  const main = isObject(defs) ? defs.main : undefined
  if (isObject(main) && main.type === 'permission-set') return main
  return `the record ${COLLECTION}/${nsid} of ${did} is not a permission set`
}

function expandSet(token: string, include: Permission, set: JsonObject): PermissionSet {
  const granted: string[] = []
  const dropped: DroppedEntry[] = []
  for (const entry of Array.isArray(set.permissions) ? set.permissions : []) {
    const { permission, why } = readEntry(isObject(entry) ? entry : {}, include)
    if (why === undefined) granted.push(permission)
    else dropped.push({ entry: permission, why })
  }
  const title = localized(set, 'title')
  return {
    nsid: include.values.get('nsid')![0]!,
    include: token,
    title,
    detail: localized(set, 'detail'),
    granted,
    dropped,
  }
}

/** The permission of an entry, and why it is not granted if it is not. */
function readEntry(entry: JsonObject, include: Permission): { permission: string; why?: DropReason } {
  const { type: _, resource, inheritAud, ...own } = entry
  const isInherited = resource === 'rpc' && inheritAud === true && own.aud === undefined
  const [audience] = include.values.get('aud') ?? []
  const parameters = isInherited && audience !== undefined ? { ...own, aud: audience } : own
  const token = tokenOf(textOf(resource), parameters)
  const permission = parsePermission(token)
  if (isInherited && audience === undefined) return { permission: token, why: 'audience' }
  if (KINDS_OUTSIDE.includes(textOf(resource))) return { permission: normalToken(token), why: 'kind' }
  if (!permission || !isInSets(permission) || !hasLists(parameters)) return { permission: token, why: 'invalid' }
  if (!isOfSet(permission, include)) return { permission: normalToken(token), why: 'namespace' }
  return { permission: normalToken(token) }
}

const KINDS_OUTSIDE: readonly string[] = ['blob', 'account', 'identity', 'include']
/** Parameters that are lists in a set, also with one value. */
const LISTS = ['collection', 'action', 'lxm', 'manage']

function hasLists(parameters: JsonObject): boolean {
  return LISTS.every((name) => parameters[name] === undefined || Array.isArray(parameters[name]))
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
