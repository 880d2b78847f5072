/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The face of the library: sign in, open sessions, list and end them.
 */
import { type ClientCheck, type ClientVerdict, checkClient } from '../client/check.ts'
import { asNodeSession } from '../credentials/atcute-session.ts'
import { DID, type Environment, VAULT, variable } from '../credentials/variables.ts'
import { type DoctorOptions, diagnose } from '../doctor/doctor.ts'
import { checkPermissionSet, type PermissionSetCheck } from '../doctor/permission-set.ts'
import { keepName, OAuthError } from '../errors.ts'
import { complete } from '../login/complete.ts'
import { type InitOptions, init } from '../login/init.ts'
import type { Completed, Did, Handle, Origin } from '../model.ts'
import type { Finding, Runtime } from '../ports.ts'
import { includeToken, type PermissionSet, type UnresolvedSet } from '../protocol/scope/permission-set.ts'
import { orAborted } from '../session/body.ts'
import { importSession } from '../session/import.ts'
import { openSession, openStoredSession } from '../session/open.ts'
import { saveSession } from '../session/saving.ts'
import type { Session } from '../session/session.ts'
import { type SessionStatus, statusOf } from '../session/status.ts'
import { endedError } from '../session/token-family.ts'
import { untilCodeIsSent, withSignal } from './abort.ts'
import type { SessionChange } from './changes.ts'
import type { OAuthClientOptions } from './options.ts'
import { createRuntime } from './runtime.ts'
import { credentialsIn, isSavedText } from './saved.ts'
import { type Login, OAuthSession, type SignalOption } from './session.ts'
import { join } from './signals.ts'

export interface AuthorizeOptions extends InitOptions, SignalOption {
  /** Space-separated permissions, with `atproto`; by default only that. */
  readonly scope?: string | undefined
}

/** A login that waits for its callback. Not secret. */
export interface Authorization {
  /** The sign-in page, to open in a browser. */
  readonly url: URL
  /** Tells logins apart: the callback URL has it too. */
  readonly state: string
  /** Milliseconds since the epoch, until which {@link OAuthClient.callback} accepts the callback. */
  readonly expiresAt: number
  /** Absent if the login was started from a server. */
  readonly did?: Did | undefined
  readonly handle?: Handle | undefined
  readonly pds?: Origin | undefined
  /** The requested permission sets (`include:`), with what they grant. */
  readonly permissionSets: readonly PermissionSet[]
  /** Those that cannot be resolved, although the server accepted them. */
  readonly unresolvedSets: readonly UnresolvedSet[]
}

export interface ImportSessionOptions extends SignalOption {
  /** The exact client_id of the other program: a refresh with a different one ends the session. */
  readonly clientId: string
}

/**
 * Signs in with OAuth, and opens sessions. Nothing is sent or opened by its creation, and it needs no end; a program may
 * have several, with any number of sessions each.
 *
 * All methods throw {@link OAuthError}.
 *
 * @see https://atproto.com/specs/oauth
 */
export class OAuthClient {
  static {
    keepName(OAuthClient, 'OAuthClient')
  }

  readonly #options: OAuthClientOptions
  readonly #runtime: Runtime
  readonly #updates = new Set<Promise<unknown>>()

  /** @throws {OAuthError} `USAGE` options that cannot be used together, or an unknown save target */
  constructor(options: OAuthClientOptions = {}) {
    this.#options = options
    this.#runtime = this.#createRuntime()
  }

