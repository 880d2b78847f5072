import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CliError } from '../../src/cli/errors.ts'
import {
  formatCredentials,
  isOAuthError,
  memoryStores,
  OAuthClient,
  OAuthError,
  type OAuthSession,
  parseCredentials,
  type SaveTarget,
  type SessionChange,
} from '../../src/index.ts'
import { failure } from '../support/failure.ts'
import { HOUR, isRefresh } from '../support/login.ts'
import { publishSet } from '../support/permission-sets.ts'
import { clientOf, countingListeners, createWorld, portsOf, SCOPE, signedIn } from './support.ts'

const PROFILE = 'app.bsky.actor.getProfile'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'library-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('a login', () => {
  test('authorize, callback, restore: the session is verified and stored', async () => {
    const world = createWorld()
    const client = clientOf(world)
    const authorization = await client.authorize('alice.fake.dev', { scope: SCOPE })
    expect(authorization).toMatchObject({ did: world.alice.did, handle: 'alice.fake.dev', pds: world.pds })
    expect(authorization).not.toHaveProperty('pending')
    const session = await client.callback(world.authorize(authorization.url))
    expect(session.did).toBe(world.alice.did)
    expect(session.login).toMatchObject({ grantedScope: SCOPE, missingScopes: [] })
    expect(session.login).not.toHaveProperty('credentials')
    for (const which of [undefined, world.alice.did, 'alice.fake.dev']) {
      const restored = await client.restore(which)
      expect(await restored.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
    }
    expect(await client.accounts()).toMatchObject([{ did: session.did, state: 'alive', handle: 'alice.fake.dev' }])
  })

  test('the callback as URL and as parameters', async () => {
    const world = createWorld()
    const client = clientOf(world)
    for (const asGiven of [(url: string) => new URL(url), (url: string) => new URL(url).searchParams]) {
      const { url } = await client.authorize('alice.fake.dev', { scope: SCOPE })
      expect((await client.callback(asGiven(world.authorize(url)))).did).toBe(world.alice.did)
    }
  })

  test('appState comes back with the session, also of another client with the same stores, and with a denial', async () => {
    const world = createWorld()
    const stores = memoryStores()
    const client = () => new OAuthClient({ ...portsOf(world), stores })
    const begin = (appState?: string) => client().authorize('alice.fake.dev', { scope: SCOPE, appState })
    const { url, state } = await begin('/settings?user=7')
    expect([url.href, state, JSON.stringify(world.requests)].join()).not.toContain('settings')
    expect((await client().callback(world.authorize(url))).login?.appState).toBe('/settings?user=7')
    expect((await client().callback(world.authorize((await begin()).url))).login).not.toHaveProperty('appState')
    const denied = client().callback(world.authorize((await begin('')).url, { deny: true }))
    await expect(denied).rejects.toMatchObject({ code: 'AUTHORIZATION_DENIED', facts: { appState: '' } })
  })

  test('a signal that is aborted before the code is sent leaves the login open', async () => {
    const world = createWorld()
    const client = clientOf(world)
    const { url } = await client.authorize('alice.fake.dev', { scope: SCOPE })
    const callback = world.authorize(url)
    const controller = new AbortController()
    world.faults.httpFault = (request) => {
      if (request.url.includes('oauth-authorization-server')) controller.abort('enough')
      return undefined
    }
    await expect(client.callback(callback, { signal: controller.signal })).rejects.toBe('enough')
    world.faults.httpFault = () => undefined
    expect(world.sent('/oauth/token')).toStrictEqual([])
    expect((await client.callback(callback)).did).toBe(world.alice.did)
  })

  test('one that is aborted while the code is on its way does not lose the session', async () => {
    const world = createWorld()
    const client = clientOf(world)
    const { url } = await client.authorize('alice.fake.dev', { scope: SCOPE })
    const { controller, count } = countingListeners()
    world.faults.httpFault = (request) => {
      if (request.url.endsWith('/oauth/token')) controller.abort('too late')
      return undefined
    }
    const session = await client.callback(world.authorize(url), { signal: controller.signal })
    expect((await client.restore(session.did)).did).toBe(world.alice.did)
    expect(count()).toBe(0)
  })

  test('of a hosted client, with what was given to its constructor', async () => {
    const world = createWorld()
    const clientId = 'https://app.fake.dev/client.json'
    const client = clientOf(world, { clientId, redirectUri: 'https://app.fake.dev/callback' })
    await client.authorize('alice.fake.dev', { scope: SCOPE }).catch(() => undefined)
    expect(world.sent('/oauth/par').at(-1)?.body).toContain(encodeURIComponent(clientId))
  })
})

