/**
 * Checks that the PDS and its authorization server respond, name each other, and support what atproto requires.
 */
import { isOAuthError } from '../errors.ts'
import type { AuthorizationServer, Origin } from '../model.ts'
import type { Clock, Finding, Http, Settings } from '../ports.ts'
import { readText } from '../protocol/http/bounded-body.ts'
import { type JsonObject, parseJsonObject, shown } from '../protocol/http/response.ts'
import { asOrigin, asUrl } from '../protocol/identity/syntax.ts'
import {
  fetchProtectedResource,
  fetchServerMetadata,
  readAuthorizationServer,
  validateProtectedResource,
} from '../protocol/oauth/discovery.ts'
import { attempt, broken, failed, isSilence, ok, warning } from './check.ts'
import { ownNameFix, passOnFix } from './gateway.ts'
import type { Watched } from './watch.ts'

type Ports = Watched<Http & Clock & { readonly settings: Settings }>

const WELL_KNOWN = '/.well-known/oauth-'
const TIMEOUT = 10
const HEALTH_LARGEST = 64 * 1024

interface Responding {
  readonly finding: Finding
  /** Whether any server responded. */
  readonly responds: boolean
  /** Whether it responded as a PDS does. */
  readonly isPds: boolean
}

export async function checkPds(pds: Origin, ports: Ports): Promise<Responding> {
  const topic = 'PDS'
  const health = await attempt(() => fetchHealth(new URL('/xrpc/_health', pds), ports), ports)
  if (health.error && isSilence(health.error)) {
    return { finding: failed(topic, health.error, health.milliseconds), responds: false, isPds: false }
  }
  if (health.value) {
    const version = health.value.version === undefined ? '' : `, version ${shown(health.value.version)}`
    const { milliseconds } = health
    return { finding: ok({ topic, detail: `${pds} is up${version}`, milliseconds }), responds: true, isPds: true }
  }
  // Not every PDS has a health endpoint, but all have this method.
  const url = new URL('/xrpc/com.atproto.server.describeServer', pds)
  const { value, error, milliseconds } = await attempt(() => fetchHealth(url, ports), ports)
  if (error) return { finding: failed(topic, error, milliseconds), responds: !isSilence(error), isPds: false }
  if (value) {
    const finding = ok({ topic, detail: `${pds} is up, as ${shown(value.did)}`, milliseconds })
    return { finding, responds: true, isPds: true }
  }
  const response = ports.watch.responseFrom(url.href)
  const what = [response?.status, response?.mediaType].filter(Boolean).join(' ')
  const fix = passOnFix(url.href, '/xrpc/', response) ?? `check the log of ${pds}`
  const detail = `${url.href} returned ${what}, which is not a response of a PDS`
  return { finding: broken({ topic, detail, fix, milliseconds }), responds: true, isPds: false }
}

/** The JSON object of a 200 response, otherwise `undefined`. */
async function fetchHealth(url: URL, ports: Ports): Promise<JsonObject | undefined> {
  const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
  if (response.status === 200) return parseJsonObject(await readText(response, HEALTH_LARGEST))
  await response.body?.cancel()
  return undefined
}

export interface Named {
  readonly findings: readonly Finding[]
  /** The authorization server that the PDS names, even if the document has other faults. */
  readonly issuer: Origin | undefined
  /** Whether the document does not exist. */
  readonly isAbsent: boolean
}

/** Protected-resource metadata. */
export async function checkResource(pds: Origin, ports: Ports): Promise<Named> {
  const topic = 'PDS metadata'
  const url = `${pds}/.well-known/oauth-protected-resource`
  const { dev } = ports.settings
  const { value: document, error, milliseconds } = await attempt(() => fetchProtectedResource(pds, ports), ports)
  if (error) {
    const fix = isSilence(error) ? undefined : passOnFix(url, WELL_KNOWN, ports.watch.responseFrom(url))
    const isAbsent = isOAuthError(error, 'OAUTH_UNSUPPORTED')
    return { findings: [failed(topic, error, milliseconds, fix)], issuer: undefined, isAbsent }
  }
  const findings: Finding[] = []
  if (document.resource !== pds) {
    const detail = `resource is ${shown(document.resource)}, not ${pds}: tokens and signed requests would name another server`
    findings.push(broken({ topic, detail, fix: resourceFix(document.resource, pds), milliseconds }))
  }
  const validated = await attempt(
    async () => validateProtectedResource({ ...document, resource: pds }, pds, dev),
    ports,
  )
  if (validated.error) findings.push(failed(topic, validated.error, milliseconds, serverFix(document, pds)))
  else if (findings.length === 0) {
    findings.push(ok({ topic, detail: `${pds} names the authorization server ${validated.value}`, milliseconds }))
  }
  return { findings, issuer: validated.value, isAbsent: false }
}

