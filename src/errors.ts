/**
 * Errors. The core gives a code, the state of the session and facts; cli/errors.ts turns them into exit codes and
 * hints.
 */
import { sanitize } from './text.ts'

/**
 * The state of the session when the error is thrown: `none` no session was involved, `alive` untouched and usable,
 * `dead` ended, `unknown` a single-use token was sent and the outcome is not known.
 */
export type SessionState = 'none' | 'alive' | 'dead' | 'unknown'

/** Every code, with the usual state of the session; an {@link OAuthError} may have another one. */
export const USUAL_STATE = {
  // Unexpected
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
  SOURCE_FAILED: 'none',
  SAVE_TARGET_MISSING: 'alive',
  ACCOUNT_UNCLEAR: 'alive',
  SETTING_MISSING: 'none',
  COPIES_DIFFER: 'alive',
  SESSION_OUTDATED: 'unknown',
  STORE_COPIED: 'alive',
  STORE_INVALID: 'alive',
  STORE_LOCKED: 'alive',
  STORE_UNAVAILABLE: 'alive',
  VAULT_INVALID: 'alive',
  VAULT_KEY_WRONG: 'alive',

  // Before a code or token was used
  NETWORK_UNREACHABLE: 'alive',
  NETWORK_LOST: 'alive',
  HOST_NOT_FOUND: 'alive',
  HANDLE_LOOKUP_FAILED: 'none',
  SERVER_UNAVAILABLE: 'alive',
  SESSION_BUSY: 'alive',
  VAULT_UNREACHABLE: 'alive',

  // Rejected by the server or by a check
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
  PERMISSION_SET_UNRESOLVED: 'none',
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
  VAULT_REFUSED: 'alive',

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
  /** Set for a login that was started from a server. */
  readonly issuer?: string | undefined
  /** The scope to request; for `PERMISSION_MISSING`, including the missing permission. */
  readonly scope?: string | undefined
  readonly clientId?: string | undefined
  /** If known. A hosted client has to send it. */
  readonly redirectUri?: string | undefined
  /** What `authorize` was given, for a login that was denied or failed. */
  readonly appState?: string | undefined
}

/** The response of a server. */
export interface ResponseFacts {
  /** The HTTP status. */
  readonly status?: number | undefined
  /** `error` in the body of an OAuth or XRPC error. */
  readonly serverError?: string | undefined
}

/**
 * The first step to a permission set that failed: the lookup itself; there is no TXT record; it does not name one DID; the
 * DID document; the PDS, which did not respond with the record; the account, which is not active; the record does not
 * exist; it is not a permission set; or only the authorization server says that it cannot resolve the set.
 */
export type SetStep =
  | 'dns-failed'
  | 'txt-missing'
  | 'txt-unclear'
  | 'did'
  | 'pds'
  | 'account'
  | 'record-missing'
  | 'record-invalid'
  | 'server'

