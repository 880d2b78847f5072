import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import { assembleRequest, type GivenField, type GivenRequest } from '../../../src/protocol/xrpc/fields.ts'
import { findMethod, needsOf } from '../../../src/protocol/xrpc/lexicons.ts'

const ACCOUNT = { did: 'did:plc:alice', handle: 'alice.fake.dev', pds: 'https://pds.fake.dev' }
const LIST = 'com.atproto.repo.listRecords'
const CREATE = 'com.atproto.repo.createRecord'

function field(word: string): GivenField {
  const [, name, colon, value] = /^(\w+)(:?)=(.*)$/s.exec(word)!
  return { name: name!, value: value!, isJson: colon === ':' }
}

const assemble = (nsid: string, words: string[], rest: Partial<GivenRequest> = {}) =>
  assembleRequest({ nsid, fields: words.map(field), account: ACCOUNT, ...rest })
const bodyOf = (...given: Parameters<typeof assemble>) => JSON.parse(String(assemble(...given).body))

function refusal(...given: Parameters<typeof assemble>): OAuthError {
  try {
    assemble(...given)
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
  throw new Error('was not refused')
}

describe('a query', () => {
  test('18.3 parameters in order, a repeated one several times, placeholders filled in', () => {
    const { method, parameters, body } = assemble('app.bsky.feed.searchPosts', ['q=a b', 'tag=x', 'tag=y', 'limit=5'])
    expect(method).toBe('GET')
    expect(body).toBeUndefined()
    expect(parameters).toStrictEqual([
      ['q', 'a b'],
      ['tag', 'x'],
      ['tag', 'y'],
      ['limit', '5'],
    ])
    expect(assemble(LIST, ['repo={did}', 'collection=a.b.{handle}']).parameters).toStrictEqual([
      ['repo', 'did:plc:alice'],
      ['collection', 'a.b.alice.fake.dev'],
    ])
  })

  test('18.3 a list may be given as JSON, booleans and numbers as they are written', () => {
    const words = ['repo={did}', 'collection=a.b.c', 'limit:=5', 'reverse=true']
    expect(assemble(LIST, words).parameters?.slice(2)).toStrictEqual([
      ['limit', '5'],
      ['reverse', 'true'],
    ])
    expect(assemble('app.bsky.feed.getPosts', ['uris:=["at://a","at://b"]']).parameters).toStrictEqual([
      ['uris', 'at://a'],
      ['uris', 'at://b'],
    ])
  })

  test.each([
    ['limit=abc', 'whole number'],
    ['limit=1.5', 'whole number'],
    ['limit=99999999999999999999', 'whole number'],
    ['reverse=yes', 'true or false'],
    ['limt=5', 'has no field "limt"; its fields are repo, collection, limit, cursor, reverse'],
    ['limit:={"a":1}', 'neither text'],
    ['limit:=5,', 'not JSON'],
    ['cursor={curser}', 'unknown placeholder'],
  ])('%s is said before anything is sent', (word, why) => {
    const error = refusal(LIST, ['repo={did}', 'collection=a.b.c', word])
    expect(error).toMatchObject({ code: 'USAGE', session: 'alive' })
    expect(error.message).toContain(why)
  })

  test('what is missing is named, with all that the method needs', () => {
    const error = refusal(LIST, ['limit=5'])
    expect(error.message).toBe(`${LIST} requires repo, collection`)
    expect(error.facts).toStrictEqual({ reason: 'method-misused', ...needsOf(findMethod(LIST)!) })
  })

  test('an empty value is a variable that was not set, where one is needed', () => {
    expect(refusal(LIST, ['repo=', 'collection=a.b.c']).message).toBe('repo is empty')
    expect(assemble(LIST, ['repo=a', 'collection=a.b.c', 'cursor=']).parameters).toContainEqual(['cursor', ''])
  })

  test('a name in another case is told, and sent with -X', () => {
    const misspelt = 'com.atproto.repo.listrecords'
    const error = refusal(misspelt, ['repo={did}'])
    expect(error.message).toBe(`unknown method ${misspelt}: did you mean ${LIST}?`)
    expect(error.facts).toStrictEqual({ reason: 'method-misspelt', meant: LIST })
    expect(assemble(misspelt, [], { method: 'GET' }).nsid).toBe(misspelt)
  })

  test('one value for what is no list; no body', () => {
    expect(refusal(LIST, ['repo=a', 'repo=b', 'collection=a.b.c']).message).toContain('cannot be repeated')
    expect(refusal(LIST, ['repo=a', 'collection=a.b.c'], { data: '{}' }).message).toContain('has no body')
    expect(refusal(LIST, ['repo=a', 'collection=a.b.c'], { hasUpload: true }).message).toContain('has no body')
  })

  test('a placeholder for what is not known here is no request', () => {
    const account = { ...ACCOUNT, handle: undefined }
    expect(refusal('app.bsky.actor.getProfile', ['actor={handle}'], { account }).message).toContain('{handle}')
  })
})

describe('a procedure', () => {
  test('fields become its body, typed by what it takes', () => {
    const words = ['repo={did}', 'collection=app.bsky.feed.post', 'validate=false', 'record={"text":"1"}', 'rkey=5']
    expect(bodyOf(CREATE, words)).toStrictEqual({
      repo: 'did:plc:alice',
      collection: 'app.bsky.feed.post',
      validate: false,
      record: { text: '1' },
      rkey: '5',
    })
  })

  test('fields and a body are merged, and a field wins', () => {
    const data = '{"repo":"{did}","collection":"a.b.c","record":{"text":"{did} and {handle}"},"rkey":"1"}'
    expect(bodyOf(CREATE, ['rkey=2'], { data })).toStrictEqual({
      repo: 'did:plc:alice',
      collection: 'a.b.c',
      record: { text: '{did} and {handle}' },
      rkey: '2',
    })
  })

  test('in a body an identifier is filled in, a text is left alone', () => {
    const data = JSON.stringify({ a: 'at://{did}/x/y', b: ['{handle}', '{did}.'], c: 'see {did}' })
    const filled = { a: 'at://did:plc:alice/x/y', b: ['alice.fake.dev', '{did}.'], c: 'see {did}' }
    const odd = '{"repo":"{did}","collection":"a.b.c","record":{"__proto__":{"a":"{did}"},"constructor":"{handle}"}}'
    expect(assemble(CREATE, [], { data: odd }).body).toBe(
      odd.replaceAll('{did}', ACCOUNT.did).replaceAll('{handle}', ACCOUNT.handle),
    )
    expect(bodyOf('com.example.do.it', [], { data })).toStrictEqual(filled)
    expect(bodyOf('com.example.do.it', [`x:=${data}`], { method: 'POST' })).toStrictEqual({ x: filled })
    expect(bodyOf(CREATE, ['repo={did}', 'collection=a.b.c', `record=${data}`]).record).toStrictEqual(filled)
  })

  test('a body to which nothing is added is sent as it was written', () => {
    const data = '{ "n": 12345678901234567890, "f": 1.0, "text": "see {did}" }'
    expect(assemble('com.example.do.it', [], { data }).body).toBe(data)
    expect(bodyOf('com.example.do.it', [], { data: '{"repo":"\\u007bdid}"}' })).toStrictEqual({ repo: ACCOUNT.did })
    expect(assemble('com.example.do.it', ['a=1'], { data: '{ "b": 2 }' }).body).toBe('{"b":2,"a":"1"}')
  })

  test('what is missing, wrong or not an object', () => {
    expect(refusal(CREATE, ['repo={did}']).message).toContain('requires collection, record')
    expect(refusal(CREATE, [], { data: '{"repo":"a"' }).message).toContain('the body is not JSON')
    expect(refusal(CREATE, ['repo=a'], { data: '[]' }).message).toContain('JSON object')
    expect(refusal(CREATE, ['record=hello']).message).toContain('record is not JSON')
  })

  test('18.5 without an input there is no body, and none is taken', () => {
    const nsid = 'com.atproto.server.requestEmailConfirmation'
    expect(assemble(nsid, [])).toStrictEqual({ nsid, method: 'POST', parameters: [] })
    expect(refusal(nsid, [], { data: '{}' }).message).toContain('has no body')
    expect(refusal(nsid, ['a=b']).message).toContain('has no field "a", and takes none')
  })

  test('18.5 with one and nothing to say: an empty object', () => {
    expect(bodyOf('chat.bsky.convo.updateAllRead', [])).toStrictEqual({})
  })

  test('18.6 bytes are uploaded', () => {
    const nsid = 'com.atproto.repo.uploadBlob'
    expect(assemble(nsid, [], { hasUpload: true })).toStrictEqual({ nsid, method: 'POST', parameters: [] })
    expect(refusal(nsid, [])).toMatchObject({
      message: expect.stringMatching(/requires a file .*as its body$/),
      facts: { isUpload: true },
    })
    expect(refusal(CREATE, ['repo={did}'], { hasUpload: true }).message).toContain('requires a JSON body')
  })
})

describe('a method that nobody has published', () => {
  const nsid = 'com.example.thing.do'
  test('without a body it is a query, with one a procedure', () => {
    expect(assemble(nsid, ['a=1', 'a=2', 'b:=true'])).toStrictEqual({
      nsid,
      method: 'GET',
      parameters: [
        ['a', '1'],
        ['a', '2'],
        ['b', 'true'],
      ],
    })
    expect(assemble(nsid, ['a=1', 'b:=2'], { data: '{"c":3}' })).toMatchObject({ method: 'POST', parameters: [] })
    expect(bodyOf(nsid, ['a=1', 'b:=2'], { data: '{"c":3}' })).toStrictEqual({ c: 3, a: '1', b: 2 })
    expect(assemble(nsid, ['a=1'], { hasUpload: true })).toStrictEqual({
      nsid,
      method: 'POST',
      parameters: [['a', '1']],
    })
  })

  test('18.2 or what -X says', () => {
    expect(assemble(nsid, [], { method: 'POST' })).toStrictEqual({ nsid, method: 'POST', parameters: [] })
    expect(bodyOf(nsid, ['a=1'], { method: 'POST' })).toStrictEqual({ a: '1' })
    expect(refusal(nsid, [], { method: 'GET', data: '{}' }).message).toContain('no body')
  })

  test('-X also stands in for what the table says of a published one', () => {
    expect(assemble(LIST, ['new=1'], { method: 'GET' }).parameters).toStrictEqual([['new', '1']])
  })
})

test('18.12 a subscription is refused with a sentence', () => {
  expect(refusal('com.atproto.sync.subscribeRepos', []).message).toContain('WebSocket')
})

test.each([
  ['com.atproto.server.createAppPassword', 'name=x'],
  ['com.atproto.admin.deleteAccount', 'did={did}'],
  ['com.atproto.server.activateAccount', undefined],
])('26.1 %s may be closed to OAuth sessions: the server decides', (nsid, field) => {
  expect(assemble(nsid, field === undefined ? [] : [field])).toMatchObject({ nsid, method: 'POST' })
})

test('names that objects have by themselves are names like others', () => {
  expect(bodyOf('com.example.do.it', ['__proto__=a', 'constructor=b'], { data: '{"toString":1}' })).toStrictEqual(
    JSON.parse('{"toString":1,"__proto__":"a","constructor":"b"}'),
  )
})
