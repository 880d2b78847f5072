/**
 * Resolves a handle to a DID: by DNS and HTTPS in parallel (DNS has precedence), or by one XRPC service. The result is
 * a claim, which did.ts checks against the DID document.
 *
 * @see https://atproto.com/specs/handle#handle-resolution
 */
import { type ErrorFacts, isOAuthError, OAuthError } from '../../errors.ts'
import type { Did, Handle } from '../../model.ts'
import type { Clock, IdentityPorts } from '../../ports.ts'
import { readText } from '../http/bounded-body.ts'
import { parseJsonObject, rateLimited, serverError } from '../http/response.ts'
import { asDid, isReservedName } from './syntax.ts'

/** Seconds, as in the reference implementation. */
const TIMEOUT = 3
const BODY_LARGEST = 2048
const REDIRECTS_MOST = 5
/** A DNS name has 253 characters, `_atproto.` takes nine. */
const TXT_LONGEST = 244

/** The result of one resolution method. */
export type HandleLookup =
  | { readonly kind: 'did'; readonly did: Did }
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly facts?: ErrorFacts }

/**
 * @throws {OAuthError} `HANDLE_NOT_FOUND`, `HANDLE_AMBIGUOUS`, `HANDLE_LOOKUP_FAILED`
 */
export async function resolveHandle(handle: Handle, ports: IdentityPorts & Clock): Promise<Did> {
  const { handleResolver, dev } = ports.settings
  // Never resolved: a DID document may claim such a name, and `.local` would be queried on the local network.
  if (isReservedName(handle, dev))
    throw new OAuthError('HANDLE_NOT_FOUND', `the top-level domain of ${handle} is reserved`)
  if (handleResolver !== undefined) return askResolver(handle, handleResolver, ports)

  const giveUpHttps = new AbortController()
  const https = askHttps(handle, ports, giveUpHttps.signal)
  try {
    const dns = await askDns(handle, ports)
    if (dns.kind === 'did') return dns.did
    const web = await https
    if (web.kind === 'did') return web.did
    const reasons = `${dns.reason}; ${web.reason}`
    if (dns.kind === 'failed' || web.kind === 'failed') {
      throw new OAuthError('HANDLE_LOOKUP_FAILED', `cannot resolve ${handle}: ${reasons}`, {
        facts: web.kind === 'failed' ? web.facts : undefined,
      })
    }
    throw new OAuthError('HANDLE_NOT_FOUND', `${handle} does not resolve to an account: ${reasons}`)
  } finally {
    giveUpHttps.abort()
  }
}

/** @throws {OAuthError} `HANDLE_AMBIGUOUS`; `HANDLE_NOT_FOUND` the record is invalid, and HTTPS must not replace it */
export async function askDns(handle: Handle, { resolveTxt, settings }: IdentityPorts): Promise<HandleLookup> {
  if (handle.length > TXT_LONGEST) return { kind: 'none', reason: 'too long for a TXT record' }
  const name = `_atproto.${handle}`
  let records: string[][]
  try {
    records = await resolveTxt(name)
  } catch (error) {
    return { kind: 'failed', reason: `DNS failed for ${name} (${error instanceof Error ? error.message : error})` }
  }
  const values = records.map((chunks) => chunks.join('')).filter((value) => value.startsWith('did='))
  const claims = new Set(values.map((value) => value.slice('did='.length)))
  if (claims.size > 1) {
    throw new OAuthError('HANDLE_AMBIGUOUS', `${name} has TXT records for ${claims.size} different DIDs`)
  }
  const [claim] = claims
  if (claim === undefined) return { kind: 'none', reason: `no TXT record at ${name}` }
  const did = asDid(claim, settings.dev)
  if (!did) throw new OAuthError('HANDLE_NOT_FOUND', `the TXT record at ${name} contains no valid DID: "${claim}"`)
  return { kind: 'did', did }
}

/** Never rejects: it runs in parallel with DNS, which may finish first. */
export async function askHttps(handle: Handle, ports: IdentityPorts, signal?: AbortSignal): Promise<HandleLookup> {
  let url = new URL(`https://${handle}/.well-known/atproto-did`)
  const where = url.href
  try {
    for (let hops = 0; hops <= REDIRECTS_MOST; hops += 1) {
      const response = await ports.fetch(url, {
        headers: { accept: 'text/plain' },
        timeoutSeconds: TIMEOUT,
        ...(signal && { signal }),
      })
      if (response.ok) {
        const did = asDid((await readText(response, BODY_LARGEST))?.trim() ?? '', ports.settings.dev)
        return did ? { kind: 'did', did } : { kind: 'none', reason: `${where} does not contain a DID` }
      }
      await response.body?.cancel()
      const location = response.headers.get('location')
      if (location === null || response.status >= 400 || !URL.canParse(location, url)) {
        const kind = response.status >= 500 || response.status === 429 ? 'failed' : 'none'
        return { kind, reason: `${where} returned ${response.status}` }
      }
      const next = new URL(location, url)
      if (next.protocol !== 'https:') return { kind: 'none', reason: `${where} redirects to ${next.protocol}` }
      url = next
    }
    return { kind: 'none', reason: `${where} redirects more than ${REDIRECTS_MOST} times` }
  } catch (error) {
    const reason = `${where}: ${error instanceof Error ? error.message : error}`
    if (!isOAuthError(error, 'NETWORK_LOST', 'NETWORK_UNREACHABLE')) return { kind: 'none', reason }
    return { kind: 'failed', reason, facts: error.facts }
  }
}

/** `com.atproto.identity.resolveHandle` of the configured service. */
async function askResolver(handle: Handle, resolver: string, ports: IdentityPorts & Clock): Promise<Did> {
  const url = new URL('/xrpc/com.atproto.identity.resolveHandle', resolver)
  url.searchParams.set('handle', handle)
  const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT * 2 })
  const body = parseJsonObject(await readText(response, BODY_LARGEST))
  if (response.status === 429) throw rateLimited(url.host, response.headers, ports.now())
  if (response.status >= 500) {
    throw new OAuthError('HANDLE_LOOKUP_FAILED', `cannot resolve ${handle}: ${url.host} returned ${response.status}`)
  }
  if (!response.ok) {
    const { description } = serverError(response.status, body)
    throw new OAuthError(
      'HANDLE_NOT_FOUND',
      `${url.host} did not find ${handle}${description ? `: ${description}` : ''}`,
    )
  }
  const did = typeof body?.did === 'string' ? asDid(body.did, ports.settings.dev) : undefined
  if (!did) throw new OAuthError('HANDLE_NOT_FOUND', `${url.host} returned no valid DID for ${handle}`)
  return did
}
