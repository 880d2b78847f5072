import { exportJWK, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { savedEntries } from '../../src/credentials/write.ts'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { SessionRecord } from '../../src/model.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { nextDeadline, statusOf } from '../../src/session/status.ts'
import { seededBytes } from '../../src/testing/http.ts'
import { createFakeWorld, type FakeWorld, type Fault } from '../support/fake-atproto.ts'
import { Death, FATAL, mortal, STEPS, type Step } from '../support/mortal.ts'

const DAY = 86_400_000
/** A part of the days is enough for every run: CI lives through all of them once. */
const THOROUGH = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] !== undefined
const CLIENT_ID = 'https://app.fake.dev/oauth-client-metadata.json'
const CLIENT = { clientId: CLIENT_ID, redirectUri: 'https://app.fake.dev/callback', scope: 'atproto' }
const KINDS = {
  public: { days: 14, every: 1 },
  confidential: { days: 730.5, every: THOROUGH ? 1 : 3 },
} as const

interface Life {
  readonly world: FakeWorld
  /** The CI secrets: what each job gets as its environment, and what its save target writes. */
  readonly secrets: Map<string, string>
  /** Chances below one of a thousand, from a seed. */
  chance(ofAThousand: number): boolean
  /** Secrets cannot be written today. */
  vault: 'good' | 'broken' | 'breaks'
}

async function begin(kind: keyof typeof KINDS, seed: string): Promise<Life> {
  const bare = createFakeWorld()
  const { x, y, d } = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  const open = { kty: 'EC', crv: 'P-256', x: x!, y: y!, kid: 'first' } as const
  const isConfidential = kind === 'confidential'
  bare.clients.set(CLIENT_ID, {
    redirect_uris: [CLIENT.redirectUri],
    scope: 'atproto',
    ...(isConfidential && { jwks: { keys: [open] } }),
  })
  const settings = { ...bare.settings, ...(isConfidential && { clientJwk: { ...open, d: d! } }) }
  const bytes = seededBytes(seed)
  const chance = (ofAThousand: number) => {
    const [high, low] = bytes(2)
    return (high! * 256 + low!) % 1000 < ofAThousand
  }
  const life: Life = { world: { ...bare, settings }, secrets: new Map(), chance, vault: 'good' }
  await signIn(life)
  return life
}

