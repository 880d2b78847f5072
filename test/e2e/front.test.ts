/** A front on a session of the real PDS, in this process: what `run` adds to it is tested in run.test.ts. */
import { createHash } from 'node:crypto'
import { AtpAgent, type BlobRef } from '@atproto/api'
import { expect, onTestFinished, test } from 'vitest'
import { createFront, type Refusal } from '../../src/front/front.ts'
import { parsePermit } from '../../src/front/permit.ts'
import { complete } from '../../src/login/complete.ts'
import { startFrontServer } from '../../src/node/front-server.ts'
import type { Runtime } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { unrecognizable } from '../support/media.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, GENERIC, library, newHome } from './support.ts'

const world = connectWorld()
const PASSWORD = 'password-of-this-run'
const LARGE = 5 * 1024 * 1024

/** An agent that has signed in at a front, as a program that knows only passwords does. */
async function signedIn(scope = GENERIC) {
  const account = await world.createAccount()
  const home = await newHome()
  const runtime = library(world, home)
  const succeeded: string[] = []
  const counting: Runtime = {
    ...runtime,
    fetch: async (url, init) => {
      const response = await runtime.fetch(url, init)
      if (response.ok) succeeded.push(url.pathname) // not the challenge for a nonce
      return response
    },
  }
  const { credentials } = await complete(await callbackFor(account, home, { scope }), runtime)
  const { accessToken, accessTokenExpiresAt, ...separate } = credentials
  const session = await openSession(separate, counting)
  const server = await startFrontServer()
  onTestFinished(() => server.close())
  const refusals: Refusal[] = []
  const front = createFront(
    session,
    {
      origin: server.origin,
      handle: await session.currentHandle(),
      password: PASSWORD,
      permit: parsePermit({}),
      onRefused: (refusal) => void refusals.push(refusal),
    },
    runtime,
  )
  server.serve(front)
  const agent = new AtpAgent({ service: server.origin })
  await agent.login({ identifier: account.handle, password: PASSWORD })
  return { account, agent, succeeded, refusals }
}

test('5 MB up and down, a post with it, and its end', async () => {
  const { account, agent } = await signedIn()
  const bytes = new Uint8Array(unrecognizable(LARGE))
  const encoding = 'application/octet-stream'
  const { data: same } = await agent.uploadBlob(new Blob([bytes]), { encoding }) // in chunks
  const { data } = await agent.uploadBlob(bytes, { encoding })
  expect(data.blob.ref.toString()).toBe(same.blob.ref.toString())
  expect(data.blob.size).toBe(LARGE)
  const blob: BlobRef = data.blob
  const record = { $type: 'app.bsky.feed.post', text: 'large', createdAt: new Date().toISOString(), file: blob }
  const created = await agent.com.atproto.repo.createRecord({
    repo: agent.assertDid,
    collection: 'app.bsky.feed.post',
    record,
  })
  const down = await agent.com.atproto.sync.getBlob({ did: account.did, cid: blob.ref.toString() })
  const sum = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')
  expect(sum(down.data)).toBe(sum(bytes))
  expect(down.headers['content-type']).toBe(encoding)
  expect(Object.keys(down.headers).filter((name) => /dpop|access-control/.test(name))).toStrictEqual([])

  const list = () => agent.com.atproto.repo.listRecords({ repo: account.did, collection: 'app.bsky.feed.post' })
  expect((await list()).data.records.map(({ uri }) => uri)).toStrictEqual([created.data.uri])
  await agent.deletePost(created.data.uri)
  expect((await list()).data.records).toStrictEqual([])
  const repo = await agent.com.atproto.sync.getRepo({ did: account.did })
  expect(repo.data.length).toBeGreaterThan(100)
})

test('500 requests at once cost one refresh, and each gets its response', async () => {
  const { agent, succeeded } = await signedIn()
  const all = await Promise.all(Array.from({ length: 500 }, () => agent.app.bsky.actor.getPreferences()))
  expect(all.every(({ success }) => success)).toBe(true)
  expect(succeeded.filter((path) => path === '/oauth/token')).toHaveLength(1)
})

test('what the scope lacks is refused alone, with what the PDS says', async () => {
  const { agent, refusals } = await signedIn('atproto repo:app.bsky.feed.post?action=create')
  const { uri } = await agent.post({ text: 'stays' })
  for (const _ of [1, 2]) {
    await expect(agent.deletePost(uri)).rejects.toMatchObject({ status: 403, error: 'ScopeMissingError' })
  }
  expect(refusals).toMatchObject([
    { nsid: 'com.atproto.repo.deleteRecord', reason: 'scope', scope: 'repo:app.bsky.feed.post?action=delete' },
  ])
  await agent.post({ text: 'stays too' })
})

test.each(['createAppPassword', 'listAppPasswords', 'requestAccountDelete'])(
  'the session is not enough for server.%s',
  async (name) => {
    const { agent } = await signedIn()
    const call = agent.call(`com.atproto.server.${name}`, {}, name === 'createAppPassword' ? { name: 'x' } : undefined)
    await expect(call).rejects.toMatchObject({ status: name === 'createAppPassword' ? 403 : expect.any(Number) })
  },
)
