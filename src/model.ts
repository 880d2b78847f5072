/**
 * The types of the domain: Identity → AuthorizationServer → PendingAuthorization → Callback → TokenSet → Credentials →
 * Session. Documents of RFCs keep their snake_case.
 *
 * Stored types are derived from schemas. The schemas only check: with `{ mode: 'passthrough' }` they return the same
 * object, so that members added by a newer version are kept when a record is written again.
 */
import * as v from '@badrap/valita'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** Checked by syntax.ts. The template types let it be passed to other libraries that define a DID like this. */
export type Did = Branded<'Did'> & (`did:plc:${string}` | `did:web:${string}`)
/** A handle in lower case, checked by syntax.ts. */
export type Handle = Branded<'Handle'>
export type Nsid = Branded<'Nsid'>
/** An origin such as `https://pds.example` — no path, no default port, no trailing slash. */
export type Origin = Branded<'Origin'>

/** Read-only all the way down. */
type Immutable<T> = T extends string | number | boolean | undefined
  ? T
  : { readonly [Name in keyof T]: Immutable<T[Name]> }

/** The output of an object schema, from its shape. `v.Infer` declares a required member twice, which typedoc warns of. */
type Members<Shape extends Record<string, v.Type | v.Optional>> = {
  readonly [Name in keyof Shape as Shape[Name] extends v.Optional ? never : Name]: Immutable<v.Infer<Shape[Name]>>
} & {
  readonly [Name in keyof Shape as Shape[Name] extends v.Optional ? Name : never]?: Immutable<v.Infer<Shape[Name]>>
}

const text = v.string()
const texts = v.array(text)
/** Milliseconds since the epoch, or a duration in milliseconds, within the range of a Date. */
export const timeSchema = v.number().assert((milliseconds) => Math.abs(milliseconds) <= 8.64e15)
/** Number of refreshes since the login. */
export const rotationSchema = v.number().assert(Number.isSafeInteger)
/** base64url of 32 bytes: a coordinate of a P-256 or secp256k1 key, or a SHA-256 hash such as a thumbprint. */
const bytes32 = text.assert((value) => /^[A-Za-z0-9_-]{43}$/.test(value))
// syntax.ts validated these three before they were stored. The patterns here only detect later edits.
const did = text.assert((value): value is Did => /^did:(?:plc:[a-z2-7]{24}|web:[a-z0-9.-]+(?:%3A\d+)?)$/.test(value))
const handle = text.assert((value): value is Handle => /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(value))
const origin = text.assert(
  (value): value is Origin => /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value,
)

/** An account as its DID document describes it. */
export interface Identity {
  readonly did: Did
  /** The handle that the DID document claims, if it claims one. */
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
  /** Initiating User Registration via OpenID Connect §4; absent if the server does not list them. */
  readonly prompt_values_supported?: readonly string[] | undefined
}

/** The client of one authorization request. Its `clientId` is kept with the session, byte for byte. */
export interface Client {
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
}

/** RFC 7517, RFC 7518 §6.2: a private key for ES256. */
export interface P256Jwk extends Members<(typeof p256JwkSchema)['shape']> {}
export const p256JwkSchema = v.object({
  kty: v.literal('EC'),
  crv: v.literal('P-256'),
  x: bytes32,
  y: bytes32,
  d: bytes32,
})

/** The private DPoP key of one session. Only imported sessions have secp256k1 keys, for ES256K (RFC 8812 §3). */
export interface PrivateJwk extends Members<(typeof privateJwkSchema)['shape']> {}
export const privateJwkSchema = p256JwkSchema.extend({ crv: v.union(v.literal('P-256'), v.literal('secp256k1')) })

/** The private key of a confidential client, as published at its `client_id` by its `kid` (RFC 7517 §4.5). */
export interface ClientJwk extends P256Jwk {
  readonly kid: string
}

/** The client key that a session of a confidential client is bound to, with its RFC 7638 thumbprint. Not secret. */
export interface ClientKeyName extends Members<(typeof clientKeyNameSchema)['shape']> {}
export const clientKeyNameSchema = v.object({
  kid: text,
  thumbprint: bytes32,
})

/** Newest `DPoP-Nonce` by origin. */
export type Nonces = Immutable<v.Infer<typeof nonces>>
const nonces = v.record(text)

