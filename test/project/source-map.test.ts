/** The source maps of the package: as small as a stack allows. */
import { SourceMap } from 'node:module'
import { build } from 'rolldown'
import { expect, test } from 'vitest'
import { linesOnly } from '../../scripts/build/source-map.ts'

test('each position leads to the line that it led to before', async () => {
  const { output } = await build({
    input: 'src/text.ts',
    write: false,
    output: { format: 'cjs', minify: true, sourcemap: true },
  })
  const { code, map } = output[0]
  const payload = { ...map!, file: 'text.cjs', sourceRoot: '', sourcesContent: [] }
  const before = new SourceMap(payload)
  const mappings = linesOnly(payload.mappings)
  const after = new SourceMap({ ...payload, names: [], mappings })
  expect(mappings.length).toBeLessThan(payload.mappings.length / 2)
  const lineAt = (known: SourceMap, line: number, column: number) => {
    const entry = known.findEntry(line, column)
    return 'originalLine' in entry ? [entry.originalSource, entry.originalLine] : undefined
  }
  const found = new Set<number>()
  code.split('\n').forEach((text, line) => {
    for (let column = 0; column <= text.length; column++) {
      const expected = lineAt(before, line, column)
      expect(lineAt(after, line, column)).toStrictEqual(expected)
      if (expected) found.add(expected[1] as number)
    }
  })
  expect(found.size).toBeGreaterThan(20)
})

test.each([
  ['', ''],
  [';;', ';;'],
  ['AAAA,CAAC', 'AAAA'],
  ['AAAA,CACA,CAAAA', 'AAAA,CACA'],
  ['AAAA,C,CAAC', 'AAAA,C,CAAC'],
  ['AAAA;AAAA,CCDA', 'AAAA;AAAA,CCDA'],
  ['gggggCAggggCA', 'gggggCAggggCA'],
])('%s becomes %s', (mappings, expected) => {
  expect(linesOnly(mappings)).toBe(expected)
})
