/**
 * Implements the ports of the core with Node.
 */
import { Resolver } from 'node:dns/promises'
import { setTimeout } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { STORE_KEY, variable } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import type { ClientJwk, SessionRecord } from '../model.ts'
import { PLC_DIRECTORY, type Runtime, type Saving, type Stores } from '../ports.ts'
import { encryptionSetting } from './config/encryption.ts'
import { base64url, openEs256, sha256, signEs256k } from './ec-signing.ts'
import { userFolders } from './folders.ts'
import { expandTilde } from './home.ts'
import { createHttp } from './http/client.ts'
import { randomBytes } from './random.ts'
import { normalizeTarget, openTarget, STORE, VAULT } from './save/targets.ts'
import { holdSignals } from './signals.ts'
import { cacheFor, elsewhereFor } from './store/elsewhere.ts'
import { isCode } from './store/files.ts'
import { createHomelessStores } from './store/homeless.ts'
import type { LockHolder } from './store/lock.ts'
import { createPendingStore, createStateFileStore } from './store/logins.ts'
import { createSessionStore } from './store/sessions.ts'
import { prepareUnlock } from './store/unlock.ts'
import { createWitness } from './store/witness.ts'
import type { KnownVault } from './vault/known.ts'
import { createCombinedSessions, createVaultSessions } from './vault/sessions.ts'
import { packageVersion } from './version.ts'

/** Milliseconds; a timer that is set for longer ends at once. */
const TIMER_LONGEST = 2 ** 31 - 1
/** Milliseconds for one attempt; the resolver makes two. */
const DNS_TIMEOUT = 3_000

export interface NodeRuntimeOptions {
  /** Folder for pending authorizations and sessions; by default in the per-user data folder of the system. */
  readonly home?: string | undefined
  /** A portable file for the pending authorization, instead of `home`. */
  readonly stateFile?: string | undefined
  /** Origin of the PLC directory. */
  readonly plcUrl?: string | undefined
  /** Origin of an XRPC service to resolve handles with, instead of DNS and HTTPS. */
  readonly handleResolver?: string | undefined
  /** The private key of a confidential client (RFC 7517), with its published `kid`. */
  readonly clientJwk?: ClientJwk | undefined
  /** Allows `http:` and private addresses. Never derive this from a server response. */
  readonly dev?: boolean | undefined
  /** Save targets besides the store: `file:PATH`, `gh:…`, `exec:COMMAND`. */
  readonly save?: readonly string[] | undefined
  /** Keep no refresh token in the store once all save targets have it. */
  readonly noStore?: boolean | undefined
  /** Reject a refresh if no save target outlives this machine. */
  readonly requireDurable?: boolean | undefined
  /**
   * One home of sessions for many machines.
   *
   * @internal
   */
  readonly vault?: VaultChoice | undefined
  /** Reads or asks for the passphrase of an encrypted store; by default that is `ATPROTO_OAUTH_STORE_KEY`. */
  readonly storeKey?: (() => Promise<string | undefined>) | undefined
  readonly onWarning?: ((message: string) => void) | undefined
  readonly onRequest?: ((line: string) => void) | undefined
  /** Called when another process holds a session for more than a second. What it returns is called when the wait is over. */
  readonly onWait?: ((holder: LockHolder) => () => void) | undefined
  /** Gets what a failed `gh:` or `exec:` program printed, free of secrets. Without it, programs print to stderr themselves. */
  readonly onProgramOutput?: ((text: string) => void) | undefined
}

export interface VaultChoice {
  /** The vault, if there is one. Called when a session is first asked for. */
  find(): Promise<KnownVault | undefined>
  /** Sessions are looked for in the vault only. Otherwise those of the per-user store are found too. */
  readonly only: boolean
  /** Ends a session at the server that was replaced in the vault. Best effort. */
  endSession(record: SessionRecord, runtime: Runtime): Promise<unknown>
  /** Called when another machine is refreshing a session; what it returns is called when the wait is over. */
  readonly onClaim?: ((label: string) => () => void) | undefined
}

