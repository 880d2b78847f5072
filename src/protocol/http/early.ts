/**
 * Requests and connections that are begun before it is certain that they are needed, because over a distance each takes as
 * long as all the rest. Each is a guess: its response is used only when the very same request is made later, by code that has
 * no part in guessing and checks what it always checks. A wrong guess costs a request, and none of its errors is shown.
 *
 * Only public documents are requested like this. Codes, tokens and authorization requests are not.
 */
import type { Http, HttpInit, HttpResponse } from '../../ports.ts'

/** A document request, as `fetchJson` makes it. */
export type DocumentInit = Pick<HttpInit, 'timeoutSeconds'> & { readonly headers: { readonly accept: string } }

export interface Early {
  /** Requests a document, for the first later request of the same document. */
  request(url: URL, init: DocumentInit): void
  /** Opens a connection. */
  connect(url: URL, options?: { readonly ownConnection?: boolean }): void
  /** Aborted at the end, for requests that nobody waits for any more. */
  readonly signal: AbortSignal
}

export interface WithEarly {
  readonly early: Early
}

/** Runs `work` with ports that can begin early. At its end, all that it has not used is given up. */
export async function withEarly<P extends Http, T>(ports: P, work: (ports: P & WithEarly) => Promise<T>): Promise<T> {
  const over = new AbortController()
  const { signal } = over
  const begun = new Map<string, Promise<HttpResponse>>()
  const take = (url: URL, init: HttpInit): Promise<HttpResponse> | undefined => {
    const key = keyOf(url, init)
    const response = key === undefined ? undefined : begun.get(key)
    if (key !== undefined) begun.delete(key)
    return response
  }
  const early: Early = {
    signal,
    request(url, init) {
      const key = keyOf(url, init)
      if (key === undefined || begun.has(key)) return
      const response = ports.fetch(url, { ...init, signal })
      response.catch(() => undefined) // reported if it is used
      begun.set(key, response)
    },
    connect(url, options = {}) {
      ports.connect?.(url, { ...options, signal })
    },
  }
  const fetch: Http['fetch'] = async (url, init = {}) => {
    const response = await take(url, init)
    if (response && !isMomentary(response.status)) return response
    await response?.body?.cancel()
    return ports.fetch(url, init)
  }
  try {
    return await work({ ...ports, fetch, early })
  } finally {
    over.abort()
    for (const response of begun.values()) {
      response
        .then(
          ({ body }) => body?.cancel(),
          () => undefined,
        )
        .catch(() => undefined)
    }
  }
}

/**
 * Whether a response may be due to several requests at once, of which a server allows few. One after the other they may
 * pass, so such a response is not the last word on an early request.
 */
export function isMomentary(status: number): boolean {
  return status === 429 || status === 503
}

/** What makes two requests the same one; none for a request that is more than that of a document. */
function keyOf(url: URL, init: HttpInit): string | undefined {
  const { headers = {}, timeoutSeconds, ...rest } = init
  const { accept, ...others } = headers
  if (Object.keys(rest).length > 0 || Object.keys(others).length > 0) return undefined
  return `${accept} ${timeoutSeconds} ${url.href}`
}
