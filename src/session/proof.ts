/**
 * The headers that authorize one request of another tool.
 *
 * @see RFC 9449 §4.2, §7.1
 */
import { type ErrorFacts, OAuthError } from '../errors.ts'
import type { Origin, SessionRecord } from '../model.ts'
import type { Clock, HttpResponse, IdentityPorts } from '../ports.ts'
import { asNsid, asUrl } from '../protocol/identity/syntax.ts'
import type { ProofTarget } from '../protocol/oauth/dpop.ts'
import type { SignedHeaders } from '../protocol/oauth/dpop-fetch.ts'
import { readXrpcError } from '../protocol/xrpc/error.ts'
import { explainAccountState } from './account-state.ts'
import { PRIMING } from './priming.ts'

export type RequestToSign = Pick<ProofTarget, 'method' | 'url'>

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/**
 * @param pds the PDS of the session, if known
 * @throws {OAuthError} `USAGE` the session's token must not be sent to this URL
 */
export function proofTarget(method: string, text: string, pds: string | undefined): RequestToSign {
  const upper = method.toUpperCase()
  if (!METHODS.includes(upper)) refuse(`invalid HTTP method ${shown(method)}: use one of ${METHODS.join(', ')}`)
  const url = asUrl(text)
  if (!url || !/^https?:$/.test(url.protocol)) {
    const bare = text.replace(/^[\s"'<]+|(?<![\s"'>])[\s"'>]+$/g, '')
    const { href, pathname } = asUrl(/^https?:/i.test(bare) ? bare : `https://${bare}`) ?? {}
    const isMeant = pathname?.startsWith('/xrpc/') && !bare.includes('@')
    refuse(`invalid URL ${shown(text)}`, isMeant ? { reason: 'proof-url-meant', method: upper, url: href! } : undefined)
  }
  const meant = (origin: string, path: string) =>
    ({ reason: 'proof-url-meant', method: upper, url: origin + path + url.search }) as const
  if (url.username !== '' || url.password !== '') {
    const isMeant = url.pathname.startsWith('/xrpc/')
    refuse(
      'the URL must not contain a user name or password',
      isMeant ? meant(pds ?? url.origin, url.pathname) : undefined,
    )
  }
  if (pds !== undefined && url.origin !== pds) {
    refuse(`${url.origin} is not the session's PDS, ${pds}`, meant(pds, url.pathname))
  }
  if (!/^\/xrpc\/./.test(url.pathname)) {
    const nsid = asNsid(url.pathname.split('/').at(-1)!)
    refuse(`the path "${url.pathname}" is not below /xrpc/`, nsid && meant(url.origin, `/xrpc/${nsid}`))
  }
  return { method: upper, url }
}

/** Without a password. It may contain anything, and `@` comes after it. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/^.*@/s, ''))
}

function refuse(message: string, facts?: ErrorFacts): never {
  throw new OAuthError('USAGE', message, { facts })
}

export interface ProvingSession {
  record(): SessionRecord
  /** Sends a query without a body. */
  query(path: string): Promise<HttpResponse>
  /** The PDS in the DID document of the account. */
  locate(): Promise<Origin>
  /** Signs with the newest nonce. */
  sign(request: RequestToSign, accessToken: string): Promise<SignedHeaders>
}

/**
 * Headers for one request to the session's PDS, with a valid token and the newest nonce.
 *
 * @throws {OAuthError} `USAGE`, those of an XRPC error, and as `fetchHandler`
 */
export async function proofFor(
  { record, query, locate, sign }: ProvingSession,
  { method, url }: { readonly method: string; readonly url: string },
  ports: IdentityPorts & Clock,
): Promise<SignedHeaders> {
  const { issuer, pds } = record()
  const { origin } = proofTarget(method, url, undefined).url
  // Credentials without an issuer may contain the authorization server instead of the PDS. The DID document tells,
  // without using a token.
  if (origin !== pds) proofTarget(method, url, issuer === undefined ? await locate() : pds)
  const primed = await query(`/xrpc/${PRIMING}`)
  if (!primed.ok) {
    const { error } = await readXrpcError({ nsid: PRIMING }, primed, record(), ports.now())
    throw await explainAccountState(error, { nsid: PRIMING }, record(), ports)
  }
  await primed.body?.cancel()
  const target = proofTarget(method, url, record().pds)
  return sign(target, record().accessToken!)
}
