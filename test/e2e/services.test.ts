/** Services behind the PDS, and tokens for them: what the real PDS makes of our requests. */
import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, GENERIC, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const APP_VIEW = 'did:web:api.bsky.app#bsky_appview'

test('19.1, 19.3, 19.5 a proxy header reaches the PDS, which forwards what is not its own, and itself does the rest', async () => {
  const { account, home, env } = await logIn(world, GENERIC)
  const call = (...args: string[]) => runCli(['call', ...args], { home, env })
  const proxied = ['-H', `atproto-proxy: ${APP_VIEW}`]

  const profile = await call('app.bsky.actor.getProfile', 'actor={did}', ...proxied)
  expect(JSON.parse(profile.stdout)).toMatchObject({ verified: { iss: account.did, lxm: 'app.bsky.actor.getProfile' } })

  const record = { $type: 'app.bsky.feed.post', text: 'x', createdAt: new Date().toISOString() }
  const body = JSON.stringify({ repo: account.did, collection: 'app.bsky.feed.post', record })
  const created = await call('com.atproto.repo.createRecord', '-d', body, ...proxied)
  expect(JSON.parse(created.stdout).uri).toContain(`at://${account.did}/app.bsky.feed.post/`)

  await world.clearRequests()
  for (const wrong of ['did:web:api.bsky.app', `${APP_VIEW}#x`, 'api.bsky.app#x', `did:web:a.b #x`]) {
    const refused = await call('app.bsky.actor.getProfile', 'actor={did}', '-H', `atproto-proxy: ${wrong}`)
    expectFailure(refused, 2, 'USAGE')
  }
  expect(await sentByUs(world)).toStrictEqual([])
})

// This PDS is from before 15.14: it takes a service by its bare DID, and answers `did#service` with a 500.
test('19.7, 19.8, 19.9, 15.14 service tokens: for one method of one service, a new one each time; what is missing can be asked for', async () => {
  const { account, home, env } = await logIn(world, 'atproto rpc:app.bsky.feed.getTimeline?aud=*')
  const issue = (...parameters: string[]) =>
    runCli(['call', 'com.atproto.server.getServiceAuth', 'aud=did:web:api.bsky.app', ...parameters], { home, env })
  const lxm = 'lxm=app.bsky.feed.getTimeline'

  const tokens = [await issue(lxm), await issue(lxm)].map(({ stdout }) => JSON.parse(stdout).token as string)
  expect(tokens[0]).not.toBe(tokens[1])
  for (const token of tokens) {
    expect(decodeJwt(token)).toMatchObject({
      iss: account.did,
      aud: 'did:web:api.bsky.app',
      lxm: 'app.bsky.feed.getTimeline',
    })
  }
  const past = await issue(lxm, 'exp=1600000000')
  expectFailure(past, 8, 'XRPC_ERROR')
  expect(past.stderr).toContain('400 BadExpiration')

  const missing = await issue('lxm=app.bsky.feed.getFeed')
  expectFailure(missing, 7, 'PERMISSION_MISSING')
  expect(missing.stderr).toContain("'rpc:app.bsky.feed.getFeed?aud=did:web:api.bsky.app'")
  const scope = /--scope '([^']+)'/.exec(missing.stderr)![1]!
  expect(scope).toBe('atproto rpc:app.bsky.feed.getTimeline?aud=* rpc:app.bsky.feed.getFeed?aud=*')
  expect((await runCli(['init', account.handle, '--scope', scope], { home })).code).toBe(0)
})

test('15.2, 15.9 what a scope would not give is said before anything is sent', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const init = (scope: string) => runCli(['init', account.handle, '--scope', scope], { home })
  const chat = await init('atproto transition:chat.bsky')
  expect(chat.code).toBe(0)
  expect(chat.stderr).toContain(
    'warning: transition:chat.bsky is specified only in combination with transition:generic',
  )

  await world.clearRequests()
  const wrong = await init('atproto repo:app.bsky.feed.post?action=write')
  expectFailure(wrong, 2, 'SCOPE_INVALID')
  expect(wrong.stderr).toContain('?action=create (or update, or delete)')
  expect(await sentByUs(world)).toStrictEqual([])
})
