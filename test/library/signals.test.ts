/** What a signal of the system does to a program that uses the library. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSessionStore } from '../../src/node/store/sessions.ts'
import { startNode, tempFolder } from '../node/helpers.ts'

/** A fake world whose response to the requests with this text waits for a word on stdin, after it was said that they were sent. */
const worldThatWaits = (text: string, said: string) => `
  const { memoryStores, OAuthClient } = await import(process.env.SRC + 'index.ts')
  const { createFakeWorld } = await import(process.env.SRC + 'testing/world.ts')
  const world = createFakeWorld({ startAt: Date.now() })
  const fetch = async (url, init) => {
    const response = await world.fetch(url, init)
    if (String(init.body).includes('${text}') && response.ok) {
      console.log('${said}')
      await new Promise((resolve) => process.stdin.once('data', resolve))
    }
    return response
  }
`

/** Signs in; the request with the code waits. */
const LOGIN = `
  ${worldThatWaits('authorization_code', 'the code was sent')}
  const client = new OAuthClient({ home: process.argv[1], fetch, resolveTxt: world.resolveTxt })
  const { url } = await client.authorize('alice.fake.dev')
  const callback = world.authorize(url)
`

test.each(['SIGTERM', 'SIGHUP', 'SIGUSR2'] as const)(
  '%s after the code of a login was sent: the session is saved first',
  async (signal) => {
    const home = await tempFolder()
    const child = startNode(
      `${LOGIN} await client.callback(callback); await new Promise((_, no) => setTimeout(no, 600_000))`,
      [home],
    )
    await child.said('the code was sent')
    child.kill(signal)
    child.write('go on')
    expect(await child.ended).toMatchObject({ code: null, signal, stderr: '' })
    expect(await createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [] }).list()).toHaveLength(1)
  },
)

test('one that comes before the code is sent ends the program, and the login stays open', async () => {
  const home = await tempFolder()
  const code = `${LOGIN} console.log(callback); process.kill(process.pid, 'SIGTERM'); await client.callback(callback)`
  expect(await startNode(code, [home]).ended).toMatchObject({ code: null, signal: 'SIGTERM' })
  const [name] = await readdir(join(home, 'pending'))
  expect(await readFile(join(home, 'pending', name!), 'utf8')).toContain('"status": "pending"')
})

/** A session in memory, whose refresh is saved to the file; the request with the token waits. */
const REFRESH = `
  ${worldThatWaits('refresh_token=', 'the token was sent')}
  const { writeFile } = await import('node:fs/promises')
  const save = (entries) => writeFile(process.argv[1], JSON.stringify(Object.fromEntries(entries)))
  const options = { stores: memoryStores(), save: [{ name: 'row', durable: true, save }] }
  const client = new OAuthClient({ ...options, fetch, resolveTxt: world.resolveTxt })
  const { url } = await client.authorize('alice.fake.dev')
  const session = await client.callback(world.authorize(url))
  await session.refresh()
  await new Promise((_, no) => setTimeout(no, 600_000))
`

test('SIGTERM after a refresh token was sent, with stores in memory: the new one is saved first', async () => {
  const row = join(await tempFolder(), 'row')
  const child = startNode(REFRESH, [row])
  await child.said('the token was sent')
  child.kill('SIGTERM')
  child.write('go on')
  expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' })
  expect(JSON.parse(await readFile(row, 'utf8'))).toMatchObject({ ATPROTO_OAUTH_ROTATION: '1' })
})
