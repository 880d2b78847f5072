/**
 * What each task of `init --for` is good for on the real PDS: its permissions are granted whole, its requests are
 * answered, others are refused. All along `requiredScope` has to know beforehand.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { type Preset, presetScope } from '../../src/protocol/scope/presets.ts'
import { missingScopes, scopeTokens } from '../../src/protocol/scope/scope.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { missingScope, requiredScope } from '../../src/protocol/xrpc/required-scope.ts'
import { openSession } from '../../src/session/open.ts'
import { runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { newHome } from './support.ts'

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

function get(nsid: string, parameters: Record<string, string> = {}): XrpcRequest {
  return { nsid, parameters: Object.entries(parameters) }
}
function send(nsid: string, body: object): XrpcRequest {
  return { nsid, body: JSON.stringify(body) }
}
function upload(type: string): XrpcRequest {
  const body = new TextEncoder().encode(`bytes of ${type}`)
  return { nsid: 'com.atproto.repo.uploadBlob', body, headers: { 'content-type': type } }
}
const TIMELINE = get('app.bsky.feed.getTimeline')

/** The login by the built CLI, the requests from here. */
async function as(...presets: Preset[]) {
  const [account, home] = [await world.createAccount(), await newHome()]
  const started = await runCli(['init', account.handle, ...presets.flatMap((name) => ['--for', name])], { home })
  expect(started).toMatchObject({ code: 0 })
  const callback = await signIn(started.stdout.trim(), account, { consent: true })
  const { stdoutBytes, stderr } = await runCli(['complete', '--format', 'bundle'], { home, stdin: callback })
  expect(stderr).not.toContain('granted')
  const granted = /^scope: (.*)$/m.exec(stderr)![1]!
  expect(missingScopes(presetScope(presets), granted)).toStrictEqual([])
  expect(scopeTokens(granted)).toHaveLength(scopeTokens(presetScope(presets)).length)

  const { plcUrl, handleResolverUrl: handleResolver } = world
  const ports = nodeRuntime({ dev: true, plcUrl, handleResolver, home: home.state })
  const session = await openSession(readCredentials({ ATPROTO_OAUTH_SESSION: stdoutBytes.toString() }, true)!, ports)
  return {
    account,
    repo: (name: string, body: object) => send(`com.atproto.repo.${name}`, { repo: account.did, ...body }),
    async answer(request: XrpcRequest, status = 200) {
      expect(missingScope(requiredScope(request), granted)).toStrictEqual([])
      const response = await session.call(request)
      const bytes = Buffer.from(await response.arrayBuffer())
      expect(response.status, bytes.toString()).toBe(status)
      return /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(bytes.toString()) : bytes
    },
    async refused(...requests: XrpcRequest[]) {
      for (const request of requests) {
        const response = await session.call(request)
        const body = await response.text()
        expect(response.status, `${request.nsid} ${body}`).toBe(403)
        const error = xrpcError(request.nsid, response, body, ports.now(), session.record(), request)
        expect(error.code).toBe('PERMISSION_MISSING')
        expect(missingScope(requiredScope(request), granted)).not.toStrictEqual([])
      }
    },
  }
}

