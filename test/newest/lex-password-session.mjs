// A program on @atproto/lex-password-session, which needs Node 22: test/e2e/run-programs.test.ts
import { readFile } from 'node:fs/promises'
import { PasswordSession } from '@atproto/lex-password-session'

const { BSKY_URL: service, BSKY_HANDLE: identifier, BSKY_PASSWORD: password } = process.env
const session = await PasswordSession.login({ service, identifier, password })
const [repo, collection] = [session.did, 'app.bsky.feed.post']
const call = async (method, body, type = 'application/json') => {
  const init = body === undefined ? {} : { method: 'POST', headers: { 'content-type': type }, body }
  const response = await session.fetchHandler(`/xrpc/com.atproto.repo.${method}`, init)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return response.json()
}
const post = (fields) => {
  const record = { $type: collection, createdAt: new Date().toISOString(), ...fields }
  return call('createRecord', JSON.stringify({ repo, collection, record }))
}
const first = await post({ text: 'first' })
for (const text of ['second', 'third']) await post({ text })
const { blob } = await call('uploadBlob', await readFile('clip.mp4'), 'video/mp4')
await post({ text: 'a clip', embed: { $type: 'app.bsky.embed.video', video: blob } })
const pages = []
for (let cursor = ''; cursor !== undefined; cursor = pages.at(-1).cursor) {
  pages.push(
    await call(`listRecords?${new URLSearchParams({ repo, collection, limit: 2, ...(cursor && { cursor }) })}`),
  )
}
const rkey = first.uri.split('/').at(-1)
const refused = await call('deleteRecord', JSON.stringify({ repo, collection, rkey })).then(() => undefined, String)
process.stdout.write(
  JSON.stringify({ pages: pages.map(({ records }) => records.map(({ value }) => value.text)), refused }),
)
