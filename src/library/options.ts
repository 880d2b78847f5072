/**
 * The options of a client.
 */
import type { ClientJwk } from '../model.ts'
import type { Clock, Dns, SaveTarget, Stores, Timer } from '../ports.ts'
import type { SessionChange } from './changes.ts'

/** A vault: one home of sessions for many machines. */
export interface VaultOptions {
  /** Such as `git:https://github.com/alice/bot.git` or `rediss://redis.example.com`. */
  readonly address: string
  /** The key that was printed when the vault was made. Secret. */
  readonly key: string
}

export interface OAuthClientOptions {
  /** Directory for pending logins and sessions; by default the per-user store, which the commands use too. */
  readonly home?: string | undefined
  /** Stores of your own, or {@link memoryStores}. Cannot be used with `home` or `vault`. */
  readonly stores?: Stores | undefined
  /**
   * The vault to find and keep sessions in. By default the one that this user has chosen with the commands, if there is
   * one, beside the per-user store; `false` for none.
   */
  readonly vault?: VaultOptions | false | undefined
  /**
   * Where new and rotated credentials are saved: `store`, `vault`, `file:PATH`, `gh:…`, `exec:COMMAND`, or a
   * {@link SaveTarget} of your own. By default `store`, or `vault` if `vault` is set.
   */
  readonly save?: readonly (string | SaveTarget)[] | undefined
  /**
   * Sends all HTTP requests; by default a client that connects to public addresses only. It gets one URL and
   * `redirect: 'manual'`, and has to obey that: a followed redirect is an error. It sends each request once: one with a
   * refresh token that it retries ends the session.
   *
   * Still checked: https, the spelling of each host, timeouts, the size of responses. Not checked, and yours: whether the
   * name of a host leads to a private address (names come from untrusted documents), proxies, TLS, and the reuse of a
   * connection that the server is about to close.
   */
  readonly fetch?: ((url: URL, init: RequestInit) => Promise<Response>) | undefined
  /** Resolves TXT records, to find the DID of a handle; by default with the resolver of the system. */
  readonly resolveTxt?: Dns['resolveTxt'] | undefined
  /** The current time, and how to wait; by default those of Node. */
  readonly clock?: (Clock & Partial<Timer>) | undefined
  /** The `client_id` of a hosted client: the URL of its metadata document. By default a loopback client for each login. */
  readonly clientId?: string | undefined
  /** The private key of a confidential client (RFC 7517), with its published `kid`. Secret. */
  readonly clientKey?: ClientJwk | undefined
  /** By default `http://127.0.0.1/callback`, where nothing has to listen. */
  readonly redirectUri?: string | undefined
  /** Ends all operations of this client and its sessions; one that has begun to refresh saves its tokens first. */
  readonly signal?: AbortSignal | undefined
  /**
   * Called when this process has rotated the tokens of a session, or found that it has ended, after that was saved.
   * It is not awaited, and its errors are warnings. To keep tokens elsewhere, use a {@link SaveTarget}: it is awaited, and retried.
   */
  readonly onSessionChange?: ((change: SessionChange) => void) | undefined
  /** Called with a problem that does not stop the operation, in one sentence. It is not awaited, and its errors are ignored. */
  readonly onWarning?: ((message: string) => void) | undefined
  /** The passphrase of an encrypted store; by default the variable that the commands read. */
  readonly storeKey?: (() => Promise<string | undefined>) | undefined
  /** Origin of the PLC directory; by default `https://plc.directory`. */
  readonly plcUrl?: string | undefined
  /** Origin of an XRPC service to resolve handles with, instead of DNS and HTTPS. */
  readonly handleResolver?: string | undefined
  /** Development mode: allows `http:` and private addresses. Never derive this from a server response. */
  readonly dev?: boolean | undefined
}
