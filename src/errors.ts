/**
 * What can go wrong. The core gives a code, what became of the session, and facts; what to say to a person at a
 * shell is made of these in cli/errors.ts.
 */
import { sanitize } from './text.ts'

/**
 * What became of the session, as far as is known when the error is made:
 * `none` no session was involved, `alive` untouched and usable, `dead` gone, `unknown` a
 * single-use token was sent and the outcome is not known.
 */
export type SessionState = 'none' | 'alive' | 'dead' | 'unknown'

/** Every code, and what usually becomes of the session with it; an {@link OAuthError} may say otherwise. */
export const USUAL_STATE = {
  // Ours
  UNEXPECTED: 'unknown',
  OUTPUT_FAILED: 'alive',

  // Input and settings: nothing was sent
  USAGE: 'alive',
  IDENTIFIER_INVALID: 'none',
  DID_METHOD_UNSUPPORTED: 'none',
  CLIENT_INVALID: 'none',
  SCOPE_INVALID: 'none',
  NSID_INVALID: 'alive',
  CALLBACK_UNREADABLE: 'none',
  CALLBACK_INCOMPLETE: 'none',
  CREDENTIALS_INCOMPLETE: 'alive',
  CREDENTIALS_INVALID: 'alive',
  CREDENTIALS_MISMATCH: 'alive',
  SAVE_TARGET_MISSING: 'alive',
  ACCOUNT_UNCLEAR: 'alive',
  STORE_INVALID: 'alive',
  STORE_UNAVAILABLE: 'alive',

  // Before anything was consumed
  NETWORK_UNREACHABLE: 'alive',
  NETWORK_LOST: 'alive',
  HOST_NOT_FOUND: 'alive',
  HANDLE_LOOKUP_FAILED: 'none',
  SERVER_UNAVAILABLE: 'alive',
  SESSION_BUSY: 'alive',

  // Refused, by the server or by a check of ours
  ADDRESS_REFUSED: 'alive',
  HANDLE_NOT_FOUND: 'none',
  HANDLE_AMBIGUOUS: 'none',
  HANDLE_NOT_CLAIMED: 'none',
  DID_NOT_FOUND: 'alive',
  DID_DOCUMENT_INVALID: 'alive',
  OAUTH_UNSUPPORTED: 'alive',
  METADATA_INVALID: 'alive',
  RESPONSE_INVALID: 'alive',
  CLIENT_BROKEN: 'none',
  PAR_REFUSED: 'none',
  DPOP_URL_INVALID: 'alive',
  DPOP_NONCE_INVALID: 'alive',
  CALLBACK_STATE_UNKNOWN: 'none',
  CALLBACK_REFUSED: 'none',
  AUTHORIZATION_DENIED: 'none',
  AUTHORIZATION_EXPIRED: 'none',
  CODE_USED: 'none',
  EXCHANGE_REFUSED: 'none',
  TOKEN_RESPONSE_INVALID: 'none',
  ACCOUNT_MISMATCH: 'none',
  ACCOUNT_UNVERIFIED: 'none',
  ISSUER_MISMATCH: 'alive',
  REVOCATION_UNCONFIRMED: 'unknown',
  DOCTOR_FOUND: 'none',
  REFRESH_REFUSED: 'alive',

  // The session
  SESSION_MISSING: 'none',
  SESSION_DEAD: 'dead',
  SESSION_NOT_REFRESHABLE: 'dead',
  EXCHANGE_AMBIGUOUS: 'unknown',
  REFRESH_AMBIGUOUS: 'unknown',

  // Requests and saving
  PERMISSION_MISSING: 'alive',
  XRPC_ERROR: 'alive',
  RATE_LIMITED: 'alive',
  SAVE_FAILED: 'alive',
  DEADLINE_NEAR: 'alive',
  INTERRUPTED: 'alive',
} as const satisfies Record<string, SessionState>

export type ErrorCode = keyof typeof USUAL_STATE

/** Enough to start the same login again, as far as it is known. */
export interface LoginFacts {
  readonly handle?: string | undefined
  readonly did?: string | undefined
  /** For a login that was started from a server. */
  readonly issuer?: string | undefined
  /** What to ask for: of `PERMISSION_MISSING` with what was missing. */
  readonly scope?: string | undefined
  readonly clientId?: string | undefined
  /** Where it is known: a hosted client has to name it. */
  readonly redirectUri?: string | undefined
}

/** How a server answered. */
export interface AnswerFacts {
  /** HTTP. */
  readonly status?: number | undefined
  /** `error` in the body of an OAuth or XRPC error. */
  readonly serverError?: string | undefined
}