/** The credentials of a session, as `complete` prints them and the environment holds them. Secret. */
export interface Credentials extends Members<(typeof credentialsSchema)['shape']> {}
export const credentialsSchema = v.object({
  did,
  /** Bound to the refresh token, and needed only with one. */
  clientId: text.optional(),
  /** For a hosted client, if known: another login needs it. */
  redirectUri: text.optional(),
  /** For a hosted client, if it differs from the granted scope. */
  requestedScope: text.optional(),
  /** For a confidential client, if known. */
  clientKey: clientKeyNameSchema.optional(),
  dpopPrivateJwk: privateJwkSchema,
  /** The account's PDS, or on input its authorization server; optional for a leased access token. */
  server: origin.optional(),
  refreshToken: text.optional(),
  accessToken: text.optional(),
  accessTokenExpiresAt: timeSchema.optional(),
  issuer: origin.optional(),
  scope: text.optional(),
  /** RFC 7638 thumbprint of the DPoP key, which all copies of one session share. */
  thumbprint: text.optional(),
  createdAt: timeSchema.optional(),
  rotatedAt: timeSchema.optional(),
  /** Milliseconds by which the issuer's clock, by which these two are, was ahead of this machine's. */
  clockOffset: timeSchema.optional(),
  /** How many refreshes there were since the login, if that is known. */
  rotation: rotationSchema.optional(),
  /** Read from `ATPROTO_OAUTH_SESSION`, and saved as that. */
  bundled: v.boolean().optional(),
})

/** An authorization request that was pushed and waits for its callback. Secret. */
export interface PendingAuthorization extends Members<(typeof pendingAuthorization)['shape']> {}
const pendingAuthorization = v.object({
  version: v.literal(1),
  status: v.literal('pending'),
  state: text,
  issuer: origin,
  clientId: text,
  redirectUri: text,
  scope: text,
  /** Requested permission sets (`include:`) that, as they were read, grant nothing. */
  emptyIncludes: texts.optional(),
  /** What the requested permission sets grant, as they were read. */
  setPermissions: texts.optional(),
  codeVerifier: text,
  /** Absent for a public client. */
  clientKey: clientKeyNameSchema.optional(),
  dpopPrivateJwk: privateJwkSchema,
  /** The account the login was started for; absent when it was started from a server. */
  did: did.optional(),
  handle: handle.optional(),
  /** Its PDS at that time, which is only requested early: the DID document of that moment decides. */
  pds: origin.optional(),
  nonces,
  /** Hashes of codes that the server has rejected: the complete code may follow a truncated one. */
  refusedCodes: texts.optional(),
  createdAt: timeSchema,
  /** When the pushed request expires, unless the sign-in page was opened before. */
  requestExpiresAt: timeSchema,
  /** What the program that started the login gave for its own use. */
  appState: text.optional(),
  /** When we stop waiting for the callback. */
  expiresAt: timeSchema,
})

/** What remains of a pending authorization after its code was sent. Not secret. */
export interface SpentAuthorization extends Members<(typeof spentAuthorization)['shape']> {}
const spentAuthorization = v.object({
  version: v.literal(1),
  status: v.literal('spent'),
  state: text,
  /** base64url SHA-256 of the code. */
  codeHash: text,
  /** `sent`: no response was recorded. */
  outcome: v.union(v.literal('sent'), v.literal('completed'), v.literal('refused'), v.literal('denied')),
  did: did.optional(),
  /** Enough to start the same login again. Absent if it was completed, or spent by an older version. */
  handle: handle.optional(),
  issuer: origin.optional(),
  scope: text.optional(),
  clientId: text.optional(),
  redirectUri: text.optional(),
  /** The `file:` targets of a completed login. */
  savedTo: v.array(text).optional(),
  at: timeSchema,
})

/** The credentials received for the code, until they are delivered. Secret. */
export interface ReceivedAuthorization extends Members<(typeof receivedAuthorization)['shape']> {}
const receivedAuthorization = v.object({
  version: v.literal(1),
  status: v.literal('received'),
  state: text,
  /** base64url SHA-256 of the code. */
  codeHash: text,
  did,
  handle: handle.optional(),
  requestedScope: text,
  /** As in the {@link PendingAuthorization}. */
  emptyIncludes: texts.optional(),
  setPermissions: texts.optional(),
  appState: text.optional(),
  credentials: credentialsSchema.check(({ server }) => server !== undefined, {
    path: ['server'],
    message: 'is missing',
  }),
  at: timeSchema,
})

export type PendingRecord = PendingAuthorization | ReceivedAuthorization | SpentAuthorization
export const pendingRecordSchema = v.union(pendingAuthorization, receivedAuthorization, spentAuthorization)

/** A callback that passed every check; only callback.ts makes one. */
export interface Callback {
  readonly code: string
  readonly [brand]: 'Callback'
}

/** A validated token response (RFC 6749 §5.1). */
export interface TokenSet {
  readonly accessToken: string
  /** Milliseconds since the epoch; absent if the response had no `expires_in`. */
  readonly accessTokenExpiresAt?: number | undefined
  readonly refreshToken?: string | undefined
  readonly sub: Did
  readonly scope: string
}