describe('restore', () => {
  test('what export returned, as JSON; the text of each format; and variables', async () => {
    const world = createWorld()
    const session = await signedIn(world)
    const saved = JSON.stringify(session.export())
    expect(saved).not.toContain('accessToken')
    const elsewhere = () => clientOf(world, { stores: memoryStores() })
    const bundle = formatCredentials(session.export(), 'bundle').trim()
    const env = { PATH: '/bin', ATPROTO_OAUTH_SESSION: bundle }
    const variables = JSON.parse(formatCredentials(session.export(), 'json'))
    for (const which of [
      JSON.parse(saved),
      saved,
      bundle,
      formatCredentials(session.export(), 'dotenv'),
      env,
      variables,
    ]) {
      expect((await elsewhere().restore(which)).did).toBe(session.did)
    }
    for (const format of ['dotenv', 'export', 'bundle', 'json', 'raw'] as const) {
      const parsed = parseCredentials(formatCredentials(session.export(), format))
      expect(parsed, format).toMatchObject({ did: session.did, refreshToken: session.export().refreshToken })
    }
    expect(parseCredentials(saved)).toStrictEqual(parseCredentials(JSON.parse(saved)))
    // One refresh, and the rest is kept with the client.
    const other = elsewhere()
    const restored = await other.restore(JSON.parse(saved))
    expect(await restored.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
    expect((await other.restore(JSON.parse(saved))).export().rotation).toBe(1)
  })

  test.each([
    ['no credentials', {}, 'SESSION_MISSING'],
    ['half of them', { ATPROTO_OAUTH_REFRESH_TOKEN: 'token' }, 'CREDENTIALS_INCOMPLETE'],
    ['a session of another library', { dpopJwk: {}, tokenSet: {} }, 'CREDENTIALS_INVALID'],
    ['a key that is none', { did: 'did:plc:alice234567alice234567ab', dpopPrivateJwk: 'no' }, 'CREDENTIALS_INVALID'],
  ])('%s', async (_, which, code) => {
    const error = await failure(clientOf(createWorld()).restore(which))
    expect(error).toMatchObject({ code })
  })

  test('a saved session without what a refresh needs says which member is missing, and no value', () => {
    const dpopPrivateJwk = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43), d: 'S'.repeat(43) }
    const saved = { did: 'did:plc:alice234567alice234567ab', dpopPrivateJwk, refreshToken: 'canary' }
    const parse = () => parseCredentials(JSON.stringify(saved))
    expect(parse).toThrow('the credentials are incomplete: no clientId, server')
    expect(() => parseCredentials('canary of a text')).toThrow(/^(?!.*canary)/)
    expect(() => parseCredentials({})).toThrow('there is no session in the saved value')
  })

  test.each(['{"refreshToken": "canary', 'canary'.repeat(20), 'TOKEN=canary', 'canary of\nlines'])(
    'no error quotes a text that may be a secret: %j',
    async (text) => {
      const error = await failure(clientOf(createWorld()).restore(text))
      expect(error.message).not.toContain('canary')
    },
  )

  test.each([[null], [5], [[]]])('parsed JSON that is %j', async (value) => {
    const parsed = value as unknown as object
    expect(await failure(clientOf(createWorld()).restore(parsed))).toMatchObject({ code: 'SESSION_MISSING' })
    expect(() => parseCredentials(parsed)).toThrow(expect.objectContaining({ code: 'CREDENTIALS_INVALID' }))
  })

  test('one that has ended, and none', async () => {
    const world = createWorld()
    const client = clientOf(world)
    expect(await failure(client.restore())).toMatchObject({ code: 'SESSION_MISSING' })
    const session = await signedIn(world, client)
    const saved = session.export()
    await session.signOut()
    expect(world.sessionAlive(session.did)).toBe(false)
    expect(await failure(client.restore(saved))).toMatchObject({ code: 'SESSION_DEAD' })
    expect(await failure(client.restore(session.did))).toMatchObject({ code: 'SESSION_MISSING' })
    expect(await client.accounts()).toStrictEqual([])
  })
})

