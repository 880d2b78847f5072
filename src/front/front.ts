/**
 * A PDS for programs that know only passwords: signs them in to itself, and passes their requests on with the session.
 */
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Handle } from '../model.ts'
import type { Clock, LocalRequest, LocalResponse, Notices, Random, Timer } from '../ports.ts'
import { asNsid } from '../protocol/identity/syntax.ts'
import { isSubscription } from '../protocol/xrpc/request.ts'
import type { Session } from '../session/session.ts'
import { createLocalMethods, didOf } from './account.ts'
import { passOn } from './pass-on.ts'
import { isServiceAuth, type Permit, type PermitRefusal, SERVICE_AUTH } from './permit.ts'
import { createPlaces, type PlaceLimits } from './places.ts'
import { failureResponse, xrpcFailure } from './xrpc-response.ts'

export interface FrontOptions {
  /** Origin of the front: `http://127.0.0.1:1234`. */
  readonly origin: string
  /** The account's handle, if it has one. */
  readonly handle: Handle | undefined
  /** The password with which programs sign in. */
  readonly password: string
  readonly permit: Permit
  /** Called once for each kind of refusal. */
  readonly onRefused: (refusal: Refusal) => void
  /** The message in the response to a refused request; by default one that names only the method. */
  readonly explain?: ((refusal: Refusal) => string) | undefined
  /** Called once for each code of an error that kept a request from being passed on; by default it is a warning. */
  readonly onFailure?: ((error: OAuthError) => void) | undefined
  /** Of requests that are at the PDS at the same time. */
  readonly limits?: PlaceLimits | undefined
}

export interface Refusal {
  readonly nsid: string
  /** By the permit, or `scope`: by the PDS, whose response was passed on. */
  readonly reason: PermitRefusal | 'scope'
  /** For `scope`: the missing permissions, if known. */
  readonly scope?: string | undefined
  /** For `scope`: the same for people, with the facts of a login that requests them. */
  readonly error?: OAuthError | undefined
}

export interface Front {
  /** Never rejects. It can be used without the front. */
  readonly handle: (request: LocalRequest) => Promise<LocalResponse>
  /** Resolves when no refresh is in progress. */
  readonly settled: () => Promise<void>
}

export type FrontSession = Pick<Session, 'did' | 'fetchHandler' | 'record' | 'settled'>
export type FrontPorts = Clock & Random & Notices & Timer

