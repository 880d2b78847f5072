/** Many sessions in one process, and many requests at the same time. */
import { getMaxListeners, setMaxListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { OAuthClient, type OAuthClientOptions, type OAuthSession } from '../../src/index.ts'
import { createTestWorld, type TestAccount, type TestWorld } from '../../src/testing/index.ts'

const COLLECTION = 'app.bsky.feed.post'

async function signIn(world: TestWorld, client: OAuthClient, account: TestAccount): Promise<OAuthSession> {
  const { url } = await client.authorize(account.handle, { scope: 'atproto transition:generic' })
  return client.callback(world.signIn(url))
}

const post = (session: OAuthSession, text: string) =>
  session.procedure('com.atproto.repo.createRecord', { repo: session.did, collection: COLLECTION, record: { text } })

test('two clients with ten accounts each: every request and every refresh is that of its own session', async () => {
  const world = createTestWorld()
  const accounts = Array.from({ length: 10 }, (_, at) => world.addAccount(`bot${at}.example.com`))
  const rotated: string[][] = [[], []]
  const clients = rotated.map(
    (seen) =>
      new OAuthClient({
        ...world.clientOptions(),
        onSessionChange: ({ kind, did }) => void seen.push(`${kind} ${did}`),
      }),
  )
  const sessions: OAuthSession[] = []
  for (const client of clients) for (const account of accounts) sessions.push(await signIn(world, client, account))

  world.expireTokens()
  await Promise.all(sessions.flatMap((session, at) => [post(session, `a${at}`), post(session, `b${at}`)]))

  const byRepo = (did: string) => world.records.filter(({ uri }) => uri.startsWith(`at://${did}/`))
  for (const [at, { did }] of accounts.entries()) {
    const texts = byRepo(did).map(({ value }) => (value as { text: string }).text)
    expect(texts.sort()).toStrictEqual([`a${at}`, `a${at + 10}`, `b${at}`, `b${at + 10}`].sort())
  }
  const dids = accounts.map(({ did }) => `rotated ${did}`).sort()
  expect(rotated.map((seen) => seen.sort())).toStrictEqual([dids, dids])
  for (const client of clients) expect(await client.accounts()).toHaveLength(10)

  world.endSessions(accounts[0])
  await expect(sessions[0]!.refresh()).rejects.toMatchObject({ code: 'SESSION_DEAD' })
  expect(await sessions[1]!.query('com.atproto.server.getSession')).toMatchObject({ did: accounts[1]!.did })
})

test('many requests at the same time may share a signal: Node does not warn of a leak', async () => {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  const [ofClient, ofCall, own] = [new AbortController(), new AbortController(), new AbortController()]
  setMaxListeners(70, own.signal)
  const world = createTestWorld()
  const run = async (options: OAuthClientOptions, signal?: AbortSignal) => {
    const client = new OAuthClient({ ...world.clientOptions(), ...options })
    const session = await client.restore(await world.createSession())
    const requests = Array.from({ length: 30 }, () => session.query('com.atproto.server.getSession', {}, { signal }))
    expect(await Promise.all(requests)).toHaveLength(30)
  }
  await run({}, ofCall.signal)
  await run({ signal: ofClient.signal })
  await run({ signal: ofClient.signal }, ofCall.signal)
  await setImmediate()
  expect(warnings).toStrictEqual([])
  await run({}, own.signal)
  expect(getMaxListeners(own.signal)).toBe(70) // what a program has chosen stays
})
