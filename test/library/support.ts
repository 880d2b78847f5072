/** A client of the library in a fake world, as a program makes one. */
import { OAuthClient, type OAuthClientOptions, type OAuthSession } from '../../src/index.ts'
import type { HttpInit } from '../../src/ports.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { CALM } from '../support/login.ts'

export const SCOPE = 'atproto transition:generic'

export function createWorld(faults: Partial<FakeWorld['faults']> = {}): FakeWorld {
  return createFakeWorld({ faults: { ...CALM, ...faults } })
}

/** The ports of a program that brings its own. */
export function portsOf(world: FakeWorld) {
  return {
    stores: world.stores,
    fetch: (url: URL, init: RequestInit) => world.fetch(url, init as HttpInit),
    resolveTxt: world.resolveTxt,
    clock: { now: world.now, sleep: world.sleep },
  } satisfies OAuthClientOptions
}

export function clientOf(world: FakeWorld, options: OAuthClientOptions = {}): OAuthClient {
  return new OAuthClient({ ...portsOf(world), ...options })
}

export async function signedIn(world: FakeWorld, client = clientOf(world)): Promise<OAuthSession> {
  const { url } = await client.authorize('alice.fake.dev', { scope: SCOPE })
  return client.callback(world.authorize(url))
}

/** Counts the listeners that are on a signal. */
export function countingListeners(): { readonly controller: AbortController; readonly count: () => number } {
  const controller = new AbortController()
  const { signal } = controller
  const listeners = new Set<unknown>()
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (name: string, listener: EventListener, options?: AddEventListenerOptions) => {
    listeners.add(listener)
    addEventListener.call(signal, name, listener, options)
  }
  signal.removeEventListener = (name: string, listener: EventListener) => {
    listeners.delete(listener)
    removeEventListener.call(signal, name, listener)
  }
  return { controller, count: () => listeners.size }
}
