/** Permissions on the real PDS: what each preset is good for, what a refusal asks for, what a person leaves out. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { needsOf } from '../../src/protocol/needs.ts'
import { PRESETS, type Preset, presetScope } from '../../src/protocol/presets.ts'
import { missingScopes, scopeTokens } from '../../src/protocol/scope.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc.ts'
import { type CliResult, type Home, runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, logIn, newHome } from './support.ts'

const world = connectWorld()
const NOW = new Date().toISOString()
const POST = 'app.bsky.feed.post'
/** Of the form that posts have to have. */
const [ONE, TWO, THREE] = ['3kaaaaaaaaa22', '3kaaaaaaaaa23', '3kaaaaaaaaa24'] as const
const post = (text: string, more: object = {}) => ({ $type: POST, text, createdAt: NOW, ...more })

/** A service of direct messages; its DID is its address. */
const chat = createServer((request, response) => {
  const [, jwt] = (request.headers.authorization ?? '').split(' ')
  const service = { id: '#bsky_chat', type: 'BskyChatService', serviceEndpoint: `http://localhost:${port()}` }
  const body = request.url === '/.well-known/did.json' ? { id: did(), service: [service] } : { said: decodeJwt(jwt!) }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
})
const port = () => (chat.address() as AddressInfo).port
const did = () => `did:web:localhost%3A${port()}`
beforeAll(() => once(chat.listen(0, 'localhost'), 'listening'))
afterAll(() => chat.close())

interface Caller {
  readonly account: Account
  readonly home: Home
  readonly printed: CliResult
  readonly call: (nsid: string, ...more: string[]) => Promise<CliResult>
  /** With a body. */
  readonly post: (name: string, body: object) => Promise<CliResult>
  readonly upload: (type: string) => Promise<CliResult>
}

function caller(account: Account, home: Home, printed: CliResult): Caller {
  const env = parse(printed.stdoutBytes)
  const call = (nsid: string, ...more: string[]) => runCli(['call', nsid, ...more], { home, env })
  return {
    account,
    home,
    printed,
    call,
    post: (name, body) => call(`com.atproto.repo.${name}`, '-d', JSON.stringify({ repo: account.did, ...body })),
    async upload(type) {
      const file = type.replace('/', '.')
      await writeFile(join(home.path, file), `bytes of ${type}`)
      return call('com.atproto.repo.uploadBlob', '-d', `@${file}`, '-H', `content-type: ${type}`)
    },
  }
}

/** The person consents at the URL that this `init` prints, `complete`. */
async function signedIn(account: Account, home: Home, init: Promise<CliResult>): Promise<Caller> {
  const started = await init
  expect(started).toMatchObject({ code: 0 })
  const callback = await signIn(started.stdout.trim(), account, { consent: true })
  const printed = await runCli(['complete'], { home, stdin: callback })
  expect(printed).toMatchObject({ code: 0 })
  return caller(account, home, printed)
}

const granted = ({ printed }: Caller) => /^scope: (.*)$/m.exec(printed.stderr)![1]!

async function answers(...results: Promise<CliResult>[]): Promise<unknown[]> {
  return (await Promise.all(results)).map(({ code, stdout, stderr }) => {
    expect(code, stderr).toBe(0)
    return stdout === '' ? undefined : stdout.startsWith('{') ? JSON.parse(stdout) : stdout
  })
}

async function refused(...results: Promise<CliResult>[]): Promise<void> {
  for (const result of await Promise.all(results)) expectFailure(result, 7, 'PERMISSION_MISSING')
}

