/**
 * The nouns: Identity → AuthorizationServer → PendingAuthorization → Callback →
 * TokenSet → Credentials → Session. Documents of RFCs keep their snake_case.
 *
 * What is stored is described by a schema, and its type follows from that. These schemas check and change nothing, so
 * that `{ mode: 'passthrough' }` gives back the very object: members that a newer version has added are not lost when a
 * record is written again.
 */
import * as v from '@badrap/valita'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** Checked by syntax.ts. Spelled out so that other libraries' types of a DID take it as it is. */
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
/** Milliseconds since the epoch, or between two times: as far as a Date reaches. */
export const timeSchema = v.number().assert((milliseconds) => Math.abs(milliseconds) <= 8.64e15)
/** How many refreshes there were since the login. */
export const rotationSchema = v.number().assert(Number.isSafeInteger)
/** base64url of 32 bytes: a coordinate of a P-256 key, or a SHA-256 hash such as a thumbprint. */
const bytes32 = text.assert((value) => /^[A-Za-z0-9_-]{43}$/.test(value))
// syntax.ts checked these three in full before they were stored; their form is enough to notice what was edited since.
const did = text.assert((value): value is Did => /^did:(?:plc:[a-z2-7]{24}|web:[a-z0-9.-]+(?:%3A\d+)?)$/.test(value))
const handle = text.assert((value): value is Handle => /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(value))
const origin = text.assert(
  (value): value is Origin => /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value,
)

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
export interface PrivateJwk extends Members<(typeof privateJwkSchema)['shape']> {}
export const privateJwkSchema = v.object({
  kty: v.literal('EC'),
  crv: v.literal('P-256'),
  x: bytes32,
  y: bytes32,
  d: bytes32,
})

/** The private key of a confidential client, as published at its `client_id` by its `kid` (RFC 7517 §4.5). */
export interface ClientJwk extends PrivateJwk {
  readonly kid: string
}

/** Which key a confidential client has made a session with: the session is bound to it. Its thumbprint is that of RFC 7638. Not secret. */
export interface ClientKeyName extends Members<(typeof clientKeyNameSchema)['shape']> {}
export const clientKeyNameSchema = v.object({
  kid: text,
  thumbprint: bytes32,
})

/** Newest `DPoP-Nonce` by origin. */
export type Nonces = Immutable<v.Infer<typeof nonces>>
const nonces = v.record(text)

/** What keeps a session going; what `complete` gives and the environment holds. Secret. */
export interface Credentials extends Members<(typeof credentialsSchema)['shape']> {}
export const credentialsSchema = v.object({
  did,
  /** Bound to the refresh token, and needed only with one. */
  clientId: text.optional(),
  /** Of a confidential client, if it is known. */
  clientKey: clientKeyNameSchema.optional(),
  dpopPrivateJwk: privateJwkSchema,
  /** The account's PDS, or on input its authorization server; a leased access token can do without. */
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
  /** How many refreshes there were since the login, if that is known. */
  rotation: rotationSchema.optional(),
  /** They came as `ATPROTO_OAUTH_SESSION`, and have to be saved as that. */
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
  codeVerifier: text,
  /** Absent for a public client. */
  clientKey: clientKeyNameSchema.optional(),
  dpopPrivateJwk: privateJwkSchema,
  /** The account the login was started for; absent when it was started from a server. */
  did: did.optional(),
  handle: handle.optional(),
  nonces,
  /** Hashes of codes that the server has refused: a cut-off paste may be followed by a whole one. */
  refusedCodes: texts.optional(),
  createdAt: timeSchema,
  /** When the pushed request expires, unless the sign-in page was opened before. */
  requestExpiresAt: timeSchema,
  /** When we stop waiting for the callback. */
  expiresAt: timeSchema,
})

/** What is left of a pending authorization after its code was sent. Not secret. */
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
  at: timeSchema,
})

/** What came back for the code, until it has reached the place where it is wanted. Secret. */
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

/** RFC 6749 §5.1, judged. */
export interface TokenSet {
  readonly accessToken: string
  /** Milliseconds since the epoch; absent when the server did not say. */
  readonly accessTokenExpiresAt?: number | undefined
  readonly refreshToken?: string | undefined
  readonly sub: Did
  readonly scope: string
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

/** How a session ended. */
export interface Ended extends Members<(typeof ended)['shape']> {}
const ended = v.object({
  at: timeSchema,
  reason: text,
  /** It lives on in another program, which was given the refresh token with this hash. */
  handedOver: text.optional(),
})

/** A session as the per-user store keeps it. Secret. */
export interface SessionRecord extends Members<(typeof sessionRecordSchema)['shape']> {}
export const sessionRecordSchema = v.object({
  version: v.literal(1),
  /** RFC 7638 thumbprint of the DPoP key; also the name of the file. */
  thumbprint: bytes32,
  did,
  handle: handle.optional(),
  /** Once there was a refresh, the PDS; before, what the credentials gave for it, maybe its issuer. */
  pds: origin,
  /** Absent as long as it is not known which of the two `pds` is. */
  issuer: origin.optional(),
  clientId: text.optional(),
  /** Of a confidential client: the key that the server holds this session to. */
  clientKey: clientKeyNameSchema.optional(),
  /** Empty if not known. */
  scope: text,
  dpopPrivateJwk: privateJwkSchema,
  accessToken: text.optional(),
  accessTokenExpiresAt: timeSchema.optional(),
  refreshToken: text.optional(),
  /** When the person signed in, if that is known. */
  createdAt: timeSchema.optional(),
  /** When `refreshToken` was issued, if that is known. */
  rotatedAt: timeSchema.optional(),
  /** Milliseconds by which the issuer's clock was ahead of ours then. */
  clockOffset: timeSchema.optional(),
  /**
   * How many refreshes there were since the login, if that is known. Says which of two tokens is the newer one, which
   * the clocks of two machines do not.
   */
  rotation: rotationSchema.optional(),
  /** Hashes of the refresh tokens before this one: an environment that still has one of them is old. */
  spentTokens: texts,
  /** A refresh that was sent, until its response is stored. */
  intent: v.object({ tokenHash: text, at: timeSchema }).optional(),
  /** The credentials came, and are saved, as `ATPROTO_OAUTH_SESSION`. */
  bundled: v.boolean().optional(),
  /** Save targets that had the newest tokens at the last rotation. */
  savedTo: texts.optional(),
  /** Save targets that do not have the newest tokens yet. */
  undelivered: texts.optional(),
  /** Set if the server ended the session or it was exported; its tokens are removed. */
  ended: ended.optional(),
})
