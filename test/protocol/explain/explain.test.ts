import { describe, expect, test } from 'vitest'
import { explainScope, isFaulty } from '../../../src/protocol/explain/explain.ts'
import { parseScope } from '../../../src/protocol/scope/scope.ts'

const one = (token: string) => explainScope(`atproto ${token}`).permissions[1]!

describe('what a permission allows, and what it does not', () => {
  test.each([
    [
      'repo:app.bsky.feed.post?action=create',
      'Create records of app.bsky.feed.post (posts).',
      'not update or delete them. putRecord needs',
    ],
    ['repo:a.b.c?action=create&action=update', 'Create and update records of a.b.c.', 'not delete them.'],
    ['repo:*', 'Create, update and delete records of all collections.', 'no uploads'],
    [
      'rpc:app.bsky.feed.getTimeline?aud=*',
      'Call app.bsky.feed.getTimeline (read-only) at any service as the account.',
      'no other method.',
    ],
    [
      'rpc:*?aud=did:web:api.bsky.app%23bsky_appview',
      'at the Bluesky AppView (did:web:api.bsky.app#bsky_appview)',
      'no other service',
    ],
    [
      'rpc?lxm=a.b.c&lxm=a.b.d&lxm=a.b.e&lxm=a.b.f&lxm=a.b.g&aud=*',
      'Call a.b.c, a.b.d, a.b.e and 2 others at any',
      'no other method',
    ],
    ['rpc:com.atproto.repo.uploadBlob?aud=*', 'Get service tokens for com.atproto.repo.uploadBlob', 'need blob:'],
    ['blob:image/*', 'Upload files of type image/*.', 'no other type'],
    ['blob:*/*', 'Upload files of any type.', 'does not write the record'],
    ['account:email', 'Read the email address', 'not change'],
    ['account:email?action=manage', 'confirm it', 'only after a sign-in with the password'],
    ['account:repo?action=manage', 'replaces all records', 'repo:'],
    ['account:repo', 'Nothing', 'action=manage'],
    ['account:status?action=manage', 'ends all of its sessions', 'likely to refuse to reactivate'],
    ['identity:handle', 'Change the handle', 'keys'],
    ['identity:*', 'the keys and the PDS', 'code from an email'],
    ['include:a.b.auth', 'the permission set a.b.auth lists for a.b', 'no methods that need a service'],
    ['include:a.b.auth?aud=did:web:x.y%23z', 'a.b.auth', 'no uploads, account or identity.'],
    ['transition:generic', 'upload any file', 'messages'],
    ['transition:chat.bsky', 'direct messages', 'no other method'],
    ['transition:email', 'Read the email address', 'not change'],
    ['space:a.b.c?action=read', 'In spaces of type a.b.c of this account: read records.', 'drop it silently'],
  ])('%s', (token, allows, excludes) => {
    expect(one(token).allows).toContain(allows)
    expect(one(token).excludes).toContain(excludes)
  })
})

describe('what is covered by another', () => {
  test.each([
    ['repo:a.b.c?action=create repo:a.b.c', 'repo:a.b.c?action=create', ['repo:a.b.c'], 'atproto repo:a.b.c'],
    ['transition:generic blob:image/*', 'blob:image/*', ['transition:generic'], 'atproto transition:generic'],
    ['blob:*/* blob:image/*', 'blob:image/*', ['blob:*/*'], 'atproto blob:*/*'],
    [
      'repo:a.b.c?action=create&action=delete repo:a.b.c?action=create repo:*?action=delete',
      'repo:a.b.c?action=create&action=delete',
      ['repo:a.b.c?action=create', 'repo:*?action=delete'],
      'atproto repo:a.b.c?action=create repo:*?action=delete',
    ],
    ['account:email transition:email', 'account:email', ['transition:email'], 'atproto transition:email'],
    [
      'space:*?authority=* space:a.b.c?action=read',
      'space:a.b.c?action=read',
      ['space:*?authority=*'],
      'atproto space:*?authority=*',
    ],
    ['include:a.b.c repo:a.b.d', 'repo:a.b.d', [], 'atproto include:a.b.c repo:a.b.d'],
  ])('%s', (scope, token, coveredBy, shortest) => {
    const explanation = explainScope(`atproto ${scope}`)
    expect(explanation.permissions.find(({ permission }) => permission === token)!.coveredBy).toStrictEqual(coveredBy)
    expect(explanation.scope).toBe(shortest)
    expect(isFaulty(explanation)).toBe(false)
  })
})