describe('15.16 init --for: granted whole, enough for its task, and for nothing else', () => {
  const as = async (...presets: Preset[]) => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const init = runCli(['init', account.handle, ...presets.flatMap((name) => ['--for', name])], { home })
    const session = await signedIn(account, home, init)
    expect(missingScopes(presetScope(presets), granted(session))).toStrictEqual([])
    expect(scopeTokens(granted(session))).toHaveLength(scopeTokens(presetScope(presets)).length)
    expect(session.printed.stderr).not.toContain('granted')
    return session
  }

  test('post', async () => {
    const { call, post: send, upload } = await as('post')
    const [, made] = await answers(
      call('com.atproto.identity.resolveHandle', `handle=${(await world.createAccount()).handle}`),
      send('createRecord', { collection: POST, rkey: ONE, record: post('x') }),
    )
    expect(made).toMatchObject({ uri: expect.stringContaining(`/${POST}/${ONE}`) })
    await refused(
      send('putRecord', { collection: POST, rkey: ONE, record: post('y') }),
      send('deleteRecord', { collection: POST, rkey: ONE }),
      send('createRecord', { collection: 'app.bsky.graph.follow', record: {} }),
      upload('image/png'),
      call('app.bsky.feed.getTimeline'),
    )
  })

  test('post-media: with an image, a card’s picture, a video and its captions', async () => {
    const { post: send, upload } = await as('post-media')
    const uploads = await answers(upload('image/png'), upload('video/mp4'), upload('text/vtt'))
    const [image] = uploads.map((answer) => (answer as { blob: object }).blob)
    const images = { $type: 'app.bsky.embed.images', images: [{ image, alt: 'a picture' }] }
    const external = { uri: 'https://example.com', title: 't', description: 'd', thumb: image }
    await answers(
      send('createRecord', { collection: POST, record: post('x', { embed: images }) }),
      send('createRecord', {
        collection: POST,
        record: post('y', { embed: { $type: 'app.bsky.embed.external', external } }),
      }),
    )
    await refused(upload('application/pdf'), send('deleteRecord', { collection: POST, rkey: ONE }))
  })

  // The AppView of the tests knows two methods: the others are seen to have arrived there, in the account’s name.
  test('15.14 read, by the methods a server handles itself, and by those it only forwards', async () => {
    const { account, call } = await as('read')
    const [profile] = await answers(call('app.bsky.actor.getProfile', 'actor={did}'), call('app.bsky.feed.getTimeline'))
    expect(profile).toMatchObject({ verified: { iss: account.did } })
    for (const nsid of ['app.bsky.notification.listNotifications', 'app.bsky.feed.getPosts']) {
      const result = await call(nsid)
      expectFailure(result, 8, 'XRPC_ERROR')
      expect(result.stderr).toContain('501 MethodNotImplemented')
    }
    expect((await call('app.bsky.feed.getFeed', `feed=at://${account.did}/app.bsky.feed.generator/x`)).code).toBe(8)
    await refused(
      call('app.bsky.actor.getPreferences'),
      call('app.bsky.notification.updateSeen', '-d', JSON.stringify({ seenAt: NOW })),
      call('app.bsky.graph.muteActor', '-d', '{"actor":"x.test"}'),
      call('com.atproto.repo.createRecord', '-d', JSON.stringify({ repo: account.did, collection: POST, record: {} })),
    )
  })

  test('archive: all of it is public, and nothing else was asked for', async () => {
    const { account, call, post: send } = await as('archive')
    const [description, records, blobs] = await answers(
      call('com.atproto.repo.describeRepo', 'repo={did}'),
      call('com.atproto.repo.listRecords', 'repo={did}', `collection=${POST}`),
      call('com.atproto.sync.listBlobs', 'did={did}'),
    )
    expect(description).toMatchObject({ did: account.did })
    expect([records, blobs]).toMatchObject([{ records: [] }, { cids: [] }])
    const repo = await call('com.atproto.sync.getRepo', 'did={did}')
    expect(repo.code).toBe(0)
    expect(repo.stdoutBytes.includes('roots')).toBe(true)
    await refused(send('createRecord', { collection: POST, record: post('x') }), call('app.bsky.feed.getTimeline'))
  })

  test('dm', async () => {
    const { account, call } = await as('dm')
    const through = ['-H', `atproto-proxy: ${did()}#bsky_chat`]
    const message = JSON.stringify({ convoId: 'x', message: { text: 'hello' } })
    const said = await answers(
      call('chat.bsky.convo.listConvos', ...through),
      call('chat.bsky.convo.sendMessage', '-d', message, ...through),
    )
    expect(said).toMatchObject(
      ['listConvos', 'sendMessage'].map((name) => ({ said: { iss: account.did, lxm: `chat.bsky.convo.${name}` } })),
    )
    await refused(call('chat.bsky.actor.deleteAccount', '-X', 'POST', ...through), call('app.bsky.feed.getTimeline'))
  })

  test('profile', async () => {
    const { post: send, upload } = await as('profile')
    const collection = 'app.bsky.actor.profile'
    const [uploaded] = await answers(upload('image/jpeg'))
    const { blob: avatar } = uploaded as { blob: object }
    const record = { $type: collection, displayName: 'Alice', avatar }
    await answers(send('putRecord', { collection, rkey: 'self', record }))
    await answers(send('putRecord', { collection, rkey: 'self', record: { ...record, displayName: 'A.' } }))
    await refused(
      send('deleteRecord', { collection, rkey: 'self' }),
      send('createRecord', { collection: POST, record: post('x') }),
      upload('video/mp4'),
    )
  })

  test('delete, with post', async () => {
    const { account, call, post: send } = await as('post', 'delete')
    const write = (action: string, rkey: string) => ({
      $type: `com.atproto.repo.applyWrites#${action}`,
      collection: POST,
      rkey,
      ...(action !== 'delete' && { value: post(rkey) }),
    })
    await answers(send('applyWrites', { writes: [write('create', ONE), write('create', TWO)] }))
    await answers(send('deleteRecord', { collection: POST, rkey: ONE }))
    await answers(send('applyWrites', { writes: [write('delete', TWO), write('create', THREE)] }))
    const list = call('com.atproto.repo.listRecords', `repo=${account.did}`, `collection=${POST}`)
    expect((await answers(list))[0]).toMatchObject({ records: [{ value: { text: THREE } }] })
    await refused(
      send('applyWrites', { writes: [write('update', THREE)] }),
      send('deleteRecord', { collection: 'app.bsky.graph.follow', rkey: 'x' }),
    )
  })
})

