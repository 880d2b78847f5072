/**
 * A login made in a fake world, and its credentials as another machine has them.
 */
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { Credentials, SessionRecord } from '../../src/model.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld } from './fake-atproto.ts'

export const HOUR = 3_600_000
export const GET_SESSION = { nsid: 'com.atproto.server.getSession' }
export const isRefresh = ({ body }: FakeRequest) => body.includes('grant_type=refresh_token')
export const isCall = ({ url }: FakeRequest) => url.includes('/xrpc/')
/** Nonces that last, so that requests can be counted. */
export const CALM: Partial<FakeWorld['faults']> = { asNonces: 'constant', rsNonces: 'constant' }

export async function signIn(world: FakeWorld, scope = 'atproto transition:generic') {
  const { authorizationUrl, pending } = await init('alice.fake.dev', { scope }, world)
  const completed = await complete(world.authorize(authorizationUrl), world)
  return { pending, ...completed }
}

/** `separate`: what the separate variables hold, so without the access token. */
export async function signedIn(faults: Partial<FakeWorld['faults']> = {}, scope?: string) {
  const world = createFakeWorld({ faults: { ...CALM, ...faults } })
  const { credentials } = await signIn(world, scope)
  const { did, clientId, dpopPrivateJwk, server, refreshToken } = credentials
  const separate: Credentials = { did, clientId, dpopPrivateJwk, server, refreshToken }
  return { world, credentials, separate }
}

/** The same servers, seen from a machine with a store of its own. */
export function elsewhere(world: FakeWorld): FakeWorld {
  return { ...world, stores: createFakeWorld().stores }
}

export function stored(world: FakeWorld): SessionRecord {
  const records = [...world.stores.sessionRecords.values()]
  if (records.length !== 1) throw new Error(`${records.length} sessions are stored`)
  return records[0]!
}
