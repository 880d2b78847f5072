/**
 * Opens connections: direct ones, guarded unless `dev` is set, or through a proxy. A connection is used only once it is
 * complete, including TLS, so that the request was certainly not sent if anything fails before.
 */
import { ADDRCONFIG, lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { type AgentOptions, Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions, request as requestHttps } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { checkHost, guardedLookup, isAddress } from './address-guard.ts'
import { type Connect, createEarlyConnections, type EarlyConnections, type OnConnect, type Target } from './early.ts'
import { ConnectFailure, ProxyFailure, TunnelRefused } from './errors.ts'
import type { Proxies } from './proxies.ts'
import { onceSocketsAreRead, type Place, RestingConnections, settling } from './rest.ts'

const CONNECT_TIMEOUT = 5_000
/** Milliseconds to keep an idle connection; a server may set a shorter time (`Keep-Alive: timeout=`). */
const KEPT_FOR = 4_000
/** Overrides NODE_TLS_REJECT_UNAUTHORIZED: an unverified server could receive the tokens. */
const VERIFIED = { rejectUnauthorized: true }
/** Said in the handshake, so that a server with HTTP/2 alone ends it. Node 20 says nothing by itself. */
const OFFERED = { ALPNProtocols: ['http/1.1'] }
const KEPT = { keepAlive: true, timeout: KEPT_FOR }
/** Of an address where nobody listens, or of a kind that the machine does not have. */
const UNUSED = ['ECONNREFUSED', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETUNREACH', 'EHOSTUNREACH']

export interface Agents {
  /** @param own use a new connection for this request only */
  for(url: URL, own?: boolean): HttpAgent
  /** Opens a connection for the first request to this server. It is closed when the signal is aborted before that. */
  open(url: URL, own: boolean, signal: AbortSignal): void
  /** Resolves when a request to this URL can get a connection: one that is good for it, or else a new one. */
  ready(url: URL, own?: boolean): Promise<void>
}

interface Pool {
  readonly agent: HttpAgent
  readonly options: HttpsAgentOptions
  readonly early: EarlyConnections
  /** Absent if no connection is reused. */
  readonly resting: RestingConnections | undefined
}

export function createAgents(dev: boolean, proxies: Proxies): Agents {
  const pools = new Map<string, Pool>()
  return {
    for: (url, own) => pool(url, own).agent,
    open(url, own, signal) {
      const { options, early } = pool(url, own)
      // As Node calls an agent for a request.
      early.open({ ...options, ...placeOf(url), servername: serverName(url) }, signal)
    },
    ready(url, own) {
      const used = pool(url, own)
      const place = placeOf(url)
      return used.resting?.next(place) ?? waited(used, place)
    },
  }

  async function waited({ agent, early, resting }: Pool, place: Place): Promise<void> {
    await turn() // a response may come to its end meanwhile
    const rested = resting?.next(place)
    if (rested) return rested
    if (early.isAnyOpen) return settling()
    if (Object.keys(agent.freeSockets).length > 0) return new Promise(onceSocketsAreRead)
  }

  function pool(url: URL, own = false): Pool {
    const proxy = proxies.for(url)
    const name = `${own} ${url.protocol}${proxy?.href ?? ''}`
    const made = pools.get(name) ?? create(url, proxy, own)
    pools.set(name, made)
    return made
  }

  function create({ protocol }: URL, proxy: URL | undefined, own: boolean): Pool {
    const secure = protocol === 'https:'
    const options = { ...VERIFIED, ...OFFERED, ...(!own && KEPT) }
    if (proxy) return throughTunnel(secure, proxy, options)
    return secure ? directly(HttpsAgent, 'secureConnect', options, dev) : directly(HttpAgent, 'connect', options, dev)
  }
}

/**
 * The name for the TLS handshake, which an address has not. Node would take that of the host header, and compile a large
 * pattern to find out that it is not an address.
 */
export function serverName(url: URL): string {
  if (url.protocol !== 'https:') return ''
  const host = hostOf(url)
  return isAddress(host) ? '' : host
}

/** As a connection takes it: an IPv6 address without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function placeOf(url: URL): Place {
  return { host: hostOf(url), port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80) }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

function directly(
  Agent: typeof HttpsAgent | typeof HttpAgent,
  ready: 'connect' | 'secureConnect',
  options: AgentOptions,
  dev: boolean,
): Pool {
  const agent = new Agent(options)
  const connect = agent.createConnection.bind(agent)
  return poolOf(agent, options, (target, done, onSocket) => {
    const fail = (error: unknown) => done(new ConnectFailure(error as Error))
    const open = (place: Target, whenOpen = done) => {
      const socket = connect(place, () => undefined) as Socket
      onConnect(socket, ready, whenOpen)
      onSocket(socket)
    }
    const openHere = () => {
      open({ ...target, host: '127.0.0.1' }, (refusal, socket) => {
        if (!refusal || !isUnused(refusal)) return done(refusal, socket)
        attempt(() => open({ ...target, host: '::1' }, (error, other) => done(error && telling(error, refusal), other)))
      })
    }
    const attempt = (work: () => void) => {
      try {
        work()
      } catch (error) {
        fail(error)
      }
    }
    attempt(() => {
      if (!dev) checkHost(target.host)
      if (isAddress(target.host)) return open(target)
      if (isThisMachine(target.host)) return openHere()
      lookUp(target.host, dev, (error, addresses) => {
        if (error) fail(error)
        else attempt(() => open({ ...target, ...among(addresses) }))
      })
    })
  })
}

type Found = (error: Error | null, addresses?: readonly LookupAddress[]) => void

/** As Node looks a name up for a connection: only addresses of the kinds that this machine has itself. */
function lookUp(host: string, dev: boolean, found: Found): void {
  const timer = setTimeout(() => {
    found(tooLate())
    found = () => undefined
  }, CONNECT_TIMEOUT).unref()
  const options = { all: true as const, hints: process.platform === 'win32' ? 0 : ADDRCONFIG }
  const lookup = dev ? dnsLookup : guardedLookup
  lookup(host, options, (error, addresses) => {
    clearTimeout(timer)
    found(error, addresses)
  })
}

/**
 * Where to connect to. Of several addresses, Node tries one after the other. If there is only one, it takes the place of the
 * name: Node would look whether the name is an address, with a pattern that takes 4 ms to compile.
 */
function among(addresses: readonly LookupAddress[] = []): { host: string } | { lookup: LookupFunction } {
  const [first, ...others] = addresses
  if (first && others.length === 0) return { host: first.address }
  return {
    lookup: (_, { all }, callback) =>
      all ? callback(null, [...addresses]) : callback(null, first?.address ?? '', first?.family),
  }
}

/**
 * Names of this machine, whatever a resolver says of them: none is asked. Windows would take two seconds for an address
 * where nobody listens.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
function isThisMachine(host: string): boolean {
  return process.platform !== 'win32' && /(?:^|\.)localhost\.?$/i.test(host)
}

function isUnused({ cause }: Error): boolean {
  const { code = '' } = cause as NodeJS.ErrnoException
  return UNUSED.includes(code)
}

/** Of the failures at both addresses of this machine, the one that says more. */
function telling(second: Error, first: Error): Error {
  return isUnused(second) ? first : second
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6 */
function throughTunnel(secure: boolean, proxy: URL, options: HttpsAgentOptions): Pool {
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options)
  const request = proxy.protocol === 'https:' ? requestHttps : requestHttp
  const password = [proxy.username, proxy.password].map(decodeURIComponent).join(':')
  const credentials = `Basic ${Buffer.from(password).toString('base64')}`
  return poolOf(agent, options, (target, done, onSocket) => {
    const authority = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`
    const asked = request(proxy, {
      ...VERIFIED,
      method: 'CONNECT',
      path: authority,
      auth: '', // in proxy-authorization, and in no header that a proxy may pass on
      servername: serverName(proxy),
      agent: false,
      insecureHTTPParser: false,
      headers: { host: authority, ...(password !== ':' && { 'proxy-authorization': credentials }) },
    })
    // Limits the whole handshake: a proxy that sends a byte now and then is not idle.
    const timer = setTimeout(() => asked.destroy(tooLate()), CONNECT_TIMEOUT).unref()
    asked.once('socket', onSocket)
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
      const secured = connectTls({ ...target, ...VERIFIED, ...OFFERED, socket })
      onConnect(secured, 'secureConnect', done)
      onSocket(secured)
    })
    asked.end()
  })
}

/** Replaces how an agent connects. Node waits for the callback if nothing is returned. */
function poolOf(agent: HttpAgent, options: HttpsAgentOptions, connect: Connect): Pool {
  const early = createEarlyConnections(connect)
  const createConnection = (target: Target, done: OnConnect) => early.connect(target, done)
  const resting = options.keepAlive ? new RestingConnections(agent) : undefined
  return { agent: Object.assign(agent, { createConnection }), options, early, resting }
}

function onConnect(socket: Socket, ready: 'connect' | 'secureConnect', done: OnConnect): void {
  const timer = setTimeout(() => socket.destroy(tooLate()), CONNECT_TIMEOUT).unref() // the socket keeps the process running
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
