/**
 * Records the responses of the servers, so that a reverse proxy can be told from the server behind it.
 */
import { isOAuthError, type OAuthError } from '../errors.ts'
import type { Clock, Http } from '../ports.ts'
import { mediaType } from '../protocol/http/response.ts'
import { type WithServerClocks, withServerClocks } from '../protocol/http/server-clock.ts'
import { isProxyFault } from './check.ts'

export interface ObservedResponse {
  readonly status: number
  readonly mediaType: string
  readonly location: string | null
}

export interface Watch {
  /** The newest response from that URL, ignoring its query. */
  responseFrom(url: string): ObservedResponse | undefined
  /** The first failure of the HTTP proxy, given once. */
  proxyFault(): OAuthError | undefined
  /** Origins that have sent a usable `Date`. */
  dated(): readonly string[]
}

export type Watched<P> = P & WithServerClocks & { readonly watch: Watch }

export function watched<P extends Http & Clock>(given: P): Watched<P> {
  const ports = withServerClocks(given)
  const responses = new Map<string, ObservedResponse>()
  const dated = new Set<string>()
  let fault: OAuthError | undefined
  let isTold = false
  const key = (url: URL) => url.origin + url.pathname
  return {
    ...ports,
    watch: {
      responseFrom: (url) => responses.get(key(new URL(url))),
      proxyFault: () => {
        if (fault === undefined || isTold) return undefined
        isTold = true
        return fault
      },
      dated: () => [...dated],
    },
    fetch: async (url, init) => {
      responses.delete(key(url))
      const response = await ports.fetch(url, init).catch((error: unknown) => {
        if (isOAuthError(error) && isProxyFault(error)) fault ??= error
        throw error
      })
      const { status, headers } = response
      responses.set(key(url), { status, mediaType: mediaType(headers), location: headers.get('location') })
      if (!headers.has('age') && !Number.isNaN(Date.parse(headers.get('date') ?? ''))) dated.add(url.origin)
      return response
    },
  }
}
