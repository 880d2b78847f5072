/** The programs of docs/library.md, as a reader copies them: compiled under `strict`, then run against the real PDS. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { formatCredentials } from '../../src/credentials/write.ts'
import { memoryStores, OAuthClient, type Stores } from '../../src/index.ts'
import { complete } from '../../src/login/complete.ts'
import { packageFolder } from '../package/packed.ts'
import { type Block, blocksToRun } from '../support/blocks.ts'
import { HANG_MS } from '../support/machine.ts'
import { createHome, type Home } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, library, newHome } from './support.ts'

const world = connectWorld()
const OURS = fileURLToPath(new URL('../../node_modules', import.meta.url))
const GET_SESSION = 'com.atproto.server.getSession'
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

const ALL = 'All sessions of an account'
const NEWEST = 'Only the newest session'
const STORES = 'Stores in a database'
const blocks = (await blocksToRun()).filter(({ page, language }) => page === 'docs/library.md' && language === 'ts')
let home: Home
let account: Account

/** The programs, compiled; the account of the page is signed in by the first. */
beforeAll(async () => {
  home = await createHome()
  account = await world.createAccount()
  await writeFile(join(home.path, 'package.json'), '{"type":"module"}')
  await compile(home.path)
  await writeFile(join(home.path, 'cat.png'), Buffer.from(PNG, 'base64'))
  return () => home.remove()
})

/** Against the published declarations, beside the packages of other people. */
async function compile(folder: string): Promise<void> {
  const source = join(folder, 'source')
  await mkdir(join(source, 'node_modules'), { recursive: true })
  await symlink(packageFolder(), join(source, 'node_modules', 'atproto-oauth'))
  for (const scope of ['@atproto', '@types']) await symlink(join(OURS, scope), join(source, 'node_modules', scope))
  await bringAtcute(join(source, 'node_modules', '@atcute'))
  await writeFile(join(source, 'package.json'), '{"type":"module"}')
  for (const block of blocks) {
    await writeFile(join(source, `${nameOf(block)}.ts`), block.text.replaceAll('alice.bsky.social', account.handle))
  }
  const tsc = join(OURS, 'typescript', 'bin', 'tsc')
  const flags = '--module nodenext --target es2023 --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess'
  const files = blocks.map((block) => `${nameOf(block)}.ts`)
  const args = [tsc, ...flags.split(' '), '--types', 'node', '--skipLibCheck', '--outDir', folder, ...files]
  await promisify(execFile)(process.execPath, args, { cwd: source }).catch(({ stdout }) => expect(stdout).toBe(''))
  await standIn(join(folder, 'node_modules'))
}

/** Types of methods for the client that is installed here; another package has brought an older version of what is below them. */
async function bringAtcute(scope: string): Promise<void> {
  await mkdir(scope)
  for (const name of ['client', 'lexicons']) await symlink(join(OURS, '@atcute', name), join(scope, name))
  const own = (path: string) => !path.slice(OURS.length).includes('node_modules')
  await cp(join(OURS, '@atcute', 'atproto'), join(scope, 'atproto'), { recursive: true, filter: own })
}

/** The package, with the network and the home of this test as defaults. */
async function standIn(modules: string): Promise<void> {
  const stand = join(modules, 'atproto-oauth')
  await mkdir(stand, { recursive: true })
  for (const scope of ['@atproto', '@atcute']) await symlink(join(OURS, scope), join(modules, scope))
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const defaults = { dev: true, plcUrl, handleResolver }
  const real = JSON.stringify(pathToFileURL(join(packageFolder(), 'dist', 'index.js')).href)
  await writeFile(join(stand, 'package.json'), '{"type":"module","exports":"./index.js"}')
  await writeFile(
    join(stand, 'index.js'),
    `import { OAuthClient as Real, parseCredentials as parse } from ${real}
export * from ${real}
export const parseCredentials = (saved) => parse(saved, { dev: true })
export class OAuthClient extends Real {
  constructor(options = {}) {
    const home = options.stores ? undefined : ${JSON.stringify(home.state)}
    super({ ...${JSON.stringify(defaults)}, home, ...options })
  }
}
`,
  )
}

const nameOf = ({ heading }: Block) => heading.replace(/\W+/g, '-').toLowerCase()

