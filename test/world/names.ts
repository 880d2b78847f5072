/**
 * Names that lead to loopback, for servers that fetch `https:` themselves and know neither a test's port nor its
 * certificate authority: in this process TLS connections to such a name end at a port of a test's.
 */
import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import tls, { type ConnectionOptions } from 'node:tls'

export interface Destination {
  readonly port: number
  /** PEM. Nobody else's certificate is believed there. */
  readonly ca: string
}

const destinations = new Map<string, Destination>()

/** From now on; the same name again leads elsewhere. */
export function leadName(name: string, destination: Destination): void {
  if (destinations.size === 0) wrapConnect()
  destinations.set(name, destination)
}

function wrapConnect(): void {
  const connect = tls.connect as (options: ConnectionOptions, ...more: unknown[]) => tls.TLSSocket
  const wrapped: typeof connect = (options, ...more) => {
    const destination = destinations.get(options.servername ?? options.host ?? '')
    return connect({ ...options, ...(destination && { ...destination, host: '127.0.0.1' }) }, ...more)
  }
  Object.assign(tls, { connect: wrapped })
}

const texts = new Map<string, string>()

/** A TXT record that this process finds from now on. */
export function leadText(name: string, text: string): void {
  if (texts.size === 0) wrapResolveTxt()
  texts.set(name, text)
}

function wrapResolveTxt(): void {
  const { resolveTxt } = dns
  const wrapped: typeof resolveTxt = async (name) => {
    const text = texts.get(name)
    return text === undefined ? resolveTxt(name) : [[text]]
  }
  Object.assign(dns, { resolveTxt: wrapped })
  syncBuiltinESMExports()
}
