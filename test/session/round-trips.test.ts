/** How many round trips and requests each command takes with the servers at a distance; no time is measured. */
import { describe, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Credentials } from '../../src/model.ts'
import { openSession } from '../../src/session/open.ts'
import { atDistance } from '../support/distance.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'

const GET_SESSION = { nsid: 'com.atproto.server.getSession' }
const MINUTE = 60_000
const TOPOLOGIES = ['together', 'apart'] as const

const worldOf = (topology: (typeof TOPOLOGIES)[number]) => createFakeWorld({ topology, faults: { nonceMemory: 3 } })

/** One process: what it takes, and what it gives. */
async function measure<T>(world: FakeWorld, command: (ports: FakeWorld) => Promise<T>) {
  const { ports, run, connections, requests } = atDistance(world)
  const { roundTrips, result } = await run(command(ports))
  return { roundTrips, requests: requests.length, connections: connections.length, result }
}

async function signedIn(world: FakeWorld): Promise<Credentials> {
  const { authorizationUrl } = await init('alice.fake.dev', {}, world)
  return (await complete(world.authorize(authorizationUrl), world)).credentials
}

describe('init', () => {
  test.each([
    ['together', 'DNS', 7, 6],
    ['together', 'well-known', 8, 6],
    ['apart', 'DNS', 10, 8],
    ['apart', 'well-known', 11, 8],
  ] as const)('%s, handle by %s: %d round trips, %d requests', async (topology, by, roundTrips, requests) => {
    const world = worldOf(topology)
    if (by === 'well-known') world.faults.txt = () => 'NXDOMAIN'
    expect(await measure(world, (ports) => init('alice.fake.dev', {}, ports))).toMatchObject({ roundTrips, requests })
  })
})

describe.each(TOPOLOGIES)('%s', (topology) => {
  test.each([
    ['within a minute', 0, 4, 4],
    ['after four minutes, for which the nonce is too old', 4, 4, 5],
  ])('complete %s', async (_, minutes, roundTrips, requests) => {
    const world = worldOf(topology)
    const { authorizationUrl } = await init('alice.fake.dev', {}, world)
    const callback = world.authorize(authorizationUrl)
    world.advance(minutes * MINUTE)
    expect(await measure(world, (ports) => complete(callback, ports))).toMatchObject({ roundTrips, requests })
  })

  test('refresh, and a call that needs one', async () => {
    const world = worldOf(topology)
    const credentials = await signedIn(world)
    world.advance(90 * MINUTE)
    const refreshed = await measure(world, async (ports) => (await openSession(credentials, ports)).refresh())
    expect(refreshed).toMatchObject({ roundTrips: 4, requests: 5 })

    world.advance(90 * MINUTE)
    const called = await measure(world, async (ports) => (await openSession(refreshed.result, ports)).call(GET_SESSION))
    // One more where the PDS has nonces of its own.
    expect(called.roundTrips).toBe(topology === 'together' ? 5 : 6)
  })

  test('call', async () => {
    const world = worldOf(topology)
    const credentials = await signedIn(world)
    const call = async (ports: FakeWorld) => (await openSession(credentials, ports)).call(GET_SESSION)
    const first = await measure(world, call)
    expect(first.roundTrips).toBeLessThanOrEqual(4)
    expect(await measure(world, call)).toMatchObject({ roundTrips: 3, requests: 1, connections: 1 })
  })
})
