/**
 * The nouns: Identity → AuthorizationServer → PendingAuthorization → Callback →
 * TokenSet → Credentials → Session. Documents of RFCs keep their snake_case.
 *
 * @module
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** Checked by syntax.ts. Spelled out so that other libraries' types of a DID take it as it is. */
export type Did = Branded<'Did'> & (`did:plc:${string}` | `did:web:${string}`)
/** A handle in lower case, checked by syntax.ts. */
export type Handle = Branded<'Handle'>
export type Nsid = Branded<'Nsid'>
/** An origin such as `https://pds.example` — no path, no default port, no trailing slash. */
export type Origin = Branded<'Origin'>

/** An account as its DID document describes it. */
export interface Identity {
  readonly did: Did
  /** The handle that the DID document claims; `undefined` when it claims none. */
  readonly claimedHandle: Handle | undefined
  readonly pds: Origin
}

/** RFC 8414 §2, the members that atproto requires or we use. */
export interface AuthorizationServer {
  readonly issuer: Origin
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly pushed_authorization_request_endpoint: string
  readonly revocation_endpoint?: string | undefined
}

/** What one authorization request says about the client; `clientId` is kept with the session, byte for byte. */
export interface Client {
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
}

/** RFC 7517, RFC 7518 §6.2: the private DPoP key of one session. */
export interface PrivateJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly d: string
}

/** The private key of a confidential client, as published at its `client_id` by its `kid` (RFC 7517 §4.5). */
export interface ClientJwk extends PrivateJwk {
  readonly kid: string
}

/** Which key a confidential client has made a session with: the session is bound to it. Not secret. */
export interface ClientKeyName {
  readonly kid: string
  /** RFC 7638. */
  readonly thumbprint: string
}

/** Newest `DPoP-Nonce` by origin. */
export type Nonces = Readonly<Record<string, string>>

/** An authorization request that was pushed and waits for its callback. Secret. */
export interface PendingAuthorization {
  readonly version: 1
  readonly status: 'pending'
  readonly state: string
  readonly issuer: Origin
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  readonly codeVerifier: string
  /** Absent for a public client. */
  readonly clientKey?: ClientKeyName | undefined
  readonly dpopPrivateJwk: PrivateJwk
  /** The account the login was started for; absent when it was started from a server. */
  readonly did?: Did
  readonly handle?: Handle
  readonly nonces: Nonces
  /** Hashes of codes that the server has refused: a cut-off paste may be followed by a whole one. */
  readonly refusedCodes?: readonly string[] | undefined
  readonly createdAt: number
  /** When the server forgets the request, unless somebody has opened the page by then. */
  readonly requestExpiresAt: number
  /** When we stop waiting for the callback. */
  readonly expiresAt: number
}

/** What is left of a pending authorization after its code was sent. Not secret. */
export interface SpentAuthorization {
  readonly version: 1
  readonly status: 'spent'
  readonly state: string
  /** base64url SHA-256 of the code. */
  readonly codeHash: string
  /** `sent`: no answer was recorded. */
  readonly outcome: 'sent' | 'completed' | 'refused' | 'denied'
  readonly did?: Did
  readonly at: number
}

/** What came back for the code, until it has reached the place where it is wanted. Secret. */
export interface ReceivedAuthorization {
  readonly version: 1
  readonly status: 'received'
  readonly state: string
  /** base64url SHA-256 of the code. */
  readonly codeHash: string
  readonly did: Did
  readonly handle?: Handle | undefined
  readonly requestedScope: string
  readonly credentials: Credentials
  readonly at: number
}

export type PendingRecord = PendingAuthorization | ReceivedAuthorization | SpentAuthorization

/** A callback that passed every check; only callback.ts makes one. */
export interface Callback {
  readonly code: string
  readonly [brand]: 'Callback'
}

/** RFC 6749 §5.1, judged. */
export interface TokenSet {
  readonly accessToken: string
  /** Milliseconds since the epoch; absent when the server did not say. */
  readonly accessTokenExpiresAt?: number | undefined
  readonly refreshToken?: string | undefined
  readonly sub: Did
  readonly scope: string
}