/** A trailing slash is a typing error. Another host or scheme is a wrong setting of the server or its proxy. */
function resourceFix(resource: unknown, pds: Origin): string {
  const url = typeof resource === 'string' ? asUrl(resource) : undefined
  if (url && url.origin !== pds) return ownNameFix(pds)
  return `resource must be exactly ${pds}: ask its operator to correct or update the server`
}

function serverFix({ authorization_servers: servers }: JsonObject, pds: Origin): string {
  const [only, ...others]: unknown[] = Array.isArray(servers) ? servers : []
  if (typeof only === 'string' && others.length === 0 && asUrl(only)?.protocol === 'http:') return ownNameFix(pds)
  return `authorization_servers must be a list of one https origin: ask the operator of ${pds} to correct it`
}

export interface Offered {
  readonly findings: readonly Finding[]
  readonly server: AuthorizationServer | undefined
  /** The `protected_resources` of the document. */
  readonly resources: readonly unknown[]
  readonly isAbsent: boolean
}

/**
 * Checks the metadata of an authorization server, rule by rule.
 *
 * @param pds the PDS that names this server
 */
export async function checkIssuer(issuer: Origin, pds: Origin | undefined, ports: Ports): Promise<Offered> {
  const topic = 'server metadata'
  const url = `${issuer}/.well-known/oauth-authorization-server`
  const { value: document, error, milliseconds } = await attempt(() => fetchServerMetadata(issuer, ports), ports)
  if (error) {
    // A PDS behind a proxy may name an address that only works on its own machine.
    const lost = pds !== undefined && pds !== issuer && isOAuthError(error, 'ADDRESS_REFUSED', 'HOST_NOT_FOUND')
    const fix = isSilence(error)
      ? lost
        ? ownNameFix(pds)
        : undefined
      : passOnFix(url, WELL_KNOWN, ports.watch.responseFrom(url))
    const isAbsent = isOAuthError(error, 'OAUTH_UNSUPPORTED')
    return { findings: [failed(topic, error, milliseconds, fix)], server: undefined, resources: [], isAbsent }
  }
  const { server, faults } = readAuthorizationServer(document, issuer, pds, ports.settings.dev)
  const findings = faults.map((fault) =>
    broken({ topic, detail: `${issuer}: ${fault}`, fix: faultFix(fault, document, issuer), milliseconds }),
  )
  if (findings.length === 0) {
    findings.push(ok({ topic, detail: `${issuer} follows every rule of atproto OAuth`, milliseconds }))
  }
  const elsewhere = foreignEndpoints(server)
  if (elsewhere.length > 0) {
    const detail = `${issuer} has its endpoints at ${elsewhere.join(', ')}; this is allowed, but unusual`
    const fix = 'if this is not intended, set the public URL of the server'
    findings.push(warning({ topic, detail, fix, milliseconds }))
  }
  const resources = Array.isArray(document.protected_resources) ? document.protected_resources : []
  return { findings, server, resources, isAbsent: false }
}

function foreignEndpoints({ issuer, prompt_values_supported: _, ...endpoints }: AuthorizationServer): string[] {
  const origins = Object.values(endpoints).flatMap((endpoint) => asUrl(endpoint ?? '')?.origin ?? [])
  return [...new Set(origins)].filter((origin) => origin !== issuer)
}

/** Wrong names and URLs come from the configuration or from the proxy; missing features, from an old version. */
function faultFix(fault: string, document: JsonObject, issuer: Origin): string {
  const field = fault.split(/[ :]/)[0]!
  const value = document[field]
  const url = typeof value === 'string' ? asUrl(value) : undefined
  if (url && asOrigin(url.origin, true) !== issuer) return ownNameFix(issuer)
  return `ask the operator of ${issuer} to update it, or to correct ${field} in its metadata`
}