/** Reasons that need no facts of their own. */
export type PlainReason =
  /** The credentials are complete except for the client_id. */
  | 'client-id-missing'
  /** The loopback client_id of an earlier login does not declare what is requested; each login can create its own. */
  | 'client-id-superfluous'
  /** The stored session has no client_id, and a refresh with a wrong one would end it. */
  | 'client-id-unknown'
  /** The PDS knows no such method, and may have no AppView that it forwards to. */
  | 'app-view-missing'
  /** The client document publishes a different key with the same kid. */
  | 'client-key-differs'
  /** The client document does not publish the public key. */
  | 'client-key-foreign'
  /** The client key is not a private P-256 JWK with a kid. */
  | 'client-key-malformed'
  /** A client key is set, but the client document describes a public client. */
  | 'client-key-unpublished'
  /** The client is confidential, and no client key is set. */
  | 'client-key-unset'
  /** A client key is set, but the login was made without one. */
  | 'client-key-unwanted'
  /** Keys can be added and retired only in the document of a confidential client. */
  | 'client-not-confidential'
  /** Allowed in development mode only, such as http or a `.test` handle. */
  | 'dev-mode-needed'
  /** The value cannot be written so that every dotenv parser reads it alike. */
  | 'dotenv-unfit'
  /** The TLS certificate is self-signed, or its CA is unknown. */
  | 'certificate-untrusted'
  /** The server rejected the code, which may have been cut off: the login is still open for the whole one. */
  | 'code-rejected'
  /** A pushed request was rejected, and the client has no metadata document. */
  | 'loopback-client-refused'
  /** The given client_id is not the one of the imported session. */
  | 'foreign-client-id'
  /** The server rejected the given refresh token; the stored one was not sent. */
  | 'given-token-refused'
  /** The session was exported to another program, and can be used only there. */
  | 'exported'
  /** The session was exported to another program, which has to end it. */
  | 'handed-over'
  /** The configured handle resolver does not know the handle, or no account can have it. */
  | 'handle-lookup-failed'
  /** The TLS server supports no HTTP/1.1. */
  | 'http1-unsupported'
  /** The user has no home directory. */
  | 'home-needed'
  /** The redirect URI is allowed for a hosted client only. */
  | 'hosted-client-needed'
  /** The text is not valid JSON. */
  | 'json-malformed'
  /** The method needs a JSON body, and a body of another type was given. */
  | 'json-needed'
  /** The new credentials could not be saved to their target, and are kept in the record of the login. */
  | 'kept-with-login'
  /** A document without the existing keys would end the sessions that use them. */
  | 'keys-would-be-lost'
  /** The last key of a confidential client cannot be retired. */
  | 'last-key'
  /** The login was completed before; its session is not affected. */
  | 'login-completed'
  /** No login with this state is stored here. */
  | 'login-not-found'
  /** The `http://localhost` client_id declares something that a loopback client cannot have. */
  | 'loopback-client-id-unusable'
  /** The server rejected a method that is known to be closed to OAuth sessions. */
  | 'method-unavailable'
  /** The media type of a body is a range such as `image/*`, and not one type. */
  | 'media-type-unclear'
  /** Not the value that the session store of `@atproto/oauth-client-node` has for one account. */
  | 'node-session-expected'
  /** A client cannot be hosted at this origin. */
  | 'origin-unusable'
  /** The server does not list the requested prompt. */
  | 'prompt-unsupported'
  /** The request is larger than the server accepts. */
  | 'request-too-large'
  /** The client document lists several redirect URIs, and none was chosen. */
  | 'redirect-uri-needed'
  /** The connection to the HTTP proxy failed. */
  | 'proxy-unreachable'
  /** `atproto-proxy` is not a DID and a service, as in `did:web:api.bsky.app#bsky_appview`. */
  | 'service-malformed'
  /** The new session could not be stored, and was revoked. */
  | 'session-not-stored'
  /** The store is not to keep the refresh token, and no save target is named that would. */
  | 'store-excluded'
  /** The file for a login that is kept outside the store holds something else. */
  | 'state-file-foreign'
  /** The file of a login that is kept outside the store does not exist. */
  | 'state-file-missing'
  /** The program that prints the credentials was not named as one. */
  | 'source-malformed'
  /** A save target is not writable; nothing was sent. */
  | 'target-failed'
  /** A save target already contains something else that may be needed. */
  | 'target-taken'
  /** A token was sent, and the response could not be stored anywhere. */
  | 'tokens-lost'
  /** New credentials are in the store, but not yet in all save targets. */
  | 'undelivered'
  /** Only the server can find an account by its e-mail address. */
  | 'identifier-email'
  /** The redirect URI of a loopback client names `localhost`; `redirectUri` has the address in its place. */
  | 'redirect-host-localhost'
  /** The redirect URI has parameters of a callback URL; `redirectUri` is without them. */
  | 'redirect-uri-completed'
  /** The method is a subscription. */
  | 'websocket-needed'
  /** The vault's address contains a user name and password, or a token; it is stored and printed. */
  | 'vault-address-secret'
  /** The session was moved into the vault. */
  | 'in-vault'
  /** The session is on its way into the vault, and the last step is missing. */
  | 'moving-to-vault'
  /** A session of the vault has no copies elsewhere. */
  | 'vault-only'
  /** The vault was copied or moved here: it says that it lives at another address. */
  | 'vault-copied'
  /** A record of the vault was cut short, or is not what was written there. */
  | 'vault-damaged'
  /** No vault is set, neither by a variable nor on this machine. */
  | 'vault-unset'
  /** The key has not the form of one. */
  | 'vault-key-malformed'
  /** The key is that of another vault. */
  | 'vault-key-wrong'
  /** The vault has only begun to be encrypted with its new keys. */
  | 'vault-rekey-unfinished'
  /** A newer version wrote the vault. */
  | 'vault-newer'
  /** No program called git was found. */
  | 'git-missing'
  /** The installed git is too old. */
  | 'git-outdated'
  /** `git:.` was given where there is no checkout, or one without a remote. */
  | 'git-remote-missing'
  /** The credentials may read the vault, but not change it. */
  | 'vault-write-denied'
  /** A rule of the service wants signed commits. */
  | 'vault-signature-required'
  /** An address of Redis, of which nothing is shown. */
  | 'redis-address-malformed'
  /** Redis has no password, and accepts connections from its own machine only. */
  | 'redis-protected'
  /** The user of Redis may not use the keys or commands. */
  | 'redis-permission-missing'
  /** The address is that of a replica or Sentinel. */
  | 'redis-replica'
  /** The address is that of a node that does not have the vault. */
  | 'redis-cluster-node'
  /** Redis has fewer databases. */
  | 'redis-database-unknown'
  /** Redis may use no more memory. */
  | 'redis-memory-full'
  /** Redis cannot write to its disk. */
  | 'redis-disk-failed'
  /** Redis requires replicas that are not there. */
  | 'redis-replicas-missing'
  /** What is at the address does not respond as Redis does, with or without TLS. */
  | 'redis-expected'
  /** Redis removes keys that were not used for long. */
  | 'redis-evicting'
  /** Redis can lose changes that it has confirmed. */
  | 'redis-not-durable'
  /** The session was ended, or replaced by another login, while this machine refreshed it. */
  | 'ended-elsewhere'
  /** The store is encrypted with a passphrase, and none is set. */
  | 'store-key-missing'
  /** The passphrase is not that of the store. */
  | 'store-key-wrong'
  /** The keychain is locked, and nobody has unlocked it. */
  | 'keychain-locked'
  /** This system has no keychain that can be used. */
  | 'keychain-missing'
  /** The keychain has no key for this store. */
  | 'keychain-entry-missing'
  /** The file with the encrypted key of the store is damaged. */
  | 'store-encryption-damaged'
  /** A newer version has encrypted the store. */
  | 'store-encryption-newer'
  /** A file is encrypted with a key that the store does not have. */
  | 'store-encryption-foreign'
  /** A relative path was given, and the current directory was removed. */
  | 'working-directory-gone'
  /** The files that GitHub Actions provides to each step do not exist. */
  | 'workflow-step-needed'