test('a lease has no refresh token, and works elsewhere', async () => {
  const world = createWorld()
  const session = await signedIn(world)
  const lease = await session.lease()
  expect(lease).not.toHaveProperty('refreshToken')
  const borrowed = await clientOf(world, { stores: memoryStores() }).restore(JSON.parse(JSON.stringify(lease)))
  expect(await borrowed.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
  expect(borrowed.export()).toMatchObject({ accessToken: lease.accessToken })
  expect(await failure(borrowed.signOut())).toMatchObject({ code: 'CREDENTIALS_INCOMPLETE' })
})

describe('onSessionChange', () => {
  test('rotated once for each refresh, and ended at sign-out', async () => {
    const world = createWorld()
    const changes: SessionChange[] = []
    const client = clientOf(world, { onSessionChange: (change) => void changes.push(change) })
    const session = await signedIn(world, client)
    expect(changes).toStrictEqual([])
    world.advance(HOUR)
    const { did } = session
    await Promise.all([1, 2, 3].map(() => session.query(PROFILE, { actor: did })))
    const { thumbprint } = session.status
    expect(changes).toStrictEqual([{ kind: 'rotated', did, thumbprint, rotation: 1 }])
    await session.refresh()
    expect(changes.at(-1)).toMatchObject({ kind: 'rotated', rotation: 2 })
    await client.signOut(did)
    expect(changes).toHaveLength(3)
    expect(changes.at(-1)).toStrictEqual({ kind: 'ended', did, thumbprint, reason: 'it was revoked here' })
  })

  test('ended by the server, of given credentials too; an error in it is a warning', async () => {
    const world = createWorld()
    const saved = (await signedIn(world)).export()
    const kinds: string[] = []
    const warnings: string[] = []
    const client = clientOf(world, {
      stores: memoryStores(),
      onWarning: (message) => void warnings.push(message),
      onSessionChange: ({ kind }) => {
        kinds.push(kind)
        throw new Error('a fault of the program')
      },
    })
    const session = await client.restore(saved)
    await clientOf(world).signOut(saved.did)
    expect(await failure(session.refresh())).toMatchObject({ code: 'SESSION_DEAD' })
    expect(kinds).toStrictEqual(['ended'])
    expect(warnings).toStrictEqual(['onSessionChange failed: a fault of the program'])
  })

  test('an async function that fails is a warning too, and one of onWarning ends nothing', async () => {
    const world = createWorld()
    const warnings: string[] = []
    const client = clientOf(world, {
      onWarning: async (message) => {
        warnings.push(message)
        throw new Error('a fault of the program')
      },
      onSessionChange: async () => {
        throw new Error('a fault of the program')
      },
    })
    const session = await signedIn(world, client)
    await session.refresh()
    expect(await session.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
    expect(warnings).toStrictEqual(['onSessionChange failed: a fault of the program'])
  })
})

describe('ports', () => {
  test('a save target of the program gets the new session and each rotation, awaited', async () => {
    const world = createWorld()
    const saved: Record<string, string>[] = []
    const target: SaveTarget = {
      name: 'database',
      durable: true,
      save: async (entries) => void saved.push(Object.fromEntries(entries)),
    }
    const client = clientOf(world, { save: [target] })
    const session = await signedIn(world, client)
    expect(saved).toHaveLength(1)
    expect(parseCredentials(saved[0]!)).toMatchObject({ did: session.did, rotation: 0 })
    expect(await client.accounts()).toStrictEqual([])
    await session.refresh()
    expect(parseCredentials(saved.at(-1)!)).toMatchObject({ rotation: 1 })
    const elsewhere = await clientOf(world, { stores: memoryStores() }).restore(saved.at(-1)!)
    expect(await elsewhere.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
  })

  describe('a save target that fails once the token was sent', () => {
    async function failing() {
      const world = createWorld()
      const saved: Record<string, string>[] = []
      const target = {
        name: 'database',
        durable: true,
        saves: 0,
        async save(entries: Parameters<SaveTarget['save']>[0]) {
          // The first is the attempt before the token is sent.
          if (++this.saves === 2) throw new Error('the database is down')
          saved.push(Object.fromEntries(entries))
        },
      }
      const session = await signedIn(world)
      const warnings: string[] = []
      const onWarning = (message: string) => void warnings.push(message)
      const client = clientOf(world, { save: [target], onWarning })
      const own = await client.restore(session.did)
      expect(await failure(own.refresh())).toMatchObject({
        code: 'SAVE_FAILED',
        session: 'alive',
        message: 'the database is down; the session is valid, and the new credentials are in the store',
      })
      expect(parseCredentials(saved.at(-1)!)).toMatchObject({ rotation: 0 })
      return { world, saved, own, warnings, onWarning }
    }

    test('gets the tokens with the next request, without another refresh', async () => {
      const { world, saved, own, warnings } = await failing()
      await own.query(PROFILE, { actor: own.did })
      expect(parseCredentials(saved.at(-1)!)).toMatchObject({ rotation: 1 })
      expect(warnings).toStrictEqual(['the newest credentials were not saved to database: saving them now'])
      expect(world.sent(isRefresh)).toHaveLength(1)
    })

    test('does not stop a program that has no such target, and starts no other program there', async () => {
      const { world, own, warnings, onWarning } = await failing()
      const other = await clientOf(world, { onWarning }).restore(own.did)
      await other.refresh()
      expect(warnings.at(-1)).toBe(
        'database keeps older credentials, because other save targets were given: the save target "database" belongs to another program; the session is valid, and the new credentials are in the store',
      )
      expect(world.sessionAlive(own.did)).toBe(true)
    })
  })

  test('new tokens are saved before a change of the permissions is looked for and reported', async () => {
    const world = createWorld()
    const events: string[] = []
    const target = { name: 'database', durable: true, save: async () => void events.push('saved') }
    const client = clientOf(world, { save: [target], onWarning: () => events.push('warned') })
    const session = await signedIn(world, client)
    events.length = 0
    world.faults.mutateToken = (token) => ({ ...token, scope: `${SCOPE} transition:email` })
    await session.refresh()
    expect(events).toStrictEqual(['saved', 'saved', 'warned'])
  })

  describe('clients of one process with stores of their own, and the same credentials', () => {
    async function several() {
      const world = createWorld()
      const saved = (await signedIn(world)).export()
      const rows: Record<string, string>[] = []
      const database = { saves: 0, isDownAt: 0 }
      const open = async () => {
        const row: Record<string, string> = {}
        rows.push(row)
        const save: SaveTarget['save'] = async (entries) => {
          if (++database.saves === database.isDownAt) throw new Error('the database is down')
          Object.assign(row, Object.fromEntries(entries))
        }
        const target = { name: 'database', durable: true, save }
        return clientOf(world, { stores: memoryStores(), save: [target] }).restore(saved)
      }
      const query = (session: OAuthSession) => session.query(PROFILE, { actor: session.did })
      return { world, saved, rows, database, open, query }
    }

    test('at the same time: the token is sent once, and each saves the new ones', async () => {
      const { world, saved, rows, open, query } = await several()
      await Promise.all((await Promise.all([open(), open(), open()])).map(query))
      expect(world.sent(isRefresh)).toHaveLength(1)
      expect(rows.map((row) => parseCredentials(row))).toMatchObject([1, 2, 3].map(() => ({ rotation: 1 })))
      expect(new Set(rows.map((row) => parseCredentials(row).refreshToken)).size).toBe(1)
      expect(world.sessionAlive(saved.did)).toBe(true)
    })

    test('later, after any number of refreshes, and in turn', async () => {
      const { world, saved, rows, open, query } = await several()
      const [one, other] = [await open(), await open()]
      for (let refresh = 1; refresh <= 3; refresh++) await one.refresh()
      await query(other)
      expect(world.sent(isRefresh)).toHaveLength(3)
      expect(parseCredentials(rows[1]!)).toMatchObject({ rotation: 3 })
      await other.refresh()
      await one.refresh()
      await query(await open())
      expect(parseCredentials(rows[2]!)).toMatchObject({ rotation: 5 })
      expect(world.sent(isRefresh)).toHaveLength(5)
      expect(world.sessionAlive(saved.did)).toBe(true)
    })

    test('each in its turn, and then the first again', async () => {
      const { world, saved, open, query } = await several()
      const sessions = await Promise.all([open(), open(), open()])
      for (const session of sessions) {
        await session.refresh()
        world.advance(HOUR)
      }
      for (const session of sessions) await query(session)
      expect(world.sent(isRefresh)).toHaveLength(4)
      expect(world.sessionAlive(saved.did)).toBe(true)
    })

    test('what the server said with the tokens comes with them, such as its time and the scope', async () => {
      const { world, open, query } = await several()
      world.faults.clockOffsetMs = 2 * HOUR
      world.faults.mutateToken = (token) => ({ ...token, scope: `${SCOPE} transition:email` })
      for (const session of [await open(), await open(), await open()]) {
        await query(session)
        expect(session.status.scope).toBe(`${SCOPE} transition:email`)
      }
      expect(world.sent(isRefresh)).toHaveLength(1)
    })

    test('one that was idle for more refreshes than there are hashes of spent tokens', async () => {
      const { world, saved, open, query } = await several()
      const [busy, idle] = [await open(), await open()]
      for (let count = 1; count <= 60; count++) await busy.refresh()
      await idle.refresh()
      for (let count = 1; count <= 60; count++) await busy.refresh()
      await query(idle)
      expect(world.sent(isRefresh)).toHaveLength(121)
      expect(world.sessionAlive(saved.did)).toBe(true)
    })

    test('without a save target: nothing is left to be saved', async () => {
      const { world, saved, open, query } = await several()
      const stores = memoryStores()
      const session = await clientOf(world, { stores }).restore(saved)
      await query(await open())
      await query(session)
      expect(await stores.sessions.read(saved.thumbprint!)).toMatchObject({ rotation: 1, undelivered: undefined })
    })

    test.each([
      ['lostAfter', 'REFRESH_AMBIGUOUS', 1],
      ['unreachable', 'NETWORK_UNREACHABLE', 0],
    ] as const)(
      'those that wait for a refresh get its failure (%s), and try nothing themselves',
      async (fault, code, sent) => {
        const { world, saved, open, query } = await several()
        const sessions = await Promise.all([open(), open(), open()])
        world.faults.httpFault = (request) => (isRefresh(request) || sent === 0 ? fault : undefined)
        const lookups = () => world.sent(({ url }) => url.startsWith('https://plc.directory')).length
        const before = lookups()
        const failures = await Promise.all(sessions.map((session) => failure(query(session))))
        expect(failures).toMatchObject([{ code }, { code }, { code }])
        expect(world.sent(isRefresh)).toHaveLength(sent)
        expect(lookups() - before).toBe(1)
        if (sent > 0) return
        world.faults.httpFault = () => undefined
        await Promise.all(sessions.map(query))
        expect(world.sent(isRefresh)).toHaveLength(1)
        expect(world.sessionAlive(saved.did)).toBe(true)
      },
    )

    test('some have a per-user store, others one of their own', async () => {
      const { world, saved, open, query } = await several()
      const homes = await Promise.all([newFolder(), newFolder()])
      const users = homes.map((home) => clientOf(world, { stores: undefined, home }).restore(saved))
      for (const session of await Promise.all([open(), ...users])) await query(session)
      expect(world.sent(isRefresh)).toHaveLength(1)
      const again = await clientOf(world, { stores: undefined, home: homes[1]! }).restore(saved.did)
      expect(again.export()).toMatchObject({ rotation: 1 })
    })

    test.each([
      ['later', async (refreshed: Promise<void>) => refreshed],
      ['meanwhile', async () => undefined],
    ])('one hands the session over, which another one has refreshed %s: with the newest tokens', async (_, when) => {
      const { world, saved, rows, open, query } = await several()
      const [one, other, third] = [await open(), await open(), await open()]
      const refreshed = one.refresh()
      await when(refreshed)
      let value: unknown
      await other.handOver('atcute', (given) => {
        value = JSON.parse(JSON.stringify(given))
      })
      await refreshed
      expect(value).toMatchObject({ tokenSet: { refresh_token: world.currentRefreshToken(saved.did) } })
      world.advance(HOUR)
      expect(await failure(query(third))).toMatchObject({ code: 'SESSION_MISSING', facts: { reason: 'exported' } })
      expect(await failure(third.signOut())).toMatchObject({
        code: 'SESSION_MISSING',
        facts: { reason: 'handed-over' },
      })
      expect(world.sent(isRefresh)).toHaveLength(1)
      expect(rows[2]).toStrictEqual({})
      const client = clientOf(world, { stores: memoryStores() })
      await query(await client.importSession(value, { clientId: saved.clientId! }))
      expect(world.sessionAlive(saved.did)).toBe(true)
    })

    test('one signs out, with the newest token', async () => {
      const { world, saved, open, query } = await several()
      const [one, other] = [await open(), await open()]
      await one.refresh()
      const token = world.currentRefreshToken(saved.did)!
      await other.signOut()
      expect(world.sent(({ body }) => body.includes(`token=${token}`)).length).toBeGreaterThan(0)
      world.advance(HOUR)
      expect(await failure(query(one))).toMatchObject({ code: 'SESSION_DEAD' })
    })

    test.each([1, 2])(
      'one could not save, at attempt %i: the next one has the newest tokens anyway',
      async (failing) => {
        const { world, saved, database, open, query } = await several()
        const [one, other] = [await open(), await open()]
        await one.refresh()
        database.isDownAt = database.saves + failing
        expect(await failure(one.refresh())).toMatchObject({ code: 'SAVE_FAILED' })
        await query(other)
        expect(world.sent(isRefresh)).toHaveLength(failing)
        expect(world.sessionAlive(saved.did)).toBe(true)
      },
    )
  })

  test('a store that fails after the token was sent gets the new tokens with the next request', async () => {
    const world = createWorld()
    const { pending, sessions } = memoryStores()
    const down = { isDown: false }
    const update: typeof sessions.update = (thumbprint, transaction) =>
      sessions.update(thumbprint, (given) =>
        transaction({
          ...given,
          async commit(next) {
            if (down.isDown && next.intent === undefined) throw new Error('the database is down')
            await given.commit(next)
          },
        }),
      )
    const client = clientOf(world, { stores: { pending, sessions: { ...sessions, update } } })
    const session = await signedIn(world, client)
    down.isDown = true
    await expect(session.refresh()).rejects.toThrow('the database is down')
    down.isDown = false
    expect(await session.query(PROFILE, { actor: session.did })).toMatchObject({ did: session.did })
    await (await client.restore(session.did)).refresh()
    expect(world.sent(isRefresh)).toHaveLength(2)
    expect(world.sessionAlive(session.did)).toBe(true)
  })

  test('two programs with stores of their own share a target that can be read and locked', async () => {
    const world = createWorld()
    const saved = (await signedIn(world)).export()
    let row: Record<string, string> | undefined
    let turn: Promise<unknown> = Promise.resolve()
    const target: SaveTarget = {
      name: 'database',
      durable: true,
      save: async (entries) => {
        row = Object.fromEntries(entries)
      },
      read: async () => row,
      lock(work) {
        const done = turn.then(() => work({ confirm: async () => undefined }))
        turn = done.catch(() => undefined)
        return done
      },
    }
    const programs = [1, 2, 3].map(() => clientOf(world, { stores: memoryStores(), save: [target] }))
    const sessions = await Promise.all(programs.map((program) => program.restore(saved)))
    for (const round of [1, 2, 3]) {
      await Promise.all(sessions.map((session) => session.refresh()))
      expect(parseCredentials(row!)).toMatchObject({ rotation: 3 * round })
    }
    for (const session of sessions) await session.query(PROFILE, { actor: session.did })
    expect(world.sessionAlive(saved.did)).toBe(true)
  })

  test.each([
    [{ stores: memoryStores(), home: 'sessions' }, 'stores cannot be used with home'],
    [{ stores: memoryStores(), vault: { address: 'git:x', key: 'x' } }, 'stores cannot be used with vault'],
    [{ stores: memoryStores(), save: ['vault'] }, 'the save target "vault" cannot be used without a vault'],
    [
      { home: 'sessions', vault: false as const, save: ['vault'] },
      'the save target "vault" cannot be used without a vault',
    ],
  ])('options that cannot be used together: %#', (options, message) => {
    expect(() => new OAuthClient(options)).toThrow(expect.objectContaining({ code: 'USAGE', message }))
  })

  test('a store that is a class with private members', async () => {
    const world = createWorld()
    const { pending, sessions } = memoryStores()
    class Sessions {
      readonly #inner = sessions
      read = undefined as never
      list() {
        return this.#inner.list()
      }
    }
    for (const name of Object.keys(sessions) as (keyof typeof sessions)[]) {
      if (name === 'list') continue
      Object.defineProperty(Sessions.prototype, name, { value: sessions[name] })
    }
    const store = new Sessions() as unknown as typeof sessions
    Object.assign(store, { read: sessions.read })
    const client = clientOf(world, { stores: { pending, sessions: store } })
    const session = await signedIn(world, client)
    expect(await client.accounts()).toMatchObject([{ did: session.did }])
  })

  test('the per-user store is in the folder that home names, and is the one of the commands', async () => {
    const world = createWorld()
    const { stores, ...ports } = portsOf(world)
    const home = await newFolder()
    const one = new OAuthClient({ ...ports, home })
    const session = await signedIn(world, one)
    // A second client on the same folder: each refresh is one, whoever does it.
    const other = await new OAuthClient({ ...ports, home }).restore(session.did)
    world.advance(HOUR)
    await Promise.all([session, other].map((each) => each.query(PROFILE, { actor: session.did })))
    expect(world.sent(isRefresh)).toHaveLength(1)
    expect(world.sessionAlive(session.did)).toBe(true)
    expect(stores.sessionRecords.size).toBe(0)
  })

  test('ten accounts in one process', async () => {
    const world = createWorld()
    const accounts = Array.from({ length: 10 }, (_, at) =>
      world.identity.addAccount({
        did: `did:plc:${'abcdefghij'[at]}aaaaaaaaaaaaaaaaaaaaaaa`,
        handle: `user${at}.fake.dev`,
        pds: world.pds,
      }),
    )
    const client = clientOf(world)
    const sessions = []
    for (const { handle } of accounts) {
      const { url } = await client.authorize(handle, { scope: SCOPE })
      sessions.push(await client.callback(world.authorize(url)))
    }
    world.advance(HOUR)
    await Promise.all(sessions.map((session) => session.query('com.atproto.server.getSession')))
    expect(world.sent(isRefresh)).toHaveLength(10)
    expect(new Set((await client.accounts()).map(({ did }) => did)).size).toBe(10)
    expect(await failure(client.restore())).toMatchObject({ code: 'ACCOUNT_UNCLEAR' })
  })
})

test('a signal of the client ends its operations, and leaves no listener on the way', async () => {
  const world = createWorld()
  const { controller, count } = countingListeners()
  const own = countingListeners()
  const client = clientOf(world, { signal: controller.signal })
  const session = await signedIn(world, client)
  const { signal } = own.controller
  const { did } = session
  for (let round = 0; round < 20; round += 1) {
    await session.query(PROFILE, { actor: did }, { signal })
    const response = await session.fetchHandler(`/xrpc/${PROFILE}?actor=${did}`, { signal })
    if (round % 2 === 0) await response.json()
    else await response.body?.cancel()
    await session.proof('GET', `${world.pds}/xrpc/${PROFILE}`, { signal })
    await client.accounts({ signal })
    await session.refresh({ signal })
  }
  expect([count(), own.count()]).toStrictEqual([0, 0])
  controller.abort(new Error('shutting down'))
  await expect(session.query(PROFILE, { actor: did })).rejects.toThrow('shutting down')
  await expect(client.restore(did)).rejects.toThrow('shutting down')
  await expect(session.fetchHandler('/xrpc/x')).rejects.toThrow('shutting down')
})

test('await using waits for a refresh whose caller has given up', async () => {
  const world = createWorld()
  const client = clientOf(world)
  const session = await signedIn(world, client)
  const controller = new AbortController()
  world.faults.httpFault = (request) => {
    if (isRefresh(request)) controller.abort('given up')
    return undefined
  }
  {
    await using held = session
    await expect(held.refresh({ signal: controller.signal })).rejects.toBe('given up')
  }
  expect((await client.restore(session.did)).export().rotation).toBe(1)
  await client[Symbol.asyncDispose]()
})

test('the errors of the library have no exit code and no hint', async () => {
  const error = await failure(clientOf(createWorld()).authorize('not a handle'))
  expect(isOAuthError(error, 'IDENTIFIER_INVALID')).toBe(true)
  expect(error).toBeInstanceOf(OAuthError)
  expect(error).not.toBeInstanceOf(CliError)
  expect(Object.keys(error as object).sort()).toStrictEqual(['code', 'facts', 'name', 'session'])
})

test('checkPermissionSet expands a set, and has a finding for one that cannot be resolved', async () => {
  const world = createWorld()
  publishSet(world, { permissions: [{ resource: 'repo', collection: ['dev.fake.lex.post'] }] })
  const client = clientOf(world)
  expect(await client.checkPermissionSet('dev.fake.lex.authAll')).toMatchObject({
    include: 'include:dev.fake.lex.authAll',
    set: { granted: ['repo:dev.fake.lex.post'], dropped: [] },
    permissions: [{ allows: 'Create, update and delete records of dev.fake.lex.post.' }],
  })
  const { set, error, findings } = await client.checkPermissionSet('dev.fake.none.authAll')
  expect([set, error?.code]).toStrictEqual([undefined, 'PERMISSION_SET_UNRESOLVED'])
  expect(findings).toMatchObject([{ topic: 'TXT record', verdict: 'broken' }])
  const scope = 'atproto include:dev.fake.lex.authAll include:dev.fake.none.authAll'
  expect(await client.authorize('alice.fake.dev', { scope })).toMatchObject({
    permissionSets: [{ nsid: 'dev.fake.lex.authAll' }],
    unresolvedSets: [{ include: 'include:dev.fake.none.authAll', error: { code: 'PERMISSION_SET_UNRESOLVED' } }],
  })
  await expect(client.checkPermissionSet('authAll')).rejects.toMatchObject({ code: 'SCOPE_INVALID' })
  await expect(
    client.checkPermissionSet('dev.fake.lex.authAll', { signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ name: 'AbortError' })
})

test('diagnose and checkClient need no runtime', async () => {
  const client = clientOf(createWorld())
  const topics: string[] = []
  for await (const { topic } of client.diagnose('alice.fake.dev')) topics.push(topic)
  expect(topics).toContain('PDS')
  expect(await client.checkClient({ clientId: 'http://localhost' })).toMatchObject({ kind: 'loopback' })
})
