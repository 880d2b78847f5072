import { describe, expect, test } from 'vitest'
import type { Did } from '../../../src/model.ts'
import {
  describeToken,
  isCovered,
  normalToken,
  ofAccount,
  parsePermission,
} from '../../../src/protocol/scope/permission.ts'
import { missingScopes, unaskedScopes, unsupportedScopes } from '../../../src/protocol/scope/scope.ts'

const ALICE = 'did:plc:abcdefghijklmnopqrstuvwx' as Did
const BOB = 'did:plc:zyxwvutsrqponmlkjihgfedc' as Did
const TYPE = 'com.example.forum'

describe('26.2 the grammar of space:', () => {
  test.each([
    [`space:${TYPE}`, `space:${TYPE}`],
    ['space:*', 'space:*'],
    [`space?spaceType=${TYPE}`, `space:${TYPE}`],
    [`space:${TYPE}?authority=self&skey=*`, `space:${TYPE}`],
    [`space:${TYPE}?action=delete&action=update&action=create&action=read`, `space:${TYPE}`],
    [`space:${TYPE}?action=read_self&action=read`, `space:${TYPE}?action=read`],
    [`space:${TYPE}?collection=a.b.c&collection=*`, `space:${TYPE}?collection=*`],
    [`space:*?authority=${ALICE}&skey=a.b-c_d~e`, `space:*?authority=${ALICE}&skey=a.b-c_d~e`],
    [`space:${TYPE}?manage=update&manage=delete&authority=*`, `space:${TYPE}?authority=*&manage=delete&manage=update`],
  ])('%s', (token, normal) => {
    expect(normalToken(token)).toBe(normal)
    expect(parsePermission(token)).toStrictEqual(parsePermission(normal))
    expect(parsePermission(token)).toBeDefined()
  })

  test.each([
    'space',
    'space:',
    'space:short',
    `space:${TYPE}?authority=alice`,
    `space:${TYPE}?authority=*&authority=self`,
    `space:${TYPE}?skey=`,
    `space:${TYPE}?skey=..`,
    `space:${TYPE}?skey=a%2Fb`,
    `space:${TYPE}?skey=${'x'.repeat(513)}`,
    `space:${TYPE}?action=write`,
    `space:${TYPE}?manage=read`,
    `space:${TYPE}?collection=short`,
    `space:${TYPE}?unknown=x`,
  ])('%s is invalid', (token) => {
    expect(parsePermission(token)).toBeUndefined()
  })
})

describe('26.2 what covers what', () => {
  const covers = (granted: string, wanted: string) => isCovered(parsePermission(wanted)!, granted.split(' '))

  test.each([
    ['space:*?authority=*&collection=*', `space:${TYPE}`],
    [`space:${TYPE}?authority=*`, `space:${TYPE}?authority=${ALICE}&skey=main`],
    [`space:${TYPE}?action=read`, `space:${TYPE}?action=read_self`],
    // Reading ignores the collections.
    [`space:${TYPE}?action=read&collection=a.b.c`, `space:${TYPE}?action=read`],
    // A server may write the collections that the space type declares.
    [`space:${TYPE}?collection=a.b.c&collection=a.b.d`, `space:${TYPE}`],
    [`space:${TYPE}`, `space:${TYPE}?collection=a.b.c`],
    [`space:${TYPE}?action=read space:${TYPE}?action=create`, `space:${TYPE}?action=read&action=create`],
    [`space:${TYPE}?action=read&manage=create&manage=update`, `space:${TYPE}?action=read&manage=update`],
  ])('%s has %s', (granted, wanted) => {
    expect(covers(granted, wanted)).toBe(true)
  })

  test.each([
    ['atproto', `space:*?action=create`],
    [`space:${TYPE}`, 'space:*?action=read'],
    [`space:${TYPE}`, `space:${TYPE}?authority=*`],
    [`space:${TYPE}?skey=main`, `space:${TYPE}`],
    [`space:${TYPE}?action=read_self`, `space:${TYPE}?action=read`],
    [`space:${TYPE}?action=read_self`, `space:${TYPE}?action=read_self&collection=*`],
    [`space:${TYPE}`, `space:${TYPE}?collection=*`],
    [`space:${TYPE}?collection=a.b.c`, `space:${TYPE}?collection=a.b.d`],
    ['space:*', 'space:*?collection=a.b.c'],
    [`space:${TYPE}`, `space:${TYPE}?manage=create`],
    ['transition:generic', `space:${TYPE}`],
  ])('%s has not %s', (granted, wanted) => {
    expect(covers(granted, wanted)).toBe(false)
  })

  test('self is the DID of the account', () => {
    const granted = `atproto space:${TYPE}?authority=${ALICE}&collection=a.b.c`
    expect(ofAccount(`space:${TYPE}`, ALICE)).toBe(`space:${TYPE}?authority=${ALICE}`)
    expect(missingScopes(`atproto space:${TYPE}`, granted, ALICE)).toStrictEqual([])
    expect(unaskedScopes(`atproto space:${TYPE}`, granted, ALICE)).toStrictEqual([])
    expect(missingScopes(`atproto space:${TYPE}`, granted, BOB)).toHaveLength(1)
    expect(ofAccount('space:x', ALICE)).toBe('space:x')
    expect(ofAccount(`space:${TYPE}?authority=*`, ALICE)).toBe(`space:${TYPE}?authority=*`)
  })
})

describe('26.2 a server that does not support it', () => {
  const unsupported = (requested: string, granted: string) =>
    unsupportedScopes(missingScopes(requested, granted), granted)

  test.each([
    [`atproto space:${TYPE}`, 'atproto', [`space:${TYPE}`]],
    ['atproto space:x unheard:of repo:a.b.c', 'atproto', ['space:x', 'unheard:of']],
    // A server with a consent screen for it: someone can have denied one.
    [`atproto space:${TYPE} space:a.b.c`, 'atproto space:a.b.c', []],
    [`atproto space:${TYPE}`, `atproto space:${TYPE}`, []],
    ['atproto transition:generic repo:a.b.c', 'atproto', []],
  ])('%s, granted %s', (requested, granted, expected) => {
    expect(unsupported(requested, granted)).toStrictEqual(expected)
  })
})

test.each([
  ['space:*', 'spaces of any type of this account: read, create, update and delete records'],
  [
    `space:${TYPE}?authority=*&action=read_self&manage=update&manage=delete`,
    `spaces of type ${TYPE} of any account: read your own records; update and delete the spaces`,
  ],
  [
    `space:${TYPE}?authority=${ALICE}&skey=main&collection=a.b.c&collection=a.b.d&action=create`,
    `spaces of type ${TYPE} with the key main of ${ALICE}: create records of a.b.c and a.b.d`,
  ],
  ['space:x', undefined],
  ['repo:*', undefined],
])('26.2 %s in words', (token, description) => {
  expect(describeToken(token)).toBe(description)
})
