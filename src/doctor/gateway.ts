/**
 * Detects from a wrong response that a reverse proxy in front of a self-hosted server is misconfigured, and gives the
 * lines to add.
 */
import type { ObservedResponse } from './watch.ts'

/** The default address of the PDS distribution. */
const UPSTREAM = '127.0.0.1:3000'

/**
 * The fix for a response that seems to come from a reverse proxy and not from the server.
 *
 * @param url the requested URL
 * @param prefix the beginning of all paths that the proxy has to forward with it
 */
export function passOnFix(url: string, prefix: string, response: ObservedResponse | undefined): string | undefined {
  if (!response) return undefined
  const { host, pathname } = new URL(url)
  const { status, mediaType, location } = response
  const lines = passOnLines(host, prefix)
  if (status === 502 || status === 503 || status === 504) {
    return `the reverse proxy of ${host} cannot reach the PDS: start the PDS, and check the upstream address of the proxy (default: ${UPSTREAM})`
  }
  if (status >= 300 && status < 400) {
    return `serve ${pathname} on ${host} instead of redirecting it to ${location ?? 'another URL'}: put this before the redirect\n${lines}`
  }
  if (mediaType === 'text/html') {
    return `${host} returned a web page: forward ${prefix}* to the PDS in its reverse proxy\n${lines}`
  }
  if ([401, 403, 404, 405, 410].includes(status)) {
    return `if the PDS is recent enough for OAuth, the reverse proxy of ${host} blocks ${pathname}: forward ${prefix}* to the PDS\n${lines}`
  }
  return undefined
}

function passOnLines(host: string, prefix: string): string {
  return [
    `Caddy, first in the block of ${host}:`,
    `  handle ${prefix}* {`,
    `    reverse_proxy ${UPSTREAM}`,
    '  }',
    `nginx, in the server block of ${host}:`,
    `  location ^~ ${prefix} {`,
    `    proxy_pass http://${UPSTREAM};`,
    '    proxy_set_header Host $host;',
    '    proxy_set_header X-Forwarded-Proto $scheme;',
    '  }',
  ].join('\n')
}

/**
 * The fix for a server that reports a wrong URL as its own: its proxy does not forward the original host and scheme.
 */
export function ownNameFix(origin: string): string {
  const { host, hostname, protocol } = new URL(origin)
  const scheme = protocol.slice(0, -1)
  return [
    `${host} reports another URL as its own: set PDS_HOSTNAME=${hostname} (for other server software, its public URL), and forward the original host and scheme in its reverse proxy`,
    `Caddy, in the block of ${host}:`,
    `  reverse_proxy ${UPSTREAM} {`,
    '    header_up Host {host}',
    `    header_up X-Forwarded-Proto ${scheme}`,
    '  }',
    `nginx, in the server block of ${host}, beside proxy_pass:`,
    '  proxy_set_header Host $host;',
    '  proxy_set_header X-Forwarded-Host $host;',
    `  proxy_set_header X-Forwarded-Proto ${scheme};`,
  ].join('\n')
}
