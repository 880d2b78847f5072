/**
 * Selects the proxy of a request: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in lower case.
 */
import { BlockList, isIP } from 'node:net'
import { OAuthError } from '../../errors.ts'

export interface Proxies {
  /** Whether any proxy is set. */
  readonly any: boolean
  for(url: URL): URL | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws {OAuthError} `USAGE` if one of the variables is not the URL of an HTTP proxy */
export function proxiesFrom(environment: Environment): Proxies {
  const http = proxyFrom(environment, 'http_proxy', 'HTTP_PROXY')
  const https = proxyFrom(environment, 'https_proxy', 'HTTPS_PROXY') ?? http
  const past = exceptionsIn(environment).flatMap(({ matches }) => matches ?? [])
  return {
    any: (http ?? https) !== undefined,
    for(url) {
      const proxy = url.protocol === 'https:' ? https : http
      return proxy && past.some((matches) => matches(url)) ? undefined : proxy
    },
  }
}

/** The entries of NO_PROXY that match no URL, because they are neither a host, an address, a CIDR block nor `*`. */
export function unusableExceptions(environment: Environment): string[] {
  return exceptionsIn(environment).flatMap(({ entry, matches }) => (matches ? [] : [entry]))
}

type Matcher = (url: URL) => boolean

function exceptionsIn(environment: Environment): { entry: string; matches: Matcher | undefined }[] {
  const value = environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''
  return value.split(/[\s,]+/).flatMap((entry) => (entry === '' ? [] : [{ entry, matches: matcherOf(entry) }]))
}

/** A host matches with its subdomains. Host and address can be followed by a port. */
function matcherOf(entry: string): Matcher | undefined {
  if (entry === '*') return () => true
  const block = blockOf(entry)
  if (block) return ({ hostname }) => block(unbracketed(hostname))
  const [, host = '', onlyPort] = /^(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
  const wanted = nameOf(host)
  if (wanted === undefined) return undefined
  const isAddress = isIP(wanted) !== 0
  return ({ hostname, port, protocol }) => {
    if (onlyPort && onlyPort !== (port || (protocol === 'https:' ? '443' : '80'))) return false
    const name = unbracketed(hostname)
    return name === wanted || (!isAddress && name.endsWith(`.${wanted}`))
  }
}

/** Matches the addresses of a CIDR block. Only a host that is an address has one: names are resolved by the proxy. */
function blockOf(entry: string): ((host: string) => boolean) | undefined {
  const [, address = '', bits] = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/i.exec(entry) ?? []
  const family = isIP(address)
  if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return undefined
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
  return (host) => isIP(host) !== 0 && list.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6')
}

/** A host name or address as a URL has it. */
function nameOf(host: string): string | undefined {
  const bare = unbracketed(host.replace(/^\*?\./, '').replace(/\.$/, ''))
  if (isIP(bare) === 6) return unbracketed(new URL(`http://[${bare}]`).hostname)
  // The pattern of addresses with a missing part, such as 10. or 192.168.
  if (/^[\d.]+$/.test(bare) && isIP(bare) === 0) return undefined
  return /^[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*$/u.test(bare) && URL.canParse(`http://${bare}`)
    ? new URL(`http://${bare}`).hostname
    : undefined
}

function unbracketed(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** As in other tools, the URL may omit its scheme. */
function proxyFrom(environment: Environment, ...candidates: readonly string[]): URL | undefined {
  const name = candidates.find((candidate) => environment[candidate])
  if (name === undefined) return undefined
  const value = environment[name]!
  const url = value.includes('://') ? value : `http://${value}`
  if (hasUnencoded(url)) {
    throw new OAuthError('USAGE', `the user name or password in ${name} must be percent-encoded`, {
      facts: { reason: 'proxy-password-unencoded', variable: name },
    })
  }
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) && canDecode(new URL(url))) return new URL(url)
  // The value is not shown: it may contain a password.
  throw new OAuthError('USAGE', `${name} is not the URL of an HTTP proxy`, {
    facts: { reason: 'proxy-malformed', variable: name },
  })
}

/** These end the user name and password of a URL early, which then has another host, or is none. */
function hasUnencoded(url: string): boolean {
  const end = url.lastIndexOf('@')
  const credentials = end < 0 ? '' : url.slice(url.indexOf('://') + '://'.length, end)
  return /[#\\/?]|%(?![\da-f]{2})/i.test(credentials)
}

function canDecode({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}