/** A reason is narrower than a code, and has facts of its own. */
export type ReasonFacts =
  | { readonly reason: PlainReason }
  /** The audience of a service token is a bare DID, which no permission can name; `audience` has a service, if one is known. */
  | { readonly reason: 'audience-bare'; readonly audience: string | undefined }
  /**
   * The server rejected an access token that has not expired: the session has ended, or a clock is wrong.
   * `isClockRight`: not that of this machine, as the response shows.
   */
  | { readonly reason: 'new-token-refused'; readonly isClockRight: boolean }
  /** The account is on another PDS now; within the issuer of the session, a refresh is enough. */
  | ({ readonly reason: 'account-moved' | 'account-moved-within-issuer'; readonly did: string } & LoginFacts)
  /** By its owner, or by the operator of its PDS; it has not moved. */
  | { readonly reason: 'account-deactivated' | 'account-taken-down'; readonly pds: string }
  /** The PDS rejects the account, and neither the PDS nor the DID document says where it is. */
  | { readonly reason: 'account-unclear'; readonly did: string }
  /** The client document is invalid; the message says why. */
  | { readonly reason: 'client-document-faulty'; readonly clientId: string }
  /** The server rejected the client itself: its key, its document, or the copy of the document that it keeps. */
  | { readonly reason: 'client-rejected'; readonly clientId: string }
  /** The client metadata document no longer publishes the key that the session is bound to. */
  | { readonly reason: 'client-key-retired'; readonly clientId: string; readonly kid: string }
  /** The file is a named pipe, a device, a socket or a directory. */
  | { readonly reason: 'file-irregular'; readonly path: string }
  /** The file is in a volume that Kubernetes projects from a secret, and that a container cannot write to. */
  | { readonly reason: 'kubernetes-volume'; readonly path: string }
  /** A setting in the user's file has an invalid value. */
  | { readonly reason: 'setting-invalid'; readonly key: string }
  /** The store is not encrypted as its user has set it. */
  | { readonly reason: 'store-encryption-differs'; readonly mode: string }
  /** The file of the user's settings cannot be read as such. */
  | { readonly reason: 'settings-damaged'; readonly path: string }
  /** Secrets are not stored through symbolic links. */
  | { readonly reason: 'link-unsupported'; readonly path: string }
  | StoreTrouble
  /** The login was made with this client_id. */
  | { readonly reason: 'client-id-differs'; readonly clientId: string }
  /** The login was started with a client key, and needs the same one, published with this `kid`. */
  | { readonly reason: 'client-key-needed'; readonly clientId: string; readonly kid: string }
  /** Only these save targets have the newest refresh token. */
  | ({ readonly reason: 'token-elsewhere'; readonly targets: readonly string[] } & LoginFacts)
  /** Another machine has received the new tokens, and has not stored them yet; `label` is how it calls itself. */
  | { readonly reason: 'tokens-elsewhere'; readonly label: string }
  /** New credentials are in the store; the next refresh writes them to their save targets. */
  | { readonly reason: 'delivery-pending'; readonly did: string }
  /** The directory of a file that was named does not exist. */
  | { readonly reason: 'folder-missing'; readonly path: string }
  /** Other users can read the file or directory. */
  | { readonly reason: 'file-mode' | 'folder-mode'; readonly path: string }
  /** The handle leads to an account that does not claim it. */
  | { readonly reason: 'handle-unclaimed'; readonly handle: string; readonly did: string }
  /** The operation needs the session itself, and only a leased access token is here. */
  | { readonly reason: 'leased'; readonly operation: 'export' | 'lease' | 'revoke' }
  /** The text is no identifier, but contains or resembles this one. */
  | { readonly reason: 'identifier-meant'; readonly identifier: string }
  /** The response contains several lists, or not the named one. */
  | { readonly reason: 'list-unclear'; readonly lists: readonly string[] }
  /** Another process is refreshing the session; `folder` is its lock directory. */
  | { readonly reason: 'lock-held'; readonly folder: string }
  | { readonly reason: 'lock-lost' }
  | ({ readonly reason: 'copy-outdated' } & LoginFacts)
  | { readonly reason: 'store-copied' }
  /** The session was revoked from here, and its credentials were given again; `bundled`: as one value. */
  | ({ readonly reason: 'revoked'; readonly bundled: boolean } & LoginFacts)
  /** `rotation`: one more than either copy has, if that can order them. */
  | { readonly reason: 'copies-differ'; readonly rotation: number | undefined; readonly thumbprint: string }
  /** No published method has this name, but one that is almost the same. */
  | { readonly reason: 'method-misspelt'; readonly meant: string }
  /** The request lacks a required field, or has one that the method does not accept. */
  | ({ readonly reason: 'method-misused' } & MethodNeeds)
  /** The stored credentials of this session are newer than the given ones. */
  | { readonly reason: 'newer-token-stored'; readonly did: string }
  | { readonly reason: 'account-in-vault'; readonly did: string; readonly handle?: string | undefined }
  /** The host that the DID document names as the PDS does not exist. */
  | { readonly reason: 'pds-not-found'; readonly did: string }
  /** A permission set cannot be resolved; `why` is the cause alone, at the first step that failed. */
  | { readonly reason: 'permission-set-broken'; readonly nsid: string; readonly step: SetStep; readonly why: string }
  /** The permission is not valid syntax. */
  | { readonly reason: 'permission-malformed'; readonly permission: string }
  /** The session signs for its PDS only; `url` is the same request there. */
  | { readonly reason: 'proof-url-meant'; readonly method: string; readonly url: string }
  /** The environment variable is not the URL of an HTTP proxy. */
  | { readonly reason: 'proxy-malformed'; readonly variable: string }
  /** The user name or password in the URL of the proxy has characters that end it. */
  | { readonly reason: 'proxy-password-unencoded'; readonly variable: string }
  /** The proxy rejected the tunnel; nothing was sent through it. */
  | { readonly reason: 'proxy-refused'; readonly proxyStatus: number | undefined }
  /** A file of the store cannot be parsed. */
  | {
      readonly reason: 'record-damaged'
      readonly path: string
      readonly kind: 'sessions' | 'pending' | 'vault' | 'client-key'
    }
  /** The vault's address is not one of a kind that is known; `meant` is set if it lacks only the kind. */
  | { readonly reason: 'vault-address-malformed'; readonly meant?: string | undefined }
  /** A client of that host cannot use this redirect URI; `scheme` is the custom scheme that a native one may use. */
  | { readonly reason: 'redirect-uri-unusable'; readonly scheme: string }
  /** A refresh was sent, and no response was stored. */
  | { readonly reason: 'refresh-unanswered'; readonly did: string }
  /** The refreshed session could not be written to the store, and was written to a temporary file. */
  | { readonly reason: 'session-elsewhere'; readonly from: string; readonly to: string }
  /** There is a vault already, none, one for which no key is set, or one whose key was replaced or is being replaced. */
  | {
      readonly reason:
        | 'vault-exists'
        | 'vault-not-found'
        | 'vault-key-missing'
        | 'vault-key-replaced'
        | 'vault-rekey-begun'
      readonly address: string
    }
  /**
   * What stands at the address was not written by a vault; the service accepted no credentials, or knows no such
   * repository; a rule of it protects the branch; Redis accepted no user and password.
   */
  | {
      readonly reason: 'vault-foreign' | 'vault-read-denied' | 'vault-branch-protected' | 'redis-login-refused'
      readonly address: string
    }
  /** It is gone from there, and this machine has a copy of it, with a session of `account`. */
  | { readonly reason: 'vault-lost'; readonly address: string; readonly account: string }
  /** It is at `address` now; something else is where it was to move. */
  | { readonly reason: 'vault-moved' | 'vault-target-taken'; readonly address: string }
  /** Not everything has arrived yet. */
  | { readonly reason: 'vault-move-unfinished'; readonly from: string; readonly address: string }
  /** Not a save target; `file` is set if it looks like a file path, `targets` if what was meant is known. */
  | { readonly reason: 'target-malformed'; readonly file?: string; readonly targets?: readonly string[] }
  /** A new session is in the store, but not yet in all save targets. */
  | { readonly reason: 'undelivered-login'; readonly did: string }

