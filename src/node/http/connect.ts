/**
 * Opens one connection: directly, to public addresses only unless `dev` is set, or through a proxy. A connection is used only
 * once it is complete, including TLS, so that the request was certainly not sent if anything fails before.
 */
import { ADDRCONFIG, lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { OAuthError } from '../../errors.ts'
import { checkHost, guardedLookup, isAddress } from './address-guard.ts'
import { ConnectFailure, ProxyFailure, TunnelRefused } from './errors.ts'

export interface Server {
  readonly protocol: string
  /** An IPv6 address has no brackets. */
  readonly host: string
  readonly port: number
}

export type OnConnect = (error: Error | null, socket?: Socket) => void
/** @param onSocket called with each socket as soon as it exists, such as that to a proxy and that through it */
export type Connect = (onConnect: OnConnect, onSocket: (socket: Socket) => void) => void

interface ConnectOptions {
  /** Allows http and private addresses. */
  readonly dev: boolean
  readonly proxy: URL | undefined
  readonly sessions: TlsSessions
}

/** Where to connect to. */
type Target = { readonly port: number } & Place
type Place = { readonly host: string; readonly lookup?: LookupFunction }

const CONNECT_TIMEOUT = 5_000
/** Overrides NODE_TLS_REJECT_UNAUTHORIZED: an unverified server could receive the tokens. */
const VERIFIED = { rejectUnauthorized: true }
/** Said in the handshake, so that a server with HTTP/2 alone ends it. Node 20 says nothing by itself. */
const OFFERED = { ALPNProtocols: ['http/1.1'] }
/** Small requests are sent immediately; the system looks whether an idle connection still stands. */
const SOCKET = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1_000 }
/** As Node's agent keeps. */
const MOST_SESSIONS = 100
/** Of an address where nobody listens, or of a kind that the machine does not have. */
const UNUSED = ['ECONNREFUSED', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETUNREACH', 'EHOSTUNREACH']

/** @throws {OAuthError} `ADDRESS_REFUSED` */
export function serverOf(url: URL, { dev }: Pick<ConnectOptions, 'dev'>): Server {
  const { protocol } = url
  if (protocol !== 'https:' && !(dev && protocol === 'http:')) {
    throw new OAuthError('ADDRESS_REFUSED', `${url.origin} is not https: nothing was sent there`)
  }
  const host = hostOf(url)
  if (!dev) checkHost(host) // by its text: behind a proxy this is the only check
  return { protocol, host, port: Number(url.port) || (protocol === 'https:' ? 443 : 80) }
}

export function connecting(server: Server, { dev, proxy, sessions }: ConnectOptions): Connect {
  return proxy ? throughTunnel(server, proxy, sessions) : directly(server, dev, sessions)
}

/** As a connection takes it: an IPv6 address without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/** For the TLS handshake; an address is none. */
function serverName(host: string): string {
  return isAddress(host) ? '' : host
}

function directly(server: Server, dev: boolean, sessions: TlsSessions): Connect {
  const { protocol, host, port } = server
  return (done, onSocket) => {
    const fail = (error: unknown) => done(new ConnectFailure(error as Error))
    const open = (place: Place, whenOpen = done) => {
      const target = { port, ...place }
      const { socket, ready } = protocol === 'https:' ? connectSecurely(target, server, sessions) : connectPlain(target)
      onConnect(socket, ready, whenOpen)
      onSocket(socket)
    }
    const openHere = () => {
      open({ host: '127.0.0.1' }, (refusal, socket) => {
        if (!refusal || !isUnused(refusal)) return done(refusal, socket)
        attempt(() => open({ host: '::1' }, (error, other) => done(error && telling(error, refusal), other)))
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
      if (isAddress(host)) return open({ host })
      if (isThisMachine(host)) return openHere()
      lookUp(host, dev, (error, addresses) => {
        if (error) fail(error)
        else attempt(() => open(among(host, addresses)))
      })
    })
  }
}

type Opened = { readonly socket: Socket; readonly ready: 'connect' | 'secureConnect' }

function connectPlain(target: Target): Opened {
  return { socket: connectTcp({ ...target, ...SOCKET }), ready: 'connect' }
}

/** With the session of an earlier connection, which shortens the handshake. */
function connectSecurely(target: ConnectionOptions, { host, port }: Server, sessions: TlsSessions): Opened {
  const name = `${host} ${port}`
  const known = { servername: serverName(host), session: sessions.get(name) }
  const socket = connectTls({ ...target, ...SOCKET, ...VERIFIED, ...OFFERED, ...known })
  socket.on('session', (session) => sessions.set(name, session))
  socket.once('close', (hadError) => hadError && sessions.delete(name))
  return { socket, ready: 'secureConnect' }
}

/** Sessions of earlier connections, by server. */
export class TlsSessions {
  readonly #sessions = new Map<string, Buffer>()

  get(name: string): Buffer | undefined {
    return this.#sessions.get(name)
  }

  set(name: string, session: Buffer): void {
    this.#sessions.delete(name)
    this.#sessions.set(name, session)
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > MOST_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest)
  }

  delete(name: string): void {
    this.#sessions.delete(name)
  }
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
function among(host: string, addresses: readonly LookupAddress[] = []): Place {
  const [first, ...others] = addresses
  if (first && others.length === 0) return { host: first.address }
  return {
    host,
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
function throughTunnel(server: Server, proxy: URL, sessions: TlsSessions): Connect {
  const { protocol, host, port } = server
  const request = proxy.protocol === 'https:' ? requestHttps : requestHttp
  const password = [proxy.username, proxy.password].map(decodeURIComponent).join(':')
  const credentials = `Basic ${Buffer.from(password).toString('base64')}`
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return (done, onSocket) => {
    const asked = request(proxy, {
      ...VERIFIED,
      method: 'CONNECT',
      path: authority,
      auth: '', // in proxy-authorization, and in no header that a proxy may pass on
      servername: proxy.protocol === 'https:' ? serverName(hostOf(proxy)) : '',
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
      if (protocol !== 'https:') return done(null, socket)
      const { socket: secured, ready } = connectSecurely({ host, socket }, server, sessions)
      onConnect(secured, ready, done)
      onSocket(secured)
    })
    asked.end()
  }
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
