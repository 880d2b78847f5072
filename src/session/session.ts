/**
 * A session in use: requests to the account's own PDS, signed, and refreshed when needed.
 *
 * @module
 */

import { OAuthError } from '../errors.ts'
import type { Credentials, Did, Handle, Nonces, SessionRecord } from '../model.ts'
import type { Body } from '../ports.ts'
import { withServerClocks } from '../protocol/http/server-clock.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import { importDpopKey } from '../protocol/oauth/dpop.ts'
import { createDpopFetch, type SignedHeaders } from '../protocol/oauth/dpop-fetch.ts'
import { isExpiredToken } from '../protocol/xrpc/error.ts'
import { buildXrpcRequest, proxyAdvice, type XrpcRequest } from '../protocol/xrpc/request.ts'
import { repeatable, sizeOf, timeoutFor } from './body.ts'
import type { RefreshPorts } from './ports.ts'
import { PRIMING, proofFor } from './proof.ts'
import { isFresh, refresh } from './refresh.ts'
import { toCredentials } from './token-family.ts'

export interface Session {
  readonly did: Did
  /** As it was at the login; `undefined` if that was not started from one. Not verified since. */
  readonly accountHandle: Handle | undefined
  /** The session as this process knows it now. Secret. */
  record(): SessionRecord
  /**
   * Renews the tokens and saves them.
   *
   * @param ifOlderThanSeconds not if the last renewal is more recent than that
   * @throws {OAuthError} as `fetchHandler`, and `SAVE_FAILED`, `SAVE_TARGET_MISSING`
   */
  refresh(ifOlderThanSeconds?: number): Promise<Credentials>
  /**
   * An access token for other processes, with the key that it needs and without the refresh token.
   *
   * @param atLeastSeconds renew first, if it would not last that long
   */
  lease(atLeastSeconds: number): Promise<Credentials>
  /**
   * One request to the account's PDS, for which a session is the `SessionManager` of `@atproto/api`: `new Agent(session)`.
   * Any status is an answer, and the answer comes as it was; headers such as `atproto-proxy` are passed on. Can be
   * taken off the session: it does not ask for `this`.
   *
   * @param path path and query, beginning with `/xrpc/`
   * @throws {OAuthError} `SESSION_DEAD` and the other codes of a refresh; those of the `Http` port
   */
  fetchHandler(path: string, init?: SessionInit): Promise<Response>
  /** The same by the name that `@atcute/client` has for it: `new Client({ handler: session })`. */
  handle(path: string, init?: SessionInit): Promise<Response>
  /**
   * One XRPC request.
   *
   * @throws {OAuthError} `NSID_INVALID`, `USAGE`, and as `fetchHandler`
   */
  call(request: XrpcRequest): Promise<Response>
  /**
   * The headers of one request to the account's PDS that another tool will send, good once and for about a minute. Secret.
   *
   * @throws {OAuthError} `USAGE` for another server, `XRPC_ERROR` and its like, and as `fetchHandler`
   */
  proof(method: string, url: string): Promise<SignedHeaders>
}

export interface SessionInit {
  readonly method?: string
  readonly headers?: HeadersInit
  readonly body?: BodyInit | null
  readonly signal?: AbortSignal | null
  readonly timeoutSeconds?: number | undefined
}

/** Bytes that it would be a pity to send twice. */
const LARGE = 64 * 1024
/** Milliseconds; the narrowest time known that a nonce is good for is three minutes. */
const NONCE_GOOD = 60_000
/** Milliseconds within which a token is too young to be over. */
const JUST_NOW = 60_000

