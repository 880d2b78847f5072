import { describe, expect, test } from 'vitest'
import { isCovered, normalToken, parsePermission } from '../../../src/protocol/scope/permission.ts'
import { expandSet } from '../../../src/protocol/scope/permission-set.ts'
import { PRESET_NAMES, PRESETS, type Preset, presetOf, presetScope } from '../../../src/protocol/scope/presets.ts'
import { parseScope, scopeTokens } from '../../../src/protocol/scope/scope.ts'
import { findMethod } from '../../../src/protocol/xrpc/lexicons.ts'
import published from '../../vectors/permission-sets.json' with { type: 'json' }

const APP_VIEW = 'did:web:api.bsky.app%23bsky_appview'
const CHAT = 'did:web:api.bsky.chat%23bsky_chat'
const has = (scope: string, token: string) => isCovered(parsePermission(token)!, scopeTokens(scope))

describe('each preset', () => {
  test.each(PRESET_NAMES)('%s is a scope in its one spelling, with atproto', (name) => {
    const scope = presetScope([name])
    expect(parseScope(scope)).toBe(scope)
    expect(scopeTokens(scope)[0]).toBe('atproto')
    for (const token of scopeTokens(scope)) expect(normalToken(token)).toBe(token)
    expect(scope).not.toContain('transition:')
  })

  test.each<[Preset, string[], string[]]>([
    [
      'post',
      ['repo:app.bsky.feed.post?action=create'],
      ['repo:app.bsky.feed.post?action=update', 'repo:app.bsky.feed.post?action=delete', 'blob:image/png'],
    ],
    [
      'post-media',
      [
        ...['repo:app.bsky.feed.post?action=create', 'blob:image/png', 'blob:video/mp4', 'blob:text/vtt'],
        ...['app.bsky.video.getUploadLimits', 'com.atproto.repo.uploadBlob'].map((lxm) => `rpc:${lxm}?aud=*`),
      ],
      [
        'rpc:com.atproto.repo.createRecord?aud=*',
        'repo:app.bsky.feed.post?action=delete',
        'repo:app.bsky.feed.like?action=create',
        'blob:text/html',
        'blob:*/*',
      ],
    ],
    [
      'read',
      ['actor.getProfile', 'feed.getTimeline', 'feed.getFeedSkeleton', 'notification.listNotifications'].flatMap(
        (name) => [`rpc:app.bsky.${name}?aud=${APP_VIEW}`, `rpc:app.bsky.${name}?aud=*`],
      ),
      [
        'actor.getPreferences',
        'actor.putPreferences',
        'graph.muteActor',
        'notification.updateSeen',
        'bookmark.getBookmarks',
      ].map((name) => `rpc:app.bsky.${name}?aud=${APP_VIEW}`),
    ],
    ['archive', [], ['repo:*?action=create', 'blob:image/png', 'account:repo?action=manage', 'account:email']],
    [
      'dm',
      ['sendMessage', 'listConvos', 'getMessages', 'getLog'].map((name) => `rpc:chat.bsky.convo.${name}?aud=${CHAT}`),
      [
        `rpc:chat.bsky.convo.leaveConvo?aud=${CHAT}`,
        `rpc:chat.bsky.actor.deleteAccount?aud=${CHAT}`,
        `rpc:app.bsky.feed.getTimeline?aud=${APP_VIEW}`,
        'repo:app.bsky.feed.post?action=create',
      ],
    ],
    [
      'profile',
      ['repo:app.bsky.actor.profile?action=create&action=update', 'blob:image/jpeg'],
      ['repo:app.bsky.actor.profile?action=delete', 'repo:app.bsky.feed.post?action=create', 'blob:video/mp4'],
    ],
    [
      'delete',
      ['post', 'like', 'repost', 'threadgate', 'postgate'].map((name) => `repo:app.bsky.feed.${name}?action=delete`),
      [
        'repo:app.bsky.feed.post?action=create',
        'repo:app.bsky.feed.post?action=update',
        'repo:app.bsky.actor.profile?action=delete',
        'repo:app.bsky.graph.follow?action=delete',
      ],
    ],
  ])('15.16 %s is for its task and no other', (name, covered, uncovered) => {
    const scope = presetScope([name])
    expect(covered.filter((token) => !has(scope, token))).toStrictEqual([])
    expect(uncovered.filter((token) => has(scope, token))).toStrictEqual([])
  })

  test('none reaches the account itself', () => {
    const scope = presetScope(PRESET_NAMES)
    for (const token of ['account:email', 'account:repo?action=manage', 'identity:handle', 'identity:*']) {
      expect(has(scope, token), token).toBe(false)
    }
  })

  test('what reads is published, and reads', () => {
    const [token] = PRESETS.read.tokens
    for (const nsid of parsePermission(token!)!.values.get('lxm')!) {
      expect(findMethod(nsid)?.kind, nsid).toBe('query')
    }
    const [dm] = PRESETS.dm.tokens
    for (const nsid of parsePermission(dm!)!.values.get('lxm')!) expect(findMethod(nsid), nsid).toBeDefined()
  })
})

