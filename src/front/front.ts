/**
 * A PDS for programs that know only passwords: signs them in to itself, and passes their requests on with the session.
 */
import type { OAuthError } from '../errors.ts'
import type { Handle } from '../model.ts'
import type { Clock, LocalRequest, LocalResponse, Notices, Random } from '../ports.ts'
import type { Session } from '../session/session.ts'
import type { Permit } from './permit.ts'

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
}

export interface Refusal {
  readonly nsid: string
  /**
   * `not-allowed` and `read-only`: by the permit. `credentials`: never passed on, because it makes or changes credentials of
   * the account. `scope`: by the PDS, whose response was passed on.
   */
  readonly reason: 'not-allowed' | 'read-only' | 'credentials' | 'scope'
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
export type FrontPorts = Clock & Random & Notices

export function createFront(session: FrontSession, _options: FrontOptions, _ports: FrontPorts): Front {
  return {
    handle: async ({ method, target, headers, body, signal }) => {
      const content = method === 'GET' || method === 'HEAD' ? undefined : await body()
      return session.fetchHandler(target, { method, headers, signal, body: content ?? null })
    },
    settled: () => session.settled(),
  }
}
