/**
 * One XRPC request, as it is asked for: what becomes of it is request.ts's, what it needs is required-scope.ts's.
 *
 * @module
 */
import type { Body } from '../../ports.ts'

export interface XrpcRequest {
  readonly nsid: string
  /** In order; a name may come more than once. `{did}` in a value is the account. */
  readonly parameters?: readonly (readonly [name: string, value: string])[]
  /** By default POST with a body, GET without. */
  readonly method?: 'GET' | 'POST' | undefined
  readonly body?: Body | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** For the answer's headers, and for each pause in its body; by default a minute, and more for a large body. */
  readonly timeoutSeconds?: number | undefined
}
