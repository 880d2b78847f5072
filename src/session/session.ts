/**
 * A session in use: requests to the account's own PDS, signed, and refreshed when needed.
 */

import { OAuthError } from '../errors.ts'
import type { Credentials, Did, Handle, Nonces, Origin, SessionRecord } from '../model.ts'
import { type Body, type HttpResponse, isStream } from '../ports.ts'
import { toResponse } from '../protocol/http/http-response.ts'
import { type WithServerClocks, withServerClocks } from '../protocol/http/server-clock.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import { assertSigns, type DpopKey, importDpopKey } from '../protocol/oauth/dpop.ts'
import { createDpopFetch, type SignedHeaders, type SigningFetch } from '../protocol/oauth/dpop-fetch.ts'
import { maySayExpiredToken, saysExpiredToken } from '../protocol/xrpc/error.ts'
import { methodWarning } from '../protocol/xrpc/lexicons.ts'
import { buildXrpcRequest, proxyAdvice, type XrpcRequest } from '../protocol/xrpc/request.ts'
import { currentHandle } from './account.ts'
import { orAborted, repeatable, type SendInit, type SessionInit, timeoutFor } from './body.ts'
import { type IsGood, isForTargetsOnly, isFresh, stillWorks } from './freshness.ts'
import type { RefreshPorts } from './ports.ts'
import { type Send, withPriming } from './priming.ts'
import { proofFor } from './proof.ts'
import { refresh } from './refresh.ts'
import { serverTime } from './server-time.ts'
import { toCredentials } from './token-family.ts'

/** Milliseconds; a younger token cannot have expired. */
const JUST_NOW = 60_000

/** Created by `openSession` and `openStoredSession`. */
export class Session {
  readonly did: Did
  /**
   * Sends one request to the account's PDS. With it, a session is a `SessionManager` of `@atproto/api`: `new
   * Agent(session)`. A response is returned unchanged, whatever its status; headers such as `atproto-proxy` are passed
   * on. It can be used without the session object: it does not use `this`.
   *
   * @param path path and query, beginning with `/xrpc/`
   * @throws {OAuthError} `SESSION_DEAD` and the other codes of a refresh; those of the `Http` port
   */
  readonly fetchHandler: (path: string, init?: SessionInit) => Promise<Response>
  /** `fetchHandler` under the name that `@atcute/client` uses: `new Client({ handler: session })`. */
  readonly handle: (path: string, init?: SessionInit) => Promise<Response>

  readonly #ports: RefreshPorts & WithServerClocks
  readonly #dpopFetch: SigningFetch
  readonly #primed: Send
  #record: SessionRecord
  /** The access token of the last refresh by this process, or the newer one that it found in the store. */
  #refreshed: string | undefined
  /** Whether `#record.pds` is known to be the PDS: for a leased access token, only the DID document tells. */
  #isLocated: boolean
  /** Whether a refresh token was looked for that is not to stay in the store. */
  #isStoreChecked = false
  /** The newest nonces, and those of the store. */
  #nonces: Nonces
  #storedNonces: Nonces
  /** The servers of which a nonce was stored since the last refresh. */
  readonly #nonceStoredFor = new Set<string>()

  readonly #refreshes = new Set<Promise<void>>()
  #refreshFailure: unknown
  /** The last URL: many requests in a row have the same. */
  #asked: { readonly path: string; readonly pds: Origin; readonly url: URL } | undefined
  /** Methods of which a warning was given. */
  readonly #warnedOf = new Set<string>()

