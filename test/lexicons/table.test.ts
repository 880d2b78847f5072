import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { findMethod, listMethods } from '../../src/protocol/xrpc/lexicons.ts'
import { isNewest, loadApi } from '../world/packages.ts'
import { methodTable } from './generate.ts'
import { methodTypes } from './types.ts'

describe.skipIf(!isNewest)('the newest lexicons: npm run test:newest', async () => {
  const { schemas } = await loadApi()
  const PUBLISHED = schemas.filter(({ defs }) => {
    const { type } = (defs as { main?: { type: string } }).main ?? {}
    return type === 'query' || type === 'procedure' || type === 'subscription'
  })

  test('every published method is found under its name, with its kind and its parameters', () => {
    expect(PUBLISHED.length).toBeGreaterThan(250)
    for (const { id, defs } of PUBLISHED) {
      const main = (
        defs as unknown as Record<string, { type: string; parameters?: { properties?: object; required?: string[] } }>
      )['main']!
      const method = findMethod(id)!
      expect(method.kind).toBe(main.type)
      expect(method.parameters.map(({ name }) => name)).toStrictEqual(Object.keys(main.parameters?.properties ?? {}))
      const required = method.parameters.filter(({ isRequired }) => isRequired).map(({ name }) => name)
      expect(required.sort()).toStrictEqual([...(main.parameters?.required ?? [])].sort())
    }
    expect(listMethods().map(({ nsid }) => nsid)).toStrictEqual(PUBLISHED.map(({ id }) => id as string).sort(byGroup))
  })

  function byGroup(one: string, other: string): number {
    const split = (nsid: string) => [nsid.slice(0, nsid.lastIndexOf('.')), nsid] as const
    const [[group, name], [otherGroup, otherName]] = [split(one), split(other)]
    if (group !== otherGroup) return group < otherGroup ? -1 : 1
    return name < otherName ? -1 : 1
  }

  test('the table is what they say; if not: npm run lexicons', () => {
    expect(readFileSync('src/protocol/xrpc/lexicon-table.ts', 'utf8')).toBe(methodTable(schemas))
  })

  test('the types are what they say; if not: npm run lexicons', () => {
    expect(readFileSync('src/lexicon-types.ts', 'utf8')).toBe(methodTypes(schemas))
  })
})
