import { describe, expect, test } from 'vitest'
import { includeToken, inLanguage, readPermissionSets } from '../../../src/protocol/scope/permission-set.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { publishRecord, publishSet } from '../../support/permission-sets.ts'

const AUD = 'did:web:api.fake.dev%23x'
const rpc = (more: object) => ({ type: 'permission', resource: 'rpc', lxm: ['dev.fake.lex.getThing'], ...more })

async function read(permissions: readonly unknown[], query = '', texts: object = {}) {
  const world = createFakeWorld()
  publishSet(world, { permissions, ...texts })
  const { sets, unresolved } = await readPermissionSets(`atproto include:dev.fake.lex.authAll${query}`, world)
  expect(unresolved).toStrictEqual([])
  expect(sets).toHaveLength(1)
  return sets[0]!
}

describe('26.4 what an include: grants, and what it does not', () => {
  test('without aud, the entries that inherit it are not granted; with aud, they are', async () => {
    const entries = [rpc({ inheritAud: true }), rpc({ lxm: ['dev.fake.lex.getAny'], aud: '*' })]
    expect(await read(entries)).toMatchObject({
      granted: ['rpc:dev.fake.lex.getAny?aud=*'],
      dropped: [{ entry: 'rpc?lxm=dev.fake.lex.getThing', why: 'audience' }],
    })
    expect(await read(entries, `?aud=${AUD}`)).toMatchObject({
      granted: [`rpc:dev.fake.lex.getThing?aud=${AUD}`, 'rpc:dev.fake.lex.getAny?aud=*'],
      dropped: [],
    })
  })

  test('entries outside the namespace of the set are not granted, not even one of several', async () => {
    const collection = ['dev.fake.lex.post', 'dev.fake.other.post']
    const entries = [
      { type: 'permission', resource: 'repo', collection },
      { type: 'permission', resource: 'repo', collection: ['*'] },
      { type: 'permission', resource: 'repo', collection: ['dev.fake.lex.deep.post'], action: ['create'] },
    ]
    expect(await read(entries)).toMatchObject({
      granted: ['repo:dev.fake.lex.deep.post?action=create'],
      dropped: [
        { entry: 'repo?collection=dev.fake.lex.post&collection=dev.fake.other.post', why: 'namespace' },
        { entry: 'repo:*', why: 'wildcard' },
      ],
    })
  })

  test('blob, account and identity never come from a set', async () => {
    const entries = [
      { type: 'permission', resource: 'blob', accept: ['image/*'] },
      { type: 'permission', resource: 'account', attr: 'email' },
      { type: 'permission', resource: 'identity', attr: 'handle' },
    ]
    const set = await read(entries)
    expect(set.granted).toStrictEqual([])
    expect(set.dropped).toStrictEqual(
      ['blob:image/*', 'account:email', 'identity:handle'].map((entry, index) => ({ index, entry, why: 'kind' })),
    )
  })

  const post = { resource: 'repo', collection: ['dev.fake.lex.post'] }

  test.each<[string, object, object]>([
    ['a space of any type', { resource: 'space', spaceType: '*' }, { why: 'wildcard' }],
    ['all methods', rpc({ lxm: ['dev.fake.lex.getThing', '*'], aud: '*' }), { why: 'wildcard' }],
    ['an audience of its own', rpc({ aud: AUD.replace('%23', '#') }), { why: 'service' }],
    ['a list of audiences', rpc({ aud: ['*'] }), { why: 'service' }],
    ['an unknown field', { ...post, description: 'Posts' }, { why: 'field', field: 'description' }],
    ['inheritAud that is false', rpc({ aud: '*', inheritAud: false }), { why: 'field', field: 'inheritAud' }],
    ['inheritAud beside aud', rpc({ aud: '*', inheritAud: true }), { why: 'field', field: 'inheritAud' }],
    ['inheritAud of a collection', { ...post, inheritAud: true }, { why: 'field', field: 'inheritAud' }],
    ['no audience', rpc({}), { why: 'invalid' }],
    ['a text in place of a list', { resource: 'repo', collection: 'dev.fake.lex.post' }, { why: 'invalid' }],
    ['no actions', { ...post, action: [] }, { why: 'invalid' }],
    ['no collection', { resource: 'repo' }, { why: 'invalid' }],
    ['another set', { resource: 'include', nsid: 'dev.fake.lex.authOther' }, { why: 'kind' }],
    ['an unknown resource', { resource: 'dream', of: ['sheep'] }, { why: 'kind' }],
    ['the name of a method', { resource: 'toString' }, { why: 'kind' }],
    ['a text that cannot be encoded', { resource: 'repo', collection: ['\ud800'] }, { why: 'invalid' }],
  ])('%s: not granted', async (_, entry, why) => {
    const { granted, dropped } = await read([post, entry], `?aud=${AUD}`)
    expect(granted).toStrictEqual(['repo:dev.fake.lex.post'])
    expect(dropped).toStrictEqual([{ index: 1, entry: expect.any(String), ...why }])
  })

  test('an entry that inherits the service is outside the namespace first', async () => {
    const { dropped } = await read([rpc({ lxm: ['app.bsky.feed.getTimeline'], inheritAud: true })])
    expect(dropped).toMatchObject([{ entry: 'rpc?lxm=app.bsky.feed.getTimeline', why: 'namespace' }])
  })
})

