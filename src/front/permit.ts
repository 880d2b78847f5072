/**
 * Which methods a front passes on, narrower than the scope of the session.
 */
import { OAuthError } from '../errors.ts'
import { asNsid } from '../protocol/identity/syntax.ts'

/** Every method of these names; `app.bsky.*` covers all below it, `*` everything. */
export interface PermitOptions {
  readonly allow?: readonly string[] | undefined
  /** Only `GET` and `HEAD`. */
  readonly readOnly?: boolean | undefined
}

/**
 * `not-allowed` and `read-only`: by the options. `token-not-allowed`: a service token for a method that is not allowed.
 * `credentials`: never passed on, because it makes or changes credentials of the account.
 */
export type PermitRefusal = 'not-allowed' | 'token-not-allowed' | 'read-only' | 'credentials'

export interface Permit {
  /** Why a request is not passed on; `undefined` if it is. */
  refusalOf(method: string, nsid: string, query: string): PermitRefusal | undefined
}

export const SERVICE_AUTH = 'com.atproto.server.getServiceAuth'

/** Whether the response authorizes one call of another method, or of any. Some servers ignore the case of a path. */
export function isServiceAuth(nsid: string): boolean {
  return nsid.toLowerCase() === SERVICE_AUTH.toLowerCase()
}

/** Methods that need no session, or whose result outlives it: no scope limits them. */
const OF_CREDENTIALS =
  /^com\.atproto\.(?:admin\..*|server\.(?:createAccount|createAppPassword|deleteAccount|requestPasswordReset|reserveSigningKey|resetPassword))$/i

/** @throws {OAuthError} `USAGE` for an invalid pattern */
export function parsePermit({ allow, readOnly = false }: PermitOptions): Permit {
  const patterns = allow?.map(parsePattern)
  const isAllowed = (nsid: string) => patterns?.some((matches) => matches(nsid)) ?? true
  return {
    refusalOf(method, nsid, query) {
      const authorized = isServiceAuth(nsid) ? new URLSearchParams(query).getAll('lxm') : []
      if ([nsid, ...authorized].some((name) => OF_CREDENTIALS.test(name))) return 'credentials'
      if (readOnly && method !== 'GET' && method !== 'HEAD') return 'read-only'
      if (!isAllowed(nsid)) return 'not-allowed'
      if (!isServiceAuth(nsid)) return undefined
      // A service token can be used for writes, without the front.
      if (readOnly) return 'read-only'
      return (authorized.length > 0 ? authorized : ['*']).every(isAllowed) ? undefined : 'token-not-allowed'
    },
  }
}

function parsePattern(pattern: string): (nsid: string) => boolean {
  if (pattern === '*') return () => true
  const prefix = pattern.endsWith('.*') ? pattern.slice(0, -1) : undefined
  if (!asNsid(prefix === undefined ? pattern : `${prefix}method`)) {
    throw new OAuthError(
      'USAGE',
      `invalid method pattern ${JSON.stringify(pattern)}: it must be a method name, or a prefix of at least two parts such as "com.atproto.repo.*"`,
    )
  }
  return prefix === undefined ? (nsid) => nsid === pattern : (nsid) => nsid.startsWith(prefix)
}
