import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rowsCitedBy, type Title, titlesIn, titlesUnder } from './support/suite.ts'

/** The levels of each section's rows, so that none can vanish or change unnoticed. 5.16 to 5.19 do not exist. */
const SECTIONS: Record<string, string> = {
  1: 'R R M M R M M M M F S M S S S M M M M S S S',
  2: 'M M M M M R M M M M M O M',
  3: 'M M M M M R M M',
  4: 'M M M M M M M M M M M M M M M S M R O M M',
  5: 'M M M M F M M F F M M S M F F M M M M M M F M M',
  6: 'M M F M M M M S R',
  7: 'M M M F M M S F M M S M R',
  8: 'M M F M S F',
  9: 'M M S M M M F M M M R',
  10: 'M F F F M M M M M M S M M M M S S M',
  11: 'M M F F M R M F M M M R S F M S',
  12: 'M M M M M S F M M M S',
  13: 'M M M M M M F F M/R S R',
  14: 'M M M M S S',
  15: 'M M M M M M M M M F F F R F F M F',
  16: 'M M M F M M S S F',
  18: 'M M M M M M M S O F S M S S S',
  19: 'M F F F M F M F S O',
  20: 'M S M M S S S S F',
}
/** Where the specification and the reference disagree, and what another server does differently: one decision each. */
const DECISIONS: Record<string, number> = { 21: 17, 25: 16 }
/** Golden data and pitfalls of the requirements: tests name them, they have no verdict. */
const NO_VERDICT = ['22', '23', '24']
const VERDICT = /^(?:holds|(?:deliberately different|not ours): \S.*)$/

interface Row {
  readonly id: string
  readonly level: string
  readonly verdict: string
  readonly tests: readonly string[]
}

function rowsOf(markdown: string): Row[] {
  const lines = markdown.split('\n').filter((line) => /^\| *\d/.test(line))
  return lines.map((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
    if (cells.length !== 6 || cells[0] !== '' || cells[5] !== '') throw new Error(`not four cells: ${line}`)
    const [, id, level, verdict, tests] = cells as [string, string, string, string, string]
    return { id, level, verdict, tests: tests.split('; ').filter(Boolean) }
  })
}

const sectionOf = (id: string) => id.split('.')[0]!
const isDecision = (id: string) => sectionOf(id) in DECISIONS

/** What is wrong with a table, given the titles of the suite; each fault is a line. */
function faultsOf(rows: readonly Row[], titles: readonly Title[]): string[] {
  const citations = titles.flatMap(({ file, path }) => rowsCitedBy(path).map((id) => ({ id, file, path })))
  const ids = new Set(rows.map(({ id }) => id))
  const strays = citations.filter(({ id }) => !ids.has(id) && !NO_VERDICT.includes(sectionOf(id)))
  return [
    ...new Set(strays.map(({ id, file, path }) => `${file} names ${id}, which is no row: ${path.join(' > ')}`)),
    ...rows.flatMap((row) => faultsOfRow(row, titles).map((fault) => `${row.id} ${fault}`)),
  ]
}

function faultsOfRow({ id, level, verdict, tests }: Row, titles: readonly Title[]): string[] {
  const faults: string[] = []
  const found = tests.map((text) => {
    const [, file, fragment] = /^(\S+\.ts): (.+)$/.exec(text) ?? []
    const matches = titles.filter((title) => title.file === file && title.path.join(' > ').includes(fragment ?? ''))
    if (matches.length === 0) faults.push(`points to a test that is not there: ${text}`)
    if (text.startsWith('test/support/')) faults.push(`points to a test of the tests' own tools: ${text}`)
    return matches
  })
  if (isDecision(id)) {
    if (verdict === '') faults.push('has no decision')
    if (tests.length === 0) faults.push('has no test')
    return faults
  }
  if (!VERDICT.test(verdict)) faults.push(`has the verdict ${verdict}`)
  if (level.startsWith('M') && verdict.startsWith('not ours')) faults.push('must hold')
  if (verdict.startsWith('not ours')) return faults
  if (!found.some((matches) => matches.some(({ path }) => rowsCitedBy(path).includes(id)))) {
    faults.push('has no test that names it')
  }
  return faults
}