/** What keeps a session going; what `complete` gives and the environment holds. Secret. */
export interface Credentials {
  readonly did: Did
  /** Bound to the refresh token, and needed only with one. */
  readonly clientId?: string | undefined
  /** Of a confidential client, if it is known. */
  readonly clientKey?: ClientKeyName | undefined
  readonly dpopPrivateJwk: PrivateJwk
  /** The account's PDS, or on input its authorization server; a leased access token can do without. */
  readonly pdsIssuer?: Origin | undefined
  readonly refreshToken?: string | undefined
  readonly accessToken?: string | undefined
  readonly accessTokenExpiresAt?: number | undefined
  readonly issuer?: Origin | undefined
  readonly scope?: string | undefined
  /** RFC 7638 thumbprint of the key; names the lineage. */
  readonly thumbprint?: string | undefined
  readonly createdAt?: number | undefined
  readonly rotatedAt?: number | undefined
  /** How many refreshes there were since the login, if that is known. */
  readonly rotation?: number | undefined
  /** They came as `ATPROTO_OAUTH_SESSION`, and have to be saved as that. */
  readonly bundled?: boolean | undefined
}

/** What a login has come to. */
export interface Completed {
  /** Secret. Holds the access token too, which `openSession` uses as long as it lasts. */
  readonly credentials: Credentials
  readonly handle: Handle | undefined
  readonly requestedScope: string
  readonly grantedScope: string
  /** What was asked for and not granted; the person may leave things out. */
  readonly missingScopes: readonly string[]
  /** What was granted without having been asked for. */
  readonly unaskedScopes: readonly string[]
}

/** A session as the per-user store keeps it. Secret. */
export interface SessionRecord {
  readonly version: 1
  /** RFC 7638 thumbprint of the DPoP key; also the name of the file. */
  readonly thumbprint: string
  readonly did: Did
  readonly handle?: Handle | undefined
  /** Once there was a refresh, the PDS; before, what the credentials gave for it, maybe its issuer. */
  readonly pds: Origin
  /** Absent as long as it is not known which of the two `pds` is. */
  readonly issuer?: Origin | undefined
  readonly clientId?: string | undefined
  /** Of a confidential client: the key that the server holds this session to. */
  readonly clientKey?: ClientKeyName | undefined
  /** Empty if not known. */
  readonly scope: string
  readonly dpopPrivateJwk: PrivateJwk
  readonly accessToken?: string | undefined
  readonly accessTokenExpiresAt?: number | undefined
  readonly refreshToken?: string | undefined
  /** When the person signed in, if that is known. */
  readonly createdAt?: number | undefined
  /** When `refreshToken` was issued, if that is known. */
  readonly rotatedAt?: number | undefined
  /** Milliseconds by which the issuer's clock was ahead of ours then. */
  readonly clockOffset?: number | undefined
  /**
   * How many refreshes there were since the login, if that is known. Says which of two tokens is the newer one, which
   * the clocks of two machines do not.
   */
  readonly rotation?: number | undefined
  /** Hashes of the refresh tokens before this one: an environment that still has one of them is old. */
  readonly spentTokens: readonly string[]
  /** A refresh that was sent, as long as no answer to it was stored. */
  readonly intent?: { readonly tokenHash: string; readonly at: number } | undefined
  /** The credentials came, and are saved, as `ATPROTO_OAUTH_SESSION`. */
  readonly bundled?: boolean | undefined
  /** Save targets that had the newest tokens at the last rotation. */
  readonly savedTo?: readonly string[] | undefined
  /** Save targets that do not have the newest tokens yet. */
  readonly undelivered?: readonly string[] | undefined
  /** The server said that the session is over, or it is another program's now; its tokens are gone. */
  readonly ended?: Ended | undefined
}

export interface Ended {
  readonly at: number
  readonly reason: string
  /** It lives on in another program, which was given the refresh token with this hash. */
  readonly handedOver?: string | undefined
}

/** What one check of `doctor` has found. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly topic: string
  /** `warning`: it works here, and something should be done about it. */
  readonly verdict: 'ok' | 'warning' | 'broken'
  /** May hold text of a server's. */
  readonly detail: string
  /** What to do about it; the first line can stand alone, further ones are to be copied. */
  readonly fix?: string | undefined
  readonly milliseconds: number
}