async function signIn({ world, secrets }: Life): Promise<void> {
  world.faults.httpFault = () => undefined
  const { authorizationUrl } = await init('alice.fake.dev', CLIENT, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  for (const [name, value] of savedEntries(credentials, true)) secrets.set(name, value)
}

function vaultOf(life: Life): SaveTarget {
  let saves = 0
  return {
    name: 'exec:vault',
    durable: true,
    async save(entries) {
      saves += 1
      if (life.vault === 'broken' || (life.vault === 'breaks' && saves > 1)) {
        throw new OAuthError('SAVE_FAILED', 'saving to exec:vault failed')
      }
      for (const [name, value] of entries) life.secrets.set(name, value)
    },
  }
}

interface Day {
  readonly error: unknown
  readonly record: SessionRecord | undefined
}

/** One CI job: a new process with the secrets in its environment. */
async function job(life: Life, isLast: (step: Step) => boolean): Promise<Day> {
  const { world, death } = mortal(life.world, [vaultOf(life)], isLast)
  try {
    const session = await openSession(readCredentials(Object.fromEntries(life.secrets), false)!, world)
    const response = await session.call({ nsid: 'com.atproto.server.getSession' })
    expect(response.status).toBe(200)
    return { error: undefined, record: session.record() }
  } catch (error) {
    return { error: death() ?? error, record: undefined }
  }
}

/** A fault for the first token request of a job. */
function once(fault: Fault): FakeWorld['faults']['httpFault'] {
  let is = true
  return ({ body }) => {
    if (!is || !body.includes('grant_type=')) return undefined
    is = false
    return fault
  }
}

const SURVIVABLE: readonly (() => Fault)[] = [
  () => 'lostBefore',
  () => 'unreachable',
  () => new Response('<h1>502</h1>', { status: 502 }),
  () => Response.json({ error: 'temporarily_unavailable' }, { status: 503 }),
  () => new Response('', { status: 429, headers: { 'retry-after': '60' } }),
]
const LETHAL: readonly (() => Fault)[] = [() => 'lostAfter', () => () => new Response('', { status: 502 })]

/** Some days, and whatever happens on the last of them. */
async function liveThrough(life: Life, faults: readonly (() => Fault)[], lastSteps: readonly Step[], days = 1) {
  const { world, chance } = life
  world.advance(days * DAY)
  if (chance(50)) {
    // The machine's clock is moved, the server's time goes on.
    const by = chance(500) ? DAY : -DAY
    world.advance(by + world.faults.clockOffsetMs)
    world.faults.clockOffsetMs = -by
  }
  world.faults.httpFault = chance(100) ? once(faults[pick(life, faults.length)]!()) : () => undefined
  life.vault = chance(50) ? 'broken' : chance(50) ? 'breaks' : 'good'
  const last = chance(150) ? lastSteps[pick(life, lastSteps.length)] : undefined
  return job(life, (step) => step === last)
}

function pick({ chance }: Life, count: number): number {
  let at = count - 1
  while (at > 0 && !chance(1000 / (at + 1))) at -= 1
  return at
}

const IN_A_DAY = ['REFRESH_AMBIGUOUS', 'NETWORK_UNREACHABLE', 'RATE_LIMITED', 'SAVE_FAILED']

/** Where a job may die without harm. */
const MORTAL = STEPS.filter((step) => !FATAL.includes(step))

describe.each(Object.entries(KINDS))('job after job, %s client', (name, { days, every }) => {
  const kind = name as keyof typeof KINDS
  const seeds = kind === 'public' ? Array.from({ length: THOROUGH ? 10 : 4 }, (_, index) => `public ${index}`) : ['one']

  test.each(seeds)('lives as long as the server allows, whatever else happens (%s)', async (seed) => {
    const life = await begin(kind, seed)
    const { world } = life
    const beganAt = world.now()
    const happened = new Set<string>()
    for (let day = every; day < days; day += every) {
      const { error } = await liveThrough(life, SURVIVABLE, MORTAL, every)
      if (error instanceof Death) happened.add(error.message)
      else if (error !== undefined) {
        expect(error).toBeInstanceOf(OAuthError)
        expect(IN_A_DAY).toContain((error as OAuthError).code)
        happened.add((error as OAuthError).code)
      }
      expect(world.sessions).toHaveLength(1)
      expect(world.sessionAlive(world.alice.did), `day ${day} after ${[...happened].join(', ')}`).toBe(true)
      // A quiet second try on the same day always works.
      world.faults.httpFault = () => undefined
      life.vault = 'good'
      const again = await job(life, () => false)
      expect(again.error, `day ${day}`).toBeUndefined()
      if (days - day < 7) {
        const left = nextDeadline(statusOf(again.record!, world.now()))! - world.now()
        expect(left / DAY).toBeLessThan(7 + 1) // a clock may be off by a day
        expect(statusOf(again.record!, world.now()).absoluteDeadline).toBe(beganAt + days * DAY)
      }
    }
    if (kind === 'confidential')
      expect([...happened].sort()).toStrictEqual([...IN_A_DAY, ...MORTAL.map((step) => `died ${step}`)].sort())
    world.advance(2 * DAY)
    const { error } = await job(life, () => false)
    expect(error).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
    expect((error as OAuthError).message).toMatch(/reached its maximum age|was not refreshed in time/)
  })

  test('what no client survives is the only thing that ends it, and is reported as what it is', async () => {
    const life = await begin(kind, 'mortal')
    const { world } = life
    let deaths = 0
    for (let day = 0; day < (THOROUGH ? 200 : 100); day += 1) {
      const { error } = await liveThrough(life, [...SURVIVABLE, ...LETHAL], STEPS)
      const isLost = !isHeld(life)
      if (isLost) {
        // Nobody has the server's newest token: the response was lost, or this process with it.
        const why =
          error instanceof Death ? FATAL.includes(error.step) : (error as OAuthError).code === 'REFRESH_AMBIGUOUS'
        expect(why, String(error)).toBe(true)
      }
      world.faults.httpFault = () => undefined
      life.vault = 'good'
      const again = await job(life, () => false)
      const isOld = (again.error as OAuthError | undefined)?.message.includes('reached its maximum age')
      if (isLost) {
        deaths += 1
        expect(again.error).toMatchObject({ code: 'SESSION_DEAD', session: 'dead' })
        expect((again.error as OAuthError).message).toContain('the refresh token was already used')
      } else if (!isOld) expect(again.error).toBeUndefined()
      if (again.error) await signIn(life)
    }
    expect(deaths).toBeGreaterThan(2)
  })
})

/** Whether the server's newest token is where a later job finds it: in the secrets or in the store. */
function isHeld({ world, secrets }: Life): boolean {
  const current = world.currentRefreshToken(world.alice.did)
  const inSecrets = readCredentials(Object.fromEntries(secrets), false)?.refreshToken
  const stored = [...world.stores.sessionRecords.values()].map(({ refreshToken }) => refreshToken)
  return [inSecrets, ...stored].includes(current)
}