describe('26.3 a set that cannot be resolved', () => {
  const ofWorld = async (plant: (world: ReturnType<typeof createFakeWorld>) => void) => {
    const world = createFakeWorld()
    plant(world)
    return readPermissionSets('atproto include:dev.fake.lex.authAll repo:*', world)
  }
  const main = (fields: object) => ({ defs: { main: { type: 'permission-set', permissions: [], ...fields } } })
  const beside = (more: object) => ({ defs: { ...main({}).defs, more } })
  const entry = (fields: object) => main({ permissions: [{ type: 'permission', resource: 'repo', ...fields }] })

  test.each<[string, object]>([
    ['is not a permission set: its main definition is missing', { defs: {} }],
    ['is not a permission set: its main definition is missing', {}],
    ['is not a permission set: its main definition has the type "query"', main({ type: 'query' })],
    ['is not a permission set: its main definition has no type', { defs: { main: {} } }],
    ['its $type is "app.bsky.feed.post"', { ...main({}), $type: 'app.bsky.feed.post' }],
    ['its "lexicon" is not 1', { ...main({}), lexicon: 2 }],
    ['its id is "dev.fake.lex.auth" and not "dev.fake.lex.authAll"', { ...main({}), id: 'dev.fake.lex.auth' }],
    ['"title" is not text', main({ title: { de: 'Alles' } })],
    ['"detail:lang" is not an object with a text for each language tag', main({ 'detail:lang': 'none' })],
    ['its "revision" is not a whole number', { ...main({}), revision: 'two' }],
    ['its "description" is not text', { ...main({}), description: 5 }],
    ['its definition "more" has the type "permission-set"', beside({ type: 'permission-set', permissions: [] })],
    ['its definition "more" has no type', beside({})],
    ['"title:lang" is not an object with a text for each language tag', main({ 'title:lang': { fr: 1 } })],
    ['"title:lang" is not an object with a text for each language tag', main({ 'title:lang': { de_DE: 'Alles' } })],
    ['"permissions" is not a list', main({ permissions: {} })],
    ['entry 1 of "permissions" is not an object', main({ permissions: ['repo:dev.fake.lex.post'] })],
    ['entry 1 of "permissions" has no "type": "permission"', entry({ type: 'repo' })],
    ['entry 1 of "permissions" has no resource', entry({ resource: '' })],
    ['entry 1 of "permissions" has "collection" as neither', entry({ collection: [{ toString: 'x' }] })],
    ['entry 1 of "permissions" has "action" as neither', entry({ action: ['create', 1] })],
    ['entry 1 of "permissions" has "aud" as neither', entry({ aud: null })],
  ])('its record %s', async (why, fields) => {
    const { sets, unresolved } = await ofWorld((world) => publishRecord(world, fields))
    expect(sets).toStrictEqual([])
    expect(unresolved).toMatchObject([
      { include: 'include:dev.fake.lex.authAll', error: { code: 'PERMISSION_SET_UNRESOLVED' } },
    ])
    expect(unresolved[0]!.error.message).toContain(why)
    expect(unresolved[0]!.error.facts).toMatchObject({ step: 'record-invalid', nsid: 'dev.fake.lex.authAll' })
  })

  test('nothing is known about a set if DNS fails here', async () => {
    const { sets, unresolved } = await ofWorld(({ identity }) => {
      identity.txt.set('_lexicon.lex.fake.dev', 'SERVFAIL')
    })
    expect([...sets, ...unresolved]).toStrictEqual([])
  })
})

test.each([
  [['app.bsky.authFullApp'], 'include:app.bsky.authFullApp'],
  [['include:app.bsky.authFullApp'], 'include:app.bsky.authFullApp'],
  [['include?nsid=app.bsky.authFullApp'], 'include?nsid=app.bsky.authFullApp'],
  [['app.bsky.authFullApp', 'did:web:a.dev#x'], 'include:app.bsky.authFullApp?aud=did:web:a.dev%23x'],
  [['include:app.bsky.authFullApp', 'did:web:a.dev%23x'], 'include:app.bsky.authFullApp?aud=did:web:a.dev%23x'],
] as const)('the permission of %j is %s', ([set, audience]: readonly string[], token) => {
  expect(includeToken(set!, audience)).toBe(token)
})

test.each([
  ['app.bsky'],
  ['repo:app.bsky.feed.post'],
  ['include:app.bsky'],
  ['app.bsky.authFullApp', 'did:web:a.dev'],
  ['app.bsky.authFullApp', '*'],
  ['app.bsky.authFullApp repo:*'],
])('%j: there is no such permission', (...[set, audience]) => {
  expect(() => includeToken(set!, audience)).toThrow(expect.objectContaining({ code: 'SCOPE_INVALID' }))
})

test('26.5 title:lang and detail:lang', async () => {
  const set = await read([], '', {
    title: 'Everything',
    'title:lang': { de: 'Alles', 'pt-BR': 'Tudo' },
    detail: 'All of it',
  })
  const titles = ['de', 'de-AT', 'pt-br', 'pt', 'fr', undefined].map((language) => inLanguage(set.title, language))
  expect(titles).toStrictEqual(['Alles', 'Alles', 'Tudo', 'Everything', 'Everything', 'Everything'])
  expect(inLanguage(set.detail, 'de')).toBe('All of it')
  expect(inLanguage((await read([])).title, 'de')).toBeUndefined()
})