/** The program under a heading, or the heading with this number. */
function start(which: number | string, env: Readonly<Record<string, string>> = {}): ChildProcess {
  const block = blocks.find(({ heading }) => heading === which || heading.startsWith(`${which}. `))
  const node = process.env['ATPROTO_OAUTH_TEST_NODE'] ?? process.execPath
  return spawn(node, [`${nameOf(block!)}.js`], {
    cwd: home.path,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: HANG_MS,
  })
}

/** What a program prints. It has to end by itself. */
async function finish(child: ChildProcess): Promise<string> {
  const [output, errors] = [text(child.stdout!), text(child.stderr!)]
  const [code] = await once(child, 'exit')
  expect(code, await errors).toBe(0)
  return output
}

const run = (which: number | string, env = {}) => finish(start(which, env))

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  const [data] = (await once(stdout!, 'data')) as [Buffer]
  return data.toString().split('\n')[0]!
}

/** Another session of the account, which no store has. */
async function anotherSession() {
  const elsewhere = await newHome()
  return (await complete(await callbackFor(account, elsewhere), library(world, elsewhere))).credentials
}

test('there are ten, in their order', () => {
  const headings = blocks.map(({ heading }) => Number.parseInt(heading, 10) || heading)
  expect(headings).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ALL, NEWEST, STORES])
})

test('1 to 5: sign in, requests, pages, a file, errors', async () => {
  const login = start(1)
  const errors = text(login.stderr!)
  const url = await firstLine(login)
  const output = text(login.stdout!)
  login.stdin!.end(`${await signIn(url, account, CONSENT)}\n`)
  expect(await once(login, 'exit'), await errors).toStrictEqual([0, null])
  expect(await output).toContain(`signed in as ${account.did}, with atproto `)

  expect(await run(2)).toMatch(new RegExp(`^${account.handle} posted at://${account.did}/app.bsky.feed.post/`))
  const listed = await run(3)
  expect(listed).toContain('"text":"hello from a program"')
  expect(listed).toContain('a page of 1')
  expect(await run(4)).toBe(`uploaded ${Buffer.from(PNG, 'base64').length} bytes\n`)
  expect((await stat(join(home.path, 'repo.car'))).size).toBeGreaterThan(100)
  expect(await run(5)).toBe('the server says 400: there is no such record\n')
})

test('6: a bot refreshes, and ends when it is told to', async () => {
  const bot = start(6)
  const output = text(bot.stdout!)
  const errors = text(bot.stderr!)
  let seen = ''
  await new Promise<void>((resolve) => {
    bot.stdout!.on('data', (data) => {
      seen += data
      if (seen.includes('posts')) resolve()
    })
  })
  bot.kill('SIGTERM')
  expect(await once(bot, 'exit'), await errors).toStrictEqual([0, null])
  expect(await output).toBe(`${account.did} rotated\n2 posts\n`)
})

test('7: a session in variables, and a lease for others', async () => {
  const credentials = await anotherSession()
  const env = { ATPROTO_OAUTH_SESSION: formatCredentials(credentials, 'bundle').trim() }
  expect(await run(7, env)).toMatch(new RegExp(`^${world.pdsUrl} until 20.*Z\ntrue\n$`))
  const lease = await readFile(join(home.path, 'lease.env'), 'utf8')
  expect(lease).toContain('ATPROTO_OAUTH_ACCESS_TOKEN=')
  expect(lease).not.toContain('REFRESH_TOKEN')
  expect((await stat(join(home.path, 'lease.env'))).mode & 0o777).toBe(0o600)
})

test('8: a session in storage of its own', async () => {
  const row = formatCredentials(await anotherSession(), 'json')
  await writeFile(join(home.path, 'row.json'), row)
  expect(await run(8)).toBe('refreshed\n')
  expect(await readFile(join(home.path, 'row.json'), 'utf8')).not.toBe(row)
})

test('9: beside @atproto/api, @atcute/client and fetch', async () => {
  expect(await run(9)).toBe('true\n200\n')
})