/** The result of a login. */
export interface Completed {
  /** Secret. Includes the access token, which `openSession` uses until it expires. */
  readonly credentials: Credentials
  readonly handle: Handle | undefined
  readonly requestedScope: string
  readonly grantedScope: string
  /** Requested scopes that were not granted: people can deny some on the consent screen. */
  readonly missingScopes: readonly string[]
  /** The missing scopes that the server does not support, and which nobody can have denied. */
  readonly unsupportedScopes: readonly string[]
  /** Requested permission sets (`include:`) from which nothing was granted. */
  readonly emptyIncludes: readonly string[]
  /** Permissions of the requested sets that were not granted, as far as the sets could be read before the sign-in. */
  readonly missingFromSets: readonly string[]
  /** Granted scopes that were not requested. */
  readonly unaskedScopes: readonly string[]
  /** What `authorize` was given as `appState`. */
  readonly appState?: string | undefined
}

/** How a session ended. */
export interface Ended extends Members<(typeof ended)['shape']> {}
const ended = v.object({
  at: timeSchema,
  reason: text,
  /** Exported to another program, with the refresh token that has this hash. */
  handedOver: text.optional(),
  /** The address of the vault that it was moved into. */
  movedTo: text.optional(),
  /** Revoked from here, as a {@link RevokedSession} says. */
  revoked: v.boolean().optional(),
})

/** What remains of a session that was revoked from here: copies of its tokens may be left elsewhere. Not secret. */
export interface RevokedSession extends Members<(typeof revokedSessionSchema)['shape']> {}
export const revokedSessionSchema = v.object({
  version: v.literal(1),
  /** RFC 7638 thumbprint of the DPoP key. */
  thumbprint: bytes32,
  at: timeSchema,
  /** How many refreshes there were, if that is known. */
  rotation: rotationSchema.optional(),
  did,
  /** Enough to start the same login again. */
  handle: handle.optional(),
  issuer: origin.optional(),
  /** The scope that the login requested. */
  scope: text.optional(),
  clientId: text.optional(),
  redirectUri: text.optional(),
})

/** A session as the per-user store keeps it. Secret. */
export interface SessionRecord extends Members<(typeof sessionRecordSchema)['shape']> {}
export const sessionRecordSchema = v.object({
  version: v.literal(1),
  /** RFC 7638 thumbprint of the DPoP key; also the name of the file. */
  thumbprint: bytes32,
  did,
  handle: handle.optional(),
  /** What the user calls the session, to tell it from others of its account. */
  name: text.optional(),
  /** The PDS. Before the first refresh, the server in the credentials, which may be the issuer. */
  pds: origin,
  /** Absent while it is unknown whether `pds` is the PDS or the issuer. */
  issuer: origin.optional(),
  clientId: text.optional(),
  /** For a hosted client, if known: another login needs it. */
  redirectUri: text.optional(),
  /** For a hosted client, if it differs from the granted scope. */
  requestedScope: text.optional(),
  /** For a confidential client, the key that this session is bound to. */
  clientKey: clientKeyNameSchema.optional(),
  /** Empty if not known. */
  scope: text,
  dpopPrivateJwk: privateJwkSchema,
  accessToken: text.optional(),
  accessTokenExpiresAt: timeSchema.optional(),
  refreshToken: text.optional(),
  /** When the person signed in, if that is known: by the issuer's clock, like `rotatedAt`. */
  createdAt: timeSchema.optional(),
  /** When `refreshToken` was issued, if that is known. */
  rotatedAt: timeSchema.optional(),
  /** Milliseconds by which the issuer's clock was ahead of the local clock at that time. */
  clockOffset: timeSchema.optional(),
  /**
   * Number of refreshes since the login, if known. It tells which of two tokens is newer, even if the clocks of two
   * machines differ.
   */
  rotation: rotationSchema.optional(),
  /** Hashes of the earlier refresh tokens: an environment that has one of them is outdated. */
  spentTokens: texts,
  /** A refresh that was sent, until its response is stored. */
  intent: v.object({ tokenHash: text, at: timeSchema }).optional(),
  /** Read from `ATPROTO_OAUTH_SESSION`, and saved as that. */
  bundled: v.boolean().optional(),
  /** Save targets that had the newest tokens at the last rotation. */
  savedTo: texts.optional(),
  /** Save targets that do not have the newest tokens yet. */
  undelivered: texts.optional(),
  /**
   * The hash of the newest refresh token, if only save targets are to have that. Until they do, `refreshToken` is here
   * as well.
   */
  tokenElsewhere: text.optional(),
  /** The address of the vault that the session is being moved into: until that is done, nothing else happens with it. */
  movingTo: text.optional(),
  /** Set if the server ended the session or it was exported; its tokens are removed. */
  ended: ended.optional(),
})
