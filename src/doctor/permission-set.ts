/**
 * Checks every step to a permission set, then its entries, each with the repair for the author of the set.
 */
import type { Fix, OAuthError } from '../errors.ts'
import type { Finding } from '../ports.ts'
import { type ExplainedPermission, explainScope } from '../protocol/explain/explain.ts'
import { namespaceOf } from '../protocol/scope/permission.ts'
import { type DroppedEntry, expandSet, nsidOf, type PermissionSet } from '../protocol/scope/permission-set.ts'
import {
  COLLECTION,
  fetchDefinitions,
  findPublisher,
  findPublisherDid,
  type ResolvePorts,
  recordName,
} from '../protocol/scope/published-set.ts'
import { attempt, broken, ok, warning } from './check.ts'

/** A permission set, and what is wrong with it. */
export interface PermissionSetCheck {
  /** The token that requests the set. */
  readonly include: string
  /** Absent if it cannot be resolved: the last finding says why. */
  readonly set?: PermissionSet | undefined
  /** What each permission that the set grants allows, as {@link explainScope} says; absent if it cannot be resolved. */
  readonly permissions?: readonly ExplainedPermission[] | undefined
  /** `PERMISSION_SET_UNRESOLVED` */
  readonly error?: OAuthError | undefined
  readonly findings: readonly Finding[]
}

/** @param include the token that requests the set */
export async function checkPermissionSet(include: string, ports: ResolvePorts): Promise<PermissionSetCheck> {
  const nsid = nsidOf(include)
  const name = recordName(nsid)
  const findings: Finding[] = []
  const stop = (topic: string, error: OAuthError, milliseconds: number, did?: string): PermissionSetCheck => {
    const { facts } = error
    const detail = facts.reason === 'permission-set-broken' ? facts.why : error.message
    return {
      include,
      error,
      findings: [...findings, broken({ topic, detail, fix: repair(error, nsid, did), milliseconds })],
    }
  }

  const txt = await attempt(() => findPublisherDid(nsid, ports), ports)
  if (txt.error) return stop('TXT record', txt.error, txt.milliseconds)
  const did = txt.value
  findings.push(ok({ topic: 'TXT record', detail: `${name} → ${did}`, milliseconds: txt.milliseconds }))

  const document = await attempt(() => findPublisher(nsid, did, ports), ports)
  if (document.error) return stop('DID document', document.error, document.milliseconds, did)
  const { pds } = document.value
  const names = `${did} names the PDS ${pds}`
  findings.push(ok({ topic: 'DID document', detail: names, milliseconds: document.milliseconds }))

  const record = await attempt(() => fetchDefinitions(nsid, document.value, ports), ports)
  if (record.error) return stop('record', record.error, record.milliseconds, did)
  const detail = `${COLLECTION}/${nsid} is a permission set`
  findings.push(ok({ topic: 'record', detail, milliseconds: record.milliseconds }))

  const { main, ...others } = record.value
  const more = Object.keys(others)
  if (more.length > 0) {
    const detail = `it also defines ${more.join(', ')}: servers reject the set if one of these is invalid`
    findings.push(warning({ topic: 'record', detail, fix: 'leave only "main" in "defs"', milliseconds: 0 }))
  }
  const set = expandSet(include, main)
  const { permissions } = explainScope(set.granted.join(' '))
  return { include, set, permissions, findings: [...findings, ...entryFindings(set)] }
}

