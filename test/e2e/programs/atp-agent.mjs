import { readFile } from 'node:fs/promises'
import { AtpAgent } from '@atproto/api'

const agent = new AtpAgent({ service: process.env.BSKY_URL })
await agent.login({ identifier: process.env.BSKY_HANDLE, password: process.env.BSKY_PASSWORD })
const first = await agent.post({ text: 'first' })
for (const text of ['second', 'third']) await agent.post({ text })
const { blob } = (await agent.uploadBlob(await readFile('clip.mp4'), { encoding: 'video/mp4' })).data
await agent.post({ text: 'a clip', embed: { $type: 'app.bsky.embed.video', video: blob } })
const pages = []
for (let cursor = ''; cursor !== undefined; cursor = pages.at(-1).cursor) {
  const query = { repo: agent.assertDid, collection: 'app.bsky.feed.post', limit: 2, ...(cursor && { cursor }) }
  pages.push((await agent.com.atproto.repo.listRecords(query)).data)
}
const refused = await agent.deletePost(first.uri).then(() => undefined, String)
process.stdout.write(
  JSON.stringify({ pages: pages.map(({ records }) => records.map(({ value }) => value.text)), refused }),
)