/** Why a file cannot be read or written; `path` is what has to be repaired. */
export type StoreTrouble = {
  readonly path: string
  /** It is part of a store in which no session is: another store can take its place. */
  readonly isEmpty: boolean
} & (
  | {
      readonly reason: /** Its mode keeps its owner out. */
        | 'access-missing'
        /** It is a file. */
        | 'directory-expected'
        /** The directory of the store does not exist, and this user cannot make it. */
        | 'directory-missing'
        | 'disk-full'
        /** It is a directory. */
        | 'file-expected'
        /** An attribute of the file or its directory forbids changes, also to root. */
        | 'file-immutable'
        /** It is a mount point of its own, which cannot be replaced. */
        | 'file-mounted'
        /** By a limit of the process. */
        | 'file-size-limited'
        | 'file-system-read-only'
    }
  | {
      readonly reason: /** A directory outside the store, and not of this user, belongs to another one. */
        | 'directory-foreign'
        /** It belongs to another user. */
        | 'owner-foreign'
      /** A user name, or `user` and a number. */
      readonly owner: string
    }
)

/** The minimum input of a published method. */
export interface MethodNeeds {
  readonly nsid: string
  readonly fields: readonly {
    readonly name: string
    readonly type: 'text' | 'integer' | 'boolean' | 'json'
    readonly isList: boolean
  }[]
  /** Whether its body is a file and not JSON. */
  readonly isUpload: boolean
}