test('10: a server signs in the browser that started the login', async () => {
  const server = start(10)
  const done = text(server.stderr!)
  const ended = once(server, 'exit')
  const login = await firstLine(server)
  const get = (url: string, cookie = '') => fetch(url, { redirect: 'manual', headers: { cookie } })
  const begin = async () => {
    const { headers } = await get(login)
    const callback = await signIn(headers.get('location')!, account, CONSENT)
    return { callback, cookie: headers.get('set-cookie')!.split(';')[0]! }
  }
  const [own, foreign] = [await begin(), await begin()]
  expect((await get(foreign.callback, own.cookie)).status).toBe(403)
  expect((await get(new URL('/', login).href, own.cookie)).status).toBe(401)
  expect((await get(own.callback, own.cookie)).headers.get('location')).toBe('/')
  const page = await get(new URL('/', login).href, own.cookie)
  expect(await page.text()).toBe(`signed in as ${account.handle}`)
  server.kill()
  await ended
  expect(await done).toBe('')
})

test('all sessions of the account but the newest are signed out, at the server too', async () => {
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const client = new OAuthClient({ home: home.state, plcUrl, handleResolver, dev: true })
  const signInAgain = async () => {
    const { url } = await client.authorize(account.handle)
    return client.callback(await signIn(url.href, account, CONSENT))
  }
  const earlier = await signInAgain()
  const newest = await signInAgain()
  const given = earlier.export()
  await run(NEWEST)
  const alive = (await client.accounts()).filter(({ state }) => state === 'alive')
  expect(alive.map(({ thumbprint }) => thumbprint)).toStrictEqual([newest.status.thumbprint])
  await expect(newest.query(GET_SESSION)).resolves.toMatchObject({ did: account.did })
  const elsewhere = new OAuthClient({ home: (await newHome()).state, plcUrl, handleResolver, dev: true })
  await expect((await elsewhere.restore(given)).refresh()).rejects.toMatchObject({ code: 'SESSION_DEAD' })
})

test('all sessions of the account are signed out', async () => {
  expect(await run(ALL)).toBe('0 left\n')
})

test('stores in a database: many clients sign in and refresh with them, and no session is lost', async () => {
  const file = join(home.path, `${nameOf(blocks.find(({ heading }) => heading === STORES)!)}.js`)
  const { storesIn } = (await import(pathToFileURL(file).href)) as { storesIn(database: object): Stores }
  const rows = new Map<string, string>()
  const turns = new Map<string, Promise<unknown>>()
  const database = {
    get: async (key: string) => rows.get(key),
    set: async (key: string, value: string) => void rows.set(key, value),
    delete: async (key: string) => void rows.delete(key),
    values: async (prefix: string) => [...rows].filter(([key]) => key.startsWith(prefix)).map(([, value]) => value),
    lock<T>(key: string, work: (confirm: () => Promise<void>) => Promise<T>): Promise<T> {
      const done = (turns.get(key) ?? Promise.resolve()).then(() => work(async () => undefined))
      turns.set(
        key,
        done.catch(() => undefined),
      )
      return done
    },
  }
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const open = () => new OAuthClient({ dev: true, plcUrl, handleResolver, stores: storesIn(database) })
  const { url } = await open().authorize(account.handle)
  const callbackUrl = await signIn(url.href, account, CONSENT)
  // A browser may load the callback URL twice.
  const [first, second] = await Promise.allSettled([open().callback(callbackUrl), open().callback(callbackUrl)])
  expect([first.status, second.status].sort()).toStrictEqual(['fulfilled', 'rejected'])
  const sessions = await Promise.all([1, 2, 3].map(() => open().restore(account.did)))
  for (const _ of [1, 2]) await Promise.all(sessions.map((session) => session.refresh()))
  for (const session of sessions) expect(await session.query(GET_SESSION)).toMatchObject({ did: account.did })
  expect(await open().accounts()).toMatchObject([{ did: account.did }])
  await sessions[0]!.signOut()
  expect([...rows.keys()].filter((key) => !key.startsWith('login:'))).toStrictEqual([])
})

test('clients of one process with stores in memory of their own, and the same credentials: no token is sent twice', async () => {
  const credentials = await anotherSession()
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const open = () => new OAuthClient({ dev: true, plcUrl, handleResolver, stores: memoryStores() }).restore(credentials)
  const sessions = await Promise.all([open(), open(), open()])
  await Promise.all(sessions.map((session) => session.query(GET_SESSION)))
  for (const session of sessions) await session.refresh()
  for (const session of [...sessions, await open()]) {
    expect(await session.query(GET_SESSION)).toMatchObject({ did: account.did })
  }
  await sessions[0]!.signOut()
})
