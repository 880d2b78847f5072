/**
 * What each command asks the real servers, and over how many connections. Both take time where the servers are far away:
 * `npm run bench -- distance` says how much.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startOurs } from '../bench/distance-clients.ts'
import { APART, type Far, type Step, startFar, TOGETHER } from '../bench/far.ts'
import type { Traffic } from '../bench/relay.ts'
import { createHome, type Home } from '../world/cli.ts'
import { ownWorld } from '../world/own.ts'
import { connectWorld } from '../world/world.ts'

/** At most. Some are sent, or opened, before it is known whether they are needed: by DNS also those to the handle's host. */
const MOST: Readonly<Record<Step, Most>> = {
  'init, DNS': { requests: [6, 8], connections: [5, 7] },
  'init, well-known': { requests: [6, 8], connections: [5, 7] },
  'init, of server': { requests: [6, 8], connections: [5, 7] },
  complete: { requests: [4, 4], connections: [4, 4] },
  'call, first': { requests: [2, 2], connections: [1, 1] },
  'call, warm': { requests: [1, 1], connections: [1, 1] },
  refresh: { requests: [5, 5], connections: [5, 5] },
}

/** Of a PDS that is its own authorization server, and of the other. */
interface Most {
  readonly requests: readonly [number, number]
  readonly connections: readonly [number, number]
}

describe.each([TOGETHER, APART])('$title', (topology) => {
  const seen = new Map<Step, Traffic>()
  let home: Home
  let far: Far

  beforeAll(async () => {
    home = await createHome()
    far = await startFar(connectWorld(), topology)
    const counted = async (step: Step, work: () => Promise<{ result: string }>) => {
      far.relay.startTraffic(false)
      const { result } = await work()
      seen.set(step, far.relay.traffic())
      return result
    }
    far.setRecord(true)
    const ours = startOurs(far, home, ownWorld(), 'store')
    const callback = await far.signIn(await counted('init, DNS', () => ours.init(far.handles.own)))
    await counted('complete', () => ours.complete(callback))
    await counted('call, first', ours.call)
    await counted('call, warm', ours.call)
    await counted('refresh', ours.refresh)
    far.setRecord(false)
    await counted('init, well-known', () => ours.init(far.handles.own))
    await counted('init, of server', () => ours.init(far.handles.ofServer))
  })
  afterAll(async () => {
    await far?.close()
    await home.remove()
  })

  test.each(Object.keys(MOST) as Step[])('%s asks no more than it may, over few connections', (step) => {
    const { requests: sent, opened } = seen.get(step)!
    // On a busy machine a request is not kept waiting for the nonce that was asked for early: it is sent again with it.
    const requests = sent.filter((request, index) => !(request.endsWith('/oauth/par') && request === sent[index - 1]))
    const kind = topology === TOGETHER ? 0 : 1
    expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(MOST[step].requests[kind])
    expect(requests.length).toBeLessThanOrEqual(topology.limits[step].requests ?? Number.POSITIVE_INFINITY)
    expect(opened).toBeLessThanOrEqual(MOST[step].connections[kind])
  })

  test('nothing is sent to the authorization server before the PDS has named it', () => {
    const { requests } = seen.get('init, well-known')!
    const named = requests.indexOf(`GET ${topology.pds}/.well-known/oauth-protected-resource`)
    const pushed = requests.indexOf(`POST ${topology.entryway ?? topology.pds}/oauth/par`)
    expect(named).toBeGreaterThanOrEqual(0)
    expect(pushed).toBeGreaterThan(named)
  })
})
