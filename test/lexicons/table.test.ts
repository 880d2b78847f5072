import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { methodTable } from './generate.ts'

test('the table is what the published lexicons say; if not: npm run lexicons', () => {
  expect(readFileSync('src/protocol/method-table.ts', 'utf8')).toBe(methodTable())
})
