/**
 * Checks handle, DID and DID document in both directions, each even if another one failed.
 */
import { isOAuthError } from '../errors.ts'
import type { Did, Handle, Identity } from '../model.ts'
import type { Clock, Finding, IdentityPorts } from '../ports.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import { askDns, askHttps, type HandleLookup, resolveHandle } from '../protocol/identity/handle.ts'
import { isReservedName } from '../protocol/identity/syntax.ts'
import { attempt, broken, failed, ok, warning } from './check.ts'

type Ports = IdentityPorts & Clock

/** @param known the DID of a session, to continue with if the handle leads to none */
export async function* checkHandle(
  handle: Handle,
  known: Did | undefined,
  ports: Ports,
): AsyncGenerator<Finding, Identity | undefined> {
  const found = yield* lookUp(handle, known, ports)
  const did = found ?? known
  if (did === undefined) return undefined
  const identity = yield* checkDocument(did, ports)
  if (!identity) return undefined
  const claimed = identity.claimedHandle
  if (claimed !== handle) {
    yield broken({
      topic: 'handle',
      detail: `${handle} resolves to ${did}, but that account claims ${claimed ?? 'no handle'}`,
      fix: { code: 'HANDLE_NOT_CLAIMED', facts: { reason: 'handle-unclaimed', handle, did } },
      milliseconds: 0,
    })
  } else if (found !== undefined) {
    yield ok({ topic: 'handle', detail: `${handle} resolves to ${did}, which claims this handle`, milliseconds: 0 })
  }
  return identity
}

/** A handle that does not lead back to the DID is only a warning: logins work without it. */
export async function* checkDid(did: Did, ports: Ports): AsyncGenerator<Finding, Identity | undefined> {
  const identity = yield* checkDocument(did, ports)
  if (!identity) return undefined
  const { claimedHandle: handle } = identity
  if (handle === undefined) {
    const detail = `${did} claims no handle; logins work, and show the DID instead`
    yield warning({ topic: 'handle', detail, fix: 'give the account a handle in its settings', milliseconds: 0 })
    return identity
  }
  let found: Did | undefined
  const looking = lookUp(handle, did, ports)
  for (let next = await looking.next(); ; next = await looking.next()) {
    if (next.done) {
      found = next.value
      break
    }
    yield next.value.verdict === 'broken' ? { ...next.value, verdict: 'warning' } : next.value
  }
  if (found === did) {
    yield ok({ topic: 'handle', detail: `${handle} resolves to ${did}, which claims this handle`, milliseconds: 0 })
  } else if (found !== undefined) {
    const detail = `${did} claims ${handle}, which resolves to ${found}; logins work, and show the DID instead`
    yield warning({ topic: 'handle', detail, fix: recordFix(handle, did), milliseconds: 0 })
  }
  return identity
}

async function* checkDocument(did: Did, ports: Ports): AsyncGenerator<Finding, Identity | undefined> {
  const { value, error, milliseconds } = await attempt(() => resolveDid(did, ports), ports)
  const topic = 'DID document'
  if (error) {
    yield failed(topic, error, milliseconds)
    return undefined
  }
  const detail = `${did} claims ${value.claimedHandle ?? 'no handle'}, and names the PDS ${value.pds}`
  yield ok({ topic, detail, milliseconds })
  return value
}

/** Resolves by DNS and HTTPS in parallel, or by the configured resolver. Returns the DID that a login would use. */
async function* lookUp(handle: Handle, known: Did | undefined, ports: Ports): AsyncGenerator<Finding, Did | undefined> {
  const { handleResolver, dev } = ports.settings
  if (handleResolver !== undefined || isReservedName(handle, dev)) {
    const topic = 'handle lookup'
    const { value, error, milliseconds } = await attempt(() => resolveHandle(handle, ports), ports)
    if (error) {
      const isUnknown = isOAuthError(error, 'HANDLE_NOT_FOUND')
      const fix = { code: error.code, facts: { reason: 'handle-lookup-failed' } } as const
      yield failed(topic, error, milliseconds, isUnknown ? fix : undefined)
    } else yield ok({ topic, detail: `${handle} → ${value}, from ${handleResolver}`, milliseconds })
    return value
  }
  const [dns, https] = await Promise.all([
    attempt<HandleLookup>(() => askDns(handle, ports), ports),
    attempt(() => askHttps(handle, ports), ports),
  ])
  const byDns = didOf(dns.value)
  const byHttps = didOf(https.value)
  if (dns.error) {
    yield failed(
      'DNS',
      dns.error,
      dns.milliseconds,
      `keep only one TXT record at _atproto.${handle}: "did=" followed by the DID`,
    )
  } else yield dnsFinding(handle, dns.value, { byHttps, known }, dns.milliseconds)
  if (https.error) yield failed('HTTPS', https.error, https.milliseconds)
  else yield httpsFinding(handle, https.value, byDns, https.milliseconds)
  return byDns ?? byHttps
}

function didOf(lookup: HandleLookup | undefined): Did | undefined {
  return lookup?.kind === 'did' ? lookup.did : undefined
}

function dnsFinding(
  handle: Handle,
  lookup: HandleLookup,
  { byHttps, known }: { byHttps: Did | undefined; known: Did | undefined },
  milliseconds: number,
): Finding {
  const topic = 'DNS'
  if (lookup.kind === 'did') return ok({ topic, detail: `_atproto.${handle} → ${lookup.did}`, milliseconds })
  const found = { topic, detail: lookup.reason, milliseconds }
  if (lookup.kind === 'failed') {
    const fix = `the name servers of ${handle} must respond to queries for _atproto.${handle}, even if the record does not exist`
    return byHttps ? warning({ ...found, fix }) : broken({ ...found, fix })
  }
  if (byHttps) return ok({ ...found, detail: `${lookup.reason}; HTTPS is enough` })
  return broken({ ...found, fix: recordFix(handle, known) })
}

function httpsFinding(handle: Handle, lookup: HandleLookup, byDns: Did | undefined, milliseconds: number): Finding {
  const topic = 'HTTPS'
  const where = `https://${handle}/.well-known/atproto-did`
  if (lookup.kind !== 'did') {
    const found = { topic, detail: lookup.reason, milliseconds }
    if (byDns) return ok({ ...found, detail: `${lookup.reason}; DNS is enough` })
    // Its cause is elsewhere, and the handle may be right.
    if (lookup.kind === 'failed' && lookup.facts?.reason !== undefined) {
      return broken({ ...found, fix: { code: 'HANDLE_LOOKUP_FAILED', facts: lookup.facts } })
    }
    return broken({ ...found, fix: `or serve the DID, and nothing else, at ${where}` })
  }
  if (byDns === undefined || byDns === lookup.did)
    return ok({ topic, detail: `${where} → ${lookup.did}`, milliseconds })
  return warning({
    topic,
    detail: `${where} → ${lookup.did}, but the DNS record differs and takes precedence; other programs may use this one`,
    fix: `make both the same: serve ${byDns} at ${where}, or correct the TXT record of _atproto.${handle}`,
    milliseconds,
  })
}

function recordFix(handle: Handle, did: string = 'did:plc:…'): string {
  return `add the DNS record: _atproto.${handle} TXT "did=${did}"`
}
