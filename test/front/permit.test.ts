import { describe, expect, test } from 'vitest'
import { parsePermit } from '../../src/front/permit.ts'

const CREATE = 'com.atproto.repo.createRecord'
const SERVICE_AUTH = 'com.atproto.server.getServiceAuth'

describe('patterns', () => {
  test.each([
    [undefined, CREATE, true],
    [[], CREATE, false],
    [['*'], CREATE, true],
    [[CREATE], CREATE, true],
    [[CREATE], `${CREATE}s`, false],
    [[CREATE], 'com.atproto.repo.createrecord', false],
    [['com.atproto.repo.*'], CREATE, true],
    [['com.atproto.*'], CREATE, true],
    [['com.atproto.repo.*'], 'com.atproto.repository.createRecord', false],
    [['com.atproto.repo.*'], 'com.atproto.repo', false],
    [['app.bsky.*', 'com.atproto.repo.*'], CREATE, true],
    [['app.bsky.*'], CREATE, false],
  ])('%j and %s: %s', (allow, nsid, isAllowed) => {
    expect(parsePermit({ allow }).refusalOf('POST', nsid, '')).toBe(isAllowed ? undefined : 'not-allowed')
  })

  test.each([
    '',
    'com',
    'com.*',
    '.*',
    '**',
    'com.atproto.repo.',
    'com.atproto.*.getRecord',
    'com.atproto.repo*',
    'a b.*',
  ])('%j is none', (pattern) => {
    expect(() => parsePermit({ allow: [pattern] })).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

test('read-only: GET and HEAD', () => {
  const { refusalOf } = parsePermit({ readOnly: true })
  expect(refusalOf('GET', 'app.bsky.feed.getTimeline', '')).toBeUndefined()
  expect(refusalOf('HEAD', 'com.atproto.sync.getBlob', '')).toBeUndefined()
  expect(refusalOf('POST', CREATE, '')).toBe('read-only')
})

describe('a service token, which authorizes a call of another method', () => {
  test.each([
    [{}, 'lxm=com.atproto.repo.uploadBlob', undefined],
    [{}, '', undefined],
    [{ readOnly: true }, 'lxm=app.bsky.feed.getTimeline', 'read-only'],
    [{ allow: ['com.atproto.server.*'] }, `lxm=${CREATE}`, 'token-not-allowed'],
    [{ allow: ['com.atproto.server.*'] }, '', 'token-not-allowed'],
    [{ allow: ['com.atproto.*'] }, `lxm=${CREATE}`, undefined],
    [{ allow: ['com.atproto.*'] }, `lxm=${CREATE}&lxm=app.bsky.actor.putPreferences`, 'token-not-allowed'],
    [{ allow: ['com.atproto.*'] }, 'lxm=%2A', 'token-not-allowed'],
    [{ allow: ['*'] }, '', undefined],
    [{ allow: ['*'] }, 'lxm=app.bsky.feed.getTimeline&lxm=com.atproto.server.createAccount', 'credentials'],
  ] as const)('%j and %j: %s', (options, query, refusal) => {
    // The reference server ignores the case of a path.
    for (const nsid of [SERVICE_AUTH, 'com.atproto.server.GETserviceAUTH']) {
      expect(parsePermit(options).refusalOf('GET', nsid, query)).toBe(refusal)
    }
  })
})
