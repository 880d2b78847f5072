import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rowsCitedBy, type Title, titlesIn, titlesUnder } from './support/suite.ts'

/** The levels of each section's entries, so that none can vanish or change unnoticed. 5.16 to 5.19 do not exist. */
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
  26: 'F M M M F S F M S F M M M M M F F F',
}
const LEVELS: Record<string, string> = {
  must: 'M',
  should: 'S',
  may: 'O',
  fact: 'F',
  recommended: 'R',
  'must/recommended': 'M/R',
}
/** Where the specification and the reference disagree, and what another server does differently: one decision each. */
const DECISIONS: Record<string, number> = { 21: 17, 25: 16 }
/** Facts, vectors and pitfalls to which tests refer. They have no verdict, and need no test. */
const DATA: Record<string, string> = { 17: '1 2 3 4 5', 22: '1 2 3 4 5 6', 23: '3 4' }
const VERDICTS = ['holds', 'deliberately different', 'not ours']
/** One or more links after the sentences of a requirement, with commas between them. */
const SOURCES = / \[[^\]]+\]\(https:\/\/[^\s)]+\)(?:, \[[^\]]+\]\(https:\/\/[^\s)]+\))*$/

interface Entry {
  readonly id: string
  readonly level: string
  readonly verdict: string
  readonly requirement: string
  readonly sources: string
  /** Why the verdict is another than "holds", or the decision. */
  readonly reason: string
  readonly tests: readonly string[]
}

/** Each entry is an item of a list, its reason and its tests are items inside it. */
function entriesOf(markdown: string): Entry[] {
  const items = markdown.split(/\n(?=\S)|\n\n/).filter((item) => /^- \*\*\d/.test(item))
  return items.map((item) => {
    const [head, ...inner] = item.split(/\n {2}- /).map((text) => text.replace(/\s+/g, ' ').trim())
    const [, id, labels, text] = /^- \*\*(\d+\.\d+)\*\* \(([^)]+)\): (.*)$/.exec(head!) ?? []
    if (id === undefined) throw new Error(`not an entry: ${head}`)
    const [level, verdict = ''] = labels!.split(', ')
    const sources = SOURCES.exec(text!)?.[0] ?? ''
    const isTest = (each: string) => /^`.*`$/.test(each) && each.includes('.ts: ')
    return {
      id,
      level: level!,
      verdict,
      requirement: text!.slice(0, text!.length - sources.length),
      sources,
      reason: inner.filter((each) => !isTest(each)).join(' '),
      tests: inner.filter(isTest).map((each) => each.slice(1, -1)),
    }
  })
}

const sectionOf = (id: string) => id.split('.')[0]!

/** What is wrong with the entries, given the titles of the suite; each fault is a line. */
function faultsOf(entries: readonly Entry[], titles: readonly Title[]): string[] {
  const citations = titles.flatMap(({ file, path }) => rowsCitedBy(path).map((id) => ({ id, file, path })))
  const ids = new Set(entries.map(({ id }) => id))
  const strays = citations.filter(({ id }) => !ids.has(id))
  return [
    ...new Set(strays.map(({ id, file, path }) => `${file} cites ${id}, which does not exist: ${path.join(' > ')}`)),
    ...entries.flatMap((entry) => faultsOfEntry(entry, titles).map((fault) => `${entry.id} ${fault}`)),
  ]
}

function faultsOfEntry(entry: Entry, titles: readonly Title[]): string[] {
  const { id, level, verdict, reason, tests } = entry
  const faults: string[] = []
  if (!/\w.*[.!?]$/.test(entry.requirement)) faults.push('has no requirement')
  if (entry.sources === '') faults.push('has no source')
  const found = tests.map((text) => {
    const [, file, fragment] = /^(\S+\.ts): (.+)$/.exec(text) ?? []
    const matches = titles.filter((title) => title.file === file && title.path.join(' > ').includes(fragment ?? ''))
    if (matches.length === 0) faults.push(`points to a test that does not exist: ${text}`)
    if (text.startsWith('test/support/')) faults.push(`points to a test of the tests' own tools: ${text}`)
    return matches
  })
  if (sectionOf(id) in DATA) return faults
  if (sectionOf(id) in DECISIONS) {
    if (reason === '') faults.push('has no decision')
    if (tests.length === 0) faults.push('has no test')
    return faults
  }
  if (!VERDICTS.includes(verdict) || (verdict === 'holds') !== (reason === '')) {
    faults.push(`has the verdict "${verdict}" with the reason "${reason}"`)
  }
  if (level.startsWith('must') && verdict === 'not ours') faults.push('must hold')
  if (verdict === 'not ours') return faults
  if (!found.some((matches) => matches.some(({ path }) => rowsCitedBy(path).includes(id)))) {
    faults.push('has no test that cites it')
  }
  return faults
}

