/**
 * Our parser and the reference one agree on generated permissions and sets, or the difference has a reason. What the
 * reference says is checked in, because it needs Node 22; `npm run test:newest` asks it again.
 */
import { expect, test } from 'vitest'
import { parsePermission } from '../../../src/protocol/scope/permission.ts'
import { expandSet } from '../../../src/protocol/scope/permission-set.ts'
import {
  digest,
  type Golden,
  generateScopes,
  generateSets,
  SCOPES,
  SEED,
  SETS,
  unpacked,
} from '../../support/scopes.ts'
import golden from '../../vectors/oauth-scopes.json' with { type: 'json' }
import published from '../../vectors/permission-sets.json' with { type: 'json' }
import { isNewest } from '../../world/packages.ts'
import { askReference, readPublishedSets } from './reference.ts'

const { seed, scopes, sets }: Golden = golden

/** What only ours rejects, and why. It accepts nothing that the reference rejects. */
const DIFFERENCES: readonly [reason: string, isSo: (scope: string) => boolean][] = [
  [
    'a media type has the characters of RFC 6838, and a wildcard stands for a whole part: no other type can be uploaded',
    (scope) => scope.startsWith('blob') && typesIn(scope).some((type) => !MEDIA_TYPE.test(type)),
  ],
  [
    'a did:web is a domain name as atproto has them: in lower case, with a dot, and no digit before the last label',
    (scope) => /[?&]aud=did:web:/.test(scope) && !/aud=did:web:(?:[a-z\d-]+\.)+[a-z][a-z\d-]*%23/.test(scope),
  ],
]
const MEDIA_TYPE = /^(?:\*\/\*|[\w!#$&^.+-]+\/(?:\*|[\w!#$&^.+-]+))$/

function typesIn(scope: string): string[] {
  const [, positional, query = ''] = /^blob(?::([^?]*))?(?:\?(.*))?$/.exec(scope) ?? []
  const types = new URLSearchParams(query).getAll('accept')
  return positional === undefined ? types : [decodeURIComponent(positional)]
}

test('10,000 generated permissions', () => {
  expect(seed).toBe(SEED)
  const expected = unpacked(scopes)
  expect(expected).toHaveLength(SCOPES)
  const differing = generateScopes().filter((scope, index) => {
    const parsed = parsePermission(scope)
    if (parsed) expect([scope, expected[index]]).not.toStrictEqual([scope, 0])
    return (parsed ? digest([parsed.resource, parsed.values]) : 0) !== expected[index]
  })
  const unexplained = differing.filter((scope) => !DIFFERENCES.some(([, isSo]) => isSo(scope)))
  expect(unexplained).toStrictEqual([])
  for (const [reason, isSo] of DIFFERENCES) expect([reason, differing.some(isSo)]).toStrictEqual([reason, true])
})

test('generated permissions are of both kinds, and of many meanings', () => {
  const digests = unpacked(scopes)
  expect(digests.filter((one) => one !== 0).length).toBeGreaterThan(SCOPES / 3)
  expect(digests.filter((one) => one === 0).length).toBeGreaterThan(SCOPES / 5)
  expect(new Set(digests).size).toBeGreaterThan(SCOPES / 5)
})

test('2,000 generated permission sets are expanded alike', () => {
  const expected = unpacked(sets)
  expect(expected).toHaveLength(SETS)
  expect(new Set(expected).size).toBeGreaterThan(SETS / 4)
  const differing = generateSets().flatMap(({ include, permissions }, index) => {
    const { granted } = expandSet(include, { permissions })
    const meant = granted.map((token) => {
      const { resource, values } = parsePermission(token)!
      return [resource, values] as const
    })
    return digest(...meant) === expected[index] ? [] : [{ include, permissions, granted }]
  })
  expect(differing).toStrictEqual([])
})

test.skipIf(!isNewest)('what is checked in is what the newest reference says (else: npm run scopes)', async () => {
  expect(await askReference()).toStrictEqual(golden)
  expect(await readPublishedSets()).toStrictEqual(published)
})
