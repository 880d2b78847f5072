/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A session as programs use it.
 */
import { listOf, type Refusal, pages as readPages } from '../call/paginate.ts'
import { callWithRetry } from '../call/retry.ts'
import { type AtcuteSession, toAtcuteSession } from '../credentials/atcute-session.ts'
import { type NodeSession, toNodeSession } from '../credentials/node-session.ts'
import { keepName, OAuthError } from '../errors.ts'
import type { BlobRef } from '../lexicon-types.ts'
import type { Completed, Credentials, Did, Handle } from '../model.ts'
import type { Body, Runtime } from '../ports.ts'
import type { SignedHeaders } from '../protocol/oauth/dpop-fetch.ts'
import { readXrpcError } from '../protocol/xrpc/error.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { explainAccountState } from '../session/account-state.ts'
import { orAborted, type SessionInit } from '../session/body.ts'
import { exportSession } from '../session/export.ts'
import { revocationUnconfirmed, revoke } from '../session/revoke.ts'
import type { Session } from '../session/session.ts'
import { type SessionStatus, statusOf } from '../session/status.ts'
import { toCredentials } from '../session/token-family.ts'
import type {
  ItemOf,
  ItemOptions,
  PageOptions,
  ProcedureArguments,
  ProcedureName,
  ProcedureOptions,
  ProcedureOutput,
  QueryArguments,
  QueryName,
  QueryOutput,
} from './method-types.ts'
import { type CallOptions, readOutput, requestFor } from './request.ts'
import { join, releasing } from './signals.ts'
import { XrpcError } from './xrpc-error.ts'

export interface SignalOption {
  /** Ends the wait for this operation. A refresh that has begun goes on: its token can be sent only once. */
  readonly signal?: AbortSignal | undefined
}

export interface UploadOptions extends CallOptions {
  /** Such as `image/png`; by default the type of the `Blob`. */
  readonly mimeType?: string | undefined
}

export interface RefreshOptions extends SignalOption {
  /** Skip the refresh if the last one is more recent than this. */
  readonly ifOlderThanSeconds?: number | undefined
}

export interface LeaseOptions extends SignalOption {
  /** Refresh first if the access token expires sooner; by default 600. */
  readonly atLeastSeconds?: number | undefined
}

export interface HandOverOptions extends SignalOption {
  /** Keep the session here too. Two owners end a session: the second to refresh sends a spent token. */
  readonly keep?: boolean | undefined
}

/** The session format of another library, for {@link OAuthSession.handOver}. */
export interface SessionFormats {
  readonly 'oauth-client-node': NodeSession
  readonly atcute: AtcuteSession
}

/** What a login has requested and received. */
export type Login = Omit<Completed, 'credentials'>

/**
 * What a session is made of.
 *
 * @internal
 */
export interface OpenedSession {
  readonly session: Session
  readonly runtime: Runtime
  /** That of the client. */
  readonly signal: AbortSignal | undefined
  readonly login?: Login | undefined
}

const LEASE = 600

/**
 * A session in use: requests to the account's own PDS, signed, and refreshed when needed. Created by `callback`,
 * `restore` and `importSession` of {@link OAuthClient}.
 *
 * It holds no timer and no listener, and needs no end. `await using session = …` waits for a refresh that is under way.
 *
 * All methods throw {@link OAuthError}: `NETWORK_UNREACHABLE` and `HOST_NOT_FOUND` if nothing was sent, `NETWORK_LOST` if
 * the request may have arrived, `SESSION_DEAD` and the other codes of a refresh, or the `reason` of an aborted signal.
 */
export class OAuthSession {
  static {
    keepName(OAuthSession, 'OAuthSession')
  }

  /** The account. */
  readonly did: Did
  /** Of a session that `callback` returned: which permissions were granted. */
  readonly login: Login | undefined
  /**
   * As `fetch`, for paths on the PDS that begin with `/xrpc/`. With it, a session is a `SessionManager` of `@atproto/api`:
   * `new Agent(session)`. The response is returned unchanged, whatever its status; its body is a stream, which has to be
   * read or cancelled. It can be used without the session object.
   *
   * @param path path and query
   */
  readonly fetchHandler: (path: string, init?: SessionInit) => Promise<Response>
  /** `fetchHandler` under the name that `@atcute/client` uses: `new Client({ handler: session })`. */
  readonly handle: (path: string, init?: SessionInit) => Promise<Response>

  readonly #session: Session
  readonly #runtime: Runtime
  readonly #signal: AbortSignal | undefined

  /** @internal */
  constructor({ session, runtime, signal, login }: OpenedSession) {
    this.did = session.did
    this.login = login
    this.#session = session
    this.#runtime = runtime
    this.#signal = signal
    this.fetchHandler = async (path, init = {}) => {
      const joined = join(signal, init.signal)
      try {
        const given = joined.signal ? { ...init, signal: joined.signal } : init
        return releasing(await session.fetchHandler(path, given), joined)
      } catch (error) {
        joined.release()
        throw error
      }
    }
    this.handle = this.fetchHandler
  }

