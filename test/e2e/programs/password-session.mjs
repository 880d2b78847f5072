import { readFile } from 'node:fs/promises'
import { Client, ok } from '@atcute/client'
import { PasswordSession } from '@atcute/password-session'

const { BSKY_URL: service, BSKY_HANDLE: identifier, BSKY_PASSWORD: password } = process.env
const session = await PasswordSession.login({ service, identifier, password })
const [rpc, repo, collection] = [new Client({ handler: session }), session.did, 'app.bsky.feed.post']
const post = (fields) => {
  const record = { $type: collection, createdAt: new Date().toISOString(), ...fields }
  return ok(rpc.post('com.atproto.repo.createRecord', { input: { repo, collection, record } }))
}
const first = await post({ text: 'first' })
for (const text of ['second', 'third']) await post({ text })
const clip = new Blob([await readFile('clip.mp4')], { type: 'video/mp4' })
const { blob } = await ok(rpc.post('com.atproto.repo.uploadBlob', { input: clip }))
await post({ text: 'a clip', embed: { $type: 'app.bsky.embed.video', video: blob } })
const pages = []
for (let cursor = ''; cursor !== undefined; cursor = pages.at(-1).cursor) {
  const params = { repo, collection, limit: 2, ...(cursor && { cursor }) }
  pages.push(await ok(rpc.get('com.atproto.repo.listRecords', { params })))
}
const input = { repo, collection, rkey: first.uri.split('/').at(-1) }
const refused = await ok(rpc.post('com.atproto.repo.deleteRecord', { input })).then(() => undefined, String)
process.stdout.write(
  JSON.stringify({ pages: pages.map(({ records }) => records.map(({ value }) => value.text)), refused }),
)
