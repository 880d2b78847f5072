import { describe, expect, test } from 'vitest'
import type { XrpcRequest } from '../../../src/protocol/xrpc/request.ts'
import { missingScope, requiredScope } from '../../../src/protocol/xrpc/required-scope.ts'

const APP_VIEW = 'did:web:api.bsky.app%23bsky_appview'
const POST = 'app.bsky.feed.post'

function request(nsid: string, body?: object, more: Partial<XrpcRequest> = {}): XrpcRequest {
  return { nsid, ...(body && { body: JSON.stringify(body) }), ...more }
}
const own = (name: string, body?: object, more?: Partial<XrpcRequest>) => request(`com.atproto.${name}`, body, more)
const typed = (type: string): Partial<XrpcRequest> => ({
  body: new Uint8Array([123]),
  headers: { 'Content-Type': type },
})
const serviceAuth = (...parameters: [string, string][]) => own('server.getServiceAuth', undefined, { parameters })
const write = (action: string, collection: unknown = POST) => ({
  $type: `com.atproto.repo.applyWrites#${action}`,
  collection,
})
const proxied = (nsid: string, service: string) => request(nsid, undefined, { headers: { 'Atproto-Proxy': service } })

describe('the endpoint table of the reference server, row by row', () => {
  test.each([
    'server.getSession',
    'server.checkAccountStatus',
    'identity.getRecommendedDidCredentials',
    'repo.listMissingBlobs',
    'repo.listRecords',
    'repo.getRecord',
    'repo.describeRepo',
    'sync.getRepo',
    'sync.listBlobs',
    'sync.getBlob',
  ])('%s: none', (name) => {
    expect(requiredScope(own(name))).toBe('none')
  })

  test.each<[XrpcRequest, string[]]>([
    [own('repo.createRecord', { collection: POST }), [`repo:${POST}?action=create`]],
    [own('repo.putRecord', { collection: POST }), [`repo:${POST}?action=create`, `repo:${POST}?action=update`]],
    [own('repo.deleteRecord', { collection: POST }), [`repo:${POST}?action=delete`]],
    [
      own('repo.applyWrites', {
        writes: [write('create'), write('delete', 'a.b.c'), write('update'), write('create')],
      }),
      [`repo:${POST}?action=create`, 'repo:a.b.c?action=delete', `repo:${POST}?action=update`],
    ],
    [own('repo.uploadBlob', undefined, typed('image/png')), ['blob:image/png']],
    [own('repo.uploadBlob', undefined, typed('Text/VTT; charset=utf-8')), ['blob:text/vtt']],
    [own('repo.importRepo', undefined, typed('application/vnd.ipld.car')), ['account:repo?action=manage']],
    [own('identity.updateHandle', { handle: 'a.test' }), ['identity:handle']],
    [own('identity.requestPlcOperationSignature'), ['identity:*']],
    [own('identity.signPlcOperation', {}), ['identity:*']],
    [own('identity.submitPlcOperation', {}), ['identity:*']],
    [own('server.requestEmailConfirmation'), ['account:email?action=manage']],
    [own('server.confirmEmail', {}), ['account:email?action=manage']],
    [
      own('moderation.createReport', {}),
      ['rpc:com.atproto.moderation.createReport?aud=did:plc:ar7c4by46qjdydhdevvrndac%23atproto_labeler'],
    ],
    [request('app.bsky.feed.getTimeline'), [`rpc:app.bsky.feed.getTimeline?aud=${APP_VIEW}`]],
    [
      request('app.bsky.feed.getFeed'),
      [`rpc:app.bsky.feed.getFeed?aud=${APP_VIEW}`, `rpc:app.bsky.feed.getFeedSkeleton?aud=${APP_VIEW}`],
    ],
    [request('chat.bsky.convo.getLog'), ['rpc:chat.bsky.convo.getLog?aud=did:web:api.bsky.chat%23bsky_chat']],
    [
      request('tools.ozone.team.listMembers'),
      ['rpc:tools.ozone.team.listMembers?aud=did:plc:ar7c4by46qjdydhdevvrndac%23atproto_labeler'],
    ],
    [proxied('com.example.getThing', 'did:web:x.y#svc'), ['rpc:com.example.getThing?aud=did:web:x.y%23svc']],
    [proxied('app.bsky.feed.getTimeline', 'did:web:x.y#svc'), ['rpc:app.bsky.feed.getTimeline?aud=did:web:x.y%23svc']],
    [
      proxied('com.example.getThing', 'did:web:localhost%3A80#svc'),
      ['rpc:com.example.getThing?aud=did:web:localhost%253A80%23svc'],
    ],
    [
      request('app.bsky.notification.registerPush', { serviceDid: 'did:web:x.y' }),
      ['rpc:app.bsky.notification.registerPush?aud=did:web:x.y%23bsky_notif'],
    ],
    [
      request('app.bsky.notification.unregisterPush', { serviceDid: 'did:web:x.y' }),
      ['rpc:app.bsky.notification.unregisterPush?aud=did:web:x.y%23bsky_notif'],
    ],
  ])('$nsid', (asked, needs) => {
    expect(requiredScope(asked)).toStrictEqual(needs)
  })

  test('19.8 a service token: the method or all of them, and a bare DID is in no permission', () => {
    const [lxm, aud]: [string, string][] = [
      ['lxm', 'a.b.c'],
      ['aud', 'did:web:x.y#z'],
    ]
    expect(requiredScope(serviceAuth(lxm!, aud!))).toStrictEqual(['rpc:a.b.c?aud=did:web:x.y%23z'])
    expect(requiredScope(serviceAuth(aud!))).toStrictEqual(['rpc:*?aud=did:web:x.y%23z'])
    expect(requiredScope(serviceAuth(lxm!, ['aud', 'did:web:x.y']))).toStrictEqual(['rpc:a.b.c?aud=*'])
    expect(requiredScope(serviceAuth(['aud', 'did:web:x.y']))).toStrictEqual(['transition:generic'])
    expect(requiredScope(serviceAuth(lxm!))).toBe('unknown')
  })

  test('19.3 a proxy header does not change what the server itself does', () => {
    const asked = own('repo.createRecord', { collection: POST }, { headers: { 'atproto-proxy': 'did:web:x.y#z' } })
    expect(requiredScope(asked)).toStrictEqual([`repo:${POST}?action=create`])
    expect(requiredScope(proxied('com.atproto.server.getSession', 'did:web:x.y#z'))).toBe('none')
  })
})