/** Facts for programs, besides the message. They contain no secrets; text from servers is unchanged. */
export type ErrorFacts = LoginFacts & ResponseFacts & (ReasonFacts | { readonly reason?: undefined })

/** Advice as the code and facts of an error; an {@link OAuthError} is one. */
export type Advice = Pick<OAuthError, 'code' | 'facts'>

/** What to do: a sentence, which may be followed by lines to copy, or advice that a program words for its own users. */
export type Fix = string | Advice

/**
 * The name of a class, as Node and loggers show it: the minified code has another one.
 *
 * @internal
 */
export function keepName(type: object, name: string): void {
  Object.defineProperty(type, 'name', { value: name })
}

export interface ErrorDetails {
  readonly cause?: unknown
  readonly facts?: ErrorFacts | undefined
  /** The state of the session, if it differs from the usual one of the code. */
  readonly session?: SessionState | undefined
}

/** Changes for a copy; given `facts` replace the old ones. */
export interface ErrorChanges extends Omit<ErrorDetails, 'cause'> {
  readonly code?: ErrorCode | undefined
  readonly message?: string | undefined
}

/**
 * The only error class. `code` is stable and for programs; the message is one sentence for people, safe to print to a
 * terminal.
 */
export class OAuthError extends Error {
  static {
    keepName(OAuthError, 'OAuthError')
  }

