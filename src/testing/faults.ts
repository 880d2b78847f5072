/**
 * Everything that the servers can do wrong. Faults are read at each request, so that a test can change them between two
 * steps.
 */
import type { FakeRequest, Json } from './http.ts'
import type { RsErrorName } from './xrpc-errors.ts'

/** Records, each as its chunks, or how the lookup fails. */
export type TxtRecords = readonly (readonly string[])[] | 'NXDOMAIN' | 'SERVFAIL' | 'TIMEOUT'

/**
 * `rotate` a new nonce with every response, older ones stale; `constant` the same one for ever;
 * `none` neither asked for nor given; `absentOnSuccess` given with refusals only; `duplicate` two
 * headers in one response; `alwaysChallenge` every proof is refused, with a fresh nonce each time.
 */
export type NonceMode = 'rotate' | 'constant' | 'none' | 'absentOnSuccess' | 'duplicate' | 'alwaysChallenge'

/** Where the response says `use_dpop_nonce`: in its JSON, in `WWW-Authenticate`, or in both. */
export interface ChallengeForm {
  readonly status: 400 | 401
  readonly form: 'json' | 'header' | 'both'
}

/**
 * A `Response` instead of the server's; `unreachable` the request never arrives; `lostBefore` it is lost on
 * the way; `lostAfter` the server does its work and the response is lost; a function changes the server's response.
 */
export type Fault =
  | undefined
  | Response
  | 'unreachable'
  | 'lostBefore'
  | 'lostAfter'
  | ((response: Response) => Response | Promise<Response>)

/** Takes the honest document, returns what is sent: `(json) => ({ ...json, issuer: undefined })` removes a member. */
export type Mutator = (json: Json) => unknown

export interface Faults {
  /** Which of the two known code bases the servers behave like; `cirrus` has no nonces whatever the modes say. */
  personality: 'reference' | 'cirrus'
  /** Nonces of the authorization server. */
  asNonces: NonceMode
  /** A token request with a wrong nonce, or without one, spends its code or refresh token before it is refused. */
  spendsBeforeNonce: boolean
  /** Nonces of the PDS. */
  rsNonces: NonceMode
  /** How many of the newest nonces are good; 1 refuses all but the newest, concurrent requests need more. */
  nonceMemory: number
  /** How the authorization server asks for a nonce. */
  asChallenge: ChallengeForm
  /** How the PDS asks for a nonce. */
  rsChallenge: ChallengeForm
  /** Writes the `WWW-Authenticate` of every DPoP refusal, instead of the reference server's form; a list is several headers. */
  writeChallenge: ((error: string, description: string) => string | readonly string[]) | undefined
  /** How far the clocks of AS and PDS are ahead of the world's; also in their `Date` headers. */
  clockOffsetMs: number
  /** Lifetime of access tokens, cut at the end of the session. */
  accessTokenSeconds: number
  /** What DNS says about a name, instead of the records there. */
  txt: (name: string) => TxtRecords | undefined
  /** A DID document, in PLC or of a `did:web`; `reads` counts those of this document, from 1. */
  mutateDidDocument: (document: Json, reads: number) => unknown
  /** What `getRepoStatus` says of every account, besides its DID. */
  repoStatus: { readonly active: boolean; readonly status?: string }
  /** The protected-resource metadata. */
  mutateProtectedResource: Mutator
  /** The authorization-server metadata. */
  mutateAuthorizationServer: Mutator
  /** The response to a pushed authorization request. */
  mutatePar: Mutator
  /** Status of the response to a pushed authorization request. */
  parStatus: number
  /** The response to an exchange or a refresh, after the server committed it. */
  mutateToken: Mutator
  /** `silent` returns 200 even where it revokes nothing (reference); `challenge` refuses bad proofs aloud. */
  revocation: 'silent' | 'challenge' | 'unavailable' | 'absent'
  /** The response of the PDS to a call whose token and proof are valid: a known error, or a function of the call. */
  rsError: RsErrorName | undefined | ((request: FakeRequest) => RsErrorName | undefined)
  /** How a proxied method names its service in the permission it needs: deployed servers differ (15.14). */
  rpcAud: 'fragment' | 'bare'
  /** Called for every request; it may wait, which makes the network slow. */
  httpFault: (request: FakeRequest) => Fault | Promise<Fault>
}

const unchanged: Mutator = (document) => document

export function defaultFaults(): Faults {
  return {
    personality: 'reference',
    asNonces: 'rotate',
    spendsBeforeNonce: false,
    rsNonces: 'rotate',
    nonceMemory: 1,
    asChallenge: { status: 400, form: 'json' },
    rsChallenge: { status: 401, form: 'both' },
    writeChallenge: undefined,
    clockOffsetMs: 0,
    accessTokenSeconds: 3600,
    txt: () => undefined,
    mutateDidDocument: unchanged,
    repoStatus: { active: true },
    mutateProtectedResource: unchanged,
    mutateAuthorizationServer: unchanged,
    mutatePar: unchanged,
    parStatus: 201,
    mutateToken: unchanged,
    revocation: 'silent',
    rsError: undefined,
    rpcAud: 'fragment',
    httpFault: () => undefined,
  }
}