  private constructor(
    record: SessionRecord,
    { key, nonces }: { readonly key: DpopKey; readonly nonces: Nonces },
    ports: RefreshPorts & WithServerClocks,
  ) {
    this.did = record.did
    this.#ports = ports
    this.#record = record
    this.#isLocated = record.issuer !== undefined
    this.#nonces = nonces
    this.#storedNonces = nonces
    const onNonces = (changed: Nonces) => {
      this.#nonces = changed
    }
    this.#dpopFetch = createDpopFetch(key, { nonces, onNonces }, ports)
    this.#primed = withPriming((path, init, body) => this.#request(path, init, body), ports)
    this.fetchHandler = async (path, init = {}) => {
      const headers = Object.fromEntries(new Headers(init.headers ?? {}))
      return toResponse(await this.#primed(path, { ...init, headers }, await repeatable(init.body)))
    }
    this.handle = this.fetchHandler
  }

  /**
   * @param record the newest known state
   * @throws {OAuthError} `CREDENTIALS_INVALID` its key is not usable
   */
  static async create(record: SessionRecord, ports: RefreshPorts): Promise<Session> {
    const nonces = await ports.stores.sessions.readNonces(record.thumbprint)
    const key = await importDpopKey(record.dpopPrivateJwk, ports)
    await assertSigns(key, ports)
    return new Session(record, { key, nonces }, withServerClocks(ports))
  }

  /**
   * The handle in the DID document at the last refresh, or at the login, if the login was started from a handle. It may
   * be another account's by now: {@link currentHandle} is this account's.
   */
  get accountHandle(): Handle | undefined {
    return this.#record.handle
  }

  /**
   * The handle that the DID document names and that leads back to the DID. Where it cannot be resolved, the last known
   * one, with a warning.
   */
  currentHandle(): Promise<Handle | undefined> {
    return currentHandle(this.#record, this.#ports)
  }

  /** The session as this process knows it now. Secret. */
  record(): SessionRecord {
    return this.#record
  }

  /**
   * Refreshes the tokens and saves them.
   *
   * @param ifOlderThanSeconds skip the refresh if the last one is more recent than this
   * @throws {OAuthError} as `fetchHandler`, and `SAVE_FAILED`, `SAVE_TARGET_MISSING`
   */
  async refresh(ifOlderThanSeconds = 0): Promise<Credentials> {
    const asked = this.#ports.now()
    const { rotatedAt: before } = this.#record
    await this.#refreshUnless((newer) => {
      const time = serverTime(newer, asked)
      if (newer.rotatedAt === undefined || time === undefined) return false
      // Also one that began before this call and has ended since: all its callers share it.
      const isSince = newer.rotatedAt !== before && newer.rotatedAt >= time
      return isSince || newer.rotatedAt > time - ifOlderThanSeconds * 1000
    })
    return toCredentials(this.#record)
  }

  /**
   * Resolves when no refresh is in progress, including one whose callers have given up.
   *
   * @returns the failure of the last refresh, if it failed
   */
  async settled(): Promise<unknown> {
    while (this.#refreshes.size > 0) await Promise.allSettled(this.#refreshes)
    return this.#refreshFailure
  }

  /**
   * An access token for other processes, with its DPoP key and without the refresh token.
   *
   * @param atLeastSeconds refresh first if the token expires before that. Where no token lasts that long, refresh first if
   *   a quarter of its lifetime has passed.
   * @throws {OAuthError} as `refresh`
   */
  async lease(atLeastSeconds: number): Promise<Credentials> {
    const lasts = (newer: SessionRecord) => isFresh(newer, this.#ports, atLeastSeconds)
    if (!lasts(this.#record) || this.#record.undelivered) await this.#refreshUnless(lasts)
    const { did, dpopPrivateJwk, pds, issuer, accessToken, accessTokenExpiresAt, scope, thumbprint } = this.#record
    return { did, dpopPrivateJwk, server: pds, issuer, accessToken, accessTokenExpiresAt, scope, thumbprint }
  }

  /**
   * Sends one XRPC request.
   *
   * @throws {OAuthError} `NSID_INVALID`, `USAGE`, and as `fetchHandler`
   */
  async call(request: XrpcRequest): Promise<Response> {
    return toResponse(await this.send(request))
  }

  /**
   * As `call`, with the response as the `Http` port returns it.
   *
   * @internal
   */
  send(request: XrpcRequest): Promise<HttpResponse> {
    const { path, method, headers, body } = buildXrpcRequest(request, this.did)
    const advice = proxyAdvice(request)
    if (advice !== undefined) this.#ports.warn(advice)
    const warning = methodWarning(request.nsid)
    if (warning !== undefined && !this.#warnedOf.has(request.nsid)) {
      this.#warnedOf.add(request.nsid)
      this.#ports.warn(`${request.nsid}: ${warning}`)
    }
    const { timeoutSeconds, signal, startSignal } = request
    return this.#primed(path, { method, headers, timeoutSeconds, signal, startSignal }, body)
  }

  /**
   * Signs one request of another tool to the account's PDS. The headers are valid once and for about a minute. Secret.
   *
   * @throws {OAuthError} `USAGE` for another server, `XRPC_ERROR` and similar ones, and as `fetchHandler`
   */
  proof(method: string, url: string): Promise<SignedHeaders> {
    const session = {
      record: () => this.#record,
      query: (path: string) => this.#primed(path, {}, undefined),
      locate: () => this.#locate(),
      sign: this.#dpopFetch.headersFor,
    }
    return proofFor(session, { method, url }, this.#ports)
  }

  /** Sends a request, and retries with a newer token if the PDS rejects the token as expired. */
  async #request(path: string, init: SendInit, body: Body | undefined): Promise<HttpResponse> {
    // Whoever has given up starts no refresh.
    init.signal?.throwIfAborted()
    const preparing = this.#prepare()
    if (preparing) await orAborted(preparing, init.signal)
    init.startSignal?.throwIfAborted()
    const used = this.#record.accessToken
    try {
      const first = await this.#send(path, init, body)
      if (!maySayExpiredToken(first)) return first
      const { isExpired, response } = await saysExpiredToken(first)
      if (!isExpired) return response
      init.signal?.throwIfAborted()
      await orAborted(this.#refreshRefused(used), init.signal)
      if (this.#record.accessToken === used || isStream(body)) return response
      await response.body?.cancel()
      init.startSignal?.throwIfAborted()
      return await this.#send(path, init, body)
    } finally {
      if (this.#nonces !== this.#storedNonces) await this.#storeNonces()
    }
  }

  /** @returns nothing if a request can be sent at once */
  #prepare(): Promise<void> | undefined {
    const mayBeStored = !this.#isStoreChecked && isForTargetsOnly(this.#ports.saving.targets, this.#ports)
    const isKept = mayBeStored && this.#keepsToken()
    if (!isFresh(this.#record, this.#ports) || this.#record.undelivered || isKept) {
      return this.#refreshUnless(
        (newer, isBusy) => isFresh(newer, this.#ports) || (isBusy === true && stillWorks(newer, this.#ports)),
      ).then(() => {
        this.#isLocated = true
        this.#isStoreChecked = true
      })
    }
    this.#isStoreChecked = true
    if (this.#isLocated) return undefined
    return this.#locate().then((pds) => {
      this.#record = { ...this.#record, pds }
      this.#isLocated = true
    })
  }

  /** Its refresh token may be in the store, where it is not to stay. */
  #keepsToken(): boolean {
    const { refreshToken, tokenElsewhere, thumbprint } = this.#record
    const isShared = this.#ports.stores.sessions.isSharedSession?.(thumbprint) === true
    return refreshToken !== undefined && tokenElsewhere === undefined && !isShared
  }

  #send(path: string, init: SendInit, body: Body | undefined): Promise<HttpResponse> {
    return this.#dpopFetch(this.#urlOf(path), {
      method: (init.method ?? 'GET').toUpperCase(), // as fetch sends it, and the proof has to say the same
      headers: init.headers ?? {},
      accessToken: this.#record.accessToken,
      body,
      signal: init.signal ?? undefined,
      streaming: true,
      timeoutSeconds: init.timeoutSeconds ?? timeoutFor(body),
      pauseSeconds: init.timeoutSeconds,
    })
  }

  #urlOf(path: string): URL {
    const { pds } = this.#record
    if (this.#asked?.path === path && this.#asked.pds === pds) return this.#asked.url
    const url = new URL(path, pds)
    if (url.origin !== pds || !url.pathname.startsWith('/xrpc/')) {
      throw new OAuthError('USAGE', 'a session can only send requests to /xrpc/ on its own PDS')
    }
    this.#asked = { path, pds, url }
    return url
  }

  /** Refreshes after the PDS has rejected this token. */
  async #refreshRefused(refused: string | undefined): Promise<void> {
    await this.#refreshUnless((newer) =>
      refused !== undefined && newer.accessToken === refused
        ? this.#isJustRefreshed(newer)
        : isFresh(newer, this.#ports),
    )
  }

  /**
   * If a new token is rejected, the cause is mostly a clock or a proxy: a refresh would spend a token for each request, and
   * not help. If the session was revoked from this machine or in its vault, the store tells that before this is asked.
   * One that ended elsewhere within this minute is the price: its requests get the 401 of the PDS until the minute is
   * over, and SESSION_DEAD then. A token from an earlier process may be rejected because the session has ended since, which
   * only a refresh reveals. Ages are measured with the servers' clocks, because the local clock may have been changed.
   */
  #isJustRefreshed({ accessToken, rotatedAt, pds }: SessionRecord): boolean {
    if (accessToken !== this.#refreshed || rotatedAt === undefined) return false
    return Math.abs(this.#dpopFetch.now(pds) - rotatedAt) < JUST_NOW
  }

  #refreshUnless(isGood: IsGood): Promise<void> {
    const refreshed = this.#refreshOnce(isGood)
      .then(
        () => {
          this.#refreshFailure = undefined
        },
        (failure: unknown) => {
          this.#refreshFailure = failure
          throw failure
        },
      )
      .finally(() => this.#refreshes.delete(refreshed))
    this.#refreshes.add(refreshed)
    return refreshed
  }

  async #refreshOnce(isGood: IsGood): Promise<void> {
    const { accessToken } = this.#record
    try {
      const newer = await refresh(this.#record, isGood, this.#dpopFetch, this.#ports)
      if (newer.accessToken !== accessToken) {
        this.#nonceStoredFor.clear()
        this.#refreshed = newer.accessToken
      }
      this.#record = newer
    } finally {
      if (this.#nonces !== this.#storedNonces) await this.#storeNonces()
    }
  }

  /**
   * Stores the nonces that a request or a refresh has learned. Called once it is done, or given up: nothing comes between
   * a refresh and its save. They save a later process one round trip, which is not worth a durable write for each response of a server
   * with a new nonce in each. So a nonce is stored once for each server, and once more after each refresh.
   */
  async #storeNonces(): Promise<void> {
    const nonces = this.#nonces
    const changed = Object.keys(nonces).filter((origin) => nonces[origin] !== this.#storedNonces[origin])
    if (changed.every((origin) => this.#nonceStoredFor.has(origin))) return
    this.#storedNonces = nonces
    for (const origin of changed) this.#nonceStoredFor.add(origin)
    await this.#ports.stores.sessions.writeNonces(this.#record.thumbprint, nonces).catch(() => undefined)
  }

  async #locate(): Promise<Origin> {
    return (await resolveDid(this.did, this.#ports)).pds
  }
}
