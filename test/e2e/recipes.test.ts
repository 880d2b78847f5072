/** The recipes of docs/, run as they stand there against the real PDS; other names stand for those of the network. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Block, blocksToRun, pasted } from '../support/blocks.ts'
import { lacks } from '../support/machine.ts'
import { createHome, type Home, runCli, runShell } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor } from './support.ts'

const world = connectWorld()
const POST = 'app.bsky.feed.post'

interface Post {
  readonly text: string
  readonly facets: readonly { index: { byteStart: number; byteEnd: number }; features: readonly object[] }[]
  readonly embed: { images: readonly { image: { ref: { $link: string } }; alt: string }[] }
}

/** The shell lines of each recipe, by its heading. */
const RECIPES = new Map<string, Block[]>()
for (const block of await blocksToRun()) {
  if (block.page === 'docs/recipes.md') RECIPES.set(block.heading, [...(RECIPES.get(block.heading) ?? []), block])
}
const tested = new Set<string>()
let bob: Account
let account: Account
/** One session for all, in the store. */
let home: Home

beforeAll(async () => {
  ;[account, bob] = [await world.createAccount(), await world.createAccount({ handle: 'bob-of-the-recipes.test' })]
  home = await createHome()
  const callback = await callbackFor(account, home)
  expect(await runCli(['complete', '--save', 'store'], { home, stdin: callback })).toMatchObject({ code: 0 })
  return () => home.remove()
})

async function run(heading: string, { block = 0, edit = (lines: string) => lines } = {}): Promise<string> {
  tested.add(heading)
  const script = edit(RECIPES.get(heading)![block]!.text)
    .replaceAll('bob.bsky.social', bob.handle)
    .replaceAll('https://video.bsky.app', world.appViewUrl)
    .replaceAll('did:web:video.bsky.app', world.appViewDid)
  const { code, stdout, stderr } = await runShell(pasted(script), { home })
  expect(code, stderr).toBe(0)
  return stdout
}

const ask = async (nsid: string, parameters: Record<string, string>) => {
  const response = await fetch(`${world.pdsUrl}/xrpc/${nsid}?${new URLSearchParams(parameters)}`)
  expect(response.status).toBe(200)
  return response
}
const posts = async () => {
  const listed = await ask('com.atproto.repo.listRecords', { repo: account.did, collection: POST, limit: '100' })
  return ((await listed.json()) as { records: { uri: string; value: Post }[] }).records
}
const newest = async (printed: string) => {
  const { uri } = JSON.parse(printed) as { uri: string }
  return (await posts()).find((post) => post.uri === uri)!.value
}

describe.skipIf(lacks('jq', 'curl'))('docs/recipes.md', () => {
  test('Post with a link and a mention', async ({ task }) => {
    const { text, facets } = await newest(await run(task.name))
    const bytes = Buffer.from(text)
    const parts = facets.map(({ index: { byteStart, byteEnd }, features }) => ({
      of: bytes.subarray(byteStart, byteEnd).toString(),
      features,
    }))
    expect(parts).toStrictEqual([
      { of: `@${bob.handle}`, features: [{ $type: 'app.bsky.richtext.facet#mention', did: bob.did }] },
      {
        of: 'https://example.com/menü',
        features: [{ $type: 'app.bsky.richtext.facet#link', uri: 'https://example.com/men%C3%BC' }],
      },
    ])
  })

  test('Post an image with alt text', async ({ task }) => {
    await writeFile(join(home.path, 'cat.png'), 'a cat')
    const { embed } = await newest(await run(task.name))
    const { image, alt } = embed.images[0]!
    expect(image).toMatchObject({ $type: 'blob', mimeType: 'image/png', size: 5 })
    expect(alt).toBe('A cat asleep on a keyboard')
    const blob = await ask('com.atproto.sync.getBlob', { did: account.did, cid: image.ref.$link })
    expect(await blob.text()).toBe('a cat')
  })

  test('Cross-post an article once', async ({ task }) => {
    const before = (await posts()).length
    const { uri, cid } = JSON.parse(await run(task.name))
    expect(JSON.parse(await run(task.name))).toMatchObject({ uri, cid })
    expect(await posts()).toHaveLength(before + 1)
    const another = JSON.parse(await run(task.name, { edit: (lines) => lines.replace('/hello', '/another') }))
    expect(another.uri).not.toBe(uri)
    expect(await posts()).toHaveLength(before + 2)
  })

  test('Export a repository', async ({ task }) => {
    await run(task.name)
    const repo = Buffer.from(await (await ask('com.atproto.sync.getRepo', { did: account.did })).arrayBuffer())
    expect(await readFile(join(home.path, 'repo.car'))).toStrictEqual(repo)
    const [cid, ...others] = (
      (await (await ask('com.atproto.sync.listBlobs', { did: account.did })).json()) as { cids: string[] }
    ).cids
    expect(others).toStrictEqual([])
    expect(await readFile(join(home.path, cid!), 'utf8')).toBe('a cat')
  })

  test('Delete old posts', async ({ task }) => {
    const kept = (await posts()).map(({ uri }) => uri)
    const writes = Array.from({ length: 25 }, (_, index) => ({
      $type: 'com.atproto.repo.applyWrites#create',
      collection: POST,
      value: { text: `old ${index}`, createdAt: '2024-06-05T04:03:02Z' },
    }))
    const args = ['call', 'com.atproto.repo.applyWrites', 'repo={did}', `writes=${JSON.stringify(writes)}`]
    expect(await runCli(args, { home })).toMatchObject({ code: 0 })
    // Smaller pages, so that there are several without hundreds of posts.
    await run(task.name, { edit: (lines) => lines.replace('limit=100', 'limit=10') })
    const old = (await readFile(join(home.path, 'old.jsonl'), 'utf8')).trim().split('\n')
    expect(old).toHaveLength(25)
    await writeFile(join(home.path, 'old.jsonl'), old.slice(1).join('\n')) // somebody has had a look
    await run(task.name, { block: 1 })
    expect((await readFile(join(home.path, 'deleted.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(24)
    expect((await posts()).map(({ uri }) => uri).toSorted()).toStrictEqual(
      [...kept, JSON.parse(old[0]!).uri].toSorted(),
    )
  })

  test('Read a profile', async ({ task }) => {
    await world.clearRequests()
    expect(JSON.parse(await run(task.name))).toStrictEqual({
      handle: 'handle.invalid',
      displayName: 'A',
      followersCount: 7,
    })
    const [asked] = await world.requests({ server: 'appview' })
    expect(asked!.path).toBe(`/xrpc/app.bsky.actor.getProfile?actor=${bob.handle}`)
  })

  test('A token for another service', async ({ task }) => {
    expect(JSON.parse(await run(task.name)).verified).toStrictEqual({
      iss: account.did,
      lxm: 'app.bsky.video.getUploadLimits',
    })
  })

  test('all others are run in keepers.test.ts', () => {
    const others = [...RECIPES.keys()].filter((heading) => !tested.has(heading))
    expect(others.filter((heading) => !heading.startsWith('Keep the session '))).toStrictEqual([])
  })
})