/** Reasons that need no facts of their own. */
export type PlainReason =
  /** The one thing that is missing of the credentials. */
  | 'client-id-missing'
  /** A loopback client_id of before does not declare what is asked for; without one it is made anew. */
  | 'client-id-superfluous'
  /** The session does not say its client_id; a refresh under any other would end it. */
  | 'client-id-unknown'
  /** Another key than the published one of that name. */
  | 'client-key-differs'
  /** The document does not publish its public half. */
  | 'client-key-foreign'
  /** It is not a private P-256 JWK with a kid. */
  | 'client-key-malformed'
  /** There is a private key, and the document is that of a client without. */
  | 'client-key-unpublished'
  /** Nothing is known of the private key of a confidential client. */
  | 'client-key-unset'
  /** The session was made without a client key, and one is set. */
  | 'client-key-unwanted'
  /** The keys of a confidential client cannot be changed in the document of another one. */
  | 'client-not-confidential'
  /** New credentials are in the store; the next refresh there delivers them to their save targets. */
  | 'delivery-pending'
  /** It would be allowed in development mode: http, a `.test` handle. */
  | 'dev-mode-needed'
  /** No dotenv file can hold the value for every reader. */
  | 'dotenv-unfit'
  /** It is not the client_id that the other program signs in with. */
  | 'foreign-client-id'
  /** The token that was given was refused; the stored one was not sent. */
  | 'given-token-refused'
  /** The session belongs to another program now. */
  | 'handed-over'
  /** By the one service that was named for it, or because no account can have the handle. */
  | 'handle-lookup-failed'
  /** The user has no home folder. */
  | 'home-needed'
  /** The folder of the store cannot be written to. */
  | 'home-unusable'
  /** Only a client that is hosted may return there. */
  | 'hosted-client-needed'
  /** The text that should be JSON is not. */
  | 'json-malformed'
  /** The method takes a JSON body, and another one was given. */
  | 'json-needed'
  /** The credentials could not be delivered, and are kept with the login. */
  | 'kept-with-login'
  /** A new document of another kind would end the sessions made with the keys in the old one. */
  | 'keys-would-be-lost'
  /** Without it there would be none. */
  | 'last-key'
  /** It was completed before; its session is not affected. */
  | 'login-completed'
  /** No login with this state was started, or it is kept somewhere else. */
  | 'login-not-found'
  /** A client_id of `http://localhost` declares what none can. */
  | 'loopback-client-id-unusable'
  /** Servers refuse the method to OAuth sessions; a request that names its HTTP method is sent all the same. */
  | 'method-unavailable'
  /** A token that was just issued was refused: a clock is wrong, or the session has ended. */
  | 'new-token-refused'
  /** Not the value that the session store of `@atproto/oauth-client-node` has for one account. */
  | 'node-session-expected'
  /** No client can be hosted there. */
  | 'origin-unusable'
  /** A hosted client may have several, so one has to be named. */
  | 'redirect-uri-needed'
  /** A refresh was sent, and no answer was stored. */
  | 'refresh-unanswered'
  /** `atproto-proxy` is not a DID and a service, as in `did:web:api.bsky.app#bsky_appview`. */
  | 'service-malformed'
  /** A new session could not be stored, and was ended again. */
  | 'session-not-stored'
  /** The one file of a login that is kept outside of the store. */
  | 'state-file-missing'
  /** A save target could not be written; nothing was sent. */
  | 'target-failed'
  /** A save target holds something else that may be needed. */
  | 'target-taken'
  /** A token was sent, and no place could be found for what came back. */
  | 'tokens-lost'
  /** New credentials are in the store, and not in all save targets yet. */
  | 'undelivered'
  /** The files are not there that GitHub Actions gives to a step. */
  | 'workflow-step-needed'

