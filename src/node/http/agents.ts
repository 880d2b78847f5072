/**
 * Opens connections: direct ones, guarded unless `dev` is set, or through a proxy. A connection is used only once it is
 * complete, including TLS, so that the request was certainly not sent if anything fails before.
 */
import http from 'node:http'
import https from 'node:https'
import { isIP, type Socket } from 'node:net'
import tls from 'node:tls'
import { checkHost, guardedLookup } from './address-guard.ts'
import { ConnectFailure, ProxyFailure, TunnelRefused } from './errors.ts'
import type { Proxies } from './proxies.ts'

const CONNECT_TIMEOUT = 5_000
/** Milliseconds to keep an idle connection; a server may set a shorter time (`Keep-Alive: timeout=`). */
const KEPT_FOR = 4_000
/** Overrides NODE_TLS_REJECT_UNAUTHORIZED: an unverified server could receive the tokens. */
const VERIFIED = { rejectUnauthorized: true }
/** Said in the handshake, so that a server with HTTP/2 alone ends it. Node 20 says nothing by itself. */
const OFFERED = { ALPNProtocols: ['http/1.1'] }
const KEPT = { keepAlive: true, timeout: KEPT_FOR }

type OnConnect = (error: Error | null, socket?: Socket) => void
type Options = http.ClientRequestArgs & tls.ConnectionOptions & { readonly host: string; readonly port: number }

export interface Agents {
  /** @param own use a new connection for this request only */
  for(url: URL, own?: boolean): http.Agent
}

export function createAgents(dev: boolean, proxies: Proxies): Agents {
  const made = new Map<string, http.Agent>()
  return {
    for(url, own = false) {
      const proxy = proxies.for(url)
      const name = `${own} ${url.protocol}${proxy?.href ?? ''}`
      const agent = made.get(name) ?? create(url, proxy, own)
      made.set(name, agent)
      return agent
    },
  }

  function create({ protocol }: URL, proxy: URL | undefined, own: boolean): http.Agent {
    const secure = protocol === 'https:'
    const options = { ...VERIFIED, ...OFFERED, ...(!own && KEPT) }
    if (proxy) return tunnelAgent(secure, proxy, options)
    if (!dev) Object.assign(options, { lookup: guardedLookup })
    return secure ? directAgent(https, 'secureConnect', options, dev) : directAgent(http, 'connect', options, dev)
  }
}

function directAgent(
  { Agent }: typeof https | typeof http,
  ready: 'connect' | 'secureConnect',
  options: http.AgentOptions,
  dev: boolean,
): http.Agent {
  const agent = new Agent(options)
  const connect = agent.createConnection.bind(agent)
  return createsConnections(agent, (target, done) => {
    try {
      if (!dev) checkHost(target.host)
      onConnect(connect(target, () => undefined) as Socket, ready, done)
    } catch (error) {
      done(error as Error)
    }
  })
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6 */
function tunnelAgent(secure: boolean, proxy: URL, options: https.AgentOptions): http.Agent {
  const agent = secure ? new https.Agent(options) : new http.Agent(options)
  const { request } = proxy.protocol === 'https:' ? https : http
  const password = [proxy.username, proxy.password].map(decodeURIComponent).join(':')
  const credentials = `Basic ${Buffer.from(password).toString('base64')}`
  const host = proxy.hostname.replace(/^\[|\]$/g, '')
  const servername = isIP(host) ? '' : host
  return createsConnections(agent, (target, done) => {
    const authority = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`
    const asked = request(proxy, {
      ...VERIFIED,
      method: 'CONNECT',
      path: authority,
      auth: '', // in proxy-authorization, and in no header that a proxy may pass on
      servername, // Node would take that of the host header
      agent: false,
      insecureHTTPParser: false,
      headers: { host: authority, ...(password !== ':' && { 'proxy-authorization': credentials }) },
    })
    // Limits the whole handshake: a proxy that sends a byte now and then is not idle.
    const timer = setTimeout(() => asked.destroy(tooLate()), CONNECT_TIMEOUT)
    asked.once('error', (error) => {
      clearTimeout(timer)
      done(new ProxyFailure(error))
    })
    asked.once('connect', ({ statusCode }, socket: Socket) => {
      clearTimeout(timer)
      if (statusCode !== 200) {
        socket.destroy()
        return done(new ConnectFailure(new TunnelRefused(statusCode)))
      }
      quiet(socket)
      if (!secure) return done(null, socket)
      onConnect(tls.connect({ ...target, ...VERIFIED, ...OFFERED, socket }), 'secureConnect', done)
    })
    asked.end()
  })
}

/** Wraps an agent. Node waits for the callback if nothing is returned. */
function createsConnections(agent: http.Agent, connect: (target: Options, done: OnConnect) => void): http.Agent {
  return Object.assign(agent, { createConnection: connect })
}

function onConnect(socket: Socket, ready: 'connect' | 'secureConnect', done: OnConnect): void {
  const timer = setTimeout(() => socket.destroy(tooLate()), CONNECT_TIMEOUT)
  const end = (error: Error | null) => {
    clearTimeout(timer)
    socket.off('error', end).off('close', close).off(ready, succeed)
    if (error) done(new ConnectFailure(error))
    else done(null, socket)
  }
  const close = () => end(closed())
  const succeed = () => end(null)
  quiet(socket).once('error', end).once('close', close).once(ready, succeed)
}

/** An error of an idle connection has no listener otherwise, and would end the process. */
function quiet(socket: Socket): Socket {
  return socket.on('error', () => undefined)
}

function tooLate(): Error {
  return Object.assign(new Error('timed out while connecting'), { code: 'ETIMEDOUT' })
}

function closed(): Error {
  return Object.assign(new Error('closed while connecting'), { code: 'ECONNRESET' })
}
