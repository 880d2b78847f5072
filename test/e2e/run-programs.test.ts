/**
 * Unmodified libraries and programs that sign in with an app password, started by `run`, against the real PDS. Each of
 * programs/ is what a user of the library would write; none of them has been told of OAuth.
 */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { unrecognizable } from '../support/media.ts'
import { runCli } from '../world/cli.ts'
import { inNewest, isNewest } from '../world/packages.ts'
import { connectWorld } from '../world/world.ts'
import { GENERIC, logIn } from './support.ts'

const world = connectWorld()
const POST = 'app.bsky.feed.post'
/** @skyware/bot asks for its own profile when it signs in. */
const PROFILE = 'rpc:app.bsky.actor.getProfile?aud=*'
const NO_DELETE = `atproto repo:${POST}?action=create blob:*/* ${PROFILE}`
const VARIABLES = ['--env', 'BSKY_URL={url}', '--env', 'BSKY_HANDLE={handle}', '--env', 'BSKY_PASSWORD={password}']

const here = (name: string) => fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url))
const PROGRAMS = [
  { library: '@atproto/api', program: here('atp-agent') },
  { library: '@atcute/password-session', program: here('password-session') },
  { library: '@skyware/bot', program: here('skyware-bot') },
  ...(isNewest ? [{ library: '@atproto/lex-password-session', program: inNewest('lex-password-session.mjs') }] : []),
]

async function started(program: string, scope: string) {
  const { account, home, env } = await logIn(world, scope)
  const clip = unrecognizable(5_000_000)
  await writeFile(join(home.path, 'clip.mp4'), clip)
  const result = await runCli(['run', ...VARIABLES, '--', process.execPath, program], { home, env })
  expect(result.code, result.stderr).toBe(0)
  const { pages, refused } = JSON.parse(result.stdout) as { pages: string[][]; refused?: string }
  expect(pages.length).toBeGreaterThan(1)
  expect(pages.flat()).toStrictEqual(['a clip', 'third', 'second', 'first'])
  const [newest, ...others] = await postsOf(account.did)
  const { ref, size } = newest!.embed!.video
  const blob = await fetch(`${world.pdsUrl}/xrpc/com.atproto.sync.getBlob?did=${account.did}&cid=${ref.$link}`)
  expect(size).toBe(clip.length)
  expect(sha256(Buffer.from(await blob.arrayBuffer()))).toBe(sha256(clip))
  return { texts: [newest!, ...others].map(({ text }) => text), refused, stderr: result.stderr }
}

async function postsOf(repo: string) {
  const response = await fetch(
    `${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${new URLSearchParams({ repo, collection: POST })}`,
  )
  type Post = { text: string; embed?: { video: { ref: { $link: string }; size: number } } }
  const { records } = (await response.json()) as { records: { value: Post }[] }
  return records.map(({ value }) => value)
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

test.each(PROGRAMS)('$library posts, pages, uploads 5 MB and deletes', async ({ program }) => {
  const { texts, refused } = await started(program, GENERIC)
  expect(refused).toBeUndefined()
  expect(texts).toStrictEqual(['a clip', 'third', 'second'])
})

test.each(PROGRAMS)('$library, with a scope that lacks delete, is refused only that', async ({ program }) => {
  const { texts, refused, stderr } = await started(program, NO_DELETE)
  expect(refused).toMatch(/action=delete/)
  expect(texts).toStrictEqual(['a clip', 'third', 'second', 'first'])
  const needed = `repo:${POST}?action=delete`
  const [said, ...others] = stderr.split('\n').filter((line) => line.includes('the PDS refused'))
  expect(said).toContain(`the PDS refused com.atproto.repo.deleteRecord, which needs the permission ${needed}: `)
  expect(said).toContain(`--scope '${NO_DELETE} ${needed}'`)
  expect(others).toStrictEqual([])
})

// The only command-line program in a registry we reach that reads its server from a variable. It deletes nothing, and
// accepts covers of less than 1 MB.
test.skipIf(!isNewest)('the unmodified sequoia CLI, as --as knows it, finds and publishes documents', async () => {
  const { account, home, env } = await logIn(world, GENERIC)
  const publication = `at://${account.did}/site.standard.publication/3lwafzkjqm25s`
  const record = { $type: 'site.standard.publication', name: 'x', url: 'https://blog.test' }
  const input = { repo: account.did, collection: 'site.standard.publication', rkey: '3lwafzkjqm25s', record }
  const put = await runCli(['call', 'com.atproto.repo.putRecord', '-d', JSON.stringify(input)], { home, env })
  expect(put.code, put.stderr).toBe(0)
  await mkdir(join(home.path, 'posts'))
  const config = { siteUrl: 'https://blog.test', contentDir: 'posts', publicationUri: publication }
  await writeFile(join(home.path, 'sequoia.json'), JSON.stringify(config))
  await writeFile(join(home.path, 'posts', 'cover.png'), unrecognizable(900_000))
  const front = ['---', 'title: Hello', 'publishDate: 2026-01-02', 'ogImage: cover.png', '---', 'text', '']
  await writeFile(join(home.path, 'posts', 'hello.md'), front.join('\n'))
  const sequoia = inNewest('node_modules/sequoia-cli/dist/index.js')
  const command = ['run', '--as', 'sequoia', '--', process.execPath, sequoia]
  const published = await runCli([...command, 'publish'], { home, env })
  expect(published.code, published.stderr + published.stdout).toBe(0)
  const query = new URLSearchParams({ repo: account.did, collection: 'site.standard.document' })
  const listed = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const [document] = ((await listed.json()) as { records: { value: object }[] }).records
  expect(document!.value).toMatchObject({ title: 'Hello', site: publication, coverImage: { size: 900_000 } })
  const synced = await runCli([...command, 'sync'], { home, env })
  expect(synced.code, synced.stderr).toBe(0)
  expect(synced.stdout).toMatch(/Matched: 1 documents/)
})
