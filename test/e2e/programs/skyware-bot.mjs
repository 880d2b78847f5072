import { readFile } from 'node:fs/promises'
import { Bot } from '@skyware/bot'

const bot = new Bot({ service: process.env.BSKY_URL, emitEvents: false })
await bot.login({ identifier: process.env.BSKY_HANDLE, password: process.env.BSKY_PASSWORD })
const first = await bot.post({ text: 'first' })
for (const text of ['second', 'third']) await bot.post({ text })
await bot.post({ text: 'a clip', video: { data: new Blob([await readFile('clip.mp4')], { type: 'video/mp4' }) } })
const pages = []
for (let cursor = ''; cursor !== undefined; cursor = pages.at(-1).cursor) {
  const params = { repo: bot.profile.did, collection: 'app.bsky.feed.post', limit: 2, ...(cursor && { cursor }) }
  pages.push((await bot.agent.get('com.atproto.repo.listRecords', { params })).data)
}
const refused = await bot.deletePost(first.uri).then(
  () => undefined,
  ({ cause }) => String(cause),
)
process.stdout.write(
  JSON.stringify({ pages: pages.map(({ records }) => records.map(({ value }) => value.text)), refused }),
)
