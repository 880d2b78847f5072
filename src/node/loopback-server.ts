/**
 * The callback page on 127.0.0.1 for a sign-in on this machine. Accepts one callback.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8252.html#section-7.3 RFC 8252 §7.3, §8.3}
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isCode } from './store/files.ts'

const HOST = '127.0.0.1'
/** A fixed port if it is free, so that the client_id, which contains it, stays the same. */
const PORT = 41_763
const URL_LONGEST = 64 * 1024

export interface Listener {
  /** The redirect URI, exactly as it must be declared and sent. */
  readonly redirectUri: string
  /** Resolves with the first callback URL for this state. Other requests get an error page. */
  wait(state: string): Promise<string>
  close(): Promise<void>
}

/**
 * @param fixed the port and path of a redirect URI in a client metadata document
 * @throws {NodeJS.ErrnoException} the fixed port is in use
 */
export async function listen(fixed?: { readonly port: number; readonly path: string }): Promise<Listener> {
  const server = createServer({ maxHeaderSize: URL_LONGEST })
  const port = fixed
    ? await bind(server, fixed.port)
    : await bind(server, PORT).catch((error) => {
        if (isCode(error, 'EADDRINUSE', 'EACCES')) return bind(server, 0)
        throw error
      })
  const redirect = new URL(`http://${HOST}:${port}${fixed?.path ?? '/callback'}`)
  let expected: { readonly state: string; readonly accept: (callback: string) => void } | undefined

  server.on('request', (request, response) => {
    const url = callbackOf(request, redirect)
    if (url === undefined || !expected) return respond(response, 404, 'Not found.')
    if (request.method !== 'GET') return respond(response, 405, 'Method not allowed.')
    if (url.searchParams.getAll('state').join() !== expected.state) {
      return respond(response, 400, 'This sign-in was not started here, or is already complete.')
    }
    const isDenied = url.searchParams.has('error')
    respond(response, 200, isDenied ? 'The sign-in was denied.' : 'Signed in. Return to your terminal.')
    response.once('close', () => expected?.accept(url.href))
  })

  return {
    redirectUri: redirect.href,
    wait: (state) => new Promise((accept) => (expected = { state, accept })),
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function bind(server: Server, port: number): Promise<number> {
  server.listen(port, HOST)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The URL, if its host is ours: a page on another host name that resolves to 127.0.0.1 would send that name. */
function callbackOf(request: IncomingMessage, redirect: URL): URL | undefined {
  const path = request.url ?? ''
  if (request.headers.host !== redirect.host || !path.startsWith('/') || path.startsWith('//')) return undefined
  const url = URL.canParse(path, redirect.origin) ? new URL(path, redirect.origin) : undefined
  return url?.pathname === redirect.pathname ? url : undefined
}

function respond(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  })
  const end = status === 200 ? '<p>You can close this window.</p>' : ''
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
      `<meta name="color-scheme" content="light dark"><title>atproto-oauth</title><h1>${sentence}</h1>${end}</html>\n`,
  )
}
