/**
 * Runs one check, measures its time, and turns its failure into a finding.
 */

import type { Fix } from '../errors.ts'
import { isOAuthError, type OAuthError } from '../errors.ts'
import type { Clock, Finding } from '../ports.ts'

/** The result or the error of a check. */
export type Outcome<T> = { readonly milliseconds: number } & (
  | { readonly value: T; readonly error?: undefined }
  | { readonly value?: undefined; readonly error: OAuthError }
)

/** Runs `work`. An `OAuthError` is an outcome; any other error is a bug and is rethrown. */
export async function attempt<T>(work: () => Promise<T>, { now }: Clock): Promise<Outcome<T>> {
  const started = now()
  try {
    const value = await work()
    return { value, milliseconds: now() - started }
  } catch (error) {
    if (isOAuthError(error)) return { error, milliseconds: now() - started }
    throw error
  }
}

type Found = Omit<Finding, 'verdict'>

function finding(verdict: Finding['verdict'], { topic, detail, fix, milliseconds }: Found): Finding {
  return { topic, verdict, detail, ...(fix !== undefined && { fix }), milliseconds }
}

export const ok = (found: Omit<Found, 'fix'>): Finding => finding('ok', { ...found, fix: undefined })
export const warning = (found: Found): Finding => finding('warning', found)
export const broken = (found: Found): Finding => finding('broken', found)

/** The finding for an error. `better` replaces the fix of the error. */
export function failed(topic: string, error: OAuthError, milliseconds: number, better?: Fix): Finding {
  return broken({ topic, detail: error.message, fix: better ?? fixOf(error), milliseconds })
}

const OFFLINE = 'check the network, the proxy and the firewall, then run the same command again'

/** Certificate errors that are caused by the server or by an inspecting proxy. */
const UNTRUSTED =
  'ask its operator to renew the certificate or serve the whole chain; behind a proxy that inspects TLS, set NODE_EXTRA_CA_CERTS to its CA'

function fixOf(error: OAuthError): Fix {
  const { code, facts, message } = error
  if (code === 'NETWORK_UNREACHABLE' && message.includes('TLS certificate')) return UNTRUSTED
  if (code === 'HOST_NOT_FOUND') return `check the spelling of the host name, and the DNS of this machine; ${OFFLINE}`
  if (facts.reason !== undefined) return { code, facts }
  return code === 'NETWORK_UNREACHABLE' || code === 'NETWORK_LOST' ? OFFLINE : { code, facts }
}

/** Whether the HTTP proxy rejected the connection, or cannot be reached. */
export function isProxyFault({ facts }: OAuthError): boolean {
  return facts.reason === 'proxy-refused' || facts.reason === 'proxy-unreachable'
}

/** Whether no server responded. */
export function isSilence(error: OAuthError | undefined): boolean {
  return isOAuthError(error, 'HOST_NOT_FOUND', 'NETWORK_UNREACHABLE', 'NETWORK_LOST', 'ADDRESS_REFUSED')
}
