/** A session as the libraries next door want one: no wrapper, no cast, real servers. */
import { Client, ok } from '@atcute/client'
import { expect, test } from 'vitest'
import { OAuthClient, type OAuthSession } from '../../src/index.ts'
import { complete } from '../../src/login/complete.ts'
import type { Credentials } from '../../src/model.ts'
import { loadApi } from '../world/packages.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, library, newHome } from './support.ts'

const { Agent, XRPCError } = await loadApi()
const world = connectWorld()
const POST = 'app.bsky.feed.post'
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** A session whose access token has to be replaced before anything comes of its first request. */
async function opened(change: (credentials: Credentials) => Partial<Credentials>): Promise<OAuthSession> {
  const account = await world.createAccount()
  const home = await newHome()
  const ports = library(world, home)
  const { credentials } = await complete(await callbackFor(account, home), ports)
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const client = new OAuthClient({ home: home.state, plcUrl, handleResolver, dev: true })
  return client.restore({ ...credentials, ...change(credentials) })
}

/** How often its tokens were replaced. */
const rotations = (session: OAuthSession) => session.export().rotation

test('new Agent(session): post, paginate, upload, with a refresh underneath when the access token has run out', async () => {
  const session = await opened(() => ({ accessTokenExpiresAt: Date.now() }))
  const agent = new Agent(session)
  expect(agent.assertDid).toBe(session.did)

  const { uri } = await agent.post({ text: 'post 0', createdAt: new Date().toISOString() })
  expect(uri).toContain(`at://${session.did}/${POST}/`)
  expect(rotations(session)).toBe(1)

  const { data } = await agent.uploadBlob(PIXEL, { encoding: 'image/png' })
  expect(data.blob).toMatchObject({ mimeType: 'image/png', size: PIXEL.length })
  const embed = { $type: 'app.bsky.embed.images', images: [{ image: data.blob, alt: 'a pixel' }] }
  for (const text of ['post 1', 'post 2', 'post 3', 'post 4']) await agent.post({ text, embed })

  const pages: number[] = []
  const texts: unknown[] = []
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const repo = session.did
    const page = await agent.com.atproto.repo.listRecords({
      repo,
      collection: POST,
      limit: 2,
      ...(cursor && { cursor }),
    })
    pages.push(page.data.records.length)
    texts.push(...page.data.records.map(({ value }) => value['text']))
    cursor = page.data.cursor
  }
  expect(pages.slice(0, 3)).toStrictEqual([2, 2, 1])
  expect(texts).toStrictEqual(['post 4', 'post 3', 'post 2', 'post 1', 'post 0'])

  // Its own errors, made of the server's answers, not ours.
  const missing = agent.com.atproto.repo.getRecord({ repo: session.did, collection: POST, rkey: 'nothing' })
  expect(await missing.catch((error) => error)).toBeInstanceOf(XRPCError)
  await expect(missing).rejects.toMatchObject({ status: 400, error: 'RecordNotFound' })
  expect((await agent.getProfile({ actor: session.did })).data.did).toBe(session.did)
  const misled = agent.withProxy('nobody', session.did).getProfile({ actor: session.did })
  await expect(misled).rejects.toMatchObject({ message: expect.stringMatching(/proxy/i) })
  expect(rotations(session)).toBe(1)

  // And ours, where there is no response.
  const over = new Agent(await opened(() => ({ accessTokenExpiresAt: 1, refreshToken: undefined })))
  const failed = over.getProfile({ actor: over.assertDid })
  await expect(failed).rejects.toMatchObject({ cause: { code: 'SESSION_NOT_REFRESHABLE' } })
})

test('new Client({ handler: session }): the same, with a refresh underneath when the access token is refused', async () => {
  // Another token of the same session, as if this one had been refreshed elsewhere.
  const session = await opened(({ accessToken }) => ({ accessToken: accessToken!.replace(/.{8}$/, 'AAAAAAAA') }))
  const client = new Client<Record<string, unknown>, Record<string, unknown>>({ handler: session })
  const repo = session.did
  const create = (text: string, image?: unknown) => {
    const embed = image === undefined ? {} : { embed: { $type: 'app.bsky.embed.images', images: [{ image, alt: '' }] } }
    const record = { $type: POST, text, createdAt: new Date().toISOString(), ...embed }
    return ok(client.post('com.atproto.repo.createRecord', { as: 'json', input: { repo, collection: POST, record } }))
  }
  expect(await create('post 0')).toMatchObject({ uri: expect.stringContaining(`at://${repo}/${POST}/`) })
  expect(rotations(session)).toBe(1)

  const input = new Blob([PIXEL], { type: 'image/png' })
  const uploaded = await ok(client.post('com.atproto.repo.uploadBlob', { as: 'json', input }))
  expect(uploaded).toMatchObject({ blob: { mimeType: 'image/png', size: PIXEL.length } })
  const { blob } = uploaded as { blob: unknown }
  for (const text of ['post 1', 'post 2', 'post 3', 'post 4']) await create(text, blob)

  const texts: string[][] = []
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const params = { repo, collection: POST, limit: 2, cursor }
    const page = await ok(client.get('com.atproto.repo.listRecords', { as: 'json', params }))
    const { records, cursor: next } = page as { records: { value: { text: string } }[]; cursor?: string }
    texts.push(records.map(({ value }) => value.text))
    cursor = next
  }
  expect(texts.slice(0, 3)).toStrictEqual([['post 4', 'post 3'], ['post 2', 'post 1'], ['post 0']])

  const missing = { repo, collection: POST, rkey: 'nothing' }
  expect(await client.get('com.atproto.repo.getRecord', { as: 'json', params: missing })).toMatchObject({
    ok: false,
    status: 400,
    data: { error: 'RecordNotFound' },
  })
  const actor = { as: 'json', params: { actor: repo } } as const
  expect(await ok(client.get('app.bsky.actor.getProfile', actor))).toMatchObject({ did: repo })
  const did: `did:plc:${string}` | `did:web:${string}` = session.did
  const misled = client.clone({ proxy: `${did}#nobody` })
  const refused = await misled.get('app.bsky.actor.getProfile', actor)
  expect(refused).toMatchObject({ ok: false, data: { message: expect.stringMatching(/proxy/i) } })
  expect(rotations(session)).toBe(1)
})