function repair({ code, facts, cause }: OAuthError, nsid: string, did: string | undefined): Fix {
  if (facts.reason !== 'permission-set-broken') return { code, facts }
  const name = recordName(nsid)
  const record = `${COLLECTION}/${nsid}`
  switch (facts.step) {
    case 'dns-failed':
      return `check the network and run the same command again; the name servers of ${name.slice('_lexicon.'.length)} must respond to queries for ${name}`
    case 'txt-missing':
      return `add the DNS record: ${name} TXT "did=…", with the DID of the account that publishes the set (the record of a parent domain does not count), or correct the name of the set`
    case 'txt-unclear':
      return `keep only one TXT record at ${name} that begins with "did=", followed by a did:plc or did:web`
    case 'did':
      return `publish the DID document of ${did}, with its PDS, or correct the DID in the TXT record at ${name}`
    case 'pds':
      return isCause(cause) && cause.facts.reason !== undefined
        ? { code: cause.code, facts: cause.facts }
        : `the PDS of ${did} must respond; run the same command again later, or correct its address in the DID document`
    case 'account':
      return `reactivate the account ${did}, or publish the set with another account and name that in the TXT record at ${name}`
    case 'server':
      return { code, facts }
    case 'record-missing':
      return `create the record ${record} in the repository of ${did}, with the record key ${nsid}, or correct the name of the set`
    case 'record-invalid':
      return `correct the record ${record} in the repository of ${did}: ${FORM}`
  }
}

const FORM =
  'it needs "$type", "lexicon": 1, its own name as "id", and in "defs" a "main" with "type": "permission-set" and a list of "permissions", each with "type": "permission" and a resource'

function isCause(cause: unknown): cause is OAuthError {
  return typeof cause === 'object' && cause !== null && 'facts' in cause
}

function entryFindings(set: PermissionSet): Finding[] {
  const topic = 'permissions'
  const findings = set.dropped.map((entry) =>
    warning({
      topic,
      detail: `entry ${entry.index + 1} is not granted: ${whyDropped(set, entry)} (${entry.entry})`,
      fix: fixOfEntry(set, entry),
      milliseconds: 0,
    }),
  )
  const spaces = set.granted.filter((token) => /^space[:?]/.test(token))
  if (spaces.length > 0) {
    const detail = `${spaces.join(' ')}: granted only if the server supports space: permissions`
    findings.push(warning({ topic, detail, fix: undefined, milliseconds: 0 }))
  }
  if (set.granted.length > 0 && set.dropped.length === 0) {
    const count = set.granted.length
    const detail = count === 1 ? 'its only entry is granted' : `all ${count} entries are granted`
    findings.push(ok({ topic, detail, milliseconds: 0 }))
  }
  if (set.granted.length > 0) return findings
  const detail = set.dropped.length === 0 ? 'the set is empty' : 'the set grants nothing for this request'
  const fix = set.dropped.length === 0 ? 'add entries to "permissions"' : undefined
  return [...findings, warning({ topic, detail, fix, milliseconds: 0 })]
}

/** Why an entry is not granted, in words that follow a colon. */
export function whyDropped({ nsid }: Pick<PermissionSet, 'nsid'>, { why, field = '' }: DroppedEntry): string {
  switch (why) {
    case 'kind':
      return 'a permission set grants only repo: and rpc: permissions'
    case 'field':
      return field === 'inheritAud'
        ? '"inheritAud" is valid only as true, in an rpc entry without "aud"'
        : `the field ${JSON.stringify(field)} is unknown, which voids the entry`
    case 'wildcard':
      return 'a permission set grants no wildcard (*)'
    case 'service':
      return 'a permission set cannot name a service itself'
    case 'invalid':
      return 'the entry is not a valid permission'
    case 'namespace':
      return `it is outside the namespace of the set, ${namespaceOf(nsid)}`
    case 'audience':
      return 'the request does not name the service that the entry needs'
  }
}

function fixOfEntry({ nsid }: PermissionSet, { why, field = '' }: DroppedEntry): string {
  switch (why) {
    case 'kind':
      return 'remove the entry, and tell the users of the set to request this permission separately'
    case 'field':
      return `remove ${JSON.stringify(field)} from the entry`
    case 'wildcard':
      return 'list the collections or methods by name'
    case 'service':
      return 'replace "aud" by "inheritAud": true; whoever requests the set names the service'
    case 'invalid':
      return 'write each list with at least one value, and list the collections or methods by their NSID'
    case 'namespace':
      return `publish a set under that namespace, or tell the users of the set to request this permission separately`
    case 'audience':
      return `request the set with a service, as in include:${nsid}?aud=did:web:api.bsky.app%23bsky_appview`
  }
}
