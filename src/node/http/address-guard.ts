/**
 * Allows connections to public addresses only, checked at the moment of the connection, because server names come from
 * untrusted documents. Behind a proxy, names are not resolved here, and `checkHost` is the only check.
 *
 * @see https://atproto.com/specs/oauth#security-considerations
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { OAuthError } from '../../errors.ts'

/**
 * Names of one label, and names under RFC 6761, RFC 6762 or .internal, resolve to this machine or network, or not at
 * all.
 */
const PUBLIC_NAME = /\.(?!(?:local|localhost|test|invalid|example|internal)\.?$)[^.]+\.?$/i

export function isPublicAddress(address: string): boolean {
  if (!isIP(address)) return false // ipaddr.js also accepts 1.1 and 0x7f.1
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  // Global unicast; the other IPv6 ranges are special or unassigned.
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.IPv6.parseCIDR('2000::/3'))
}

/**
 * Checks a host by its text, before a connection is tried.
 *
 * @throws {OAuthError} `ADDRESS_REFUSED`
 */
export function checkHost(host: string): void {
  const name = host.replace(/^\[|\]$/g, '')
  if (isAddress(name) ? !isPublicAddress(name) : !PUBLIC_NAME.test(name)) throw refused(name, name)
}

/** Only text of these characters can be one: to find out that a name is none, `isIP` would compile a pattern for 4 ms. */
export function isAddress(name: string): boolean {
  return /^[\d.]+$|:/.test(name) && isIP(name) !== 0
}

type LookupCallback = (error: Error | null, addresses?: readonly LookupAddress[]) => void

/** As `dns.lookup` of all addresses, so that exactly the checked addresses are used for the connection. */
export function guardedLookup(host: string, options: LookupOptions, callback: LookupCallback): void {
  dnsLookup(host, { ...options, all: true }, (error, addresses) => {
    const bad = addresses?.find(({ address }) => !isPublicAddress(address))
    callback(error ?? (bad ? refused(host, bad.address) : null), addresses)
  })
}

function refused(host: string, address: string): OAuthError {
  const leads = host === address ? 'is' : `resolves to ${address},`
  return new OAuthError('ADDRESS_REFUSED', `${host} ${leads} not a public address: nothing was sent there`)
}
