/**
 * Reverse proxies in front of self-hosted servers: what a wrong answer says about them, and the lines to add.
 */
import type { Answered } from './watch.ts'

/** Where the PDS distribution listens; whoever changed that knows. */
const UPSTREAM = '127.0.0.1:3000'

/**
 * The fix for a response that seems to come from a reverse proxy and not from the server.
 *
 * @param url what was asked
 * @param prefix the beginning of all paths that have to be passed on with it
 */
export function passOnFix(url: string, prefix: string, answered: Answered | undefined): string | undefined {
  if (!answered) return undefined
  const { host, pathname } = new URL(url)
  const { status, mediaType, location } = answered
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

/** The fix for a server that takes itself for another: its proxy does not tell it how it was called. */
export function ownNameFix(origin: string): string {
  const { host, hostname, protocol } = new URL(origin)
  const scheme = protocol.slice(0, -1)
  return [
    `${host} does not know its own address: set PDS_HOSTNAME=${hostname} (of another server: its public URL), and let its reverse proxy pass on how it was called`,
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