describe('several', () => {
  test('no duplicates: permissions that another one covers are omitted', () => {
    expect(presetScope(['post', 'post'])).toBe('atproto repo:app.bsky.feed.post?action=create')
    const both = presetScope(['profile', 'post-media'])
    expect(scopeTokens(both)).toStrictEqual([
      'atproto',
      'repo:app.bsky.actor.profile?action=create&action=update',
      ...PRESETS['post-media'].tokens,
    ])
    expect(presetScope(['post-media', 'profile'])).not.toContain('blob:image/*')
  })

  test.each([
    ['account:email', 'atproto account:email repo:app.bsky.feed.post?action=create'],
    ['atproto account:email', 'atproto account:email repo:app.bsky.feed.post?action=create'],
    ['repo:app.bsky.feed.post', 'atproto repo:app.bsky.feed.post'],
    ['atproto transition:generic', 'atproto transition:generic'],
    [undefined, 'atproto repo:app.bsky.feed.post?action=create'],
  ])('with --scope %s', (scope, expected) => {
    expect(presetScope(['post'], scope)).toBe(expected)
  })

  test('a scope that is wrong stays wrong, for parseScope to say so', () => {
    expect(() => parseScope(presetScope(['post'], 'repo:nonsense'))).toThrow('"repo:nonsense"')
  })
})

describe('beside the permission sets that Bluesky publishes', () => {
  const { sets } = published
  const grantOf = (nsid: keyof typeof sets, aud: string) => expandSet(`include:${nsid}?aud=${aud}`, sets[nsid]).granted
  const nsids = Object.keys(sets) as (keyof typeof sets)[]

  test('one is the same as a task, compared by meaning', () => {
    const same = nsids.flatMap((nsid) =>
      [APP_VIEW, CHAT].map((aud) => [nsid, presetOf(grantOf(nsid, aud))] as const).filter(([, preset]) => preset),
    )
    expect(nsids).toHaveLength(10)
    expect(new Map(same)).toStrictEqual(new Map([['app.bsky.authDeleteContent', 'delete']]))
    expect(presetOf(PRESETS.read.tokens)).toBe('read')
    expect(presetOf([])).toBeUndefined()
    expect(presetOf([...PRESETS.delete.tokens, 'blob:image/*'])).toBeUndefined()
    expect(presetOf(['repo:app.bsky.feed.like?action=delete'])).toBeUndefined()
    expect(presetOf(['future:thing'])).toBeUndefined()
  })

  const app = (names: string, aud: string) => names.split(' ').map((name) => `rpc:app.bsky.${name}?aud=${aud}`)
  const chat = (names: string, aud: string) => names.split(' ').map((name) => `rpc:chat.bsky.${name}?aud=${aud}`)
  test.each<[Preset, keyof typeof sets, string, string[], string[]]>([
    [
      'post',
      'app.bsky.authCreatePosts',
      APP_VIEW,
      ['repo:app.bsky.feed.threadgate?action=create', ...app('video.uploadVideo', APP_VIEW)],
      [],
    ],
    [
      'post-media',
      'app.bsky.authCreatePosts',
      APP_VIEW,
      ['repo:app.bsky.feed.postgate?action=create', ...app('video.abortUpload', APP_VIEW)],
      ['blob:image/png', ...app('video.getUploadLimits', '*'), 'rpc:com.atproto.repo.uploadBlob?aud=*'],
    ],
    [
      'read',
      'app.bsky.authViewAll',
      APP_VIEW,
      app('actor.getPreferences bookmark.getBookmarks notification.updateSeen', APP_VIEW),
      app('graph.getList feed.getTimeline', '*'),
    ],
    [
      'dm',
      'chat.bsky.authFullChatClient',
      CHAT,
      [
        ...chat('convo.leaveConvo convo.addReaction actor.deleteAccount group.createGroup', CHAT),
        'repo:chat.bsky.actor.declaration',
      ],
      chat('convo.sendMessage', '*'),
    ],
    [
      'profile',
      'app.bsky.authManageProfile',
      APP_VIEW,
      [
        'repo:app.bsky.actor.profile?action=delete',
        'repo:app.bsky.actor.status',
        'repo:app.bsky.notification.declaration',
      ],
      ['blob:image/*'],
    ],
  ])('%s is not %s', (name, nsid, aud, more, less) => {
    const [task, set] = [presetScope([name]), grantOf(nsid, aud).join(' ')]
    expect(more.filter((token) => !has(set, token) || has(task, token))).toStrictEqual([])
    expect(less.filter((token) => has(set, token) || !has(task, token))).toStrictEqual([])
  })
})
