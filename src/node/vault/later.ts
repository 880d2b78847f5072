/**
 * An engine whose code is loaded for its first request: where an access token is still good, there is none.
 */
import type { VaultEngine } from './engine.ts'

/** @param address that of the engine which `connect` returns */
export function engineLater(address: string, connect: () => Promise<VaultEngine>): VaultEngine {
  let connecting: Promise<VaultEngine> | undefined
  const engine = () => {
    connecting ??= connect().catch((error: unknown) => {
      connecting = undefined
      throw error
    })
    return connecting
  }
  return {
    address,
    read: async (name) => (await engine()).read(name),
    list: async () => (await engine()).list(),
    swap: async (name, before, after) => (await engine()).swap(name, before, after),
    describe: async () => (await engine()).describe(),
    destroy: async () => (await engine()).destroy(),
  }
}
