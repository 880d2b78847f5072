import { describe, expect, test } from 'vitest'
import { isCovered, normalToken, parsePermission } from '../../../src/protocol/scope/permission.ts'
import { PRESET_NAMES, PRESETS, type Preset, presetScope } from '../../../src/protocol/scope/presets.ts'
import { parseScope, scopeTokens } from '../../../src/protocol/scope/scope.ts'
import { findMethod } from '../../../src/protocol/xrpc/lexicons.ts'

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
