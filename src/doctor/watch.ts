/**
 * What the servers answered besides their documents: enough to tell a reverse proxy from the server behind it.
 */
import type { Clock, Http } from '../ports.ts'
import { mediaType } from '../protocol/http/response.ts'
import { type WithServerClocks, withServerClocks } from '../protocol/http/server-clock.ts'

export interface Answered {
  readonly status: number
  readonly mediaType: string
  readonly location: string | null
}

export interface Watch {
  /** The newest answer at that URL, its query aside. */
  answered(url: string): Answered | undefined
  /** Origins that have said what time it is there. */
  dated(): readonly string[]
}

export type Watched<P> = P & WithServerClocks & { readonly watch: Watch }

export function watched<P extends Http & Clock>(given: P): Watched<P> {
  const ports = withServerClocks(given)
  const answers = new Map<string, Answered>()
  const dated = new Set<string>()
  const key = (url: URL) => url.origin + url.pathname
  return {
    ...ports,
    watch: { answered: (url) => answers.get(key(new URL(url))), dated: () => [...dated] },
    fetch: async (url, init) => {
      answers.delete(key(url))
      const response = await ports.fetch(url, init)
      const { status, headers } = response
      answers.set(key(url), { status, mediaType: mediaType(headers), location: headers.get('location') })
      if (!headers.has('age') && !Number.isNaN(Date.parse(headers.get('date') ?? ''))) dated.add(url.origin)
      return response
    },
  }
}
