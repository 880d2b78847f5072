import { describe, expect, test } from 'vitest'
import { faultsOf } from '../../../src/protocol/explain/faults.ts'
import { isStatic, parsePermission } from '../../../src/protocol/scope/permission.ts'

const APP_VIEW = 'did:web:api.bsky.app%23bsky_appview'
const CHAT = 'did:web:api.bsky.chat%23bsky_chat'
const TIMELINE = 'app.bsky.feed.getTimeline'

/** What was written, a part of each message, and how it is written: `''` if it is omitted, `undefined` if nobody can tell. */
const FAULTS: readonly (readonly [written: string, messages: readonly string[], meant: string | undefined])[] = [
  // 15.1: the characters
  ['“repo:a.b.c”', ['character'], 'repo:a.b.c'],
  ['rpc:a.b.c?aud=did:web:x\u2011y.z%23s', ['character'], 'rpc:a.b.c?aud=did:web:x-y.z%23s'],
  ['repo:\u00fc.b.c', ['character "\u00fc"'], undefined],
  ['repo:a\\b', ['character'], undefined],
  // 15.2: the form of a permission
  ['repo%3Aa.b.c', ['percent-encoded as a whole'], 'repo:a.b.c'],
  ['repo%3Aa.b.c%3Faction%3Dcreate', ['percent-encoded as a whole'], 'repo:a.b.c?action=create'],
  ['rpc:a.b.c?aud=did:web:x.y%2523z', ['percent-encoded twice'], 'rpc:a.b.c?aud=did:web:x.y%23z'],
  ['repo:a.b.c?action=%zz', ['%25', 'action is'], undefined],
  ['Repo:a.b.c', ['in lower case'], 'repo:a.b.c'],
  ['repository:a.b.c', ['written as repo'], 'repo:a.b.c'],
  ['reop:a.b.c', ['written as repo'], 'repo:a.b.c'],
  ['xrpc:a.b.c?aud=*', ['written as rpc'], 'rpc:a.b.c?aud=*'],
  ['blobs:image/*', ['written as blob'], 'blob:image/*'],
  ['repo=a.b.c', ['a colon follows repo'], 'repo:a.b.c'],
  ['repo/a.b.c', ['a colon follows repo'], 'repo:a.b.c'],
  ['account.email', ['a colon follows account'], 'account:email'],
  ['repo:a.b.c&action=create', ['question mark'], 'repo:a.b.c?action=create'],
  ['repo:a.b.c?action=create?action=update', ['only one question mark'], 'repo:a.b.c?action=create&action=update'],
  ['repo:a.b.c?action=create,update', ['is repeated'], 'repo:a.b.c?action=create&action=update'],
  ['repo:a.b.c,d.e.f', ['is repeated'], 'repo?collection=a.b.c&collection=d.e.f'],
  ['repo:a.b.c,d.e.f?action=delete', ['is repeated'], 'repo?collection=a.b.c&collection=d.e.f&action=delete'],
  ['repo:a.b.c?create', ['has no value'], 'repo:a.b.c?action=create'],
  ['repo:?collection=a.b.c', ['nothing follows the colon'], 'repo?collection=a.b.c'],
  ['repo:a.b.c?collection=d.e.f', ['given twice'], 'repo?collection=a.b.c&collection=d.e.f'],
  ['identity:handle?attr=handle', ['given twice'], 'identity:handle'],
  ['repo:a.b.c:create', ['a colon follows only'], 'repo:a.b.c?action=create'],
  ['repo:create:a.b.c', ['a colon follows only'], 'repo:a.b.c?action=create'],
  ['account:email:manage', ['a colon follows only'], 'account:email?action=manage'],
  ['repo:a.b.c?actions=create', ['no parameter "actions"'], 'repo:a.b.c?action=create'],
  ['repo:a.b.c?Action=CREATE', ['no parameter "Action"', 'in lower case'], 'repo:a.b.c?action=create'],
  ['repo:a.b.c?rkey=self', ['no parameter "rkey"'], undefined],
  // 15.3: repo
  ['repo', ['names no collection'], undefined],
  ['repo:app.bsky.*', ['no partial wildcards'], undefined],
  ['repo:post', ['whole NSID'], 'repo:app.bsky.feed.post'],
  ['repo:a.b', ['is not an NSID'], undefined],
  ['repo:app/bsky/feed/post', ['is not an NSID'], 'repo:app.bsky.feed.post'],
  ['repo:a.b.c#main', ['without a fragment'], 'repo:a.b.c'],
  ['at://did:plc:x/a.b.c/3k', ['an AT URI', 'not an AT URI'], 'repo:a.b.c'],
  ['at://did:plc:x/com.atproto.lexicon.schema/a.b.c', ['an AT URI', 'not an AT URI'], 'repo:a.b.c'],
  ['at://did:plc:x/com.atproto.lexicon.schema/a.b.authAll', ['an AT URI', 'not an AT URI'], 'include:a.b.authAll'],
  ['include:at://a.b/com.atproto.lexicon.schema/a.b.authAll', ['not an AT URI'], 'include:a.b.authAll'],
  ['app.bsky.authFullApp', ['it follows include:'], 'include:app.bsky.authFullApp'],
  ['app.bsky.feed.author', ['it follows repo:'], 'repo:app.bsky.feed.author'],
  ['repo:a.b.c?action=write', ['not "write"'], 'repo:a.b.c?action=create&action=update'],
  ['repo:a.b.c?action=craete', ['not "craete"'], 'repo:a.b.c?action=create'],
  ['repo:a.b.c?action=*', ['no wildcard'], 'repo:a.b.c?action=create&action=update&action=delete'],
  ['repo:a.b.c?action=read', ['needs no permission'], ''],
  ['repo:a.b.c?action=read&action=create', ['needs no permission'], 'repo:a.b.c?action=create'],
  // 15.4: rpc
  [`rpc:${TIMELINE}`, ['lacks aud'], `rpc:${TIMELINE}?aud=${APP_VIEW}`],
  ['rpc:chat.bsky.convo.getLog', ['lacks aud'], `rpc:chat.bsky.convo.getLog?aud=${CHAT}`],
  ['rpc:a.b.c', ['lacks aud'], 'rpc:a.b.c?aud=*'],
  ['rpc:*', ['lacks aud'], undefined],
  ['rpc?aud=did:web:x.y%23z', ['names no method'], undefined],
  [`rpc:${TIMELINE}?aud=did:web:api.bsky.app`, ['bare DID'], `rpc:${TIMELINE}?aud=${APP_VIEW}`],
  ['rpc:a.b.c?aud=did:web:x.y', ['bare DID'], 'rpc:a.b.c?aud=*'],
  [`rpc:${TIMELINE}?aud=https://api.bsky.app`, ['the DID of a service'], `rpc:${TIMELINE}?aud=${APP_VIEW}`],
  [`rpc:${TIMELINE}?aud=appview`, ['the DID of a service'], `rpc:${TIMELINE}?aud=${APP_VIEW}`],
  ['rpc:*?aud=*', ['all methods of all services'], undefined],
  ['rpc:app.bsky.*?aud=*', ['no partial wildcards'], undefined],
  [
    'rpc:a.b.c?aud=did:web:x.y%23z&aud=did:web:x.y%23q',
    ['aud can have only one value'],
    'rpc:a.b.c?aud=did:web:x.y%23z rpc:a.b.c?aud=did:web:x.y%23q',
  ],
  ['rpc:a.b.c:did:web:x.y#z', ['a colon follows only'], 'rpc:a.b.c?aud=did:web:x.y%23z'],
  ['rpc:a.b.c?audience=*', ['no parameter "audience"'], 'rpc:a.b.c?aud=*'],
  [TIMELINE, ['NSID alone', 'lacks aud'], `rpc:${TIMELINE}?aud=${APP_VIEW}`],
  ['app.bsky.feed.post', ['NSID alone'], 'repo:app.bsky.feed.post'],
  ['com.atproto.repo.uploadBlob', ['by media type'], 'blob:*/*'],
  ['com.atproto.repo.createRecord', ['is a method of the PDS'], undefined],
  // 15.5: blob
  ['blob', ['names no media type'], 'blob:*/*'],
  ['blob:image', ['not a media type'], 'blob:image/*'],
  ['blob:*', ['not a media type'], 'blob:*/*'],
  ['blob:jpg', ['not a media type'], 'blob:image/jpeg'],
  ['blob:*/png', ['not a media type'], undefined],
  ['blob?mime=image/png', ['no parameter "mime"'], 'blob:image/png'],
  ['image/*', ['media type alone'], 'blob:image/*'],
  // 15.6: account
  ['account', ['names no attribute'], undefined],
  ['account:*', ['no wildcard'], undefined],
  ['account:Email', ['in lower case'], 'account:email'],
  ['account:handle', ['attribute of identity:, not of account:'], 'identity:handle'],
  ['account:password', ['no permission lets'], undefined],
  ['account:email?action=write', ['not "write"'], 'account:email?action=manage'],
  // 15.7: identity
  ['identity', ['names no attribute'], undefined],
  ['identity:plc', ['the attribute is'], 'identity:*'],
  ['identity:handle?action=manage', ['no parameter "action"'], 'identity:handle'],
  // 15.8: include
  ['include', ['names no permission set'], undefined],
  ['include:a.b', ['is not an NSID'], undefined],
  ['include:a.b.*', ['no partial wildcards'], undefined],
  ['include:a.b.c?aud=*', ['cannot be for all services'], undefined],
  ['include:a.b.c?aud=did:web:api.bsky.app', ['bare DID'], `include:a.b.c?aud=${APP_VIEW}`],
  ['include:a.b.c?aud=did:web:x.y', ['bare DID'], undefined],
  // 15.9: the static ones
  ['ATPROTO', ['in lower case'], 'atproto'],
  ['at-proto', ['misspelt'], 'atproto'],
  ['atproto?x=y', ['takes no parameters'], 'atproto'],
  ['transition:foo', ['three transitional scopes'], undefined],
  ['transition:chat', ['three transitional scopes'], 'transition:chat.bsky'],
  ['transition.generic', ['three transitional scopes'], 'transition:generic'],
  ['transition:generc', ['three transitional scopes'], 'transition:generic'],
  ['transition:generic?x=y', ['takes no parameters'], 'transition:generic'],
  ['Transition:Email', ['in lower case'], 'transition:email'],
  // 26.2: space
  ['space', ['names no space type'], undefined],
  ['space:short', ['is not an NSID'], undefined],
  ['space:a.b.c?authority=alice', ['authority is self'], undefined],
  ['space:a.b.c?skey=a%2Fb', ['skey is'], undefined],
  ['space:a.b.c?action=edit', ['not "edit"'], 'space:a.b.c?action=update'],
  ['space:a.b.c?manage=all', ['no wildcard'], 'space:a.b.c?manage=create&manage=update&manage=delete'],
  ['space:a.b.c?key=main', ['no parameter "key"'], 'space:a.b.c?skey=main'],
  // What is defined elsewhere
  ['openid', ['OpenID Connect'], ''],
  ['offline_access', ['OpenID Connect'], ''],
  ['email', ['OpenID Connect'], 'account:email'],
  ['com.atproto.access', ['with a password'], 'transition:generic'],
  ['com.atproto.appPassPrivileged', ['app password'], 'transition:generic transition:chat.bsky'],
  ['foo', ['atproto defines no such permission'], undefined],
  ['__proto__', ['atproto defines no such permission'], undefined],
  ['constructor:x', ['atproto defines no such permission'], undefined],
]

