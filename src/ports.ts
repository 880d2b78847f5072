/**
 * Interfaces for all side effects of the core. Every effectful function takes only the ports
 * it needs, as its last argument; none has a default.
 */
import type { Fix } from './errors.ts'
import type {
  ClientJwk,
  ClientKeyName,
  Did,
  Nonces,
  PendingRecord,
  PrivateJwk,
  RevokedSession,
  SessionRecord,
  SpentAuthorization,
} from './model.ts'

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export interface Timer {
  /** @throws the `reason` of the signal, once that is aborted */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export interface Random {
  /** Cryptographically strong bytes. */
  randomBytes(length: number): Uint8Array
}

export interface Secp256k1 {
  /**
   * Signs with a secp256k1 key, which WebCrypto and jose do not support. Absent in a runtime that cannot do it: sessions
   * with such a key are rejected there.
   *
   * @returns the ES256K signature in 64 bytes (RFC 8812 §3.2)
   * @throws the private key does not belong to the public key; whatever is thrown is not shown
   */
  signEs256k?(jwk: PrivateJwk, data: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** What a runtime does faster than WebCrypto, which is used where it is absent. */
export interface FastCrypto {
  /**
   * A function that signs with a P-256 key.
   *
   * @returns the ES256 signature in 64 bytes
   * @throws the private key does not belong to the public key; whatever is thrown is not shown
   */
  readonly openEs256?: ((jwk: PrivateJwk) => (data: Uint8Array) => Uint8Array) | undefined
  readonly sha256?: ((data: Uint8Array) => Uint8Array) | undefined
  /** Encodes without padding (RFC 4648 §5). */
  readonly base64url?: ((data: Uint8Array) => string) | undefined
}

export type Body = string | Uint8Array | Blob | ReadableStream<Uint8Array>

/** Node loads its web streams when their name is first used, so that is avoided for text, bytes and nothing. */
export function isStream(body: unknown): body is ReadableStream<Uint8Array> {
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array) return false
  return body instanceof ReadableStream
}

export interface HttpInit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A stream can be sent only once. */
  readonly body?: Body | undefined
  /** Limits the whole exchange including the body, unless `streaming`. */
  readonly timeoutSeconds?: number | undefined
  /** Limits the wait for the headers and each pause in the body, but not the whole body. */
  readonly streaming?: boolean
  /** Limits each pause of the server; by default a minute. */
  readonly pauseSeconds?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Use a new connection: a server may close a kept connection just when it is used again. */
  readonly ownConnection?: boolean
  /**
   * Awaited when the connection stands, immediately before the request is sent. If it rejects, nothing was sent; what is
   * no `Error` is thrown as it is.
   */
  readonly beforeSend?: () => Promise<void>
}

/** The headers of a response. `Headers` fits. */
export interface HttpHeaders extends Iterable<[name: string, value: string]> {
  get(name: string): string | null
  has(name: string): boolean
}

/** To be read once. `ReadableStream` fits. */
export interface HttpBody {
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>
  /**
   * All of it in one step, where that takes less than to iterate. `undefined` as soon as it is larger than `largest`
   * bytes, and then it is cancelled.
   */
  read?(largest: number): Promise<Uint8Array | undefined>
  cancel(reason?: unknown): Promise<void>
}

/** `Response` fits. */
export interface HttpResponse {
  readonly status: number
  readonly statusText: string
  /** A status from 200 to 299. */
  readonly ok: boolean
  readonly headers: HttpHeaders
  readonly body: HttpBody | null
}

export interface Http {
  /**
   * One HTTP request; redirects are returned, not followed.
   *
   * @throws {OAuthError} `HOST_NOT_FOUND` and `NETWORK_UNREACHABLE`: the request was not sent (DNS, connect, TLS);
   *   `NETWORK_LOST`: it may have arrived (reset, timeout); `ADDRESS_REFUSED`: the address guard rejected the host; the
   *   `reason` of the signal, if that was aborted
   */
  fetch(url: URL, init?: HttpInit): Promise<HttpResponse>
  /**
   * Opens a connection to the server of the URL for a request that will probably follow, under the same rules, and sends
   * nothing on it. It saves time only: it throws and reports nothing, and may be absent.
   */
  connect?(url: URL, options: ConnectOptions): void
}

export interface ConnectOptions {
  /** For a request with `ownConnection`. */
  readonly ownConnection?: boolean
  /** Closes the connection if no request has used it. */
  readonly signal: AbortSignal
}

/** A request to a server of this process. */
export interface LocalRequest {
  readonly method: string
  /** Path and query, as sent. */
  readonly target: string
  /** By name in lower case, without those of the connection. */
  readonly headers: Readonly<Record<string, string>>
  /** A small body is read, a large one is a stream. To be called once. */
  body(): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined>
  /** In place of `body`, from somebody unknown: the connection is closed if it is late. One of more bytes is a stream. */
  smallBody(most: number): Promise<Uint8Array | ReadableStream<Uint8Array> | undefined>
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
}

/** A `Response` is one. */
export interface LocalResponse {
  readonly status: number
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | null
  /** To be called once the body has been sent, or is not needed. */
  readonly end?: () => void
}

export interface Dns {
  /**
   * The TXT records of a name, each as its chunks; none if the name or the type does not exist.
   * Any other failure rejects.
   */
  resolveTxt(name: string): Promise<string[][]>
}

/** The default PLC directory. */
export const PLC_DIRECTORY = 'https://plc.directory'

/** How identities are resolved, the client key, and whether `http:` and private addresses are allowed. */
export interface Settings {
  /** Origin of the PLC directory. */
  readonly plcUrl: string
  /** Origin of an XRPC service to ask instead of DNS and HTTPS. */
  readonly handleResolver?: string | undefined
  /** The private key of a confidential client. */
  readonly clientJwk?: ClientJwk | undefined
  readonly dev: boolean
}

export interface PendingStore {
  /**
   * Checks, before a login is started, that it can be stored.
   *
   * @throws {OAuthError} as `put`
   */
  prepare(): Promise<void>
  /** Durable when it resolves. Replaces the record with the same state. */
  put(record: PendingRecord): Promise<void>
  get(state: string): Promise<PendingRecord | undefined>
  /** Absent if the logins cannot be listed: a denial without a state then belongs to none. */
  list?(): Promise<PendingRecord[]>
  /**
   * Replaces the pending authorization with the same state by `record`. If several processes try, one succeeds. It also
   * reserves the space for one `put`, which must follow.
   *
   * @returns whether this process succeeded
   */
  claim(record: SpentAuthorization): Promise<boolean>
}

export interface SessionStore {
  read(thumbprint: string): Promise<SessionRecord | undefined>
  /** The sessions as this machine has seen them last; nothing is sent. Absent where `list` sends nothing either. */
  remembered?(): Promise<SessionRecord[]>
  /**
   * @param isAsked whether a session was missing in the last list: it is read again from where it is kept
   * @throws {OAuthError} with `isAsked`: one cannot be read, and may be the one that is missing
   */
  list(isAsked?: boolean): Promise<SessionRecord[]>
  /**
   * The only way to change a session. Runs `transaction` while no other process changes the session with this
   * thumbprint: two that send the same refresh token end the session. A store that cannot lock is for one process. Signals are delayed until the end. Where machines share the store, the transaction is run again if
   * another one came first; nothing was sent then.
   */
  update<T>(thumbprint: string, transaction: Transaction<T>): Promise<T>
  /**
   * Before a refresh token is sent: whether this machine knows the tokens to be an old copy, or the store to be one
   * from another machine. A store that is never copied has nothing to do.
   *
   * @throws {OAuthError} `SESSION_OUTDATED`, `STORE_COPIED`; nothing was sent
   */
  assertNewest(record: SessionRecord): Promise<void>
  /**
   * Milliseconds before an access token expires within which, at a random moment, a refresh begins; where many machines
   * share the session, so that one refreshes while the others still have a good token.
   */
  renewsEarlier?(thumbprint: string): number
  /** Whether the session with this key is kept where other machines use it too, and nowhere else. */
  isSharedSession?(thumbprint: string): boolean
  /** The key of a confidential client that is kept with the sessions, so that it need not be set on each machine. */
  clientKey?(clientId: string, name: ClientKeyName): Promise<ClientJwk | undefined>
  keepClientKey?(clientId: string, jwk: ClientJwk): Promise<void>
  /** What people call it, where it is not the per-user store: with its address. */
  place?(): Promise<string>
  /**
   * Checks, before a session is begun, that it can be stored.
   *
   * @throws {OAuthError} those of `update`
   */
  prepare?(): Promise<void>
  /** Says whose the store is, after it was moved here or when several machines share it; nothing to do if it does not matter. */
  adopt(adoption: Adoption): Promise<void>
  /** Records that the server has revoked a session. Best effort. */
  noteRevoked?(session: RevokedSession): Promise<void>
  /**
   * The sessions that were revoked from here, newest first.
   *
   * @param thumbprint only the session with this key
   */
  revoked?(thumbprint?: string): Promise<RevokedSession[]>
  /** The newest nonces for this key; losing them costs one round trip. */
  readNonces(thumbprint: string): Promise<Nonces>
  writeNonces(thumbprint: string, nonces: Nonces): Promise<void>
}

/** `moved`: only this machine uses the store from now on; `shared`: several do, on one file system. */
export type Adoption = 'moved' | 'shared'

export interface SessionTransaction {
  /** What is stored now. */
  readonly stored: SessionRecord | undefined
  /** Another machine is refreshing the session: an access token that still works is good enough. */
  readonly isBusy?: boolean
  /** How another machine calls itself that may have sent the token of the stored `intent`, and has stored no response. */
  readonly sentBy?: string | undefined
  /**
   * Waits while another machine is refreshing. Called before anything that only a refresh needs; afterwards the
   * transaction may be run again from its beginning.
   */
  awaitTurn?(): Promise<void>
  /**
   * Durable when it resolves; may be called more than once.
   *
   * @throws {OAuthError} `STORE_UNAVAILABLE`; `SESSION_BUSY` another process has taken over; after a record with an
   *   `intent`, `SAVE_FAILED`
   */
  commit(next: SessionRecord): Promise<void>
  /**
   * Removes the session and its nonces.
   *
   * @param isEnded it was ended at the server: no copy of it is worth protecting any more
   */
  forget(isEnded?: boolean): Promise<void>
  /**
   * Immediately before a token is sent: this process still has the session to itself, and what is stored is what it
   * read or committed last.
   *
   * @throws {OAuthError} `SESSION_BUSY` another process has taken over
   */
  confirm(): Promise<void>
}

export type Transaction<T> = (transaction: SessionTransaction) => Promise<T>

export interface Stores {
  readonly pending: PendingStore
  /** Where sessions are looked for. */
  readonly sessions: SessionStore
  /** The per-user store, if sessions are looked for elsewhere too. */
  readonly local?: SessionStore
  /** One home of sessions for many machines; present even if none is set, so that what needs it can say so. */
  readonly vault?: SessionStore
}

/** A save target outside the store for rotated credentials. */
export interface SaveTarget {
  /** Tells targets apart, and stays the same: the store records it as long as tokens are not saved there. */
  readonly name: string
  /** Whether the saved credentials outlive a CI job. */
  readonly durable: boolean
  /**
   * Saves the variables, which replace earlier ones with the same name; durable when it resolves. Called before a refresh
   * with the tokens as they are, and after it with the new ones.
   *
   * @throws anything: the operation throws `SAVE_FAILED` with its message, and the next one saves them first
   */
  save(entries: readonly (readonly [name: string, value: string])[]): Promise<void>
  /**
   * Runs `work` while no other process does so for this target, whichever store it uses. `confirm` is that of
   * {@link SessionTransaction}. With `read`, it lets processes that have stores of their own use one session. Without it,
   * two of them can send the same refresh token, which ends the session.
   *
   * @throws {OAuthError} `SESSION_BUSY`
   */
  lock?<T>(work: (held: Pick<SessionTransaction, 'confirm'>) => Promise<T>): Promise<T>
  /** The saved variables, if the target can be read. */
  read?(): Promise<Readonly<Record<string, string>> | undefined>
}

export interface Saving {
  /** Whether the per-user store is a save target: rotated credentials are kept there too. */
  readonly inStore: boolean
  /** Whether a new session goes into the vault, and nowhere else. */
  readonly inVault?: boolean
  /** Whether the per-user store keeps no refresh token that all targets have. */
  readonly withoutStore?: boolean
  readonly targets: readonly SaveTarget[]
  /** Opens a target by the name that an earlier run recorded. */
  open(name: string): SaveTarget
  /** Called before a refresh token is used; throws if the new one would be lost with this machine. */
  checkDurable(): void
}

export interface Notices {
  /** Reports a problem that does not stop the operation. */
  warn(message: string): void
}

/** For stores that do not see each other's records, and may have one session; and for what a store has failed to take. */
export interface RefreshedHere {
  /** By thumbprint; the session that was refreshed last comes last. */
  readonly refreshedHere?: Map<string, Refreshed> | undefined
}

/** The refreshes of a session in this process, and its export and revocation. */
export interface Refreshed {
  /** Those that are refreshing it, or wait for their turn. */
  callers: number
  /** Resolved when the last of them is done, with its failure if it has failed. */
  turn: Promise<unknown>
  /** The session with the newest tokens that were received, or without those that were handed over. */
  newest?: SessionRecord
}

export type Network = Http & Clock & Random & Secp256k1 & FastCrypto
export type IdentityPorts = Http & Dns & { readonly settings: Settings }
/** All ports, as `nodeRuntime()` returns them. */
export type Runtime = Network &
  Dns &
  Timer &
  Notices &
  RefreshedHere & { readonly settings: Settings; readonly stores: Stores; readonly saving: Saving }
export type { Did }

/** The finding of one check of `doctor`. */
export interface Finding {
  /** What was checked, in one or two words. */
  readonly topic: string
  /** `warning`: it works, but should be corrected. */
  readonly verdict: 'ok' | 'warning' | 'broken'
  /** May contain text from a server. */
  readonly detail: string
  readonly fix?: Fix | undefined
  readonly milliseconds: number
}
