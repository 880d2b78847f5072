/**
 * Reverse proxies in front of self-hosted servers: what a wrong answer says about them, and the lines to add.
 */
import type { Answered } from './watch.ts'

/** Where the PDS distribution listens; whoever changed that knows. */
const UPSTREAM = '127.0.0.1:3000'

/**
 * The fix for an answer that did not come from the server, if that is what it looks like.
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
    return `the reverse proxy of ${host} answers for a server that does not: start it, and look at the address the proxy passes requests to (${UPSTREAM} unless it was changed)`
  }
  if (status >= 300 && status < 400) {
    return `let ${host} answer ${pathname} itself instead of redirecting to ${location ?? 'another place'}: put this before the redirect\n${lines}`
  }
  if (mediaType === 'text/html') {
    return `a web page came from ${host}: let its reverse proxy pass ${prefix}* on to the PDS instead\n${lines}`
  }
  if ([401, 403, 404, 405, 410].includes(status)) {
    return `if the PDS is recent enough for OAuth, the reverse proxy of ${host} keeps ${pathname} from it: let it pass ${prefix}* on\n${lines}`
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
