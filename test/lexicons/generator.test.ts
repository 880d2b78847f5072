import { describe, expect, test } from 'vitest'
import { methodTypes } from './types.ts'

const method = (main: object, more: object = {}, id = 'com.atproto.test.get') => ({ id, defs: { main, ...more } })
const output = (schema: object) => ({ encoding: 'application/json', schema })
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const typesOf = (schema: object, more: object = {}) =>
  methodTypes([method({ type: 'query', output: output(schema) }, more)])

describe('each kind of schema has its type', () => {
  test.each<[object, string]>([
    [{ type: 'string', format: 'did' }, 'string'],
    [{ type: 'string', const: 'a' }, "'a'"],
    [{ type: 'string', enum: ['a', 'b'] }, "'a' | 'b'"],
    [{ type: 'string', knownValues: ['a'] }, "'a' | OtherString"],
    [{ type: 'integer' }, 'number'],
    [{ type: 'integer', enum: [1, 2] }, '1 | 2'],
    [{ type: 'boolean' }, 'boolean'],
    [{ type: 'bytes' }, 'Bytes'],
    [{ type: 'cid-link' }, 'CidLink'],
    [{ type: 'blob', accept: ['image/*'] }, 'BlobRef'],
    [{ type: 'unknown' }, 'UnknownObject'],
    [{ type: 'union', refs: [] }, 'UnknownObject'],
    [object({}), 'UnknownObject'],
    [{ type: 'array', items: { type: 'string' } }, 'Array<string>'],
  ])('%j', (schema, type) => {
    expect(typesOf(object({ it: schema }, { required: ['it'] }))).toContain(`\n      it: ${type}\n`)
  })
})

test('a member may be optional, and may be null', () => {
  const text = typesOf(object({ one: { type: 'string' }, other: { type: 'string' } }, { nullable: ['other'] }))
  expect(text).toContain('      one?: string\n      other?: string | null\n')
})

test('a reference leads to a type of its own, which is written once', () => {
  const more = { item: object({ next: { type: 'ref', ref: '#item' } }), unused: object({}) }
  const items = object({
    one: { type: 'ref', ref: 'lex:com.atproto.test.get#item' },
    two: { type: 'ref', ref: '#item' },
  })
  const text = typesOf(items, more)
  expect(text).toContain('      one?: ComAtprotoTestGetItem\n      two?: ComAtprotoTestGetItem\n')
  expect(text.split('export interface ComAtprotoTestGetItem {')).toHaveLength(2)
  expect(text).not.toContain('Unused')
})

test('a member of a union has the $type by which it is known', () => {
  const union = { type: 'union', refs: ['#item', 'com.atproto.test.other'] }
  const other = { id: 'com.atproto.test.other', defs: { main: object({}) } }
  const get = method({ type: 'query', output: output(object({ it: union })) }, { item: object({}) })
  const text = methodTypes([get, other])
  expect(text).toContain("Typed<'com.atproto.test.get#item', ComAtprotoTestGetItem>")
  expect(text).toContain("Typed<'com.atproto.test.other', ComAtprotoTestOther>")
})

test('what is only sent takes any object, read-only lists and undefined', () => {
  const item = object({ value: { type: 'unknown' }, list: { type: 'array', items: { type: 'integer' } } })
  const input = output({ type: 'object', properties: { item: { type: 'ref', ref: '#item' } }, required: ['item'] })
  const sent = methodTypes([method({ type: 'procedure', input }, { item })])
  expect(sent).toContain('  value?: object | undefined\n  list?: ReadonlyArray<number> | undefined\n')
  const both = methodTypes([method({ type: 'procedure', input, output: input }, { item })])
  expect(both).toContain('  value?: UnknownObject\n  list?: Array<number>\n')
})

test('a method of another group, a subscription, and definitions that nothing uses are omitted', () => {
  const query = { type: 'query' }
  const text = methodTypes([method(query, {}, 'tools.ozone.get'), method({ type: 'subscription' })])
  expect(text).not.toMatch(/ozone|com\.atproto\.test/)
})

test('what cannot be written is reported', () => {
  expect(() => typesOf(object({ it: { type: 'ref', ref: '#missing' } }))).toThrow('refers to #missing')
  expect(() => typesOf(object({ it: { type: 'float' } }))).toThrow('unknown type "float"')
  const record = (id: string, more = {}) => ({ id, defs: { main: { type: 'record', record: object({}) }, ...more } })
  const twice = [
    record('com.atproto.test', {}),
    { ...record('com.atproto.te', { st: object({}) }) },
    method({ type: 'query', output: output({ type: 'ref', ref: 'com.atproto.te#st' }) }, {}, 'com.atproto.get'),
  ]
  expect(methodTypes(twice)).toContain('ComAtprotoTest')
  const same = [record('com.atproto.a.bC'), { ...record('com.atproto.a', { bC: object({}) }) }]
  const ref = method({ type: 'query', output: output({ type: 'ref', ref: 'com.atproto.a#bC' }) }, {}, 'com.atproto.get')
  expect(() => methodTypes([...same, ref])).toThrow('two definitions would have the name ComAtprotoABC')
})
