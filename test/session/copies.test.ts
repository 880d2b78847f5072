/**
 * A year in which a session has many copies: two homes on one machine, a file that both save to, shells and secrets
 * that still have an old token, homes restored from a backup, and processes that were suspended. The session lives.
 */
import { exportJWK, generateKeyPair } from 'jose'
import { expect, test } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { savedEntries } from '../../src/credentials/write.ts'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import type { SessionRecord } from '../../src/model.ts'
import { createWitness } from '../../src/node/store/witness.ts'
import type { SaveTarget } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { seededBytes } from '../../src/testing/http.ts'
import { createFakeStores, type FakeStores } from '../../src/testing/memory-stores.ts'
import { tempFolder } from '../node/helpers.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'

const DAY = 86_400_000
/** With the quarter of another day in each, a year, of which a part is enough for every run. */
const THOROUGH = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] !== undefined
const DAYS = THOROUGH ? 292 : 80
const CLIENT_ID = 'https://app.fake.dev/oauth-client-metadata.json'
const CLIENT = { clientId: CLIENT_ID, redirectUri: 'https://app.fake.dev/callback', scope: 'atproto' }
type Variables = Readonly<Record<string, string>>

interface Home {
  readonly stores: FakeStores
  /** The record of each day, for a restore. */
  readonly backups: Map<string, SessionRecord>[]
}

interface Life {
  readonly world: FakeWorld
  readonly homes: readonly Home[]
  /** Whether runs that save to the file keep no token in their home. */
  readonly withoutStore: boolean
  /** What the file has now, and what it had after each save: what shells and secrets may still have. */
  readonly file: Variables[]
  pick(count: number): number
}

/** A home on this machine, which shares with the other what the machine has seen. */
async function createHome(cache: string): Promise<Home> {
  const stores = createFakeStores()
  const witness = createWitness(await tempFolder(), { cache, machine: async () => 'this machine' })
  const { sessions } = stores
  const update: typeof sessions.update = (thumbprint, transaction) =>
    sessions.update(thumbprint, (inner) => {
      let isSent = false
      return transaction({
        ...inner,
        async commit(next) {
          await inner.commit(next)
          if (next.intent === undefined) await witness.note(next, { isRefresh: isSent })
          isSent = next.intent !== undefined
        },
      })
    })
  return {
    stores: Object.assign(stores, { sessions: { ...sessions, update, assertNewest: witness.check } }),
    backups: [],
  }
}

async function begin(seed: string, withoutStore: boolean): Promise<Life> {
  const bare = createFakeWorld()
  const { x, y, d } = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  const key = { kty: 'EC', crv: 'P-256', x: x!, y: y!, kid: 'first' } as const
  bare.clients.set(CLIENT_ID, { redirect_uris: [CLIENT.redirectUri], scope: 'atproto', jwks: { keys: [key] } })
  const world = { ...bare, settings: { ...bare.settings, clientJwk: { ...key, d: d! } } }
  const bytes = seededBytes(seed)
  const pick = (count: number) => {
    const [high, low] = bytes(2)
    return (high! * 256 + low!) % count
  }
  const cache = await tempFolder()
  const homes = [await createHome(cache), await createHome(cache)]
  const { authorizationUrl } = await init('alice.fake.dev', CLIENT, world)
  const { credentials } = await complete(world.authorize(authorizationUrl), world)
  return { world, homes, withoutStore, file: [Object.fromEntries(savedEntries(credentials, false))], pick }
}

function fileTarget({ file }: Life): SaveTarget {
  return {
    name: 'file:/session.env',
    durable: true,
    read: async () => file.at(-1),
    save: async (entries) => void file.push(Object.fromEntries(entries)),
  }
}

/** One process. */
async function run(life: Life, home: Home, environment: Variables, saves: boolean): Promise<unknown> {
  const target = fileTarget(life)
  const world: FakeWorld = {
    ...life.world,
    stores: home.stores,
    saving: {
      ...life.world.saving,
      targets: saves ? [target] : [],
      withoutStore: saves && life.withoutStore,
      open: () => target,
    },
  }
  try {
    const session = await openSession(readCredentials(environment, false)!, world)
    expect((await session.call({ nsid: 'com.atproto.server.getSession' })).status).toBe(200)
    return undefined
  } catch (error) {
    return error
  }
}