describe('15.16 init --for: granted whole, enough for its task, and for nothing else', () => {
  test('post', async () => {
    const { repo, answer, refused } = await as('post')
    await answer(get('com.atproto.identity.resolveHandle', { handle: (await world.createAccount()).handle }))
    const made = await answer(repo('createRecord', { collection: POST, rkey: ONE, record: post('x') }))
    expect(made.uri).toContain(`/${POST}/${ONE}`)
    await refused(
      repo('putRecord', { collection: POST, rkey: ONE, record: post('y') }),
      repo('deleteRecord', { collection: POST, rkey: ONE }),
      repo('createRecord', { collection: 'app.bsky.graph.follow', record: {} }),
      upload('image/png'),
      TIMELINE,
    )
  })

  test('post-media: with an image, a card’s picture, a video and its captions', async () => {
    const { repo, answer, refused } = await as('post-media')
    const { blob: image } = await answer(upload('image/png'))
    const { blob: video } = await answer(upload('video/mp4'))
    const { blob: file } = await answer(upload('text/vtt'))
    for (const embed of [
      { $type: 'app.bsky.embed.images', images: [{ image, alt: 'a picture' }] },
      {
        $type: 'app.bsky.embed.external',
        external: { uri: 'https://example.com', title: 't', description: 'd', thumb: image },
      },
      { $type: 'app.bsky.embed.video', video, captions: [{ lang: 'en', file }] },
    ]) {
      await answer(repo('createRecord', { collection: POST, record: post('x', { embed }) }))
    }
    await refused(upload('application/pdf'), repo('deleteRecord', { collection: POST, rkey: ONE }))
  })

  test('15.16 post-media: a video that the video service stores, with a service token for the PDS', async () => {
    const { repo, answer, refused } = await as('post-media')
    const described = await fetch(`${world.pdsUrl}/xrpc/com.atproto.server.describeServer`)
    const { did: aud } = (await described.json()) as { did: string }
    const token = (lxm: string, audience = aud) => get('com.atproto.server.getServiceAuth', { aud: audience, lxm })
    await answer(token('app.bsky.video.getUploadLimits', 'did:web:video.bsky.app'))

    const { token: jwt } = await answer(token('com.atproto.repo.uploadBlob'))
    const stored = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.uploadBlob`, {
      method: 'POST',
      headers: { authorization: `Bearer ${jwt}`, 'content-type': 'video/mp4' },
      body: 'a video, as the service made it',
    })
    expect(stored.status).toBe(200)
    const { blob: video } = (await stored.json()) as { blob: object }
    const embed = { $type: 'app.bsky.embed.video', video }
    await answer(repo('createRecord', { collection: POST, record: post('x', { embed }) }))
    await refused(token('com.atproto.repo.createRecord'), token('app.bsky.feed.getTimeline'))
  })

  // The AppView of the tests knows two methods: the others are seen to have arrived there, in the account’s name.
  test('15.14 read, by the methods a server handles itself, and by those it only forwards', async () => {
    const { account, repo, answer, refused } = await as('read')
    const profile = await answer(get('app.bsky.actor.getProfile', { actor: account.did }))
    expect(profile.verified.iss).toBe(account.did)
    await answer(TIMELINE)
    for (const name of ['notification.listNotifications', 'graph.getFollows']) {
      const { asked, verified } = await answer(get(`app.bsky.${name}`, { actor: account.did }))
      expect({ asked, verified }).toStrictEqual({
        asked: { actor: account.did },
        verified: { iss: account.did, lxm: `app.bsky.${name}` },
      })
    }
    await refused(
      get('app.bsky.actor.getPreferences'),
      send('app.bsky.notification.updateSeen', { seenAt: NOW }),
      send('app.bsky.graph.muteActor', { actor: account.did }),
      repo('createRecord', { collection: POST, record: post('x') }),
    )
  })

  test('archive: all of it is public, and nothing else was asked for', async () => {
    const { account, repo, answer, refused } = await as('archive')
    const mine = { repo: account.did, collection: POST }
    expect(await answer(get('com.atproto.repo.describeRepo', mine))).toMatchObject({ did: account.did })
    expect(await answer(get('com.atproto.repo.listRecords', mine))).toMatchObject({ records: [] })
    expect(await answer(get('com.atproto.sync.listBlobs', { did: account.did }))).toMatchObject({ cids: [] })
    expect((await answer(get('com.atproto.sync.getRepo', { did: account.did }))).includes('roots')).toBe(true)
    await refused(repo('createRecord', { collection: POST, record: post('x') }), TIMELINE)
  })

  test('15.14 dm', async () => {
    const { account, answer, refused } = await as('dm')
    const headers = { 'atproto-proxy': `${did()}#bsky_chat` }
    for (const request of [
      get('chat.bsky.convo.listConvos'),
      send('chat.bsky.convo.sendMessage', { convoId: 'x', message: { text: 'hello' } }),
    ]) {
      const { said } = await answer({ ...request, headers })
      expect(said).toMatchObject({ iss: account.did, lxm: request.nsid })
    }
    await refused({ ...get('chat.bsky.actor.exportAccountData'), headers }, TIMELINE)
  })

  test('profile', async () => {
    const { repo, answer, refused } = await as('profile')
    const collection = 'app.bsky.actor.profile'
    const { blob: avatar } = await answer(upload('image/jpeg'))
    for (const displayName of ['Alice', 'A.']) {
      await answer(repo('putRecord', { collection, rkey: 'self', record: { $type: collection, displayName, avatar } }))
    }
    await refused(
      repo('deleteRecord', { collection, rkey: 'self' }),
      repo('createRecord', { collection: POST, record: post('x') }),
      upload('video/mp4'),
    )
  })

  test('delete, with post', async () => {
    const { account, repo, answer, refused } = await as('post', 'delete')
    const write = (action: string, rkey: string) => ({
      $type: `com.atproto.repo.applyWrites#${action}`,
      collection: POST,
      rkey,
      ...(action !== 'delete' && { value: post(rkey) }),
    })
    await answer(repo('applyWrites', { writes: [write('create', ONE), write('create', TWO)] }))
    await answer(repo('deleteRecord', { collection: POST, rkey: ONE }))
    await answer(repo('applyWrites', { writes: [write('delete', TWO), write('create', THREE)] }))
    const left = await answer(get('com.atproto.repo.listRecords', { repo: account.did, collection: POST }))
    expect(left).toMatchObject({ records: [{ value: { text: THREE } }] })
    await refused(
      repo('applyWrites', { writes: [write('update', THREE)] }),
      repo('deleteRecord', { collection: 'app.bsky.graph.follow', rkey: 'x' }),
    )
  })
})
