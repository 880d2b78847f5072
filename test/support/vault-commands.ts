/**
 * The `vault` commands over a vault in memory. A test file needs, at its top, the mock of test/support/cli.ts, and:
 * `vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))`
 */

import { parseVaultAddress } from '../../src/node/vault/address.ts'
import type { EngineFact } from '../../src/node/vault/engine.ts'
import { writeKnownVault } from '../../src/node/vault/known.ts'
import { tempFolder } from '../node/helpers.ts'
import { type Ran, run } from './cli.ts'
import { type MemoryHooks, MemoryService } from './memory-engine.ts'
import { createVaultWorld, type VaultWorld } from './vault-world.ts'

/** In the spelling that is stored. */
export const ADDRESS = 'git:https://git.example.com/alice/bot'
/** That of `addPlace`. */
export const OTHER_ADDRESS = 'git:https://git.example.com/alice/other'

interface Place {
  readonly service: MemoryService
  hooks: MemoryHooks
  facts?: readonly EngineFact[] | undefined
  asked: number
}

const services = new Map<string, Place>()

/** What `connectEngine` is to be mocked with. */
export async function connectEngine(address: string) {
  const place = services.get((await parseVaultAddress(address)).identity)
  if (!place) throw new Error(`no vault was made ready at ${address}`)
  const engine = place.service.connect({
    ...place.hooks,
    async before(request) {
      place.asked++
      return place.hooks.before?.(request)
    },
  })
  const { facts } = place
  if (facts !== undefined) engine.describe = async () => facts
  return engine
}

export interface CommandWorld extends Omit<VaultWorld, 'credentials' | 'refreshes'> {
  readonly home: string
  /** How many requests the service got. */
  readonly asked: () => number
  /** Faults of the service from now on. */
  setHooks(hooks: MemoryHooks): void
  /** What the service says of itself from now on. */
  setFacts(facts: readonly EngineFact[] | undefined): void
  /** One command, with the home of the user. */
  vault(args: readonly string[], options?: Parameters<typeof run>[2]): Promise<Ran>
}

/** A service with nothing. */
export function addPlace(address = OTHER_ADDRESS): MemoryService {
  const service = new MemoryService(address)
  services.set(address, { service, hooks: {}, asked: 0 })
  return service
}

/** @param known whether the user has the vault on this machine; otherwise there is none at the address */
export async function createCommandWorld(known = true): Promise<CommandWorld> {
  const world = await createVaultWorld(ADDRESS)
  const home = await tempFolder()
  const place: Place = { service: world.service, hooks: {}, asked: 0 }
  services.set(ADDRESS, place)
  if (known) await writeKnownVault(home, { address: ADDRESS, key: world.userKey })
  else world.service.clear()
  const { fake, service, keys, userKey, put, machine } = world
  return {
    ...{ fake, service, keys, userKey, put, machine },
    home,
    asked: () => place.asked,
    setFacts(facts) {
      place.facts = facts
    },
    setHooks(hooks) {
      place.hooks = hooks
    },
    vault: (args, options = {}) =>
      run(fake, ['vault', ...args], {
        ...options,
        env: { ATPROTO_OAUTH_HOME: home, ...options.env },
      }),
  }
}