  /**
   * Begins a login: finds the account's server, pushes the request, and stores the login for `callback`.
   *
   * @param identifier handle, DID, or the URL of a server
   * @throws {OAuthError} `IDENTIFIER_INVALID`, `SCOPE_INVALID`, `CLIENT_INVALID`; `HANDLE_NOT_FOUND` and other codes of
   *   identity, network and metadata; `PAR_REFUSED`. Nothing is stored then
   */
  async authorize(identifier: string, { signal, ...options }: AuthorizeOptions = {}): Promise<Authorization> {
    const { clientId, redirectUri } = this.#options
    const choice = { clientId, redirectUri, ...options }
    const { authorizationUrl, pending, pds, permissionSets, unresolvedSets } = await this.#until(signal, (joined) =>
      init(identifier, choice, withSignal(this.#runtime, joined)),
    )
    const { state, expiresAt, did, handle } = pending
    return { url: authorizationUrl, state, expiresAt, did, handle, pds, permissionSets, unresolvedSets }
  }

  /**
   * Completes a login: exchanges the code once, checks that the tokens are for the account that the login was started
   * for, and saves the session. A signal that is aborted after the code was sent has no effect.
   *
   * @param url the callback URL, or its query, as copied from the browser
   * @throws {OAuthError} `CALLBACK_UNREADABLE`, `CALLBACK_INCOMPLETE`, `CALLBACK_STATE_UNKNOWN`, `CALLBACK_REFUSED`: nothing
   *   was sent; `AUTHORIZATION_DENIED`, `EXCHANGE_REFUSED`, `ACCOUNT_MISMATCH` and others: the login has ended;
   *   `SAVE_FAILED`: the message says where the session is
   */
  async callback(url: string | URL | URLSearchParams, { signal }: SignalOption = {}): Promise<OAuthSession> {
    const joined = join(this.#options.signal, signal)
    const runtime = this.#runtime
    try {
      const completed = await untilCodeIsSent(runtime, joined.signal, (ports) => {
        const deliver = async ({ credentials, handle }: Completed) => {
          await saveSession(credentials, handle, runtime)
        }
        return complete(String(url), { ...ports, deliver })
      })
      const { credentials, ...login } = completed
      return this.#opened(await openSession(credentials, runtime), runtime, login)
    } finally {
      joined.release()
    }
  }

  /**
   * Opens a session, and sends nothing unless a handle has to be resolved.
   *
   * - without an argument: the only stored session
   * - a handle, a DID, or the name or thumbprint of a session: the stored one
   * - a saved session, as text or parsed JSON, or variables such as `process.env`: as {@link parseCredentials} reads it. If the
   *   store has newer tokens of the same session, these are used
   *
   * @throws {OAuthError} `SESSION_MISSING`; `ACCOUNT_UNCLEAR` there are several; `SESSION_DEAD` it has ended;
   *   `CREDENTIALS_INVALID`, `CREDENTIALS_INCOMPLETE`, `COPIES_DIFFER`
   */
  async restore(which?: string | object, { signal }: SignalOption = {}): Promise<OAuthSession> {
    const { session, runtime } = await this.#until(signal, () => this.#open(which))
    const record = session.record()
    if (record.ended) throw endedError(record, runtime.now())
    return this.#opened(session, runtime)
  }

  /**
   * Takes a session over from `@atproto/oauth-client-node` or `@atcute/oauth-node-client`, and saves it. Sends no token.
   * Delete it there afterwards: a refresh token works once.
   *
   * @param value what the session store of that library has for the account; untrusted
   * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_MISMATCH`, `ISSUER_MISMATCH`, `SAVE_FAILED`
   */
  async importSession(value: unknown, { clientId, signal }: ImportSessionOptions): Promise<OAuthSession> {
    const runtime = this.#runtime
    const { stores, saving } = runtime
    // A session that was handed over from the per-user store is taken back there.
    const { sessions, local = sessions } = stores
    const ports = saving.inVault ? runtime : { ...runtime, stores: { ...stores, sessions: local } }
    const credentials = await this.#until(signal, (joined) =>
      importSession(asNodeSession(value), { clientId }, withSignal(ports, joined)),
    )
    await saveSession(credentials, undefined, runtime)
    return this.#opened(await openSession(credentials, runtime), runtime)
  }

  /** The stored sessions, newest login first, those that have ended too. Sends nothing, and has no secrets. */
  async accounts({ signal }: SignalOption = {}): Promise<SessionStatus[]> {
    const records = await this.#until(signal, () => this.#runtime.stores.sessions.list())
    const statuses = records.map((record) => statusOf(record, this.#runtime.now()))
    return statuses.sort((one, other) => (other.createdAt ?? 0) - (one.createdAt ?? 0))
  }

  /**
   * Revokes a session at the server, and removes it here.
   *
   * @param which as in `restore`
   * @throws {OAuthError} as `session.signOut` and `restore`
   */
  async signOut(which?: string | object, options: SignalOption = {}): Promise<void> {
    const { session, runtime } = await this.#until(options.signal, () => this.#open(which))
    await this.#opened(session, runtime).signOut(options)
  }

  /**
   * Checks every step between an account and a working login. Stores nothing, and uses no token.
   *
   * @param identifier handle, DID or server; by default the accounts of the stored sessions
   */
  async *diagnose(
    identifier?: string,
    { signal, ...options }: DoctorOptions & SignalOption = {},
  ): AsyncGenerator<Finding, void> {
    const joined = join(this.#options.signal, signal)
    const { clientId, redirectUri } = this.#options
    try {
      yield* diagnose(identifier, { clientId, redirectUri, ...options }, withSignal(this.#runtime, joined.signal))
    } finally {
      joined.release()
    }
  }

  /** Checks a published client against every rule that a server may apply to it. */
  checkClient({ signal, ...check }: ClientCheck & SignalOption): Promise<ClientVerdict> {
    return this.#until(signal, (joined) => checkClient(check, withSignal(this.#runtime, joined)))
  }

  /**
   * Follows a permission set to its record as a server would, and expands it. A set that cannot be resolved is a finding.
   *
   * @param set its NSID, or the `include:` permission that requests it
   * @param options with `aud`, the service for the entries that inherit it, as `did:web:api.bsky.app#bsky_appview`
   * @throws {OAuthError} `SCOPE_INVALID`
   */
  checkPermissionSet(
    set: string,
    { aud, signal }: { readonly aud?: string | undefined } & SignalOption = {},
  ): Promise<PermissionSetCheck> {
    return this.#until(signal, async (joined) =>
      checkPermissionSet(includeToken(set, aud), withSignal(this.#runtime, joined)),
    )
  }

  /** Resolves when no session of this client is being refreshed or saved. The client can still be used. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#updates.size > 0) await Promise.allSettled(this.#updates)
  }

  #createRuntime(environment?: Environment): Runtime {
    const onUpdate = (update: Promise<unknown>) => {
      this.#updates.add(update)
      const forget = () => void this.#updates.delete(update)
      update.then(forget, forget)
    }
    return createRuntime(this.#options, { onUpdate, onChange: (change) => this.#report(change) }, environment)
  }

  #report(change: SessionChange): void {
    const report = async (): Promise<unknown> => this.#options.onSessionChange?.(change)
    report().catch((error: unknown) => {
      this.#runtime.warn(`onSessionChange failed: ${error instanceof Error ? error.message : String(error)}`)
    })
  }

  async #open(which: string | object | undefined): Promise<{ readonly session: Session; readonly runtime: Runtime }> {
    const runtime = this.#runtime
    if (which === undefined || (typeof which === 'string' && !isSavedText(which))) {
      return { session: await openStoredSession(which, runtime), runtime }
    }
    const environment = which as Environment
    const isNamed = typeof which === 'object' && typeof environment?.[VAULT] === 'string'
    if (this.#options.stores === undefined && isNamed) {
      const ofVault = this.#createRuntime(environment)
      return { session: await openStoredSession(variable(environment, DID), ofVault), runtime: ofVault }
    }
    const credentials = credentialsIn(which, this.#options)
    if (credentials) return { session: await openSession(credentials, runtime), runtime }
    throw new OAuthError('SESSION_MISSING', 'there are no credentials in the given variables')
  }

  #opened(session: Session, runtime: Runtime, login?: Login): OAuthSession {
    return new OAuthSession({ session, runtime, signal: this.#options.signal, login })
  }

  async #until<T>(given: AbortSignal | undefined, work: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const { signal, release } = join(this.#options.signal, given)
    try {
      signal?.throwIfAborted()
      return await orAborted(work(signal), signal)
    } finally {
      release()
    }
  }
}
