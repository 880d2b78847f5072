/**
 * Selects the proxy of a request: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in lower case.
 */
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
  const past = (environment['no_proxy'] ?? environment['NO_PROXY'] ?? '').toLowerCase().split(/[\s,]+/)
  return {
    any: (http ?? https) !== undefined,
    for(url) {
      const proxy = url.protocol === 'https:' ? https : http
      return proxy && past.some((entry) => names(entry, url)) ? undefined : proxy
    },
  }
}

/** Whether an entry of NO_PROXY matches: a host with its subdomains, optionally with a port, or `*`. */
function names(entry: string, { hostname, port, protocol }: URL): boolean {
  if (entry === '*') return true
  const [, name = '', onlyPort] = /^(?:\*?\.)?(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
  if (name === '' || (onlyPort && onlyPort !== (port || (protocol === 'https:' ? '443' : '80')))) return false
  const [host, wanted] = [hostname, name].map((text) => text.replace(/^\[|\]$/g, '')) as [string, string]
  return host === wanted || host.endsWith(`.${wanted}`)
}

/** As in other tools, the URL may omit its scheme. */
function proxyFrom(environment: Environment, ...candidates: readonly string[]): URL | undefined {
  const name = candidates.find((candidate) => environment[candidate])
  if (name === undefined) return undefined
  const value = environment[name]!
  const url = value.includes('://') ? value : `http://${value}`
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) && canDecode(new URL(url))) return new URL(url)
  // The value is not shown: it may contain a password.
  throw new OAuthError('USAGE', `${name} is not the URL of an HTTP proxy`, {
    facts: { reason: 'proxy-malformed', variable: name },
  })
}

function canDecode({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}