test('--for adds to --scope, and not to the variable; what is no task is a mistake', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const env = { ATPROTO_OAUTH_SCOPE: 'atproto transition:generic' }
  const scopeOf = async (...args: string[]) =>
    JSON.parse((await runCli(['init', account.handle, '--json', ...args], { home, env })).stdout).scope
  const [create] = PRESETS.post.tokens
  expect(await scopeOf('--for', 'post')).toBe(`atproto ${create}`)
  expect(await scopeOf('--for', 'post', '--scope', 'account:email')).toBe(`atproto account:email ${create}`)
  expect(await scopeOf()).toBe(env.ATPROTO_OAUTH_SCOPE)

  const wrong = await runCli(['init', account.handle, '--for', 'everything'], { home })
  expectFailure(wrong, 2, 'USAGE')
  expect(wrong.stderr).toContain('post, post-media, read, archive, dm, profile, delete')
})

describe('14.6 what a server misses', () => {
  test('is what needsOf says, and pasting the hint gets it on top of what there is', async () => {
    const { account, home, env } = await logIn(world, 'atproto blob:image/png')
    const request = (nsid: string, body?: object): XrpcRequest => ({
      nsid,
      ...(body && { body: JSON.stringify(body) }),
    })
    const repo = { repo: account.did, collection: POST, rkey: ONE, record: post('x') }
    const requests = [
      request('com.atproto.repo.createRecord', repo),
      request('com.atproto.repo.putRecord', repo),
      request('com.atproto.repo.deleteRecord', repo),
      request('com.atproto.identity.updateHandle', { handle: 'x.test' }),
      request('com.atproto.server.requestEmailConfirmation', {}),
      request('app.bsky.feed.getTimeline'),
    ]
    const hints: string[] = []
    for (const asked of requests) {
      const data = asked.body === undefined ? [] : ['-d', asked.body as string]
      const result = await runCli(['call', asked.nsid, ...data], { home, env })
      expectFailure(result, 7, 'PERMISSION_MISSING')
      const named = /Missing required scope "([^"]+)"/.exec(result.stderr)![1]!
      expect(needsOf(asked)).toContain(named)
      const hint = /hint: (.*)$/m.exec(result.stderr)![1]!
      expect(hint).toBe(`atproto-oauth init ${account.did} --scope 'atproto blob:image/png ${named}'`)
      hints.push(hint)
    }

    const wider = await signedIn(account, home, runShell(hints[0]!, { home }))
    await answers(wider.post('createRecord', { collection: POST, record: post('x') }), wider.upload('image/png'))
  })
})

test('15.12 what a person leaves out is said, with the line that asks for it again', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const scope = presetScope(['post-media', 'delete'])
  const [create, blobs] = PRESETS['post-media'].tokens
  const callback = await callbackFor(account, home, {
    scope,
    decision: { consent: true, scope: `atproto ${create}` },
  })
  const { code, stderr } = await runCli(['complete', callback], { home })
  expect(code).toBe(0)
  expect(stderr).toContain(`scope: atproto ${create}\n`)
  expect(stderr).toContain(`not granted: ${blobs} ${PRESETS.delete.tokens[0]}`)
})