/** What is narrower than the code, with the facts that belong to it. */
export type ReasonFacts =
  | { readonly reason: PlainReason }
  /** What is wrong with the document is in the message. */
  | { readonly reason: 'client-document-faulty'; readonly clientId: string }
  /** The session was made under this client_id. */
  | { readonly reason: 'client-id-differs'; readonly clientId: string }
  /** What was begun with a client key goes on with the same one: that published as `kid`. */
  | { readonly reason: 'client-key-needed'; readonly clientId: string; readonly kid: string }
  /** Others can read it. */
  | { readonly reason: 'file-mode' | 'folder-mode'; readonly path: string }
  /** The handle leads to an account that does not claim it. */
  | { readonly reason: 'handle-unclaimed'; readonly handle: string; readonly did: string }
  /** A leased access token does not do; it takes the session, where that is kept. */
  | { readonly reason: 'leased'; readonly operation: 'export' | 'lease' | 'revoke' }
  /** An answer has several lists, or not the one that was named. */
  | { readonly reason: 'list-unclear'; readonly lists: readonly string[] }
  /** Another process is refreshing the session; `folder` is its lock. */
  | { readonly reason: 'lock-held'; readonly folder: string }
  /** It lacks something, or has what the method does not take. */
  | ({ readonly reason: 'method-misused' } & MethodNeeds)
  /** What is stored here of the same session is newer than what was given. */
  | { readonly reason: 'newer-token-stored'; readonly did: string }
  /** The permission is none as it is written. */
  | { readonly reason: 'permission-malformed'; readonly permission: string }
  /** The environment variable is not the address of an HTTP proxy. */
  | { readonly reason: 'proxy-malformed'; readonly variable: string }
  /** A file of the store cannot be read. */
  | {
      readonly reason: 'record-damaged'
      readonly path: string
      readonly kind: 'sessions' | 'pending'
      readonly isWindows: boolean
    }
  /** No client of that host can have it; `scheme` is the one that a native one may have. */
  | { readonly reason: 'redirect-uri-unusable'; readonly scheme: string }
  /** The session as it is now could not be written where it belongs. */
  | { readonly reason: 'session-elsewhere'; readonly from: string; readonly to: string }
  /** Not a save target; `file` if it looks like the path of one. */
  | { readonly reason: 'target-malformed'; readonly file?: string }
  /** A new session is in the store, and not in all save targets yet. */
  | { readonly reason: 'undelivered-login'; readonly did: string }

/** What a request of a published method needs at least. */
export interface MethodNeeds {
  readonly nsid: string
  readonly fields: readonly {
    readonly name: string
    readonly type: 'text' | 'integer' | 'boolean' | 'json'
    readonly isList: boolean
  }[]
  /** Its body is not JSON. */
  readonly isUpload: boolean
}

/** What is known besides the sentence, for programs; no secrets, and strings of servers as they came. */
export type ErrorFacts = LoginFacts & AnswerFacts & (ReasonFacts | { readonly reason?: undefined })

/** What to do, as the code and the facts of the error that it is about; an {@link OAuthError} is one. */
export type Advice = Pick<OAuthError, 'code' | 'facts'>

/**
 * What to do about it: a sentence, whose first line can stand alone and whose further ones are to be copied; or what
 * a program words for its own users.
 */
export type Fix = string | Advice

export interface ErrorDetails {
  readonly cause?: unknown
  readonly facts?: ErrorFacts | undefined
  /** What became of the session, where this case differs from what is usual for the code. */
  readonly session?: SessionState | undefined
}

/** What a copy says otherwise; given `facts` take the place of the old ones. */
export interface ErrorChanges extends Omit<ErrorDetails, 'cause'> {
  readonly code?: ErrorCode | undefined
  readonly message?: string | undefined
}

/**
 * The one error class. `code` is stable and for programs; the message is one
 * sentence for people, already free of anything a terminal would act on.
 */
export class OAuthError extends Error {
  readonly code: ErrorCode
  readonly session: SessionState
  readonly facts: ErrorFacts
  /** `session` was said by whoever made the error, and is not just what is usual for its code. */
  readonly hasExplicitState: boolean

  constructor(code: ErrorCode, message: string, { cause, facts = {}, session }: ErrorDetails = {}) {
    super(sanitize(message, 2000), cause === undefined ? undefined : { cause })
    this.name = 'OAuthError'
    this.code = code
    this.session = session ?? USUAL_STATE[code]
    this.facts = facts
    this.hasExplicitState = session !== undefined
  }

  /** The same failure as somebody further up knows it; its cause stays. */
  with({ code = this.code, message = this.message, facts = this.facts, session }: ErrorChanges): OAuthError {
    return new OAuthError(code, message, {
      cause: this.cause,
      facts,
      session: session ?? (this.hasExplicitState ? this.session : undefined),
    })
  }
}

/** What may be told of a login or a session: the facts, and none of its secrets. */
export function loginFacts(login: LoginFacts): LoginFacts {
  const { handle, did, issuer, scope, clientId, redirectUri } = login
  return { handle, did, issuer, scope, clientId, redirectUri }
}

/** For what happens before there is a session: an error that leaves sessions alone says that none was touched. */
export async function withoutSession<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof OAuthError) || error.hasExplicitState || error.session !== 'alive') throw error
    throw error.with({ session: 'none' })
  }
}

/** Whether `error` is ours, and if codes are given, one of them. */
export function isOAuthError(error: unknown, ...codes: ErrorCode[]): error is OAuthError {
  return error instanceof OAuthError && (codes.length === 0 || codes.includes(error.code))
}