  /** Account, server, permissions and deadlines, as this process knows them. Not secret. */
  get status(): SessionStatus {
    return statusOf(this.#session.record(), this.#runtime.now())
  }

  /**
   * The account's handle as it resolves now, in both directions; the last known one where it cannot be resolved.
   * `undefined`: the account has no valid handle.
   */
  currentHandle({ signal }: SignalOption = {}): Promise<Handle | undefined> {
    return this.#until(signal, () => this.#session.currentHandle())
  }

  /**
   * Calls a query (GET). Retried after a gateway error.
   *
   * @param nsid such as `app.bsky.actor.getProfile`
   * @returns the JSON of the response, typed for published methods; `Uint8Array` for other media types
   * @throws {XrpcError} the server returned an error
   * @see https://atproto.com/specs/xrpc
   */
  async query<Name extends QueryName>(nsid: Name, ...args: QueryArguments<Name>): Promise<QueryOutput<Name>> {
    const [params, options = {}] = args as [object?, CallOptions?]
    return (await this.#call(requestFor(nsid, { ...(params && { params }) }, options), options)) as QueryOutput<Name>
  }

  /**
   * Calls a procedure (POST). Never repeated, except after a rate limit with `wait`.
   *
   * @param nsid such as `com.atproto.repo.createRecord`
   * @param args the input as a plain object, and options
   * @returns the JSON of the response, typed for published methods; `undefined` if it is empty
   * @throws {XrpcError} the server returned an error
   */
  async procedure<Name extends ProcedureName>(
    nsid: Name,
    ...args: ProcedureArguments<Name>
  ): Promise<ProcedureOutput<Name>> {
    const [input, options = {}] = args as [unknown, ProcedureOptions?]
    const params = (options as { readonly params?: object }).params
    const request = requestFor(nsid, { ...(params && { params }), input, isProcedure: true }, options)
    return (await this.#call(request, options)) as ProcedureOutput<Name>
  }

  /**
   * Uploads a file with `com.atproto.repo.uploadBlob`.
   *
   * @param data a stream can be sent only once, and is not retried
   * @returns the reference to put into a record; without one, the server deletes the file after a while
   * @throws {XrpcError}
   */
  async upload(data: Body | ArrayBuffer, { mimeType, ...options }: UploadOptions = {}): Promise<BlobRef> {
    const headers = { ...options.headers, ...(mimeType !== undefined && { 'content-type': mimeType }) }
    const nsid = 'com.atproto.repo.uploadBlob'
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const request = requestFor(nsid, { input: bytes, isProcedure: true }, { ...options, headers })
    const output = (await this.#call(request, options)) as { readonly blob?: BlobRef } | undefined
    if (output?.blob !== undefined) return output.blob
    throw new OAuthError('RESPONSE_INVALID', `${nsid} returned no blob`)
  }

  /**
   * The pages of a query, from its `cursor` on. Each is requested when it is asked for.
   *
   * @throws {XrpcError} the pages before are good
   * @see https://atproto.com/specs/xrpc#cursors-and-pagination
   */
  async *paginate<Name extends QueryName>(
    nsid: Name,
    ...args: QueryArguments<Name, PageOptions>
  ): AsyncGenerator<QueryOutput<Name>, void, undefined> {
    const [params, options = {}] = args as [object?, PageOptions?]
    const request = requestFor(nsid, { ...(params && { params }) }, options)
    const joined = join(this.#signal, options.signal)
    const onRefusal = async (body: string, refusal: Refusal) => {
      throw await this.#refused(request, refusal, body)
    }
    const paging = { limitPages: options.limitPages, retry: { wait: options.wait === true }, onRefusal }
    try {
      joined.signal?.throwIfAborted()
      const sent = { ...request, signal: joined.signal }
      for await (const page of readPages(this.#session, sent, paging, this.#runtime)) {
        yield page.json as QueryOutput<Name>
      }
    } finally {
      joined.release()
    }
  }

  /**
   * The items of all pages of a query, one after the other.
   *
   * @throws {XrpcError} the items before are good
   * @throws {OAuthError} `USAGE` the response has several lists: name one with `list`
   */
  async *items<Name extends QueryName>(
    nsid: Name,
    ...args: QueryArguments<Name, ItemOptions>
  ): AsyncGenerator<ItemOf<QueryOutput<Name>>, void, undefined> {
    const [, { list } = {}] = args as [object?, ItemOptions?]
    for await (const page of this.paginate(nsid, ...(args as QueryArguments<Name, PageOptions>))) {
      yield* listOf({ json: page as Readonly<Record<string, unknown>> }, list) as ItemOf<QueryOutput<Name>>[]
    }
  }

  /**
   * Headers that authorize one request of another tool to the account's PDS. They are valid once and for about a minute.
   * Secret.
   *
   * @param url absolute, on the PDS: `session.status.pds` is its origin
   * @throws {OAuthError} `USAGE` for another server
   * @see https://www.rfc-editor.org/rfc/rfc9449.html
   */
  proof(method: string, url: string | URL, { signal }: SignalOption = {}): Promise<SignedHeaders> {
    return this.#until(signal, () => this.#session.proof(method, String(url)))
  }

  /**
   * The access token with its key, without the refresh token: for other processes, which use it until it expires, after
   * at most an hour. {@link OAuthClient.restore} opens it, and {@link formatCredentials} writes it. On a self-hosted PDS, the next
   * refresh of this session ends it at once. Secret.
   */
  lease({ atLeastSeconds = LEASE, signal }: LeaseOptions = {}): Promise<Credentials> {
    return this.#until(signal, () => this.#session.lease(atLeastSeconds))
  }

  /**
   * Refreshes the tokens now and saves them. Requests do this when it is needed.
   *
   * @throws {OAuthError} `SESSION_DEAD`, `SESSION_NOT_REFRESHABLE`, `REFRESH_AMBIGUOUS`, `SAVE_FAILED` and others
   */
  async refresh({ ifOlderThanSeconds, signal }: RefreshOptions = {}): Promise<void> {
    await this.#until(signal, () => this.#session.refresh(ifOlderThanSeconds))
  }

  /**
   * The session as a plain object for `JSON.stringify`, without the access token unless there is nothing else. It is a
   * copy: the store keeps the session, and {@link OAuthClient.restore} uses the newer of both. Secret.
   */
  export(): Credentials {
    const record = this.#session.record()
    const { refreshToken, accessToken, accessTokenExpiresAt } = record
    return refreshToken === undefined
      ? { ...toCredentials(record), accessToken, accessTokenExpiresAt }
      : toCredentials(record)
  }

  /**
   * Gives the session to another library, in the format of its session store, and removes it here: a refresh token works
   * once, so a session has one owner. That library has to use the same client_id, `session.status.clientId`.
   *
   * @param write stores the value under its DID; the session is removed here when this resolves, and kept when it rejects
   * @throws {OAuthError} `CREDENTIALS_INCOMPLETE` for a lease, and those of a refresh
   */
  async handOver<Format extends keyof SessionFormats>(
    format: Format,
    write: (value: SessionFormats[Format]) => unknown,
    { keep, signal }: HandOverOptions = {},
  ): Promise<void> {
    const convert = (format === 'atcute' ? toAtcuteSession : toNodeSession) as (
      credentials: Credentials,
    ) => SessionFormats[Format]
    const hand = async (value: SessionFormats[Format]) => void (await write(value))
    await this.#until(signal, () => exportSession(this.#session, hand, { keep, convert }, this.#runtime))
  }

  /**
   * Revokes the session at the server and removes it here. Leases end too: at once on a self-hosted PDS, elsewhere within
   * an hour.
   *
   * @throws {OAuthError} `REVOCATION_UNCONFIRMED`: it was removed here, but the server has not confirmed that it has
   *   ended; `SESSION_MISSING`, `SESSION_DEAD`: it had ended before
   */
  async signOut({ signal }: SignalOption = {}): Promise<void> {
    const { outcome } = await this.#until(signal, () => revoke(this.#session.record(), this.#runtime))
    if (outcome !== 'revoked') throw revocationUnconfirmed([outcome])
  }

  /** Resolves when no refresh is under way. The session can still be used. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.settled()
  }

  async #until<T>(given: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { signal, release } = join(this.#signal, given)
    try {
      signal?.throwIfAborted()
      return await orAborted(work(), signal)
    } finally {
      release()
    }
  }

  async #call(request: XrpcRequest, { signal, wait = false }: CallOptions): Promise<unknown> {
    const joined = join(this.#signal, signal)
    try {
      joined.signal?.throwIfAborted()
      const sent = { ...request, signal: joined.signal }
      const response = await callWithRetry(this.#session, sent, { wait }, this.#runtime)
      if (response.ok) return await readOutput(request.nsid, response)
      const { error, body } = await readXrpcError(request, response, this.#session.record(), this.#runtime.now())
      throw await this.#refused(request, { error, response }, body)
    } finally {
      joined.release()
    }
  }

  /** The error of a method, with what the account's state has to do with it. */
  async #refused(request: XrpcRequest, { error, response }: Refusal, body: string): Promise<XrpcError> {
    const explained = await explainAccountState(error, request, this.#session.record(), this.#runtime)
    const { status, headers } = response
    return new XrpcError(explained, { status, error: errorName(body), headers: new Headers([...headers]) })
  }
}

function errorName(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown }
    return typeof error === 'string' ? error : undefined
  } catch {
    return undefined
  }
}