const XRPC = /^\/xrpc\/([^/?#]*)(?:\?([^#]*))?$/
/** A program chooses the names of the methods. */
const KINDS_MOST = 1000

export function createFront(session: FrontSession, options: FrontOptions, ports: FrontPorts): Front {
  const { origin, handle, password, permit, onRefused, explain = explanation } = options
  const { onFailure = (error: OAuthError) => ports.warn(error.message) } = options
  const { did } = session
  const { host } = new URL(origin)
  const hosts = [host, host.replace('127.0.0.1', 'localhost')]
  const places = createPlaces(ports, options.limits)
  let death: OAuthError | undefined
  const local = createLocalMethods({ did, handle, password, origin, death: () => death }, ports)

  const refused = new Set<string>()
  const report = (refusal: Refusal) => {
    const { reason, nsid, scope = '' } = refusal
    const kind = `${reason} ${nsid} ${scope}`
    if (refused.has(kind) || refused.size >= KINDS_MOST) return
    refused.add(kind)
    onRefused(refusal)
  }
  const failed = new Set<string>()
  const reportFailure = (error: OAuthError) => {
    if (failed.has(error.code)) return
    failed.add(error.code)
    onFailure(error)
  }

  async function answer(request: LocalRequest): Promise<LocalResponse> {
    const { method, target, headers } = request
    const stranger = strangerIn(headers, hosts)
    if (stranger !== undefined)
      return xrpcFailure(403, 'Forbidden', `${stranger}: this server is only for programs on this machine`)
    const [, nsid, query = ''] = XRPC.exec(target) ?? []
    if (nsid === undefined) return xrpcFailure(404, 'NotFound', 'only paths below /xrpc/ exist here')
    if (!asNsid(nsid)) return xrpcFailure(400, 'InvalidRequest', 'invalid method name')
    if (headers['upgrade']?.toLowerCase().includes('websocket') || isSubscription(nsid)) {
      return xrpcFailure(501, 'MethodNotImplemented', `${nsid} cannot be used here: WebSockets are not passed on`)
    }
    if (!METHODS.includes(method))
      return xrpcFailure(405, 'InvalidRequest', `the HTTP method ${method} is not used by XRPC`)

    const own = local.method(nsid)
    if (own) {
      if (own.verb === method || (own.verb === 'GET' && method === 'HEAD')) return own.run(request)
      return xrpcFailure(400, 'InvalidRequest', `Incorrect HTTP method (${method}) expected ${own.verb}`)
    }
    const unauthorized = await local.refuse(request)
    if (unauthorized) return unauthorized
    const reason = permit.refusalOf(method, nsid, query)
    if (reason) {
      const refusal: Refusal = { nsid, reason }
      report(refusal)
      return xrpcFailure(403, 'Forbidden', explain(refusal))
    }
    if (death) return failureResponse(death)
    const onScopeMissing = (error: OAuthError, scope: string | undefined) =>
      report({ nsid, reason: 'scope', scope, error })
    const passed = isServiceAuth(nsid) ? { ...request, target: serviceAuthTarget(query) } : request
    const end = await places.take(request.signal)
    try {
      const response = await passOn(session, { nsid, request: passed, onScopeMissing }, ports)
      const { status, headers, body } = response
      if (body instanceof ReadableStream) return { status, headers, body, end }
      end()
      return response
    } catch (error) {
      end()
      throw error
    }
  }

  /**
   * The request for a service token, as the permit has read it: some servers read `lxm[]` like `lxm`. A program that asks for
   * one for its PDS names the front, and the token is for the PDS.
   */
  function serviceAuthTarget(query: string): string {
    const given = [...new URLSearchParams(query)].filter(([name]) => SERVICE_AUTH_PARAMETERS.includes(name))
    const { pds } = session.record()
    const isFront = (value: string) => hosts.some((each) => value.replace('%3A', ':') === `did:web:${each}`)
    const parameters = given.map(([name, value]) =>
      name === 'aud' && pds !== undefined && isFront(value) ? [name, didOf(pds)] : [name, value],
    )
    return `/xrpc/${SERVICE_AUTH}?${new URLSearchParams(parameters)}`
  }

  const failureOf = (cause: unknown): OAuthError => {
    const error = isOAuthError(cause) ? cause : new OAuthError('UNEXPECTED', 'unexpected error', { cause })
    if (error.session === 'dead') death = error
    return error
  }

  return {
    handle: (request) =>
      answer(request).catch((cause: unknown) => {
        const error = failureOf(cause)
        if (!request.signal.aborted) reportFailure(error)
        return failureResponse(error)
      }),
    async settled() {
      const failure = await session.settled()
      // Also that of a refresh whose programs have gone away.
      if (failure !== undefined) reportFailure(failureOf(failure))
    },
  }
}

const METHODS = ['GET', 'HEAD', 'POST']
const SERVICE_AUTH_PARAMETERS = ['aud', 'exp', 'lxm']

function explanation({ nsid, reason }: Refusal): string {
  if (reason === 'credentials')
    return `${nsid} is not passed on, because it makes or changes credentials of the account`
  if (reason === 'token-not-allowed')
    return `${nsid} is not passed on, because its token would authorize a method that is not passed on`
  if (reason === 'read-only') return `${nsid} is not passed on, because only reads are`
  return `${nsid} is not among the methods that are passed on`
}

/**
 * What shows that a request is not from a program on this machine: a name that a page has made to lead here (DNS rebinding), or
 * the headers that browsers add.
 */
function strangerIn(headers: LocalRequest['headers'], hosts: readonly string[]): string | undefined {
  const { host, origin, 'sec-fetch-site': site } = headers
  if (host === undefined || !hosts.includes(host.toLowerCase())) return 'unknown host'
  if (origin !== undefined || (site !== undefined && site !== 'none')) return 'request of a web page'
  return undefined
}