test.each(FAULTS)('15.1 to 15.9 %s', (written, messages, meant) => {
  const found = faultsOf(written)!
  expect(found.messages).toHaveLength(messages.length)
  for (const [index, message] of messages.entries()) expect(found.messages[index]).toContain(message)
  expect(found.meant).toBe(meant)
  for (const token of (meant ?? '').split(' ').filter(Boolean)) {
    expect(isStatic(token) || parsePermission(token) !== undefined, token).toBe(true)
  }
})

describe('what is valid has no fault', () => {
  test.each([
    ...['atproto', 'transition:generic', 'transition:email', 'transition:chat.bsky'],
    ...['repo:*', 'repo:a.b.c?', 'repo?collection=a.b.c&collection=d.e.f&action=create', 'blob:*/*', 'blob:IMAGE/PNG'],
    ...['rpc:*?aud=did:web:x.y%23z', 'rpc:a.b.c?aud=did:web:x.y#z', 'rpc:a.b.c?aud=*', 'account:status'],
    ...['identity:*', 'include:a.b.c', `include:a.b.c?aud=${APP_VIEW}`, 'space:*', 'space:a.b.c?manage=create'],
  ])('%s', (token) => expect(faultsOf(token)).toBeUndefined())
})

test('no token, however wrong, takes long or throws', () => {
  for (const text of [
    '',
    ':',
    '?',
    '=',
    '&',
    '%',
    'repo:?',
    'rpc:*?aud=',
    '.'.repeat(5000),
    `repo:${'a,'.repeat(5000)}`,
  ]) {
    expect(faultsOf(text)?.messages.length ?? 0, text.slice(0, 20)).toBeLessThan(11)
  }
})
