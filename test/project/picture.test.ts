import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { COLUMNS, picture } from '../../scripts/docs/terminal.ts'

const HANDLE = 'alice.test'
const TEXT = /<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<\/text>/g

describe('a picture of a terminal', () => {
  test('puts each column at its own x, so that nothing depends on CSS white-space', () => {
    expect(
      texts(picture([{ kind: 'output', text: 'account  alice.test\nPDS      localhost\n  indented' }], HANDLE)),
    ).toMatchObject([
      { x: 16, text: 'account' },
      { x: 102.4, text: 'alice.test' },
      { x: 16, text: 'PDS' },
      { x: 102.4, text: 'localhost' },
      { x: 35.2, text: 'indented' },
    ])
  })

  test('separates the prompt from the command', () => {
    expect(texts(picture([{ kind: 'command', text: 'atproto-oauth status' }], HANDLE))).toMatchObject([
      { x: 16, text: '$' },
      { x: 35.2, text: 'atproto-oauth status' },
    ])
  })

  test('wraps prose below its first word, and cuts a URL', () => {
    const long = `http://localhost/${'x'.repeat(COLUMNS)}`
    const words = `scope    ${'word '.repeat(COLUMNS / 5).trim()}`
    const [scope, first, second, url] = texts(picture([{ kind: 'output', text: `${words}\n${long}` }], HANDLE))
    expect([scope?.text, second?.text]).toEqual(['scope', 'word word'])
    expect(second?.x).toBe(first?.x)
    expect(url?.text).toBe(`${long.slice(0, COLUMNS - 1)}…`)
  })

  test('refills a sentence that the CLI had wrapped at a greater width', () => {
    const text = `${'word '.repeat(15).trim()}\nends here.\n\nfalse\n  indented`
    expect(texts(picture([{ kind: 'output', text }], HANDLE)).map((run) => run.text)).toEqual([
      'word '.repeat(12).trim(),
      'word word word ends here.',
      'false',
      'indented',
    ])
  })
})

describe('docs/demo.svg', async () => {
  const svg = await readFile('docs/demo.svg', 'utf8')

  test('has no spaces that a renderer may collapse, and needs no CSS', () => {
    expect(texts(svg).length).toBeGreaterThan(20)
    expect(svg.match(/<text /g)).toHaveLength(texts(svg).length + 1) // the title bar
    expect(texts(svg).filter(({ text }) => /^\s|\s$|\s\s/.test(text))).toEqual([])
    expect(svg).not.toMatch(/<style| style=| class=|white-space/)
  })

  test('stays inside its frame', () => {
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number)
    for (const [, x, y, length] of svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]* textLength="([\d.]+)"/g)) {
      expect(Number(x) + Number(length)).toBeLessThanOrEqual(width!)
      expect(Number(y)).toBeLessThan(height!)
    }
  })

  test('ends on the created post', () => {
    const shown = texts(svg).map(({ text }) => text)
    const last = shown.slice(shown.lastIndexOf('$') + 1).join('\n')
    expect(last).toMatch(/^atproto-oauth call com\.atproto\.repo\.listRecords[\s\S]*\n"text":"hello from a shell"$/)
    expect(shown.join('\n')).not.toMatch(/error|invalid/i)
  })
})

/** What is drawn, without the title. */
function texts(svg: string): { x: number; text: string }[] {
  return [...svg.matchAll(TEXT)]
    .map(([, x, , text]) => ({ x: Number(x), text: text! }))
    .filter(({ text }) => text !== 'npm run demo')
}