describe('not known', () => {
  test.each<[string, XrpcRequest]>([
    ['a method of nobody known', request('com.example.getThing')],
    ['one that servers do or forward', own('label.queryLabels')],
    ['no collection', own('repo.createRecord', {})],
    ['a collection that is none', own('repo.putRecord', { collection: '*' })],
    ['no body', own('repo.deleteRecord')],
    ['a body that is no JSON', own('repo.deleteRecord', undefined, { body: '{' })],
    ['a stream', own('repo.deleteRecord', undefined, { body: new ReadableStream() })],
    ['one write of which nothing is known', own('repo.applyWrites', { writes: [write('create'), null] })],
    ['writes that are none', own('repo.applyWrites', { writes: 'x' })],
    ['another action', own('repo.applyWrites', { writes: [write('rename')] })],
    ['no media type', own('repo.uploadBlob')],
    ['a media type that is none', own('repo.uploadBlob', undefined, typed('image'))],
    ['all media types', own('repo.uploadBlob', undefined, typed('*/*'))],
    ['a proxy that is none', proxied('com.example.getThing', 'x')],
    ['push without a service', request('app.bsky.notification.registerPush', {})],
    ['the name of a property of every object', own('toString')],
  ])('%s', (_, asked) => {
    expect(requiredScope(asked)).toBe('unknown')
  })

  test('no writes need nothing', () => {
    expect(requiredScope(own('repo.applyWrites', { writes: [] }))).toBe('none')
  })

  test('a body in bytes is read as well', () => {
    const body = new TextEncoder().encode(JSON.stringify({ collection: POST }))
    expect(requiredScope(own('repo.deleteRecord', undefined, { body }))).toStrictEqual([`repo:${POST}?action=delete`])
  })
})

test.each<[string, string, string[]]>([
  ['all', `atproto repo:${POST}`, []],
  ['a part', `atproto repo:${POST}?action=create`, [`repo:${POST}?action=update`]],
  ['transition:generic', 'atproto transition:generic', []],
  ['nothing', '', [`repo:${POST}?action=create`, `repo:${POST}?action=update`]],
])('what is missing to who has %s', (_, granted, missing) => {
  expect(missingScope(requiredScope(own('repo.putRecord', { collection: POST })), granted)).toStrictEqual(missing)
})

test('nothing is missing of what is not known', () => {
  expect(missingScope('none', '')).toStrictEqual([])
  expect(missingScope('unknown', '')).toStrictEqual([])
})