describe('test/conformance.md', () => {
  const entries = entriesOf(readFileSync('test/conformance.md', 'utf8'))

  const section = (name: string) => entries.filter(({ id }) => sectionOf(id) === name)

  test.each(Object.entries(SECTIONS))('section %s has every entry, once, with its level: %s', (name, levels) => {
    const numbers = levels.split(' ').map((_, index) => (name === '5' && index > 14 ? index + 5 : index + 1))
    expect(section(name).map(({ id }) => id)).toStrictEqual(numbers.map((number) => `${name}.${number}`))
    expect(
      section(name)
        .map(({ level }) => LEVELS[level])
        .join(' '),
    ).toBe(levels)
  })

  test.each(Object.entries(DECISIONS))('section %s has its %i decisions', (name, count) => {
    const numbers = Array.from({ length: count }, (_, index) => index + 1)
    expect(section(name).map(({ id }) => id)).toStrictEqual(numbers.map((number) => `${name}.${number}`))
    expect(new Set(section(name).map(({ level }) => level))).toStrictEqual(new Set(['decision']))
  })

  test.each(Object.entries(DATA))('section %s has the data %s', (name, numbers) => {
    expect(section(name).map(({ id }) => id)).toStrictEqual(numbers.split(' ').map((number) => `${name}.${number}`))
    expect(new Set(section(name).map(({ level }) => level))).toStrictEqual(new Set(['data']))
  })

  test('has no other sections', () => {
    const known = { ...SECTIONS, ...DECISIONS, ...DATA }
    expect(entries.filter(({ id }) => !(sectionOf(id) in known))).toStrictEqual([])
  })

  test('says what is required and where, and each entry has the tests that it names', async () => {
    expect(faultsOf(entries, await titlesUnder('test'))).toStrictEqual([])
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
  const SAID = 'Do it. [RFC 1](https://www.rfc-editor.org/rfc/rfc1), [b](https://b.dev)'
  const faults = (text: string) => faultsOf(entriesOf(text), text.startsWith('- **1.1') ? TITLES : [])

  test.each([
    [`- **1.1** (must, holds): ${SAID}`, ['`test/a.test.ts: is kept`'], undefined],
    [`- **1.1** (should, deliberately different): ${SAID}`, ['Better.', '`test/a.test.ts: 1.1 a rule`'], undefined],
    [`- **2.1** (fact, not ours): ${SAID}`, ['A matter of servers.'], undefined],
    [`- **22.1** (data): ${SAID}`, [], undefined],
    [`- **21.1** (decision): ${SAID}`, ['Decided.'], 'no test'],
    [`- **21.1** (decision): ${SAID}`, [], 'no decision'],
    [`- **1.1** (must, holds): ${SAID}`, [], 'no test that cites it'],
    [`- **2.1** (must, holds): ${SAID}`, [], 'no test that cites it'],
    [`- **1.1** (must, holds): ${SAID}`, ['`test/a.test.ts: is broken`'], 'does not exist'],
    [`- **1.1** (must, holds): ${SAID}`, ['`test/b.test.ts: is kept`'], 'does not exist'],
    [`- **1.1** (must, holds): ${SAID}`, ['`test/support/a.test.ts: is kept`'], 'own tools'],
    [`- **1.1** (must, not ours): ${SAID}`, ['Too hard.'], 'must hold'],
    [`- **1.1** (must, not yet): ${SAID}`, ['Too hard.'], 'the verdict'],
    [`- **1.1** (should, not ours): ${SAID}`, ['`test/a.test.ts: is kept`'], 'the verdict'],
    [`- **1.1** (should, mostly): ${SAID}`, ['`test/a.test.ts: is kept`'], 'the verdict'],
    ['- **1.1** (must, holds): Do it.', ['`test/a.test.ts: is kept`'], 'no source'],
    ['- **1.1** (must, holds): [a](https://a.dev)', ['`test/a.test.ts: is kept`'], 'no requirement'],
  ])('%s, %j', (head, inner, fault) => {
    const found = faults([head, ...inner].join('\n  - '))
    if (fault === undefined) expect(found).toStrictEqual([])
    else expect(found).toContainEqual(expect.stringContaining(fault))
  })

  test('a citation of no entry, an entry over several lines, and an entry without a level', () => {
    expect(faultsOf([], TITLES)).toStrictEqual([expect.stringContaining('cites 1.1, which does not exist')])
    expect(
      entriesOf(`## 1.\n\n- **1.1** (must, holds): Do\n  it.\n  [a](https://a.dev)\n- **1.2** (data): x`),
    ).toMatchObject([{ id: '1.1', requirement: 'Do it.', sources: ' [a](https://a.dev)', tests: [] }, { id: '1.2' }])
    expect(() => entriesOf('- **1.1** Do it.')).toThrow('not an entry')
  })
})
