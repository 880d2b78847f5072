/** `call --paginate` on the real PDS. */
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, type LoggedIn, logIn, sentByUs } from './support.ts'

const world = connectWorld()
const LIST = ['com.atproto.repo.listRecords', 'repo={did}', 'collection=app.bsky.feed.post']
const TEXTS = Array.from({ length: 7 }, (_, index) => `post ${index}`)

/** Seven posts, oldest first. @returns `call` as their author */
async function withPosts({ account, home, env }: LoggedIn) {
  const call = (...args: string[]) => runCli(['call', ...args], { home, env })
  const writes = TEXTS.map((text, index) => ({
    $type: 'com.atproto.repo.applyWrites#create',
    collection: 'app.bsky.feed.post',
    value: { $type: 'app.bsky.feed.post', text, createdAt: new Date(index * 1000).toISOString() },
  }))
  const written = await call('com.atproto.repo.applyWrites', '-d', JSON.stringify({ repo: account.did, writes }))
  expect(written.code).toBe(0)
  await world.clearRequests()
  return call
}

test('18.11 all pages of a list, as they come or as items; a limit; and what is no list', async () => {
  const call = await withPosts(await logIn(world))
  const textsOf = (records: { value: { text: string } }[]) => records.map(({ value }) => value.text)

  const paged = await call(...LIST, 'limit=3', 'reverse=true', '--paginate')
  expect([paged.code, paged.stderr.includes('page ')]).toStrictEqual([0, false])
  const pages = paged.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(pages.flatMap(({ records }) => textsOf(records))).toStrictEqual(TEXTS)
  expect(pages.length).toBeGreaterThanOrEqual(3)

  const items = await call(...LIST, 'limit=3', '--paginate', '--items')
  const newestFirst = items.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(textsOf(newestFirst)).toStrictEqual(TEXTS.toReversed())

  const limited = await call(...LIST, 'limit=2', 'reverse=true', '--paginate', '--items=records', '--limit-pages', '2')
  expect(limited.stdout.match(/post \d/g)).toStrictEqual(TEXTS.slice(0, 4))
  const cursor = /more pages follow: (cursor=\S+)/.exec(limited.stderr)![1]!
  const rest = await call(...LIST, 'reverse=true', cursor, '--paginate', '--items')
  expect(rest.stdout.match(/post \d/g)).toStrictEqual(TEXTS.slice(4))

  expectFailure(await call(...LIST, '--paginate', '--items=posts'), 2, 'USAGE')
  expectFailure(await call(...LIST, 'limit=0', '--paginate', '--items'), 8, 'XRPC_ERROR')
  await world.clearRequests()
  expectFailure(await call('com.atproto.repo.createRecord', '-d', '{}', '--paginate'), 2, 'USAGE')
  expectFailure(await call(...LIST, '--items'), 2, 'USAGE')
  expect(await sentByUs(world)).toStrictEqual([])
})
