import { describe, expect, test } from 'vitest'
import { inLanguage, readPermissionSets } from '../../../src/protocol/scope/permission-set.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { publishSet } from '../../support/permission-sets.ts'

const AUD = 'did:web:api.fake.dev%23x'
const rpc = (more: object) => ({ type: 'permission', resource: 'rpc', lxm: ['dev.fake.lex.getThing'], ...more })

async function read(permissions: readonly unknown[], query = '', texts: object = {}) {
  const world = createFakeWorld()
  publishSet(world, { permissions, ...texts })
  const [set, ...more] = await readPermissionSets(`atproto include:dev.fake.lex.authAll${query}`, world)
  expect(more).toStrictEqual([])
  return set!
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
        { entry: 'repo:*', why: 'namespace' },
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
      ['blob:image/*', 'account:email', 'identity:handle'].map((entry) => ({ entry, why: 'kind' })),
    )
  })

  test.each([
    ['a space of any type', { resource: 'space', spaceType: '*' }],
    ['an audience of its own', rpc({ aud: AUD.replace('%23', '#') })],
    ['a text in place of a list', { resource: 'repo', collection: 'dev.fake.lex.post' }],
    ['an unknown resource', { resource: 'dream', of: ['sheep'] }],
    ['no resource', {}],
    ['no object', 'repo:dev.fake.lex.post'],
    ['a text that cannot be encoded', { resource: 'repo', collection: ['\ud800'], toString: 1 }],
    ['an object with a method of its own', { resource: 'repo', collection: [{ toString: 'x' }] }],
  ])('%s: invalid, and not granted', async (_, entry) => {
    const set = await read([entry])
    expect(set).toMatchObject({ granted: [] })
    expect(set.dropped).toHaveLength(1)
  })

  test('a set that cannot be read is no fault: the server may be able to read it', async () => {
    const world = createFakeWorld()
    expect(await readPermissionSets('atproto include:dev.fake.none.authAll repo:*', world)).toStrictEqual([])
    world.identity.txt.set('_lexicon.none.fake.dev', 'SERVFAIL')
    expect(await readPermissionSets('atproto include:dev.fake.none.authAll', world)).toStrictEqual([])
  })
})

test('26.5 title:lang and detail:lang', async () => {
  const set = await read([], '', {
    title: 'Everything',
    'title:lang': { de: 'Alles', 'pt-BR': 'Tudo', fr: 1 },
    detail: 'All of it',
    'detail:lang': 'none',
  })
  const titles = ['de', 'de-AT', 'pt-br', 'pt', 'fr', undefined].map((language) => inLanguage(set.title, language))
  expect(titles).toStrictEqual(['Alles', 'Alles', 'Tudo', 'Everything', 'Everything', 'Everything'])
  expect(inLanguage(set.detail, 'de')).toBe('All of it')
  expect(inLanguage((await read([])).title, 'de')).toBeUndefined()
})