describe('test/conformance.md', () => {
  const rows = rowsOf(readFileSync('test/conformance.md', 'utf8'))

  const section = (name: string) => rows.filter(({ id }) => sectionOf(id) === name)

  test.each(Object.entries(SECTIONS))('section %s has every row, once, with its level: %s', (name, levels) => {
    const numbers = levels.split(' ').map((_, index) => (name === '5' && index > 14 ? index + 5 : index + 1))
    expect(section(name).map(({ id }) => id)).toStrictEqual(numbers.map((number) => `${name}.${number}`))
    expect(
      section(name)
        .map(({ level }) => level)
        .join(' '),
    ).toBe(levels)
  })

  test.each(Object.entries(DECISIONS))('section %s has its %i decisions', (name, count) => {
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    expect(section(name).map(({ id }) => id)).toStrictEqual(numbers.map((number) => `${name}.${number}`))
  })

  test('has no other sections', () => {
    expect(rows.filter(({ id }) => !(sectionOf(id) in { ...SECTIONS, ...DECISIONS }))).toStrictEqual([])
  })

  test('does not lie: every row has the test that it names, and no test names a row that is not there', async () => {
    expect(faultsOf(rows, await titlesUnder('test'))).toStrictEqual([])
  })
})

describe('the rule catches what it is for', () => {
  const SUITE = `
    describe('9.4/9.5 the answer', () => {
      test.each([['3.1 one', 1], ['3.2 two', 2]] as const)('%s', (_: string) => undefined)
      test.each(['1.1.1.1', '1.2 no citation'])('%j is an address', () => undefined)
    })
    test('10.6, 10.7 and 10.9 fine; 11.2 as well', async () => {})
    test(\`10.1 to 10.3 \${name}\`, () => {})
    test('127.0.0.1 is no row', () => {})
    test('0600 in 0700', () => {})
    test.skip('8.1 not run', () => {})
    test.skipIf(root)('8.2 run', () => {})
    log('8.3 no test')`

  test('titles and citations', async () => {
    const titles = await titlesIn(SUITE)
    expect(titles.map((path) => path.join(' > '))).toStrictEqual([
      '9.4/9.5 the answer > 3.1 one',
      '9.4/9.5 the answer > 3.2 two',
      '9.4/9.5 the answer > %j is an address',
      '10.6, 10.7 and 10.9 fine; 11.2 as well',
      '10.1 to 10.3 …',
      '127.0.0.1 is no row',
      '0600 in 0700',
      '8.2 run',
    ])
    expect(titles.map(rowsCitedBy)).toStrictEqual([
      ['9.4', '9.5', '3.1'],
      ['9.4', '9.5', '3.2'],
      ['9.4', '9.5'],
      ['10.6', '10.7', '10.9', '11.2'],
      ['10.1', '10.2', '10.3'],
      [],
      [],
      ['8.2'],
    ])
    expect(() => rowsCitedBy(['9.4 to 10.2 over a border'])).toThrow('no range')
  })

  const TITLES = [{ file: 'test/a.test.ts', path: ['1.1 a rule', 'is kept'] }]
  const row = (line: string) => faultsOf(rowsOf(line), line.startsWith('| 1.1') ? TITLES : [])

  test.each([
    ['| 1.1 | M | holds | test/a.test.ts: is kept |', undefined],
    ['| 1.1 | S | deliberately different: better | test/a.test.ts: 1.1 a rule |', undefined],
    ['| 2.1 | F | not ours: a server’s matter | |', undefined],
    ['| 21.1 | topic | decided | |', 'no test'],
    ['| 1.1 | M | holds | |', 'no test that names it'],
    ['| 2.1 | M | holds | |', 'no test that names it'],
    ['| 1.1 | M | holds | test/a.test.ts: is broken |', 'not there'],
    ['| 1.1 | M | holds | test/b.test.ts: is kept |', 'not there'],
    ['| 1.1 | M | holds | test/support/a.test.ts: is kept |', 'own tools'],
    ['| 1.1 | M | not ours: too hard | |', 'must hold'],
    ['| 1.1 | S | not ours: | test/a.test.ts: is kept |', 'the verdict'],
    ['| 1.1 | S | mostly | test/a.test.ts: is kept |', 'the verdict'],
  ])('%s', (line, fault) => {
    if (fault === undefined) expect(row(line)).toStrictEqual([])
    else expect(row(line)).toContainEqual(expect.stringContaining(fault))
  })

  test('a test for a row that is not there, and a row of too many cells', () => {
    expect(faultsOf([], TITLES)).toStrictEqual([expect.stringContaining('names 1.1, which is no row')])
    expect(() => rowsOf('| 1.1 | M | holds | x | y |')).toThrow('not four cells')
  })
})
