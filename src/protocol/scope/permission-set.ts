/**
 * Finds out why a permission set cannot be resolved. Servers resolve it for each request, and say little about a failure.
 *
 * @see https://atproto.com/specs/permission#permission-sets https://atproto.com/specs/lexicon#lexicon-publication-and-resolution
 */
import { isOAuthError } from '../../errors.ts'
import type { Did } from '../../model.ts'
import type { Clock, IdentityPorts } from '../../ports.ts'
import { isObject } from '../../text.ts'
import { readText } from '../http/bounded-body.ts'
import { parseJsonObject, serverError } from '../http/response.ts'
import { resolveDid } from '../identity/did.ts'
import { asDid } from '../identity/syntax.ts'
import { parsePermission } from './permission.ts'
import { scopeTokens } from './scope.ts'

const COLLECTION = 'com.atproto.lexicon.schema'
/** Seconds for the record, its body included. */
const TIMEOUT = 10
/** Bytes. */
const RECORD_LARGEST = 512 * 1024

export interface BrokenSet {
  readonly nsid: string
  /** What is missing, at the first step that fails. */
  readonly why: string
}

/** The first permission set in a scope that cannot be resolved. A failed DNS lookup does not count: the server's may work. */
export async function findBrokenSet(scope: string, ports: IdentityPorts & Clock): Promise<BrokenSet | undefined> {
  for (const token of scopeTokens(scope)) {
    const permission = parsePermission(token)
    const [nsid] = (permission?.resource === 'include' && permission.values.get('nsid')) || []
    const why = nsid === undefined ? undefined : await faultOf(nsid, ports)
    if (nsid !== undefined && why !== undefined) return { nsid, why }
  }
  return undefined
}

async function faultOf(nsid: string, ports: IdentityPorts & Clock): Promise<string | undefined> {
  const name = `_lexicon.${nsid.split('.').slice(0, -1).reverse().join('.')}`
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
    return await recordFault(did, nsid, ports)
  } catch (error) {
    if (isOAuthError(error)) return error.message
    throw error
  }
}

async function recordFault(did: Did, nsid: string, ports: IdentityPorts & Clock): Promise<string | undefined> {
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
  if (isObject(main) && main.type === 'permission-set') return undefined
  return `the record ${COLLECTION}/${nsid} of ${did} is not a permission set`
}
