/**
 * A program that runs for long, with the built package: two clients with ten accounts each, which call and refresh. It says
 * what is in use after each part of its calls. long-running.ts starts it with `--expose-gc`.
 */
import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'

const { library, testing, origin, calls, parts, hasSignal } = JSON.parse(process.argv[2])
const { memoryStores, OAuthClient } = await import(library)
const { createTestWorld } = await import(testing)

const ACCOUNTS = 10
/** Before the first measurement: Node compiles what is called often, and keeps that. */
const WARM_UP = 5000

const world = createTestWorld()
const accounts = Array.from({ length: ACCOUNTS }, (_, at) => world.addAccount(`bot${at}.example.com`))
const ofClient = new AbortController()
const ofCall = new AbortController()
const rotations = []
const sessions = []
for (let client = 0; client < 2; client += 1) {
  const oauth = new OAuthClient({
    ...(origin === undefined ? world.clientOptions() : { dev: true, stores: memoryStores() }),
    ...(hasSignal && { signal: ofClient.signal }),
    onSessionChange({ kind, rotation }) {
      rotations[client] = [kind, rotation]
    },
  })
  for (const account of accounts) sessions.push({ account, session: await oauth.restore(await credentialsOf(account)) })
}

/** On real sockets, the server only looks at the path: a token that lasts for all calls will do. */
async function credentialsOf(account) {
  const credentials = await world.createSession(account)
  if (origin === undefined) return credentials
  const { refreshToken, ...lease } = credentials
  return { ...lease, server: origin, issuer: origin, accessTokenExpiresAt: Date.now() + 24 * 60 * 60 * 1000 }
}

async function callOnce({ account, session }, number) {
  const options = hasSignal ? { signal: ofCall.signal } : {}
  if (number % 2 === 0) {
    const { did } = await session.query('com.atproto.server.getSession', {}, options)
    if (did !== account.did && origin === undefined) throw new Error(`${did} instead of ${account.did}`)
    return
  }
  const record = { $type: 'app.bsky.feed.post', text: `call ${number}`, createdAt: new Date().toISOString() }
  const input = { repo: account.did, collection: 'app.bsky.feed.post', rkey: 'only', record }
  await session.procedure('com.atproto.repo.putRecord', input, options)
}

async function run(count) {
  world.expireTokens()
  for (let number = 0; number < count; number += sessions.length) {
    await Promise.all(sessions.map((each, at) => callOnce(each, number / sessions.length + at)))
    world.requests.length = 0 // the servers are in this process too
  }
}

async function inUse() {
  for (let round = 0; round < 4; round += 1) {
    await setImmediate()
    globalThis.gc()
  }
  return process.memoryUsage().heapUsed
}

await run(WARM_UP)
const heap = [await inUse()]
for (let part = 0; part < parts; part += 1) {
  await run(calls / parts)
  heap.push(await inUse())
}
const listeners = [ofClient, ofCall].map(({ signal }) => getEventListeners(signal, 'abort').length)
const resources = process.getActiveResourcesInfo().filter((kind) => !/^(?:TTY|Pipe|File|FS)/.test(kind))
const records = world.records.length
process.stdout.write(JSON.stringify({ node: process.version, heap, listeners, resources, rotations, records }))
// And here it ends by itself: nothing is closed, and nothing may keep it up.