/** @param record the newest state that is known of it */
export async function createSession(record: SessionRecord, given: RefreshPorts): Promise<Session> {
  const ports = withServerClocks(given)
  const { sessions } = ports.stores
  const { did, handle, thumbprint } = record
  let current = record
  /** The access token that this process got or found when it asked for a newer one. */
  let renewed: string | undefined
  // A leased access token comes without knowledge of its PDS: the DID document has it.
  let located = record.issuer !== undefined
  const locate = async () => (await resolveDid(did, ports)).pds
  let newNonces: Nonces | undefined
  const nonces = await sessions.readNonces(thumbprint)
  const onNonces = (changed: Nonces) => {
    newNonces = changed
  }
  const dpopFetch = createDpopFetch(await importDpopKey(record.dpopPrivateJwk), { nonces, onNonces }, ports)
  const keepNonces = async () => {
    if (!newNonces) return
    const changed = newNonces
    newNonces = undefined
    await sessions.writeNonces(thumbprint, changed).catch(() => undefined) // costs one round trip, no more
  }
  const refreshUnless = async (isGood: (newer: SessionRecord) => boolean) => {
    const { accessToken } = current
    try {
      current = await refresh(current, isGood, dpopFetch, ports)
    } finally {
      if (current.accessToken !== accessToken) renewed = current.accessToken
      await keepNonces()
    }
  }
  const refreshNow = async (refused?: string) => {
    // A token refused although it is new points at a clock or a proxy: another rotation would not help. One that an
    // earlier process got may be refused because the session has ended since, which only a refresh tells.
    // By the servers' clocks: ours may have been moved since.
    const isNew = ({ accessToken, rotatedAt, clockOffset = 0, pds }: SessionRecord) =>
      accessToken === renewed &&
      rotatedAt !== undefined &&
      Math.abs(dpopFetch.now(pds) - clockOffset - rotatedAt) < JUST_NOW
    const isGood = (newer: SessionRecord) =>
      newer.accessToken === refused && refused !== undefined ? isNew(newer) : isFresh(newer, ports)
    await refreshUnless(isGood)
  }

  let answeredAt = Number.NEGATIVE_INFINITY
  const send = async (path: string, init: SessionInit, body: Body | undefined) => {
    const url = new URL(path, current.pds)
    if (url.origin !== current.pds || !url.pathname.startsWith('/xrpc/')) {
      throw new OAuthError('USAGE', 'a session sends only to /xrpc/ of its own PDS')
    }
    const response = await dpopFetch(url, {
      method: (init.method ?? 'GET').toUpperCase(), // as fetch sends it, and the proof has to say the same
      headers: Object.fromEntries(new Headers(init.headers ?? {})),
      accessToken: current.accessToken,
      ...(body !== undefined && { body }),
      ...(init.signal && { signal: init.signal }),
      streaming: true,
      timeoutSeconds: init.timeoutSeconds ?? timeoutFor(body),
    })
    answeredAt = ports.now()
    return response
  }

  const fetchHandler = async (path: string, init: SessionInit = {}): Promise<Response> => {
    const body = await repeatable(init.body)
    // Not sent before it is known that the nonce and the token are good.
    const isPrimed = Math.abs(ports.now() - answeredAt) < NONCE_GOOD
    if (body instanceof ReadableStream || (sizeOf(body) > LARGE && !isPrimed)) {
      const primed = await fetchHandler(`/xrpc/${PRIMING}`)
      await primed.body?.cancel()
    }
    if (!isFresh(current, ports) || current.undelivered) await refreshNow()
    else if (!located) current = { ...current, pds: await locate() }
    located = true
    try {
      const used = current.accessToken
      const response = await send(path, init, body)
      if (!isExpiredToken(response)) return response
      await refreshNow(used)
      if (current.accessToken === used || body instanceof ReadableStream) return response
      await response.body?.cancel()
      return await send(path, init, body)
    } finally {
      await keepNonces()
    }
  }

  const call = async (request: XrpcRequest) => {
    const { path, ...init } = buildXrpcRequest(request, did)
    const advice = proxyAdvice(request)
    if (advice !== undefined) ports.warn(advice)
    return fetchHandler(path, init as SessionInit)
  }
  return {
    did,
    accountHandle: handle,
    record: () => current,
    async refresh(ifOlderThanSeconds = 0) {
      const now = ports.now()
      const since = now - ifOlderThanSeconds * 1000
      // A renewal in the future is one by another clock: then it is not known when it was.
      await refreshUnless(({ rotatedAt }) => rotatedAt !== undefined && rotatedAt > since && rotatedAt <= now)
      return toCredentials(current)
    },
    async lease(atLeastSeconds) {
      const until = ports.now() + atLeastSeconds * 1000
      const lasts = (newer: SessionRecord) => isFresh(newer, ports) && (newer.accessTokenExpiresAt ?? 0) >= until
      if (!lasts(current) || current.undelivered) await refreshUnless(lasts)
      const { dpopPrivateJwk, pds, issuer, accessToken, accessTokenExpiresAt, scope } = current
      return { did, dpopPrivateJwk, pdsIssuer: pds, issuer, accessToken, accessTokenExpiresAt, scope, thumbprint }
    },
    fetchHandler,
    handle: fetchHandler,
    call,
    proof: (method, url) =>
      proofFor({ record: () => current, fetchHandler, locate }, { method, url }, { ...dpopFetch, now: ports.now }),
  }
}