/** Something that happens to people, and what it may be told. */
async function mishap(life: Life): Promise<unknown> {
  const { homes, file, pick } = life
  const home = homes[pick(2)]!
  const old = file[Math.max(0, file.length - 1 - pick(20))]!
  switch (pick(6)) {
    case 0: // a shell that was opened days ago
      return run(life, home, old, true)
    case 1: // the same, without the target, as in a job that was written before
      return run(life, home, old, false)
    case 2: {
      // variables of a program that does not count
      const { ATPROTO_OAUTH_ROTATION, ...uncounted } = old
      return run(life, home, uncounted, true)
    }
    case 3: {
      // a home restored from a backup
      const backup = home.backups[pick(home.backups.length + 1)]
      if (backup) for (const [thumbprint, record] of backup) home.stores.sessionRecords.set(thumbprint, record)
      return run(life, home, file.at(-1)!, false)
    }
    case 4: {
      // the file was replaced by an older copy of it
      const newest = file.at(-1)!
      file.push(old)
      const error = await run(life, home, old, true)
      file.push(file.at(-1) === old ? newest : file.at(-1)!)
      return error
    }
    default: {
      // A process that is suspended until another one has taken over.
      home.stores.failConfirm = () => new OAuthError('SESSION_BUSY', 'another process has taken over')
      const error = await run(life, home, file.at(-1)!, true)
      home.stores.failConfirm = () => undefined
      return error
    }
  }
}

/** The home with the server's current token, if the file does not have it. */
function newestHome({ world, homes, file }: Life): Home | undefined {
  const current = world.currentRefreshToken(world.alice.did)
  if (file.at(-1)!['ATPROTO_OAUTH_REFRESH_TOKEN'] === current) return undefined
  return homes.find(({ stores }) =>
    [...stores.sessionRecords.values()].some((record) => record.refreshToken === current),
  )
}

const TOLD = ['COPIES_DIFFER', 'SESSION_OUTDATED', 'SESSION_BUSY', 'REFRESH_AMBIGUOUS']
const USUAL = ['COPIES_DIFFER', 'SESSION_BUSY', 'SESSION_OUTDATED']
/** A home that has no token says where it is. */
const WITHOUT = ['COPIES_DIFFER', 'CREDENTIALS_INCOMPLETE', 'SESSION_BUSY', 'SESSION_OUTDATED']

const LIVES: readonly (readonly [seed: string, withoutStore: boolean, usual: readonly string[]])[] = [
  ['one', false, USUAL],
  ['two', true, WITHOUT],
  ['two', false, USUAL],
  ['one', true, WITHOUT],
]

test.each(THOROUGH ? LIVES : LIVES.slice(0, 2))(
  'the session lives, whichever copies are used (%s); tokens in the file alone %s',
  async (seed, withoutStore, usual) => {
    const life = await begin(seed, withoutStore)
    const { world, homes, file } = life
    const told = new Set<string>()
    for (let day = 1; day < DAYS; day += 1) {
      world.advance(DAY)
      const error = await mishap(life)
      if (error !== undefined) {
        expect(error).toBeInstanceOf(OAuthError)
        expect([...TOLD, ...usual], `day ${day}: ${error}`).toContain((error as OAuthError).code)
        told.add((error as OAuthError).code)
      }
      expect(world.sessions).toHaveLength(1)
      expect(world.sessionAlive(world.alice.did), `day ${day}: ${error}`).toBe(true)
      // Whoever has the newest copy goes on.
      world.advance(DAY / 4)
      const home = newestHome(life) ?? homes[day % 2]!
      expect(await run(life, home, file.at(-1)!, true), `day ${day}`).toBeUndefined()
      home.backups.push(new Map(structuredClone([...home.stores.sessionRecords])))
    }
    expect([...told].sort()).toStrictEqual(usual)
  },
)