describe('15.1 the scope as a whole', () => {
  test.each([
    ['atproto,repo:a.b.c', 'not by commas', 'atproto repo:a.b.c'],
    ['atproto, repo:a.b.c', 'not by commas', 'atproto repo:a.b.c'],
    ['atproto;blob:*/*', 'not by commas or semicolons', 'atproto blob:*/*'],
    ['atproto+repo:a.b.c', '+ and %20', 'atproto repo:a.b.c'],
    ['atproto%20repo:a.b.c', '+ and %20', 'atproto repo:a.b.c'],
    ['atproto\trepo:a.b.c', 'tabs', 'atproto repo:a.b.c'],
    ['atproto\nrepo:a.b.c\n', 'line breaks', 'atproto repo:a.b.c'],
    ['atproto  repo:a.b.c', 'single spaces', 'atproto repo:a.b.c'],
    [' atproto', 'single spaces', 'atproto'],
    ['"atproto repo:a.b.c"', 'quotes', 'atproto repo:a.b.c'],
    ['["atproto","repo:a.b.c"]', 'brackets', 'atproto repo:a.b.c'],
    ['scope=atproto repo:a.b.c', '"scope="', 'atproto repo:a.b.c'],
    ['', 'empty', undefined],
    ['  ', 'single spaces', undefined],
  ])('%j', (text, message, scope) => {
    const explanation = explainScope(text)
    expect(explanation.faults.map((fault) => fault.message).join('\n')).toContain(message)
    expect(isFaulty(explanation)).toBe(true)
    expect(explanation.scope).toBe(scope)
  })

  test('a name of another kind: a valid permission that does not do what it seems to', () => {
    const warned = (token: string) => one(token).faults.map(({ message }) => message)
    expect(warned('repo:app.bsky.authFullApp')).toStrictEqual([
      'app.bsky.authFullApp has the name of a permission set: sets are requested with include:',
    ])
    expect(warned('rpc:app.bsky.authViewAll?aud=*')).toStrictEqual([
      'app.bsky.authViewAll has the name of a permission set: sets are requested with include:',
    ])
    expect(warned('include:app.bsky.feed.getTimeline')).toStrictEqual([
      'app.bsky.feed.getTimeline is a method, and not a permission set: it is requested with rpc:',
    ])
    expect(warned('include:app.bsky.feed.post')).toStrictEqual([
      'app.bsky.feed.post is a collection, and not a permission set: it is requested with repo:',
    ])
    for (const token of ['include:app.bsky.authFullApp', 'repo:com.example.author', 'repo:com.example.auth']) {
      expect(warned(token)).toStrictEqual([])
    }
  })

  test('a list within a permission is not a list of permissions', () => {
    const { faults, scope } = explainScope('atproto,repo:a.b.c?action=create,update,blob:image/*')
    expect(faults).toHaveLength(1)
    expect(scope).toBe('atproto repo:a.b.c?action=create&action=update blob:image/*')
  })

  test('warnings: what a server accepts, and what may surprise', () => {
    const messages = (scope: string) => {
      const explanation = explainScope(scope)
      expect(isFaulty(explanation)).toBe(false)
      return [...explanation.faults, ...explanation.permissions.flatMap(({ faults }) => faults)].map(
        (each) => each.message,
      )
    }
    expect(messages('repo:a.b.c')).toStrictEqual(['atproto is missing: without it a server grants nothing'])
    expect(messages('atproto atproto')).toStrictEqual(['it is repeated: once is enough'])
    expect(messages('atproto repo:a.b.c repo?collection=a.b.c')).toStrictEqual([
      'it is repo:a.b.c, written in another way',
    ])
    expect(messages('atproto transition:generic identity:handle')).toStrictEqual([
      expect.stringContaining('some servers reject'),
    ])
    expect(messages('atproto transition:chat.bsky')).toStrictEqual([expect.stringContaining('transition:generic')])
    expect(messages('atproto blob:image/jpg')).toStrictEqual(['the media type of JPEG files is image/jpeg'])
    expect(messages('atproto rpc:com.atproto.repo.createRecord?aud=*')).toStrictEqual([
      expect.stringContaining('the PDS implements it'),
    ])
    expect(messages('atproto rpc:com.atproto.server.updateEmail?aud=*')).toStrictEqual([
      expect.stringMatching(/likely to reject .*PDS 0\.5\.35/),
    ])
  })

  test('one permission that nobody can correct: there is no corrected scope, and the others have their words', () => {
    const explanation = explainScope('atproto Repo:a.b.c foo')
    expect(explanation.scope).toBeUndefined()
    expect(explanation.permissions.map(({ corrected }) => corrected)).toStrictEqual([
      undefined,
      'repo:a.b.c',
      undefined,
    ])
    expect(explainScope('openid atproto').scope).toBe('atproto')
  })
})

test.each([
  'atproto repo:a.b.c repo:a.b.c?action=create Blob:image,video',
  'transition:email account:email openid rpc:app.bsky.feed.getTimeline rpc:app.bsky.feed.getTimeline?aud=*',
  'space:a.b.c?action=read space:*?authority=*&key=x include:a.b.c?aud=did:web:api.bsky.app',
])('the corrected scope has nothing more to correct: %s', (scope) => {
  const corrected = explainScope(scope).scope!
  expect(parseScope(corrected)).toBe(corrected)
  const again = explainScope(corrected)
  expect(isFaulty(again)).toBe(false)
  expect(again.scope).toBe(corrected)
  expect(again.permissions.flatMap(({ coveredBy }) => coveredBy)).toStrictEqual([])
})

test('of more permissions than anybody requests each is explained, and none is compared', () => {
  const tokens = Array.from({ length: 5000 }, (_, index) => `repo:a.b.c${index}`)
  const { scope, permissions } = explainScope(['repo:*', ...tokens].join(' '))
  expect(permissions).toHaveLength(5001)
  expect(permissions.at(-1)).toMatchObject({ allows: expect.stringContaining('a.b.c4999'), coveredBy: [] })
  expect(scope).toBe(['atproto', 'repo:*', ...tokens].join(' '))
})