export function nodeRuntime(options: NodeRuntimeOptions = {}): Runtime {
  const { stateFile, plcUrl = PLC_DIRECTORY, handleResolver, clientJwk, dev = false } = options
  const home = options.home === undefined ? userFolders()?.data : expandTilde(options.home)
  const userAgent = `atproto-oauth/${packageVersion()}`
  const runtime: Runtime = {
    ...createHttp({ dev, userAgent, onRequest: options.onRequest }),
    resolveTxt,
    now: Date.now,
    sleep,
    randomBytes,
    signEs256k,
    openEs256,
    sha256,
    base64url,
    warn: options.onWarning ?? (() => undefined),
    settings: { plcUrl, handleResolver, clientJwk, dev },
    stores: withVault(createStores(home, stateFile, options), home, options, () => runtime),
    saving: createSaving(options),
  }
  return runtime
}

function withVault(
  stores: Stores,
  home: string | undefined,
  { vault: choice, onWait, onWarning }: NodeRuntimeOptions,
  runtime: () => Runtime,
): Stores {
  if (choice === undefined) return stores
  const { sessions: local } = stores
  const vault = createVaultSessions({
    home,
    find: choice.find,
    environment: process.env,
    holdSignals,
    nonces: local,
    endTokens: async (record) => void (await choice.endSession(record, runtime())),
    randomBytes,
    onWait,
    onClaim: choice.onClaim,
    ...(onWarning && { warn: onWarning }),
  })
  const sessions = choice.only ? vault : createCombinedSessions(vault, local, onWarning ?? (() => undefined))
  return { ...stores, local, vault, sessions }
}

function createStores(
  home: string | undefined,
  stateFile: string | undefined,
  { home: chosen, onWait, storeKey }: NodeRuntimeOptions,
): Stores {
  if (home !== undefined) {
    const passphrase = storeKey ?? (async () => variable(process.env, STORE_KEY))
    prepareUnlock(home, {
      environment: process.env,
      isInteractive: () => isatty(0),
      passphrase,
      setting: () => encryptionSetting(chosen),
    })
  }
  const stores =
    home === undefined
      ? createHomelessStores()
      : {
          pending: createPendingStore(home),
          sessions: createSessionStore(home, {
            holdSignals,
            elsewhere: elsewhereFor(home),
            witness: createWitness(home, { cache: cacheFor(home) }),
            onWait,
          }),
        }
  return stateFile === undefined ? stores : { ...stores, pending: createStateFileStore(expandTilde(stateFile)) }
}

function createSaving(options: NodeRuntimeOptions): Saving {
  const { save = [], noStore = false, requireDurable = false, onProgramOutput } = options
  const open = (name: string) => openTarget(name, { environment: process.env, onOutput: onProgramOutput })
  const targets = save
    .map((name) => normalizeTarget(name))
    .filter((name) => name !== STORE && name !== VAULT)
    .map(open)
  return {
    inStore: save.includes(STORE),
    inVault: save.includes(VAULT),
    withoutStore: noStore,
    targets,
    open,
    checkDurable() {
      if (noStore && targets.length === 0) {
        throw new OAuthError(
          'SAVE_TARGET_MISSING',
          'the new refresh token may not stay in the store, and no other save target is set; nothing was sent',
          { facts: { reason: 'store-excluded' } },
        )
      }
      if (!requireDurable || save.includes(STORE) || save.includes(VAULT) || targets.some(({ durable }) => durable))
        return
      throw new OAuthError(
        'SAVE_TARGET_MISSING',
        'no durable save target: the rotated refresh token would be lost with this CI job; nothing was sent',
      )
    },
  }
}

async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  try {
    await setTimeout(Math.min(milliseconds, TIMER_LONGEST), undefined, signal && { signal })
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  }
}

async function resolveTxt(name: string): Promise<string[][]> {
  try {
    return await new Resolver({ timeout: DNS_TIMEOUT, tries: 2 }).resolveTxt(name)
  } catch (error) {
    if (isCode(error, 'ENOTFOUND', 'ENODATA')) return []
    throw new Error(dnsReason(error), { cause: error })
  }
}

/** Instead of the name of a function and a code of c-ares, which nobody who sits behind a broken resolver knows. */
function dnsReason(error: unknown): string {
  if (isCode(error, 'ECONNREFUSED')) return 'no DNS server accepts connections'
  if (isCode(error, 'ETIMEOUT', 'ETIMEDOUT')) return 'the DNS server did not respond'
  if (isCode(error, 'EREFUSED')) return 'the DNS server rejected the query'
  return `the DNS server failed: ${error instanceof Error && 'code' in error ? error.code : error}`
}