  readonly code: ErrorCode
  readonly session: SessionState
  readonly facts: ErrorFacts
  readonly #hasExplicitState: boolean

  constructor(code: ErrorCode, message: string, { cause, facts = {}, session }: ErrorDetails = {}) {
    super(sanitize(message, 2000), cause === undefined ? undefined : { cause })
    this.name = 'OAuthError'
    this.code = code
    this.session = session ?? USUAL_STATE[code]
    this.facts = facts
    this.#hasExplicitState = session !== undefined
  }

  /**
   * Whether `session` was set explicitly, instead of by the code.
   *
   * @internal
   */
  get hasExplicitState(): boolean {
    return this.#hasExplicitState
  }

  /**
   * A copy with other details, for a caller that knows more; the cause stays.
   *
   * @internal
   */
  with({ code = this.code, message = this.message, facts = this.facts, session }: ErrorChanges): OAuthError {
    return new OAuthError(code, message, {
      cause: this.cause,
      facts,
      session: session ?? (this.hasExplicitState ? this.session : undefined),
    })
  }
}

/** The facts of a login or session that are not secret. */
export function loginFacts(login: RequestedLogin): LoginFacts {
  const { handle, did, issuer, clientId, redirectUri, appState } = login
  const facts = { handle, did, issuer, scope: requestedScope(login), clientId, redirectUri }
  return appState === undefined ? facts : { ...facts, appState }
}

type RequestedLogin = LoginFacts & { readonly requestedScope?: string | undefined }

/**
 * The scope that a login requested, as far as it is known: less may have been granted, or the same in other words. A
 * loopback client declares it in its client_id.
 */
export function requestedScope({ requestedScope, clientId, scope }: RequestedLogin): string | undefined {
  const declared = clientId?.startsWith('http://localhost') ? clientId.split('?')[1] : undefined
  return requestedScope ?? new URLSearchParams(declared).get('scope') ?? scope
}

/** For work without a session: an error with the state `alive` gets the state `none`. */
export async function withoutSession<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof OAuthError) || error.hasExplicitState || error.session !== 'alive') throw error
    throw error.with({ session: 'none' })
  }
}

/** Those of a vault that cannot be used. */
export const VAULT_ERRORS = ['VAULT_UNREACHABLE', 'VAULT_REFUSED', 'VAULT_INVALID', 'VAULT_KEY_WRONG'] as const

/** Whether `error` is an {@link OAuthError}, with one of the codes if any are given. */
export function isOAuthError(error: unknown, ...codes: ErrorCode[]): error is OAuthError {
  return error instanceof OAuthError && (codes.length === 0 || codes.includes(error.code))
}
