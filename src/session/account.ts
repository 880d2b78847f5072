/**
 * Which account a handle means now. Handles change their owners, so what is stored serves only where nothing can be
 * resolved.
 */
import { isOAuthError, OAuthError } from '../errors.ts'
import type { Did, Handle, Identity, SessionRecord } from '../model.ts'
import type { Clock, IdentityPorts, Notices } from '../ports.ts'
import { resolveDid } from '../protocol/identity/did.ts'
import { resolveHandle } from '../protocol/identity/handle.ts'

type Ports = IdentityPorts & Clock & Notices

/**
 * The handle of a session's account, verified in both directions; the last known one, with a warning, where it cannot be
 * resolved. `undefined`: the account has no valid handle.
 */
export async function currentHandle(
  { did, handle: stored }: Pick<SessionRecord, 'did' | 'handle'>,
  ports: Ports,
): Promise<Handle | undefined> {
  const last = (handle: Handle | undefined, error: unknown): Handle | undefined => {
    if (!isOAuthError(error)) throw error
    if (handle !== undefined) ports.warn(`${handle} is the last known handle of ${did}: ${error.message}`)
    return handle
  }
  let identity: Identity
  try {
    identity = await resolveDid(did, ports)
  } catch (error) {
    return last(stored, error)
  }
  const { claimedHandle } = identity
  if (claimedHandle === undefined) return undefined
  try {
    return (await resolveHandle(claimedHandle, ports)) === did ? claimedHandle : undefined
  } catch (error) {
    // It leads nowhere, or to several accounts: the account has no handle that a server would accept.
    return isOAuthError(error, 'HANDLE_NOT_FOUND', 'HANDLE_AMBIGUOUS') ? undefined : last(claimedHandle, error)
  }
}

/**
 * The account that `handle` leads to now. Where it cannot be resolved, that of the session stored with it, with a
 * warning.
 *
 * @throws {OAuthError} those of `resolveHandle`, if no session is stored with it
 */
export async function accountOf(handle: Handle, stored: readonly SessionRecord[], ports: Ports): Promise<Did> {
  const known = stored.find((record) => record.handle === handle)
  try {
    return await resolveHandle(handle, ports)
  } catch (error) {
    if (known === undefined || !isOAuthError(error)) throw error
    ports.warn(`${handle} was the handle of ${known.did} when its session was last refreshed: ${error.message}`)
    return known.did
  }
}

/** For a handle that leads to an account without a session, although a session is stored with this handle. */
export function handleTaken(handle: Handle, did: Did, stored: SessionRecord): OAuthError {
  return new OAuthError(
    'SESSION_MISSING',
    `${handle} now belongs to ${did}, which has no session here; the stored session is of ${stored.did}`,
    { facts: { handle } },
  )
}

/** A handle, and whether it was resolved now: otherwise it is the last known one. */
export interface ListedHandle {
  readonly handle: Handle | undefined
  readonly isCurrent: boolean
}

interface ResolutionLimits {
  /** How many accounts are resolved at the same time. */
  readonly concurrency: number
  /** Ends the resolution: the rest keep their last known handles. */
  readonly signal: AbortSignal
}

/** The handles of many accounts as they resolve now, as far as the limits permit. */
export async function currentHandles(
  records: readonly Pick<SessionRecord, 'did' | 'handle'>[],
  { concurrency, signal }: ResolutionLimits,
  ports: Ports,
): Promise<ReadonlyMap<Did, ListedHandle>> {
  const found = new Map<Did, ListedHandle>()
  for (const { did, handle } of records) {
    found.set(did, { handle: found.get(did)?.handle ?? handle, isCurrent: false })
  }
  const resolve = async (did: Did, handle: Handle | undefined) => {
    let isCurrent = true
    const warn = () => {
      isCurrent = false
    }
    const fetch: Ports['fetch'] = (url, init) =>
      ports.fetch(url, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, signal]) : signal })
    const current = await currentHandle({ did, handle }, { ...ports, fetch, warn })
    if (!signal.aborted) found.set(did, { handle: current, isCurrent })
  }
  const waiting = [...found].map(([did, { handle }]) => ({ did, handle }))
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      await resolve(next.did, next.handle).catch((error: unknown) => {
        if (!signal.aborted && !isOAuthError(error)) throw error
      })
    }
  }
  const aborted = new Promise<void>((done) => {
    if (signal.aborted) done()
    signal.addEventListener('abort', () => done(), { once: true })
  })
  const working = Promise.all(Array.from({ length: concurrency }, work))
  await Promise.race([working, aborted])
  working.catch(() => undefined)
  return new Map(found)
}
