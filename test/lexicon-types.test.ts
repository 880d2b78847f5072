/**
 * The types are used as a program uses them: `npm run types` compiles this file, and a line that has to be rejected is
 * marked. That the file is what the newest lexicons say is tested in test/lexicons/.
 */
import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, test } from 'vitest'
import type { BlobRef, ProcedureMethods, QueryMethods, Records } from '../src/lexicon-types.ts'
import { listMethods } from '../src/protocol/xrpc/lexicons.ts'
import { IS_TYPED } from './lexicons/types.ts'

const SOURCE = readFileSync('src/lexicon-types.ts', 'utf8')
const METHODS = listMethods().filter(({ nsid, kind }) => kind !== 'subscription' && IS_TYPED.test(nsid))

/** The lines between `name {` and the brace that closes it. */
function block(source: string, name: string): string {
  const [, indent = '', text] =
    new RegExp(`^( *)${name.replaceAll('.', '\\.')} \\{\\n([\\s\\S]*?)^\\1\\}$`, 'm').exec(source) ?? []
  if (text === undefined) throw new Error(`${name} is missing`)
  return text.replaceAll(new RegExp(`^${indent}  `, 'gm'), '')
}

test('each published query and procedure has its type, and no other', () => {
  const names = (kind: string) =>
    [...block(SOURCE, `export interface ${kind}`).matchAll(/^'(.+)': \{$/gm)].map(([, name]) => name)
  const expected = (kind: string) =>
    METHODS.filter((method) => method.kind === kind)
      .map(({ nsid }) => nsid)
      .sort()
  expect(names('QueryMethods')).toStrictEqual(expected('query'))
  expect(names('ProcedureMethods')).toStrictEqual(expected('procedure'))
  expect(METHODS.length).toBeGreaterThan(180)
})

test('the parameters of each method are those of the method table, with what is required', () => {
  for (const { nsid, parameters } of METHODS) {
    const method = block(SOURCE, `'${nsid}':`)
    const members = method.startsWith('params: NoParameters') ? '' : block(method, 'params:')
    const found = [...members.matchAll(/^(\w+)(\??):(?: |$)/gm)].map(([, name, optional]) => `${name}${optional}`)
    expect(found, nsid).toStrictEqual(parameters.map(({ name, isRequired }) => (isRequired ? name : `${name}?`)))
  }
})

test('a query has parameters and a response', () => {
  type Params = QueryMethods['com.atproto.repo.listRecords']['params']
  const params: Params = { repo: 'alice.example.com', collection: 'app.bsky.feed.post', limit: 5, cursor: undefined }
  // @ts-expect-error a parameter is required
  const incomplete: Params = { repo: 'alice.example.com' }
  // @ts-expect-error a number is not text
  const wrongType: Params = { repo: 'alice.example.com', collection: 'app.bsky.feed.post', limit: '5' }
  // @ts-expect-error a name is misspelt
  const misspelt: Params = { repo: 'alice.example.com', collection: 'app.bsky.feed.post', limits: 5 }
  expect([params, incomplete, wrongType, misspelt]).toHaveLength(4)

  type Output = QueryMethods['com.atproto.repo.listRecords']['output']
  expectTypeOf<Output['cursor']>().toEqualTypeOf<string | undefined>()
  expectTypeOf<Output['records'][number]['value']>().toEqualTypeOf<Record<string, unknown>>()
  expectTypeOf<QueryMethods['com.atproto.sync.getBlob']['output']>().toEqualTypeOf<Uint8Array>()
  expectTypeOf<QueryMethods['app.bsky.feed.getTimeline']['output']['feed'][number]['post']['uri']>().toBeString()
  // @ts-expect-error a procedure is not a query
  expectTypeOf<QueryMethods['com.atproto.repo.createRecord']>().toBeNever()
})

test('a list of a parameter may be read-only', () => {
  const actors = ['alice.example.com', 'bob.example.com'] as const
  expectTypeOf({ actors }).toExtend<QueryMethods['app.bsky.actor.getProfiles']['params']>()
})

test('a procedure has an input, of JSON, of bytes, or none', () => {
  type Input = ProcedureMethods['com.atproto.repo.createRecord']['input']
  interface OwnRecord {
    readonly text: string
  }
  expectTypeOf<{ repo: string; collection: string; record: OwnRecord }>().toExtend<Input>()
  expectTypeOf<{ repo: string; collection: string; record: Records['app.bsky.feed.post'] }>().toExtend<Input>()
  expectTypeOf<{ repo: string; collection: string }>().not.toExtend<Input>()
  expectTypeOf<{ repo: string; collection: string; record: string }>().not.toExtend<Input>()
  expectTypeOf<Uint8Array>().toExtend<ProcedureMethods['com.atproto.repo.uploadBlob']['input']>()
  expectTypeOf<Blob>().toExtend<ProcedureMethods['com.atproto.repo.uploadBlob']['input']>()
  expectTypeOf<ProcedureMethods['com.atproto.repo.uploadBlob']['output']['blob']>().toEqualTypeOf<BlobRef>()
  expectTypeOf<ProcedureMethods['com.atproto.server.activateAccount']['input']>().toEqualTypeOf<undefined>()
  expectTypeOf<ProcedureMethods['com.atproto.server.confirmEmail']['output']>().toEqualTypeOf<undefined>()
})

test('a union is told apart by its $type', () => {
  type Writes = ProcedureMethods['com.atproto.repo.applyWrites']['input']['writes']
  const writes: Writes = [
    { $type: 'com.atproto.repo.applyWrites#create', collection: 'app.bsky.feed.post', value: { text: 'hello' } },
    // @ts-expect-error only an update or a deletion needs a key
    { $type: 'com.atproto.repo.applyWrites#delete', collection: 'app.bsky.feed.post' },
    // @ts-expect-error not a member of the union
    { $type: 'com.atproto.repo.applyWrites#move', collection: 'app.bsky.feed.post' },
  ]
  expect(writes).toHaveLength(3)
  const images = (post: Records['app.bsky.feed.post']) =>
    post.embed?.$type === 'app.bsky.embed.images' ? post.embed.images.map(({ image }) => image.mimeType) : []
  const image: BlobRef = { $type: 'blob', ref: { $link: 'bafkrei' }, mimeType: 'image/png', size: 3 }
  const embed = { $type: 'app.bsky.embed.images', images: [{ image, alt: '' }] } as const
  const post = { $type: 'app.bsky.feed.post', text: '', createdAt: '2026-01-02T03:04:05Z' } as const
  expect(images({ ...post, embed: { ...embed, images: [...embed.images] } })).toStrictEqual(['image/png'])
  expect(images(post)).toStrictEqual([])
})

test('a string with known values may have another value', () => {
  type Status = NonNullable<ProcedureMethods['com.atproto.repo.createRecord']['output']['validationStatus']>
  const statuses: Status[] = ['valid', 'another']
  // @ts-expect-error not text
  const wrong: Status = 1
  expect([...statuses, wrong]).toHaveLength(3)
})

test('the file has types only', () => {
  const lines = SOURCE.replaceAll(/\/\*\*[\s\S]*?\*\//g, '').split('\n')
  expect(
    lines.filter((line) => /^\S/.test(line) && !/^(?:import type|export (?:interface|type)|[}|>)])/.test(line)),
  ).toStrictEqual([])
})
