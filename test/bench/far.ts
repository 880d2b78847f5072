/**
 * Real servers under names, behind a relay: a PDS that is its own authorization server, and one that has an entryway.
 * They are measured by distance.ts, and what they are asked is counted by test/e2e/requests.test.ts.
 */
import { leadName } from '../world/names.ts'
import { signIn } from '../world/person.ts'
import type { Account, World } from '../world/world.ts'
import { type NameServer, startNameServer } from './name-server.ts'
import { distance, type Relay, startRelay } from './relay.ts'

export const STEPS = [
  'init, DNS',
  'init, well-known',
  'init, of server',
  'complete',
  'call, first',
  'call, warm',
  'refresh',
] as const
/** `init` is for an account's own domain, with or without a DNS record, or for a handle below the server's name. */
export type Step = (typeof STEPS)[number]

export interface Limits {
  readonly roundTrips: number
  readonly requests?: number
}

export interface Topology {
  readonly title: string
  readonly pds: string
  /** By default the PDS. */
  readonly entryway?: string
  /** Of the account's own, without a server of its own. */
  readonly domain: string
  readonly limits: Readonly<Record<Step, Limits>>
}

const CALLS = { 'call, first': { roundTrips: 4 }, 'call, warm': { roundTrips: 3, requests: 1 } }

export const TOGETHER: Topology = {
  title: 'The PDS is its own authorization server',
  pds: 'pds.far.dev',
  domain: 'together.dev',
  limits: {
    'init, DNS': { roundTrips: 7, requests: 8 },
    'init, well-known': { roundTrips: 8, requests: 8 },
    'init, of server': { roundTrips: 8, requests: 8 },
    complete: { roundTrips: 5, requests: 6 },
    refresh: { roundTrips: 5, requests: 6 },
    ...CALLS,
  },
}
export const APART: Topology = {
  title: 'The authorization server is apart from the PDS',
  pds: 'host.far.dev',
  entryway: 'entry.far.dev',
  domain: 'apart.dev',
  limits: {
    // The connection to one more server, which cannot be guessed.
    'init, DNS': { roundTrips: 10, requests: 8 },
    'init, well-known': { roundTrips: 11, requests: 8 },
    'init, of server': { roundTrips: 11, requests: 8 },
    complete: { roundTrips: 5, requests: 7 },
    refresh: { roundTrips: 5, requests: 7 },
    ...CALLS,
  },
}
export const BLUESKY: Topology = {
  title: 'They are apart, under the names of Bluesky',
  pds: 'morel.host.bsky.network',
  entryway: 'bsky.social',
  domain: 'guessed.dev',
  limits: {
    ...APART.limits,
    'init, DNS': { roundTrips: 7, requests: 8 },
    'init, well-known': { roundTrips: 8, requests: 8 },
    'init, of server': { roundTrips: 8, requests: 8 },
  },
}
export const TOPOLOGIES = [TOGETHER, APART, BLUESKY]

export interface Far {
  readonly relay: Relay
  readonly plcUrl: string
  readonly handles: { readonly own: string; readonly ofServer: string }
  /** Whether the account's own handle has a DNS record. Otherwise its domain serves a document. */
  setRecord(hasRecord: boolean): void
  /** Milliseconds that a round trip to the servers takes, and to DNS. */
  setDistance(roundTrip: number, toDns?: number): void
  /** Signs the account's owner in, from nearby. @returns the callback URL */
  signIn(authorizationUrl: string): Promise<string>
  close(): Promise<void>
}

const PLC = 'plc.far.dev'

export async function startFar(world: World, { pds: pdsName, entryway, domain }: Topology): Promise<Far> {
  const server = entryway ?? pdsName
  const pds = await world.startPds({ hostname: pdsName, entryway, handleDomains: [`.${domain}`, `.${server}`] })
  const handles = { own: `alice.${domain}`, ofServer: `bob.${server}` }
  const account = await pds.createAccount({ handle: handles.own })
  await pds.createAccount({ handle: handles.ofServer })

  const served = [pdsName, server, handles.own, handles.ofServer].map((name) => [name, portOf(pds.url)])
  const targets = { [PLC]: portOf(world.plcUrl), ...Object.fromEntries(served) }
  const names = await startNameServer(Object.keys(targets))
  const relay = await startRelay(targets, names.port)
  leadName(server, { port: relay.port, ca: relay.ca }) // for the person's browser, which is in this process
  return { relay, plcUrl: `https://${PLC}`, handles, ...controls(relay, names, account), close }

  async function close(): Promise<void> {
    await Promise.all([relay.close(), names.close()])
    await pds.stop()
  }
}

function controls(
  relay: Relay,
  names: NameServer,
  account: Account,
): Pick<Far, 'setRecord' | 'setDistance' | 'signIn'> {
  let current = distance(0)
  return {
    setRecord: (hasRecord) => names.setText(`_atproto.${account.handle}`, hasRecord ? `did=${account.did}` : undefined),
    setDistance(roundTrip, toDns = 0) {
      current = distance(roundTrip)
      relay.setWay(current)
      names.setWay(toDns === 0 ? async () => {} : () => relay.queryOver(toDns))
    },
    async signIn(authorizationUrl) {
      relay.setWay(distance(0))
      const callback = await signIn(authorizationUrl, account, { consent: true })
      relay.setWay(current)
      return callback
    },
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}
