/**
 * Finds the definition of a permission set as servers do: the TXT record of its namespace, the DID document, the record.
 * Each step fails with an error of its own, because servers only say that the scope is invalid.
 *
 * The signature of the record is not verified: the definition is shown, and grants nothing here.
 *
 * @see https://atproto.com/specs/lexicon#lexicon-publication-and-resolution
 */
import { isOAuthError, OAuthError, type SetStep } from '../../errors.ts'
import type { Did, Origin } from '../../model.ts'
import type { Clock, IdentityPorts } from '../../ports.ts'
import { isObject } from '../../text.ts'
import { readText } from '../http/bounded-body.ts'
import { type JsonObject, parseJsonObject, serverError, shown } from '../http/response.ts'
import { resolveDid } from '../identity/did.ts'
import { asDid } from '../identity/syntax.ts'
import { namespaceOf } from './permission.ts'

export const COLLECTION = 'com.atproto.lexicon.schema'
/** Seconds for the record, its body included. */
const TIMEOUT = 10
/** Bytes. */
const RECORD_LARGEST = 512 * 1024
/** The form of a language tag, as far as it is worth checking. */
const LANGUAGE = /^[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*$/

/** Of definitions beside `main`, which servers validate too; their members are not checked here. */
const NAMED_TYPES: readonly string[] = [
  ...['array', 'blob', 'boolean', 'bytes', 'cid-link', 'integer', 'object', 'ref', 'string', 'token', 'union'],
  'unknown',
]

export type ResolvePorts = IdentityPorts & Clock

/** Where the account is that publishes a set. */
export interface Publisher {
  readonly did: Did
  readonly pds: Origin
}

/** Where the TXT record of a set has to be. That of a parent domain does not count. */
export function recordName(nsid: string): string {
  return `_lexicon.${namespaceOf(nsid).split('.').reverse().join('.')}`
}

/** @throws {OAuthError} `PERMISSION_SET_UNRESOLVED` */
export async function resolveDefinition(nsid: string, ports: ResolvePorts): Promise<JsonObject> {
  const did = await findPublisherDid(nsid, ports)
  const { main } = await fetchDefinitions(nsid, await findPublisher(nsid, did, ports), ports)
  return main
}

/** @throws {OAuthError} `PERMISSION_SET_UNRESOLVED` */
export async function findPublisherDid(nsid: string, { resolveTxt, settings }: ResolvePorts): Promise<Did> {
  const name = recordName(nsid)
  let records: string[][]
  try {
    records = await resolveTxt(name)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw unresolved(nsid, 'dns-failed', `DNS failed for ${name} (${why})`)
  }
  const texts = records.map((chunks) => chunks.join(''))
  const dids = texts.filter((text) => text.startsWith('did='))
  if (dids.length === 0) {
    const similar = texts.find((text) => /\bdid\s*[=:]/i.test(text))
    throw similar === undefined
      ? unresolved(nsid, 'txt-missing', `no TXT record with did= at ${name}`)
      : unresolved(nsid, 'txt-unclear', `the TXT record at ${name} does not begin with did=: ${shown(similar)}`)
  }
  const did = dids.length === 1 ? asDid(dids[0]!.slice('did='.length), settings.dev) : undefined
  if (did === undefined) throw unresolved(nsid, 'txt-unclear', `the TXT record at ${name} does not name one DID`)
  return did
}

/** @throws {OAuthError} `PERMISSION_SET_UNRESOLVED` */
export async function findPublisher(nsid: string, did: Did, ports: ResolvePorts): Promise<Publisher> {
  try {
    const { pds } = await resolveDid(did, ports)
    return { did, pds }
  } catch (error) {
    throw isOAuthError(error) ? unresolved(nsid, 'did', error.message, error) : error
  }
}

/** The definitions of a record; `main` is the permission set. */
export type Definitions = JsonObject & { readonly main: JsonObject }

/** @throws {OAuthError} `PERMISSION_SET_UNRESOLVED` */
export async function fetchDefinitions(
  nsid: string,
  { did, pds }: Publisher,
  ports: ResolvePorts,
): Promise<Definitions> {
  const url = new URL('/xrpc/com.atproto.repo.getRecord', pds)
  url.search = new URLSearchParams({ repo: did, collection: COLLECTION, rkey: nsid }).toString()
  const record = `${COLLECTION}/${nsid} of ${did}`
  let response: Awaited<ReturnType<ResolvePorts['fetch']>>
  let body: JsonObject | undefined
  try {
    response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
    body = parseJsonObject(await readText(response, RECORD_LARGEST))
  } catch (error) {
    throw isOAuthError(error) ? unresolved(nsid, 'pds', error.message, error) : error
  }
  const { error } = serverError(response.status, body)
  const returned = `${url.host} returned ${[response.status, error].filter(Boolean).join(' ')}`
  if (!response.ok && (response.status < 400 || response.status >= 500 || response.status === 429)) {
    throw unresolved(nsid, 'pds', `cannot read the record ${record}: ${returned}`)
  }
  const value = response.ok && isObject(body?.value) ? body.value : undefined
  const fault = value && documentFault(value, nsid)
  if (value && fault === undefined) return value.defs as Definitions
  // A PDS may ask another server for what an inactive account no longer shows.
  const state = await inactiveState({ did, pds }, ports)
  if (state !== undefined) throw unresolved(nsid, 'account', `the account ${did} is ${state} at ${url.host}`)
  throw value
    ? unresolved(nsid, 'record-invalid', `the record ${record} ${fault}`)
    : unresolved(nsid, 'record-missing', `no record ${record}: ${returned}`)
}

/** Such as `deactivated`; `undefined` if the account is active, or nobody can tell. */
async function inactiveState({ did, pds }: Publisher, ports: ResolvePorts): Promise<string | undefined> {
  const url = new URL(`/xrpc/com.atproto.sync.getRepoStatus?${new URLSearchParams({ did })}`, pds)
  try {
    const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
    const body = parseJsonObject(await readText(response, RECORD_LARGEST))
    if (!response.ok || body?.active !== false) return undefined
    return typeof body.status === 'string' && /^[a-z]+$/.test(body.status) ? body.status : 'not active'
  } catch (error) {
    if (isOAuthError(error)) return undefined
    throw error
  }
}

export function unresolved(nsid: string, step: SetStep, why: string, cause?: unknown): OAuthError {
  return new OAuthError('PERMISSION_SET_UNRESOLVED', `the permission set ${nsid} cannot be resolved: ${why}`, {
    cause,
    facts: { reason: 'permission-set-broken', nsid, step, why },
  })
}

/** Why servers cannot use the record, in words that follow its name: they reject the whole set for one wrong type. */
function documentFault(value: JsonObject, nsid: string): string | undefined {
  const { $type, lexicon, id, revision, description, defs } = value
  const main = isObject(defs) ? defs.main : undefined
  if (!isObject(main) || main.type !== 'permission-set') {
    return `is not a permission set: its main definition ${isObject(main) ? typeOf(main) : 'is missing'}`
  }
  const invalid = (fault: string) => `is not a valid permission set: ${fault}`
  if ($type !== COLLECTION) return invalid(`its $type is ${shown($type)} and not "${COLLECTION}"`)
  if (lexicon !== 1) return invalid('its "lexicon" is not 1')
  if (id !== nsid) return invalid(`its id is ${shown(id)} and not "${nsid}"`)
  if (revision !== undefined && !Number.isInteger(revision)) return invalid('its "revision" is not a whole number')
  if (description !== undefined && typeof description !== 'string') return invalid('its "description" is not text')
  for (const [name, definition] of Object.entries(defs as JsonObject)) {
    const { type } = isObject(definition) ? definition : {}
    if (name !== 'main' && !NAMED_TYPES.includes(String(type))) {
      return invalid(`its definition ${JSON.stringify(name)} ${typeOf({ type })}`)
    }
  }
  for (const name of ['title', 'detail', 'description']) {
    if (main[name] !== undefined && typeof main[name] !== 'string') return invalid(`"${name}" is not text`)
  }
  for (const name of ['title:lang', 'detail:lang']) {
    if (main[name] !== undefined && !isTranslated(main[name])) {
      return invalid(`"${name}" is not an object with a text for each language tag, such as "pt-BR"`)
    }
  }
  if (!Array.isArray(main.permissions)) return invalid('"permissions" is not a list')
  for (const [index, entry] of main.permissions.entries()) {
    const fault = entryFault(entry)
    if (fault !== undefined) return invalid(`entry ${index + 1} of "permissions" ${fault}`)
  }
  return undefined
}

function typeOf({ type }: JsonObject): string {
  return type === undefined ? 'has no type' : `has the type ${shown(type)}`
}

function isTranslated(value: unknown): boolean {
  return isObject(value) && Object.entries(value).every(([tag, text]) => LANGUAGE.test(tag) && typeof text === 'string')
}

function entryFault(entry: unknown): string | undefined {
  if (!isObject(entry)) return 'is not an object'
  if (entry.type !== 'permission') return 'has no "type": "permission"'
  if (typeof entry.resource !== 'string' || entry.resource === '') return 'has no resource'
  const odd = Object.keys(entry).find((name) => !isParameter(entry[name]))
  return odd === undefined
    ? undefined
    : `has ${JSON.stringify(odd)} as neither text, number or boolean nor a list of one of these`
}

function isParameter(value: unknown): boolean {
  if (!Array.isArray(value)) return isScalar(value)
  return value.every((one) => isScalar(one) && typeof one === typeof value[0])
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isInteger(value)
}
